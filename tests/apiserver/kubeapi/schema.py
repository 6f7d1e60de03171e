# SPDX-License-Identifier: GPL-2.0-or-later
"""Custom resources against the OpenAPI schema of their CustomResourceDefinition: unknown fields pruned (with a warning),
defaults set, and types, ranges, patterns, enums and required fields checked. CEL rules are not evaluated."""

from __future__ import annotations

import copy
import re

from .jsontext import dumps
from .resources import Resource
from .status import invalid_object

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
INVALID, REQUIRED = "FieldValueInvalid", "FieldValueRequired"


class Schemas:
    def __init__(self):
        self.known: dict[tuple, dict] = {}

    def learn(self, crd: dict):
        spec = crd["spec"]
        for version in spec["versions"]:
            found = (version.get("schema") or {}).get("openAPIV3Schema")
            if found:
                self.known[spec["group"], version["name"], spec["names"]["kind"]] = found

    def check(self, resource: Resource, obj: dict) -> list[str]:
        """Changes obj; returns the warnings, raises a 422."""
        schema = self.known.get((resource.group, resource.version, resource.kind))
        if schema is None:
            return []
        warnings: list[str] = []
        causes: list = []
        for name in [name for name in obj if name not in ("apiVersion", "kind", "metadata")]:
            inner = schema.get("properties", {}).get(name)
            if inner is None:
                warnings.append(f'unknown field "{name}"')
                del obj[name]
            else:
                _walk(inner, obj[name], name, warnings, causes)
        for name in schema.get("required", ()):
            if name not in obj:
                causes.append((REQUIRED, name, "Required value"))
        if causes:
            raise invalid_object(resource, obj["metadata"].get("name", ""), causes)
        return warnings


def _walk(schema: dict, value, path: str, warnings: list, causes: list):
    if value is None and schema.get("nullable"):
        return
    wanted = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        wanted = None
    if wanted and (not isinstance(value, TYPES[wanted]) or wanted != "boolean" and isinstance(value, bool)):
        found = {v: k for k, v in (("object", dict), ("array", list), ("string", str), ("boolean", bool),
                                   ("integer", int), ("number", float))}.get(type(value), "null")
        causes.append(("FieldValueTypeInvalid", path, f'Invalid value: "{found}": {path} in body must be of type {wanted}: '
                       f'"{found}"'))
        return
    if isinstance(value, dict):
        _walk_object(schema, value, path, warnings, causes)
    elif isinstance(value, list):
        for i, each in enumerate(value):
            _walk(schema.get("items", {}), each, f"{path}[{i}]", warnings, causes)
        _bounds(schema, len(value), path, causes, "minItems", "maxItems", "should have at {} {} items")
    elif isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            causes.append((INVALID, path, f"Invalid value: {dumps(value)}: {path} in body should match "
                           f"'{schema['pattern']}'"))
        _bounds(schema, len(value), path, causes, "minLength", "maxLength", "should be at {} {} chars long")
    elif not isinstance(value, bool):
        for limit, word in (("maximum", "less"), ("minimum", "greater")):
            if limit in schema and (value > schema[limit] if limit == "maximum" else value < schema[limit]):
                causes.append((INVALID, path, f"Invalid value: {value}: {path} in body should be {word} than or equal to "
                               f"{schema[limit]}"))
    if "enum" in schema and value not in schema["enum"]:
        listed = ", ".join(dumps(each) for each in schema["enum"])
        causes.append(("FieldValueNotSupported", path, f"Unsupported value: {dumps(value)}: supported values: {listed}"))


def _bounds(schema, size, path, causes, least, most, text):
    if least in schema and size < schema[least]:
        causes.append((INVALID, path, f"Invalid value: {path} in body " + text.format("least", schema[least])))
    if most in schema and size > schema[most]:
        causes.append(("FieldValueTooLong", path, f"Too long: {path} in body " + text.format("most", schema[most])))


def _walk_object(schema, value, path, warnings, causes):
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, inner in properties.items():
        if name not in value and "default" in inner:
            value[name] = copy.deepcopy(inner["default"])
    for name in schema.get("required", ()):
        if name not in value:
            causes.append((REQUIRED, f"{path}.{name}", "Required value"))
    for name in list(value):
        if name in properties:
            _walk(properties[name], value[name], f"{path}.{name}", warnings, causes)
        elif isinstance(others, dict):
            _walk(others, value[name], f"{path}.{name}", warnings, causes)
        elif not others and not schema.get("x-kubernetes-preserve-unknown-fields") and properties:
            warnings.append(f'unknown field "{path}.{name}"')
            del value[name]
