# SPDX-License-Identifier: GPL-2.0-or-later
"""The patches: merge (RFC 7386), JSON patch (RFC 6902), strategic merge of the lists that weft touches, apply."""

from __future__ import annotations

import copy

from .status import error

MERGE_KEYS = {("Node", "conditions"): "type", ("Node", "addresses"): "type", ("Service", "conditions"): "type",
              ("Service", "ports"): "port", ("Pod", "conditions"): "type", ("Pod", "podIPs"): "ip",
              ("Pod", "containers"): "name", ("Node", "taints"): "key", ("*", "ownerReferences"): "uid"}
PLAIN_SETS = {("*", "finalizers"), ("Node", "podCIDRs")}


def merge(target, patch):
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    made = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = merge(made.get(name), value)
    return made


def strategic(kind: str, target, patch, name: str = ""):
    """As merge(), but lists with a merge key are merged by it."""
    if isinstance(patch, dict):
        if patch.get("$patch") == "replace":
            return {key: value for key, value in patch.items() if key != "$patch"}
        made = dict(target) if isinstance(target, dict) else {}
        for key, value in patch.items():
            if key.startswith("$"):
                continue
            if value is None:
                made.pop(key, None)
            else:
                made[key] = strategic(kind, made.get(key), value, key)
        return made
    if isinstance(patch, list):
        for wanted in (kind, "*"):
            if (wanted, name) in MERGE_KEYS:
                return _merge_list(kind, target or [], patch, MERGE_KEYS[wanted, name])
            if (wanted, name) in PLAIN_SETS:
                return list(target or []) + [each for each in patch if each not in (target or [])]
    return copy.deepcopy(patch)


def _merge_list(kind: str, target: list, patch: list, key: str) -> list:
    """Patched elements stand in the patch's order, the others in theirs; a new one comes before those it met."""
    if any(each.get("$patch") == "replace" for each in patch):
        return [each for each in patch if "$patch" not in each]
    left, patched, gone = list(enumerate(target)), [], set()
    for each in patch:
        place = next((i for i, old in left if old.get(key) == each.get(key) and i not in gone), None)
        if place is not None:
            gone.add(place)
        if each.get("$patch") == "delete":
            continue
        old = {} if place is None else target[place]
        patched.append((place, strategic(kind, old, each)))
    others = [(i, old) for i, old in left if i not in gone]
    made = []
    while others and patched:
        first = patched[0][0] is not None and others[0][0] < patched[0][0]
        made.append((others if first else patched).pop(0)[1])
    return made + [each for _, each in patched + others]


def _rejected():
    return error(422, "Invalid", "the server rejected our request due to an error in our request", {})


def json_patch(target, operations: list):
    made = copy.deepcopy(target)
    for operation in operations:
        path = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        parent, last = made, path[-1]
        for part in path[:-1]:
            parent = _child(parent, part)
        kind = operation["op"]
        if kind == "test":
            if _child(parent, last) != operation.get("value"):
                raise _rejected()
        elif kind in ("add", "replace"):
            if kind == "replace":
                _child(parent, last)
            _put(parent, last, copy.deepcopy(operation.get("value")), kind == "add")
        elif kind == "remove":
            _child(parent, last)
            del parent[int(last) if isinstance(parent, list) else last]
        else:
            raise _rejected()
    return made


def _child(parent, part: str):
    try:
        return parent[int(part)] if isinstance(parent, list) else parent[part]
    except (KeyError, IndexError, ValueError, TypeError):
        raise _rejected() from None


def _put(parent, part: str, value, insert: bool):
    if not isinstance(parent, list):
        parent[part] = value
    elif part == "-":
        parent.append(value)
    elif insert:
        parent.insert(int(part), value)
    else:
        parent[int(part)] = value


def remove_path(obj, path: tuple):
    """Takes a field of managed.py away, where it is."""
    for key in path[:-1]:
        if not isinstance(obj, dict):
            return
        obj = obj.get(key[2:])
    if isinstance(obj, dict):
        obj.pop(path[-1][2:], None)
