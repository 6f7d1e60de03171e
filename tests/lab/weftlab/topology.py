# SPDX-License-Identifier: GPL-2.0-or-later
"""Topology files: what stands in the small data centre and how it is cabled.

One statement per line, `#` starts a comment:

    router NAME as N [SOFTWARE] [OPTION]        runs BGP: bird (default), frr, gobgp or openbgpd; dynamic (bird, frr):
                                                takes the nodes of its LAN as dynamic neighbours; bare (frr): runs
                                                without configuration, a test brings it; graceful (frr): does
                                                graceful restart beside BFD, as GoBGP does anyway
    node   NAME rack R as N [address IP...]     runs weft; address: on the loopback, for nodes with several links
    host   NAME                                 an outsider with a default route
    lan    ROUTER NAME... NET... [mtu N]        a subnet on a bridge of ROUTER: it has .1 (::1), the others .11 (::11), .12 ...
    link   A B [NET...] [mtu N]                 a cable: A has the first address, B the second
    pool   CIDR [block N]                       addresses for pods
    like   TOPOLOGY                             starts from another file; a name declared again is replaced

Routers that share a link are BGP peers, and so are a node and each router it is connected to.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field

SOFTWARE = ("bird", "frr", "gobgp", "openbgpd")
FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "topologies")


@dataclass
class RouterSpec:
    name: str
    asn: int
    software: str = "bird"
    dynamic: bool = False
    bare: bool = False
    graceful: bool = False


@dataclass
class NodeSpec:
    name: str
    rack: str
    asn: int
    addresses: list = field(default_factory=list)


@dataclass
class HostSpec:
    name: str


@dataclass
class Cabling:
    """A lan (a bridge on the first member) or a link of two."""
    kind: str
    members: list
    networks: list
    mtu: int = 1500

    def address(self, member: str, network):
        """The interface address of a member in one of our networks."""
        place = self.members.index(member)
        if self.kind == "lan":
            last = "1" if place == 0 else str(10 + place)
            offset = int(last, 10 if network.version == 4 else 16)
        else:
            offset = place if network.num_addresses == 2 else place + 1
        return ipaddress.ip_interface(f"{network.network_address + offset}/{network.prefixlen}")


@dataclass
class PoolSpec:
    cidr: object
    block: int


class TopologyError(Exception):
    pass


class Topology:
    def __init__(self, name: str):
        self.name = os.path.basename(name)
        self.routers: dict[str, RouterSpec] = {}
        self.nodes: dict[str, NodeSpec] = {}
        self.hosts: dict[str, HostSpec] = {}
        self.cables: list[Cabling] = []
        self.pools: list[PoolSpec] = []
        self._read(name)
        for cable in self.cables:
            for member in cable.members:
                if member not in self.names():
                    raise TopologyError(f"{name}: {cable.kind} names {member}, which is not declared")

    def names(self) -> list[str]:
        return [*self.routers, *self.nodes, *self.hosts]

    def add_host(self, name: str, networks: list[str]):
        """One more outsider, behind the spine."""
        self._statement("host", [name])
        self._statement("link", ["spine", name, *networks])

    def families(self) -> list[int]:
        return sorted({network.version for cable in self.cables for network in cable.networks})

    def _read(self, name: str):
        path = name if os.path.sep in name else os.path.join(FOLDER, name)
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                words = line.split("#")[0].split()
                if not words:
                    continue
                try:
                    self._statement(words[0], words[1:])
                except (IndexError, ValueError, TopologyError) as error:
                    raise TopologyError(f"{path}:{number}: {line.strip()}: {error}") from error

    def _statement(self, verb: str, words: list[str]):
        if verb == "like":
            self._read(words[0])
        elif verb == "router":
            options = _options(words[1:], {"as": int}, {*SOFTWARE, "dynamic", "bare", "graceful"})
            software = [word for word in SOFTWARE if word in options] or ["bird"]
            if len(software) > 1 or ("dynamic" in options and software[0] not in ("bird", "frr")):
                raise TopologyError("one software for a router; dynamic neighbours with bird and frr")
            if software[0] != "frr" and ("bare" in options or "graceful" in options):
                raise TopologyError("only frr can be bare or graceful")
            self.routers[words[0]] = RouterSpec(words[0], options["as"], software[0], "dynamic" in options,
                                                "bare" in options, "graceful" in options)
        elif verb == "node":
            options = _options(words[1:], {"rack": str, "as": int, "address": list}, set())
            addresses = [ipaddress.ip_address(text) for text in options.get("address", [])]
            self.nodes[words[0]] = NodeSpec(words[0], options["rack"], options["as"], addresses)
        elif verb == "host":
            self.hosts[words[0]] = HostSpec(words[0])
        elif verb in ("lan", "link"):
            members = [word for word in words if word in self.names()]
            rest = [word for word in words if word not in members]
            mtu = int(rest[rest.index("mtu") + 1]) if "mtu" in rest else 1500
            networks = [ipaddress.ip_network(word) for word in rest if "/" in word]
            if len(members) + len(networks) + 2 * ("mtu" in rest) != len(words):
                raise TopologyError("unknown word or undeclared name")
            if len(members) < 2 or (verb == "link" and len(members) != 2):
                raise TopologyError(f"a {verb} needs two members")
            self.cables.append(Cabling(verb, members, networks, mtu))
        elif verb == "pool":
            cidr = ipaddress.ip_network(words[0])
            options = _options(words[1:], {"block": int}, set())
            self.pools.append(PoolSpec(cidr, options.get("block", 26 if cidr.version == 4 else 122)))
        else:
            raise TopologyError(f"unknown statement {verb}")


def _options(words: list[str], keyed: dict, flags: set) -> dict:
    """`as 65000 frr` -> {"as": 65000, "frr": True}; a list takes all that follows."""
    options: dict = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in flags:
            options[word] = True
        elif keyed.get(word) is list:
            options[word], rest = rest, []
        elif word in keyed:
            options[word] = keyed[word](rest.pop(0))
        else:
            raise TopologyError(f"unknown word {word}")
    for needed in ("as", "rack"):
        if needed in keyed and needed not in options:
            raise TopologyError(f"`{needed}` is missing")
    return options
