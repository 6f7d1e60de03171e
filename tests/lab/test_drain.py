# SPDX-License-Identifier: GPL-2.0-or-later
"""Drains: first the last resort, then no VIPs, and not one request or connection fails meanwhile."""

import contextlib
import json
import re

from stage import Stage, host, wait_chosen, wait_routed
from weftlab import Hammer, Lab, LabError, TcpStream, check, equal, wait_until

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


def own_block(node):
    return min(prefix for prefix, metric in metrics(node).items() if metric == 100)


def annotate(lab, node, value):
    if value:
        node.annotations[ANNOTATION] = value
    else:
        node.annotations.pop(ANNOTATION, None)
    lab.datastore.put(node.manifest())


def stage_of(node):
    return node.weft("draining")["stage"]


def handed_over(node):
    """Segments of connections that this node does not know, which it has handed to the next one."""
    text = node.ns.run("nft list chain inet weft handed", check=False)
    return sum(int(n) for n in re.findall(r"counter packets (\d+) .*meta mark set .*handed to the next node", text))


def busiest(lab, address, port=80):
    """The node that has most of the connections to a VIP."""
    def count(node):
        return node.ns.run("ipvsadm -Lnc", check=False).count(f"{address}:{port} ")
    node = max(lab.nodes.values(), key=count)
    if not count(node):
        raise LabError(f"no node has a connection to {address}")
    return node


def go_on(traffic):
    for each in traffic:
        each.wait_answered(60) if isinstance(each, Hammer) else each.wait_progress()


def wait_at_routers(lab, node, web, there):
    """Until the node's router has both VIPs from it, or none."""
    for tor in lab.tors(node.name):
        wait_until(lambda: all((host(web.lb(f)) in tor.prefixes(f, node.name)) == there for f in (4, 6)), 30, f"{tor.name} to follow")


def drain_and_return(lab, stage):
    """The node with most connections is drained by its annotation: routers move its connections, and they live on. When
    it is back, routers move others to it that began elsewhere meanwhile: these live on, too."""
    web = lab.service("web", stage.backends, target=8080, type="LoadBalancer")
    wait_routed(lab, web.lb(4), web.lb(6))
    for node in lab.nodes.values():
        wait_chosen(node, web, stage.backends)
    with contextlib.ExitStack() as running:
        traffic = [running.enter_context(Hammer([stage.client], web.lb(f), 80, keep=8, new=2)) for f in (4, 6)]
        node = busiest(lab, web.lb(4))
        running.callback(annotate, lab, node, None)
        pod = next(p for p in [stage.near, stage.beside, stage.far, stage.lonely] if p.node is node)
        others = [each for each in lab.nodes.values() if each is not node]
        traffic.append(running.enter_context(TcpStream(stage.client, pod)))
        annotate(lab, node, "true")
        wait_until(lambda: stage_of(node) == "last resort", 20, "the last resort")
        check(host(web.lb(4)) in metrics(node), "the VIP is withdrawn before the wait is over")
        for other in others:
            other.ns.run("nft list chain inet weft handed")
        wait_until(lambda: stage_of(node) == "withdrawn", 30, "the VIPs to be withdrawn")
        wait_until(lambda: not any(host(web.lb(f)) in metrics(node, f) for f in (4, 6)), 20, "no VIP in table 179")
        check(100 in metrics(node).values(), f"no pod block is announced any more: {metrics(node)}")
        wait_at_routers(lab, node, web, False)
        go_on(traffic)
        moved = {other.name: handed_over(other) for other in others}
        check(sum(moved.values()) > 0, f"no connection had to be handed over, nothing is shown: {moved}")

        traffic += [running.enter_context(Hammer([stage.client], web.lb(f), 80, keep=8)) for f in (4, 6)]
        go_on(traffic)
        annotate(lab, node, None)
        wait_until(lambda: stage_of(node) == "none", 20, "the end of the drain")
        wait_at_routers(lab, node, web, True)
        go_on(traffic)
        back = handed_over(node)
    for each in traffic:
        if isinstance(each, Hammer):
            each.result.none_failed(f"{node.name} drained and back; handed over {moved}, then {back}")
    check(back > 0, f"no connection came to {node.name} that began elsewhere, nothing is shown")


def test_connections_and_requests_survive_a_drain_and_its_end(lab):
    drain_and_return(lab, lab.stage)


