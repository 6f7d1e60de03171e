# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's datastore as a Kubernetes API server: tests/apiserver on a host of its own, with the words of Datastore.

The agents come as the service account that deploy/kubernetes makes, with its rights and no more: what they may not
do in a cluster fails here too.
"""

from __future__ import annotations

import json
import os
import sys

import yaml

from .check import LabError, wait_until
from .node import TOP, Datastore, block_name

sys.path.insert(0, os.path.join(TOP, "tests", "apiserver"))

RESOURCES = {"Node": "nodes", "Secret": "secrets", "Namespace": "namespaces", "Service": "services",
             "EndpointSlice": "endpointslices", "ServiceCIDR": "servicecidrs", "IPPool": "ippools",
             "IPBlock": "ipblocks", "BGPConfig": "bgpconfigs", "BGPPeer": "bgppeers",
             "BGPAdvertisement": "bgpadvertisements", "Lease": "leases", "Event": "events"}
CLUSTER_SCOPED = {"Node", "Namespace", "ServiceCIDR", "IPPool", "IPBlock", "BGPConfig", "BGPPeer", "BGPAdvertisement"}
USER = "system:serviceaccount:kube-system:weft"
GROUPS = "system:serviceaccounts,system:serviceaccounts:kube-system,system:authenticated"
TOKEN = "lab-token"


class KubeStore:
    """put, delete and claims as Datastore has them; `api` is the server: api("stop abruptly"), api.stats()."""

    def __init__(self, lab, directory: str, version: str = "1.36"):
        self.lab, self.directory, self.version = lab, directory, version
        os.makedirs(directory, exist_ok=True)
        self.api = None
        self.token_file = f"{directory}/token"

    # Life

    def start(self, ns, addresses: list[str], cidrs: list[str]):
        from kubeapi.process import ApiServer
        listen = [f"[{a}]:6443" if ":" in a else f"{a}:6443" for a in addresses]
        self.servers = [f"https://{each}" for each in listen]
        users = f"{self.directory}/users.csv"
        with open(users, "w", encoding="ascii") as file:
            file.write(f'{TOKEN},{USER},1,"{GROUPS}"\n')
        options = ["--version", self.version, "--token", users, "--rbac", self._roles()]
        for cidr in cidrs:
            options += ["--service-cidr", cidr]
        self.api = ApiServer(f"{self.directory}/server", *listen,
                             prefix=["ip", "netns", "exec", ns.name], options=options)
        self.api.run()
        self.rotate(TOKEN)
        self.kubeconfig = f"{self.directory}/kubeconfig"
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "lab",
                  "clusters": [{"name": "lab", "cluster": {"server": self.servers[0],
                                                           "certificate-authority": f"{self.api.tls_dir}/ca.crt"}}],
                  "users": [{"name": "weft", "user": {"tokenFile": self.token_file}}],
                  "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "weft"}}]}
        with open(self.kubeconfig, "w", encoding="utf-8") as file:
            json.dump(config, file)

    def _roles(self) -> str:
        """The roles of deploy/kubernetes in the namespace where kustomize puts them."""
        with open(f"{TOP}/deploy/kubernetes/base/rbac.yaml", encoding="utf-8") as file:
            objects = list(yaml.safe_load_all(file))
        for each in objects:
            if each["kind"] in ("Role", "RoleBinding"):
                each["metadata"]["namespace"] = "kube-system"
        path = f"{self.directory}/rbac.yaml"
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump_all(objects, file)
        return path

    def rotate(self, token: str):
        """Another token in the file, as the kubelet writes it: by rename."""
        with open(f"{self.token_file}.new", "w", encoding="ascii") as file:
            file.write(token)
        os.rename(f"{self.token_file}.new", self.token_file)

    def close(self):
        if self.api is not None:
            self.api.kill()
            self.api = None

    def config(self) -> dict:
        """The section of weft.yaml."""
        return {"kind": "kubernetes", "kubeconfig": self.kubeconfig, "servers": self.servers}

    # Objects

    def put(self, *objects: dict, file: str | None = None):
        """As an administrator replaces objects; their status stays, unless they bring one."""
        for item in objects:
            made = self._as_stored(item)
            meta = made["metadata"]
            dying = meta.pop("deletionTimestamp", None)
            if dying:  # which only the server writes, and only while something holds the object
                meta["finalizers"] = ["example.com/held"]
            self.api.replace(made)
            if dying:
                self.api.delete(RESOURCES[item["kind"]], meta["name"], meta.get("namespace", "default"))
            elif self.get(item["kind"], meta["name"], meta.get("namespace", "default")) is None:
                self.api.replace(made)  # nothing held it any more: it went, and comes anew

    def _as_stored(self, item: dict) -> dict:
        meta = dict(item["metadata"])
        if item["kind"] not in CLUSTER_SCOPED:
            meta.setdefault("namespace", "kube-system" if item["kind"] == "Secret" else "default")
        made = {**item, "metadata": meta}
        there = self.get(item["kind"], meta["name"], meta.get("namespace", "default"))
        if there and "status" in there:
            if "status" not in made:
                made["status"] = there["status"]
            elif "conditions" in there["status"]:
                made["status"] = {"conditions": there["status"]["conditions"], **made["status"]}
        return made

    def get(self, kind: str, name: str, namespace: str = "default") -> dict | None:
        return self.api.get(RESOURCES[kind], name, namespace or "default")

    def list(self, kind: str) -> list[dict]:
        return self.api.list(RESOURCES[kind])

    def delete(self, kind: str, name: str, namespace: str = ""):
        inside = namespace or ("kube-system" if kind == "Secret" else "default")
        if not self.api.delete(RESOURCES[kind], name, inside):
            raise LabError(f"there is no {kind} {name} to delete")

    def claims(self) -> list[str]:
        return sorted(item["metadata"]["name"] for item in self.list("IPBlock"))

    def give_block(self, block: str, node: str):
        made = self.get("IPBlock", block_name(block))
        made["spec"]["node"] = node
        self.api.replace(made)

    def delete_block(self, block: str):
        self.delete("IPBlock", block_name(block))

    def copy_to(self, path: str):
        """As manifests in a folder, without what the server and controllers wrote into them."""
        made = Datastore(path)
        for kind in sorted(set(RESOURCES) - {"Lease", "Event"}):
            for item in self.list(kind):
                meta = {key: value for key, value in item["metadata"].items()
                        if key in ("name", "namespace", "labels", "annotations")}
                kept = {key: value for key, value in item.items() if key != "status" or kind == "Node"}
                file = f"ipblocks/{meta['name']}.yaml" if kind == "IPBlock" else made.file_of(kind, meta["name"], meta.get("namespace", ""))
                with open(f"{path}/{file}", "w", encoding="utf-8") as out:
                    json.dump({**kept, "kind": kind, "metadata": meta}, out)

    def status_text(self, name: str, namespace: str = "default") -> str:
        status = (self.get("Service", name, namespace) or {}).get("status", {})
        ours = any(each["type"].startswith("weft.dev/") for each in status.get("conditions", []))
        return json.dumps(status) if ours else ""

    def condition(self, node: str, kind: str = "NetworkUnavailable") -> dict:
        """A condition of a Node, {} where there is none."""
        found = (self.get("Node", node) or {}).get("status", {}).get("conditions", [])
        return next((each for each in found if each["type"] == kind), {})

    # What agents do

    def wait_followed(self, agents: int, timeout: float = 60):
        """Until every agent watches what all of them do."""
        def watched():
            watchers = self.api.stats()["watchers"]
            missing = {r: watchers.get(r, 0) for r in ("nodes", "ippools", "ipblocks") if watchers.get(r, 0) < agents}
            if missing:
                raise LabError(f"watchers: {missing}")
            return True
        wait_until(watched, timeout, f"{agents} agents to watch", 0.1)

    def refused(self) -> list[str]:
        """Requests that RBAC refused."""
        return [f"{r['method']} {r['target']}" for r in self.api.requests() if r.get("status") == 403]
