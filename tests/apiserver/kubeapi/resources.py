# SPDX-License-Identifier: GPL-2.0-or-later
"""The resources that this API server has, and what is particular to each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Resource:
    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    status: bool = False            # has the subresource status
    custom: bool = False            # of a CustomResourceDefinition
    generation: bool = False        # metadata.generation counts the changes of what is wanted
    unconditional: bool = True      # a PUT without resourceVersion overwrites
    create_on_update: bool = False  # a PUT of an absent name creates
    fields: tuple = ()              # field selectors besides metadata.name and metadata.namespace
    empty: tuple = ()               # members that an object without content still has: (name, value)
    cached: bool = True             # has a watch cache (events have none)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As in messages: endpointslices.discovery.k8s.io."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def collection_path(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


NODE_STATUS = {"daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
               "nodeInfo": {"machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "", "osImage": "",
                            "containerRuntimeVersion": "", "kubeletVersion": "", "kubeProxyVersion": "",
                            "operatingSystem": "", "architecture": ""}}
EVENT_FIELDS = ("involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
                "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
                "reportingComponent", "source", "type")
POD_FIELDS = ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
              "spec.hostNetwork", "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName")

BUILTIN = (
    Resource("", "v1", "nodes", "Node", namespaced=False, status=True, fields=("spec.unschedulable",),
             empty=(("spec", {}), ("status", NODE_STATUS))),
    Resource("", "v1", "services", "Service", status=True, fields=("spec.clusterIP", "spec.type"),
             empty=(("spec", {}), ("status", {"loadBalancer": {}}))),
    Resource("", "v1", "namespaces", "Namespace", namespaced=False, status=True, fields=("status.phase",),
             empty=(("spec", {}), ("status", {}))),
    Resource("", "v1", "secrets", "Secret", fields=("type",)),
    Resource("", "v1", "configmaps", "ConfigMap"),
    Resource("", "v1", "serviceaccounts", "ServiceAccount"),
    Resource("", "v1", "events", "Event", create_on_update=True, fields=EVENT_FIELDS, cached=False),
    Resource("", "v1", "pods", "Pod", status=True, fields=POD_FIELDS,
             empty=(("spec", {"containers": None}), ("status", {}))),
    Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", generation=True,
             empty=(("addressType", ""), ("endpoints", None), ("ports", None))),
    Resource("coordination.k8s.io", "v1", "leases", "Lease", create_on_update=True, unconditional=False,
             empty=(("spec", {}),)),
    Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", generation=True, empty=(("spec", {}),)),
)
SERVICE_CIDRS = Resource("networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", namespaced=False, status=True,
                         empty=(("spec", {"cidrs": None}), ("status", {})))
WEFT = tuple(Resource("weft.dev", "v1alpha1", plural, kind, namespaced=False, status=True, custom=True,
                      generation=True, unconditional=False)
             for plural, kind in (("ippools", "IPPool"), ("ipblocks", "IPBlock"), ("bgppeers", "BGPPeer"),
                                  ("bgpconfigs", "BGPConfig"), ("bgpadvertisements", "BGPAdvertisement")))


def of_crd(crd: dict) -> list[Resource]:
    """The resources that a CustomResourceDefinition's served versions make."""
    spec = crd["spec"]
    return [Resource(spec["group"], version["name"], spec["names"]["plural"], spec["names"]["kind"],
                     namespaced=spec["scope"] == "Namespaced", status="status" in version.get("subresources", {}),
                     custom=True, generation=True, unconditional=False)
            for version in spec["versions"] if version.get("served")]
