# SPDX-License-Identifier: GPL-2.0-or-later
"""What is asked of a namespace's kernel by netlink, seen by a monitor device: only what would change something.

Routes, links, addresses and rules, nftables, connection tracking, IPVS. Sysctls are files: snapshot() has them.
"""

from __future__ import annotations

import socket
import struct

from . import ipvs
from .check import LabError
from .ns import Netns

ROUTE, NETFILTER, GENERIC = 0, 12, 16
PACKET_KERNEL, SOL_PACKET, PACKET_STATISTICS, SO_RCVBUFFORCE = 7, 263, 6, 33
PROTO_BIRD = 12
NFTABLES, CONNTRACK, BATCH = 10, 1, (16, 17)
NFTABLES_GET = {1, 4, 7, 10, 13, 16, 19, 21, 23, 25, 33}
CONNTRACK_WRITE, IPVS_WRITE = {0, 2}, {1, 2, 3, 5, 6, 7, 9, 10, 12, 14, 16, 17}


class Writes:
    """`with Writes(node.ns) as writes:`, then writes.seen: a line for each. BIRD's own routes are left out."""

    def __init__(self, ns: Netns, device: str = "nlmon0"):
        self.ns, self.device, self.seen = ns, device, []

    def __enter__(self):
        self.family = ipvs.family(self.ns)
        self.ns.run(f"ip link add {self.device} type nlmon")
        self.ns.run(f"ip link set {self.device} up")
        with self.ns:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.socket.bind((self.device, 3))
        self.socket.setblocking(False)
        return self

    def __exit__(self, *_):
        try:
            while True:
                data, (_, protocol, kind, *_) = self.socket.recvfrom(1 << 18)
                if kind == PACKET_KERNEL:
                    self._messages(protocol, data)
        except BlockingIOError:
            pass
        dropped = struct.unpack("=II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        self.socket.close()
        self.ns.run(f"ip link del {self.device}")
        if dropped:
            raise LabError(f"the monitor of {self.ns} lost {dropped} messages")

    def _messages(self, protocol: int, data: bytes):
        at = 0
        while at + 16 <= len(data):
            length, kind = struct.unpack_from("=IH", data, at)
            if length < 16:
                break
            text = self._write(protocol, kind, data[at + 16:at + length])
            if text:
                self.seen.append(text)
            at += (length + 3) & ~3

    def _write(self, protocol: int, kind: int, body: bytes) -> str:
        subsystem, message = kind >> 8, kind & 0xff
        if protocol == ROUTE and kind >= 16 and kind % 4 != 2:
            birds = kind in (24, 25) and body[5] == PROTO_BIRD
            return "" if birds else f"rtnetlink message {kind} {body[:48].hex()}"
        if protocol == NETFILTER and subsystem == NFTABLES and message not in NFTABLES_GET:
            return f"nftables message {message} {body[:96]!r}"
        if protocol == NETFILTER and subsystem == CONNTRACK and message in CONNTRACK_WRITE:
            return f"conntrack message {message} {body[:48].hex()}"
        if protocol == GENERIC and self.family and kind == self.family and body[0] in IPVS_WRITE:
            return f"IPVS command {body[0]} {body[:64].hex()}"
        return ""
