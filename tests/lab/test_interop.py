# SPDX-License-Identifier: GPL-2.0-or-later
"""What weft's nodes and other routers' software do together, as one matrix: docs/interop.md.

Each test proves one row, a cell for each software; a cell that cannot be is a No, with what shows that it is not
there. The last test compares the matrix in docs with what was proved here.
"""

import contextlib
import os
import re
import threading

from weftlab import LabError, LossProbe, check, equal, wait_until, weft
from weftlab.routers import MAX_PREFIXES

LAB = {"topology": "interop", "password": "Correct-horse!battery#staple%32c", "datastore": "directory", "services": True}
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NODES = ("n1", "n2")
DEFAULTS = {4: "0.0.0.0/0", 6: "::/0"}
PROVED = {}  # row -> {software: "yes" or "no"}


class No:
    """The software does not have it; proof, if given, sees that."""

    def __init__(self, proof=None):
        self.proof = proof


def row(name, lab, **cells):
    """Proves each cell of a row: cell(router), or No(). A failure names the cell."""
    proved = PROVED[name] = {}
    for software, cell in cells.items():
        proof = cell.proof if isinstance(cell, No) else cell
        try:
            if proof:
                proof(lab[software])
        except LabError as error:
            raise LabError(f"{name} with {software}: {error}") from error
        proved[software] = "no" if isinstance(cell, No) else "yes"


def all_of(cell):
    return {"frr": cell, "gobgp": cell, "openbgpd": cell}


def families(lab):
    return [(lab[node], family) for node in NODES for family in lab.families]


def protocol(node, router, family):
    """The name that BIRD on a node has for a session, and what it says about it."""
    address = router.session(node.name, family).local
    for name in node.bird.protocols("BGP"):
        text = node.bird.command(f'show protocols all "{name}"')
        if any(line.split() == ["Neighbor", "address:", str(address)] for line in text.splitlines()):
            return name, text
    raise LabError(f"BIRD on {node.name} has no session with {address}")


def learnt(node, router, family):
    """Prefixes that a node has from a router."""
    address = router.session(node.name, family).local
    return node.bird.prefixes(f"master{family}", f"where source = RTS_BGP && from = {address}")


def test_sessions(lab):
    def cell(router):
        equal(router.established(), {f"{node.name}_{family}" for node, family in families(lab)}, "sessions")
        for node, family in families(lab):
            text = protocol(node, router, family)[1]
            check("BGP state:          Established" in text, f"BIRD on {node.name} says otherwise:\n{text}")
            check(text.split("Hold timer:")[1].splitlines()[0].endswith("/9"), f"the hold time is not 9 s:\n{text}")

    row("Session over IPv4 and IPv6", lab, **all_of(cell))


def test_dual_stack(lab):
    """Blocks of both families reach the router with the node as next hop, and through it the other node."""
    def cell(router):
        one, other = lab["n1"], lab["n2"]
        for family in lab.families:
            blocks = one.blocks(family)
            check(blocks, f"n1 announces no IPv{family} block")
            wait_until(lambda: blocks <= router.prefixes(family, "n1"), 20, f"{blocks} of n1")
            for block in blocks:
                path = router.path(family, block, "n1")
                equal(path.next_hop, str(router.session("n1", family).remote), f"next hop of {block}")
                equal(path.as_path, [one.spec.asn], f"AS path of {block}")
            wait_until(lambda: blocks <= learnt(other, router, family), 20, f"{blocks} at n2, from this router")

    row("Pod blocks of both families, to the router and through it", lab, **all_of(cell))


def test_bfd(lab):
    """Nodes ask every router for BFD. One that has none is no worse for it: its sessions are up all the same."""
    def sessions(node):
        rows = [line.split() for line in node.bird.command("show bfd sessions").splitlines()]
        return {row[0]: row[2] for row in rows if len(row) > 2}

    def has(router):
        for node, family in families(lab):
            address = str(router.session(node.name, family).local)
            wait_until(lambda: sessions(node).get(address) == "Up", 30, f"BFD of {node.name} with {address}")

    def has_none(router):
        for node, family in families(lab):
            address = str(router.session(node.name, family).local)
            equal(sessions(node).get(address), "Down", f"BFD of {node.name} with {address}")
        equal(len(router.established()), 4, "established sessions")

    row("BFD", lab, frr=has, gobgp=No(has_none), openbgpd=No(has_none))


def test_forwarding(lab):
    """Pods reach each other through the router alone."""
    def cell(router):
        others = [other for other in lab.routers.values() if other is not router]
        a, b = lab["n1"].pod(), lab["n2"].pod()
        for other in others:
            for node in NODES:
                other.disable(node)
        for family in lab.families:
            device = lab.link(router.name, "n1").near[1]
            wait_until(lambda: a.node.ns.device_to(b.ip(family)) == device, 20, f"IPv{family} by {device}")
            wait_until(lambda: a.ns.ping(b.ip(family), 1), 20, f"the other pod by IPv{family}")

    row("Pod traffic through the router", lab, frr=cell, gobgp=No(), openbgpd=No())


