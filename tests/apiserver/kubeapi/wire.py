# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP/1.1 as Go's net/http writes it, and what both versions of HTTP share.

A handler writes into a Sink. Framing is what a kube-apiserver shows: a body of up to 2,048 bytes has a Content-Length,
a longer one is chunked through a buffer of 2,048 bytes (a single larger write is one chunk) and another of 4,096 for
the connection, so lines, chunks and even a chunk's CRLF are cut anywhere. Each piece of `out` is a TLS record.
Faults (faults.py) act here, on the bytes of a body as they leave.
"""

from __future__ import annotations

import asyncio
import email.utils
import socket
import struct
import urllib.parse
from dataclasses import dataclass, field

from .status import PHRASES

BODY_BUFFER, WIRE_BUFFER, BULK = 2048, 4096, 131072
MAX_BODY, MAX_HEAD = 3145728, 1 << 20
HEAD_TIMEOUT, IDLE_TIMEOUT = 32, 90


class Cut(Exception):
    """A fault ended this answer, or the other side is gone."""


@dataclass
class Request:
    method: str
    target: str
    headers: dict
    body: bytes = b""
    protocol: str = "HTTP/1.1"
    client: str = ""
    connection: object = None
    certificate: dict | None = None
    too_large: bool = False
    path: str = ""
    query: dict = field(default_factory=dict)

    def __post_init__(self):
        path, _, query = self.target.partition("?")
        self.path = urllib.parse.unquote(path)
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))


class GoWriter:
    """bufio.Writer: pieces go to `put` when `size` bytes are full; a larger one goes past an empty buffer."""

    def __init__(self, size: int, put):
        self.size, self.put, self.buffer = size, put, bytearray()

    def write(self, data):
        while len(data) > self.size - len(self.buffer):
            if not self.buffer:
                self.put(bytes(data))
                return
            rest = self.size - len(self.buffer)
            self.buffer += data[:rest]
            data = data[rest:]
            self.flush()
        self.buffer += data

    def flush(self):
        if self.buffer:
            self.put(bytes(self.buffer))
            self.buffer.clear()


class Sink:
    """An answer on its way. write() and flush() collect, drain() sends."""

    def __init__(self, connection, request: Request):
        self.connection, self.request = connection, request
        self.out: list[bytes] = []
        self.fault = None           # faults.Fault that acts on this answer
        self.code, self.bytes = 0, 0

    async def drain(self):
        pieces = self.out[:]
        self.out.clear()
        for piece in pieces:
            await self.connection.thawed()
            await (self.fault.send(self, piece) if self.fault is not None else self.send(piece))

    async def send(self, piece: bytes):
        raise NotImplementedError

    @property
    def gone(self) -> "Gone":
        return self.connection.gone


class Http1Sink(Sink):
    def __init__(self, connection, request: Request):
        super().__init__(connection, request)
        self.wire = GoWriter(WIRE_BUFFER, self.out.append)
        self.body = GoWriter(BODY_BUFFER, self._chunk)
        self.chunked = request.protocol != "HTTP/1.0"
        self.keep = request.protocol != "HTTP/1.0" and request.headers.get("connection", "").lower() != "close"
        self.uncounted = 0

    def _chunk(self, data: bytes):
        if not self.chunked:
            self.wire.write(data)
            return
        self.wire.write(f"{len(data):x}\r\n".encode())
        self.wire.write(data)
        self.wire.write(b"\r\n")

    def _head(self, code: int, headers: dict, framing: str | None):
        self.code = code
        shown = dict(sorted(headers.items()))
        closing = shown.pop("Connection", None)
        lines = [f"{'HTTP/1.0' if self.request.protocol == 'HTTP/1.0' else 'HTTP/1.1'} {code} {PHRASES.get(code, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in shown.items()]
        lines.append(f"Date: {email.utils.formatdate(usegmt=True)}")
        if framing:
            lines.append(framing)
        if closing or (not self.keep and self.request.protocol != "HTTP/1.0"):
            lines.append("Connection: close")
            self.keep = False
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        self.uncounted = len(head)
        self.wire.write(head)

    async def answer(self, code: int, headers: dict, writes: list):
        """A whole answer; writes: the handler's single writes, which decide where chunks are cut."""
        size = sum(map(len, writes))
        if self.request.method == "HEAD":
            self._head(code, headers, f"Content-Length: {size}")
        elif size <= BODY_BUFFER or not self.chunked:
            self._head(code, headers, f"Content-Length: {size}" if self.chunked else None)
            for each in writes:
                self.wire.write(each)
        else:
            self._head(code, headers, "Transfer-Encoding: chunked")
            if size > BULK:
                self._bulk(writes)
            else:
                for each in writes:
                    self.body.write(each)
                self.body.flush()
                self.wire.write(b"0\r\n\r\n")
        self.wire.flush()
        await self.drain()

    def _bulk(self, writes: list):
        """As the buffers would do it, but fast: records of 4 kB would show a client of a large answer nothing new."""
        self.wire.flush()
        body = memoryview(b"".join(writes))
        size = len(body) if len(writes) == 1 else BODY_BUFFER
        parts = []
        for at in range(0, len(body), size):
            part = body[at:at + size]
            parts += (b"%x\r\n" % len(part), part, b"\r\n")
        parts.append(b"0\r\n\r\n")
        joined = memoryview(b"".join(parts))
        self.out += [joined[at:at + BULK] for at in range(0, len(joined), BULK)]

    async def begin(self, code: int, headers: dict):
        """A stream: the head goes out at once."""
        self._head(code, headers, "Transfer-Encoding: chunked" if self.chunked else None)
        await self.flush()

    def write(self, data: bytes):
        self.body.write(data)

    async def flush(self):
        self.body.flush()
        self.wire.flush()
        await self.drain()

    async def end(self):
        self.body.flush()
        if self.chunked:
            self.wire.write(b"0\r\n\r\n")
        self.wire.flush()
        await self.drain()

    async def send(self, piece):
        if self.gone.is_set():
            raise Cut("the client is gone")
        self.bytes += len(piece)
        self.connection.writer.write(piece)
        await self.connection.writer.drain()


