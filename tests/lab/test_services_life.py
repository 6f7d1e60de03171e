# SPDX-License-Identifier: GPL-2.0-or-later
"""Health, UDP flows, settings, and what Services live through: S10, S25 to S29, H3, H4, H6, H11, H13."""

import contextlib
import json
import os

from stage import Stage, fence, problems, wait_chosen, wait_no_handover, wait_routed, wait_virtual
from weftlab import (Conversation, Endpoint, Hammer, Lab, LossProbe, Port, TcpStream, Writes, ask, check, equal, http,
                     snapshot, terminating, unready, wait_until, wait_who)
from weftlab.node import Datastore

LAB = {"topology": "racks", "services": True, "bfd_ms": 2000}
SHARED = True


def setup(lab):
    lab.stage = Stage(lab, ("tcp", "udp", "sctp"))


def status_of(asker, address, port, path="/"):
    """HTTP status, or the outcome of a connection that nobody takes."""
    try:
        return http(asker, address, port, path)[0]
    except OSError as error:
        return type(error).__name__


def wait_status(asker, address, port, expected, path="/"):
    wait_until(lambda: status_of(asker, address, port, path) == expected, 20,
               f"{expected} of {address} port {port}{path}", 0.05)


def test_s25_health_of_a_service(lab):
    stage, node = lab.stage, lab.stage.node
    local = node.pod("local")
    web = lab.service("web", [stage.near, local, stage.far], target=8080, type="LoadBalancer",
                      externalTrafficPolicy="Local")
    for family in lab.families:
        wait_status(stage.client, node.ip(family), web.health_port, 200)
        wait_status(stage.client, stage.empty_node.ip(family), web.health_port, 503)
        status, headers, body = http(stage.client, node.ip(family), web.health_port, "/any/path")
        equal(status, 200, "status at any path")
        equal(headers["content-type"].split(";")[0], "application/json", "Content-Type")
        equal(headers["x-content-type-options"], "nosniff", "X-Content-Type-Options")
        addresses = 2 * len(lab.families)
        equal(headers["x-load-balancing-endpoint-weight"], str(addresses), "weight")
        equal(json.loads(body), {"service": {"namespace": "default", "name": "web"}, "localEndpoints": addresses,
                                 "serviceProxyHealthy": True}, "body")
    web.back(terminating(stage.near), unready(local), stage.far)
    wait_status(stage.client, node.ip4, web.health_port, 503)
    wait_who(stage.client, node.ip4, web.node_port, "near")  # still served
    equal(http(stage.client, node.ip4, web.health_port)[1]["x-load-balancing-endpoint-weight"], "0", "weight")
    old = web.health_port
    web.set(externalTrafficPolicy="Cluster")
    wait_status(stage.client, node.ip4, old, "ConnectionRefusedError")
    web.set(externalTrafficPolicy="Local", healthCheckNodePort=old + 1)
    wait_status(stage.client, node.ip4, old + 1, 503)
    web.delete()
    wait_status(stage.client, node.ip4, old + 1, "ConnectionRefusedError")


def test_s25_a_health_port_that_is_taken_is_told(lab):
    stage, node = lab.stage, lab.stage.node
    lab.serve(node, port=32799)
    web = lab.service("taken", [stage.near], target=8080, type="LoadBalancer", externalTrafficPolicy="Local",
                      healthCheckNodePort=32799)
    wait_until(lambda: "32799" in problems(node) and "taken" in problems(node), 20, "a report that the port is taken")
    wait_who(stage.client, node.ip4, web.node_port, "near")
    check("32799" not in problems(stage.beside_node), "a problem elsewhere")


