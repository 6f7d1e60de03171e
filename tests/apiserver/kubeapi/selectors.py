# SPDX-License-Identifier: GPL-2.0-or-later
"""Label and field selectors."""

from __future__ import annotations

import re

from .resources import Resource
from .status import bad_request

_TOKEN = re.compile(r"\s*(==|!=|=|!|>|<|\(|\)|,|[^\s=!<>(),]+)")
_NAME = re.compile(r"([a-z0-9A-Z.-]+/)?[a-zA-Z0-9]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?$")


class Labels:
    """A parsed label selector; call it with an object's labels."""

    def __init__(self, text: str):
        self._tokens = _TOKEN.findall(text)
        self._at = 0
        self.requirements = []
        while self._peek() is not None:
            self.requirements.append(self._requirement())
            if self._peek() is None:
                break
            if self._next() != ",":
                raise bad_request(f"found '{self._tokens[self._at - 1]}', expected: ',' or 'end of string'")

    def _peek(self):
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self):
        token = self._peek()
        self._at += 1
        return token

    def _name(self):
        token = self._next()
        if token is None or not _NAME.match(token):
            raise bad_request(f"found '{token or ''}', expected: !, identifier, or 'end of string'")
        return token

    def _set(self):
        if self._next() != "(":
            raise bad_request("found '', expected: '('")
        values = []
        while (token := self._next()) != ")":
            if token is None:
                raise bad_request("found '', expected: ',', or ')'")
            if token != ",":
                values.append(token)
        return values

    def _value(self):
        token = self._peek()
        return self._next() if token not in (None, ",") else ""

    def _requirement(self):
        if self._peek() == "!":
            self._next()
            return self._name(), "!", None
        name = self._name()
        token = self._peek()
        if token in (None, ","):
            return name, "exists", None
        self._next()
        if token in ("=", "=="):
            return name, "in", [self._value()]
        if token == "!=":
            return name, "notin", [self._value()]
        if token in ("in", "notin"):
            return name, token, self._set()
        raise bad_request(f"found '{token}', expected: in, notin, =, ==, !=, gt, lt")

    def __call__(self, labels: dict) -> bool:
        for name, operator, values in self.requirements:
            has = name in labels
            if operator == "exists":
                good = has
            elif operator == "!":
                good = not has
            elif operator == "in":
                good = has and labels[name] in values
            else:
                good = not has or labels[name] not in values
            if not good:
                return False
        return True


class Fields:
    """A parsed field selector; call it with (name, namespace, fields): fields as fields_of() makes them."""

    def __init__(self, resource: Resource, text: str):
        self.requirements = []
        for part in filter(None, text.split(",")):
            name, operator, value = re.match(r"([^=!]*)(==|!=|=)?(.*)", part).groups()
            if operator is None:
                raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
            if name not in ("metadata.name", "metadata.namespace") + resource.fields:
                raise bad_request(f"field label not supported: {name}")
            self.requirements.append((name, operator == "!=", value))

    def name(self) -> str | None:
        """The one name that it selects; what an authorizer goes by."""
        for field, negated, value in self.requirements:
            if field == "metadata.name" and not negated:
                return value
        return None

    def __call__(self, name: str, namespace: str, fields: dict) -> bool:
        for field, negated, value in self.requirements:
            have = name if field == "metadata.name" else namespace if field == "metadata.namespace" \
                else fields.get(field, "")
            if (have == value) == negated:
                return False
        return True


def fields_of(resource: Resource, obj: dict) -> dict:
    made = {}
    for field in resource.fields:
        value = obj
        for part in field.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if field == "source":
            value = (obj.get("source") or {}).get("component")
        if field in ("spec.unschedulable", "spec.hostNetwork"):
            value = "true" if value else "false"
        made[field] = "" if value is None else str(value)
    return made
