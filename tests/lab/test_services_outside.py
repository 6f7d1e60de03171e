# SPDX-License-Identifier: GPL-2.0-or-later
"""LoadBalancer IPs: given out by weft's controller, announced to the routers by the nodes that may."""

import re

from stage import Stage, fence, host, problems, wait_not_routed, wait_routed
from weftlab import Hammer, ask, check, equal, terminating, wait_until, wait_who, weft
from weftlab.services import CIDRS

LAB = {"topology": "racks", "services": True, "bfd_ms": 2000}
SHARED = True
EXCLUDE = "node.kubernetes.io/exclude-from-external-load-balancers"


def setup(lab):
    lab.stage = Stage(lab)
    lab.lb_pools()


def announcers(lab, address):
    """Nodes from which their ToR has the address."""
    family = 6 if ":" in address else 4
    return {node.name for node in lab.nodes.values()
            if any(host(address) in tor.prefixes(family, node.name) for tor in lab.tors(node.name))}


def wait_announcers(lab, address, expected):
    wait_until(lambda: announcers(lab, address) == set(expected), 30,
               f"{address} to be announced by {sorted(expected)}, it is by {sorted(announcers(lab, address))}", 0.2)


def assigned(lab, made):
    """Family -> the IP that weft gave a Service."""
    found = re.findall(r"""\bip["']?: *["']?([0-9a-f.:]+)""", lab.datastore.status_text(made.name))
    return {6 if ":" in address else 4: address for address in found}


def wait_assigned(lab, made):
    wait_until(lambda: len(assigned(lab, made)) == len(lab.families), 20, f"LoadBalancer IPs of {made.name}")
    return assigned(lab, made)


ALL = ("r1n1", "r1n2", "r2n1", "r2n2")


def test_lb_ips_are_announced_by_all_nodes(lab):
    """Policy Cluster: any node takes it; the client reaches it; the routers forget it with the Service."""
    stage = lab.stage
    web = lab.service("web", [stage.near], target=8080, type="LoadBalancer")
    for family in lab.families:
        wait_announcers(lab, web.lb(family), ALL)
        wait_routed(lab, web.lb(family))
        wait_who(stage.client, web.lb(family), 80, "near")
        check(host(web.vip(family)) not in lab["spine"].prefixes(family), "a ClusterIP is announced")
    web.delete()
    wait_not_routed(lab, web.lb(4), web.lb(6))


def test_external_local_is_announced_by_nodes_with_ready_endpoints(lab):
    stage = lab.stage
    web = lab.service("web", [stage.near, stage.far], target=8080, type="LoadBalancer", externalTrafficPolicy="Local")
    for family in lab.families:
        wait_announcers(lab, web.lb(family), {"r1n1", "r2n1"})
        wait_routed(lab, web.lb(family))
    web.back(terminating(stage.near), stage.far)
    for family in lab.families:
        wait_announcers(lab, web.lb(family), {"r2n1"})
        wait_who(stage.client, web.lb(family), 80, "far")
        wait_who(stage.client, stage.node.ip(family), web.node_port, "near")  # S11 goes on meanwhile
    web.back(stage.near, stage.beside)
    for family in lab.families:
        wait_announcers(lab, web.lb(family), {"r1n1", "r1n2"})


def test_nothing_without_endpoints(lab):
    stage = lab.stage
    web = lab.service("web", [stage.near], target=8080, type="LoadBalancer")
    for family in lab.families:
        wait_announcers(lab, web.lb(family), ALL)
    web.back()
    for family in lab.families:
        wait_announcers(lab, web.lb(family), set())
    web.back(stage.far)
    for family in lab.families:
        wait_announcers(lab, web.lb(family), ALL)