def test_s26_health_of_the_proxy(lab):
    stage, node = lab.stage, lab.stage.empty_node
    for family in lab.families:
        for path in ("/healthz", "/livez"):
            wait_status(stage.client, node.ip(family), 10256, 200, path)
        wait_status(stage.client, node.ip(family), 10256, 404, "/other")
    status, headers, body = http(stage.client, node.ip4, 10256, "/healthz")
    check(headers["content-type"].startswith("application/json") and isinstance(json.loads(body), dict),
          f"a JSON body: {status} {headers} {body!r}")
    manifest = node.manifest()
    manifest["spec"] = {"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]}
    try:
        lab.datastore.put(manifest)
        wait_status(stage.client, node.ip4, 10256, 503, "/healthz")
        equal(status_of(stage.client, node.ip4, 10256, "/livez"), 200, "/livez of a tainted node")
        manifest = node.manifest()
        manifest["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z"
        lab.datastore.put(node.manifest())
        wait_status(stage.client, node.ip4, 10256, 200, "/healthz")
        lab.datastore.put(manifest)
        wait_status(stage.client, node.ip4, 10256, 503, "/healthz")
        equal(status_of(stage.client, node.ip4, 10256, "/livez"), 200, "/livez of a node that is being deleted")
    finally:
        lab.datastore.put(node.manifest())
    wait_status(stage.client, node.ip4, 10256, 200, "/healthz")
    wait_no_handover(lab)


def test_s27_udp_clients_follow_their_service(lab):
    """As a resolver with a fixed source port does: from a pod, the node and outside, endpoints come and go."""
    stage = lab.stage
    dns = lab.service("dns", [stage.near], ports=[Port(53, 8080, "UDP", "dns")], type="NodePort")
    for family in lab.families:
        dns.back(stage.near)
        wait_who(stage.asker, dns.vip(family), 53, "near", "udp")
        askers = [(stage.asker, dns.vip(family), 53), (stage.node, dns.vip(family), 53),
                  (stage.client, stage.node.ip(family), dns.node_port)]
        talks = [Conversation(asker, address, port, "udp", timeout=1, source_port=5300)
                 for asker, address, port in askers]
        for round_, backend in enumerate([stage.near, stage.far, stage.beside, stage.near, stage.far] * 2):
            dns.back(backend)
            for talk, (asker, _, _) in zip(talks, askers):
                wait_until(lambda: talk.ask().who == backend.name, 10,
                           f"round {round_}: {backend.name} to answer {asker.name}, IPv{family}", 0.02)
                equal({talk.ask().text for _ in range(3)}, {backend.name}, f"who answers {asker.name}")
        for talk in talks:
            talk.socket.close()


def test_s27_other_flows_stay(lab):
    """An endpoint that stays keeps its UDP flows when another goes; TCP is not flushed."""
    stage = lab.stage
    ports = [Port(53, 8080, "UDP", "dns"), Port(80, 8080, "TCP", "web")]
    both = lab.service("both", stage.backends, ports=ports)
    pods = {pod.name: pod for pod in stage.backends}
    for family in lab.families:
        both.back(*stage.backends)
        wait_chosen(stage.node, both, stage.backends)
        wait_chosen(stage.node, both, stage.backends, index=1)
        with Conversation(stage.asker, both.vip(family), 53, "udp") as dgram, \
                Conversation(stage.asker, both.vip(family), 80) as stream:
            kept, held = dgram.ask().who, stream.ask()
            gone = next(name for name in pods if name not in (kept, held.who))
            both.back(*(pod for name, pod in pods.items() if name != gone))
            fence(lab, stage)
            equal({dgram.ask().text for _ in range(3)}, {kept}, "who answers the UDP client")
            both.back(terminating(pods[held.who]), *(pod for name, pod in pods.items() if name != held.who))
            fence(lab, stage)
            equal(stream.ask(), held, "a TCP connection to an endpoint that leaves")


def test_s28_settings_of_ipvs(lab):
    node = lab.stage.node
    wanted = {"conntrack": "1", "expire_nodest_conn": "1", "expire_quiescent_template": "1", "conn_reuse_mode": "1",
              "run_estimation": "0", "nat_icmp_send": "0", "sloppy_tcp": "0"}  # the fifth is H13
    equal({name: node.ns.sysctl(f"ipv4/vs/{name}") for name in wanted}, wanted, "settings of IPVS")
    check("86400 120 300" in node.ns.run("ipvsadm -L --timeout"), node.ns.run("ipvsadm -L --timeout"))
    for name, value in (("arp_ignore", 1), ("arp_announce", 2)):
        effective = max(int(node.ns.sysctl(f"ipv4/conf/{conf}/{name}")) for conf in ("all", "eth0"))
        equal(effective, value, name)


def test_s28_vips_do_not_answer_arp(lab):
    """A LoadBalancer IP inside the nodes' subnet, asked for by a neighbour: who has it?"""
    stage, web = lab.stage, lab.service("web", [lab.stage.near], target=8080, type="LoadBalancer", lb_status=False,
                                         loadBalancerClass="example.com/other")
    web.status_ips = [{"ip": "10.1.1.123"}]
    web.put()
    wait_who(stage.asker, "10.1.1.123", 80, "near")
    lab["tor1"].ns.ping("10.1.1.123", 1)
    neighbours = [n for n in lab["tor1"].ns.ip("neigh show 10.1.1.123") if n.get("lladdr")]
    equal(neighbours, [], "who answered ARP for a VIP")


def test_s29_deleted_and_made_again_with_the_same_ip(lab):
    stage = lab.stage
    web = lab.service("web", [stage.near], target=8080)
    for family in lab.families:
        wait_who(stage.asker, web.vip(family), 80, "near")
    for _ in range(3):
        web.delete()
        lab.services.append(web)
        for family in lab.families:
            wait_who(stage.asker, web.vip(family), 80, "refused")
        web.put()
        for family in lab.families:
            wait_who(stage.asker, web.vip(family), 80, "near")


def test_s29_ports_come_and_go(lab):
    stage = lab.stage
    web = lab.service("web", [stage.near], ports=[Port(80, 8080, name="a")], type="NodePort")
    wait_who(stage.asker, web.vip(6), 80, "near")
    with Conversation(stage.asker, web.vip(6), 80) as talk:
        talk.ask()
        web.ports.append(Port(81, 8080, name="b"))
        web.put()
        for family in lab.families:
            wait_who(stage.asker, web.vip(family), 81, "near")
        second = web.ports[1].node
        wait_who(stage.client, stage.node.ip4, second, "near")
        web.ports.pop()
        web.put()
        for family in lab.families:
            wait_who(stage.asker, web.vip(family), 81, "refused")
        wait_virtual(stage.node, ("TCP", stage.node.ip4, second), lambda v: v is None, "the node port to go")
        equal(talk.ask().who, "near", "a connection to the other port")


def test_s29_through_all_types(lab):
    stage = lab.stage
    web = lab.service("web", [stage.near], target=8080)
    for type_ in ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "LoadBalancer", "NodePort", "ClusterIP"):
        web.spec.pop("externalName", None)
        if type_ == "ExternalName":
            web.spec["externalName"] = "web.example"
        web.set(type=type_)
        node_port = web.node_port
        for family in lab.families:
            wait_who(stage.asker, web.vip(family), 80, "refused" if type_ == "ExternalName" else "near")
            outside = type_ in ("NodePort", "LoadBalancer")
            if outside:
                wait_who(stage.client, stage.node.ip(family), node_port, "near")
            held = [key for key in stage.node.ipvs() if key[1] == stage.node.ip(family)]
            equal(len(held), int(outside), f"node ports as {type_}")
            wait_virtual(stage.node, ("TCP", web.lb(family), 80), lambda v: bool(v) == (type_ == "LoadBalancer"),
                         f"the LB IP as {type_}")


def test_s29_restarts_keep_flows_and_write_nothing(lab):
    """Killed twice: streams through VIP and node port live, IPVS, nftables, routes are the same afterwards."""
    stage = lab.stage
    lab.service("plain", stage.backends, target=8080)
    web = lab.service("web", [stage.far], port=7008, type="LoadBalancer")
    lab.service("local", [stage.near, stage.far], target=8080, type="LoadBalancer", externalTrafficPolicy="Local",
                sessionAffinity="ClientIP", loadBalancerSourceRanges=["192.0.2.0/24"])
    lab.service("none", [], type="NodePort")
    wait_routed(lab, web.lb(4), web.lb(6))
    fence(lab, stage)
    before = {name: node_state(lab[name]) for name in ("r1n1", "r2n1")}
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(TcpStream(asker, stage.far, family=family, address=address(family), port=port))
                   for family in lab.families
                   for asker, address, port in ((stage.asker, web.vip, 7008), (stage.client, web.lb, 7008))]
        for _ in range(2):
            stage.node.restart_weftd(kill=True)
            stage.far_node.restart_weftd(kill=True)
            for stream in streams:
                stream.wait_progress()
    for name, state in before.items():
        state.same(node_state(lab[name]), f"kernel state of {name} before and after kills")


