# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's tools for Services: servers, clients, the hammer, and what they say of a load balancer made by hand."""

import json

from weftlab import (Conversation, Endpoint, Hammer, LabError, Port, ask, check, equal, http, snapshot, spread,
                     terminating, wait_until, wait_who)

LAB = {"topology": "racks", "agents": False}
VIPS = {4: "10.96.0.1", 6: "fd00:96::1"}


def balance(node, backends, proto="t", port=80):
    """Local routes for the VIPs and IPVS with the backends at 8080."""
    for family, vip in VIPS.items():
        node.ns.run(f"ip -{family} route replace local {vip} dev lo src {node.ip(family)} table local")
        quoted = f"[{vip}]" if family == 6 else vip
        node.ns.run(f"ipvsadm -A -{proto} {quoted}:{port} -s rr")
        for backend in backends:
            address = f"[{backend.ip(family)}]" if family == 6 else backend.ip(family)
            node.ns.run(f"ipvsadm -a -{proto} {quoted}:{port} -r {address}:8080 -m")


def unbalance(node):
    node.ns.run("ipvsadm -C")
    for family, vip in VIPS.items():
        node.ns.run(f"ip -{family} route del local {vip} dev lo table local", check=False)


def test_servers_say_who_and_whom_they_see(lab):
    client, near, far = lab["client"], lab["r1n1"], lab["r2n1"]
    for proto in ("tcp", "udp", "sctp"):
        lab.serve(near, far, proto=proto)
        for family in lab.families:
            reply = ask(client, far.ip(family), 8080, proto)
            equal((reply.who, reply.source), ("r2n1", client.ip(family)), f"answer over {proto}, IPv{family}")
            equal(ask(client, far.ip(family), 8081, proto).outcome, "refused", f"a closed port, {proto}, IPv{family}")
    status, headers, body = http(client, near.ip4, 8080)
    equal((status, headers["connection"], body.split()[0]), (200, "close", b"r1n1"), "an HTTP answer")
    bound = ask(client, near.ip4, 8080, source=client.ip4, source_port=4567)
    equal((bound.source, bound.port), (client.ip4, 4567), "a bound source")
    near.ns.run("nft add table inet cut; add chain inet cut in { type filter hook input priority 0; }; "
                "add rule inet cut in tcp dport 8080 drop")
    try:
        equal(ask(client, near.ip4, 8080, timeout=0.5).outcome, "timeout", "a dropped connection")
        equal(ask(client, "192.0.2.77", 8080, timeout=5).outcome in ("unreachable", "timeout"), True, "no such host")
    finally:
        near.ns.run("nft delete table inet cut")


def test_a_balancer_made_by_hand(lab):
    node, backends = lab["r1n1"], [lab["r1n2"], lab["r2n1"]]
    node.ns.sysctl("ipv4/vs/conntrack", 1)
    before = snapshot(node.ns)
    balance(node, backends)
    balance(node, backends, proto="u")
    try:
        lab.serve(*backends)
        lab.serve(*backends, proto="udp")
        for family, vip in VIPS.items():
            for proto in ("tcp", "udp"):
                wait_who(node, vip, 80, {"r1n2", "r2n1"}, proto)
                equal(ask(node, vip, 80, proto).source, node.ip(family), "the source that a backend sees")
            virtual = node.ipvs()["TCP", vip, 80]
            equal((virtual.scheduler, virtual.persistent), ("rr", 0), "the virtual service")
            equal(virtual.weights, {(each.ip(family), 8080): 1 for each in backends}, "its destinations")
        equal(len(node.ipvs()), 4, "virtual services")
        equal(len(lab["r2n2"].ipvs()), 0, "virtual services of another namespace")
        node.ns.run(f"ipvsadm -e -t {VIPS[4]}:80 -r {backends[0].ip4}:8080 -m -w 0")
        equal(node.ipvs()["TCP", VIPS[4], 80].chosen, {backends[1].ip4}, "what gets new connections")
        equal(spread(node, VIPS[4], 80, count=3), {"r2n1": 3}, "who answers")
    finally:
        unbalance(node)
    before.same(snapshot(node.ns), "the node afterwards")


