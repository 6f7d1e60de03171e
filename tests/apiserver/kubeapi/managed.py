# SPDX-License-Identifier: GPL-2.0-or-later
"""metadata.managedFields: who set what. Kept as the API server keeps it, since it is 12 to 43 % of an object's bytes
and since server-side apply finds its conflicts there.

A field is a path of keys: "f:spec", "f:ports", 'k:{"port":80,"protocol":"TCP"}'. Lists are one field, except those
that Kubernetes merges by key.
"""

from __future__ import annotations

from .jsontext import dumps
from .resources import Resource

MERGED = {("Service", "ports"): ("port", "protocol"), ("Node", "conditions"): ("type",), ("Pod", "conditions"): ("type",),
          ("Node", "addresses"): ("type",), ("Service", "conditions"): ("type",), ("Pod", "containers"): ("name",),
          ("Node", "podCIDRs"): (), ("*", "finalizers"): ()}
WHOLE = {("Service", "selector")}
MAPS = {"labels", "annotations", "data", "stringData", "conditions", "sessionAffinityConfig", "clientIP"}
SKIPPED = {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
           "deletionGracePeriodSeconds", "managedFields"}


def fields(resource: Resource, obj: dict, status: bool) -> dict:
    """{path: value} of the object's own part: its status, or all else."""
    made: dict = {}
    for name, value in obj.items():
        if name in ("kind", "apiVersion"):
            continue
        if name == "metadata":
            if not status:
                for key in value:
                    if key not in SKIPPED:
                        _walk(resource, value[key], key, ("f:metadata", f"f:{key}"), made)
        elif not resource.status or (name == "status") == status:
            _walk(resource, value, name, (f"f:{name}",), made)
    return made


def _walk(resource: Resource, value, name: str, path: tuple, made: dict):
    keys = MERGED.get((resource.kind, name), MERGED.get(("*", name)))
    if isinstance(value, dict) and value and (resource.kind, name) not in WHOLE:
        if resource.custom or name in MAPS:
            made[path + (".",)] = None
        for key, each in value.items():
            _walk(resource, each, key, path + (f"f:{key}",), made)
    elif isinstance(value, list) and value and keys is not None:
        made[path + (".",)] = None
        for each in value:
            if not keys:
                made[path + ("v:" + dumps(each),)] = None
                continue
            inner = path + ("k:" + dumps({key: each.get(key) for key in keys}),)
            if sum(other.get(keys[0]) == each.get(keys[0]) for other in value) > 1 and len(keys) == 1:
                made[inner] = [other for other in value if other.get(keys[0]) == each.get(keys[0])]
                continue
            made[inner + (".",)] = None
            for key, leaf in each.items():
                _walk(resource, leaf, key, inner + (f"f:{key}",), made)
    else:
        made[path] = value


def to_set(tree: dict, path: tuple = ()) -> set:
    made = set()
    for key, inner in tree.items():
        if inner and key != ".":
            made |= to_set(inner, path + (key,))
        else:
            made.add(path + (key,))
    return made


def to_tree(paths) -> dict:
    tree: dict = {}
    for path in sorted(paths):
        at = tree
        for key in path:
            at = at.setdefault(key, {})
    return tree


class Owners:
    """managedFields, unpacked: {(manager, operation, subresource): set of paths}."""

    def __init__(self, resource: Resource, obj: dict):
        self.resource, self.entries, self.times = resource, {}, {}
        for entry in obj["metadata"].get("managedFields") or []:
            key = entry.get("manager", ""), entry.get("operation", ""), entry.get("subresource", "")
            self.entries[key] = to_set(entry.get("fieldsV1") or {})
            self.times[key] = entry.get("time")

    def take(self, key: tuple, paths: set, now: str, others_lose: set = frozenset()):
        for other, owned in self.entries.items():
            if other != key:
                self.entries[other] = owned - others_lose
        self.entries[key] = paths
        self.times[key] = now

    def pack(self, obj: dict):
        packed = []
        for key in sorted(self.entries, key=lambda key: (key[1] != "Apply", self.times[key] or "", key[0], key[2])):
            if not self.entries[key]:
                continue
            manager, operation, subresource = key
            entry = {"manager": manager, "operation": operation, "apiVersion": self.resource.api_version,
                     "time": self.times[key], "fieldsType": "FieldsV1", "fieldsV1": to_tree(self.entries[key])}
            if subresource:
                entry["subresource"] = subresource
            packed.append(entry)
        obj["metadata"].pop("managedFields", None)
        if packed:
            obj["metadata"]["managedFields"] = packed


def update(resource: Resource, old: dict | None, new: dict, manager: str, status: bool, now: str):
    """A write by POST, PUT or PATCH: the writer owns what it changed."""
    owners = Owners(resource, old or {"metadata": {}})
    before = fields(resource, old, status) if old else {}
    after = fields(resource, new, status)
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    dropped = set(before) - set(after)
    key = manager, "Update", "status" if status else ""
    for other in owners.entries:
        owners.entries[other] = owners.entries[other] - dropped
    mine = owners.entries.get(key, set()) | changed
    if changed or dropped:
        owners.take(key, mine, now, {path for path in changed if path in before and path[-1] != "."})
    owners.pack(new)


def ambiguous(obj: dict) -> bool:
    """1.26 gives managedFields up for a Node with two addresses of a type, as dual-stack ones have."""
    types = [each.get("type") for each in (obj.get("status") or {}).get("addresses") or []]
    return len(types) != len(set(types))


def conflicts(resource: Resource, old: dict, wanted: dict, manager: str) -> list[tuple[str, str]]:
    """[(field, manager)]: what others own and would change by an apply."""
    owners, current = Owners(resource, old), {**fields(resource, old, False), **fields(resource, old, True)}
    found = []
    for path, value in wanted.items():
        if path[-1] == "." or current.get(path) == value:
            continue
        for (owner, operation, _), owned in owners.entries.items():
            if path in owned and (owner, operation) != (manager, "Apply"):
                found.append(("".join("." + key[2:] for key in path), owner))
    return found
