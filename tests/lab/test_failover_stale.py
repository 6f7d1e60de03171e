# SPDX-License-Identifier: GPL-2.0-or-later
"""Routes kept by graceful restart never pin traffic to a dead path: BFD and a link's carrier end them, on the node and on ToRs.

The BIRD ToRs announce graceful restart of two minutes: where a route goes within one minute, it was not the restart timer."""

from weftlab import Lab, check, equal, seen_source, wait_until

GRACEFUL = 120
LAB = {"topology": "racks-frr", "nonstop": GRACEFUL}
SOON = 40  # seconds; far below GRACEFUL
NO_BGP = """table inet nobgp {
  chain in {
    type filter hook input priority 0;
    tcp dport 179 ip saddr 10.1.1.0/24 reject with tcp reset
    tcp dport 179 ip6 saddr fd00:1:1::/64 reject with tcp reset
  }
}"""


def from_bird(node, family):
    """Destinations of BIRD's routes in table main."""
    return {route["dst"] for route in node.routes(family) if route.get("protocol") == "bird"}


def has_routes(node):
    return bool(from_bird(node, 4)) and bool(from_bird(node, 6))


def has_none(node):
    return not from_bird(node, 4) and not from_bird(node, 6)


def up(node):
    return sum(state == "Established" for state in node.bird.protocols("BGP").values())


def expect_tunnel(node, pod):
    for family, tunnel in ((4, "weft.ipip"), (6, "weft.sit")):
        equal(node.ns.device_to(pod.ip(family)), tunnel, f"{node.name}'s way to {pod.name}")


def test_bfd_ends_the_stale_routes_of_a_restarting_tor(lab):
    """BGP of tor1 is gone, as when only its daemon restarts: the node keeps the routes, which are good. Then the link is silent,
    BFD says so, and they go. The same when BFD dies with the daemon."""
    node, tor, pod = lab["r1n1"], lab["tor1"], lab["r2n1"].pod()
    lab.wait_blocks()
    wait_until(lambda: has_routes(node), 20, "routes of BIRD")
    tor.ns.run(["nft", "-f", "-"], stdin=NO_BGP)
    try:
        wait_until(lambda: up(node) == 0, 20, "the sessions to be reset")
        check(has_routes(node), "the node does not wait for a restarting ToR")
        check("graceful restart active" in node.bird.command("show protocols all"), "BIRD does not say that it waits")
        equal(node.ns.device_to(pod.ip4), "eth0", "the way while the ToR restarts")
        lab.link("tor1", "r1n1").silence()
        wait_until(lambda: has_none(node), SOON, "BFD to end the stale routes")
        expect_tunnel(node, pod)
    finally:
        tor.ns.run("nft delete table inet nobgp")
        lab.link("tor1", "r1n1").repair()
    lab.wait_ready()
    wait_until(lambda: has_routes(node), 30, "routes of BIRD again")
    tor.daemons[0].hold()
    wait_until(lambda: has_none(node), SOON, "BFD to end the routes of a dead ToR")
    expect_tunnel(node, pod)


def test_tors_keep_nothing_of_a_dead_bird(lab):
    """Profile fast announces no restart: BIRD and FRR drop the node's blocks with the session."""
    lab.wait_blocks()
    for tor, name in (("tor1", "r1n1"), ("tor2", "r2n1")):
        node, router = lab[name], lab[tor]
        node.birdd.hold()
        for family in (4, 6):
            wait_until(lambda: not router.prefixes(family, name), SOON, f"{tor} to drop the blocks of {name}", 0.5)


def test_carrier_ends_stale_routes_without_bfd():
    """Profile graceful has no BFD. A ToR's BGP daemon dies: the routes stay. Then the cable does: they go, and the other ToR is used.
    With BIRD dead on the node, too, nobody is there to remove routes: the kernel itself leaves out a link without carrier."""
    with Lab("two-tors", profile="graceful", nonstop=GRACEFUL) as lab:
        node, pod = lab["r1n1"], lab["r2n1"].pod()
        block = sorted(lab.wait_blocks()[4] - node.blocks(4))[0]

        def gateways():
            routes = [route for route in node.routes(4, block) if route.get("protocol") == "bird"]
            return {hop["dev"] for route in routes for hop in route.get("nexthops", [route]) if "linkdown" not in hop.get("flags", [])}

        wait_until(lambda: gateways() == {"eth0", "eth1"}, 20, "both ToRs' routes")
        lab["tor1a"].daemons[0].hold()
        wait_until(lambda: up(node) == 2, 10, "tor1a's sessions to end")
        equal(gateways(), {"eth0", "eth1"}, "links of the routes while tor1a restarts")
        lab.link("tor1a", "r1n1").cut()
        wait_until(lambda: gateways() == {"eth1"}, SOON, "tor1a's routes to go with the carrier")
        node.ns.reaches(pod.ip4)
        lab.link("tor1a", "r1n1").restore()
        lab["tor1a"].start()
        wait_until(lambda: gateways() == {"eth0", "eth1"}, 60, "both ToRs' routes again")
        lab.wait_ready()
        node.birdd.hold()
        lab.link("tor1a", "r1n1").cut()
        for port in range(7400, 7408):  # flows that would be spread over both links
            for family in (4, 6):
                seen_source(pod.ns, node.ns, pod.ip(family), port)
