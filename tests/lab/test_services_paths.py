# SPDX-License-Identifier: GPL-2.0-or-later
"""Sources, node ports and affinity: S21 to S24, H2, H8, H10, H12."""

import json
import socket

from stage import Stage, fence, wait_chosen, wait_routed, wait_virtual
from weftlab import Conversation, Port, ask, check, equal, terminating, wait_until, wait_who
from weftlab.traffic import client_socket

LAB = {"topology": "racks", "services": True, "bfd_ms": 2000}
SHARED = True


def setup(lab):
    lab.stage = Stage(lab, ("tcp", "udp"))


def sources(asker, address, port, names, proto="tcp"):
    """Name -> the sources that this backend saw; asks until all have answered."""
    seen = {}

    def all_asked():
        reply = ask(asker, address, port, proto)
        if reply.who:
            seen.setdefault(reply.who, set()).add(reply.source)
        return set(seen) >= set(names)
    wait_until(all_asked, 20, f"answers of {sorted(names)} to {asker.name}; {seen}", 0.01)
    return seen


def with_services(node, **more):
    """The node's weftd anew, with more keys in `services`."""
    node.write_config(services={**node.lab.weft_options["services"], **more})
    node.restart_weftd()
    node.lab.wait_ready()


def test_s21_sources_of_cluster_ips(lab):
    """Pods keep theirs, wherever the backend is; the node's is its address."""
    stage = lab.stage
    web = lab.service("web", stage.backends, target=8080)
    datagrams = lab.service("datagrams", stage.backends, target=8080, proto="UDP")
    for family in lab.families:
        for made, proto in ((web, "tcp"), (datagrams, "udp")):
            wait_who(stage.asker, made.vip(family), 80, stage.names, proto)
            for asker in (stage.asker, stage.lonely, stage.node, stage.empty_node):
                for name, seen in sources(asker, made.vip(family), 80, stage.names, proto).items():
                    equal(seen, {asker.ip(family)}, f"source of {asker.name} that {name} sees over {proto}")


def test_s21_hairpin(lab):
    """A pod that reaches itself through a VIP must see another source; when it reaches others it keeps its own."""
    stage = lab.stage
    web = lab.service("web", [stage.near, stage.far], target=8080, type="LoadBalancer")
    for family in lab.families:
        for address in (web.vip(family), web.lb(family)):
            wait_who(stage.near, address, 80, {"near", "far"})
            seen = sources(stage.near, address, 80, {"near", "far"})
            equal(seen["near"], {stage.node.ip(family)}, f"source of a pod to itself at {address}")
        equal(sources(stage.near, web.vip(family), 80, {"far"})["far"], {stage.near.ip(family)}, "source at another pod")


def test_s21_from_outside_is_masqueraded(lab):
    """Node port, LB and external IP of policy Cluster: the node's address, also when the backend is on that node.
    H2: the translation is judged by the original destination."""
    stage = lab.stage
    web = lab.service("web", [stage.near, stage.far], target=8080, type="LoadBalancer")
    nodes = {node.ip(f) for node in lab.nodes.values() for f in lab.families}
    wait_routed(lab, web.lb(4), web.lb(6))
    for family in lab.families:
        wait_who(stage.client, stage.node.ip(family), web.node_port, {"near", "far"})
        for name, seen in sources(stage.client, stage.node.ip(family), web.node_port, {"near", "far"}).items():
            equal(seen, {stage.node.ip(family)}, f"source that {name} sees")
        for name, seen in sources(stage.client, web.lb(family), 80, {"near", "far"}).items():
            check(seen <= nodes, f"source that {name} sees at the LB IP: {seen}")
        straight = ask(stage.client, stage.near.ip(family), 8080)
        equal(straight.source, stage.client.ip(family), "source without a Service")


