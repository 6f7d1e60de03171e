# SPDX-License-Identifier: GPL-2.0-or-later
"""Many objects at once: services, their EndpointSlices, nodes, with the bytes that a real cluster's have."""

from __future__ import annotations

import ipaddress
import uuid

from . import kinds, managed
from .store import Store
from .writes import now

POD_NET = int(ipaddress.ip_address("10.128.0.0"))
SERVICE_NET = int(ipaddress.ip_address("10.96.0.0"))
NODE_NET = int(ipaddress.ip_address("192.168.0.0"))


def parse(text: str) -> dict:
    """services=10000,endpoints=10,nodes=5000"""
    made = {"services": 0, "endpoints": 10, "nodes": 0, "slices": None, "namespace": "default"}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name not in made:
            raise ValueError(f"--generate knows {', '.join(made)}, not {name!r}")
        made[name] = value if name == "namespace" else int(value)
    return made


def fill(store: Store, wanted: dict, allocator: kinds.Allocator):
    nodes, made_fields = wanted["nodes"], {}
    for i in range(nodes):
        _put(store, "nodes", _node(i), "kubelet", made_fields)
    slices = wanted["services"] if wanted["slices"] is None else wanted["slices"]
    for i in range(wanted["services"]):
        made = _service(i, wanted["namespace"])
        allocator.used[made["spec"]["clusterIP"]] = made["metadata"]["name"]
        _put(store, "services", made, "kubectl-create", made_fields)
    for i in range(slices):
        _put(store, "endpointslices", _slice(i, wanted["endpoints"], max(nodes, 1), wanted["namespace"]),
             "kube-controller-manager", made_fields)


def _put(store: Store, plural: str, obj: dict, manager: str, made: dict):
    """managedFields are made for the first object of a kind: they are the same for all."""
    collection = store.named(plural)
    meta, stamp = obj["metadata"], now()
    meta.update(uid=str(uuid.UUID(int=store.rv << 64 | 0x4000 << 48 | 0x8000 << 48)), creationTimestamp=stamp)
    if collection.resource.generation:
        meta["generation"] = 1
    if plural not in made:
        managed.update(collection.resource, None, obj, manager, False, stamp)
        if plural == "nodes":
            managed.update(collection.resource, {"metadata": dict(meta)}, obj, manager, True, stamp)
        made[plural] = meta["managedFields"]
    meta["managedFields"] = made[plural]
    store.put(collection, obj)


def _node(i: int) -> dict:
    name, pod_net = f"node-{i:05d}", ipaddress.ip_address(POD_NET + i * 256)
    conditions = [{"type": kind, "status": "True" if kind == "Ready" else "False",
                   "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z",
                   "reason": "Kubelet" + kind, "message": "kubelet says " + kind}
                  for kind in ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")]
    return {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
                                                  "kubernetes.io/arch": "amd64",
                                                  "topology.kubernetes.io/zone": f"z{i % 3}"},
                         "annotations": {"node.alpha.kubernetes.io/ttl": "0"}},
            "spec": {"podCIDR": f"{pod_net}/24", "podCIDRs": [f"{pod_net}/24"]},
            "status": {"capacity": {"cpu": "8", "memory": "32Gi", "pods": "110"},
                       "allocatable": {"cpu": "8", "memory": "31Gi", "pods": "110"}, "conditions": conditions,
                       "addresses": [{"type": "InternalIP", "address": str(ipaddress.ip_address(NODE_NET + 1 + i))},
                                     {"type": "Hostname", "address": name}],
                       "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
                       "nodeInfo": {"machineID": f"{i:032x}", "systemUUID": f"{i:032x}", "bootID": f"{i:032x}",
                                    "kernelVersion": "6.1.0", "osImage": "Debian GNU/Linux 12", "operatingSystem": "linux",
                                    "containerRuntimeVersion": "containerd://1.7", "kubeletVersion": "v1.36.2",
                                    "kubeProxyVersion": "", "architecture": "amd64"}}}


def _service(i: int, namespace: str) -> dict:
    address = str(ipaddress.ip_address(SERVICE_NET + 256 + i))
    return {"metadata": {"name": f"svc-{i:05d}", "namespace": namespace, "labels": {"app": f"app-{i:05d}"}},
            "spec": {"ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}],
                     "selector": {"app": f"app-{i:05d}"}, "clusterIP": address, "clusterIPs": [address],
                     "type": "ClusterIP", "sessionAffinity": "None", "ipFamilies": ["IPv4"],
                     "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster"},
            "status": {"loadBalancer": {}}}


def _slice(i: int, endpoints: int, nodes: int, namespace: str) -> dict:
    """Endpoint k of service i is a pod of node (i * endpoints + k) modulo nodes."""
    listed = []
    for k in range(endpoints):
        number = i * endpoints + k
        node = number % nodes
        address = str(ipaddress.ip_address(POD_NET + node * 256 + 2 + number // nodes % 250))
        listed.append({"addresses": [address], "conditions": {"ready": True, "serving": True, "terminating": False},
                       "targetRef": {"kind": "Pod", "namespace": namespace, "name": f"app-{i:05d}-{k}",
                                     "uid": str(uuid.UUID(int=number))},
                       "nodeName": f"node-{node:05d}"})
    return {"metadata": {"name": f"svc-{i:05d}-abcde", "generateName": f"svc-{i:05d}-", "namespace": namespace,
                         "labels": {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                                    "kubernetes.io/service-name": f"svc-{i:05d}"}},
            "addressType": "IPv4", "endpoints": listed, "ports": [{"name": "http", "protocol": "TCP", "port": 8080}]}
