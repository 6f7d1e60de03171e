# SPDX-License-Identifier: GPL-2.0-or-later
"""Fields of BGPPeer on live sessions with FRR: what each does is seen at the ToR, or in what BIRD has of it.

One ToR, and a session for each field: n1 has an address for each, and so has the ToR. All of them at once.
"""

import json
import re

from weftlab import LabError, check, equal, wait_until, weft

LAB = {"topology": "fields", "datastore": "directory", "services": True, "bfd_ms": 1000}
TOR, N1, N2, FAR = "10.0.1.1", "10.0.1.11", "10.0.1.12", "10.0.9.1"
HEARD = "198.18.100.0/24"  # what `far` announces
MANY = [f"198.18.{n}.0/24" for n in range(4)]  # too many for who takes LIMIT routes
LIMIT = 3
NO_BFD = {"bfd": {"enabled": False}}

# Name of the BGPPeer: (node, its end, the ToR's end, what the BGPPeer says besides, FRR's lines for this neighbour)
SESSIONS = {
    "plain": ("n1", N1, TOR, {}, ["passive"]),
    "other": ("n2", N2, TOR, {}, ["passive"]),
    "second": ("n2", "10.0.1.52", "10.0.1.152", {}, ["passive"]),
    "gtsm": ("n1", "10.0.1.31", "10.0.1.131", {"ttlSecurity": True}, ["passive", "ttl-security hops 1"]),
    "localas": ("n1", "10.0.1.32", "10.0.1.132", {"localASNumber": 65555}, ["passive"]),
    "passive": ("n1", "10.0.1.33", "10.0.1.133", {"passive": True}, ["shutdown"]),
    "ownas": ("n1", "10.0.1.34", "10.0.1.134", {"allowOwnAS": 1}, ["passive"]),
    "addpath": ("n1", "10.0.1.35", "10.0.1.135", {"addPath": "Both"}, ["passive"]),
    "longlived": ("n1", "10.0.1.36", "10.0.1.136",
                  {"gracefulRestart": {"mode": "Enabled", "longLived": True, "longLivedSeconds": 600}}, ["passive"]),
    **{action.lower(): ("n1", f"10.0.1.{41 + n}", f"10.0.1.{141 + n}",
                        {"maxPrefixes": {"count": LIMIT, "action": action}}, ["passive"])
       for n, action in enumerate(("Block", "Warn", "Restart", "Disable"))},
    "client": ("n1", "10.0.1.37", "10.0.1.137",  # passive: FRR takes no connection for an instance that is a view
               {"asNumber": "internal", "passive": True, "routeReflector": {"client": True, "clusterID": "10.9.9.9"}}, []),
}


def neighbour(name):
    """FRR's lines for one session, below `router bgp`."""
    node, here, there, _, lines = SESSIONS[name]
    number = {"n1": 65101, "n2": 65102}[node] if name != "localas" else 65555
    common = [f"remote-as {number}", f"update-source {there}", "timers 3 9", "timers connect 2", *lines]
    return [f" neighbor {here} {line}" for line in common]


def frr_of_tor():
    """The client is an instance of its own, in n1's AS."""
    families = {"ownas": ["route-map OWN out"], "addpath": ["addpath-tx-all-paths"]}
    main = [name for name in SESSIONS if name != "client"]
    lines = ["route-map OWN permit 10", " set as-path prepend 65101", "exit",
             "router bgp 65001", " bgp router-id 10.0.0.1", " no bgp default ipv4-unicast", " no bgp ebgp-requires-policy",
             " no bgp network import-check", " bgp bestpath as-path multipath-relax"]
    for name in main:
        lines += neighbour(name)
    lines.append(" address-family ipv4 unicast")
    for name in main:
        lines += [f"  neighbor {SESSIONS[name][1]} {line}" for line in ["activate", *families.get(name, [])]]
    lines += [" exit-address-family", "exit", "router bgp 65101 view client", " bgp router-id 10.0.0.2",
              " no bgp default ipv4-unicast", *neighbour("client"), " address-family ipv4 unicast",
              f"  neighbor {SESSIONS['client'][1]} activate", " exit-address-family", "exit"]
    return "\n".join(lines) + "\n"


FRR_OF_FAR = f"""
router bgp 65101
 bgp router-id 10.0.0.3
 no bgp default ipv4-unicast
 no bgp network import-check
 neighbor {N1} remote-as 65101
 neighbor {N1} update-source {FAR}
 neighbor {N1} timers 3 9
 neighbor {N1} passive
 neighbor {N1} bfd
 neighbor {N1} bfd profile lab
 address-family ipv4 unicast
  network {HEARD}
  neighbor {N1} activate
 exit-address-family
exit
"""


def peer(name):
    node, here, there, spec, _ = SESSIONS[name]
    return weft("BGPPeer", name, **{"address": there, "asNumber": 65001, "sourceAddress": here, **NO_BFD, **spec},
                nodeSelector={"matchLabels": {"kubernetes.io/hostname": node}})