def node_state(node):
    taken = snapshot(node.ns)
    # A hand-over of a test before that nobody uses any more goes with some audit.
    taken["ipvs"] = {f"{key} {virtual.scheduler} {virtual.flags & 1} {virtual.timeout} {sorted(virtual.weights.items())}"
                     for key, virtual in node.ipvs().items() if not key[0].startswith("FWM") or any(virtual.weights.values())}
    return taken


def test_s29_a_restart_writes_nothing_and_loses_nothing(lab):
    """Killed and stopped: no request to the kernel that would change anything, not one lost datagram."""
    stage, node = lab.stage, lab.stage.node
    web = lab.service("web", stage.backends, target=8080, type="LoadBalancer", externalTrafficPolicy="Local",
                      sessionAffinity="ClientIP", loadBalancerSourceRanges=["0.0.0.0/1", "128.0.0.0/1"])
    web.set(externalIPs=web.externals())
    lab.service("none", [], type="NodePort")
    lab.service("leaving", [terminating(stage.near), stage.far], target=8080)
    lab.service("elsewhere", [stage.far], target=8080, type="NodePort", internalTrafficPolicy="Local")
    udp = lab.service("udp", [stage.far], port=7007, proto="UDP")
    fence(lab, stage)
    with LossProbe(stage.asker, stage.far, address=udp.vip(4)) as four, \
            LossProbe(stage.asker, stage.far, family=6, address=udp.vip(6)) as six:
        for probe in (four, six):
            probe.wait_flowing()
        for kill in (True, False):
            with Writes(node.ns) as writes:
                node.restart_weftd(kill=kill)
                wait_until(lambda: node.weft("status")["routes"]["pending"] == 0, 20, "weftd to have settled")
                wait_status(stage.client, node.ip4, 10256, 200, "/healthz")
            equal(writes.seen, [], f"requests to the kernel, kill: {kill}")
    for probe in (four, six):
        probe.result.none_lost("two restarts, through a ClusterIP")


