# SPDX-License-Identifier: GPL-2.0-or-later
"""What is refused, what is dropped, and by which policy: S14 to S20, and H1, H5, H7, H9."""

from stage import Stage, fence, wait_chosen, wait_routed, wait_virtual
from weftlab import Conversation, Endpoint, Port, ask, check, equal, wait_until, wait_who

LAB = {"topology": "racks", "services": True, "bfd_ms": 2000}
SHARED = True


def setup(lab):
    lab.stage = Stage(lab, ("tcp", "udp"))


def both(number=80, target=8080):
    return [Port(number, target, "TCP", "tcp"), Port(number, target, "UDP", "udp")]


def test_s14_no_endpoints_at_all_are_refused(lab):
    """TCP reset, UDP port unreachable, on every VIP and node port, whoever asks, whatever the policy."""
    stage = lab.stage
    web = lab.service("web", [], ports=both(), type="LoadBalancer")
    web.set(externalIPs=web.externals())
    local = lab.service("local", [], ports=both(), type="LoadBalancer", externalTrafficPolicy="Local",
                        internalTrafficPolicy="Local")
    fence(lab, stage)
    for family in lab.families:
        for proto, index in (("tcp", 0), ("udp", 1)):
            for asker in (stage.asker, stage.node):
                for address in (web.vip(family), web.lb(family), web.external(family), local.vip(family),
                                local.lb(family)):
                    wait_who(asker, address, 80, "refused", proto, per=1)
            for asker in (stage.asker, stage.node, stage.client, stage.far_node):
                wait_who(asker, stage.node.ip(family), web.ports[index].node, "refused", proto, per=1)
                wait_who(asker, stage.node.ip(family), local.ports[index].node, "refused", proto, per=1)


def test_s15_internal_local_without_a_local_endpoint_is_dropped(lab):
    """On the ClusterIP only."""
    stage = lab.stage
    web = lab.service("web", [stage.near], ports=both(), type="LoadBalancer", internalTrafficPolicy="Local")
    for family in lab.families:
        for proto, index in (("tcp", 0), ("udp", 1)):
            wait_who(stage.asker, web.vip(family), 80, "near", proto)
            wait_who(stage.lonely, web.vip(family), 80, "timeout", proto, per=1)
            wait_who(stage.empty_node, web.vip(family), 80, "timeout", proto, per=1)
            wait_who(stage.lonely, web.lb(family), 80, "near", proto)
            wait_who(stage.client, stage.empty_node.ip(family), web.ports[index].node, "near", proto)


def test_s15_external_local_without_a_local_endpoint_is_dropped(lab):
    """From outside, on LoadBalancer and external IPs and node ports. The ClusterIP answers."""
    stage, empty = lab.stage, lab.stage.empty_node
    web = lab.service("web", [stage.near], ports=both(), type="LoadBalancer", externalTrafficPolicy="Local")
    for family in lab.families:
        for proto, index in (("tcp", 0), ("udp", 1)):
            wait_who(stage.lonely, web.vip(family), 80, "near", proto)
            wait_who(stage.client, stage.node.ip(family), web.ports[index].node, "near", proto)
            wait_who(stage.client, empty.ip(family), web.ports[index].node, "timeout", proto, per=1)
            # From outside to the LB IP by way of a node without endpoints: a router that still has an old route.
            vip, gateway = web.lb(family), empty.ip(family)
            lab["tor2"].ns.run(f"ip -{family} route replace {vip} via {gateway} metric 1")
            try:
                wait_who(lab["tor2"], vip, 80, "timeout", proto, per=1)
            finally:
                lab["tor2"].ns.run(f"ip -{family} route del {vip} via {gateway} metric 1")


def test_s15_a_local_endpoint_comes_and_goes(lab):
    """H5: between refused, dropped and served, in all directions."""
    stage = lab.stage
    web = lab.service("web", [stage.far], target=8080, type="NodePort", externalTrafficPolicy="Local")
    steps = (([stage.far], "timeout"), ([stage.near], "near"), ([], "refused"), ([stage.near, stage.far], "near"),
             ([stage.far], "timeout"), ([], "refused"), ([stage.far], "timeout"))
    for backends, expected in steps:
        web.back(*backends)
        for family in lab.families:
            wait_who(stage.client, stage.node.ip(family), web.node_port, expected, per=1)


