# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces, entered by the calling thread itself: under emulation a process costs 70 ms, a setns(2) none.

`with ns:` moves the thread, so sockets made inside belong to the namespace for ever, children started inside
run in it, and /proc/sys/net shows its settings. (sysfs is an exception: /sys/class/net shows the starter's.)
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import ipaddress
import json
import os
import select
import shlex
import socket
import struct
import subprocess
import threading
import time

from .check import LabError

FOLDER = "/run/netns"
CLONE_NEWNET = 0x40000000
MS_BIND, MNT_DETACH = 4096, 2
RTM_NEWQDISC, TC_H_ROOT, TCA_KIND, TCA_OPTIONS = 36, 0xffffffff, 1, 2
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

_libc = ctypes.CDLL(None, use_errno=True)
_here = threading.local()


def _call(name: str, *arguments):
    if getattr(_libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


class CommandError(LabError):
    def __init__(self, where: str, argv, status: int, output: str, wanted: str = "exit status 0"):
        self.status, self.output = status, output
        super().__init__(f"in {where}: {shlex.join(argv)}\n  expected {wanted}\n  got      exit status {status}"
                         + "".join(f"\n    {line}" for line in output.strip().splitlines()[-30:]))


class Netns:
    """A namespace with a name below /run/netns, so that `ip netns exec` and CNI plugins find it too."""

    def __init__(self, name: str, create: bool = True):
        self.name = name
        self.path = f"{FOLDER}/{name}"
        if create:
            self._create()
        self.fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    def _create(self):
        os.makedirs(FOLDER, exist_ok=True)
        os.close(os.open(self.path, os.O_CREAT | os.O_EXCL, 0o444))
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("unshare", CLONE_NEWNET)
            _call("mount", b"/proc/thread-self/ns/net", self.path.encode(), b"none", MS_BIND, None)
            _set_flags("lo", up=True)
        finally:
            _call("setns", back, CLONE_NEWNET)
            os.close(back)

    def delete(self):
        if self.fd < 0:
            return
        os.close(self.fd)
        self.fd = -1
        with contextlib.suppress(OSError):
            _call("umount2", self.path.encode(), MNT_DETACH)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def __enter__(self):
        stack = _here.__dict__.setdefault("stack", [])
        stack.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        try:
            _call("setns", self.fd, CLONE_NEWNET)
        except OSError:
            os.close(stack.pop())
            raise
        return self

    def __exit__(self, *_):
        back = _here.stack.pop()
        _call("setns", back, CLONE_NEWNET)
        os.close(back)

    # Commands

    def popen(self, command, **options) -> subprocess.Popen:
        with self:
            return subprocess.Popen(_argv(command), **options)

    def run(self, command, check: bool = True, stdin: str = "", timeout: float = 60, env=None) -> str:
        """Runs a command (a string or a list) and returns its stdout; stderr too when it fails."""
        argv = _argv(command)
        process = self.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env=env)
        try:
            out, err = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise CommandError(self.name, argv, process.returncode, out + err, f"an end within {timeout:g} s") from None
        if check and process.returncode != 0:
            raise CommandError(self.name, argv, process.returncode, out + err)
        return out

    def ip(self, arguments) -> list:
        """`ip -json ARGUMENTS`, decoded."""
        out = self.run(["ip", "-json", *_argv(arguments)])
        return json.loads(out) if out.strip() else []

    def ip_batch(self, lines: list[str]):
        if lines:
            self.run(["ip", "-batch", "-"], stdin="".join(line + "\n" for line in lines))

    # Settings

    def sysctl(self, name: str, value=None) -> str:
        """Reads or sets net.* with `/` between the parts: `ipv4/ip_forward`."""
        with self:
            path = f"/proc/sys/net/{name}"
            if value is not None:
                with open(path, "w", encoding="ascii") as file:
                    file.write(str(value))
            with open(path, encoding="ascii") as file:
                return file.read().strip()

    def set_link(self, interface: str, up: bool):
        with self:
            _set_flags(interface, up)

    # Reachability

    def ping(self, address, timeout: float = 2, source=None, size: int = 56, dont_fragment: bool = False) -> bool:
        """One ICMP echo from here, repeated each half second until an answer comes or the time is over."""
        return ping(self, address, timeout, source, size, dont_fragment)

    def reaches(self, address, timeout: float = 5):
        """Like ping, but a failure is an error that shows the route."""
        if not self.ping(address, timeout):
            route = self.run(["ip", "route", "get", str(address)], check=False).strip()
            raise LabError(f"{self.name} does not reach {address} within {timeout:g} s; its route: {route or 'none'}")

    def device_to(self, address) -> str | None:
        """The interface by which packets to address leave here; None when there is no route."""
        found = self.run(["ip", "-json", "route", "get", str(address)], check=False)
        return json.loads(found)[0].get("dev") if found.strip() else None

    def packets(self, interface: str) -> tuple[int, int]:
        """Packets received and sent by an interface."""
        with self, open("/proc/thread-self/net/dev", encoding="ascii") as table:
            for line in table:
                name, _, figures = line.partition(":")
                if name.strip() == interface:
                    columns = figures.split()
                    return int(columns[1]), int(columns[9])
        raise LabError(f"{self.name} has no interface {interface}")

    def socket(self, family: int, kind=socket.SOCK_DGRAM, address=None, port: int = 0) -> socket.socket:
        """A socket that lives in this namespace; bound when an address is given."""
        with self:
            made = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address is not None:
            made.bind((str(address), port))
        return made


def _argv(command) -> list[str]:
    return shlex.split(command) if isinstance(command, str) else [str(word) for word in command]


def _set_flags(interface: str, up: bool):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH22x", interface.encode(), 0)
        flags = struct.unpack("16xH22x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[0]
        flags = flags | IFF_UP if up else flags & ~IFF_UP
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH22x", interface.encode(), flags))


def lose_all(ns: Netns, interface: str):
    """`tc qdisc replace dev INTERFACE root netem loss 100%` without the time that a process takes."""
    netem = struct.pack("=HH", 24 + 4, TCA_OPTIONS) + struct.pack("=6I", 0, 1000, 0xffffffff, 0, 0, 0)
    with ns, socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        index = socket.if_nametoindex(interface)
        message = struct.pack("=BxxxiIII", 0, index, 0, TC_H_ROOT, 0) + struct.pack("=HH6sxx", 10, TCA_KIND, b"netem") + netem
        flags = 1 | 4 | 0x100 | 0x400  # REQUEST, ACK, REPLACE, CREATE
        netlink.send(struct.pack("=IHHII", 16 + len(message), RTM_NEWQDISC, flags, 1, 0) + message)
        failed = struct.unpack_from("=i", netlink.recv(4096), 16)[0]
    if failed:
        raise LabError(f"{ns.name}: netem on {interface}: {os.strerror(-failed)}")


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[:len(data) & ~1]))
    if len(data) & 1:
        total += data[-1] << 8
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


