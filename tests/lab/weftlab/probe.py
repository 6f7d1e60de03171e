# SPDX-License-Identifier: GPL-2.0-or-later
"""Traffic through an event: LossProbe counts what is lost each way, TcpStream proves that a connection lives on.

Each runs in a forked process with sockets in both namespaces, so that the test's own work does not disturb it.
Times are time.monotonic() of the machine, the same in the test.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import pickle
import select
import socket
import struct
import sys
import time
import traceback
from dataclasses import dataclass, field

from .check import LabError, wait_until
from .ns import Echo, Netns


@dataclass
class Window:
    """Packets lost in a row: sent from start to last, the next one that arrived was sent at end."""
    start: float
    last: float
    end: float
    lost: int

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass
class Direction:
    name: str
    sent: int = 0
    lost: int = 0
    windows: list[Window] = field(default_factory=list)

    @property
    def longest(self) -> float:
        """Seconds of the longest interruption."""
        return max((window.seconds for window in self.windows), default=0.0)


@dataclass
class LossResult:
    started: float
    directions: list[Direction]

    @property
    def lost(self) -> int:
        return sum(direction.lost for direction in self.directions)

    @property
    def sent(self) -> int:
        return sum(direction.sent for direction in self.directions)

    @property
    def longest(self) -> float:
        return max(direction.longest for direction in self.directions)

    def __str__(self):
        lines = []
        for way in self.directions:
            windows = ", ".join(f"{w.lost} in {w.seconds * 1000:.0f} ms at +{w.start - self.started:.2f} s"
                                for w in way.windows[:8])
            lines.append(f"{way.name}: {way.lost} of {way.sent} lost" + (f" ({windows})" if windows else ""))
        return "; ".join(lines)

    def none_lost(self, what: str):
        if self.lost:
            raise LabError(f"{what}: expected no loss, got {self}")


class _Background:
    """A forked worker: work(stop) runs there and returns a picklable result; shared holds its live figures."""

    def __init__(self, figures: int):
        self.shared = mmap.mmap(-1, 4096)
        self.figures = figures
        self.pid = 0
        self.result = None

    def publish(self, index: int, value: float):
        struct.pack_into("d", self.shared, 8 * index, value)

    def figure(self, index: int) -> float:
        return struct.unpack_from("d", self.shared, 8 * index)[0]

    def launch(self):
        stop_read, self._stop = os.pipe()
        self._answer, answer_write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(self._stop)
                with contextlib.suppress(PermissionError):  # ahead of all the lab's daemons: it takes little
                    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
                try:
                    answer = self.work(stop_read)
                except BaseException:  # whatever it is, the test has to hear it
                    answer = LabError(f"{self}: {traceback.format_exc()}")
                with os.fdopen(answer_write, "wb") as out:
                    pickle.dump(answer, out)
                status = 0
            finally:
                os._exit(status)
        os.close(stop_read)
        os.close(answer_write)

    def collect(self):
        if self.pid == 0:
            return self.result
        os.close(self._stop)
        with os.fdopen(self._answer, "rb") as answer:
            data = answer.read()
        os.waitpid(self.pid, 0)
        self.pid = 0
        if not data:
            raise LabError(f"{self} died")
        self.result = pickle.loads(data)
        if isinstance(self.result, LabError):
            raise self.result
        return self.result

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            with contextlib.suppress(LabError):
                self.stop()

    def start(self):
        raise NotImplementedError

    def stop(self):
        return self.collect()

    def work(self, stop: int):
        raise NotImplementedError


def _end(place, family: int) -> tuple[Netns, str]:
    return place.ns, place.ip(family)


class LossProbe(_Background):
    """Packets each interval between a and b (nodes, pods, hosts), each way.

        with LossProbe(pod1, pod2) as probe:
            ...the event...
            probe.wait_flowing()
        probe.result.none_lost("restart")       # or .lost, .longest, .directions[0].windows

    kind "udp": both ends send, so each way is known separately, and the first packets of an unanswered way are seen.
    kind "icmp": a sends echo requests to b; lost means no answer. Counting begins when packets flow."""

    SENT, BACK, LAST_AB, LAST_BA = range(4)

    def __init__(self, a, b, family: int = 4, kind: str = "udp", interval: float = 0.01, port: int = 7007,
                 settle: float = 15, address: str | None = None):
        super().__init__(4)
        self.a, self.b, self.family, self.kind, self.interval = a, b, family, kind, interval
        self.port, self.settle = port, settle
        self.address = address or b.ip(family)

    def __str__(self):
        return f"{self.kind} probe {self.a.name} to {self.b.name} (IPv{self.family})"

    def start(self):
        self.launch()
        if self.settle:
            try:
                wait_until(lambda: self.figure(self.LAST_AB) and self.figure(self.LAST_BA), self.settle,
                           f"the first packets of the {self}", 0.02)
            except LabError:
                with contextlib.suppress(LabError):
                    self.collect()
                raise
        return self

    def silence(self) -> float:
        """Seconds since the last arrival, of the worse direction."""
        return time.monotonic() - min(self.figure(self.LAST_AB), self.figure(self.LAST_BA))

    def flowing(self) -> bool:
        return self.silence() < max(0.15, 3 * self.interval)

    def wait_flowing(self, timeout: float = 30, steady: float = 0.5):
        """Until packets have been arriving both ways for a while."""
        since = [0.0]

        def steadily():
            now = time.monotonic()
            if not self.flowing():
                since[0] = 0.0
            elif since[0] == 0.0:
                since[0] = now
            return since[0] and now - since[0] >= steady

        wait_until(steadily, timeout, f"packets of the {self} to flow again", 0.05)

    def wait_silent(self, timeout: float = 30):
        wait_until(lambda: self.silence() > 0.3, timeout, f"the {self} to be interrupted", 0.05)

    # The forked side

    def work(self, stop: int) -> LossResult:
        return self._work_udp(stop) if self.kind == "udp" else self._work_icmp(stop)

    def _loop(self, stop: int, readers, send, receive, count: int) -> tuple:
        """Sends on a fixed grid; a late turn skips grid points instead of sending a burst."""
        sent = []  # time of each number
        arrived = [bytearray() for _ in range(count)]
        first = 0 if not self.settle else None
        next_turn = time.monotonic()
        drain_until = None
        while True:
            now = time.monotonic()
            if drain_until is not None:
                if now >= drain_until:
                    break
                wait = drain_until - now
            else:
                wait = max(0.0, next_turn - now)
            ready = select.select([*readers, *([] if drain_until else [stop])], [], [], wait)[0]
            if stop in ready:
                drain_until = time.monotonic() + 0.7
                continue
            for way, number in receive(ready):
                if number < len(sent):
                    arrived[way][number] = 1
                    self.publish(self.LAST_AB + way, time.monotonic())
                    if count == 1:
                        self.publish(self.LAST_BA, time.monotonic())
                    if first is None and all(any(flags) for flags in arrived):
                        first = len(sent)
            now = time.monotonic()
            if drain_until is None and now >= next_turn:
                number = len(sent)
                sent.append(now)
                for flags in arrived:
                    flags.append(0)
                send(number)
                next_turn += self.interval
                if next_turn < now:
                    next_turn = now + self.interval
        return sent, arrived, len(sent) if first is None else first

    def _result(self, names, sent, arrived, first) -> LossResult:
        directions = []
        for name, flags in zip(names, arrived):
            way = Direction(name, len(sent) - first)
            number = first
            while number < len(sent):
                if flags[number]:
                    number += 1
                    continue
                start = number
                while number < len(sent) and not flags[number]:
                    number += 1
                end = sent[number] if number < len(sent) else sent[-1] + self.interval
                way.windows.append(Window(sent[start], sent[number - 1], end, number - start))
                way.lost += number - start
            directions.append(way)
        return LossResult(sent[first] if first < len(sent) else time.monotonic(), directions)

    def _work_udp(self, stop: int) -> LossResult:
        (ns_a, ip_a), (ns_b, ip_b) = _end(self.a, self.family), _end(self.b, self.family)
        left = ns_a.socket(self.family, address=ip_a, port=self.port)
        right = ns_b.socket(self.family, address=ip_b, port=self.port)
        for end in (left, right):
            end.setblocking(False)
        ways = {right: 0, left: 1}

        def send(number: int):
            data = struct.pack("!Q", number)
            for end, target in ((left, self.address), (right, ip_a)):
                with contextlib.suppress(OSError):  # no route: lost
                    end.sendto(data, (target, self.port))

        def receive(ready):
            for end in ready:
                with contextlib.suppress(BlockingIOError):
                    while True:
                        try:
                            yield ways[end], struct.unpack("!Q", end.recv(100))[0]
                        except OSError as error:
                            if error.errno == errno.EAGAIN:
                                break

        sent, arrived, first = self._loop(stop, [left, right], send, receive, 2)
        return self._result([f"{self.a.name} to {self.b.name}", f"{self.b.name} to {self.a.name}"], sent, arrived, first)

    def _work_icmp(self, stop: int) -> LossResult:
        ns_a, ip_a = _end(self.a, self.family)
        echo = Echo(ns_a, self.address, source=ip_a)

        def send(number: int):
            with contextlib.suppress(OSError):
                echo.send(number)

        def receive(ready):
            if ready:
                yield from ((0, number) for number in echo.received())

        sent, arrived, first = self._loop(stop, [echo.socket], send, receive, 1)
        return self._result([f"{self.a.name} to {self.b.name} and back"], sent, arrived, first)


@dataclass
class StreamResult:
    bytes: int = 0
    longest_stall: float = 0.0
    error: str | None = None

    def __str__(self):
        return f"{self.bytes} bytes echoed, longest stall {self.longest_stall:.2f} s, " + (self.error or "no error")


class TcpStream(_Background):
    """One TCP connection from a to b that carries known bytes there and back all the time.

        with TcpStream(client, pod) as stream:
            ...the event...
            stream.wait_progress()
        # leaving the block fails when the connection broke or a byte was wrong
        stream.result.bytes, stream.result.longest_stall"""

    ECHOED, LAST = range(2)
    PATTERN = b"".join(struct.pack("!I", (number * 2654435761) & 0xffffffff) for number in range(16381))
    IN_FLIGHT = 65536

    def __init__(self, a, b, family: int = 4, port: int = 7008, pace: float = 0.01, connect: float = 15,
                 address: str | None = None, source_port: int = 0, chunk: int = 8192):
        """source_port and port decide which of several paths it takes; chunk: bytes each pace seconds."""
        super().__init__(2)
        self.a, self.b, self.family, self.port, self.pace, self.connect = a, b, family, port, pace, connect
        self.source_port, self.chunk = source_port, chunk
        self.address = address or b.ip(family)

    def __str__(self):
        return f"TCP stream {self.a.name} to {self.b.name} (IPv{self.family})"

    def start(self):
        self.launch()
        wait_until(lambda: self.figure(self.ECHOED) > 0 or not self._alive(), self.connect, f"the {self} to begin", 0.02)
        if self.figure(self.ECHOED) == 0:
            self.stop()
        return self

    def _alive(self) -> bool:
        return not select.select([self._answer], [], [], 0)[0]

    def echoed(self) -> int:
        return int(self.figure(self.ECHOED))

    def wait_progress(self, size: int = 65536, timeout: float = 60):
        """Until size more bytes have come back, unbroken."""
        target = self.echoed() + size
        wait_until(lambda: self.echoed() >= target or not self._alive(), timeout, f"the {self} to go on", 0.05)
        if self.echoed() < target:
            self.stop()

    def stop(self) -> StreamResult:
        result = self.collect()
        if result.error:
            raise LabError(f"{self}: {result}")
        return result

    # The forked side

    def work(self, stop: int) -> StreamResult:
        result = StreamResult()
        with self.b.ns.socket(self.family, socket.SOCK_STREAM, self.b.ip(self.family), self.port) as listener:
            listener.listen(1)
            client = self.a.ns.socket(self.family, socket.SOCK_STREAM, self.a.ip(self.family), self.source_port)
            client.settimeout(self.connect)
            try:
                client.connect((self.address, self.port))
                listener.settimeout(5)
                server = listener.accept()[0]
            except OSError as error:
                result.error = f"connect: {error}"
                return result
        with client, server:
            client.setblocking(False)
            server.setblocking(False)
            try:
                self._exchange(stop, client, server, result)
            except OSError as error:
                result.error = f"{error} after {result.bytes} bytes"
        return result

    def _expect(self, at: int, data: bytes, where: str):
        offset = at % len(self.PATTERN)
        wanted = self.PATTERN[offset:offset + len(data)]
        wanted += self.PATTERN[:len(data) - len(wanted)]
        if data != wanted:
            raise OSError(errno.EBADMSG, f"wrong bytes at the {where}")

    def _exchange(self, stop: int, client, server, result: StreamResult):
        sent = arrived = received = 0
        backlog = b""  # what the server has to send back
        last = time.monotonic()
        next_send = last
        end_by = None
        while True:
            now = time.monotonic()
            if end_by is not None and (received == sent or now > end_by):
                if received != sent:
                    raise OSError(errno.ETIMEDOUT, f"{sent - received} bytes never came back")
                return
            may_send = end_by is None and sent - received < self.IN_FLIGHT and now >= next_send
            wait = 0.2 if end_by or sent - received >= self.IN_FLIGHT else max(0.0, next_send - now)
            readable, writable, _ = select.select([client, server, *([] if end_by else [stop])],
                                                  [*([client] if may_send else []), *([server] if backlog else [])],
                                                  [], 0.2 if may_send else min(wait, 0.2))
            if client in writable:
                offset = sent % len(self.PATTERN)
                sent += client.send(self.PATTERN[offset:offset + self.chunk])
                next_send = now + self.pace
            if server in readable:
                data = server.recv(65536)
                if not data:
                    raise OSError(errno.ECONNRESET, "the client's end was closed")
                self._expect(arrived, data, "server")
                arrived += len(data)
                backlog += data
            if server in writable:
                backlog = backlog[server.send(backlog):]
            if client in readable:
                data = client.recv(65536)
                if not data:
                    raise OSError(errno.ECONNRESET, "the server's end was closed")
                self._expect(received, data, "client")
                received += len(data)
                now = time.monotonic()
                result.longest_stall = max(result.longest_stall, now - last)
                last, result.bytes = now, received
                self.publish(self.ECHOED, received)
                self.publish(self.LAST, now)
            if stop in readable:
                end_by = time.monotonic() + 30
