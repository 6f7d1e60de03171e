# SPDX-License-Identifier: GPL-2.0-or-later
"""The control socket and scenario files: sentences (faults.py) and JSON commands, one a line; a JSON line answers.

	cut watch services after 1000 bytes once
	{"do": "apply", "object": {...}}            also create, delete, get, list: as an administrator would by HTTP
	{"do": "stats"}
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time

import yaml

from . import resources
from .faults import Unclear, seconds, understand
from .patch import merge
from .status import REASONS, ApiError, error
from .writes import Writer


class Control:
    def __init__(self, server):
        self.server = server
        self.listener = None
        self.background: set[asyncio.Task] = set()

    async def listen(self, path: str):
        if os.path.exists(path):
            os.unlink(path)
        self.listener = await asyncio.start_unix_server(self._client, path, limit=64 << 20)

    async def _client(self, reader, writer):
        try:
            while line := await reader.readline():
                try:
                    answer = {"ok": True, **(await self.do(line.decode().strip()) or {})}
                except ApiError as problem:
                    answer = {"ok": False, "error": str(problem), "code": problem.code}
                except (Unclear, ValueError, KeyError, OSError, yaml.YAMLError) as problem:
                    answer = {"ok": False, "error": f"{type(problem).__name__}: {problem}"}
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def do(self, line: str) -> dict | None:
        if line.startswith("{"):
            command = json.loads(line)
            return getattr(self, "_json_" + command["do"])(command)
        name, words = understand(line)
        if name == "fault":
            self.server.faults.append(words)
            return None
        made = getattr(self, "_" + name)(words)
        return await made if asyncio.iscoroutine(made) else made

    # -- scenarios

    def load_scenario(self, path: str) -> list[tuple[float, str]]:
        """[(seconds from the start, sentence)]. A step is {at: TIME, do: SENTENCE or several} or {after: ...}."""
        with open(path, encoding="utf-8") as file:
            steps = yaml.safe_load(file)
        if isinstance(steps, dict):
            steps = steps["steps"]
        made, clock = [], 0.0
        for step in steps:
            if isinstance(step, str):
                step = {"do": step}
            if "at" in step:
                clock = seconds(str(step["at"]))
            clock += seconds(str(step.get("after", "0")))
            listed = step["do"] if isinstance(step["do"], list) else [step["do"]]
            for sentence in listed:
                understand(sentence)
                made.append((clock, sentence))
        return made

    async def play(self, steps: list[tuple[float, str]], tell=print):
        begun = time.monotonic()
        for moment, sentence in steps:
            await asyncio.sleep(max(0.0, begun + moment - time.monotonic()))
            tell(f"{time.monotonic() - begun:.1f} s: {sentence}")
            await self.do(sentence)

    def _spawn(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self.background.add(task)
        task.add_done_callback(self.background.discard)

    # -- actions, by the names of faults.ACTIONS

    def _clear(self, _words):
        self.server.faults = []
        self.server.delays = {}
        self.server.shuffle = False
        self.server.forbidden_until = 0

    def _expire(self, words):
        self.server.store.expire(_names(words["of"]), self.server.version == "1.26")

    def _expire_tokens(self, _words):
        for collection in self.server.store.collections.values():
            collection.snapshots.clear()

    def _refuse(self, _words):
        self.server.refuse()

    async def _accept(self, _words):
        if not self.server.sockets:
            await self.server.start()

    def _freeze(self, _words):
        self.server.melted.clear()
        self.server.frozen.set()

    def _thaw(self, _words):
        self.server.frozen.clear()
        self.server.melted.set()
        for sock in self.server.held:
            sock.close()
        self.server.held = []

    def _close(self, words):
        self.server.close_connections(words["how"] or "abruptly")

    def _end_watches(self, words):
        self.server.end_watches(_names(words["of"]))

    def _error_event(self, words):
        code = int(words["status"])
        self.server.fail_watches(error(code, REASONS.get(code), f"scripted {code}"), _names(words["of"]))

    def _go_away(self, _words):
        self.server.go_away()

    async def _stop(self, words):
        await self.server.stop(words["how"] or "orderly")

    async def _start(self, words):
        if words["fresh"]:
            self.server.store.expire()
        if words["forbid"]:
            self.server.forbidden_until = time.monotonic() + seconds(words["forbid"])
        await self.server.start()

    async def _restart(self, words):
        await self.server.stop("abruptly")
        if words["pause"]:
            await asyncio.sleep(seconds(words["pause"]))
        await self._start(words)

    def _forbid(self, words):
        self.server.forbidden_until = time.monotonic() + seconds(words["span"])

    def _revoke(self, words):
        self.server.tokens.revoke(words["what"])

    def _token(self, words):
        self.server.tokens.add(words["token"], words["what"], (words["groups"] or "").split(","))

    def _http2(self, words):
        self.server.set_http2(words["switch"] == "on")

    def _watch_list(self, words):
        self.server.watch_list = words["switch"] == "on"

    def _shuffle(self, words):
        self.server.shuffle = words["switch"] == "on"

    def _lag(self, words):
        self.server.delays[words["of"]] = seconds(words["span"])

    def _bookmarks(self, words):
        self.server.bookmark_interval = seconds(words["span"])

    async def _wait(self, words):
        await asyncio.sleep(seconds(words["span"]))

    def _uninstall(self, words):
        """As the deletion of a CustomResourceDefinition: DELETED events, the watches end, then 404."""
        for collection in self._collections(words["of"]):
            for key in list(collection.records):
                self.server.store.remove(collection, key)
            for watcher in list(collection.watchers):
                watcher.stop()
            collection.installed = False

    def _install(self, words):
        for collection in self._collections(words["of"]):
            collection.installed, collection.floor = True, self.server.store.rv

    def _collections(self, text: str):
        for name in _names(text):
            if name == "weft":
                yield from (self.server.store.named(each.plural) for each in resources.WEFT)
            elif (found := self.server.store.named(name)) is None:
                raise ValueError(f"there is no resource {name}")
            else:
                yield found

    def _reinitialize(self, words):
        for collection in self._collections(words["of"]):
            self.server.reinitialize(collection)

    def _load(self, words):
        return {"loaded": load(self.server, words["path"])}

    def _churn(self, words):
        """Changes of objects drawn at random, at a steady rate."""
        self._spawn(self._churning(self.server.store.named(words["of"]), float(words["rate"]), seconds(words["span"])))

    def _touch(self, words):
        for i in range(int(words["times"] or 1)):
            self._change_one(self.server.store.named(words["of"]), i)

    def _change_one(self, collection, count: int):
        """An endpoint's readiness, or an annotation."""
        record = collection.records[random.choice(collection.keys)]
        obj = record.object()
        if obj.get("endpoints"):
            conditions = random.choice(obj["endpoints"])["conditions"]
            conditions["ready"] = conditions["serving"] = not conditions.get("ready")
            obj["metadata"]["generation"] = obj["metadata"].get("generation", 0) + 1
        else:
            obj["metadata"].setdefault("annotations", {})["test/churn"] = f"{time.monotonic()} {count}"
        self.server.store.put(collection, obj)

    async def _churning(self, collection, rate: float, span: float):
        begun, count = time.monotonic(), 0
        while (now := time.monotonic()) < begun + span:
            while count < (now - begun) * rate and collection.keys:
                self._change_one(collection, count)
                count += 1
            await asyncio.sleep(max(0.005, 1 / rate / 2))

    # -- JSON commands

    def _target(self, command: dict):
        obj = command.get("object")
        collection = self.server.store.of_object(obj) if obj else self.server.store.named(command["resource"])
        if collection is None:
            raise ValueError(f"no such resource: {(obj or command)}")
        meta = (obj or {}).get("metadata", {})
        name = meta.get("name") or command.get("name")
        namespace = (meta.get("namespace") or command.get("namespace") or "default") if collection.resource.namespaced else ""
        if obj is not None:
            ensure_namespace(self.server, namespace)
        return collection, namespace, name, f"{namespace}/{name}" if namespace else name

    def _writer(self, command: dict) -> Writer:
        server = self.server
        return Writer(server.store, server.allocator, server.schemas, command.get("manager", "test"))

    def _json_apply(self, command: dict) -> dict:
        """Creates, or merges over what is there (a merge patch: null removes); with the status if one is given."""
        return {"object": put(self.server, command["object"], self._target(command), self._writer(command))}

    def _json_replace(self, command: dict) -> dict:
        """Creates, or becomes exactly this (the status stays if none is given)."""
        return {"object": put(self.server, command["object"], self._target(command), self._writer(command), whole=True)}

    def _json_create(self, command: dict) -> dict:
        collection, namespace, _, _ = self._target(command)
        return {"object": self._writer(command).create(collection, namespace, command["object"]).object()}

    def _json_delete(self, command: dict) -> dict:
        collection, _, name, key = self._target(command)
        record = collection.records.get(key)
        if record is None:
            return {"deleted": False}
        self._writer(command).delete(collection, record, {}, "0")
        return {"deleted": True, "name": name}

    def _json_get(self, command: dict) -> dict:
        collection, _, _, key = self._target(command)
        record = collection.records.get(key)
        return {"object": record.object() if record else None}

    def _json_list(self, command: dict) -> dict:
        collection = self.server.store.named(command["resource"])
        return {"items": [record.object() for record in collection.all(command.get("namespace"))]}

    def _json_stats(self, command: dict) -> dict:
        """Counts per client address, per user and for all; reset: true begins anew."""
        server = self.server
        made = {"counts": {name: dict(count) for name, count in server.counts.items()}, "rv": server.store.rv,
                "connections": len(server.connections), "open": server.open_requests,
                "watchers": {each.resource.plural: len(each.watchers) for each in server.store.collections.values()
                             if each.watchers},
                "faults": [{"text": fault.text, "hits": fault.hits} for fault in server.faults
                           if not fault.over()]}
        if command.get("reset"):
            server.counts.clear()
        return made


