# SPDX-License-Identifier: GPL-2.0-or-later
"""Failover is a metric: without the fabric's route traffic takes IPIP, and comes back, and connections live on."""

from weftlab import Lab, LossProbe, TcpStream, check, equal, wait_until

LAB = {"topology": "racks", "bfd_ms": 2000}  # slow: no session ends by itself because the machine is busy


def uses(node, family, address):
    return node.ns.device_to(address)


def test_session_loss_moves_traffic_into_the_tunnel_and_back(lab):
    """Both sessions of one node end: its packets leave by IPIP at once, and a TCP stream notices nothing."""
    node, peer = lab["r1n1"], lab["r2n1"]
    a, b = node.pod(), peer.pod()
    lab.wait_blocks()
    for family, tunnel in ((4, "weft.ipip"), (6, "weft.sit")):
        wait_until(lambda: uses(node, family, b.ip(family)) == "eth0", 20, "the fabric's route")
        with TcpStream(a, b, family=family) as stream, TcpStream(b, a, family=family) as back:
            with LossProbe(a, b, family=family) as probe:
                probe.wait_flowing()
                lab["tor1"].disable("r1n1")
                wait_until(lambda: uses(node, family, b.ip(family)) == tunnel, 20, f"{tunnel} to take over")
                wait_until(lambda: uses(peer, family, a.ip(family)) == tunnel, 20, f"{tunnel} on the far node")
                sent = node.ns.packets(tunnel)[1]
                stream.wait_progress()
                back.wait_progress()
                check(node.ns.packets(tunnel)[1] > sent, f"no packet of the stream went through {tunnel}")
            with LossProbe(a, b, family=family) as home:
                home.wait_flowing()
                lab["tor1"].enable("r1n1")
                wait_until(lambda: uses(node, family, b.ip(family)) == "eth0", 30, "the fabric's route to be back")
                wait_until(lambda: uses(peer, family, a.ip(family)) == "eth0", 30, "the far node's fabric route")
                stream.wait_progress()
                back.wait_progress()
                home.wait_flowing()
        check(probe.result.longest < 1.0, f"IPv{family} interruption by the loss of a session: {probe.result}")
        home.result.none_lost(f"IPv{family}, return to the fabric")


def test_full_packets_fit_the_tunnel(lab):
    node = lab["r1n1"]
    a, b = node.pod(), lab["r2n1"].pod()
    lab["tor1"].disable("r1n1")
    wait_until(lambda: uses(node, 4, b.ip4) == "weft.ipip", 20, "weft.ipip to take over")
    wait_until(lambda: a.ns.ping(b.ip4, 2, size=1480 - 28, dont_fragment=True), 10, "a full packet through weft.ipip")
    wait_until(lambda: a.ns.ping(b.ip6, 2, size=1480 - 48, dont_fragment=True), 10, "a full packet through weft.sit")


def test_a_node_reaches_pods_through_the_tunnel(lab):
    """Packets of the host itself get the tunnel's address as source: the fabric would drop nothing it knows."""
    node = lab["r1n1"]
    b = lab["r2n1"].pod()
    lab["tor1"].disable("r1n1")
    for family, tunnel in ((4, "weft.ipip"), (6, "weft.sit")):
        wait_until(lambda: uses(node, family, b.ip(family)) == tunnel, 20, f"{tunnel} to take over")
        wait_until(lambda: node.ns.ping(b.ip(family), 1), 10, f"the node to reach a pod through {tunnel}")


def test_encapsulated_packets_of_strangers_are_dropped(lab):
    """The client is no node: what it wraps in IPIP for a pod does not arrive; a node's does."""
    node, client = lab["r1n1"], lab["client"]
    pod = node.pod()
    client.ns.run("modprobe ipip", check=False)
    client.ns.run(f"ip link add forged type ipip local {client.ip4} remote {node.ip4} ttl 64")
    try:
        client.ns.run("ip addr add 172.31.0.1/32 dev forged")
        client.ns.run("ip link set forged up")
        client.ns.run(f"ip route add {pod.ip4}/32 dev forged src 172.31.0.1")
        before = node.ns.packets("weft.ipip")[0]
        check(not client.ns.ping(pod.ip4, 2), "a forged packet was answered")
        equal(node.ns.packets("weft.ipip")[0], before, "packets that came out of weft.ipip")
    finally:
        client.ns.run("ip link del forged")