def test_s21_foreigners_at_a_cluster_ip_are_masqueraded(lab):
    """Somebody outside routes to a ClusterIP: neither a pod nor this node."""
    stage = lab.stage
    web = lab.service("web", [stage.near, stage.far], target=8080)
    for family in lab.families:
        vip, gateway = web.vip(family), stage.node.ip(family)
        lab["tor1"].ns.run(f"ip -{family} route add {vip} via {gateway}")
        try:
            wait_who(lab["tor1"], vip, 80, {"near", "far"})
            for name, seen in sources(lab["tor1"], vip, 80, {"near", "far"}).items():
                equal(seen, {stage.node.ip(family)}, f"source that {name} sees")
        finally:
            lab["tor1"].ns.run(f"ip -{family} route del {vip} via {gateway}")


def test_h8_marks_of_endpoints_and_sources_do_not_meet(lab):
    """LoadBalancer IP with policy Local, from inside: chosen by mark. The hairpin's source is changed nevertheless, others'
    are not, and a mark that somebody else has put on the packet changes nothing."""
    stage = lab.stage
    web = lab.service("web", [stage.near, stage.far], target=8080, type="LoadBalancer", externalTrafficPolicy="Local")
    for family in lab.families:
        vip = web.lb(family)
        wait_who(stage.near, vip, 80, {"near", "far"})
        seen = sources(stage.near, vip, 80, {"near", "far"})
        equal(seen, {"near": {stage.node.ip(family)}, "far": {stage.near.ip(family)}}, "sources of a backend that asks")
        for asker in (stage.lonely, stage.empty_node):
            wait_who(asker, vip, 80, {"near", "far"})
            for mark in (1, 0x4000, 0x7f000001):
                with client_socket(asker, vip, "tcp") as made:
                    made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
                    made.settimeout(5)
                    made.connect((vip, 80))
                    made.sendall(b"who\n")
                    who, source = made.recv(2048).decode().split()[:2]
                    check(who in ("near", "far"), who)
                    equal(source, asker.ip(family), f"source of {asker.name} with mark {mark:#x}")


def counted(node):
    """Named counters of the table `look`."""
    found = json.loads(node.ns.run("nft -j list counters table inet look"))["nftables"]
    return {each["counter"]["name"]: each["counter"]["packets"] for each in found if "counter" in each}


def test_h10_calls_of_a_vip_pass_no_forward_hook(lab):
    """Input, IPVS, output, postrouting: who judges there sees the endpoint, and the VIP as original destination.
    H2: IPVS leaves no `ct status dnat`."""
    stage, node = lab.stage, lab.stage.node
    web = lab.service("web", [stage.far], target=8080)
    for family, word in ((4, "ip"), (6, "ip6")):
        vip, far = web.vip(family), stage.far.ip(family)
        wait_who(stage.asker, vip, 80, "far")
        to_vip = f"ct direction original ct original {word} daddr {vip}"
        node.ns.run(["nft", "-f", "-"], stdin=f"""table inet look {{
            counter forwarded {{ }}; counter judged {{ }}; counter translated {{ }}
            chain forward {{ type filter hook forward priority 10; {to_vip} counter name forwarded; }}
            chain post {{ type filter hook postrouting priority 90;
                {to_vip} {word} daddr {far} counter name judged; {to_vip} ct status dnat counter name translated; }}
        }}""")
        try:
            equal(ask(stage.asker, vip, 80).who, "far", "who answers")
            seen = counted(node)
            check(seen["judged"] > 2, f"packets to the endpoint in postrouting: {seen}")
            equal((seen["forwarded"], seen["translated"]), (0, 0), "packets in forward, packets with ct status dnat")
        finally:
            node.ns.run("nft delete table inet look")


def test_s21_masquerade_all(lab):
    stage = lab.stage
    web = lab.service("web", [stage.near, stage.far], target=8080)
    wait_chosen(stage.node, web, [stage.near, stage.far])
    with_services(stage.node, masqueradeAll=True)
    try:
        for family in lab.families:
            wait_until(lambda: ask(stage.asker, web.vip(family), 80).source == stage.node.ip(family), 20,
                       "a pod's source to be the node's")
            for name, seen in sources(stage.asker, web.vip(family), 80, {"near", "far"}).items():
                equal(seen, {stage.node.ip(family)}, f"source that {name} sees")
    finally:
        with_services(stage.node)
    for family in lab.families:
        wait_until(lambda: ask(stage.asker, web.vip(family), 80).source == stage.asker.ip(family), 20, "the pod's source")