def test_s10_nothing_is_done_before_the_datastore_has_been_read(lab):
    """weftd starts, its datastore is empty: what is there stays and serves. Then the datastore is another one, with all
    that there is: what has changed is done, and nobody was refused meanwhile."""
    stage, node = lab.stage, lab.stage.node
    web = lab.service("web", [stage.near], target=8080)
    wait_chosen(node, web, [stage.near])
    node.weftd.stop()
    before = node_state(node)
    later = f"{lab.directory}/later"
    made = Datastore(f"{later}.new")
    lab.datastore.copy_to(made.path)
    web.backends = [terminating(stage.near), Endpoint(stage.far)]
    made.put(*web.slices())
    os.makedirs(later)
    node.write_config(datastore={"kind": "directory", "path": later})
    try:
        node.weftd.start()
        node.wait_answering()
        for family in lab.families:
            equal(ask(stage.asker, web.vip(family), 80).who, "near", "before the datastore is there")
        before.same(node_state(node), "the kernel's state before the datastore is there")
        with Hammer([stage.asker], web.vip(4), 80, keep=0) as hammer:
            os.rename(later, f"{later}.old")
            os.rename(made.path, later)
            wait_chosen(node, web, [stage.far])
            hammer.wait_answered(5)
        hammer.result.none_failed("from no datastore to one")
    finally:
        web.backends = [Endpoint(stage.near)]
        node.write_config()
        node.restart_weftd()
    wait_chosen(node, web, [stage.near])