def setup(lab):
    for name, (node, here, there, _, _) in SESSIONS.items():
        if there != TOR:
            lab[node].ns.run(f"ip address add {here}/24 dev eth0")
            lab["tor"].ns.run(f"ip address add {there}/24 dev lan0")
    lab["far"].ns.run("ip route add default via 10.0.9.0")
    lab["tor"].load(frr_of_tor())
    lab["far"].load(FRR_OF_FAR)
    lab.datastore.put(weft("BGPConfig", "default", importPrefixes=[{"cidr": "198.18.0.0/15", "ge": 24}]),
                      *(peer(name) for name in SESSIONS),
                      weft("BGPPeer", "far", address=FAR, asNumber="internal", multihop=3, bfd={"enabled": True},
                           nodeSelector={"matchLabels": {"kubernetes.io/hostname": "n1"}}))
    for name in SESSIONS:
        if name != "passive":
            wait_until(lambda: said(lab, name)["bgpState"] == "Established", 90, f"the session {name}")


def ask(router, command, view=""):
    return json.loads(router.vty(f"show bgp {view}{command} json") or "{}")


def said(lab, name):
    """What FRR says of a neighbour."""
    address = SESSIONS[name][1]
    return ask(lab["tor"], f"neighbors {address}", "view client " if name == "client" else "")[address]


def path(lab, name, prefix):
    """The path that the ToR has of a prefix from a session's neighbour, {} if none."""
    view = "view client " if name == "client" else ""
    paths = ask(lab["tor"], f"ipv4 unicast {prefix}", view).get("paths", [])
    return next((found for found in paths if found["peer"]["peerId"] == SESSIONS[name][1]), {})


def block(lab, node):
    wait_until(lambda: lab[node].blocks(4), 30, f"a block of {node}")
    return min(lab[node].blocks(4))


def learnt(lab, name):
    return lab[SESSIONS[name][0]].bird.prefixes("master4", f'where proto = "peer_{name}"')


def details(lab, name):
    return lab[SESSIONS[name][0]].bird.command(f'show protocols all "peer_{name}"')


def test_multihop_with_bfd(lab):
    """Two hops away: BFD's control packets go to the port of RFC 5883, and both ends say up."""
    far, bird = lab["far"], lab["n1"].bird
    wait_until(lambda: far.summary(4).get(N1, {}).get("state") == "Established", 60, "the session over two hops")

    def up():
        peers = json.loads(far.vty("show bfd peers json", daemon="bfdd"))
        return [(each["peer"], each["multihop"]) for each in peers if each["status"] == "up"]

    wait_until(lambda: up() == [(N1, True)], 60, f"multihop BFD at far: {far.vty('show bfd peers', daemon='bfdd')}")
    rows = [line.split() for line in bird.command("show bfd sessions").splitlines()]
    equal([row[2] for row in rows if row and row[0] == FAR], ["Up"], "BFD with far, as BIRD says")
    wait_until(lambda: HEARD in bird.prefixes("master4"), 30, f"{HEARD} from far")


def test_reflector_and_its_client(lab):
    """RFC 4456: what comes from one iBGP peer goes to the client with originator, cluster and its own next hop. What is
    the node's own has the node as next hop, and none of these."""
    wait_until(lambda: path(lab, "client", HEARD), 30, f"{HEARD} of far at the client")
    reflected = path(lab, "client", HEARD)
    equal(reflected["originatorId"], "10.0.0.3", "originator")
    equal(reflected["clusterList"]["list"], ["10.9.9.9"], "cluster list")
    equal(reflected["nexthops"][0]["ip"], FAR, "next hop of a reflected route")
    own = path(lab, "client", block(lab, "n1"))
    equal((own["nexthops"][0]["ip"], "originatorId" in own), (SESSIONS["client"][1], False), "next hop of an own route, originator")
    check(not path(lab, "plain", HEARD), f"{HEARD} went to an external peer")


def test_ttl_security(lab):
    """FRR takes only packets with TTL 255, and so does the node."""
    equal(said(lab, "gtsm")["bgpState"], "Established", "the session with ttl-security")
    lab["tor"].configure_bgp(f"no neighbor {SESSIONS['gtsm'][1]} ttl-security hops 1")  # its packets have TTL 1 now
    wait_until(lambda: said(lab, "gtsm")["bgpState"] != "Established", 60, "the node to refuse another TTL")


def test_local_as(lab):
    mine = block(lab, "n1")
    for name, number in (("localas", 65555), ("plain", 65101)):
        wait_until(lambda: path(lab, name, mine), 30, f"{mine} of {name}")
        equal(path(lab, name, mine)["aspath"]["string"], str(number), f"AS path of {mine} by {name}")


