# SPDX-License-Identifier: GPL-2.0-or-later
"""GET: one object, LIST with its pages, WATCH."""

from __future__ import annotations

import asyncio
import base64
import gzip
import itertools
import json
import random
import time

from . import jsontext
from .selectors import Fields, Labels
from .status import ApiError, bad_request, error, failure, gone, invalid_options, not_found, too_new
from .store import Collection, Event, Record
from .wire import Cut, Request, Sink

GZIP_FROM, TOO_NEW_WAIT = 128 * 1024, 3.0
FORBIDDEN = "FieldValueForbidden"
MATCH = "resourceVersionMatch"


class Options:
    """The query of a LIST or WATCH, checked as the version of the server checks it."""

    def __init__(self, server, collection: Collection, request: Request, watch: bool, name: str | None = None):
        query = request.query
        self.rv = query.get("resourceVersion", "")
        self.match = query.get(MATCH, "")
        self.initial = query.get("sendInitialEvents") if server.watch_list else None
        self.bookmarks = query.get("allowWatchBookmarks", "") in ("1", "true")
        self.token = query.get("continue", "")
        self.limit = _integer(query.get("limit", "0"))
        self.timeout = _integer(query.get("timeoutSeconds", "0"))
        self._check(server, watch)
        self.labels = Labels(query.get("labelSelector", ""))
        self.fields = Fields(collection.resource, query.get("fieldSelector", ""))
        if name:
            self.fields.requirements.append(("metadata.name", False, name))
        self.selective = bool(self.labels.requirements or self.fields.requirements)

    def _check(self, server, watch: bool):
        causes = []
        if watch and not server.watch_list and self.match:
            causes.append((FORBIDDEN, MATCH, f"Forbidden: {MATCH} is forbidden for watch"))
        if not watch and self.initial is not None:
            causes.append((FORBIDDEN, "sendInitialEvents", "Forbidden: sendInitialEvents is forbidden for list"))
        if watch and self.initial is not None and self.match != "NotOlderThan":
            causes.append((FORBIDDEN, MATCH, "Forbidden: sendInitialEvents requires setting resourceVersionMatch to "
                           "NotOlderThan"))
        if watch and server.watch_list and self.match and self.initial is None:
            causes.append((FORBIDDEN, MATCH, f"Forbidden: {MATCH} is forbidden for watch unless sendInitialEvents is "
                           "provided"))
        if self.match and not self.rv and self.initial is None:
            causes.append((FORBIDDEN, MATCH, f"Forbidden: {MATCH} is forbidden unless resourceVersion is provided"))
        if not watch and self.match == "Exact" and self.rv == "0":
            causes.append((FORBIDDEN, MATCH, f'Forbidden: {MATCH} "exact" is forbidden for resourceVersion "0"'))
        if causes:
            raise invalid_options("ListOptions", causes)
        if self.token and self.rv not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")

    def takes(self, record: Record, namespace: str | None) -> bool:
        if namespace is not None and record.namespace != namespace:
            return False
        if not self.selective:
            return True
        return self.labels(record.labels) and self.fields(record.name, record.namespace, record.fields)


def _integer(text: str) -> int:
    try:
        return int(text or "0")
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _version(text: str, bare: bool) -> int:
    """bare: the answer to a bad one is a 500 without reason, for a watch and in 1.26."""
    try:
        return int(text or "0")
    except ValueError:
        problem = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise (error(500, None, problem) if bare else bad_request("invalid resource version: " + problem)) from None


async def _reached(server, rv: int):
    """The server waits a while for a version that it has not seen yet."""
    deadline = time.monotonic() + server.too_new_wait
    while server.store.rv < rv:
        if time.monotonic() >= deadline:
            raise too_new(rv, server.store.rv)
        await asyncio.sleep(0.05)


async def get(server, collection: Collection, request: Request, namespace: str, name: str) -> tuple[int, dict, list]:
    rv = _version(request.query.get("resourceVersion", ""), server.version == "1.26")
    if rv > server.store.rv:
        await _reached(server, rv)
    record = collection.records.get(f"{namespace}/{name}" if collection.resource.namespaced else name)
    if record is None:
        raise not_found(collection.resource, name)
    return 200, {}, [record.full + b"\n"]


# -- LIST

def _token(rv: int, start: str, version: str) -> str:
    start = start if version == "1.26" else "/" + start
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": rv, "start": start + "\0"}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_token(text: str) -> tuple[int, str]:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        made = json.loads(raw)
        return int(made["rv"]), made["start"].lstrip("/").rstrip("\0")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise bad_request("invalid continue token: continue key is not valid: invalid character 'i' looking for beginning "
                          "of value") from None


def _expired_token(start: str, version: str) -> ApiError:
    message = ("The provided continue parameter is too old to display a consistent list result. You can start a new list "
               "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
               "the results. Continuing with the provided token results in an inconsistent list - objects that were "
               "created, modified, or deleted between the time the first chunk was returned and now may show up in the "
               "list.")
    return ApiError(410, failure(410, message, "Expired", metadata={"continue": _token(-1, start, version)}))


