# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kinds do besides being stored: defaults, allocation, validation. As much of it as a client can notice."""

from __future__ import annotations

import base64
import copy
import ipaddress
import re

from .jsontext import dumps
from .resources import NODE_STATUS, Resource
from .status import bad_request, invalid, invalid_object

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?$")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
MICRO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$")
SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
REQUIRED, INVALID, FORBIDDEN = "FieldValueRequired", "FieldValueInvalid", "FieldValueForbidden"


class Allocator:
    """Cluster IPs and node ports; and of which version the words are."""

    def __init__(self, cidrs=("10.96.0.0/16", "fd00:10:96::/112"), old: bool = False):
        self.old = old
        self.networks = [ipaddress.ip_network(cidr) for cidr in cidrs]
        self.used: dict = {}
        self.next = {network: 10 for network in self.networks}
        self.port = 30000

    def network(self, family: str):
        version = 4 if family == "IPv4" else 6
        return next((network for network in self.networks if network.version == version), None)

    def address(self, network, owner: str) -> str:
        while True:
            address = str(network[self.next[network]])
            self.next[network] = 2 + (self.next[network] + 1) % (network.num_addresses - 4)
            if address not in self.used:
                self.used[address] = owner
                return address

    def node_port(self) -> int:
        while True:
            self.port = 30000 + (self.port - 30000 + 1) % 2768
            if self.port not in self.used:
                return self.port


def prepare(resource: Resource, obj: dict, old_server: bool):
    """Types are checked and defaults set, on creation and change alike; old_server: as 1.26 does."""
    if resource.kind == "Service" and not resource.custom:
        _service(obj, old_server)
        for entry in obj.get("status", {}).get("loadBalancer", {}).get("ingress") or []:
            if entry.get("ip") and not old_server:
                entry.setdefault("ipMode", "VIP")
    function = {"EndpointSlice": _slice, "Node": _node, "Namespace": _namespace, "Lease": _lease,
                "Secret": _secret, "Pod": _pod}.get(resource.kind)
    if function and not resource.custom:
        function(obj)


def _service(obj: dict, old_server: bool):
    spec = obj.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    spec.setdefault("sessionAffinity", "None")
    if spec["sessionAffinity"] == "ClientIP":
        spec.setdefault("sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10800}})
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer") or spec.get("externalIPs") and not old_server:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    obj.setdefault("status", {}).setdefault("loadBalancer", {})


def _slice(obj: dict):
    obj.setdefault("endpoints", [])
    obj.setdefault("ports", [])
    for port in obj["ports"] or []:
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def _node(obj: dict):
    obj.setdefault("spec", {})
    status = obj.setdefault("status", {})
    for name, value in copy.deepcopy(NODE_STATUS).items():
        status.setdefault(name, value)


def _namespace(obj: dict):
    obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")
    obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    obj.setdefault("status", {}).setdefault("phase", "Active")


def _secret(obj: dict):
    for name, value in (obj.pop("stringData", None) or {}).items():
        obj.setdefault("data", {})[name] = base64.b64encode(value.encode()).decode()
    obj.setdefault("type", "Opaque")


def _pod(obj: dict):
    spec = obj.setdefault("spec", {})
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("schedulerName", "default-scheduler")
    obj.setdefault("status", {}).setdefault("phase", "Pending")
    obj["status"].setdefault("qosClass", "BestEffort")


def micro_time_error(text: str) -> str | None:
    """MicroTime is exact: six digits. None: it is one."""
    if MICRO.match(text):
        return None
    rest = re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "", text)
    where, wanted = (rest[7:], "Z07:00") if re.match(r"\.\d{6}", rest) else (rest, ".000000")
    return f'parsing time "{text}" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "{where}" as "{wanted}"'


def _lease(obj: dict):
    spec = obj.setdefault("spec", {})
    for name in ("acquireTime", "renewTime"):
        if spec.get(name) and (problem := micro_time_error(spec[name])):
            raise Undecodable(problem)


class Undecodable(Exception):
    """A value that Go's types do not take."""

    def as_error(self, resource: Resource, patched: dict | None):
        if patched is None:
            return bad_request(f'{resource.kind} in version "{resource.version}" cannot be handled as a '
                               f"{resource.kind}: {self}")
        return invalid(' ""', {}, [(INVALID, "patch", f"Invalid value: {dumps(dumps(patched))}: {self}")])