def test_s16_unlisted_ports_are_refused(lab):
    stage = lab.stage
    web = lab.service("web", [stage.near], target=8080, type="LoadBalancer")
    for family in lab.families:
        wait_who(stage.asker, web.vip(family), 80, "near")
        for asker in (stage.asker, stage.node):
            for address in (web.vip(family), web.lb(family)):
                equal(ask(asker, address, 81).outcome, "refused", f"TCP to port 81 of {address}")
                equal(ask(asker, address, 80, "udp").outcome, "refused", f"UDP to port 80 of {address}")
        check(stage.asker.ns.ping(web.vip(family)), "ping to a VIP is not answered")


def test_s17_unallocated_addresses_stay_here(lab):
    stage = lab.stage
    for family, address in ((4, "10.96.255.7"), (6, "fd00:96::ff07")):
        for asker in (stage.asker, stage.node):
            for proto in ("tcp", "udp"):
                outcome = ask(asker, address, 80, proto, timeout=0.7).outcome
                check(outcome in ("refused", "timeout"), f"{proto} to an unallocated address: {outcome}")
        equal(stage.node.ns.device_to(address), "lo", f"the way to {address}")
        check(family, "a family")


def test_h1_daemons_of_the_host_are_not_on_vips(lab):
    """A server on all addresses of a node answers on the node's, not on a VIP's other ports."""
    stage, node = lab.stage, lab.stage.node
    for proto in ("tcp", "udp"):
        lab.serve(node, port=9999, proto=proto)
    web = lab.service("web", [stage.near], target=8080, type="LoadBalancer")
    wait_routed(lab, web.lb(4), web.lb(6))
    for family in lab.families:
        wait_who(stage.asker, web.lb(family), 80, "near")
        for proto in ("tcp", "udp"):
            equal(ask(stage.client, node.ip(family), 9999, proto).who, "r1n1", "the daemon on the node's address")
            for address in (web.vip(family), web.lb(family), "10.96.255.8" if family == 4 else "fd00:96::ff08"):
                for asker in (stage.asker, node):
                    equal(ask(asker, address, 9999, proto).outcome, "refused", f"{proto} from {asker.name} to {address}")
            equal(ask(stage.client, web.lb(family), 9999, proto).outcome, "refused", "from outside to the LB IP")


def test_h9_a_service_on_port_21(lab):
    """IPVS then takes every other port of the VIP for FTP's data: what the Service does not list is refused before it.
    Source port 20 is never balanced, as docs/services.md says."""
    stage = lab.stage
    ftp = lab.service("ftp", [stage.near], port=21, target=8080, type="LoadBalancer")
    for family in lab.families:
        for address in (ftp.vip(family), ftp.lb(family)):
            wait_who(stage.asker, address, 21, "near")
            for asker in (stage.asker, stage.node):
                for port in (20, 80, 2121):
                    equal(ask(asker, address, port).outcome, "refused", f"port {port} of {address}")
        check(not ask(stage.asker, ftp.vip(family), 21, source_port=20, timeout=0.7).who, "source port 20 is balanced")


def test_s18_external_local(lab):
    """Outside: local endpoints, source kept. This node's pods and processes: all endpoints; pods keep their source."""
    stage = lab.stage
    web = lab.service("web", [stage.near, stage.far], target=8080, type="LoadBalancer", externalTrafficPolicy="Local")
    web.set(externalIPs=web.externals())
    wait_routed(lab, web.lb(4), web.lb(6))
    for family in lab.families:
        for node, name in ((stage.node, "near"), (stage.far_node, "far")):
            wait_who(stage.client, node.ip(family), web.node_port, name, per=4)
            equal(ask(stage.client, node.ip(family), web.node_port).source, stage.client.ip(family), "source at a node port")
        for _ in range(4):
            equal(ask(stage.client, web.lb(family), 80).source, stage.client.ip(family), "source at the LB IP")
        inside = ((web.lb(family), 80), (web.external(family), 80), (stage.empty_node.ip(family), web.node_port))
        for address, port in inside:
            for asker in (stage.lonely, stage.empty_node):
                wait_who(asker, address, port, {"near", "far"})
                equal(ask(asker, address, port).source, asker.ip(family), f"source of {asker.name} at {address}")


def test_h7_persistent_service_with_external_local_and_another_port(lab):
    """Affinity, port 80 to 8080: the second set of endpoints must still change the port."""
    stage = lab.stage
    web = lab.service("web", [stage.near, stage.far], target=8080, type="LoadBalancer", externalTrafficPolicy="Local",
                      sessionAffinity="ClientIP")
    for family in lab.families:
        wait_virtual(stage.empty_node, web.key(family), lambda v: v and v.persistent, "affinity")
        wait_until(lambda: ask(stage.lonely, web.lb(family), 80).who, 20, "an answer to a pod at the LB IP")
        first = ask(stage.lonely, web.lb(family), 80).who
        equal({ask(stage.lonely, web.lb(family), 80).text for _ in range(5)}, {first}, "who answers one client")


