# SPDX-License-Identifier: GPL-2.0-or-later
"""Recorded requests sent to our server, and its answers held against the recorded ones.

recorded/VERSION/SCENARIO.jsonl has a request and an answer of a real API server per line. What a scenario needs from
before it is put into the store first (SCENARIOS: seed), and what changed without a recorded request happens between
the requests (hidden). resourceVersions, uids and continue tokens of the recording are translated into ours as they
come up. Compared are: the status, the header names and values (dates and ids aside), the framing (Content-Length, one
chunk, chunks of 2,048), the names and order of JSON members, and all values except those that differ by nature.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import gzip
import json
import os
import re
import ssl
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.realpath(__file__))
OWN_VALUES = {"Audit-Id", "Date", "X-Kubernetes-Pf-Flowschema-Uid", "X-Kubernetes-Pf-Prioritylevel-Uid", "Content-Length"}
MASKED = {"uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "time", "continue", "remainingItemCount",
          "clusterIP", "nodePort", "serverAddress", "healthCheckNodePort", "lastTransitionTime", "storageVersionHash"}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def _around(got, want) -> str:
    """Both values where they begin to differ."""
    if isinstance(got, str) and isinstance(want, str):
        at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
        got, want = got[max(0, at - 60):at + 120], want[max(0, at - 60):at + 120]
    return f"{got!r}, recorded {want!r}"


@dataclass
class Answer:
    status: int
    headers: dict
    framing: str
    body: bytes
    chunks: list
    complete: bool

    def json(self):
        return json.loads(self.body)

    def events(self) -> list:
        return [json.loads(line) for line in self.body.splitlines() if line]


def parse(raw: bytes) -> Answer:
    while raw.startswith(b"HTTP/1.1 100 "):
        raw = raw[raw.index(b"\r\n\r\n") + 4:]
    head, _, rest = raw.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) if ": " in line else (line.rstrip(":"), "") for line in lines[1:])
    chunks: list = []
    complete, framing, body = True, "close", rest
    if "Transfer-Encoding" in headers:
        body, complete = _unchunk(rest, chunks)
        framing = "one chunk" if len(chunks) == 1 else "chunks"
        if len(chunks) > 1 and max(chunks) <= 2048:
            framing = "chunks of 2048"
    elif "Content-Length" in headers:
        framing = "length"
    return Answer(int(lines[0].split()[1]), headers, framing, body, chunks, complete)


def _unchunk(data: bytes, chunks: list) -> tuple[bytes, bool]:
    body, at = bytearray(), 0
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return bytes(body), False
        size = int(data[at:end], 16)
        if size == 0:
            return bytes(body), True
        body += data[end + 2:end + 2 + size]
        chunks.append(size)
        at = end + 2 + size + 2


@dataclass
class Exchange:
    n: int
    conn: int
    t: float
    head: list
    body: str | None
    answer: Answer | None
    about: str

    @property
    def watch(self) -> bool:
        return "watch=" in self.head[0] or "/watch/" in self.head[0]


def load(version: str, name: str) -> dict[int, Exchange]:
    made = {}
    with open(os.path.join(HERE, "recorded", version, name + ".jsonl"), encoding="utf-8") as file:
        for line in file:
            each = json.loads(line)
            raw = each["answer"].encode() if "answer" in each else base64.b64decode(each.get("answer64", ""))
            if not each.get("cut"):     # its body is too long to be here
                made[each["n"]] = Exchange(each["n"], each["conn"], each["t"], each["head"], each.get("body"),
                                           parse(raw) if raw else None, each["about"])
    return made


@dataclass
class Scenario:
    name: str
    seed: object = None             # function(Replay): what is there before
    hidden: dict = field(default_factory=dict)   # {request number: function(Replay)} before that request; see also at
    at: dict = field(default_factory=dict)       # {(request number, seconds after it): function(Replay)}
    skip: dict = field(default_factory=dict)     # {request number: why}
    loose: dict = field(default_factory=dict)    # {request number or 0: members not compared}
    versions: tuple = ("1.26", "1.36")


class Replay:
    """One scenario against one server. problems: what differs."""

    def __init__(self, scenario: Scenario, version: str, server, tokens: dict, certificate: ssl.SSLContext,
                 plain: ssl.SSLContext):
        self.scenario, self.version, self.server, self.tokens = scenario, version, server, tokens
        self.certificate, self.plain = certificate, plain
        self.recorded = load(version, scenario.name)
        self.translated: dict[str, str] = {}
        self.problems: list[str] = []
        self.compared = 0
        self.connections: dict = {}

    # -- what a seed can use

    def objects(self, n: int) -> list[dict]:
        """The objects in recorded answer n: of a list, the ADDED of a watch, or the one."""
        answer = self.recorded[n].answer
        body = answer.body
        if answer.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.recorded[n].watch:
            return [event["object"] for event in answer.events() if event["type"] == "ADDED"]
        made = json.loads(body)
        if "items" not in made:
            return [made]
        kind, api_version = made["kind"].removesuffix("List"), made["apiVersion"]
        return [{"kind": kind, "apiVersion": api_version, **item} for item in made["items"]]

    def put(self, obj: dict):
        """As it was, with its own resourceVersion where that is possible."""
        obj = copy.deepcopy(obj)
        store = self.server.store
        for address in obj.get("spec", {}).get("clusterIPs", ()):
            self.server.allocator.used[address] = f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"
        if "resourceVersion" in obj["metadata"]:
            store.rv = max(store.rv, int(obj["metadata"]["resourceVersion"]) - 1)
        store.put(store.of_object(obj), obj)

    def seed(self, n: int):
        for obj in sorted(self.objects(n), key=lambda obj: int(obj["metadata"]["resourceVersion"])):
            self.put(obj)
        answer = self.recorded[n].answer
        if not self.recorded[n].watch and answer.headers.get("Content-Encoding") != "gzip":
            self.server.store.rv = max(self.server.store.rv, int(answer.json()["metadata"]["resourceVersion"]))

    def change(self, plural: str, key: str, manager: str = "unknown", **merged):
        """Somebody patched an object."""
        collection = self.server.store.named(plural)
        self.writer(manager).patch(collection, collection.records[key], "merge", merged, False)

    def writer(self, manager: str):
        from kubeapi.writes import Writer
        return Writer(self.server.store, self.server.allocator, self.server.schemas, manager)

    # -- the replay

    async def run(self):
        if self.scenario.seed:
            self.scenario.seed(self)
        steps = [(each.t, 1, n, None) for n, each in self.recorded.items()]
        steps += [(self.recorded[n].t + later, 0, 0, function) for (n, later), function in self.scenario.at.items()]
        steps.sort(key=lambda step: step[:3])
        clock, waiting = steps[0][0], []
        for moment, _, n, function in steps:
            await asyncio.sleep(min(moment - clock, 4.2))
            clock = moment
            if function:
                function(self)
                continue
            if n in self.scenario.hidden:
                self.scenario.hidden[n](self)
            if n in self.scenario.skip or function is None and n not in self.recorded:
                continue
            job = self._exchange(self.recorded[n])
            if self.recorded[n].watch:
                waiting.append(asyncio.ensure_future(job))
                await asyncio.sleep(0.15)
            else:
                await job
        await asyncio.gather(*waiting)
        for reader, writer in self.connections.values():
            writer.close()

    def _translate(self, text: str) -> str:
        for old, new in self.translated.items():
            text = text.replace(old, new)
        return text

    async def _exchange(self, exchange: Exchange):
        head = []
        certificate = not any(line.startswith("Authorization") for line in exchange.head) and \
            "anonymous" not in exchange.about and "Host" in "".join(exchange.head) and exchange.conn in (38, 58)
        for line in exchange.head:
            line = re.sub(r"(resourceVersion=)(\d+)", lambda m: m[1] + self.translated.get(f'"{m[2]}"', f'"{m[2]}"')[1:-1], line)
            line = re.sub(r"<TOKEN-(\w+)>", lambda m: self.tokens.get(m[1], m[1]), line)
            head.append(self._translate(line) if "continue=" in line else line)
        body = (exchange.body or "").encode()
        if exchange.body is not None:
            body = self._translate(exchange.body).encode()
            head = [f"Content-Length: {len(body)}" if line.startswith("Content-Length") else line for line in head]
        raw = await self._send(exchange, "\r\n".join(head).encode() + b"\r\n\r\n" + body, certificate)
        if exchange.answer is None:
            return
        try:
            self._compare(exchange, parse(raw))
        except (ValueError, IndexError, KeyError) as problem:
            self._problem(exchange, f"{type(problem).__name__}: {problem} in {raw[:300]!r}")

    async def _send(self, exchange: Exchange, request: bytes, certificate: bool) -> bytes:
        if exchange.conn in self.connections:
            reader, writer = self.connections.pop(exchange.conn)
        else:
            host, port = self.server.listen[0]
            reader, writer = await asyncio.open_connection(host, port, ssl=self.certificate if certificate else self.plain,
                                                           server_hostname="localhost", limit=1 << 20)
        writer.write(request)
        raw = bytearray(await reader.readuntil(b"\r\n\r\n"))
        if raw.startswith(b"HTTP/1.1 100 "):
            raw += await reader.readuntil(b"\r\n\r\n")
        head = bytes(raw).decode()
        length = re.findall(r"Content-Length: (\d+)", head)
        try:
            if request.startswith(b"HEAD"):
                pass
            elif "Transfer-Encoding: chunked" in head:
                await self._read_chunks(reader, raw, exchange)
            elif length:
                raw += await reader.readexactly(int(length[-1]))
            else:
                raw += await reader.read()
        except asyncio.IncompleteReadError as problem:
            raw += problem.partial
        if "Connection: close" in head or "HTTP/1.0" in head:
            writer.close()
        else:
            self.connections[exchange.conn] = reader, writer
        return bytes(raw)

    @staticmethod
    async def _read_chunks(reader, raw: bytearray, exchange: Exchange):
        ends = exchange.answer is None or exchange.answer.complete
        while True:
            try:
                line = await asyncio.wait_for(reader.readuntil(b"\r\n"), 30 if ends else 3)
            except asyncio.TimeoutError:
                return
            raw += line
            raw += await reader.readexactly(int(line, 16) + 2)
            if int(line, 16) == 0:
                return

    # -- comparing

    def _problem(self, exchange: Exchange, text: str):
        self.problems.append(f"{self.scenario.name} #{exchange.n} {exchange.head[0][:90]}: {text}")

    def _compare(self, exchange: Exchange, got: Answer):
        want = exchange.answer
        self.compared += 1
        if got.status != want.status:
            self._problem(exchange, f"status {got.status}, recorded {want.status}: {got.body[:300]!r}")
            return
        self._headers(exchange, got.headers, want.headers)
        near = want.framing in ("length", "one chunk") and abs(len(want.body) - 2048) < 150
        if got.framing != want.framing and not exchange.watch and not near:
            self._problem(exchange, f"framing {got.framing} {got.chunks[:5]}, recorded {want.framing} {want.chunks[:5]}")
        if exchange.watch and want.status == 200:
            self._events(exchange, got, want)
        elif want.headers.get("Content-Type") == "application/json" and want.body:
            bodies = [gzip.decompress(each.body) if each.headers.get("Content-Encoding") == "gzip" else each.body
                      for each in (got, want)]
            bodies = [json.loads(each) for each in bodies]
            if self.version == "1.26" and "resourceVersion=0" in exchange.head[0] and "items" in bodies[1]:
                for each in bodies:
                    each["items"].sort(key=lambda item: item["metadata"]["name"])
            self._json(exchange, bodies[0], bodies[1], "")
        elif got.body != want.body and "healthz" not in exchange.head[0]:
            self._problem(exchange, f"body {got.body[:100]!r}, recorded {want.body[:100]!r}")

    def _headers(self, exchange: Exchange, got: dict, want: dict):
        if list(got) != list(want) and not {"Content-Length", "Transfer-Encoding"} & set(got) ^ \
                {"Content-Length", "Transfer-Encoding"} & set(want):
            self._problem(exchange, f"headers {list(got)}, recorded {list(want)}")
        for name in set(got) & set(want) - OWN_VALUES:
            if got[name] != want[name]:
                self._problem(exchange, f"header {name}: {got[name]!r}, recorded {want[name]!r}")

    def _events(self, exchange: Exchange, got: Answer, want: Answer):
        lists = []
        for answer in (got, want):
            events = [event for event in answer.events() if event["type"] != "BOOKMARK"
                      or "annotations" in event["object"]["metadata"]]
            if self.version == "1.26" and all(event["type"] == "ADDED" for event in events):
                events.sort(key=lambda event: event["object"]["metadata"]["name"])     # of a map, in any order
            lists.append(events)
        kinds = [[event["type"] for event in events] for events in lists]
        if kinds[0] != kinds[1]:
            self._problem(exchange, f"events {kinds[0]}, recorded {kinds[1]}")
            return
        for i, (mine, theirs) in enumerate(zip(*lists)):
            self._json(exchange, mine, theirs, f"event {i}")
        marks = [[event for event in answer.events() if event["type"] == "BOOKMARK"] for answer in (got, want)]
        if "bookmarks" in self.scenario.loose.get(0, ()):
            pass
        elif bool(marks[0]) != bool(marks[1]):
            self._problem(exchange, f"{len(marks[0])} bookmarks, recorded {len(marks[1])}")
        elif marks[0]:
            self._json(exchange, marks[0][0], marks[1][0], "bookmark")
        if got.complete != want.complete:
            self._problem(exchange, f"ended properly: {got.complete}, recorded {want.complete}")

    def _json(self, exchange: Exchange, got, want, path: str):
        name = path.rsplit(".", 1)[-1]
        loose = self.scenario.loose.get(0, ()) + self.scenario.loose.get(exchange.n, ())
        if name in loose or path in loose:
            return
        self._learn(name, got, want)
        if isinstance(want, dict) and isinstance(got, dict):
            if list(got) != list(want):
                self._problem(exchange, f"{path or 'top'} has {list(got)}, recorded {list(want)}")
            for key in want:
                if key in got:
                    self._json(exchange, got[key], want[key], f"{path}.{key}")
        elif isinstance(want, list) and isinstance(got, list) and name != "clusterIPs":
            if name == "managedFields":     # the order goes by time, and ours is another
                got, want = (sorted(each, key=lambda entry: (entry["manager"], entry.get("subresource", "")))
                             for each in (got, want))
            if len(got) != len(want):
                self._problem(exchange, f"{path} has {len(got)} elements, recorded {len(want)}")
            for i, (mine, theirs) in enumerate(zip(got, want)):
                self._json(exchange, mine, theirs, f"{path}[{i}]")
        elif type(got) is not type(want):
            self._problem(exchange, f"{path}: {got!r:.80}, recorded {want!r:.80}")
        elif name not in MASKED and name != "clusterIPs":
            got, want = self._plain(got), self._plain(self._translate(want) if isinstance(want, str) else want)
            if got != want:
                self._problem(exchange, f"{path}: {_around(got, want)}")

    @staticmethod
    def _plain(value):
        if not isinstance(value, str):
            return value
        value = UUID.sub("UUID", value)
        value = re.sub(r"(esourceVersion\\*\":\\*\"|record \(|current: |version: |\()\d+", r"\1N", value)
        return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", value)

    def _learn(self, name: str, got, want):
        """Our value for a recorded one: versions as JSON strings, so that no other number is mistaken."""
        if got == want or not isinstance(got, str) or not isinstance(want, str):
            return
        if name == "resourceVersion":
            self.translated[f'"{want}"'] = f'"{got}"'
        elif name in ("uid", "continue"):
            self.translated[want] = got
