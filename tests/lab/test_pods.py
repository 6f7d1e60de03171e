# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job: pods reach pods, nodes and outsiders, across racks, in both families, with their own addresses."""

from weftlab import Lab, LabError, check, equal, seen_source, wait_until

LAB = {"topology": "racks"}


def test_pods_reach_pods_with_their_own_addresses(lab):
    a = lab["r1n1"].pod()
    for b in (lab["r1n1"].pod(), lab["r1n2"].pod(), lab["r2n1"].pod()):
        for family in (4, 6):
            equal(seen_source(b.ns, a.ns, b.ip(family)), a.ip(family), f"source of {a.name} seen by {b.name}")
            equal(seen_source(a.ns, b.ns, a.ip(family)), b.ip(family), f"source of {b.name} seen by {a.name}")


def test_every_node_and_an_outsider_reach_a_pod(lab):
    pod = lab["r2n2"].pod()
    for family in (4, 6):
        for node in lab.nodes.values():
            node.ns.reaches(pod.ip(family))
        equal(seen_source(pod.ns, lab["client"].ns, pod.ip(family)), lab["client"].ip(family), "source of the client")


def test_pod_reaches_nodes_and_the_outsider(lab):
    pod = lab["r1n1"].pod()
    for family in (4, 6):
        pod.ns.reaches(lab["r1n1"].ip(family))
        pod.ns.reaches(lab["r2n2"].ip(family))
        equal(seen_source(lab["client"].ns, pod.ns, lab["client"].ip(family)), pod.ip(family), "source of the pod")


def test_full_packets_fit_the_pods_mtu(lab):
    """The MTU leaves room for the tunnel: a full packet passes natively and through IPIP without fragments."""
    a, b = lab["r1n1"].pod(), lab["r2n1"].pod()
    mtu = a.ns.ip("link show eth0")[0]["mtu"]
    equal(mtu, 1480, "MTU of a pod")
    check(a.ns.ping(b.ip4, 3, size=mtu - 28, dont_fragment=True), "a full IPv4 packet is lost")
    check(a.ns.ping(b.ip6, 3, size=mtu - 48, dont_fragment=True), "a full IPv6 packet is lost")


def test_tors_have_exactly_the_blocks(lab):
    """No pod address, no foreign block, nothing from the node's other routes."""
    lab["r1n1"].pod()
    announced = lab.wait_blocks()
    for family in (4, 6):
        for tor, members in (("tor1", ("r1n1", "r1n2")), ("tor2", ("r2n1", "r2n2"))):
            for node in members:
                wait_until(lambda: lab[tor].prefixes(family, node) == lab[node].blocks(family), 10,
                           f"{tor} to have from {node} just its blocks {lab[node].blocks(family)}")
        claims = {name.rsplit("-", 1)[0] for name in lab.datastore.claims()}
        equal({block.split("/")[0].replace(":", "-") for block in announced[family]},
              {name for name in claims if ("." in name) == (family == 4)}, f"announced IPv{family} blocks and claims")


def test_routes_read_as_documented(lab):
    """What an operator sees: metrics and protocols of each kind of route."""
    node, neighbour, far = lab["r1n1"], lab["r1n2"], lab["r2n1"]
    lab.wait_blocks()
    for family in (4, 6):
        def has(block, **want):
            return lambda: any(all(route.get(key) == value for key, value in want.items())
                               for route in node.routes(family, block))
        own, near, away = (sorted(n.blocks(family))[0] for n in (node, neighbour, far))
        tunnel = "weft.ipip" if family == 4 else "weft.sit"
        wait_until(has(own, type="blackhole", metric=8192, protocol="weft"), 10, f"the blackhole for {own}")
        wait_until(has(near, metric=16, protocol="weft", dev="eth0", gateway=neighbour.ip(family)), 10,
                   f"the direct route to {near}")
        wait_until(has(away, metric=32, protocol="bird"), 20, f"the fabric's route to {away}")
        wait_until(has(away, metric=4096, protocol="weft", dev=tunnel), 10, f"the fallback route to {away}")


def test_with_frr_as_a_tor():
    with Lab("racks-frr") as lab:
        a, b = lab["r1n1"].pod(), lab["r2n1"].pod()
        lab.wait_blocks()
        for family in (4, 6):
            equal(seen_source(b.ns, a.ns, b.ip(family)), a.ip(family), "source across the racks")
            wait_until(lambda: lab["tor2"].prefixes(family, "r2n1") == lab["r2n1"].blocks(family), 20,
                       "FRR to have just the node's blocks")


def test_two_tors_each_and_no_shared_link():
    """Node addresses on loopbacks, /31 links, ECMP over both ToRs; one ToR goes, nothing stops."""
    with Lab("two-tors") as lab:
        a, b = lab["r1n1"].pod(), lab["r2n1"].pod()
        lab.wait_blocks()
        for family in (4, 6):
            equal(seen_source(b.ns, a.ns, b.ip(family)), a.ip(family), "source across the racks")
            block = sorted(lab["r2n1"].blocks(family))[0]
            wait_until(lambda: any(len(route.get("nexthops", [])) == 2 for route in lab["r1n1"].routes(family, block)),
                       20, f"two next hops for {block}")
        lab.link("tor1a", "r1n1").cut()
        for family in (4, 6):
            wait_until(lambda: a.ns.ping(b.ip(family), 1), 10, "the other ToR to carry all")


def test_ipv6_only():
    with Lab("ipv6-only") as lab:
        pods = [node.pod() for node in lab.nodes.values()]
        lab.wait_blocks()
        for pod in pods[1:]:
            equal(seen_source(pod.ns, pods[0].ns, pod.ip6), pods[0].ip6, "source of an IPv6-only pod")
        try:
            pods[0].ip4
        except LabError:
            return
        raise LabError("a pod of an IPv6-only cluster has an IPv4 address")


def test_with_md5_passwords():
    with Lab("racks", password="c0rrect horse") as lab:
        a, b = lab["r1n1"].pod(), lab["r2n1"].pod()
        lab.wait_blocks()
        a.ns.reaches(b.ip4)
        with open(lab["r1n1"].bird_config, encoding="utf-8") as file:
            check("c0rrect" not in file.read(), "the password stands in bird.conf")
        for name in ("weftd.log", "bird.log"):
            with open(f"{lab['r1n1'].directory}/{name}", encoding="utf-8", errors="replace") as file:
                check("c0rrect" not in file.read(), f"the password stands in {name}")
