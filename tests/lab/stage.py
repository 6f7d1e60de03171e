# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of Services share: three backends on three nodes, a fourth node without one, and who asks.

    r1n1  pod `near`, pod `asker`      r1n2  pod `beside`
    r2n1  pod `far`                    r2n2  pod `lonely`, no backend
    client, behind the spine
"""

from weftlab import LabError, parallel, wait_until


class Stage:
    """Made by a module's setup(lab); its pods and servers (port 8080) stay for all the module's tests."""

    def __init__(self, lab, protos=("tcp",)):
        self.lab, self.client = lab, lab["client"]
        self.node, self.beside_node, self.far_node, self.empty_node = (lab[n] for n in ("r1n1", "r1n2", "r2n1", "r2n2"))
        groups = [(self.node, ["near", "asker"]), (self.beside_node, ["beside"]), (self.far_node, ["far"]),
                  (self.empty_node, ["lonely"])]
        made = parallel(lambda group: [group[0].pod(name) for name in group[1]], groups)
        (self.near, self.asker), (self.beside,), (self.far,), (self.lonely,) = made
        self.backends = [self.near, self.beside, self.far]
        for proto in protos:
            lab.serve(*self.backends, proto=proto)
        lab.wait_blocks()
        lab.keep()

    @property
    def names(self):
        return {pod.name for pod in self.backends}


def host(address):
    """An address as a prefix of its own."""
    return f"{address}/{128 if ':' in address else 32}"


def wait_routed(lab, *addresses, at="spine"):
    """Until a router has a route for each address by BGP."""
    def missing():
        return [a for a in addresses if host(a) not in lab[at].prefixes(6 if ":" in a else 4)]
    wait_until(lambda: not missing() or _fail(missing()), 30, f"{addresses} at {at}")


def wait_not_routed(lab, *addresses, at="spine"):
    wait_until(lambda: not any(host(a) in lab[at].prefixes(6 if ":" in a else 4) for a in addresses), 30,
               f"{addresses} to be gone from {at}")


def _fail(missing):
    raise LabError(f"{missing} missing")


def problems(node):
    """All that weftd complains about, as one text."""
    return " | ".join(f"{p.get('object', '')}: {p['text']}" for p in node.weft("status")["problems"])


def wait_virtual(node, key, condition, what):
    """Until node's virtual service (None: there is none) fulfils a condition."""
    def looked():
        found = node.ipvs().get(key)
        if condition(found):
            return True
        raise LabError(f"{key} on {node.name} is {found}")
    wait_until(looked, 20, what, 0.05)


def wait_chosen(node, service, places, index=0):
    """Until exactly these places get the ClusterIP's new connections on node, in all families."""
    for family in service.families:
        wanted = {place.ip(family) for place in places}
        wait_virtual(node, service.key(family, index), lambda v: (v.chosen if v else set()) == wanted,
                     f"{node.name} to send {service.name} to {sorted(p.name for p in places)}, IPv{family}")


def wait_no_handover(lab):
    """Until no node hands connections over any more: a minute after the last drain (a taint is one)."""
    for node in lab.nodes.values():
        wait_until(lambda: node.ns.sysctl("ipv4/vs/sloppy_tcp") == "0", 100, f"{node.name} to end the hand-over")


def fence(lab, stage):
    """Until every node has done what was written before: a Service of its own appears everywhere."""
    made = lab.service("fence", [stage.near])
    for node in lab.nodes.values():
        wait_chosen(node, made, [stage.near])
    made.delete()
    for node in lab.nodes.values():
        for family in lab.families:
            wait_virtual(node, made.key(family), lambda v: v is None, f"{node.name} to forget the fence")