def _names(text: str | None) -> list[str]:
    return [] if not text else text.replace(",", " ").replace(" and ", " ").split()


def put(server, obj: dict, target, writer: Writer, whole: bool = False) -> dict:
    collection, namespace, _, key = target
    record = collection.records.get(key)
    status = obj.get("status")
    if record is None:
        record = writer.create(collection, namespace, dict(obj))
    else:
        wanted = {**obj, "metadata": {**obj.get("metadata", {})}} if whole else merge(record.object(), obj)
        wanted["metadata"].pop("resourceVersion", None)
        wanted["metadata"].pop("uid", None)
        record = writer.replace(collection, record, wanted, False, patched=True)
    if status is not None and collection.resource.status:
        made = record.object()
        made["status"] = merge(made.get("status") or {}, status) if not whole else status
        record = writer.replace(collection, record, made, True, patched=True)
    return record.object()


def ensure_namespace(server, name: str):
    """For the control socket and files; requests get a 404."""
    spaces = server.store.find("", "v1", "namespaces")
    if name and name not in spaces.records:
        Writer(server.store, server.allocator, server.schemas, "test").create(spaces, "", {"metadata": {"name": name}})


def load(server, path: str) -> int:
    """Manifests: objects, Lists, RBAC, CustomResourceDefinitions."""
    count = 0
    with open(path, encoding="utf-8") as file:
        documents = [each for each in yaml.load_all(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if each]
    for document in documents:
        for obj in document["items"] if document.get("kind") == "List" else [document]:
            load_one(server, obj, path)
            count += 1
    return count


def load_one(server, obj: dict, path: str):
    if obj["apiVersion"].startswith("rbac.authorization.k8s.io/"):
        server.rbac.add(obj)
        return
    if obj["kind"] == "CustomResourceDefinition":
        for resource in resources.of_crd(obj):
            if server.store.collections.get((resource.group, resource.version, resource.plural)) is None:
                server.store.add(resource)
        server.schemas.learn(obj)
        return
    collection = server.store.of_object(obj)
    if collection is None:
        raise ValueError(f"{path}: no resource for {obj.get('apiVersion')} {obj.get('kind')}")
    namespace = obj["metadata"].get("namespace", "default") if collection.resource.namespaced else ""
    key = f"{namespace}/{obj['metadata']['name']}" if namespace else obj["metadata"]["name"]
    ensure_namespace(server, namespace)
    put(server, obj, (collection, namespace, obj["metadata"]["name"], key),
        Writer(server.store, server.allocator, server.schemas, "kubectl-client-side-apply"))