def test_default_route(lab):
    """A default route is taken when BGPConfig allows it, and is in the kernel beside the administrator's own."""
    lab.datastore.put(weft("BGPConfig", "default", importPrefixes=list(DEFAULTS.values())))

    def default(node, family):
        return [route for route in node.routes(family, "default") if route.get("protocol") == "bird"]

    def cell(router):
        router.originate(*DEFAULTS.values())
        for node, family in families(lab):
            gateway = str(router.session(node.name, family).local)
            wait_until(lambda: [route.get("gateway") for route in default(node, family)] == [gateway], 20,
                       f"IPv{family} default route of {node.name} via {gateway}")
        router.retract(*DEFAULTS.values())
        for node, family in families(lab):
            wait_until(lambda: not default(node, family), 20, f"IPv{family} default route of {node.name} to go")

    row("Default route from the router", lab, **all_of(cell))
    lab.datastore.put(weft("BGPConfig", "default"))


@contextlib.contextmanager
def peers(lab, only="", **spec):
    """All BGPPeers (those with ONLY in their name) say this besides, for a while."""
    before = lab.bgp_peers()
    lab.datastore.put(*({**item, "spec": {**item["spec"], **spec}} for item in before if only in item["metadata"]["name"]))
    try:
        yield
    finally:
        lab.datastore.put(*before)


@contextlib.contextmanager
def imports(lab, *prefixes):
    lab.datastore.put(weft("BGPConfig", "default", importPrefixes=list(prefixes)))
    try:
        yield
    finally:
        lab.datastore.put(weft("BGPConfig", "default"))


class Always:
    """Looks at something again and again, in a thread; leaving fails when it once was not so."""

    def __init__(self, condition, what):
        self.condition, self.what = condition, what
        self.looks, self.error, self.over = 0, None, threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def look(self):
        while not self.over.is_set() and self.error is None:
            try:
                if not self.condition():
                    self.error = f"{self.what}: not so after {self.looks} looks"
                self.looks += 1
            except (LabError, OSError):
                pass  # who is asked may be the one that starts anew
            self.over.wait(0.1)

    def __enter__(self):
        self.thread.start()
        wait_until(lambda: self.looks or self.error, 20, f"a first look: {self.what}")
        return self

    def __exit__(self, kind, *_):
        self.over.set()
        self.thread.join(30)
        if kind is None and self.error:
            raise LabError(self.error)


def test_communities(lab):
    """What an export rule adds is what the router has."""
    rule = {"action": "Accept", "set": {"addCommunities": ["65101:100", "no-export", "65101:1:4294967295"]}}

    def cell(router):
        for family in lab.families:
            block = min(lab["n1"].blocks(family))

            def seen():
                path = router.path(family, block, "n1")
                return path.communities, path.large

            wanted = [({"65101:100", name}, {"65101:1:4294967295"}) for name in ("no-export", "noExport", "65535:65281", "NO_EXPORT")]
            wait_until(lambda: seen() in wanted, 20, f"the communities of {block}, now {seen()}")

    with peers(lab, export=[rule]):
        row("Standard, well-known and large communities", lab, **all_of(cell))


def test_ipv4_over_ipv6(lab):
    """The IPv6 session carries IPv4 too. With RFC 8950 the next hop is IPv6; without it the link's IPv4 address."""
    def path(router):
        block = min(lab["n1"].blocks(4))
        wait_until(lambda: router.path(4, block, "n1", over=6), 30, f"{block} over the IPv6 session")
        return router.path(4, block, "n1", over=6)

    def ipv6(router):
        check(":" in path(router).next_hop, f"next hop {path(router).next_hop}")
        blocks, address = lab["n1"].blocks(4), router.session("n2", 6).local
        wait_until(lambda: blocks <= lab["n2"].bird.prefixes("master4", f"where source = RTS_BGP && from = {address}"), 20,
                   f"{blocks} at n2, over IPv6")

    def ipv4(router):
        equal(path(router).next_hop, str(router.session("n1", 4).remote), "next hop")

    with peers(lab, "-v6", families=["IPv4", "IPv6"]):
        row("IPv4 prefixes over an IPv6 session (RFC 8950)", lab, frr=ipv6, gobgp=ipv6, openbgpd=No(ipv4))


