# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects as bytes, their history, and who watches it.

An object is kept as the JSON that answers hold, so a LIST is a join and an event to 5,000 watchers is encoded once.
One counter numbers all changes. Each collection keeps its last changes (HISTORY): a watch from before them, or from
before `floor`, is expired.
"""

from __future__ import annotations

import bisect
import collections
import json
import uuid

from . import jsontext
from .resources import Resource
from .selectors import fields_of

HISTORY = 20000
SNAPSHOTS = 32


class Record:
    """One state of one object."""
    __slots__ = ("key", "name", "namespace", "uid", "rv", "item", "labels", "fields", "full_head")

    def __init__(self, resource: Resource, obj: dict, head: bytes):
        meta = obj["metadata"]
        self.name, self.namespace = meta["name"], meta.get("namespace", "")
        self.key = f"{self.namespace}/{self.name}" if resource.namespaced else self.name
        self.uid, self.rv = meta["uid"], int(meta["resourceVersion"])
        self.labels = meta.get("labels") or {}
        self.fields = fields_of(resource, obj) if resource.fields else {}
        full = jsontext.dumps(jsontext.ordered(resource, obj)).encode()
        self.full_head = head
        self.item = b"{" + full[1 + len(head):] if head else full

    @property
    def full(self) -> bytes:
        return b"{" + self.full_head + self.item[1:] if self.full_head else self.item

    def object(self) -> dict:
        return json.loads(self.full)


class Event:
    """One change. old is None for a creation, new is None for a deletion; last is the deleted object at its end."""
    __slots__ = ("rv", "old", "new", "last", "lines")

    def __init__(self, rv: int, old, new, last):
        self.rv, self.old, self.new, self.last, self.lines = rv, old, new, last, {}

    def line(self, kind: str) -> bytes:
        """Encoded once for all watchers. A DELETED has the last state with the number of the change."""
        if kind not in self.lines:
            record = self.new
            if kind == "DELETED":
                record = self.last if self.last is not None else renumbered(self.old, self.rv)
            self.lines[kind] = b'{"type":"' + kind.encode() + b'","object":' + record.full + b"}\n"
        return self.lines[kind]


def renumbered(record: Record, rv: int) -> Record:
    made = Record.__new__(Record)
    for name in Record.__slots__:
        setattr(made, name, getattr(record, name))
    made.item = record.item.replace(f'"resourceVersion":"{record.rv}"'.encode(), f'"resourceVersion":"{rv}"'.encode(), 1)
    made.rv = rv
    return made


class Collection:
    def __init__(self, resource: Resource, floor: int):
        self.resource, self.head = resource, jsontext.head_of(resource)
        self.records: dict[str, Record] = {}
        self.keys: list[str] = []
        self.log: collections.deque[Event] = collections.deque()
        self.first = 0       # how many events were dropped from the log's left end
        self.floor = floor   # watches from before this are expired
        self.watchers: set = set()
        self.snapshots: collections.OrderedDict[int, list[Record]] = collections.OrderedDict()
        self.installed, self.busy = True, False     # busy: the next watch is told so
        self.dropped_rv = 0

    def all(self, namespace: str | None = None) -> list[Record]:
        if namespace is None or not self.resource.namespaced:
            return [self.records[key] for key in self.keys]
        start = bisect.bisect_left(self.keys, namespace + "/")
        end = bisect.bisect_left(self.keys, namespace + "0")
        return [self.records[key] for key in self.keys[start:end]]

    def since(self, rv: int) -> int | None:
        """The place in the log (counted from its very beginning) of the first event after rv; None: expired."""
        if rv < self.floor:
            return None
        low, high = 0, len(self.log)
        while low < high:
            middle = (low + high) // 2
            if self.log[middle].rv <= rv:
                low = middle + 1
            else:
                high = middle
        if low == 0 and self.first and rv < self.dropped_rv:
            return None
        return self.first + low

    def append(self, event: Event):
        self.log.append(event)
        if len(self.log) > HISTORY:
            self.dropped_rv = self.log.popleft().rv
            self.first += 1
        for watcher in self.watchers:
            watcher.wake()

    def remember(self, rv: int, records: list[Record]):
        """A LIST's state for its next pages."""
        if rv not in self.snapshots:
            self.snapshots[rv] = records
            if len(self.snapshots) > SNAPSHOTS:
                self.snapshots.popitem(last=False)


class Store:
    def __init__(self):
        self.rv = 1
        self.collections: dict[tuple, Collection] = {}

    def add(self, resource: Resource) -> Collection:
        made = Collection(resource, self.rv)
        self.collections[resource.group, resource.version, resource.plural] = made
        return made

    def find(self, group: str, version: str, plural: str) -> Collection | None:
        found = self.collections.get((group, version, plural))
        return found if found is not None and found.installed else None

    def named(self, plural: str) -> Collection | None:
        """By plural or kind alone, whatever the group: for people."""
        for collection in self.collections.values():
            if plural.lower() in (collection.resource.plural, collection.resource.kind.lower()):
                return collection
        return None

    def of_object(self, obj: dict) -> Collection | None:
        group, _, version = obj.get("apiVersion", "").rpartition("/")
        for collection in self.collections.values():
            resource = collection.resource
            if (resource.group, resource.version, resource.kind) == (group, version, obj.get("kind")):
                return collection
        return None

    def put(self, collection: Collection, obj: dict) -> Record:
        """Creates or replaces; the object gets its number here."""
        self.rv += 1
        obj["metadata"]["resourceVersion"] = str(self.rv)
        obj["metadata"].setdefault("uid", str(uuid.uuid4()))
        record = Record(collection.resource, obj, collection.head)
        old = collection.records.get(record.key)
        if old is None:
            bisect.insort(collection.keys, record.key)
        collection.records[record.key] = record
        collection.append(Event(self.rv, old, record, None))
        return record

    def remove(self, collection: Collection, key: str, last: dict | None = None) -> Record:
        """last: the state that the DELETED event shows, if it is not the stored one."""
        self.rv += 1
        old = collection.records.pop(key)
        del collection.keys[bisect.bisect_left(collection.keys, key)]
        end = None
        if last is not None:
            last["metadata"]["resourceVersion"] = str(self.rv)
            end = Record(collection.resource, last, collection.head)
        event = Event(self.rv, old, None, end)
        collection.append(event)
        return end or renumbered(old, self.rv)

    def expire(self, plurals=(), tokens: bool = True):
        """Forgets the history, as a compaction of etcd and a restart of the server do; tokens: of LISTs too."""
        for collection in self.collections.values():
            if not plurals or collection.resource.plural in plurals:
                collection.floor = self.rv
                if tokens:
                    collection.snapshots.clear()
