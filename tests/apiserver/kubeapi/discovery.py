# SPDX-License-Identifier: GPL-2.0-or-later
"""Health, version and discovery documents."""

from __future__ import annotations

ALL_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
CHECKS = ("ping", "log", "etcd", "poststarthook/start-apiextensions-controllers", "poststarthook/crd-informer-synced",
          "poststarthook/rbac/bootstrap-roles", "autoregister-completion")


def _version(server) -> dict:
    minor = server.version.split(".")[1]
    made = {"major": "1", "minor": minor}
    if server.version != "1.26":
        made.update(emulationMajor="1", emulationMinor=minor, minCompatibilityMajor="1",
                    minCompatibilityMinor=str(int(minor) - 1))
    made.update(gitVersion=f"v{server.version}.0", gitCommit="$Format:%H$", gitTreeState="clean",
                buildDate="2026-01-01T00:00:00Z", goVersion="go1.26", compiler="gc", platform="linux/amd64")
    return made


def _installed(server) -> list:
    return [each.resource for each in server.store.collections.values() if each.installed]


def _groups(server) -> dict:
    groups: dict[str, list] = {}
    for resource in _installed(server):
        if resource.group:
            versions = groups.setdefault(resource.group, [])
            if resource.version not in versions:
                versions.append(resource.version)
    listed = []
    for group, versions in groups.items():
        described = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
        listed.append({"name": group, "versions": described, "preferredVersion": described[0]})
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def _resources(server, group_version: str) -> dict | None:
    listed = []
    for resource in _installed(server):
        if resource.api_version != group_version:
            continue
        singular = "" if server.version == "1.26" else resource.kind.lower()
        about = {"name": resource.plural, "singularName": singular, "namespaced": resource.namespaced, "kind": resource.kind,
                 "verbs": ALL_VERBS}
        listed.append({**about, "storageVersionHash": "AAAAAAAAAAA="})
        if resource.status:
            listed.append({**about, "name": resource.plural + "/status", "verbs": ["get", "patch", "update"]})
    if not listed:
        return None
    made = {"kind": "APIResourceList"}
    if group_version != "v1":
        made["apiVersion"] = "v1"
    return {**made, "groupVersion": group_version, "resources": listed}


def page(server, path: str, verbose: bool):
    """A document (JSON or text) for a path that names no object; None: there is no such page."""
    if path in ("/healthz", "/readyz", "/livez"):
        if not verbose:
            return "ok"
        return "".join(f"[+]{check} ok\n" for check in CHECKS) + f"{path[1:]} check passed\n"
    if path == "/version":
        return _version(server)
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"],
                "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "192.0.2.10:6443"}]}
    if path == "/apis":
        return _groups(server)
    if path == "/api/v1":
        return _resources(server, "v1")
    if path.startswith("/apis/"):
        return _resources(server, path[len("/apis/"):].rstrip("/"))
    return None