def test_excluded_nodes_announce_nothing(lab):
    stage, node = lab.stage, lab.stage.far_node
    web = lab.service("web", [stage.near, stage.far], target=8080, type="LoadBalancer")
    wait_announcers(lab, web.lb(4), ALL)
    node.labels[EXCLUDE] = ""
    try:
        lab.datastore.put(node.manifest())
        for family in lab.families:
            wait_announcers(lab, web.lb(family), {"r1n1", "r1n2", "r2n2"})
            wait_who(stage.client, node.ip(family), web.node_port, {"near", "far"})
    finally:
        node.labels.clear()
        lab.datastore.put(node.manifest())
    wait_announcers(lab, web.lb(6), ALL)


def test_an_advertisement_adds_external_ips(lab):
    stage = lab.stage
    web = lab.service("web", [stage.near, stage.far], target=8080, labels={"app": "web"})
    web.set(externalIPs=web.externals())
    fence(lab, stage)
    for family in lab.families:
        equal(announcers(lab, web.external(family)), set(), "external IPs without an advertisement")
    lab.datastore.put(weft("BGPAdvertisement", "more", types=["ExternalIP"],
                           serviceSelector={"matchLabels": {"app": "web"}}, nodeSelector={"matchLabels": {"rack": "1"}}))
    try:
        for family in lab.families:
            wait_announcers(lab, web.external(family), {"r1n1", "r1n2"})
            wait_routed(lab, web.external(family))
            wait_who(stage.client, web.external(family), 80, {"near", "far"})
    finally:
        lab.datastore.delete("BGPAdvertisement", "more")
    for family in lab.families:
        wait_announcers(lab, web.external(family), set())


def cidr_announcers(lab, family):
    return {node.name for node in lab.nodes.values()
            if any(CIDRS[family] in tor.prefixes(family, node.name) for tor in lab.tors(node.name))}


def test_an_advertisement_adds_the_cluster_ips(lab):
    """As their whole CIDR, from the nodes that it selects, and only as long as it is there."""
    stage = lab.stage
    web = lab.service("web", [stage.near, stage.far], target=8080)
    fence(lab, stage)
    for family in lab.families:
        equal(cidr_announcers(lab, family), set(), "the service CIDR without an advertisement")
    lab.datastore.put(weft("BGPAdvertisement", "more", types=["ClusterIP"], nodeSelector={"matchLabels": {"rack": "2"}}))
    try:
        for family in lab.families:
            wait_until(lambda: cidr_announcers(lab, family) == {"r2n1", "r2n2"}, 30, "the CIDR to be announced by rack 2")
            wait_until(lambda: CIDRS[family] in lab["spine"].prefixes(family), 30, "the CIDR at the spine")
            wait_who(stage.client, web.vip(family), 80, {"near", "far"})
    finally:
        lab.datastore.delete("BGPAdvertisement", "more")
    for family in lab.families:
        wait_until(lambda: not cidr_announcers(lab, family), 30, "the CIDR to be withdrawn")


def test_no_request_fails_while_announcers_change(lab):
    """Order: announced after the dataplane holds it, withdrawn before it lets go. A connection that the routers' ECMP
    moves to another node meanwhile is reset there; a new one is never refused and never unanswered."""
    stage = lab.stage
    web = lab.service("web", [stage.near, stage.far], target=8080, type="LoadBalancer")
    wait_announcers(lab, web.lb(4), ALL)
    wait_routed(lab, web.lb(4))
    wait_who(stage.client, web.lb(4), 80, {"near", "far"})
    node = stage.empty_node
    with Hammer([stage.client], web.lb(4), 80, keep=0, new=2) as hammer:
        for _ in range(3):
            node.labels[EXCLUDE] = ""
            lab.datastore.put(node.manifest())
            wait_announcers(lab, web.lb(4), set(ALL) - {"r2n2"})
            hammer.wait_answered(20)
            node.labels.clear()
            lab.datastore.put(node.manifest())
            wait_announcers(lab, web.lb(4), ALL)
            hammer.wait_answered(20)
    moved = ("ConnectionResetError", "BrokenPipeError")
    equal([text for text in hammer.result.failures if not any(name in text for name in moved)], [],
          "new connections that failed while announcers came and went")


