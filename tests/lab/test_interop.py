# SPDX-License-Identifier: GPL-2.0-or-later
"""What weft's nodes and other routers' software do together, as one matrix: docs/interop.md.

Each test proves one row, a cell for each software; a cell that cannot be is a No, with what shows that it is not
there. The last test compares the matrix in docs with what was proved here.
"""

import os
import re

from weftlab import LabError, check, equal, wait_until, weft

LAB = {"topology": "interop", "password": "Correct-horse!battery#staple%32c", "datastore": "directory"}
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


def test_md5(lab):
    """The password is that of the Secret: with another one no session comes up, with the right one all do."""
    def secret(password):
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "weft-bgp", "namespace": "kube-system"},
                "stringData": {"password": password}}

    lab.datastore.put(secret("another one"))
    for router in lab.routers.values():
        wait_until(lambda: not router.established(), 30, f"{router.name} to refuse the wrong password")
    lab.datastore.put(secret(LAB["password"]))

    def cell(router):
        wait_until(lambda: len(router.established()) == 4, 60, "the sessions with the right password")

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
        equal(set(rows), set(re.findall(r"^    row\(\"([^\"]+)\"", source.read(), re.MULTILINE)), "rows of docs/interop.md")
    for name, cells in PROVED.items():  # with -k not all
        equal(rows[name], cells, f"row {name} of docs/interop.md")