async def _state(server, collection: Collection, options: Options, namespace: str | None):
    """(version, the records from which the page is taken, in order)."""
    rv = _version(options.rv, server.version == "1.26")
    if options.token:
        version, start = _read_token(options.token)
        if version == -1:
            version, records = server.store.rv, collection.all(namespace)
        elif version in collection.snapshots:
            records = collection.snapshots[version]
        elif version == server.store.rv:
            records = collection.all()
        else:
            raise _expired_token(start, server.version)
        full_start = f"{namespace}/{start}" if namespace is not None else start
        return version, [record for record in records if record.key > full_start
                         and (namespace is None or record.namespace == namespace)]
    if rv > server.store.rv and options.match == "Exact" and server.version == "1.26":
        raise error(500, None, "etcdserver: mvcc: required revision is a future revision")
    if rv > server.store.rv:
        await _reached(server, rv)
    if options.match == "Exact" and rv != server.store.rv:
        return rv, _as_of(collection, rv, namespace)
    return server.store.rv, collection.all(namespace)


def _as_of(collection: Collection, rv: int, namespace: str | None) -> list[Record]:
    if collection.since(rv) is None:
        raise gone("The resourceVersion for the provided list is too old.")
    records = dict(collection.records)
    for event in reversed(collection.log):
        if event.rv <= rv:
            break
        state = event.new or event.old
        if event.old is None:
            records.pop(state.key, None)
        else:
            records[state.key] = event.old
    return [record for _, record in sorted(records.items()) if namespace is None or record.namespace == namespace]


async def list_(server, collection: Collection, request: Request, namespace: str | None) -> tuple[int, dict, list]:
    options = Options(server, collection, request, False)
    version, records = await _state(server, collection, options, namespace)
    if options.selective:
        records = [record for record in records if options.takes(record, namespace)]
    limit = options.limit
    if options.rv == "0" and collection.resource.cached:
        limit = 0
        if server.version == "1.26":
            records = random.Random(version).sample(records, len(records))
    meta: dict = {"resourceVersion": str(version)}
    if 0 < limit < len(records):
        if not options.token and version == server.store.rv:
            collection.remember(version, collection.all())
        last = records[limit - 1]
        start = last.name if namespace is not None else last.key
        meta["continue"] = _token(version, start, server.version)
        if not options.selective:
            meta["remainingItemCount"] = len(records) - limit
        records = records[:limit]
    if server.shuffle:
        records = random.sample(records, len(records))
    return 200, {}, _list_body(server, collection, meta, records)


def _list_body(server, collection: Collection, meta: dict, records: list[Record]) -> list:
    resource = collection.resource
    if resource.custom:
        meta = {"continue": meta.get("continue", ""), **{k: v for k, v in meta.items() if k != "continue"}}
        meta = dict(sorted(meta.items()))
        head = f'{{"apiVersion":"{resource.api_version}","items":['
        tail = f'],"kind":"{resource.kind}List","metadata":{jsontext.dumps(meta)}}}\n'
    else:
        head = (f'{{"kind":"{resource.kind}List","apiVersion":"{resource.api_version}","metadata":{jsontext.dumps(meta)},'
                '"items":[')
        tail = "]}\n"
    if not server.streams_lists or not records:
        return [b"".join([head.encode(), b",".join([record.item for record in records]), tail.encode()])]
    writes = [head.encode(), records[0].item]
    for record in records[1:]:
        writes += (b",", record.item)
    writes.append(tail.encode())
    return writes


def compress(request: Request, headers: dict, writes: list) -> list:
    """gzip for large answers, if asked."""
    accepted = [part.strip() for part in request.headers.get("accept-encoding", "").split(",")]
    if not any(part.split(";")[0] == "gzip" and not part.replace(" ", "").endswith(";q=0") for part in accepted):
        return writes
    if sum(map(len, writes)) <= GZIP_FROM:
        return writes
    headers.update({"Content-Encoding": "gzip", "Vary": "Accept-Encoding"})
    data = gzip.compress(b"".join(writes), 1)
    return [data[i:i + 240] for i in range(0, len(data), 240)] if len(data) < 1 << 20 else [data]


# -- WATCH