def test_sets_of_nftables_are_read(lab):
    ns = lab["r1n2"].ns
    ns.run(["nft", "-f", "-"], stdin="table inet weft { set one { type ipv4_addr; elements = { 10.0.0.1 }; }\n"
           "set net { type ipv6_addr; flags interval; elements = { fd00:96::/112 }; }\n"
           "set three { type ipv4_addr . inet_proto . inet_service; elements = { 10.0.0.1 . tcp . 80 }; }\n"
           "map marks { type ipv4_addr . inet_proto . inet_service : mark; elements = { 10.0.0.1 . udp . 53 : 5 }; }\n}\n")
    try:
        node = lab["r1n2"]
        equal(node.nft_set("one"), {"10.0.0.1"}, "addresses")
        equal(node.nft_set("net"), {"fd00:96::/112"}, "prefixes")
        equal(node.nft_set("three"), {("10.0.0.1", "tcp", 80)}, "concatenations")
        equal({(key, value) for key, value in node.nft_set("marks")}, {(("10.0.0.1", "udp", 53), 5)}, "a map")
    finally:
        ns.run("nft delete table inet weft")


def test_the_hammer_counts_failures_and_only_those(lab):
    client, node = lab["client"], lab["r1n1"]
    server = lab.serve(node)
    with Hammer([client], node.ip4, 8080, keep=1, new=1) as hammer:
        hammer.wait_answered(20)
    hammer.result.none_failed("a server that stays")
    equal(set(hammer.result.who), {"r1n1"}, "who answered")
    with Hammer([client], node.ip4, 8080, keep=1, new=0) as hammer:
        check(server.connections == 1, f"one kept connection, there are {server.connections}")
        server.close()
        wait_until(lambda: hammer.failed, 10, "failures of a server that is gone")
    try:
        hammer.result.none_failed("a server that is gone")
    except LabError as error:
        check("failed" in str(error), str(error))
    else:
        raise LabError("a server's death went unnoticed")


def test_a_drained_server_loses_nothing(lab):
    client, node, other = lab["client"], lab["r1n1"], lab["r1n2"]
    old = lab.serve(node)
    balance(node, [node, other])
    lab.serve(other)
    node.ns.sysctl("ipv4/vs/conntrack", 1)
    try:
        for vip in VIPS.values():
            wait_who(node, vip, 80, {"r1n1", "r1n2"})
        with Hammer([node], VIPS[4], 80, keep=2, new=1) as hammer:
            node.ns.run(f"ipvsadm -e -t {VIPS[4]}:80 -r {node.ip4}:8080 -m -w 0")
            old.drain()
            hammer.wait_answered(20)
        hammer.result.none_failed("an orderly end")
        equal(ask(client, node.ip4, 8080).outcome, "refused", "the port of the server that ended")
    finally:
        unbalance(node)


def test_a_conversation_stays_with_one_connection(lab):
    client, node = lab["client"], lab["r2n2"]
    server = lab.serve(node)
    with Conversation(client, node.ip6, 8080) as talk:
        first, second = talk.ask(), talk.ask()
        equal(first, second, "the source of two questions on one connection")
        equal(server.connections, 1, "connections of the server")
        server.close()
        wait_until(lambda: talk.ask().outcome == "reset", 5, "a reset connection")


def test_manifests_of_services(lab):
    node, other = lab["r1n1"], lab["r2n1"]
    made = lab.service("web", [Endpoint(node, hint_zones=["rack1"]), terminating(other)], type="LoadBalancer",
                       ports=[Port(80, 8080, name="http"), Port(53, proto="UDP", name="dns")],
                       externalTrafficPolicy="Local")
    manifest = made.manifest()
    equal(manifest["spec"]["clusterIPs"], [made.vip(4), made.vip(6)], "ClusterIPs")
    equal([each["ip"] for each in manifest["status"]["loadBalancer"]["ingress"]], [made.lb(4), made.lb(6)], "ingress")
    check(manifest["spec"]["healthCheckNodePort"] and made.node_port, "node ports")
    four = made.slices()[0]
    equal(four["endpoints"][0], {"addresses": [node.ip4], "conditions": {"ready": True}, "nodeName": "r1n1",
                                 "hints": {"forZones": [{"name": "rack1"}]}}, "an endpoint")
    equal(four["endpoints"][1]["conditions"], {"ready": False, "serving": True, "terminating": True}, "a leaving one")
    with open(f"{lab.datastore.path}/endpointslice-web-ipv4.yaml", encoding="utf-8") as file:
        check(json.dumps(node.ip4) in file.read(), "the slice is in the datastore")
    made.set(type="ClusterIP", externalTrafficPolicy=None)
    check("nodePort" not in json.dumps(made.manifest()), "a ClusterIP Service with node ports")
    made.delete()
    lab.heal()
    equal(lab.services, [], "Services afterwards")