def test_lb_ips_are_given_out_and_kept(lab):
    stage = lab.stage
    one = lab.service("one", [stage.near], target=8080, type="LoadBalancer", lb_status=False)
    ips = wait_assigned(lab, one)
    for address in ips.values():
        wait_announcers(lab, address, ALL)
        wait_routed(lab, address)
        wait_who(stage.client, address, 80, "near")
    two = lab.service("two", [stage.far], target=8080, type="LoadBalancer", lb_status=False)
    others = wait_assigned(lab, two)
    equal(set(ips.values()) & set(others.values()), set(), "addresses that two Services share")
    for node in lab.nodes.values():
        node.restart_weftd(kill=True)
    fence(lab, stage)
    equal(assigned(lab, one), ips, "addresses after a restart of all")
    equal(assigned(lab, two), others, "addresses after a restart of all")
    two.set(type="ClusterIP")
    for address in others.values():
        wait_announcers(lab, address, set())
        check(not ask(stage.asker, address, 80, timeout=0.7).who, f"{address} answers though nobody has it")


def leaders(lab):
    """Nodes whose weftd says that it is the controller."""
    running = [node for node in lab.nodes.values() if node.weftd.running]
    return [node for node in running if (node.weft("status").get("controller") or {}).get("leading")]


def test_agents_elect_one_controller(lab):
    """All stand, one leads. When it is killed another one takes over: what was given stays, what is new is given."""
    stage = lab.stage
    wait_until(lambda: len(leaders(lab)) == 1, 20, "one controller")
    kept = lab.service("kept", [stage.near], target=8080, type="LoadBalancer", lb_status=False)
    ips = wait_assigned(lab, kept)
    (first,) = leaders(lab)
    first.weftd.hold()
    try:
        fresh = lab.service("fresh", [stage.far], target=8080, type="LoadBalancer", lb_status=False)
        others = wait_assigned(lab, fresh)
        (second,) = leaders(lab)
        check(second is not first, "a dead controller")
        equal(set(ips.values()) & set(others.values()), set(), "addresses that two Services share")
    finally:
        first.weftd.start()
        first.wait_answering()
    equal(assigned(lab, kept), ips, "what the controller before gave")
    wait_until(lambda: len(leaders(lab)) == 1, 20, "one controller")
    for address in others.values():
        wait_routed(lab, address)
        wait_who(stage.client, address, 80, "far")


def test_lb_ips_asked_for(lab):
    stage = lab.stage
    asked = lab.service("asked", [stage.near], target=8080, type="LoadBalancer", lb_status=False,
                        annotations={"weft.dev/load-balancer-ips": "198.51.100.77,2001:db8:51::77"})
    equal(wait_assigned(lab, asked), {4: "198.51.100.77", 6: "2001:db8:51::77"}, "the addresses that were asked for")
    thief = lab.service("thief", [stage.far], target=8080, type="LoadBalancer", lb_status=False,
                        annotations={"weft.dev/load-balancer-ips": "198.51.100.77"})
    fence(lab, stage)
    wait_until(lambda: "198.51.100.77" in lab.datastore.status_text("thief") or "198.51.100.77" in problems(stage.node), 20,
               "a word about the address that another has")
    wait_who(stage.asker, "198.51.100.77", 80, "near")
    asked.delete()
    wait_who(stage.asker, "198.51.100.77", 80, "far")
    equal(wait_until(lambda: assigned(lab, thief).get(4), 10, "the thief's address"), "198.51.100.77", "its address")


def test_a_class_of_others_is_left_alone(lab):
    stage = lab.stage
    lab.service("foreign", [stage.near], target=8080, type="LoadBalancer", lb_status=False,
                loadBalancerClass="example.com/other")
    fence(lab, stage)
    equal(lab.datastore.status_text("foreign"), "", "the status of a Service of another class")