def test_s29_endpoints_that_change_while_weftd_is_down(lab):
    stage, node = lab.stage, lab.stage.node
    web = lab.service("web", [stage.near], target=8080, type="NodePort")
    gone = lab.service("gone", [stage.near], target=8080, type="LoadBalancer")
    wait_chosen(node, web, [stage.near])
    wait_who(stage.asker, gone.lb(4), 80, "near")
    node.weftd.hold()
    for family in lab.families:
        equal(ask(stage.asker, web.vip(family), 80).who, "near", "without weftd")
    web.back(stage.far)
    gone.delete()
    node.weftd.start()
    for family in lab.families:
        wait_who(stage.asker, web.vip(family), 80, "far")
        wait_who(stage.client, node.ip(family), web.node_port, "far")
        for address in (gone.vip(family), gone.lb(family)):
            wait_virtual(node, ("TCP", address, 80), lambda v: v is None, "what was deleted meanwhile")
        wait_until(lambda: not [r for r in node.routes(family, "table", "local") if r["dst"] == gone.lb(family)], 10,
                   "the local route of a LB IP that is gone")


def test_altered_dataplane_is_repaired(lab):
    """Tables at once, by their events; IPVS sends none and is audited."""
    stage, node = lab.stage, lab.stage.node
    node.write_config(services={**lab.weft_options["services"], "audit": "1s"})
    node.restart_weftd()
    web = lab.service("web", [stage.near], target=8080, type="LoadBalancer")
    try:
        for family in lab.families:
            vip = web.lb(family)
            wait_who(stage.asker, vip, 80, "near")
            node.ns.run(f"ip -{family} route del local {vip} dev lo table local")
            wait_until(lambda: [r for r in node.routes(family, "table", "local") if r["dst"] == vip], 5, "the VIP's route")
        node.ns.run("ipvsadm -C")
        for family in lab.families:
            wait_who(stage.asker, web.lb(family), 80, "near")
            wait_who(stage.asker, web.vip(family), 80, "near")
        before = node.nft_set("vip4")
        node.ns.run("nft flush set inet weft vip4")
        wait_until(lambda: node.nft_set("vip4") == before, 10, "the set vip4 to be back")
    finally:
        node.write_config()
        node.restart_weftd()


def test_h3_the_source_of_vips_follows_the_node(lab):
    """S29: the node gets another address: routes' source, node ports and masquerade follow.
    The backend is a neighbour: the routers know no session with the new address, so other racks are behind the tunnel."""
    stage, node = lab.stage, lab.stage.empty_node
    web = lab.service("web", [stage.far], target=8080, type="NodePort")
    wait_who(node, web.vip(4), 80, "far")
    node.ns.run("ip address add 10.1.2.99/24 dev eth0")
    manifest = node.manifest()
    manifest["status"]["addresses"][0]["address"] = "10.1.2.99"
    try:
        lab.datastore.put(manifest)
        wait_until(lambda: ask(node, web.vip(4), 80).source == "10.1.2.99", 20, "the new address as the host's source")
        wait_who(stage.client, "10.1.2.99", web.node_port, "far")
        wait_until(lambda: ask(stage.client, "10.1.2.99", web.node_port).source == "10.1.2.99", 20,
                   "the new address as source of what is masqueraded")
    finally:
        lab.datastore.put(node.manifest())
        wait_until(lambda: ask(node, web.vip(4), 80).source == node.ip4, 20, "the old address as the host's source")
        node.ns.run("ip address del 10.1.2.99/24 dev eth0")
    wait_who(node, web.vip(4), 80, "far")
    lab.wait_ready()