def test_bird_killed_and_restarted(lab):
    """BIRD dies: its routes stay, it comes back a second later; the tunnel covers what it removes when it starts."""
    node = lab["r1n1"]
    a, b = node.pod(), lab["r2n1"].pod()
    lab.wait_blocks()
    with TcpStream(a, b) as stream, LossProbe(a, b) as probe:
        probe.wait_flowing()
        starts = node.birdd.starts
        node.birdd.kill()
        wait_until(lambda: node.birdd.starts > starts, 20, "BIRD to be started again")
        lab.wait_ready()
        stream.wait_progress()
    check(probe.result.longest < 3.0, f"BIRD killed: {probe.result}")


def test_pool_modes():
    """Never has no tunnel routes, Always uses only the tunnel, CrossSubnet the tunnel between racks alone."""
    with Lab("racks", ipip="Never") as lab:
        node = lab["r1n1"]
        lab.wait_blocks()
        far, near = sorted(lab["r2n1"].blocks(4))[0], sorted(lab["r1n2"].blocks(4))[0]

        def mine(block):
            return [(route.get("metric"), route.get("dev")) for route in node.routes(4, block)
                    if route.get("protocol") == "weft"]

        equal(mine(far), [], "weft's routes to another rack, mode Never")
        equal(mine(near), [(16, "eth0")], "weft's routes to the own rack, mode Never")
        for mode, far_wanted, near_wanted in (
                ("Fallback", [(4096, "weft.ipip")], [(16, "eth0")]),
                ("CrossSubnet", [(16, "weft.ipip")], [(16, "eth0")]),
                ("Always", [(16, "weft.ipip")], [(16, "weft.ipip")])):
            lab.datastore.put({"apiVersion": "weft.dev/v1alpha1", "kind": "IPPool", "metadata": {"name": "pods-v4"},
                               "spec": {"cidr": "10.244.0.0/16", "ipip": mode}})
            wait_until(lambda: mine(far) == far_wanted, 10, f"mode {mode}: routes to another rack {far_wanted}")
            wait_until(lambda: mine(near) == near_wanted, 10, f"mode {mode}: routes to the own rack {near_wanted}")


def test_graceful_profile_loses_nothing_when_bird_dies():
    with Lab("racks", profile="graceful") as lab:
        a, b = lab["r1n1"].pod(), lab["r2n1"].pod()
        lab.wait_blocks()
        with TcpStream(a, b), LossProbe(a, b) as probe:
            probe.wait_flowing()
            starts = lab["r1n1"].birdd.starts
            lab["r1n1"].birdd.kill()
            wait_until(lambda: lab["r1n1"].birdd.starts > starts, 20, "BIRD to be started again")
            lab.wait_ready()
        probe.result.none_lost("BIRD killed and restarted with graceful restart")


def test_stale_routes_of_a_dead_bird_are_flushed():
    with Lab("racks") as lab:
        node = lab["r1n1"]
        b = lab["r2n1"].pod()
        lab.wait_blocks()
        node.weftd.stop()
        node.write_config(bird={**node.config()["bird"], "staleRoutes": "2s"})
        node.weftd.start()
        node.wait_answering()
        wait_until(lambda: uses(node, 4, b.ip4) == "eth0", 20, "the fabric's route")
        node.birdd.hold()
        wait_until(lambda: uses(node, 4, b.ip4) == "weft.ipip", 20, "the dead BIRD's routes to be removed")
        equal([r for r in node.routes(4) if r.get("protocol") == "bird"], [], "routes of BIRD")
        wait_until(lambda: node.ns.ping(b.ip4, 1), 10, "the pod through the tunnel")