def test_unnumbered(lab):
    """A session by interface alone, between link-local addresses, for both families."""
    node = lab["n2"]

    def known(router):
        """The node has seen the router on the link, and the other way round."""
        here, there = lab.link(router.name, "n2").far, lab.link(router.name, "n2").near
        for ns, interface, target in ((*here, there), (*there, here)):
            address = next(item["local"] for link in target[0].ip(["-6", "address", "show", "dev", target[1]])
                           for item in link["addr_info"] if item["scope"] == "link")
            ns.run(["ping", "-6", "-c", "1", "-W", "5", f"{address}%{interface}"])

    def established(router):
        known(router)
        device = lab.link(router.name, "n2").near[1]
        lab.datastore.put(weft("BGPPeer", f"unnumbered-{router.name}", interface=device, asNumber="external",
                               nodeSelector={"matchLabels": {"kubernetes.io/hostname": "n2"}}))
        try:
            for family in lab.families:
                wait_until(lambda: node.blocks(family) <= router.interface_prefixes("n2", family), 40,
                           f"IPv{family} blocks over {device}")
        finally:
            lab.datastore.delete("BGPPeer", f"unnumbered-{router.name}")

    def frr(router):
        router.configure_bgp("neighbor n2 interface v6only remote-as external", "neighbor n2 timers 3 9",
                             "address-family ipv4 unicast", "neighbor n2 activate", "exit-address-family",
                             "address-family ipv6 unicast", "neighbor n2 activate", "exit-address-family")
        try:
            established(router)
        finally:
            router.configure_bgp("no neighbor n2 interface v6only remote-as external")

    def gobgp(router):
        known(router)
        router.gobgp("neighbor", "add", "interface", "n2")
        try:
            established(router)
        finally:
            router.gobgp("neighbor", "del", router.interface_neighbour("n2"))

    row("Unnumbered (link-local, by interface)", lab, frr=frr, gobgp=gobgp, openbgpd=No())


def test_max_prefixes(lab):
    """The node's limit. Block: the first ones stay, the session too. Disable: the session ends, until somebody enables it."""
    many = {4: [f"198.18.{n}.0/24" for n in range(6)], 6: [f"2001:db8:18:{n}::/64" for n in range(6)]}

    def cell(router):
        for name in NODES:  # what the test before changed may still be rolled out, session by session
            for family in lab.families:
                wait_until(lambda: re.search(r"Import limit: +4\b", protocol(lab[name], router, family)[1]), 150,
                           f"the limit of IPv{family} at {name}")
        router.originate(*many[4], *many[6])
        for name in NODES:
            node = lab[name]
            wait_until(lambda: len(learnt(node, router, 4)) == 4, 20, f"4 prefixes at {name}: {learnt(node, router, 4)}")
            wait_until(lambda: f"{name}_6" not in router.established(), 20, f"the IPv6 session with {name} to end")
            check(f"{name}_4" in router.established(), f"the IPv4 session with {name} ended")
        router.retract(*many[4], *many[6])
        for name in NODES:
            lab[name].bird.command(f'enable "{protocol(lab[name], router, 6)[0]}"')
        wait_until(lambda: len(router.established()) == 4, 150, "all sessions")  # OpenBGPD waits longer after each loss

    with imports(lab, {"cidr": "198.18.0.0/15", "ge": 24}, {"cidr": "2001:db8:18::/48", "ge": 64}):
        with peers(lab, "-v4", maxPrefixes={"count": 4, "action": "Block"}):
            with peers(lab, "-v6", maxPrefixes={"count": 4, "action": "Disable"}):
                row("Limit of prefixes on the node", lab, **all_of(cell))


@contextlib.contextmanager
def restarting(lab):
    """Graceful restart instead of BFD on all sessions, and n2's BIRD is one that keeps its routes."""
    lab["n2"].birdd.argv.append("-R")
    try:
        with peers(lab, bfd={"enabled": False}, gracefulRestart={"mode": "Enabled", "restartSeconds": 120}):
            for router in lab.routers.values():
                for each in NODES:
                    wait_until(lambda: "Restart time: 120" in protocol(lab[each], router, 4)[1]
                               and f"{each}_4" in router.established(), 150, f"{each} to offer graceful restart")
            yield
    finally:
        lab["n2"].birdd.argv.remove("-R")


def still_so(watch):
    """What is watched was so, and is."""
    looks = watch.looks
    wait_until(lambda: watch.error or watch.looks > looks + 1, 20, "another look")
    check(watch.error is None, watch.error)


def test_graceful_restart(lab):
    with restarting(lab):
        node_restarts(lab)
        frr_restarts(lab)


