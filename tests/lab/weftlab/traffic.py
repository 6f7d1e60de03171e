# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers that say who they are and whom they see, clients that ask them, and a hammer that counts failed requests.

All servers of a lab live in one thread of the lab's Python, with sockets in the namespaces of pods, nodes and hosts: one
costs no process. Over TCP and SCTP a server answers a line `who` and an HTTP GET alike, over UDP any datagram, with
`NAME SOURCE PORT`: its own name, and the address and port that it sees.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from .check import LabError, wait_until
from .probe import _Background

SCTP = 132
TIMEOUT = 2.0


def _protocol(proto: str) -> tuple[int, int]:
    """Socket type and protocol."""
    return {"tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP), "udp": (socket.SOCK_DGRAM, 0),
            "sctp": (socket.SOCK_STREAM, SCTP)}[proto.lower()]


def _plain(address: str) -> str:
    return address[7:] if address.startswith("::ffff:") else address


# Servers


class Server:
    """One listening socket, of both families. Made by Servers.add()."""

    def __init__(self, servers, place, port: int, proto: str, name: str):
        self.servers, self.ns, self.port, self.proto, self.name = servers, place.ns, port, proto.lower(), name
        self.requests = 0
        self.draining = False
        self.buffers: dict[socket.socket, bytes] = {}
        kind, number = _protocol(proto)
        with place.ns:
            self.socket = socket.socket(socket.AF_INET6, kind, number)
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setblocking(False)
        self.socket.bind(("::", port))
        if kind == socket.SOCK_STREAM:
            self.socket.listen(128)

    @property
    def connections(self) -> int:
        return len(self.buffers)

    def drain(self, timeout: float = 20):
        """As a well-behaved server ends: no new connections, the next answer on each old one is its last."""
        self.draining = True
        self.servers.forget(self, listener_only=True)
        wait_until(lambda: not self.buffers, timeout, f"the connections of {self.name} to end")

    def close(self):
        """As a process dies: connections too."""
        self.servers.forget(self)

    # In the servers' thread

    def _ready(self, which: socket.socket):
        if which is not self.socket:
            self._serve(which)
        elif self.proto == "udp":
            with contextlib.suppress(BlockingIOError):
                while True:
                    data, peer = self.socket.recvfrom(2048)
                    self._datagram(data, peer)
        else:
            with contextlib.suppress(BlockingIOError):
                while True:
                    accepted = self.socket.accept()[0]
                    accepted.setblocking(False)
                    self.buffers[accepted] = b""
                    self.servers._watch(accepted, self)

    def _answer(self, peer) -> bytes:
        self.requests += 1
        return f"{self.name} {_plain(peer[0])} {peer[1]}".encode()

    def _datagram(self, data: bytes, peer):
        with contextlib.suppress(OSError):
            self.socket.sendto(self._answer(peer) + b" " + data, peer)

    def _serve(self, connection: socket.socket):
        try:
            data = connection.recv(65536)
            if not data:
                raise ConnectionError
            data = self.buffers[connection] + data
            close = False
            if data.startswith(b"GET "):
                while b"\r\n\r\n" in data:
                    head, _, data = data.partition(b"\r\n\r\n")
                    close = self.draining or b"connection: close" in head.lower()
                    body = self._answer(connection.getpeername())
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n%s"
                                       % (len(body), b"close" if close else b"keep-alive", body))
            else:
                while b"\n" in data:
                    data = data.partition(b"\n")[2]
                    connection.sendall(self._answer(connection.getpeername()) + b"\n")
            self.buffers[connection] = data
            if close:
                raise ConnectionError
        except BlockingIOError:
            pass
        except OSError:
            self._drop(connection)

    def _drop(self, connection: socket.socket):
        if self.buffers.pop(connection, None) is not None:
            self.servers._unwatch(connection)
            connection.close()

    def __repr__(self):
        return f"<server {self.name} {self.proto}/{self.port}>"