def test_s19_internal_local(lab):
    """Binds pods and the host; backends in the host's network count."""
    stage = lab.stage
    lab.serve(stage.beside_node)
    web = lab.service("web", [stage.near, stage.far, stage.beside_node], target=8080, internalTrafficPolicy="Local")
    other = stage.beside_node.pod("other")
    for family in lab.families:
        for asker, name in ((stage.asker, "near"), (stage.node, "near"), (stage.far_node, "far"), (other, "r1n2"),
                            (stage.beside_node, "r1n2"), (stage.lonely, "timeout")):
            wait_who(asker, web.vip(family), 80, name, per=3 if name != "timeout" else 1)


def test_s20_source_ranges(lab):
    """Before load balancing, on LoadBalancer and external IPs, for pods too. ClusterIP and node port stay open."""
    stage = lab.stage
    web = lab.service("web", stage.backends, target=8080, type="LoadBalancer")
    web.set(externalIPs=web.externals())
    wait_routed(lab, web.lb(4), web.lb(6))
    for family in lab.families:
        wait_who(stage.client, web.lb(family), 80, stage.names)
    with Conversation(stage.asker, web.lb(4), 80) as talk:
        check(talk.ask().who, "no answer")
        web.set(loadBalancerSourceRanges=[f" {stage.client.ip4}/32 ", f"{stage.client.ip6}/128"])
        for family in lab.families:
            wait_who(stage.asker, web.lb(family), 80, "timeout", per=1)
            wait_who(stage.asker, web.external(family), 80, "timeout", per=1)
            wait_who(stage.node, web.lb(family), 80, "timeout", per=1)
            wait_who(stage.client, web.lb(family), 80, stage.names)
            wait_who(stage.asker, web.vip(family), 80, stage.names)
            wait_who(stage.client, stage.node.ip(family), web.node_port, stage.names)
        check(talk.ask().who, "an established connection was cut")
    web.set(loadBalancerSourceRanges=[f"{stage.node.ip4}/32"])
    wait_who(stage.node, web.lb(4), 80, stage.names)
    wait_who(stage.asker, web.lb(4), 80, "timeout", per=1)
    wait_who(stage.asker, web.lb(6), 80, stage.names)  # no range of that family
    web.set(loadBalancerSourceRanges=["192.0.2.0/24", "0.0.0.0/0", f"{stage.lonely.ip6}/128"])
    wait_who(stage.asker, web.lb(4), 80, stage.names)
    wait_who(stage.asker, web.lb(6), 80, "timeout", per=1)
    wait_who(stage.lonely, web.lb(6), 80, stage.names)
    web.set(loadBalancerSourceRanges=None)
    wait_who(stage.asker, web.lb(6), 80, stage.names)


def test_s20_source_ranges_with_external_local(lab):
    stage = lab.stage
    web = lab.service("web", [stage.near, stage.far], target=8080, type="LoadBalancer", externalTrafficPolicy="Local",
                      loadBalancerSourceRanges=[f"{stage.client.ip4}/32", f"{stage.lonely.ip6}/128"])
    wait_routed(lab, web.lb(4), web.lb(6))
    wait_who(stage.client, web.lb(4), 80, {"near", "far"} if _spreads(lab, web) else "near", per=1)
    wait_who(stage.lonely, web.lb(4), 80, "timeout", per=1)
    wait_who(stage.lonely, web.lb(6), 80, {"near", "far"})
    wait_who(stage.client, web.lb(6), 80, "timeout", per=1)
    wait_chosen(stage.node, web, [stage.near, stage.far])


def _spreads(lab, web):
    """Does the spine send one client's connections to both nodes?"""
    return len({ask(lab["client"], web.lb(4), 80).text for _ in range(12)}) > 1


def test_backends_in_the_host_network(lab):
    """A backend in the host's network of another node, and of this one, through the ClusterIP and a node port."""
    stage = lab.stage
    lab.serve(stage.node, stage.far_node)
    web = lab.service("web", [Endpoint(stage.node), Endpoint(stage.far_node)], target=8080, type="NodePort")
    for family in lab.families:
        for asker in (stage.asker, stage.node, stage.lonely, stage.empty_node, stage.far_node):
            wait_who(asker, web.vip(family), 80, {"r1n1", "r2n1"})
        for node in (stage.node, stage.empty_node):
            wait_who(stage.client, node.ip(family), web.node_port, {"r1n1", "r2n1"})
