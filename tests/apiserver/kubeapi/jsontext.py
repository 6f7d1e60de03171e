# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON as Go's encoder writes it, and objects in the order in which the API server writes their members."""

from __future__ import annotations

import json
import re

from .resources import Resource

METADATA = ("name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
            "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences",
            "finalizers", "managedFields")
_SPECIAL = re.compile("[<>&\u2028\u2029\b\f]|\\\\[bf]")
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def dumps(value) -> str:
    text = _ENCODER.encode(value)
    return _SPECIAL.sub(lambda m: _ESCAPES.get(m.group(), m.group()), text)


def pretty(value) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return _SPECIAL.sub(lambda m: _ESCAPES.get(m.group(), m.group()), text)


def sorted_deep(value):
    if isinstance(value, dict):
        return {name: sorted_deep(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [sorted_deep(each) for each in value]
    return value


def ordered(resource: Resource, obj: dict) -> dict:
    """The object with its members in the server's order: Go's structs, or sorted for custom resources."""
    if resource.custom:
        return sorted_deep({**obj, "apiVersion": resource.api_version, "kind": resource.kind})
    old = obj["metadata"]
    meta = {name: old[name] for name in METADATA if name in old}
    for name in ("labels", "annotations"):
        if name in meta:
            meta[name] = dict(sorted(meta[name].items()))
    made = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
    made.update((name, value) for name, value in obj.items() if name not in made)
    return made


def head_of(resource: Resource) -> bytes:
    """What an object of a list leaves out: a built-in's kind and apiVersion."""
    return b"" if resource.custom else f'"kind":"{resource.kind}","apiVersion":"{resource.api_version}",'.encode()
