# SPDX-License-Identifier: GPL-2.0-or-later
"""A request's way: who asks, may they, what is it for, the answer."""

from __future__ import annotations

import json
from dataclasses import dataclass

import yaml

from . import discovery, jsontext, reads, writes
from .rbac import ANONYMOUS, Asked, User, refusal
from .selectors import Fields
from .status import (JSON, TEXT, ApiError, bad_media_type, bad_request, error, no_such_resource, not_found,
                     page_not_found)
from .store import Collection
from .wire import Request, Sink

PATCHES = {"application/merge-patch+json": "merge", "application/json-patch+json": "json",
           "application/strategic-merge-patch+json": "strategic", "application/apply-patch+yaml": "apply"}
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get", "HEAD": "get"}


@dataclass
class Target:
    """What a path names."""
    group: str
    version: str
    plural: str
    namespace: str | None = None
    name: str | None = None
    subresource: str = ""
    watch: bool = False


def parse(path: str) -> Target | None:
    parts = [part for part in path.split("/")[1:]]
    if parts and parts[-1] == "":
        parts.pop()
    if "" in parts:
        return None
    if parts[:2] == ["api", "v1"]:
        group, version, rest = "", "v1", parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    watch = rest[:1] == ["watch"]
    rest = rest[1:] if watch else rest
    if not rest:
        return None
    namespace = None
    if rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in ("status", "finalize")):
        namespace, rest = rest[1], rest[2:]
    return Target(group, version, rest[0], namespace, rest[1] if len(rest) > 1 else None,
                  "/".join(rest[2:]), watch)


def authenticate(server, request: Request) -> User:
    header = request.headers.get("authorization", "")
    if header.lower().startswith("bearer "):
        user = server.tokens.users.get(header[7:].strip())
        if user is None:
            raise error(401, "Unauthorized", "Unauthorized")
        return user
    if request.certificate:
        return server.tokens.of_certificate(request.certificate)
    return ANONYMOUS


def asked(server, request: Request, target: Target | None) -> Asked:
    if target is None:
        return Asked(request.method.lower(), path=request.path)
    verb = VERBS.get(request.method, request.method.lower())
    name = target.name or ""
    if verb == "get" and (target.watch or request.query.get("watch") in ("1", "true")):
        verb = "watch"
    elif verb == "get" and not name:
        verb = "list"
    elif verb == "delete" and not name:
        verb = "deletecollection"
    if not name and verb in ("list", "watch", "deletecollection"):
        collection = server.store.find(target.group, target.version, target.plural)
        if collection is not None and request.query.get("fieldSelector"):
            try:
                name = Fields(collection.resource, request.query["fieldSelector"]).name() or ""
            except ApiError:
                name = ""
    resource = f"{target.plural}/{target.subresource}" if target.subresource else target.plural
    namespace = target.namespace or ""
    if target.plural == "namespaces" and not target.group and name:
        namespace = name
    return Asked(verb, "", target.group, resource, namespace, name)


