# SPDX-License-Identifier: GPL-2.0-or-later
"""The server: listeners and connections, the store behind them, counts, the log, and what the control socket can do."""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import collections
import json
import socket
import time
import uuid

from . import api, http2, kinds, managed, resources, tls, wire
from .faults import Fault
from .rbac import Rbac, Tokens
from .schema import Schemas
from .status import ApiError, error
from .store import Store

asyncio.sslproto.SSLProtocol.max_size = 32768     # a buffer per connection: 256 kB would be 1.3 GB for 5,000 agents
ADMIN_GROUPS = ("system:masters",)


class Server:
    def __init__(self, listen: list[tuple[str, int]], tls_dir: str, version: str = "1.36", service_cidrs=None,
                 log: str | None = None):
        self.listen, self.tls_dir, self.version = listen, tls_dir, version
        self.watch_list = version != "1.26"
        self.streams_lists = version == "1.36"      # item by item, so in chunks of 2,048
        self.null_stamps = version != "1.36"        # creationTimestamp in bookmarks
        self.store, self.tokens, self.rbac, self.schemas = Store(), Tokens(), Rbac(), Schemas()
        self.allocator = kinds.Allocator(*([service_cidrs] if service_cidrs else []), old=version == "1.26")
        self.api = api.Api(self)
        self.faults: list[Fault] = []
        self.delays: dict[str, float] = {}
        self.shuffle, self.http2 = False, True
        self.bookmark_interval, self.min_request_timeout, self.too_new_wait = 60.0, 1800.0, 3.0
        self.forbidden_until = 0.0
        self.connections: set[wire.Connection] = set()
        self.tasks: set[asyncio.Task] = set()
        self.sockets: list[socket.socket] = []
        self.acceptors: list[asyncio.Task] = []
        self.held: list[socket.socket] = []
        self.frozen, self.melted = asyncio.Event(), asyncio.Event()
        self.counts: dict = collections.defaultdict(lambda: collections.Counter())
        self.open_requests = 0
        self.log = open(log, "a", encoding="utf-8", buffering=1) if log else None
        self.flow = str(uuid.uuid4()), str(uuid.uuid4())
        self._make_resources()

    def _make_resources(self):
        builtin = resources.BUILTIN + ((resources.SERVICE_CIDRS,) if self.version != "1.26" else ())
        for resource in builtin + resources.WEFT:
            self.store.add(resource)
        namespaces = self.store.find("", "v1", "namespaces")
        for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
            made = {"metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z",
                                 "labels": {"kubernetes.io/metadata.name": name}}}
            managed.update(namespaces.resource, None, made, "kube-apiserver", False, "2026-01-01T00:00:00Z")
            made.update(spec={"finalizers": ["kubernetes"]}, status={"phase": "Active"})
            self.store.put(namespaces, made)

    # -- life

    async def start(self):
        self.ssl = tls.context(self.tls_dir, self.http2)
        self.frozen.clear()
        self.melted.set()
        for host, port in self.listen:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((host, port))
            sock.listen(1024)
            sock.setblocking(False)
            self.sockets.append(sock)
            self.acceptors.append(asyncio.ensure_future(self._accept(sock)))
        self.listen = [sock.getsockname()[:2] for sock in self.sockets]

    def refuse(self):
        """Nobody listens; what is connected stays."""
        loop = asyncio.get_running_loop()
        for task in self.acceptors:
            task.cancel()
        for sock in self.sockets:
            loop.remove_reader(sock)    # the cancelled accept does so too late
            sock.close()
        self.acceptors, self.sockets = [], []

    def close_connections(self, how: str = "abruptly"):
        for connection in list(self.connections):
            if how == "orderly":
                connection.close()
            else:
                connection.abort(how == "reset")
        for sock in self.held:
            sock.close()
        self.held = []

    async def stop(self, how: str = "orderly"):
        """orderly: watches end with their last chunk, TLS says goodbye; abruptly: as after SIGKILL."""
        self.refuse()
        if how == "orderly":
            self.go_away()
            self.end_watches()
            await asyncio.sleep(0.1)
        self.close_connections(how)
        for task in list(self.tasks):
            task.cancel()

    def end_watches(self, plurals=()):
        for collection in self.store.collections.values():
            if not plurals or collection.resource.plural in plurals:
                for watcher in list(collection.watchers):
                    watcher.stop()

    def fail_watches(self, problem: ApiError, plurals=()):
        """An ERROR event, then the end."""
        for collection in self.store.collections.values():
            if not plurals or collection.resource.plural in plurals:
                for watcher in list(collection.watchers):
                    watcher.fail(problem)

    def go_away(self):
        """HTTP/2's GOAWAY: streams go on, new ones need another connection."""
        for connection in self.connections:
            if connection.session is not None:
                connection.session.go_away()

    def reinitialize(self, collection):
        """As after a change of the resource's CustomResourceDefinition."""
        self.end_watches([collection.resource.plural])
        collection.floor = self.store.rv
        collection.busy = self.version != "1.26"

    def set_http2(self, on: bool):
        self.http2 = on
        self.ssl.set_alpn_protocols(["h2", "http/1.1"] if on else ["http/1.1"])

    # -- connections

    async def _accept(self, listener: socket.socket):
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, peer = await loop.sock_accept(listener)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.frozen.is_set():
                self.held.append(sock)
                continue
            task = asyncio.ensure_future(self._greet(sock, peer[0]))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _greet(self, sock: socket.socket, client: str):
        """TLS for who speaks it; a hint for who speaks HTTP to the TLS port."""
        loop = asyncio.get_running_loop()
        try:
            first = await asyncio.wait_for(_peek(loop, sock), wire.HEAD_TIMEOUT)
            if first and first != b"\x16":
                await loop.sock_sendall(sock, b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS "
                                        b"server.\n")
            if first != b"\x16":
                sock.close()
                return
            await loop.connect_accepted_socket(lambda: wire.Connection(self, client, sock), sock, ssl=self.ssl,
                                               ssl_handshake_timeout=30)
        except (OSError, asyncio.TimeoutError):
            sock.close()
        except asyncio.CancelledError:
            sock.close()
            raise

    def connected(self, connection: wire.Connection):
        self.counts[connection.client]["connections"] += 1
        self.connections.add(connection)
        task = asyncio.ensure_future(self._serve(connection))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _serve(self, connection: wire.Connection):
        try:
            if connection.alpn == "h2":
                connection.session = http2.Session(connection)
                await connection.session.run()
            else:
                await wire.serve_http1(connection)
        except (wire.Cut, ConnectionError):
            connection.abort()
        finally:
            self.connections.discard(connection)
            connection.close()

    # -- requests

    def headers(self) -> dict:
        return {"Audit-Id": str(uuid.uuid4()), "Cache-Control": "no-cache, private",
                "X-Kubernetes-Pf-Flowschema-Uid": self.flow[0], "X-Kubernetes-Pf-Prioritylevel-Uid": self.flow[1]}

    def forbidding(self) -> bool:
        return time.monotonic() < self.forbidden_until

    async def handle(self, request: wire.Request, sink: wire.Sink):
        begun, note = time.monotonic(), ""
        target = api.parse(request.path)
        wanted = api.asked(self, request, target)
        user = None
        self.open_requests += 1
        try:
            try:
                user = api.authenticate(self, request)
                if not await self._fault(request, sink, wanted, user):
                    await self.api.respond(request, sink, target, wanted, user)
            except ApiError as problem:
                await self._fail(request, sink, problem)
            except (wire.Cut, ConnectionError, asyncio.CancelledError):
                raise
            except Exception as problem:  # pylint: disable=broad-except
                note = f"{type(problem).__name__}: {problem}"
                await self._fail(request, sink, error(500, "InternalError", f"test server: {note}"))
        except (wire.Cut, ConnectionError) as problem:
            note = note or str(problem) or type(problem).__name__
            sink.keep = False
            if request.protocol != "HTTP/2.0":
                raise
        finally:
            self.open_requests -= 1
            self._count(request, sink, wanted, user, time.monotonic() - begun, note)

    async def _fault(self, request, sink, wanted, user) -> bool:
        self.faults = [fault for fault in self.faults if not fault.over()]
        for fault in self.faults:
            if fault.matches(request, wanted, user) and not fault.over():
                fault.hits += 1
                sink.fault = fault
                if await fault.before(sink):
                    return True
        return False

    async def _fail(self, request, sink, problem: ApiError):
        if sink.code:
            raise wire.Cut(str(problem))
        await self.api.fail(request, sink, problem)

    def _count(self, request, sink, wanted, user, took: float, note: str):
        who = user.name if user else ""
        for key in (request.client, who or "-", "all"):
            count = self.counts[key]
            count["requests"] += 1
            count["bytes"] += sink.bytes
            count[f"{wanted.verb} {wanted.resource or request.path}"] += 1
            count[f"status {sink.code}"] += 1
        if self.log:
            self.log.write(json.dumps({
                "time": round(time.time(), 3), "client": request.client, "user": who, "agent":
                request.headers.get("user-agent", ""), "method": request.method, "target": request.target, "path": request.path,
                "verb": wanted.verb, "resource": wanted.resource, "status": sink.code, "in": len(request.body),
                "bytes": sink.bytes, "seconds": round(took, 4), "protocol": request.protocol,
                **({"note": note} if note else {})}) + "\n")


async def _peek(loop, sock: socket.socket) -> bytes:
    """The first byte, left where it is."""
    ready = loop.create_future()
    loop.add_reader(sock, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(sock)
    return sock.recv(1, socket.MSG_PEEK)