def node_restarts(lab):
    """BIRD of a node is killed and comes back: the router keeps the node's blocks."""
    node = lab["n2"]
    blocks = node.blocks(4)
    with contextlib.ExitStack() as watches:
        watching = {}
        for router in lab.routers.values():
            wait_until(lambda: blocks <= router.prefixes(4), 30, f"{blocks} at {router.name}")
            watching[router.name] = watches.enter_context(
                Always(lambda router=router: blocks <= router.prefixes(4), f"{router.name} has {blocks}"))
        starts = node.birdd.starts
        node.birdd.kill()
        wait_until(lambda: node.birdd.starts > starts, 20, "BIRD to be started again")
        for router in lab.routers.values():
            wait_until(lambda: len(router.established()) == 4, 240, f"all sessions of {router.name}")
        row("Graceful restart of the node", lab, **all_of(lambda router: still_so(watching[router.name])))


def frr_restarts(lab):
    """FRR's bgpd is killed and started again: n1 keeps what it learnt there, and traffic that has no other way loses no packet
    while bgpd is away."""
    router, node, blocks = lab["frr"], lab["n1"], lab["n2"].blocks(4)
    a, b = node.pod(), lab["n2"].pod()
    daemon = next(daemon for daemon in router.daemons if daemon.name.endswith(".bgpd"))
    for other in lab.routers.values():
        for name in NODES if other is not router else ():
            other.disable(name)
    wait_until(lambda: node.ns.device_to(b.ip4) == lab.link(router.name, "n1").near[1], 60, "the way by this router")
    with Always(lambda: blocks <= learnt(node, router, 4), f"n1 has {blocks} from {router.name}") as watch:
        with LossProbe(a, b, family=4) as probe:
            probe.wait_flowing()
            daemon.kill()
            wait_until(lambda: "Established" not in protocol(node, router, 4)[1].split("BGP state:")[1].splitlines()[0], 30,
                       "n1 to notice")
            probe.wait_flowing(steady=2)
        probe.result.none_lost("while bgpd is away")
        still_so(watch)
    daemon.start()
    wait_until(lambda: len(router.established()) == 4, 240, f"all sessions of {router.name}")
    wait_until(lambda: "graceful restart active" not in protocol(node, router, 4)[1], 60, "n1 to have heard everything anew")
    wait_until(lambda: blocks <= learnt(node, router, 4), 60, f"{blocks} from {router.name} again")
    wait_until(lambda: a.ns.ping(b.ip4, 1), 30, "the other pod, once bgpd is back")


def test_max_prefixes_of_the_router(lab):
    """The router's limit: it ends the session, the node says why, and it lasts until the router is told otherwise."""
    pod = lab["n1"].pod()
    lab.serve(pod)
    lab.lb_pools()
    lab["frr"].limit(MAX_PREFIXES)
    many = [lab.service(f"s{n}", [pod], port=80, target=8080, type="LoadBalancer") for n in range(MAX_PREFIXES + 1)]

    def cell(router):
        wait_until(lambda: not router.established(), 40, "the sessions to end")
        for node, family in families(lab):
            reason = f"{protocol(node, router, family)[0]}: Received: Maximum number of prefixes reached"
            wait_until(lambda: reason in node.birdd.log_text(), 20, f"the reason in the log of {node.name}'s BIRD")

    try:
        row("Limit of prefixes on the router", lab, **all_of(cell))
    finally:
        for service in many:
            service.delete()
        lab["frr"].limit(0)
        for router in lab.routers.values():
            for name in NODES:
                router.disable(name)
                router.enable(name)


def test_md5(lab):
    """The password is that of the Secret: with another one no session comes up, with the right one all do."""
    def secret(password):
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "weft-bgp", "namespace": "kube-system"},
                "stringData": {"password": password}}

    lab.datastore.put(secret("another one"))
    for router in lab.routers.values():
        # Sessions that must restart do so one by one, and none of these comes back.
        wait_until(lambda: not router.established(), 240, f"{router.name} to refuse the wrong password")
    lab.datastore.put(secret(LAB["password"]))

    def cell(router):
        wait_until(lambda: len(router.established()) == 4, 150, "the sessions with the right password")

    row("TCP MD5 from a Secret", lab, **all_of(cell))


def test_the_matrix_in_docs_is_what_is_proved():
    rows = {}
    with open(f"{TOP}/docs/interop.md", encoding="utf-8") as text:
        lines = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text if line.startswith("|")]
    head = next(line for line in lines if set(all_of(None)) <= {cell.split(" ")[0].lower() for cell in line})
    software = [cell.split(" ")[0].lower() for cell in head[1:4]]
    for line in lines[lines.index(head) + 2:]:
        rows[line[0]] = {name: cell.split(" ")[0].rstrip(",:;") for name, cell in zip(software, line[1:])}
    with open(__file__, encoding="utf-8") as source:
        equal(set(rows), set(re.findall(r"^ +row\(\"([^\"]+)\"", source.read(), re.MULTILINE)), "rows of docs/interop.md")
    for name, cells in PROVED.items():  # with -k not all
        equal(rows[name], cells, f"row {name} of docs/interop.md")