def test_h3_an_address_that_is_lost_and_comes_back(lab):
    """IPv6 loses the route's source with the address, IPv4 keeps a dead one."""
    stage, node = lab.stage, lab.stage.empty_node
    web = lab.service("web", [stage.near], target=8080)
    for family, bits in ((4, 24), (6, 64)):
        wait_who(node, web.vip(family), 80, "near")
        gateway = node.ns.ip(f"-{family} route show default")[0]["gateway"]
        more = " nodad" if family == 6 else ""
        node.ns.run(f"ip -{family} address del {node.ip(family)}/{bits} dev eth0")
        node.ns.run(f"ip -{family} address add {node.ip(family)}/{bits} dev eth0{more}")
        node.ns.run(f"ip -{family} route replace default via {gateway} dev eth0")
        wait_until(lambda: ask(node, web.vip(family), 80).source == node.ip(family), 30, "the node's address as source")
        wait_who(stage.lonely, web.vip(family), 80, "near")
    lab.wait_ready()


def test_h4_a_vip_that_is_a_nodes_address_is_refused(lab):
    stage = lab.stage
    web = lab.service("thief", [stage.near], target=8080, type="LoadBalancer", lb_status=False,
                      externalIPs=[stage.far_node.ip4])
    web.status_ips = [{"ip": stage.far_node.ip6}, {"ip": web.lb(4)}]
    web.put()
    wait_who(stage.asker, web.lb(4), 80, "near")
    for address in (stage.far_node.ip4, stage.far_node.ip6):
        wait_until(lambda: address in problems(stage.node), 10, f"a report about {address}")
        stage.node.ns.reaches(address)
        check(stage.node.ns.device_to(address) != "lo", f"{address} is local on another node")
        check(("TCP", address, 80) not in stage.node.ipvs(), f"{address} is a virtual service")
    web.delete()
    wait_until(lambda: "thief" not in problems(stage.node), 10, "the reports to go")


def test_h4_a_node_that_comes_with_a_vips_address(lab):
    """The VIP was first: it is withdrawn, the node stays reachable."""
    stage = lab.stage
    web = lab.service("first", [stage.near], target=8080, type="LoadBalancer")
    vip = web.lb(4)
    wait_who(stage.asker, vip, 80, "near")
    guest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "guest"},
             "status": {"addresses": [{"type": "InternalIP", "address": vip}]}}
    lab.datastore.put(guest)
    try:
        wait_until(lambda: not [r for r in stage.node.routes(4, "table", "local") if r["dst"] == vip], 10,
                   "the local route of an address that is a node's now")
        wait_until(lambda: vip in problems(stage.node), 10, "a report")
        wait_who(stage.asker, web.lb(6), 80, "near")
    finally:
        lab.datastore.delete("Node", "guest")
    wait_who(stage.asker, vip, 80, "near")


def test_h6_leaving_endpoints_keep_their_connections(lab):
    """Terminating: weight 0. The next one's removal does not concern it."""
    stage = lab.stage
    web = lab.service("web", [stage.near, stage.far], target=8080)
    for family in lab.families:
        web.back(stage.near, stage.far)
        wait_chosen(stage.node, web, [stage.near, stage.far])
        with Conversation(stage.asker, web.vip(family), 80) as one, Conversation(stage.asker, web.vip(family), 80) as two:
            talks = {talk.ask().who: talk for talk in (one, two)}
            equal(set(talks), {"near", "far"}, "two connections in turn")
            web.back(terminating(stage.near), stage.far)
            wait_chosen(stage.node, web, [stage.far])
            equal(talks["near"].ask().who, "near", "a connection to the endpoint that leaves")
            web.back(terminating(stage.near), terminating(stage.far), stage.beside)
            wait_chosen(stage.node, web, [stage.beside])
            equal({talk.ask().who for talk in talks.values()}, {"near", "far"}, "connections to two that leave")
            web.back(terminating(stage.near), stage.beside)
            wait_virtual(stage.node, web.key(family), lambda v: len(v.dests) == 2, "the one that is gone to be removed")
            equal(talks["near"].ask().who, "near", "the connection that may go on")
            wait_until(lambda: not talks["far"].ask().who, 10, "the other connection to end")


