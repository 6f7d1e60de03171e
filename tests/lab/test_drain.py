# SPDX-License-Identifier: GPL-2.0-or-later
"""Drains: first the last resort, then no VIPs, and not one request or connection fails meanwhile."""

import json
import re

from stage import Stage, host, wait_chosen, wait_routed
from weftlab import Hammer, LabError, TcpStream, check, wait_until

LAB = {"topology": "racks", "services": True, "bfd_ms": 2000}
SHARED = True
ANNOTATION = "weft.dev/drain"


def setup(lab):
    lab.stage = Stage(lab)
    lab.lb_pools()


def metrics(node, family=4):
    """Prefix -> its class, in table 179."""
    return {route["dst"] + ("" if "/" in route["dst"] else "/32" if family == 4 else "/128"): route["metric"]
            for route in json.loads(node.ns.run(f"ip -j -{family} route show table 179"))}


def annotate(lab, node, value):
    if value:
        node.annotations[ANNOTATION] = value
    else:
        node.annotations.pop(ANNOTATION, None)
    lab.datastore.put(node.manifest())


def stage_of(node):
    return node.weft("draining")["stage"]


def handed_over(node):
    """Segments that this node has sent on to a drained one."""
    text = node.ns.run("nft list chain inet weft services_in")
    return sum(int(n) for n in re.findall(r"counter packets (\d+) .*meta mark set .*is being drained", text))


def busiest(lab, address, port=80):
    """The node that has most of the connections to a VIP."""
    def count(node):
        return node.ns.run("ipvsadm -Lnc", check=False).count(f"{address}:{port} ")
    node = max(lab.nodes.values(), key=count)
    if not count(node):
        raise LabError(f"no node has a connection to {address}")
    return node


def test_connections_and_requests_survive_the_drain_of_their_node(lab):
    """The node with most connections is drained by its annotation: the routers move its connections, and they live on."""
    stage = lab.stage
    web = lab.service("web", stage.backends, target=8080, type="LoadBalancer")
    wait_routed(lab, web.lb(4), web.lb(6))
    for node in lab.nodes.values():
        wait_chosen(node, web, stage.backends)
    with Hammer([stage.client], web.lb(4), 80, keep=8, new=2) as four, \
            Hammer([stage.client], web.lb(6), 80, keep=8, new=2) as six:
        node = busiest(lab, web.lb(4))
        pod = next(p for p in [stage.near, stage.beside, stage.far, stage.lonely] if p.node is node)
        others = [each for each in lab.nodes.values() if each is not node]
        with TcpStream(stage.client, pod) as stream:
            annotate(lab, node, "true")
            try:
                wait_until(lambda: stage_of(node) == "last resort", 20, "the last resort")
                check(host(web.lb(4)) in metrics(node), "the VIP is withdrawn before the wait is over")
                for other in others:
                    check("is being drained" in other.ns.run("nft list chain inet weft services_in"),
                          f"{other.name} hands nothing over")
                wait_until(lambda: stage_of(node) == "withdrawn", 30, "the VIPs to be withdrawn")
                wait_until(lambda: not any(host(web.lb(f)) in metrics(node, f) for f in (4, 6)), 20, "no VIP in table 179")
                blocks = [m for m in metrics(node).values() if m == 100]
                check(blocks, f"no pod block is announced any more: {metrics(node)}")
                for tor in lab.tors(node.name):
                    wait_until(lambda: host(web.lb(4)) not in tor.prefixes(4, node.name), 20, f"{tor.name} to follow")
                for each in (four, six, stream):
                    each.wait_answered(60) if isinstance(each, Hammer) else each.wait_progress()
                moved = {other.name: handed_over(other) for other in others}
            except BaseException:
                annotate(lab, node, None)
                raise
    for hammer in (four, six):
        hammer.result.none_failed(f"{node.name} drained, handed over {moved}")
    check(sum(moved.values()) > 0, f"no connection had to be handed over, nothing is shown: {moved}")
    annotate(lab, node, None)
    wait_until(lambda: stage_of(node) == "none", 20, "the end of the drain")
    wait_until(lambda: host(web.lb(4)) in metrics(node), 20, "the VIP to be announced again")
