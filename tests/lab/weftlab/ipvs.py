# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel's IPVS holds in a namespace, read by generic netlink: ipvsadm costs a process, and /proc/net/ip_vs
leaves out services while other namespaces have some."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from dataclasses import dataclass, field

from .ns import Netns

NETLINK_GENERIC, GENL_CTRL, CTRL_GETFAMILY = 16, 16, 3
REQUEST, DUMP, ERROR, DONE = 1, 0x300, 2, 3
GET_SERVICE, GET_DEST = 4, 8
PROTOCOLS = {6: "TCP", 17: "UDP", 132: "SCTP"}


@dataclass
class Destination:
    weight: int
    active: int
    inactive: int


@dataclass
class Virtual:
    """One virtual service. dests: (address, port) -> Destination."""
    scheduler: str
    flags: int
    timeout: int
    dests: dict = field(default_factory=dict)

    @property
    def persistent(self) -> int:
        """Seconds of affinity, 0 = none."""
        return self.timeout if self.flags & 1 else 0

    @property
    def weights(self) -> dict:
        return {key: dest.weight for key, dest in self.dests.items()}

    @property
    def chosen(self) -> set:
        """Addresses that get new connections."""
        return {address for (address, _), dest in self.dests.items() if dest.weight}


def services(ns: Netns) -> dict:
    """("TCP", "10.96.0.1", 80) or ("FWM4", mark) -> Virtual."""
    with ns, socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        link.bind((0, 0))
        number = _family(link)
        found = {}
        for attributes in _dump(link, number, GET_SERVICE, b"") if number else ():
            service = _attributes(attributes[1])
            key, nest = _key(service)
            virtual = Virtual(service[6].rstrip(b"\0").decode(), struct.unpack_from("=I", service[7])[0],
                              struct.unpack("=I", service[8])[0])
            for row in _dump(link, number, GET_DEST, nest):
                dest = _attributes(row[2])
                version = struct.unpack("=H", dest[11])[0] if 11 in dest else struct.unpack("=H", service[1])[0]
                address = _address(version, dest[1])
                weight, active, inactive = (struct.unpack("=I", dest[each])[0] for each in (4, 7, 8))
                virtual.dests[address, struct.unpack("!H", dest[2])[0]] = Destination(weight, active, inactive)
            found[key] = virtual
        return found


def family(ns: Netns) -> int:
    """The number of generic netlink's family IPVS, 0: there is none."""
    with ns, socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC) as link:
        link.bind((0, 0))
        return _family(link)


def _key(service: dict) -> tuple[tuple, bytes]:
    """The key, and the attribute that names the service in a request."""
    version = struct.unpack("=H", service[1])[0]
    if 5 in service:
        key = ("FWM4" if version == socket.AF_INET else "FWM6", struct.unpack("=I", service[5])[0])
        names = (1, 5)
    else:
        protocol, port = struct.unpack("=H", service[2])[0], struct.unpack("!H", service[4])[0]
        key = (PROTOCOLS.get(protocol, str(protocol)), _address(version, service[3]), port)
        names = (1, 2, 3, 4)
    return key, _attribute(0x8000 | 1, b"".join(_attribute(name, service[name]) for name in names))


def _address(version: int, data: bytes) -> str:
    return str(ipaddress.ip_address(data[:4] if version == socket.AF_INET else data[:16]))


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def _attributes(data: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        found[kind & 0x3fff] = data[at + 4:at + length]
        at += (length + 3) & ~3
    return found


def _family(link) -> int:
    """The number of the family IPVS, asking for it loads the module; 0 when the kernel has none."""
    request = struct.pack("=BBH", CTRL_GETFAMILY, 1, 0) + _attribute(2, b"IPVS\0")
    for kind, body in _transact(link, GENL_CTRL, REQUEST, request):
        if kind == GENL_CTRL:
            return struct.unpack("=H", _attributes(body[4:])[1])[0]
    return 0


def _dump(link, family: int, command: int, body: bytes) -> list[dict]:
    rows = _transact(link, family, REQUEST | DUMP, struct.pack("=BBH", command, 1, 0) + body)
    return [_attributes(row[4:]) for kind, row in rows if kind == family]


def _transact(link, kind: int, flags: int, body: bytes) -> list[tuple[int, bytes]]:
    link.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
    answers: list[tuple[int, bytes]] = []
    while True:
        data = link.recv(1 << 18)
        at = 0
        while at + 16 <= len(data):
            length, answer, answer_flags = struct.unpack_from("=IHH", data, at)
            body = data[at + 16:at + length]
            at += (length + 3) & ~3
            if answer == ERROR:
                code = -struct.unpack_from("=i", body)[0]
                if code in (0, errno.ENOENT, errno.ESRCH):  # gone between two questions
                    return answers
                raise OSError(code, f"IPVS: {os.strerror(code)}")
            if answer == DONE:
                return answers
            answers.append((answer, body))
            if not answer_flags & 2:  # not part of a dump
                return answers
