# SPDX-License-Identifier: GPL-2.0-or-later
"""What each recording needs besides its requests, and what of it this server does not do (skip, loose)."""

from __future__ import annotations

import copy

from replay import Replay, Scenario

WIDGETS = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
           "metadata": {"name": "widgets.h.example.com"},
           "spec": {"group": "h.example.com", "scope": "Namespaced",
                    "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
                    "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": {
                        "openAPIV3Schema": {"type": "object", "properties": {
                            "spec": {"type": "object", "required": ["cidr"], "properties": {
                                "cidr": {"type": "string", "pattern": "^[0-9a-f.:]+/[0-9]+$"},
                                "weight": {"type": "integer", "default": 1, "minimum": 0, "maximum": 255}}},
                            "status": {"type": "object", "properties": {
                                "phase": {"type": "string"},
                                "conditions": {"type": "array", "items": {
                                    "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}}}}}]}}
KUBERNETES = {"apiVersion": "v1", "kind": "Service", "metadata": {
    "name": "kubernetes", "namespace": "default", "labels": {"component": "apiserver", "provider": "kubernetes"}},
    "spec": {"ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": 16643}], "clusterIP": "10.96.0.1",
             "clusterIPs": ["10.96.0.1"], "type": "ClusterIP", "sessionAffinity": "None", "ipFamilies": ["IPv4"],
             "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster"}, "status": {"loadBalancer": {}}}


def widgets(replay: Replay):
    from kubeapi.control import load_one
    load_one(replay.server, copy.deepcopy(WIDGETS), "scenario")


def slices(replay: Replay, *names: str):
    for name in names:
        replay.writer("unknown").create(replay.server.store.named("endpointslices"), "rec", slice_of(name))


def slice_of(name: str, service: str = "web") -> dict:
    """The slice that most recordings use."""
    condition = {"ready": True, "serving": True, "terminating": False}
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {
        "name": name, "namespace": "rec", "labels": {"kubernetes.io/service-name": service,
                                                     "endpointslice.kubernetes.io/managed-by": "h-rec"}},
        "addressType": "IPv4", "endpoints": [
            {"addresses": [f"10.244.0.{1 + i}"], "conditions": condition, "nodeName": f"node-{node}", "zone": "z1"}
            for i, node in enumerate("ab")], "ports": [{"name": "http", "protocol": "TCP", "port": 8080}]}


def _moved_on(replay: Replay):
    for i in range(3):
        replay.change("endpointslices", "rec/page-0", metadata={"labels": {"x": str(i)}})
    replay.server.store.expire(tokens=replay.version == "1.26")


def _compacted(replay: Replay):
    replay.change("services", "default/kubernetes", metadata={"annotations": {"moved": "on"}})
    replay.server.store.expire()
    replay.change("services", "default/kubernetes", metadata={"annotations": None})
    replay.server.store.expire()


def _three_more(replay: Replay):
    slices(replay, "w-b0", "w-b1", "w-b2")


def _page_0(replay: Replay):
    label = replay.recorded[8].answer.events()[0]["object"]["metadata"]["labels"]["x"]
    replay.change("endpointslices", "rec/page-0", metadata={"labels": {"x": label}})


def _history(replay: Replay):
    """The changes that the first watch told, made again with the same numbers."""
    store = replay.server.store
    collection = store.named("endpointslices")
    for event in replay.recorded[1].answer.events():
        if event["type"] == "BOOKMARK":
            continue
        obj = event["object"]
        if event["type"] == "DELETED":
            store.rv = int(obj["metadata"]["resourceVersion"]) - 1
            store.remove(collection, f"rec/{obj['metadata']['name']}")
        else:
            replay.put(obj)
    widgets(replay)
    store.rv = 358


def _restarted(replay: Replay):
    replay.server.store.rv = 372 if replay.version == "1.36" else 324
    replay.server.store.expire()


def _node_a(replay: Replay):
    widgets(replay)
    node = replay.objects(20)[0]
    del node["status"]["conditions"]
    node["metadata"]["managedFields"] = node["metadata"]["managedFields"][1:]
    replay.put(node)


def _put_widget(replay: Replay):
    widgets(replay)
    replay.writer("h-rec").create(replay.server.store.named("widgets"), "rec",
                                  {"metadata": {"name": "put"}, "spec": {"cidr": "1.0.0.0/8"}})


def _deletable(replay: Replay):
    replay.server.store.rv = 353 if replay.version == "1.26" else 401
    collection = replay.server.store.named("endpointslices")
    for i in range(3):
        replay.writer("unknown").create(collection, "rec", slice_of(f"del-{i}", "del"))


def _pod(replay: Replay):
    pod = replay.objects(10)[0]
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        del pod["metadata"][name]
    if "generation" in pod["metadata"]:
        pod["metadata"]["generation"] = 1
    replay.put(pod)


def _held(replay: Replay):
    held = slice_of("fin")
    held["metadata"]["finalizers"] = ["h.example.com/hold"]
    replay.writer("unknown").create(replay.server.store.named("endpointslices"), "rec", held)


def _pods(replay: Replay):
    replay.seed(4)
    replay.seed(1)
    slices(replay, "other")
    bound = copy.deepcopy(replay.objects(10)[0])
    bound["spec"].pop("nodeName", None)
    bound["status"].pop("conditions", None)
    replay.put(bound)


def _controller(replay: Replay):
    replay.change("nodes", "node-a", "kube-controller-manager",
                  spec={"podCIDR": "10.244.2.0/24", "podCIDRs": ["10.244.2.0/24", "fd00:10:244:2::/64"]})


def _node_b(replay: Replay):
    for event in replay.recorded[1].answer.events()[3:5]:
        replay.put(event["object"])


def _escapes(replay: Replay):
    replay.put(replay.objects(3)[0])


def _crd_changed(replay: Replay):
    replay.server.reinitialize(replay.server.store.named("widgets"))


def _crd_deleted(replay: Replay):
    collection = replay.server.store.named("widgets")
    for key in list(collection.records):
        replay.server.store.remove(collection, key)
    replay.server.end_watches(["widgets"])
    collection.installed = False


def _short_watches(replay: Replay):
    replay.server.min_request_timeout = 4
    events = [event["object"] for event in replay.recorded[1].answer.events() if event["type"] != "BOOKMARK"]
    for obj in events:
        before = copy.deepcopy(obj)
        before["metadata"]["resourceVersion"] = str(int(obj["metadata"]["resourceVersion"]) - 10)
        replay.put(before)
    replay.server.store.rv = int(events[0]["metadata"]["resourceVersion"]) - 1


def _told_late(replay: Replay):
    for event in replay.recorded[1].answer.events():
        if event["type"] != "BOOKMARK":
            replay.put(event["object"])


CERTIFICATE = "the Node authorizer and NodeRestriction"
CONTROLLER = "what the endpointslice controller makes"
SCENARIOS = (
    Scenario("01-discovery", skip={
        **{n: "the document names what this server has" for n in (1, 4, 6, 9, 10)},
        13: "protobuf", 14: "PartialObjectMetadata", 15: "Table", 16: "YAML"} | {8: "hash", 7: "hash"}),
    Scenario("02-list-limit-continue", seed=lambda replay: replay.seed(4), hidden={9: _moved_on}),
    Scenario("03-list-resourceversion", seed=lambda replay: replay.seed(1),
             hidden={4: lambda replay: replay.version == "1.26" and _compacted(replay)}),
    Scenario("04-watch-basic", seed=lambda replay: replay.seed(1), at={(2, 3.04): _three_more}),
    Scenario("05-watch-start-rv", seed=lambda replay: replay.seed(1), at={(8, 0.3): _page_0}),
    Scenario("07-watch-expired", seed=_history, hidden={
        3: lambda replay: replay.server.store.expire(["events", "widgets"]), 7: _restarted}),
    Scenario("08-errors", seed=lambda replay: (widgets(replay), slices(replay, "page-0"), replay.put(KUBERNETES)),
             skip={30: "malformed requests have tests of their own", 31: "the same"}),
    Scenario("09-patch", seed=_node_a, skip={23: "fieldValidation"}),
    Scenario("10-put-post-conflict", seed=_put_widget, loose={9: ("name",)}),
    Scenario("12-delete", seed=_deletable, hidden={7: _held, 10: _pod}),
    Scenario("13-lease", skip={13: CERTIFICATE}),
    Scenario("14-gzip", seed=lambda replay: replay.seed(2), skip={1: "before the objects were made"}),
    Scenario("15-http2-and-connection"),
    Scenario("17-selectors", seed=_pods, loose={10: ("conditions", "managedFields")}),
    Scenario("19-crd", hidden={4: widgets, 12: _crd_changed, 15: _crd_deleted},
             loose={7: ("message", "causes")},
             skip={n: "CustomResourceDefinitions are files here" for n in (2, 3, 12, 15)}),
    Scenario("20-services", seed=lambda replay: replay.put({**KUBERNETES, "metadata": replay.objects(11)[0]["metadata"]}),
             skip={12: CONTROLLER, 13: "Endpoints", 14: CONTROLLER, 15: CONTROLLER}, loose={11: ("targetPort",)}),
    Scenario("21-nodes", at={(2, 0.1): _controller, (4, 0.4): _node_b}, loose={1: ("managedFields",)},
             skip={5: CERTIFICATE, 6: CERTIFICATE}),
    Scenario("25-large-events", seed=lambda replay: None, at={(3, 0.3): _escapes}),
    Scenario("26-watchlist", seed=lambda replay: (widgets(replay), replay.seed(1 if replay.version == "1.36" else 4))),
    Scenario("31-min-request-timeout", seed=_short_watches, loose={0: ("bookmarks",)}, at={(1, 1.6): _told_late}),
)
