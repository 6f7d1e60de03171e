# SPDX-License-Identifier: GPL-2.0-or-later
"""Which flows a router forwards, as its kernel counts them. `ip route get` can't tell: a kernel that knows a packet's sender, too,
chooses by the hash that the sender's socket has, which is another one for each connection.
"""

from __future__ import annotations

import json
import socket

from weftlab import LabError, TcpStream, wait_until

TABLE = """table inet crossing {
  set four { type ipv4_addr . ipv4_addr . inet_proto . inet_service; size 4096; flags dynamic; }
  set six { type ipv6_addr . ipv6_addr . inet_proto . inet_service; size 4096; flags dynamic; }
  chain forward {
    type filter hook forward priority 0;
    add @four { ip saddr . ip daddr . meta l4proto . th sport }
    add @six { ip6 saddr . ip6 daddr . meta l4proto . th sport }
  }
}"""
PORTS = 48  # one of four takes the same of two ToRs both ways


class Crossing:
    """While it is open, the router's kernel notes what it forwards."""

    def __init__(self, router):
        self.ns = router.ns

    def __enter__(self):
        self.ns.run(["nft", "-f", "-"], stdin=TABLE)
        return self

    def __exit__(self, *_):
        self.ns.run("nft delete table inet crossing")

    def seen(self) -> set[tuple]:
        """(source, destination, protocol, source port)"""
        found = set()
        for item in json.loads(self.ns.run("nft -j list table inet crossing"))["nftables"]:
            for element in item.get("set", {}).get("elem", []):
                value = element["elem"]["val"] if "elem" in element else element
                found.add(tuple(value["concat"]))
        return found


def flow(a, b, family: int, proto: str, port: int) -> set[tuple]:
    """Both ways of a flow that has the same port at both ends."""
    return {(a.ip(family), b.ip(family), proto, port), (b.ip(family), a.ip(family), proto, port)}


def choose_port(router, a, b, family: int, first: int) -> int:
    """A UDP port whose packets pass the router, both ways."""
    ports = range(first, first + PORTS)
    with Crossing(router) as crossing:
        for port in ports:
            for one, other in ((a, b), (b, a)):
                with one.ns.socket(family, socket.SOCK_DGRAM, one.ip(family), port) as end:
                    end.sendto(b"?", (other.ip(family), port))
        found = []

        def some():
            seen = crossing.seen()
            found[:] = [port for port in ports if flow(a, b, family, "udp", port) <= seen]
            return found

        wait_until(some, 10, f"a port from {first} on whose IPv{family} packets take {router.name} both ways", 0.2)
    return found[0]


def choose_stream(router, a, b, first: int) -> TcpStream:
    """A stream that has begun and passes the router, both ways."""
    with Crossing(router) as crossing:
        for port in range(first, first + PORTS):
            stream = TcpStream(a, b, port=port, source_port=port, chunk=512).start()
            stream.wait_progress(1024)
            if flow(a, b, 4, "tcp", port) <= crossing.seen():
                return stream
            stream.stop()
    raise LabError(f"none of {PORTS} streams took {router.name} both ways")


def all_cross(router, flows: set[tuple]) -> bool:
    """Does the router forward each of these flows now?"""
    with Crossing(router) as crossing:
        try:
            wait_until(lambda: flows <= crossing.seen(), 3, f"all flows at {router.name}", 0.2)
        except LabError:
            return False
    return True