class Servers:
    """All servers of a lab, and the thread that serves them."""

    def __init__(self):
        self.lock = threading.RLock()
        self.epoll = select.epoll()
        self.watched: dict[int, tuple[socket.socket, Server]] = {}
        self.all: list[Server] = []
        self.thread: threading.Thread | None = None

    def add(self, place, port: int, proto: str = "tcp", name: str | None = None) -> Server:
        """A server in place's namespace (pod, node, host), called as place unless a name is given."""
        with self.lock:
            if self.thread is None:
                _servers.append(self)
                self.thread = threading.Thread(target=self._run, daemon=True)
                self.thread.start()
            made = Server(self, place, port, proto, name or place.name)
            self.all.append(made)
            self._watch(made.socket, made)
            return made

    def forget(self, server: Server, listener_only: bool = False):
        with self.lock:
            if server in self.all:
                self.all.remove(server)
                self._unwatch(server.socket)
                server.socket.close()
            if not listener_only:
                for connection in list(server.buffers):
                    server._drop(connection)

    def leave(self, ns):
        """Ends the servers of a namespace that goes."""
        for server in [each for each in self.all if each.ns is ns]:
            server.close()

    def close(self):
        for server in list(self.all):
            server.close()

    def _watch(self, which: socket.socket, server: Server):
        self.watched[which.fileno()] = (which, server)
        self.epoll.register(which.fileno(), select.EPOLLIN)

    def _unwatch(self, which: socket.socket):
        if self.watched.pop(which.fileno(), None) is not None:
            self.epoll.unregister(which.fileno())

    def _run(self):
        while True:
            for number, _ in self.epoll.poll():
                with self.lock:
                    which, server = self.watched.get(number, (None, None))
                    if which is not None:
                        server._ready(which)

    def _in_child(self):
        """A forked probe must not keep our sockets open."""
        for which, _ in self.watched.values():
            which.close()
        self.watched.clear()


_servers: list[Servers] = []


def _before_fork():
    for servers in _servers:
        servers.lock.acquire()


def _after_fork(child: bool):
    for servers in _servers:
        if child:
            servers._in_child()
        servers.lock.release()


os.register_at_fork(before=_before_fork, after_in_parent=lambda: _after_fork(False),
                    after_in_child=lambda: _after_fork(True))


# Clients


@dataclass(frozen=True)
class Reply:
    """outcome: `answered`, `refused`, `reset`, `unreachable`, `timeout`."""
    outcome: str
    who: str = ""
    source: str = ""
    port: int = 0

    @property
    def text(self) -> str:
        """Who answered, or why nobody did."""
        return self.who or self.outcome


def _outcome(error: OSError) -> str:
    # EPERM: the packet was dropped in the asker's own output hook.
    if isinstance(error, TimeoutError) or error.errno == errno.EPERM:
        return "timeout"
    return {errno.ECONNREFUSED: "refused", errno.ECONNRESET: "reset", errno.EPIPE: "reset",
            errno.EHOSTUNREACH: "unreachable", errno.ENETUNREACH: "unreachable",
            errno.EADDRNOTAVAIL: "unreachable", errno.EACCES: "prohibited"}.get(error.errno, str(error))


def client_socket(place, address, proto: str, source: str | None = None, source_port: int = 0) -> socket.socket:
    """A socket in place's namespace, bound only if a source is asked for."""
    version = socket.AF_INET6 if ":" in str(address) else socket.AF_INET
    with place.ns:
        made = socket.socket(version, *_protocol(proto))
    if source or source_port:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((source or ("::" if version == socket.AF_INET6 else "0.0.0.0"), source_port))
    return made


def _read_reply(made: socket.socket) -> Reply:
    data = made.recv(2048)
    if not data:
        return Reply("reset")
    who, source, port = data.split()[:3]
    return Reply("answered", who.decode(), source.decode(), int(port))


def ask(place, address, port: int, proto: str = "tcp", timeout: float = TIMEOUT, source: str | None = None,
        source_port: int = 0) -> Reply:
    """One new connection (or datagram) from place."""
    with client_socket(place, address, proto, source, source_port) as made:
        made.settimeout(timeout)
        try:
            made.connect((str(address), port))
            made.send(b"who\n")
            return _read_reply(made)
        except OSError as error:
            return Reply(_outcome(error))


class Conversation:
    """A connection that stays: ask() again and again. For UDP: one source port."""

    def __init__(self, place, address, port: int, proto: str = "tcp", timeout: float = TIMEOUT, **options):
        self.socket = client_socket(place, address, proto, **options)
        self.socket.settimeout(timeout)
        self.socket.connect((str(address), port))

    def ask(self) -> Reply:
        try:
            self.socket.send(b"who\n")
            return _read_reply(self.socket)
        except OSError as error:
            return Reply(_outcome(error))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def spread(place, address, port: int, proto: str = "tcp", count: int = 8, timeout: float = TIMEOUT) -> Counter:
    """Who answers how often; one that is not answered counts by its outcome, and ends it."""
    seen: Counter = Counter()
    for _ in range(count):
        reply = ask(place, address, port, proto, timeout)
        seen[reply.text] += 1
        if not reply.who:
            break
    return seen


def wait_who(place, address, port: int, expected, proto: str = "tcp", timeout: float = 20, per: int = 2) -> set[str]:
    """Until exactly the expected answer: a name or an outcome, or several names."""
    wanted = {expected} if isinstance(expected, str) else set(expected)
    patience = 0.7 if "timeout" in wanted else TIMEOUT

    def seen():
        found = set(spread(place, address, port, proto, per * len(wanted), patience))
        if found != wanted:
            raise LabError(f"{sorted(found)} answered")
        return found

    return wait_until(seen, timeout, f"{sorted(wanted)} to answer {place.name} at {address} port {port}/{proto}", 0.05)