def test_s21_several_clients_with_one_source_port(lab):
    """Fully random ports: two clients with the same port that are masqueraded to one address do not collide."""
    stage = lab.stage
    web = lab.service("web", [stage.far], target=8080, proto="UDP", type="NodePort")
    wait_who(stage.client, stage.node.ip4, web.node_port, "far", "udp")
    for family in lab.families:
        address = stage.node.ip(family)
        with Conversation(stage.client, address, web.node_port, "udp", source_port=5353) as one, \
                Conversation(lab["tor2"], address, web.node_port, "udp", source_port=5353) as two:
            for _ in range(3):
                first, second = one.ask(), two.ask()
                equal((first.who, second.who), ("far", "far"), "answers")
                check(first.port != second.port, f"both were given port {first.port}")


def test_s22_node_ports_on_all_addresses_of_the_node(lab):
    """Addresses that come and go are followed. Whoever asks, and also without a backend on the node."""
    stage = lab.stage
    web = lab.service("web", [stage.near, stage.far], ports=[Port(80, 8080, name="a"), Port(53, 8080, "UDP", "b")],
                      type="NodePort")
    extra = {4: "10.1.2.77", 6: "fd00:1:2::77"}
    empty = stage.empty_node
    for family in lab.families:
        for asker in (stage.client, stage.far_node, empty, stage.lonely, stage.asker):
            wait_who(asker, empty.ip(family), web.ports[0].node, {"near", "far"})
            wait_who(asker, empty.ip(family), web.ports[1].node, {"near", "far"}, "udp")
        bits = 24 if family == 4 else 64
        empty.ns.run(f"ip -{family} address add {extra[family]}/{bits} dev eth0" + (" nodad" if family == 6 else ""))
        try:
            wait_who(stage.client, extra[family], web.ports[0].node, {"near", "far"})
            wait_who(stage.client, empty.ip(family), web.ports[0].node, {"near", "far"})
        finally:
            empty.ns.run(f"ip -{family} address del {extra[family]}/{bits} dev eth0")
        wait_virtual(empty, ("TCP", extra[family], web.ports[0].node), lambda v: v is None, "the old address to be left")


def test_s22_node_port_addresses(lab):
    stage, node = lab.stage, lab.stage.beside_node
    web = lab.service("web", [stage.near], target=8080, type="NodePort")
    node.ns.ip_batch(["address add 10.1.1.88/24 dev eth0", "address add fd00:1:1::88/64 dev eth0 nodad"])
    second = {4: "10.1.1.88", 6: "fd00:1:1::88"}
    try:
        for words, main, more in (("primary", True, False), (["10.1.1.88/32", "fd00:1:1::88/128"], False, True)):
            with_services(node, nodePortAddresses=words)
            for family in lab.families:
                for address, expected in ((node.ip(family), main), (second[family], more)):
                    wait_virtual(node, ("TCP", address, web.node_port), lambda v: bool(v) == expected,
                                 f"nodePortAddresses {words}: {address}")
                    wait_who(stage.client, address, web.node_port, "near" if expected else "refused")
    finally:
        node.ns.ip_batch(["address del 10.1.1.88/24 dev eth0", "address del fd00:1:1::88/64 dev eth0"])
        with_services(node)


def test_s23_no_node_port(lab):
    stage = lab.stage
    web = lab.service("web", [stage.near], target=8080, type="LoadBalancer", allocateLoadBalancerNodePorts=False)
    for family in lab.families:
        wait_who(stage.asker, web.lb(family), 80, "near")
    addresses = {node.ip(f) for node in lab.nodes.values() for f in lab.families}
    for node in lab.nodes.values():  # those of the former test's Service go soon
        wait_until(lambda: not [key for key in node.ipvs() if key[1] in addresses], 20, f"no node port on {node.name}")


