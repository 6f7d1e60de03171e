# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP/2 by python3-h2: the same Requests and Sinks, one task per stream."""

from __future__ import annotations

import asyncio
import email.utils

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import hyperframe.frame

from .wire import MAX_BODY, Connection, Cut, Gone, GoWriter, Request, Sink

FRAME_BUFFER = 4096     # Go's chunk of an HTTP/2 answer


class Http2Sink(Sink):
    def __init__(self, connection, request: Request, session: "Session", stream: int):
        super().__init__(connection, request)
        self.session, self.stream = session, stream
        self.body = GoWriter(FRAME_BUFFER, self.out.append)
        self.ended, self.keep, self.uncounted = False, True, 0
        self.reset = Gone()

    @property
    def gone(self) -> Gone:
        return self.reset

    def _head(self, code: int, headers: dict, size: int | None):
        self.code = code
        shown = [(":status", str(code))] + [(name.lower(), str(value)) for name, value in sorted(headers.items())
                                            if name != "Connection"]
        if size is not None:
            shown.append(("content-length", str(size)))
        shown.append(("date", email.utils.formatdate(usegmt=True)))
        try:
            self.session.h2.send_headers(self.stream, shown)
        except h2.exceptions.ProtocolError as problem:
            raise Cut(str(problem)) from None
        self.session.flush()

    async def answer(self, code: int, headers: dict, writes: list):
        size = sum(map(len, writes))
        self._head(code, headers, size if size <= FRAME_BUFFER else None)
        for each in writes:
            self.body.write(each)
        await self.end()

    async def begin(self, code: int, headers: dict):
        self._head(code, headers, None)

    def write(self, data: bytes):
        self.body.write(data)

    async def flush(self):
        self.body.flush()
        await self.drain()

    async def end(self):
        self.body.flush()
        await self.drain()
        try:
            self.session.h2.end_stream(self.stream)
        except h2.exceptions.ProtocolError as problem:
            raise Cut(str(problem)) from None
        self.ended = True
        self.session.flush()

    async def send(self, piece):
        view = memoryview(piece)
        while view:
            if self.reset.is_set() or self.connection.gone.is_set():
                raise Cut("the client is gone")
            try:
                room = min(self.session.h2.local_flow_control_window(self.stream),
                           self.session.h2.max_outbound_frame_size)
                if room <= 0:
                    self.session.window.clear()
                    await self.session.window.wait()
                    continue
                part, view = view[:room], view[room:]
                self.session.h2.send_data(self.stream, bytes(part))
            except h2.exceptions.ProtocolError as problem:
                raise Cut(str(problem)) from None
            self.bytes += len(part)
            self.session.flush()
            await self.connection.writer.drain()


class Session:
    def __init__(self, connection: Connection):
        self.connection = connection
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.window = asyncio.Event()
        self.requests: dict[int, Request] = {}
        self.sinks: dict[int, Http2Sink] = {}
        self.tasks: set = set()
        self.leaving = False    # GOAWAY was sent

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.connection.writer.write(data)

    def go_away(self):
        """By hand: python3-h2's own closes its side for new frames too."""
        frame = hyperframe.frame.GoAwayFrame(0, last_stream_id=self.h2.highest_inbound_stream_id)
        self.leaving = True
        self.connection.writer.write(frame.serialize())

    async def run(self):
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values={
            h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 100,
            h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 262144,
            h2.settings.SettingCodes.MAX_FRAME_SIZE: 1048576})
        self.h2.initiate_connection()
        self.flush()
        try:
            while data := await self.connection.reader.read(65536):
                await self.connection.thawed()
                for event in self.h2.receive_data(data):
                    self._take(event)
                self.flush()
        except (h2.exceptions.ProtocolError, ConnectionError, asyncio.IncompleteReadError):
            self.flush()
        finally:
            self.connection.gone.set()
            for sink in self.sinks.values():
                sink.reset.set()
            self.window.set()
            for task in self.tasks:
                task.cancel()

    def _take(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self._request(event)
        elif isinstance(event, h2.events.DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            request = self.requests.get(event.stream_id)
            if request is not None:
                request.body += event.data
                if len(request.body) > MAX_BODY and not request.too_large:
                    request.too_large = True
                    self._start(event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            if event.stream_id in self.requests:
                self._start(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self.requests.pop(event.stream_id, None)
            if event.stream_id in self.sinks:
                self.sinks[event.stream_id].reset.set()
            self.window.set()
        elif isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            self.window.set()
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.connection.close()

    def _request(self, event):
        headers = {}
        for name, value in event.headers:
            headers.setdefault(name, value)
        self.requests[event.stream_id] = Request(
            headers.get(":method", "GET"), headers.get(":path", "/"), headers, protocol="HTTP/2.0",
            client=self.connection.client, connection=self.connection, certificate=self.connection.certificate)

    def _start(self, stream: int):
        request = self.requests.pop(stream)
        sink = Http2Sink(self.connection, request, self, stream)
        self.sinks[stream] = sink
        task = asyncio.ensure_future(self._answer(request, sink))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _answer(self, request: Request, sink: Http2Sink):
        try:
            await self.connection.server.handle(request, sink)
        finally:
            self.sinks.pop(sink.stream, None)
            if self.leaving and not self.sinks:
                asyncio.get_running_loop().call_later(0.1, self.connection.close)
            if not sink.ended and not sink.reset.is_set() and not self.connection.gone.is_set():
                try:
                    self.h2.reset_stream(sink.stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
                    self.flush()
                except h2.exceptions.ProtocolError:
                    pass