def http(place, address, port: int, path: str = "/", timeout: float = 5) -> tuple[int, dict, bytes]:
    """One GET: status, headers with lower-case names, body."""
    with client_socket(place, address, "tcp") as made:
        made.settimeout(timeout)
        made.connect((str(address), port))
        made.sendall(f"GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n".encode())
        data = b"".join(iter(lambda: made.recv(65536), b""))
    if not data:
        raise ConnectionResetError("closed without an answer")  # a listener that went with this connection in its queue
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return int(first.split()[1]), {key.lower(): value.strip() for key, _, value in pairs}, body


@dataclass
class HammerResult:
    answered: int = 0
    reconnects: int = 0
    longest: float = 0.0
    failures: list = field(default_factory=list)
    who: Counter = field(default_factory=Counter)

    def __str__(self):
        return (f"{self.answered} answered, {len(self.failures)} failed, slowest {self.longest:.2f} s"
                + "".join(f"\n    {text}" for text in self.failures[:10]))

    def none_failed(self, what: str):
        if self.failures:
            raise LabError(f"{what}: expected no failed request, got {self}")


class Hammer(_Background):
    """HTTP requests from each of the places, on new connections and on kept ones, until the block is left.

        with Hammer([pod, client], vip, 80) as hammer:
            ...the event...
            hammer.wait_answered(100)
        hammer.result.none_failed("20 updates")

    A kept connection is opened anew only when the server has said that it closes it."""

    ANSWERED, FAILED = range(2)

    def __init__(self, places, address, port: int, keep: int = 1, new: int = 1, interval: float = 0.02,
                 timeout: float = 5):
        super().__init__(2)
        self.places, self.address, self.port = places, address, port
        self.keep, self.new, self.interval, self.timeout = keep, new, interval, timeout

    def __str__(self):
        return f"hammer on {self.address} port {self.port}"

    def start(self):
        self.launch()
        self.wait_answered(4 * len(self.places) * (self.keep + self.new))
        return self

    def wait_answered(self, count: int = 20, timeout: float = 30):
        """Until count more requests have been answered (or some failed)."""
        target = self.figure(self.ANSWERED) + count
        wait_until(lambda: self.figure(self.ANSWERED) >= target or self.figure(self.FAILED), timeout,
                   f"{count} more answers of the {self}", 0.02)

    @property
    def failed(self) -> int:
        return int(self.figure(self.FAILED))

    # The forked side

    def work(self, stop: int) -> HammerResult:
        self.outcome, self.lock, self.over = HammerResult(), threading.Lock(), threading.Event()
        threads = [threading.Thread(target=self._client, args=(place, keep))
                   for place in self.places for keep in [True] * self.keep + [False] * self.new]
        for thread in threads:
            thread.start()
        select.select([stop], [], [])
        self.over.set()
        for thread in threads:
            thread.join()
        return self.outcome

    def _client(self, place, keep: bool):
        made = None
        while not self.over.is_set():
            started = time.monotonic()
            try:
                if made is None:
                    made = client_socket(place, self.address, "tcp")
                    made.settimeout(self.timeout)
                    made.connect((self.address, self.port))
                who, closing = self._request(made, keep)
                self._note(time.monotonic() - started, who, None)
                if closing:
                    made.close()
                    made = None
            except OSError as error:
                way = "kept" if keep else "new"
                self._note(time.monotonic() - started, "", f"at {started:.2f} {way} connection from {place.name}: {error!r}")
                if made is not None:
                    made.close()
                    made = None
            self.over.wait(self.interval)
        if made is not None:
            made.close()

    def _request(self, made: socket.socket, keep: bool) -> tuple[str, bool]:
        made.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: %s\r\n\r\n" % (b"keep-alive" if keep else b"close"))
        data = b""
        while True:
            piece = made.recv(65536)
            if not piece:
                raise ConnectionResetError("closed without an answer")
            data += piece
            head, done, body = data.partition(b"\r\n\r\n")
            if done and len(body) >= int(head.lower().partition(b"content-length:")[2].split()[0]):
                return body.split()[0].decode(), b"connection: close" in head.lower()

    def _note(self, seconds: float, who: str, failure: str | None):
        with self.lock:
            result = self.outcome
            result.longest = max(result.longest, seconds)
            if failure is None:
                result.answered += 1
                result.who[who] += 1
                self.publish(self.ANSWERED, result.answered)
            else:
                result.failures.append(failure)
                self.publish(self.FAILED, len(result.failures))
