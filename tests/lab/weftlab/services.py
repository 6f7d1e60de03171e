# SPDX-License-Identifier: GPL-2.0-or-later
"""Services of a lab: manifests of Service and EndpointSlice, and a handle that keeps both and writes what changed."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace

from .check import LabError

CIDRS = {4: "10.96.0.0/16", 6: "fd00:96::/112"}
LB_CIDRS = {4: "198.51.100.0/24", 6: "2001:db8:51::/112"}
ADDRESS_TYPES = {4: "IPv4", 6: "IPv6"}


def service(name: str, ports, namespace: str = "default", labels=None, annotations=None, status_ips=(), **spec) -> dict:
    """A v1 Service. ports: as Port.manifest() makes them. status_ips: addresses, or whole ingress entries."""
    made = {"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": namespace, "labels": dict(labels or {}),
                         "annotations": dict(annotations or {})},
            "spec": {"ports": list(ports), **spec}}
    if status_ips:
        entries = [each if isinstance(each, dict) else {"ip": each} for each in status_ips]
        made["status"] = {"loadBalancer": {"ingress": entries}}
    return made


def slice_of(of: str, family, endpoints, ports, name: str | None = None, namespace: str = "default", labels=None) -> dict:
    """An EndpointSlice of a Service. family: 4, 6, or an addressType. endpoints: as Endpoint.manifest() makes them."""
    kind = ADDRESS_TYPES.get(family, family)
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": kind,
            "metadata": {"name": name or f"{of}-{kind.lower()}", "namespace": namespace,
                         "labels": {"kubernetes.io/service-name": of, **(labels or {})}},
            "ports": list(ports), "endpoints": list(endpoints)}


@dataclass
class Port:
    """A port of a Service; target is where the backends listen."""
    number: int
    target: int = 0
    proto: str = "TCP"
    name: str = ""
    node: int = 0

    def manifest(self) -> dict:
        made: dict = {"port": self.number, "protocol": self.proto, "targetPort": self.target or self.number}
        if self.name:
            made["name"] = self.name
        if self.node:
            made["nodePort"] = self.node
        return made

    def slice_manifest(self) -> dict:
        return {"name": self.name, "protocol": self.proto, "port": self.target or self.number}


@dataclass
class Endpoint:
    """A backend: a pod, or a node (hostNetwork). Conditions that are None are left out (S9)."""
    place: object
    ready: bool | None = True
    serving: bool | None = None
    terminating: bool | None = None
    node: str | None = None
    zone: str | None = None
    hint_zones: list = field(default_factory=list)
    hint_nodes: list = field(default_factory=list)

    def manifest(self, family: int) -> dict:
        conditions = {"ready": self.ready, "serving": self.serving, "terminating": self.terminating}
        made: dict = {"addresses": [self.place.ip(family)],
                      "conditions": {name: value for name, value in conditions.items() if value is not None}}
        node = self.node if self.node is not None else getattr(getattr(self.place, "node", self.place), "name", None)
        if node:
            made["nodeName"] = node
        if self.zone:
            made["zone"] = self.zone
        hints = {"forZones": [{"name": name} for name in self.hint_zones],
                 "forNodes": [{"name": name} for name in self.hint_nodes]}
        hints = {kind: names for kind, names in hints.items() if names}
        if hints:
            made["hints"] = hints
        return made


def terminating(place, serving: bool = True, **more) -> Endpoint:
    return Endpoint(place, ready=False, serving=serving, terminating=True, **more)


def unready(place, **more) -> Endpoint:
    return Endpoint(place, ready=False, serving=False, terminating=False, **more)


class Service:
    """A Service in the datastore with one EndpointSlice for each family; what a test changes is written at once.

        web = lab.service("web", [pod, other], port=80, target=8080, type="LoadBalancer")
        web.vip(6), web.lb(4), web.node_port
        web.back(pod, terminating(other))       the endpoints, from now on
        web.set(externalTrafficPolicy="Local")  fields of the spec; None removes one
        web.delete()

    Its ClusterIPs, LoadBalancer IPs and node port are taken from the lab's ranges, and go into the manifest as an
    API server and a cloud would have put them there. lb_status=False leaves the LoadBalancer IPs to weft."""

    def __init__(self, lab, name: str, number: int, backends=(), port: int = 80, target: int = 0, proto: str = "TCP",
                 ports=None, type: str = "ClusterIP", labels=None, annotations=None, lb_status: bool = True,  # noqa: A002
                 namespace: str = "default", families=None, clusterIPs=None, **spec):
        self.lab, self.name, self.number, self.namespace = lab, name, number, namespace
        self.families = list(families or lab.families)
        self.labels, self.annotations, self.lb_status = dict(labels or {}), dict(annotations or {}), lb_status
        self.ports = [replace(each) for each in ports or [Port(port, target, proto)]]
        self.cluster_ips = clusterIPs if clusterIPs is not None else [self._vip(family) for family in self.families]
        self.spec = {"type": type, **spec}
        self.backends: list[Endpoint] = []
        self.slice_labels: dict = {}
        self.status_ips: list | None = None
        self.written: dict[tuple, dict] = {}
        self.back(*backends)

    # Addresses

    def _vip(self, family: int) -> str:
        high, low = divmod(self.number, 200)
        return f"10.96.{1 + high}.{10 + low}" if family == 4 else f"fd00:96::{0x100 + self.number:x}"

    def vip(self, family: int) -> str:
        return self._vip(family)

    def lb(self, family: int) -> str:
        """The LoadBalancer IP that this handle puts into the status."""
        return f"198.51.100.{10 + self.number % 200}" if family == 4 else f"2001:db8:51::{0x100 + self.number:x}"

    def external(self, family: int) -> str:
        """An address for spec.externalIPs."""
        return f"203.0.113.{10 + self.number % 200}" if family == 4 else f"2001:db8:e::{0x100 + self.number:x}"

    def externals(self) -> list[str]:
        return [self.external(family) for family in self.families]

    @property
    def node_port(self) -> int:
        return self.ports[0].node

    @property
    def health_port(self) -> int:
        return self.spec.get("healthCheckNodePort", 0)

    # Manifests

    def _complete(self):
        """What an API server fills in."""
        outside = self.spec["type"] in ("NodePort", "LoadBalancer")
        for index, each in enumerate(self.ports):
            if outside and not each.node and self.spec.get("allocateLoadBalancerNodePorts", True):
                each.node = 30000 + (self.number * 4 + index) % 2700
            if not outside:
                each.node = 0
        if self.spec["type"] == "LoadBalancer" and self.spec.get("externalTrafficPolicy") == "Local":
            self.spec.setdefault("healthCheckNodePort", 32000 + self.number % 700)
        else:
            self.spec.pop("healthCheckNodePort", None)

    def manifest(self) -> dict:
        self._complete()
        spec = dict(self.spec)
        if spec["type"] != "ExternalName" and self.cluster_ips:
            spec["clusterIP"], spec["clusterIPs"] = self.cluster_ips[0], list(self.cluster_ips)
            spec["ipFamilies"] = [ADDRESS_TYPES[family] for family in self.families]
            spec["ipFamilyPolicy"] = "SingleStack" if len(self.families) == 1 else "RequireDualStack"
        ingress = self.status_ips
        if ingress is None:
            ours = self.spec["type"] == "LoadBalancer" and self.lb_status
            ingress = [self.lb(family) for family in self.families] if ours else []
        return service(self.name, [each.manifest() for each in self.ports], self.namespace, self.labels,
                       self.annotations, ingress, **spec)

    def slices(self) -> list[dict]:
        ports = [each.slice_manifest() for each in self.ports]
        return [slice_of(self.name, family, [each.manifest(family) for each in self.backends], ports,
                         namespace=self.namespace, labels=self.slice_labels) for family in self.families]

    def put(self, slices: bool = True):
        """Writes what differs from the last time."""
        for item in [*(self.slices() if slices else []), self.manifest()]:
            key = (item["kind"], item["metadata"]["name"])
            if self.written.get(key) != item:
                self.lab.datastore.put(item)
                self.written[key] = copy.deepcopy(item)
        return self

    def back(self, *backends):
        """These are the endpoints now: pods, nodes, Endpoint."""
        self.backends = [each if isinstance(each, Endpoint) else Endpoint(each) for each in backends]
        return self.put()

    def set(self, **spec):
        for key, value in spec.items():
            if value is None:
                self.spec.pop(key, None)
            else:
                self.spec[key] = value
        return self.put()

    def delete(self):
        """The Service, then its slices, as a garbage collector does."""
        for kind, name in sorted(self.written, reverse=True):
            del self.written[kind, name]
            self.lab.datastore.delete(kind, name, self.namespace)
        if self in self.lab.services:
            self.lab.services.remove(self)

    # What the nodes' kernels hold

    def key(self, family: int, index: int = 0) -> tuple:
        port = self.ports[index]
        return (port.proto, self.vip(family), port.number)

    def chosen(self, node, family: int, index: int = 0) -> set[str] | None:
        """Addresses that get the ClusterIP's new connections on node; None: no virtual service."""
        virtual = node.ipvs().get(self.key(family, index))
        return None if virtual is None else virtual.chosen

    def __repr__(self):
        return f"<service {self.name}>"


def expected_ips(places, family: int) -> set[str]:
    return {place.ip(family) for place in places}


class Numbers:
    """Numbers for Services: not used again soon, so that no test meets what another left."""

    def __init__(self):
        self.last = 0

    def next(self) -> int:
        self.last += 1
        if self.last > 10000:
            raise LabError("too many Services")
        return self.last
