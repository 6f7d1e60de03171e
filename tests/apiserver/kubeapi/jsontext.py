# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON as Go's encoder writes it, and objects in the order in which the API server writes their members."""

from __future__ import annotations

import json
import re

from .resources import Resource

METADATA = ("name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
            "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences",
            "finalizers", "managedFields")
# Members in the order of Go's structs, by kind and path; what is not named comes after.
ORDER = {
    "Service": {
        "spec": "ports selector clusterIP clusterIPs type externalIPs sessionAffinity loadBalancerIP loadBalancerSourceRanges "
                "externalName externalTrafficPolicy healthCheckNodePort publishNotReadyAddresses sessionAffinityConfig "
                "ipFamilies ipFamilyPolicy allocateLoadBalancerNodePorts loadBalancerClass internalTrafficPolicy "
                "trafficDistribution",
        "spec.ports": "name protocol appProtocol port targetPort nodePort",
        "status": "loadBalancer conditions", "status.loadBalancer.ingress": "ip hostname ipMode ports"},
    "Node": {
        "spec": "podCIDR podCIDRs providerID unschedulable taints configSource externalID",
        "status": "capacity allocatable phase conditions addresses daemonEndpoints nodeInfo images",
        "status.conditions": "type status lastHeartbeatTime lastTransitionTime reason message",
        "status.addresses": "type address"},
    "EndpointSlice": {
        "": "addressType endpoints ports", "ports": "name protocol port appProtocol",
        "endpoints": "addresses conditions hostname targetRef deprecatedTopology nodeName zone hints"},
    "Lease": {"spec": "holderIdentity leaseDurationSeconds acquireTime renewTime leaseTransitions"},
    "Pod": {"": "spec status", "status": "observedGeneration phase conditions message reason nominatedNodeName hostIP hostIPs "
                                         "podIP podIPs startTime initContainerStatuses containerStatuses qosClass",
            "status.conditions": "type observedGeneration status lastProbeTime lastTransitionTime reason message",
            "spec": "volumes initContainers containers restartPolicy terminationGracePeriodSeconds activeDeadlineSeconds "
                    "dnsPolicy nodeSelector serviceAccountName serviceAccount automountServiceAccountToken nodeName"},
    "ServiceCIDR": {"": "spec status"},
    "Namespace": {"": "spec status"},
}
ORDER = {kind: {path: names.split() for path, names in paths.items()} for kind, paths in ORDER.items()}
_SPECIAL = re.compile("[<>&\u2028\u2029\b\f]|\\\\[bf]")
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def dumps(value) -> str:
    text = _ENCODER.encode(value)
    return _SPECIAL.sub(lambda m: _ESCAPES.get(m.group(), m.group()), text)


def pretty(value) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return _SPECIAL.sub(lambda m: _ESCAPES.get(m.group(), m.group()), text)


def sorted_deep(value):
    if isinstance(value, dict):
        return {name: sorted_deep(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [sorted_deep(each) for each in value]
    return value


def _arrange(value, path: str, orders: dict):
    if isinstance(value, list):
        return [_arrange(each, path, orders) for each in value]
    if not isinstance(value, dict):
        return value
    names = orders.get(path, ())
    listed = [name for name in names if name in value] + [name for name in value if name not in names]
    below = path + "." if path else ""
    return {name: _arrange(value[name], below + name, orders) for name in listed}


def ordered(resource: Resource, obj: dict) -> dict:
    """The object with its members in the server's order: Go's structs, or sorted for custom resources."""
    if resource.custom:
        return sorted_deep({**obj, "apiVersion": resource.api_version, "kind": resource.kind})
    old = obj["metadata"]
    meta = {name: old[name] for name in METADATA if name in old}
    for name in ("labels", "annotations"):
        if name in meta:
            meta[name] = dict(sorted(meta[name].items()))
    made = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
    rest = {name: value for name, value in obj.items() if name not in made}
    made.update(_arrange(rest, "", ORDER[resource.kind]) if resource.kind in ORDER else rest)
    return made


def head_of(resource: Resource) -> bytes:
    """What an object of a list leaves out: a built-in's kind and apiVersion."""
    return b"" if resource.custom else f'"kind":"{resource.kind}","apiVersion":"{resource.api_version}",'.encode()