def test_h11_a_firewall_that_drops_input_is_told(lab):
    node = lab.stage.beside_node
    wait_chosen(node, lab.service("web", [lab.stage.near], target=8080), [lab.stage.near])
    check("firewall" not in problems(node), problems(node))
    node.ns.run(["nft", "-f", "-"], stdin="table inet strict { chain in { type filter hook input priority 0; "
                "policy drop; accept; }; }\n")
    try:
        wait_until(lambda: "strict" in problems(node), 20, "a report that names the table")
    finally:
        node.ns.run("nft delete table inet strict")
    wait_until(lambda: "strict" not in problems(node), 20, "the report to go")
    for command in "iptables-legacy", "ip6tables-legacy":
        node.ns.run(f"{command} -A INPUT -j ACCEPT")
        check("firewall" not in problems(node), problems(node))
        node.ns.run(f"{command} -P INPUT DROP")
        try:
            wait_until(lambda: f"INPUT of {command} drops" in problems(node), 20, f"a report that names {command}")
        finally:
            node.ns.run(f"{command} -P INPUT ACCEPT")
            node.ns.run(f"{command} -F INPUT")
        wait_until(lambda: "firewall" not in problems(node), 20, "the report to go")


def test_two_services_with_one_address_and_port(lab):
    """The first has it, the other is told, and gets it when the first goes."""
    if lab.datastore.config()["kind"] == "kubernetes":
        return  # an API server gives no address twice
    stage = lab.stage
    one = lab.service("one", [stage.near], target=8080)
    wait_who(stage.asker, one.vip(4), 80, "near")
    two = lab.service("two", [stage.far], target=8080, clusterIPs=[one.vip(4), one.vip(6)])
    wait_until(lambda: "two" in problems(stage.node) and one.vip(4) in problems(stage.node), 20, "a report")
    equal(ask(stage.asker, one.vip(4), 80).who, "near", "who has it")
    one.delete()
    for family in lab.families:
        wait_who(stage.asker, one.vip(family), 80, "far")
    check(two.name not in problems(stage.node), problems(stage.node))


def test_cleanup_leaves_nothing():
    """A node's whole life with Services, and `weftd cleanup`: IPVS, VIPs, sets and settings are as before."""
    with Lab("racks", agents=False, services=True) as lab:
        node = lab["r1n1"]
        node.ns.run("ipvsadm -A -t 192.0.2.200:80 -s rr")  # somebody else's
        node.ns.run("ipvsadm --set 800 100 200")
        before = snapshot(node.ns)
        made = lab.service("web", [node], target=8080, type="LoadBalancer", externalTrafficPolicy="Local")
        node.start()
        wait_until(node.ready, 60, "the conflist")
        wait_virtual(node, made.key(4), bool, "the Service")
        wait_virtual(node, ("TCP", node.ip4, made.node_port), bool, "its node port")
        timeouts = lambda: node.ns.run("ipvsadm -Ln --timeout").split(":")[1].split()
        wait_until(lambda: timeouts() == ["86400", "120", "300"], 30, "weft's timeouts of IPVS")
        node.restart_weftd(kill=True)
        node.stop()
        said = node.cleanup()
        check("removed" in said and "restored the timeouts of IPVS" in said, f"cleanup says what it did: {said!r}")
        equal(timeouts(), ["800", "100", "200"], "timeouts of IPVS")
        check(not os.path.exists(f"{node.directory}/state/ipvs.timeouts"), "the record of timeouts is left")
        before.same(snapshot(node.ns), "everything on the node before and after weft's life")