class Echo:
    """ICMP echo over a raw socket: send(number), then received() gives the numbers answered."""

    ICMP_FILTER, ICMP6_FILTER, IPPROTO_ICMPV6 = 1, 1, 58
    _next_ident = 0

    def __init__(self, ns: Netns, address, source=None, size: int = 56, dont_fragment: bool = False):
        self.address = ipaddress.ip_address(str(address))
        self.size = size
        Echo._next_ident += 1
        self.ident = (os.getpid() * 7 + Echo._next_ident) & 0xffff
        with ns:
            if self.address.version == 4:
                self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
                if dont_fragment:
                    self.socket.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
            else:
                self.socket = socket.socket(socket.AF_INET6, socket.SOCK_RAW, self.IPPROTO_ICMPV6)
                replies_only = bytearray(b"\xff" * 32)
                struct.pack_into("=I", replies_only, 4 * (129 >> 5), 0xffffffff & ~(1 << (129 & 31)))
                self.socket.setsockopt(self.IPPROTO_ICMPV6, self.ICMP6_FILTER, bytes(replies_only))
                if dont_fragment:
                    self.socket.setsockopt(socket.IPPROTO_IPV6, 23, 2)  # IPV6_MTU_DISCOVER
        self.socket.setblocking(False)
        if source is not None:
            self.socket.bind((str(source), 0))

    def send(self, number: int):
        payload = struct.pack("!Q", number).ljust(max(self.size, 8), b"w")
        header = struct.pack("!BBHHH", 8 if self.address.version == 4 else 128, 0, 0, self.ident, number & 0xffff)
        if self.address.version == 4:  # the kernel fills in the checksum of ICMPv6 only
            header = header[:2] + struct.pack("!H", checksum(header + payload)) + header[4:]
        self.socket.sendto(header + payload, (str(self.address), 0))

    def received(self):
        """The numbers whose answers have come; hand over on each call."""
        while True:
            try:
                packet = self.socket.recv(65535)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error that was queued on the socket
            if self.address.version == 4:
                packet = packet[(packet[0] & 15) * 4:]
            if len(packet) < 16:
                continue
            kind, _, _, ident, _ = struct.unpack_from("!BBHHH", packet)
            if kind in (0, 129) and ident == self.ident:
                yield struct.unpack_from("!Q", packet, 8)[0]

    def close(self):
        self.socket.close()


def ping(ns: Netns, address, timeout: float = 2, source=None, size: int = 56, dont_fragment: bool = False) -> bool:
    echo = Echo(ns, address, source, size, dont_fragment)
    try:
        deadline = time.monotonic() + timeout
        number = 0
        while (now := time.monotonic()) < deadline:
            with contextlib.suppress(OSError):  # no route yet, too long: a lost ping
                echo.send(number)
            number += 1
            until = min(deadline, now + 0.5)
            while (left := until - time.monotonic()) > 0:
                if select.select([echo.socket], [], [], left)[0] and any(True for _ in echo.received()):
                    return True
        return False
    finally:
        echo.close()


def seen_source(server: Netns, client: Netns, address, port: int = 7777, timeout: float = 5) -> str:
    """Sends UDP from client to address, which is server's, and returns the source address that server sees."""
    family = ipaddress.ip_address(str(address)).version
    with server.socket(family, address=address, port=port) as here, client.socket(family) as there:
        here.settimeout(0.3)
        deadline = time.monotonic() + timeout
        while True:
            with contextlib.suppress(OSError):
                there.sendto(b"who", (str(address), port))
            try:
                return here.recvfrom(100)[1][0]
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise LabError(f"UDP from {client.name} to {address} in {server.name}: nothing came "
                                   f"within {timeout:g} s") from None
            except OSError as error:
                if error.errno not in (errno.ECONNREFUSED,):
                    raise