class Gone(asyncio.Event):
    """Set once; tells who waits for something else too."""

    def __init__(self):
        super().__init__()
        self.callbacks: set = set()

    def set(self):
        super().set()
        for callback in list(self.callbacks):
            callback()


class Connection(asyncio.StreamReaderProtocol):
    """One accepted connection: TLS is done, HTTP comes. `gone` is set when it is lost or the client ended it."""

    def __init__(self, server, client: str, sock: socket.socket):
        self.server, self.client, self.sock = server, client, sock
        self.stream = asyncio.StreamReader(limit=MAX_HEAD)
        self.gone = Gone()
        self.reader = self.writer = None
        self.certificate = self.alpn = self.session = None
        super().__init__(self.stream, self._connected)

    def _connected(self, reader, writer):
        self.reader, self.writer = reader, writer
        writer.transport.set_write_buffer_limits(high=BULK)
        tls = writer.get_extra_info("ssl_object")
        self.certificate = tls.getpeercert() if tls is not None else None
        self.alpn = tls.selected_alpn_protocol() if tls is not None else None
        self.server.connected(self)

    def connection_lost(self, exc):
        self.gone.set()
        super().connection_lost(exc)

    def eof_received(self):
        self.gone.set()
        return super().eof_received()

    async def thawed(self):
        if self.server.frozen.is_set():
            await self.server.melted.wait()

    def close(self):
        """With TLS's close_notify."""
        if self.writer is not None:
            self.writer.close()

    def abort(self, reset: bool = False):
        """Without any farewell: FIN, or RST."""
        if self.writer is None:
            return
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def serve_http1(connection: Connection):
    """Requests one after the other, until either side ends it."""
    first = True
    while not connection.gone.is_set() or not connection.reader.at_eof():
        try:
            head = await asyncio.wait_for(connection.reader.readuntil(b"\r\n\r\n"), HEAD_TIMEOUT if first else IDLE_TIMEOUT)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError, ConnectionError):
            return
        first = False
        request = await _read_request(connection, head)
        if request is None:
            return
        sink = Http1Sink(connection, request)
        await connection.server.handle(request, sink)
        if request.too_large:
            await _linger(connection)
        if not sink.keep or connection.gone.is_set():
            return


async def _linger(connection: Connection):
    """The client is still sending what was refused: a close now would reset the connection, and the answer with it."""
    try:
        while await asyncio.wait_for(connection.reader.read(65536), 0.5):
            pass
    except (asyncio.TimeoutError, ConnectionError):
        pass


async def _read_request(connection: Connection, head: bytes) -> Request | None:
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    headers = {}
    for line in lines[1:-2]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    problem = "400 Bad Request" if len(parts) != 3 or not parts[2].startswith("HTTP/1.") else None
    if problem is None and parts[2] == "HTTP/1.1" and "host" not in headers:
        problem = "400 Bad Request: missing required Host header"
    if problem:
        connection.writer.write(f"HTTP/1.1 {problem}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close"
                                f"\r\n\r\n{problem}".encode())
        return None
    request = Request(parts[0], parts[1], headers, protocol=parts[2], client=connection.client, connection=connection,
                      certificate=connection.certificate)
    try:
        await _read_body(connection, request)
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        return None
    return request


async def _read_body(connection: Connection, request: Request):
    headers, reader = request.headers, connection.reader
    length = int(headers.get("content-length", "0"))
    chunked = headers.get("transfer-encoding", "").lower() == "chunked"
    if headers.get("expect", "").lower() == "100-continue" and (length or chunked):
        connection.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if length > MAX_BODY:
        request.too_large = True
        headers["connection"] = "close"
    elif chunked:
        body = bytearray()
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
            if len(body) > MAX_BODY:
                request.too_large = True
                headers["connection"] = "close"
                return
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
        request.body = bytes(body)
    elif length:
        request.body = await reader.readexactly(length)