def test_passive(lab):
    """The node waits: it is FRR that connects, to port 179."""
    wait_until(lambda: "Passive" in details(lab, "passive"), 30, "BIRD to wait for the peer")
    lab["tor"].configure_bgp(f"no neighbor {SESSIONS['passive'][1]} shutdown")
    wait_until(lambda: said(lab, "passive")["bgpState"] == "Established", 60, "the session")
    equal((said(lab, "passive")["portForeign"], said(lab, "plain")["portLocal"]), (179, 179), "who connected to whom")


def test_own_as_in_the_path(lab):
    """The ToR prepends n1's AS number on this session alone."""
    theirs = block(lab, "n2")
    wait_until(lambda: theirs in learnt(lab, "ownas"), 30, f"{theirs} with the own AS in its path")
    text = lab["n1"].bird.command(f'show route {theirs} all table master4 protocol peer_ownas')
    check(re.search(r"BGP.as_path: 65001 65101 65102|BGP.as_path: 65101 65001 65102", text), f"the path of {theirs}:\n{text}")


def test_add_path(lab):
    """n2 has two sessions with the ToR, so that this one has two paths of n2's block; all of them come to n1."""
    theirs = block(lab, "n2")

    def paths(name):
        text = lab["n1"].bird.command(f'show route {theirs} table master4 protocol peer_{name}')
        return text.count(f"[peer_{name} ")

    wait_until(lambda: paths("addpath") == 2, 30, f"two paths of {theirs}, there are {paths('addpath')}")
    equal(paths("plain"), 1, f"paths of {theirs} without add-path")
    offered = said(lab, "addpath")["neighborCapabilities"]["addPath"]["ipv4Unicast"]
    check(offered["txAdvertisedAndReceived"] and offered["rxAdvertisedAndReceived"], f"FRR says: {offered}")


def test_long_lived_graceful_restart(lab):
    state = said(lab, "longlived")["neighborCapabilities"]
    equal(state.get("longLivedGracefulRestart"), "advertisedAndReceived", f"FRR says {state}; the capability")
    text = details(lab, "longlived").split("Neighbor capabilities")[0]
    check(re.search(r"LL stale time: 600", text), f"BIRD offers\n{text}")


def test_limit_actions(lab):
    """More routes than allowed. Block: the first ones stay. Warn: all are taken, the log says so. Restart: the session ends and
    comes again by itself. Disable: it ends and stays away until somebody enables it."""
    tor, n1 = lab["tor"], lab["n1"]
    wait_until(lambda: block(lab, "n2") in learnt(lab, "block"), 30, "n2's block")
    tor.originate(*MANY)
    wait_until(lambda: len(learnt(lab, "block")) == LIMIT, 30, f"{LIMIT} routes by block: {learnt(lab, 'block')}")
    wait_until(lambda: set(MANY) <= learnt(lab, "warn"), 30, f"all routes by warn: {learnt(lab, 'warn')}")
    check(re.search(r"peer_warn.*limit.*warn", n1.birdd.log_text()), "no warning of peer_warn in BIRD's log")
    for name in ("restart", "disable"):
        wait_until(lambda: said(lab, name)["bgpState"] != "Established", 30, f"the session {name} to end")
        wait_until(lambda: "Maximum Number of Prefixes" in said(lab, name).get("lastNotificationReason", ""), 30,
                   f"the reason of {name}, as FRR was told: {said(lab, name).get('lastNotificationReason')}")
    for name in ("block", "warn"):
        equal(said(lab, name)["bgpState"], "Established", f"the session {name}")
    tor.retract(*MANY)
    wait_until(lambda: said(lab, "restart")["bgpState"] == "Established", 90, "the session restart to come again")
    check(said(lab, "disable")["bgpState"] != "Established", "the session disable came again by itself")
    n1.bird.command('enable "peer_disable"')
    wait_until(lambda: said(lab, "disable")["bgpState"] == "Established", 60, "the session disable, once enabled")


def test_weights_of_endpoints(lab):
    """Three endpoints on n1 and one on n2: the ToR's kernel sends n1 three of four flows."""
    lab.lb_pools()
    lab.datastore.put(weft("BGPAdvertisement", "weighted", types=["LoadBalancerIP"], endpointWeight=True, peers=["plain", "other"]))
    pods = [lab["n1"].pod() for _ in range(3)] + [lab["n2"].pod()]
    web = lab.service("web", pods, target=8080, type="LoadBalancer", externalTrafficPolicy="Local")

    def weights():
        routes = lab["tor"].ns.ip(["-4", "route", "show", f"{web.lb(4)}/32"])
        return {hop["gateway"]: hop["weight"] for route in routes for hop in route.get("nexthops", [])}

    wait_until(lambda: set(weights()) == {N1, N2} and weights()[N1] == 3 * weights()[N2], 60,
               f"weights 3:1 in the ToR's kernel: {weights()}")
    web.back(pods[0], pods[3])
    wait_until(lambda: set(weights()) == {N1, N2} and weights()[N1] == weights()[N2], 60, f"weights 1:1, there are {weights()}")
