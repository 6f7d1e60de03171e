# SPDX-License-Identifier: GPL-2.0-or-later
"""A BGPPeer that names no router: `autodiscover: DefaultGateway`, on a node between two ToRs. A session for each next hop
of the default routes, which come and go as the routes do, while nobody else's session notices."""

from weftlab import equal, wait_until, weft

LAB = {"topology": "gateways", "datastore": "directory", "bfd_ms": 2000}
EVERYTHING = {4: "0.0.0.0/0", 6: "::/0"}


def sessions(node):
    """(router's address) -> (state, since), of all that BIRD has."""
    found = {}
    for name, info in node.bird.protocols("BGP").items():
        text = node.bird.command(f'show protocols all "{name}"')
        address = next(line.split()[2] for line in text.splitlines() if line.split()[:2] == ["Neighbor", "address:"])
        found[address.partition("%")[0]] = (info.split()[0], text.splitlines()[1].split()[4])
    return found


def gateway(lab, router, family):
    return str(lab[router].session("n1", family).local)


def wait_sessions(lab, *wanted):
    """Established with exactly these (router, family)."""
    addresses = {gateway(lab, router, family): "Established" for router, family in wanted}

    def states():
        return {address: state for address, (state, _) in sessions(lab["n1"]).items()}

    wait_until(lambda: states() == addresses, 90, f"sessions with {sorted(addresses)} alone, there are {states()}")
    return sessions(lab["n1"])


ALL = [(router, family) for router in ("tor1", "tor2") for family in (4, 6)]


def default(lab, family, *routers):
    """The administrator's default route has these next hops. One command: the kernel replaces what was there."""
    node = lab["n1"]
    hops = " ".join(f"nexthop via {gateway(lab, router, family)} dev {lab.link(router, 'n1').near[1]}" for router in routers)
    node.ns.run(f"ip route replace {EVERYTHING[family]} metric 1024 src {node.ip(family)} {hops}")


def setup(lab):
    """The lab's own BGPPeers, one for each address, make way for one that names none. FRR's router advertisements bring
    default routes, too: these are not what is tested. No BFD: FRR's is still up when a session comes again right after
    it went, and takes the new one down (Cease, BFD Down)."""
    node = lab["n1"]
    for router in lab.routers:
        node.ns.sysctl(f"ipv6/conf/{lab.link(router, 'n1').near[1]}/accept_ra", 0)
    for family in lab.families:
        node.ns.run(f"ip -{family} route flush exact {EVERYTHING[family]}")
    lab.datastore.put(weft("BGPPeer", "gateways", autodiscover="DefaultGateway", asNumber="external",
                            bfd={"enabled": False}))
    for peer in lab.bgp_peers():
        lab.datastore.delete("BGPPeer", peer["metadata"]["name"])
    wait_until(lambda: not sessions(node), 60, "no session without a default route")
    for family in lab.families:
        default(lab, family, "tor1", "tor2")


def test_a_session_for_each_next_hop_of_both_families(lab):
    wait_sessions(lab, *ALL)
    lab.wait_blocks()


def test_sessions_follow_the_default_routes(lab):
    before = wait_sessions(lab, *ALL)
    default(lab, 4, "tor1")
    after = wait_sessions(lab, ("tor1", 4), ("tor1", 6), ("tor2", 6))
    equal(after, {address: before[address] for address in after}, "the sessions that stay, and since when they are up")
    default(lab, 4, "tor1", "tor2")
    wait_sessions(lab, *ALL)


def test_a_route_that_is_not_the_best_is_no_gateway(lab):
    before = wait_sessions(lab, *ALL)
    node, tor1, tor2 = lab["n1"], gateway(lab, "tor1", 6), gateway(lab, "tor2", 6)
    default(lab, 6, "tor1")
    wait_sessions(lab, ("tor1", 4), ("tor1", 6), ("tor2", 4))
    node.ns.run(f"ip route add ::/0 metric 512 via {tor2}")
    wait_sessions(lab, ("tor1", 4), ("tor2", 4), ("tor2", 6))
    node.ns.run(f"ip route del ::/0 metric 512 via {tor2}")
    wait_sessions(lab, ("tor1", 4), ("tor1", 6), ("tor2", 4))
    default(lab, 6, "tor1", "tor2")
    after = wait_sessions(lab, *ALL)
    for address in set(before) - {tor1, tor2}:
        equal(after[address], before[address], f"the session with {address}, of the other family")


def test_the_default_route_that_a_peer_announces_changes_nothing(lab):
    """It has a better metric than the administrator's."""
    before, node = wait_sessions(lab, *ALL), lab["n1"]
    lab.datastore.put(weft("BGPConfig", "default", importPrefixes=list(EVERYTHING.values())))
    lab["tor1"].originate(*EVERYTHING.values())
    for family in lab.families:
        wait_until(lambda: any(route.get("protocol") == "bird" for route in node.routes(family, "default")), 30,
                   f"BIRD's IPv{family} default route")
    lab["tor1"].retract(*EVERYTHING.values())
    for family in lab.families:
        wait_until(lambda: not any(route.get("protocol") == "bird" for route in node.routes(family, "default")), 30,
                   f"BIRD's IPv{family} default route to go")
    equal(wait_sessions(lab, *ALL), before, "all sessions, and since when they are up")