def test_s24_affinity(lab):
    """Per client and Service port, from outside and inside; off and on changes nothing else."""
    stage = lab.stage
    web = lab.service("web", stage.backends, target=8080, type="NodePort", sessionAffinity="ClientIP")
    for family in lab.families:
        for node in lab.nodes.values():
            wait_virtual(node, web.key(family), lambda v: v and v.persistent == 10800, "the default timeout")
        for asker, address, port in ((stage.asker, web.vip(family), 80), (stage.node, web.vip(family), 80),
                                     (stage.client, stage.empty_node.ip(family), web.node_port)):
            first = ask(asker, address, port).who
            equal({ask(asker, address, port).text for _ in range(6)}, {first}, f"who answers {asker.name} at {address}")
    web.set(sessionAffinityConfig={"clientIP": {"timeoutSeconds": 77}})
    wait_virtual(stage.node, web.key(4), lambda v: v.persistent == 77, "another timeout")
    with Conversation(stage.asker, web.vip(4), 80) as talk:
        before = talk.ask()
        web.set(sessionAffinity=None, sessionAffinityConfig=None)
        for family in lab.families:
            wait_who(stage.asker, web.vip(family), 80, stage.names, per=4)
        equal(talk.ask(), before, "an established connection")
        web.set(sessionAffinity="ClientIP")
        wait_virtual(stage.node, web.key(4), lambda v: v.persistent == 10800, "affinity again")
        equal(talk.ask(), before, "an established connection")


def test_s24_affinity_ends_with_its_endpoint(lab):
    """H12: also when it only leaves: new connections go elsewhere, the old one goes on."""
    stage = lab.stage
    pods = {pod.name: pod for pod in stage.backends}
    web = lab.service("web", stage.backends, target=8080, sessionAffinity="ClientIP")
    for family in lab.families:
        web.back(*stage.backends)
        wait_chosen(stage.node, web, stage.backends)
        with Conversation(stage.asker, web.vip(family), 80) as talk:
            first = talk.ask().who
            equal(ask(stage.asker, web.vip(family), 80).who, first, "a second connection")
            rest = [pod for pod in stage.backends if pod.name != first]
            web.back(*rest, terminating(pods[first]))
            wait_chosen(stage.node, web, rest)
            check(ask(stage.asker, web.vip(family), 80).who in {pod.name for pod in rest},
                  "a new connection went to the endpoint that leaves")
            equal(talk.ask().who, first, "the connection of before")
        web.back(*rest)
        wait_chosen(stage.node, web, rest)
        check(ask(stage.asker, web.vip(family), 80).who in {pod.name for pod in rest}, "no answer")


def test_s24_affinity_is_per_port(lab):
    stage = lab.stage
    lab.serve(*stage.backends, port=9090)
    ports = [Port(80, 8080, name="a"), Port(81, 9090, name="b")]
    web = lab.service("web", stage.backends, ports=ports, sessionAffinity="ClientIP")
    wait_chosen(stage.node, web, stage.backends)
    wait_chosen(stage.node, web, stage.backends, index=1)
    for port in (80, 81):
        first = ask(stage.asker, web.vip(4), port).who
        equal({ask(stage.asker, web.vip(4), port).text for _ in range(5)}, {first}, f"who answers at port {port}")


def test_schedulers_by_annotation(lab):
    stage = lab.stage
    made = {name: lab.service(f"by-{name}", stage.backends, target=8080, annotations={"weft.dev/scheduler": name})
            for name in ("rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "mh")}
    for name, web in made.items():
        wait_virtual(stage.node, web.key(6), lambda v: v and v.scheduler == name, f"scheduler {name}")
        wait_until(lambda: ask(stage.asker, web.vip(6), 80).who, 10, f"an answer with {name}")
    web = made["rr"]
    web.annotations["weft.dev/scheduler"] = "lc"
    web.put()
    wait_virtual(stage.node, web.key(6), lambda v: v.scheduler == "lc", "another scheduler")
    fence(lab, stage)
