# SPDX-License-Identifier: GPL-2.0-or-later
"""Create, update, patch, apply, delete: from a parsed request to a change of the store."""

from __future__ import annotations

import copy
import datetime
import random
import uuid

from . import kinds, managed, patch, schema
from .jsontext import dumps, ordered, sorted_deep
from .resources import Resource
from .status import (ApiError, already_exists, bad_request, conflict, error, invalid_object, invalid_options, not_found,
                     success)
from .store import Collection, Record, Store

ETCD_LIMIT = 1536 << 10
SERVER_OWNED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "namespace")


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def later(seconds: int) -> str:
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Writer:
    """Who writes, and how: manager and dryRun come from the request."""

    def __init__(self, store: Store, allocator: kinds.Allocator, schemas: schema.Schemas, manager: str = "unknown",
                 dry_run: bool = False):
        self.store, self.allocator, self.schemas = store, allocator, schemas
        self.manager, self.dry_run = manager, dry_run
        self.warnings: list[str] = []

    # -- what all writes share

    def _prepare(self, collection: Collection, obj: dict, old: dict | None, patched: bool):
        resource = collection.resource
        try:
            kinds.prepare(resource, obj, self.allocator.old)
        except kinds.Undecodable as problem:
            shown = {"apiVersion": resource.api_version, **ordered(resource, obj), "spec": sorted_deep(obj["spec"])}
            raise problem.as_error(resource, shown if patched else None) from None
        kinds.check(resource, obj, old, self.allocator)
        if resource.kind == "Service" and obj["spec"].get("externalIPs") and not self.allocator.old:
            self.warnings.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
        self.warnings += self.schemas.check(resource, obj)

    def _put(self, collection: Collection, obj: dict) -> Record:
        if self.dry_run:
            obj["metadata"].setdefault("resourceVersion", "0")
            return Record(collection.resource, obj, collection.head)
        if len(dumps(obj)) > ETCD_LIMIT:
            raise error(500, None, "etcdserver: request is too large")
        return self.store.put(collection, obj)

    # -- POST

    def create(self, collection: Collection, namespace: str, obj: dict, patched: bool = False,
               owned: list | None = None) -> Record:
        resource = collection.resource
        meta = obj.setdefault("metadata", {})
        if meta.get("resourceVersion"):
            raise error(500, None, "resourceVersion should not be set on objects to be created")
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + "".join(random.choices("bcdfghjklmnpqrstvwxz2456789", k=5))
        self._place(resource, namespace, meta)
        fresh = {"metadata": meta, **obj}
        given_status = fresh.pop("status", None) if resource.status else None
        if resource.kind == "Node" and given_status:
            fresh["status"] = given_status
        self._prepare(collection, fresh, None, patched)
        key = f"{namespace}/{meta['name']}" if resource.namespaced else meta["name"]
        if key in collection.records:
            raise already_exists(resource, meta["name"])
        meta.pop("managedFields", None)
        meta.update(uid=str(uuid.uuid4()), creationTimestamp=now())
        if resource.generation:
            meta["generation"] = 1
        if owned is None:
            managed.update(resource, None, fresh, self.manager, False, meta["creationTimestamp"])
        else:
            meta["managedFields"] = owned
        kinds.allocate(resource, fresh, None, self.allocator)
        return self._put(collection, fresh)

    def _place(self, resource: Resource, namespace: str, meta: dict):
        if not resource.namespaced:
            meta.pop("namespace", None)
            return
        if meta.get("namespace", namespace) != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        meta["namespace"] = namespace
        namespaces = self.store.find("", "v1", "namespaces")
        if namespaces is not None and namespace not in namespaces.records:
            raise not_found(namespaces.resource, namespace)

    # -- PUT and PATCH

    def replace(self, collection: Collection, record: Record, obj: dict, status: bool, patched: bool = False) -> Record:
        resource = collection.resource
        old = record.object()
        meta = obj.setdefault("metadata", {})
        wanted = meta.get("resourceVersion")
        if not wanted and not resource.unconditional and not patched:
            raise invalid_object_version(resource, record.name, self.allocator.old)
        if meta.get("uid", record.uid) != record.uid:
            raise conflict(resource, record.name, uid_mismatch(resource, record, meta["uid"]))
        if wanted and wanted != str(record.rv):
            raise conflict(resource, record.name)
        made = self._merge_parts(resource, old, obj, status)
        self._prepare(collection, made, old, patched)
        if not patched or patched != "apply":
            return self._store(collection, record, old, made, status)
        return self._store(collection, record, old, made, status, applied=True)

    @staticmethod
    def _merge_parts(resource: Resource, old: dict, obj: dict, status: bool) -> dict:
        """The main resource takes all but the status, the subresource the status alone."""
        made = copy.deepcopy(old if status else obj)
        if status:
            made.pop("status", None)
            if obj.get("status") is not None:
                made["status"] = obj["status"]
            made["metadata"]["managedFields"] = (obj["metadata"].get("managedFields")
                                                 or old["metadata"].get("managedFields") or [])
        else:
            if resource.status:
                made.pop("status", None)
                if "status" in old:
                    made["status"] = old["status"]
            meta = made["metadata"]
            meta["name"] = old["metadata"]["name"]
            for name in SERVER_OWNED:
                meta.pop(name, None)
                if name in old["metadata"]:
                    meta[name] = old["metadata"][name]
            for name in ("labels", "annotations", "finalizers", "ownerReferences"):
                if not meta.get(name):
                    meta.pop(name, None)
        made["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        return made

    def _store(self, collection: Collection, record: Record, old: dict, made: dict, status: bool,
               applied: bool = False) -> Record:
        resource = collection.resource
        kinds.allocate(resource, made, old, self.allocator)
        if not applied:
            made["metadata"].pop("managedFields", None)
            if comparable(made) == comparable(old):
                return record
        elif ordered(resource, made) == ordered(resource, old):
            return record
        if resource.generation and wanted_part(resource, made) != wanted_part(resource, old):
            made["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        if not applied:
            managed.update(resource, old, made, self.manager, status, now())
        if self.allocator.old and managed.ambiguous(made):
            made["metadata"].pop("managedFields", None)
        if old["metadata"].get("deletionTimestamp") and not made["metadata"].get("finalizers"):
            if not self.dry_run:
                self.store.remove(collection, record.key, old)
            made["metadata"]["resourceVersion"] = str(record.rv)
            return Record(resource, made, collection.head)
        return self._put(collection, made)

    def patch(self, collection: Collection, record: Record, kind: str, body, status: bool) -> Record:
        resource, old = collection.resource, record.object()
        if kind == "merge":
            made = patch.merge(old, body)
        elif kind == "strategic":
            made = patch.strategic(resource.kind, old, body)
        else:
            made = patch.json_patch(old, body)
        if made["metadata"].get("resourceVersion") == old["metadata"]["resourceVersion"]:
            made["metadata"].pop("resourceVersion")
        return self.replace(collection, record, made, status, patched=True)

    def apply(self, collection: Collection, namespace: str, name: str, body: dict, status: bool, force: bool):
        """Server-side apply: (record, created)."""
        resource = collection.resource
        if not self.manager:
            raise invalid_options("PatchOptions", [(kinds.REQUIRED, "fieldManager",
                                                    "Required value: is required for apply patch")])
        if body.get("metadata", {}).get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        key = f"{namespace}/{name}" if resource.namespaced else name
        record = collection.records.get(key)
        if record is None:
            if status:
                raise not_found(resource, name)
            body.setdefault("metadata", {})["name"] = name
            wanted = managed.fields(resource, body, False)
            fresh = copy.deepcopy(body)
            owners = managed.Owners(resource, {"metadata": {}})
            owners.take((self.manager, "Apply", ""), {path for path in wanted if path[-1] != "."}, now())
            owners.pack(fresh)
            listed = fresh["metadata"].get("managedFields")
            return self._create_applied(collection, namespace, fresh), True
        return self._apply_over(collection, record, body, status, force), False

    def _create_applied(self, collection, namespace, fresh) -> Record:
        owned = fresh["metadata"].get("managedFields")
        return self.create(collection, namespace, fresh, patched=True, owned=owned)

    def _apply_over(self, collection, record, body, status, force):
        resource, old = collection.resource, record.object()
        wanted = managed.fields(resource, body, status)
        found = managed.conflicts(resource, old, wanted, self.manager)
        if found and not force:
            raise apply_conflict(found)
        owners = managed.Owners(resource, old)
        key = self.manager, "Apply", "status" if status else ""
        paths = {path for path in wanted if path[-1] != "."}
        lost = {path for path, value in wanted.items()} if force else set()
        changed_by_force = {path for path in lost if any("." + ".".join(part[2:] for part in path) == field
                                                         for field, _ in found)}
        gone = owners.entries.get(key, set()) - paths
        kept = set().union(*(owned for other, owned in owners.entries.items() if other != key)) if owners.entries else set()
        made = patch.strategic(resource.kind, old, {name: value for name, value in body.items()
                                                    if name not in ("kind", "apiVersion")})
        for path in gone - kept:
            patch.remove_path(made, path)
        if owners.entries.get(key) != paths or changed_by_force:
            owners.take(key, paths, now(), changed_by_force)
            if resource.status and not status or status:
                owners.pack(made)
        if made["metadata"].get("resourceVersion") == old["metadata"]["resourceVersion"]:
            made["metadata"].pop("resourceVersion")
        return self.replace(collection, record, made, status, patched="apply")

    # -- DELETE

    def delete(self, collection: Collection, record: Record, options: dict, grace: str | None) -> dict:
        """The answer's body: a Status, or the object while it waits for its finalizers or its kubelet."""
        resource = collection.resource
        conditions = options.get("preconditions") or {}
        if conditions.get("uid", record.uid) != record.uid:
            raise conflict(resource, record.name, f"the UID in the precondition ({conditions['uid']}) does not match the "
                           f"UID in record ({record.uid}). The object might have been deleted and then recreated", kind=True)
        if conditions.get("resourceVersion", str(record.rv)) != str(record.rv):
            raise conflict(resource, record.name, f"the ResourceVersion in the precondition "
                           f"({conditions['resourceVersion']}) does not match the ResourceVersion in record ({record.rv}). "
                           "The object might have been modified", kind=True)
        obj = record.object()
        seconds = grace if grace is not None else options.get("gracePeriodSeconds")
        waits = resource.kind == "Pod" and obj.get("spec", {}).get("nodeName")
        seconds = int(seconds) if seconds is not None else 30 if waits else 0
        if not obj["metadata"].get("finalizers") and not (waits and seconds):
            if not self.dry_run:
                self.store.remove(collection, record.key)
                kinds.release(resource, obj, self.allocator)
            if resource.kind != "Pod":
                return success(resource, record.name, record.uid)
            obj["metadata"].update(deletionTimestamp=now(), deletionGracePeriodSeconds=0)
            return ordered(resource, obj)
        if "deletionTimestamp" not in obj["metadata"]:
            obj["metadata"].update(deletionTimestamp=later(seconds), deletionGracePeriodSeconds=seconds)
            if "generation" in obj["metadata"]:
                obj["metadata"]["generation"] += 1
            return record_object(self._put(collection, obj))
        return obj


def record_object(record: Record) -> dict:
    return record.object()


def comparable(obj: dict) -> dict:
    """The object without what the server keeps about it."""
    meta = {name: value for name, value in obj["metadata"].items()
            if name not in ("managedFields", "resourceVersion", "generation")}
    return {**obj, "metadata": meta, "kind": None, "apiVersion": None}


def wanted_part(resource: Resource, obj: dict) -> dict:
    """What metadata.generation counts changes of."""
    made = {name: value for name, value in obj.items() if name not in ("metadata", "status", "kind", "apiVersion")}
    if resource.kind == "EndpointSlice":
        made["labels"] = obj["metadata"].get("labels")
    return made


def uid_mismatch(resource: Resource, record: Record, uid: str) -> str:
    return (f"StorageError: invalid object, Code: 4, Key: /registry/{resource.plural}/{record.key}, ResourceVersion: 0, "
            f"AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {record.uid}")


def invalid_object_version(resource: Resource, name: str, old: bool) -> ApiError:
    zero = "0x0" if old else "0"
    made = invalid_object(resource, name, [(kinds.INVALID, "metadata.resourceVersion",
                                            f"Invalid value: {zero}: must be specified for an update")])
    made.body["message"] = made.body["message"].replace(resource.qualified_kind, resource.qualified, 1)
    made.body["details"]["kind"] = resource.plural
    return made


def apply_conflict(found) -> ApiError:
    plural = "conflict" if len(found) == 1 else "conflicts"
    texts = [f'conflict with "{owner}": {field}' for field, owner in found]
    causes = [{"reason": "FieldManagerConflict", "message": f'conflict with "{owner}"', "field": field}
              for field, owner in found]
    return error(409, "Conflict", f"Apply failed with {len(found)} {plural}: " + ", ".join(texts), {"causes": causes})