def test_they_survive_with_node_addresses_on_the_loopback():
    """Each node has two links with addresses of their own, and no route says which source to take: tunnels have to come
    from the node's address."""
    with Lab("two-tors", services=True, bfd_ms=2000) as lab:
        stage = Stage(lab)
        for node in lab.nodes.values():
            hops = json.loads(node.ns.run("ip -j -4 route show default"))[0]["nexthops"]
            parts = " ".join(f"nexthop via {hop['gateway']} dev {hop['dev']}" for hop in hops)
            node.ns.run(f"ip route replace default {parts}")
        lab.lb_pools()
        drain_and_return(lab, stage)


def wait_communities(lab, node, prefix, expected):
    """Until the node's router has the prefix with GRACEFUL_SHUTDOWN, or without."""
    def seen():
        text = lab.tors(node.name)[0].control.command(f"show route {prefix} all")
        found = "(65535,0)" in text
        if found != expected:
            raise LabError(f"{prefix} from {node.name}: {text}")
        return True
    wait_until(seen, 30, f"{prefix} {'with' if expected else 'without'} GRACEFUL_SHUTDOWN")


def test_the_command_drains_in_two_steps_and_outlives_a_restart(lab):
    stage, node = lab.stage, lab.stage.node
    web = lab.service("web", [stage.near], target=8080, type="LoadBalancer", externalTrafficPolicy="Local")
    wait_routed(lab, web.lb(4), web.lb(6))
    block = own_block(node)
    wait_communities(lab, node, block, False)
    node.weftctl("drain", "--no-wait", "--wait", "15")
    wait_communities(lab, node, block, True)
    wait_communities(lab, node, host(web.lb(4)), True)
    node.restart_weftd(kill=True)
    wait_until(lambda: stage_of(node) == "withdrawn", 40, "the drain to go on after kill -9")
    wait_until(lambda: host(web.lb(4)) not in metrics(node), 20, "the VIP to leave table 179")
    check(100 in metrics(node).values(), f"no pod block in table 179: {metrics(node)}")
    wait_communities(lab, node, block, True)
    check("withdrawn since" in node.weftctl("status", check=False), "status says nothing of the drain")
    equal(node.weftctl("undrain").strip(), "nothing is drained", "answer of undrain")
    wait_until(lambda: host(web.lb(4)) in metrics(node), 20, "the VIP to come back")
    wait_communities(lab, node, block, False)


def test_a_peer_is_drained_alone(lab):
    """Its VIPs go by its filter alone, and the session stays up."""
    stage, node = lab.stage, lab.stage.node
    web = lab.service("web", [stage.near], target=8080, type="LoadBalancer", externalTrafficPolicy="Local")
    wait_routed(lab, web.lb(4), web.lb(6))
    peers = [p for p in node.weft("peers") if ":" not in p["address"]]
    since = {p["name"]: p["since"] for p in node.weft("peers")}
    node.weftctl("drain", "--peer", peers[0]["name"], "--wait", "1")
    wait_until(lambda: host(web.lb(4)) not in lab.tors(node.name)[0].prefixes(4, node.name), 20, "the VIP to leave the router")
    check(host(web.lb(4)) in metrics(node), "table 179 has lost the VIP, which only one peer should not get")
    check(own_block(node) in lab.tors(node.name)[0].prefixes(4, node.name), "the pod block is withdrawn")
    equal({p["name"]: p["since"] for p in node.weft("peers")}, since, "sessions' uptimes")
    node.weftctl("undrain", "--peer", peers[0]["name"])
    wait_until(lambda: host(web.lb(4)) in lab.tors(node.name)[0].prefixes(4, node.name), 20, "the VIP to come back")
    equal({p["name"]: p["since"] for p in node.weft("peers")}, since, "sessions' uptimes")


def test_sigterm_drains_first_where_it_is_configured(lab):
    stage, node = lab.stage, lab.stage.far_node
    web = lab.service("web", [stage.far], target=8080, type="LoadBalancer", externalTrafficPolicy="Local")
    wait_routed(lab, web.lb(4))
    node.weftd.stop()
    check(host(web.lb(4)) in metrics(node), "weftd withdrew a VIP when it was stopped")
    node.write_config(drainOnStop=True)
    node.weftd.start()
    node.wait_answering()
    try:
        node.weftd.stop(60)
        check(host(web.lb(4)) not in metrics(node), "the VIP is still announced after a drain on SIGTERM")
        check(100 in metrics(node).values(), "the pod blocks are withdrawn")
    finally:
        node.write_config(drainOnStop=False)
        node.weftd.start()
        node.wait_answering()
    wait_until(lambda: host(web.lb(4)) in metrics(node), 20, "the VIP to be announced again")