class Watcher:
    """One WATCH: sends what the log has, then waits for more."""

    def __init__(self, server, collection: Collection, options: Options, namespace: str | None, sink: Sink):
        self.server, self.collection, self.options, self.namespace, self.sink = server, collection, options, namespace, sink
        self.place = 0
        self.woken = asyncio.Event()
        self.ended, self.problem = False, None

    def wake(self):
        self.woken.set()

    def stop(self):
        """The server ends all its watches, orderly."""
        self.ended = True
        self.woken.set()

    def fail(self, problem: ApiError):
        self.problem = problem
        self.woken.set()

    async def run(self):
        options, collection, store = self.options, self.collection, self.server.store
        start = _version(options.rv, True)
        initial: list[Record] | None = None
        if options.initial == "true" or options.initial is None and start == 0:
            initial = [record for record in collection.all(self.namespace) if options.takes(record, self.namespace)]
            self.place = collection.first + len(collection.log)
        elif start == 0:
            self.place = collection.first + len(collection.log)
        if options.initial == "true" and start > store.rv:
            await _reached(self.server, start)
        if collection.busy:
            collection.busy = False
            raise error(429, "TooManyRequests", "storage is (re)initializing", {"retryAfterSeconds": 1}, {"Retry-After": "1"})
        await self.sink.begin(200, {**self.server.headers(), "Content-Type": "application/json"})
        base = store.rv if initial is not None or start == 0 else start
        if initial is None and start:
            place = collection.since(start)
            if place is None:
                await self._error(self._too_old(start))
                return
            self.place = place
        collection.watchers.add(self)
        self.sink.gone.callbacks.add(self.wake)
        try:
            if initial is not None:
                await self._initial(initial, base)
            await self._follow(base)
        finally:
            collection.watchers.discard(self)
            self.sink.gone.callbacks.discard(self.wake)

    def _too_old(self, start: int) -> ApiError:
        if not self.collection.resource.cached:
            return gone("The resourceVersion for the provided watch is too old.")
        return gone(f"too old resource version: {start} ({max(self.collection.floor, self.collection.dropped_rv)})")

    async def _error(self, problem: ApiError):
        self.sink.write(f'{{"type":"ERROR","object":{jsontext.dumps(problem.status())}}}\n'.encode())
        await self.sink.flush()
        await self.sink.end()

    async def _initial(self, records: list[Record], rv: int):
        if self.server.shuffle or self.server.version == "1.26":
            records = random.sample(records, len(records))
        for count, record in enumerate(records, 1):
            self.sink.write(b'{"type":"ADDED","object":' + record.full + b"}\n")
            if count % 500 == 0:
                await self.sink.drain()
        whole = self.options.initial == "true" or self.server.watch_list and self.options.rv == "0"
        if whole and self.options.bookmarks:
            self.sink.write(self._bookmark(rv, True))
        await self.sink.flush()

    def _bookmark(self, rv: int, end: bool = False) -> bytes:
        resource = self.collection.resource
        meta: dict = {"resourceVersion": str(rv)}
        if self.server.null_stamps and not resource.custom:
            meta["creationTimestamp"] = None
        if end:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        obj: dict = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
        if resource.custom:
            obj = jsontext.sorted_deep(obj)
        else:
            obj.update(resource.empty)
        return f'{{"type":"BOOKMARK","object":{jsontext.dumps(obj)}}}\n'.encode()

    async def _follow(self, told: int):
        """told: the version that the client has; a bookmark says nothing older."""
        begun = time.monotonic()
        seconds = self.options.timeout or random.uniform(1, 2) * self.server.min_request_timeout
        deadline = begun + seconds
        bookmark = self._next_bookmark(begun, deadline)
        while True:
            delay = self.server.delays.get(self.collection.resource.plural, 0)
            if delay and self._pending():
                await asyncio.sleep(delay)
            self.woken.clear()
            told = await self._send_pending(told)
            now = time.monotonic()
            if self.problem is not None:
                await self._error(self.problem)
                return
            if now >= deadline or self.ended:
                await self.sink.end()
                return
            if self.options.bookmarks and now >= bookmark:
                rv = self.server.store.rv
                if rv > told or not self._said:
                    self.sink.write(self._bookmark(rv))
                    await self.sink.flush()
                    told, self._said = rv, True
                bookmark = self._next_bookmark(now, deadline)
            until = min(deadline, bookmark) if self.options.bookmarks else deadline
            await self._wait(max(0.0, until - now))
            if self.sink.gone.is_set():
                raise Cut("the client is gone")

    _said = True    # False once an event came after the last bookmark

    def _next_bookmark(self, now: float, deadline: float) -> float:
        beat = now + self.server.bookmark_interval
        last = deadline - 2
        return min(beat, last) if last > now else beat

    def _pending(self) -> bool:
        return self.place < self.collection.first + len(self.collection.log)

    async def _wait(self, seconds: float):
        if self.sink.gone.is_set():
            return
        timer = asyncio.get_running_loop().call_later(seconds, self.woken.set)
        try:
            await self.woken.wait()
        finally:
            timer.cancel()

    async def _send_pending(self, told: int) -> int:
        while self._pending():
            skip = self.place - self.collection.first
            if skip < 0:
                raise Cut("too slow for the history")
            batch = list(itertools.islice(self.collection.log, skip, skip + 500))
            self.place += len(batch)
            for event in batch:
                kind = self._kind(event)
                if kind:
                    self.sink.write(event.line(kind))
                    told, self._said = event.rv, False
            await self.sink.flush()
        return told

    def _kind(self, event: Event) -> str | None:
        before = event.old is not None and self.options.takes(event.old, self.namespace)
        after = event.new is not None and self.options.takes(event.new, self.namespace)
        if after:
            return "MODIFIED" if before else "ADDED"
        return "DELETED" if before else None