def check(resource: Resource, obj: dict, old: dict | None, allocator: Allocator):
    """Raises a 422 with all that is wrong."""
    causes: list = []
    meta = obj["metadata"]
    name = meta.get("name", "")
    if not name:
        causes.append((REQUIRED, "metadata.name", "Required value: name or generateName is required"))
    elif old is None and (problem := _bad_name(resource, name, allocator.old)):
        causes.append((INVALID, "metadata.name", f'Invalid value: "{name}": {problem}'))
    function = {"Service": _check_service, "EndpointSlice": _check_slice, "Lease": _check_lease,
                "Node": _check_node}.get(resource.kind)
    if function and not resource.custom:
        function(obj, old, allocator, causes)
    if causes:
        raise invalid_object(resource, name, causes)


def _bad_name(resource: Resource, name: str, old: bool) -> str | None:
    if resource.kind == "Service" and not resource.custom:
        if old:
            return None if LABEL_1035.match(name) else (
                "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
                "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
                "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')")
        return None if LABEL.match(name) else (
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
            "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')")
    return None if SUBDOMAIN.match(name) else (
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')")


def _check_lease(obj, _old, _allocator, causes):
    duration = obj.get("spec", {}).get("leaseDurationSeconds")
    if duration is not None and duration <= 0:
        causes.append((INVALID, "spec.leaseDurationSeconds", f"Invalid value: {duration}: must be greater than 0"))


def _check_node(obj, old, _allocator, causes):
    had = (old or {}).get("spec", {}).get("podCIDRs")
    if had and obj.get("spec", {}).get("podCIDRs") != had:
        causes.append((FORBIDDEN, "spec.podCIDRs",
                       'Forbidden: node updates may not change podCIDR except from "" to valid'))


def _check_slice(obj, old, allocator, causes):
    if not obj.get("addressType"):
        causes.append((REQUIRED, "addressType", "Required value"))
    elif old and old.get("addressType") != obj["addressType"]:
        causes.append((INVALID, "addressType", f'Invalid value: "{obj["addressType"]}": field is immutable'))
    endpoints = obj.get("endpoints") or []
    if len(endpoints) > 1000:
        causes.append(("FieldValueTooMany", "endpoints", f"Too many: {len(endpoints)}: must have at most 1000 items"))
        return
    if obj.get("addressType") not in ("IPv4", "IPv6"):
        return
    for i, endpoint in enumerate(endpoints):
        for k, address in enumerate(endpoint.get("addresses") or []):
            try:
                ipaddress.ip_address(address)
            except ValueError:
                where, wrong = f"endpoints[{i}].addresses[{k}]", f'Invalid value: "{address}": must be a valid '
                if allocator.old:
                    causes += [(INVALID, where, f"{wrong}{obj['addressType']} address"), (INVALID, where, wrong + "IP address")]
                else:
                    causes.append((INVALID, where, wrong + "IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"))


def _check_service(obj, old, allocator, causes):
    spec = obj["spec"]
    ports = spec.get("ports") or []
    if not ports and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
        causes.append((REQUIRED, "spec.ports", "Required value"))
    for i, port in enumerate(ports):
        if len(ports) > 1 and not port.get("name"):
            causes.append((REQUIRED, f"spec.ports[{i}].name", "Required value"))
        for member in ("port", "targetPort"):
            value = port.get(member)
            if isinstance(value, int) and not 0 < value < 65536:
                causes.append((INVALID, f"spec.ports[{i}].{member}",
                               f"Invalid value: {value}: must be between 1 and 65535, inclusive"))
    if spec["type"] not in SERVICE_TYPES:
        listed = ", ".join(f'"{each}"' for each in SERVICE_TYPES)
        causes.append(("FieldValueNotSupported", "spec.type",
                       f'Unsupported value: "{spec["type"]}": supported values: {listed}'))
    had = (old or {}).get("spec", {}).get("clusterIP")
    if had and spec.get("clusterIP", had) != had:
        causes.append((INVALID, "spec.clusterIPs[0]",
                       f'Invalid value: {_listed(spec["clusterIP"], allocator)}: may not change once set'))
    if not causes and not had:
        _wanted_address(obj, allocator, causes)
    owner = _owner(obj)
    for i, port in enumerate(ports):
        if allocator.used.get(port.get("nodePort"), owner) != owner:
            causes.append((INVALID, f"spec.ports[{i}].nodePort",
                           f"Invalid value: {port['nodePort']}: provided port is already allocated"))


def _owner(obj: dict) -> str:
    return f'{obj["metadata"].get("namespace")}/{obj["metadata"].get("name")}'


def _listed(address: str, allocator: Allocator) -> str:
    return f'[]string{{"{address}"}}' if allocator.old else f'["{address}"]'


def _wanted_address(obj, allocator, causes):
    wanted = obj["spec"].get("clusterIP")
    if wanted in (None, "", "None"):
        return
    problem = None
    if wanted in allocator.used:
        problem = "provided IP is already allocated"
    elif not any(ipaddress.ip_address(wanted) in network for network in allocator.networks):
        problem = "the provided network does not match the current range"
        if allocator.old:
            problem = (f"the provided IP ({wanted}) is not in the valid range. The range of valid IPs is "
                       f"{allocator.networks[0]}")
    if problem:
        causes.append((INVALID, "spec.clusterIPs",
                       f'Invalid value: {_listed(wanted, allocator)}: failed to allocate IP {wanted}: {problem}'))


def allocate(resource: Resource, obj: dict, old: dict | None, allocator: Allocator):
    """A Service's addresses and ports, once it is valid."""
    if resource.kind != "Service" or resource.custom:
        return
    spec, was = obj["spec"], (old or {}).get("spec", {})
    if spec["type"] == "ExternalName":
        _give_up_addresses(spec, was, allocator)
        return
    owner = _owner(obj)
    for member in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"):
        if member in was:
            spec.setdefault(member, was[member])
    families = spec.get("ipFamilies") or _families(spec, allocator)
    if "clusterIPs" not in spec:
        first = spec.get("clusterIP")
        if first and first != "None":
            allocator.used[first] = owner
        spec["clusterIPs"] = ["None"] if first == "None" else \
            [first if i == 0 and first else allocator.address(allocator.network(family), owner)
             for i, family in enumerate(families)]
        spec["clusterIP"] = spec["clusterIPs"][0]
    for address in spec["clusterIPs"]:
        allocator.used.setdefault(address, owner)
    spec["ipFamilies"] = families
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    _allocate_ports(spec, was, owner, allocator)


def _give_up_addresses(spec: dict, was: dict, allocator: Allocator):
    """A Service that becomes one without addresses has them no more, and others may."""
    for address in was.get("clusterIPs", ()):
        allocator.used.pop(address, None)
    for member in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if member in was and spec.get(member) == was[member]:
            del spec[member]


def _families(spec: dict, allocator: Allocator) -> list:
    first = spec.get("clusterIP") or ""
    families = ["IPv6" if ":" in first else "IPv4"]
    if spec.get("ipFamilyPolicy", "SingleStack") != "SingleStack":
        families.append("IPv4" if families[0] == "IPv6" else "IPv6")
    return [family for family in families if allocator.network(family)]


def _allocate_ports(spec: dict, was: dict, owner: str, allocator: Allocator):
    had = {(port.get("protocol"), port.get("port")): port.get("nodePort") for port in was.get("ports") or []}
    wants = spec["type"] == "NodePort" or spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts")
    for port in spec.get("ports") or []:
        if wants and not port.get("nodePort"):
            port["nodePort"] = had.get((port["protocol"], port["port"])) or allocator.node_port()
        if port.get("nodePort"):
            allocator.used[port["nodePort"]] = owner
    if spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
        if not spec.get("healthCheckNodePort"):
            spec["healthCheckNodePort"] = allocator.node_port()
            allocator.used[spec["healthCheckNodePort"]] = owner


def release(resource: Resource, obj: dict, allocator: Allocator):
    if resource.kind == "Service" and not resource.custom:
        spec = obj.get("spec", {})
        for used in [*spec.get("clusterIPs", ()), spec.get("healthCheckNodePort"),
                     *(port.get("nodePort") for port in spec.get("ports") or [])]:
            allocator.used.pop(used, None)