class Api:
    def __init__(self, server):
        self.server = server

    async def respond(self, request: Request, sink: Sink, target: Target | None, wanted: Asked, user: User):
        """Answers, or raises an ApiError."""
        server = self.server
        if server.forbidding() or not server.rbac.allows(user, wanted):
            message, details = refusal(user, wanted)
            raise error(403, "Forbidden", message, details, {"X-Content-Type-Options": "nosniff"})
        if target is None:
            await self._page(request, sink)
            return
        collection = server.store.find(target.group, target.version, target.plural)
        if collection is None:
            known = target.group == "" or any(key[:2] == (target.group, target.version) and each.installed
                                              for key, each in server.store.collections.items())
            raise no_such_resource() if known else page_not_found()
        if target.subresource not in ("", "status", "binding", "finalize"):
            raise no_such_resource()
        if target.subresource == "status" and not collection.resource.status:
            raise no_such_resource()
        if wanted.verb in ("list", "watch", "get"):
            await self._read(request, sink, target, wanted.verb, collection)
        else:
            await self._write(request, sink, target, wanted.verb, collection)

    async def _page(self, request: Request, sink: Sink):
        found = discovery.page(self.server, request.path, "verbose" in request.query)
        if found is None:
            raise page_not_found()
        if isinstance(found, str):
            await self.send(request, sink, 200, {"Content-Type": TEXT, "X-Content-Type-Options": "nosniff"}, [found.encode()])
        elif request.path == "/version":
            await self.send(request, sink, 200, {}, [jsontext.pretty(found).encode()])
        else:
            await self.send(request, sink, 200, {}, [jsontext.dumps(found).encode() + b"\n"])

    async def _read(self, request: Request, sink: Sink, target: Target, verb: str, collection: Collection):
        if request.method == "HEAD":
            raise error(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})
        accept = request.headers.get("accept", "")
        if accept and not any(kind in accept for kind in ("json", "*/*", "application/*", "yaml")):
            raise error(406, "NotAcceptable", "406: Not Acceptable\n\nAvailable representations: application/json, "
                        "application/yaml, application/vnd.kubernetes.protobuf", {})
        if verb == "watch":
            options = reads.Options(self.server, collection, request, True, target.name)
            await reads.Watcher(self.server, collection, options, target.namespace, sink).run()
            return
        if verb == "list":
            answer = await reads.list_(self.server, collection, request, target.namespace)
        else:
            answer = await reads.get(self.server, collection, request, target.namespace or "", target.name)
        await self.send(request, sink, *answer)

    async def send(self, request: Request, sink: Sink, code: int, headers: dict, body: list):
        """body: JSON texts as they are written, one by one."""
        shown = {**self.server.headers(), "Content-Type": JSON, **headers}
        if shown["Content-Type"] == JSON and _wants_pretty(request) and body:
            body = [jsontext.pretty(json.loads(b"".join(body))).encode()]
        body = reads.compress(request, shown, body)
        await sink.answer(code, shown, body)

    # -- writes

    def _decode(self, request: Request, collection: Collection, content: str):
        resource = collection.resource
        if content not in (JSON, "application/yaml", ""):
            raise bad_media_type("application/json, application/yaml, application/vnd.kubernetes.protobuf")
        text = request.body.decode("utf-8", "replace")
        try:
            obj = yaml.safe_load(text) if content == "application/yaml" else json.loads(text)
        except ValueError:
            raise bad_request(f"the object provided is unrecognized (must be of type {resource.kind}): couldn't get "
                              "version/kind; json parse error: unexpected end of JSON input "
                              f"({text[:64] or '<empty>'})") from None
        if not isinstance(obj, dict):
            raise bad_request(f"json: cannot unmarshal into Go value of type {resource.kind}")
        if obj.get("kind", resource.kind) != resource.kind or obj.get("apiVersion", resource.api_version) != \
                resource.api_version:
            short = obj.get("apiVersion", "").split("/")[-1]
            raise bad_request(f'{obj.get("kind")} in version "{short}" cannot be handled as a {resource.kind}: converting '
                              f"({obj.get('apiVersion')}.{obj.get('kind')}) to ({resource.group.split('.')[0] or 'core'}."
                              f"{resource.kind}): unknown conversion")
        return obj

    def _writer(self, request: Request) -> writes.Writer:
        manager = request.query.get("fieldManager") or request.headers.get("user-agent", "unknown").split("/")[0]
        server = self.server
        return writes.Writer(server.store, server.allocator, server.schemas, manager,
                             request.query.get("dryRun") == "All")

    async def _write(self, request: Request, sink: Sink, target: Target, verb: str, collection: Collection):
        resource = collection.resource
        namespace = (target.namespace or "") if resource.namespaced else ""
        content = request.headers.get("content-type", "").split(";")[0].strip()
        if verb == "create" and target.name and target.subresource != "binding" or \
                verb not in ("create", "deletecollection") and not target.name or \
                resource.namespaced and not namespace:
            raise error(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})
        if request.too_large:
            raise error(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")
        writer = self._writer(request)
        code, key = 200, f"{namespace}/{target.name}" if resource.namespaced else target.name
        record = collection.records.get(key) if target.name else None
        if verb == "create":
            if target.subresource == "binding":
                await self._bind(request, sink, collection, record, target)
                return
            code, body = 201, writer.create(collection, namespace, self._decode(request, collection, content)).full
        elif verb == "update":
            code, body = self._update(request, collection, namespace, target, record, writer, content)
        elif verb == "patch":
            code, body = self._patch(request, collection, namespace, target, record, writer, content)
        else:
            body = self._delete(request, collection, namespace, target, record, writer, content)
        headers = {"Warning": f'299 - "{_quoted(writer.warnings[0])}"'} if writer.warnings else {}
        await self.send(request, sink, code, headers, [body + b"\n"])

    def _update(self, request, collection, namespace, target, record, writer, content):
        obj = self._decode(request, collection, content)
        name = obj.get("metadata", {}).get("name", target.name)
        if name != target.name:
            raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({target.name})")
        if record is None:
            if not collection.resource.create_on_update or target.subresource:
                raise not_found(collection.resource, target.name)
            return 201, writer.create(collection, namespace, obj).full
        return 200, writer.replace(collection, record, obj, target.subresource == "status").full

    def _patch(self, request, collection, namespace, target, record, writer, content):
        kind = PATCHES.get(content)
        if kind is None:
            raise error(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
        if kind == "strategic" and collection.resource.custom:
            raise bad_media_type("application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml")
        try:
            body = yaml.safe_load(request.body) if kind == "apply" else json.loads(request.body)
        except (ValueError, yaml.YAMLError):
            raise bad_request("error decoding patch: invalid character") from None
        status = target.subresource == "status"
        if kind == "apply":
            writer.manager = request.query.get("fieldManager", "")
            record, created = writer.apply(collection, namespace, target.name, body, status,
                                           request.query.get("force") in ("1", "true"))
            return 201 if created else 200, record.full
        if record is None:
            raise not_found(collection.resource, target.name)
        return 200, writer.patch(collection, record, kind, body, status).full

    def _delete(self, request, collection, namespace, target, record, writer, content):
        options = json.loads(request.body) if request.body and content in (JSON, "") else {}
        if request.query.get("dryRun") == "All" or options.get("dryRun") == ["All"]:
            writer.dry_run = True
        if target.name:
            if record is None:
                raise not_found(collection.resource, target.name)
            return jsontext.dumps(writer.delete(collection, record, options,
                                                request.query.get("gracePeriodSeconds"))).encode()
        chosen = reads.Options(self.server, collection, request, False)
        where = namespace if collection.resource.namespaced else None
        records = [each for each in collection.all(where) if chosen.takes(each, where)]
        rv = self.server.store.rv
        for each in records:
            writer.delete(collection, each, options, None)
        meta = {"resourceVersion": str(rv)}
        return b"".join(reads._list_body(self.server, collection, meta, records)).rstrip(b"\n")

    async def _bind(self, request, sink, collection, record, target):
        if record is None:
            raise not_found(collection.resource, target.name)
        obj = record.object()
        obj["spec"]["nodeName"] = json.loads(request.body)["target"]["name"]
        obj["status"].setdefault("conditions", []).append({"type": "PodScheduled", "status": "True", "lastProbeTime": None,
                                                           "lastTransitionTime": writes.now()})
        self.server.store.put(collection, obj)
        done = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
        await self.send(request, sink, 201, {}, [jsontext.dumps(done).encode() + b"\n"])

    async def fail(self, request: Request, sink: Sink, problem: ApiError):
        headers = {**self.server.headers(), **problem.headers}
        if problem.code == 401:
            headers = {name: value for name, value in headers.items() if not name.startswith("X-Kubernetes")}
        if isinstance(problem.body, dict):
            headers["Content-Type"] = JSON
            indent = problem.code == 406 or _wants_pretty(request)
            body = (jsontext.pretty if indent else jsontext.dumps)(problem.body).encode() + (b"" if indent else b"\n")
        else:
            headers["Content-Type"] = TEXT
            body = problem.body.encode()
        await sink.answer(problem.code, headers, [body])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _wants_pretty(request: Request) -> bool:
    if "pretty" in request.query:
        return request.query["pretty"] in ("1", "true")
    return request.headers.get("user-agent", "").startswith(("curl/", "Wget/", "Mozilla/"))
