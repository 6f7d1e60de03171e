# SPDX-License-Identifier: GPL-2.0-or-later
"""Which endpoints get a Service's connections: S6 to S13."""

from stage import Stage, fence, wait_chosen, wait_virtual
from weftlab import Endpoint, Port, equal, slice_of, terminating, unready, wait_who

LAB = {"topology": "racks", "services": True, "bfd_ms": 2000}
SHARED = True


def setup(lab):
    lab.stage = Stage(lab)


def row(address, **more):
    return {"addresses": [address], "conditions": {"ready": True}, **more}


def test_s6_slices_that_do_not_count(lab):
    """Another family's or FQDN's slice, no port name or number, another namespace, a second address."""
    stage = lab.stage
    web = lab.service("web", [stage.near], target=8080)
    port = [{"name": "", "protocol": "TCP", "port": 8080}]
    lab.datastore.put(
        slice_of("web", "FQDN", [row("web.example")], port, name="fqdn"),
        slice_of("web", 4, [row(stage.far.ip4)], [{"protocol": "TCP", "port": 8080, "name": "unknown"}], name="name"),
        slice_of("web", 4, [row(stage.far.ip4)], [{"protocol": "TCP", "name": ""}], name="no-number"),
        slice_of("web", 4, [row(stage.far.ip4)], port, name="elsewhere", namespace="other"),
        slice_of("web", 4, [{"addresses": [stage.beside.ip4, stage.far.ip4]}], port, name="second"))
    try:
        wait_virtual(stage.node, web.key(4), lambda v: v and v.chosen == {stage.near.ip4, stage.beside.ip4},
                     "the first address of the last slice")
        fence(lab, stage)
        equal(web.chosen(stage.node, 4), {stage.near.ip4, stage.beside.ip4}, "IPv4 endpoints")
        equal(web.chosen(stage.node, 6), {stage.near.ip6}, "IPv6 endpoints")
    finally:
        for name, namespace in (("fqdn", ""), ("name", ""), ("no-number", ""), ("elsewhere", "other"), ("second", "")):
            lab.datastore.delete("EndpointSlice", name, namespace)


def test_s7_union_of_slices_with_numbers_of_their_own(lab):
    stage = lab.stage
    lab.serve(stage.far, port=9090)
    web = lab.service("web", [stage.near], ports=[Port(80, 8080, name="http")])
    lab.datastore.put(*(slice_of("web", family, [row(stage.far.ip(family))],
                                 [{"name": "http", "protocol": "TCP", "port": 9090}], name=f"more-{family}")
                        for family in lab.families))
    for family in lab.families:
        wait_who(stage.asker, web.vip(family), 80, {"near", "far"})
        equal(set(stage.node.ipvs()[web.key(family)].weights),
              {(stage.near.ip(family), 8080), (stage.far.ip(family), 9090)}, "destinations")
    for family in lab.families:
        lab.datastore.delete("EndpointSlice", f"more-{family}")
        wait_who(stage.asker, web.vip(family), 80, "near")


def test_s8_a_duplicate_that_stays_wins(lab):
    stage = lab.stage
    web = lab.service("web", [terminating(stage.near), stage.far], target=8080)
    port = [{"name": "", "protocol": "TCP", "port": 8080}]
    wait_chosen(stage.node, web, [stage.far])
    lab.datastore.put(*(slice_of("web", family, [row(stage.near.ip(family))], port, name=f"again-{family}")
                        for family in lab.families))
    wait_chosen(stage.node, web, [stage.near, stage.far])
    for family in lab.families:
        equal(len(stage.node.ipvs()[web.key(family)].dests), 2, "destinations")
        lab.datastore.delete("EndpointSlice", f"again-{family}")
    wait_chosen(stage.node, web, [stage.far])


def test_s9_unset_conditions_mean_ready(lab):
    stage = lab.stage
    web = lab.service("web", [Endpoint(stage.near, ready=None), stage.far], target=8080)
    for family in lab.families:
        wait_who(stage.asker, web.vip(family), 80, {"near", "far"})


def test_s9_local_is_the_node_name(lab):
    """Local is what the slice says, not where the address lies; a backend without nodeName is nowhere local."""
    stage = lab.stage
    web = lab.service("web", [Endpoint(stage.far, node="r1n1"), Endpoint(stage.near, node="r2n1")], target=8080,
                      internalTrafficPolicy="Local")
    for family in lab.families:
        wait_who(stage.asker, web.vip(family), 80, "far")


def test_s11_ready_endpoints_only(lab):
    stage = lab.stage
    web = lab.service("web", [stage.near, unready(stage.far), terminating(stage.beside)], target=8080)
    for family in lab.families:
        wait_who(stage.asker, web.vip(family), 80, "near")
    web.back(stage.near, stage.far, terminating(stage.beside))
    for family in lab.families:
        wait_who(stage.asker, web.vip(family), 80, {"near", "far"})


def test_s11_terminating_endpoints_serve_when_no_ready(lab):
    stage = lab.stage
    web = lab.service("web", [unready(stage.near), terminating(stage.far), terminating(stage.beside, serving=False)],
                      target=8080)
    for family in lab.families:
        wait_who(stage.asker, web.vip(family), 80, "far")
    web.back(unready(stage.near), terminating(stage.beside, serving=False))
    for family in lab.families:
        wait_who(stage.asker, web.vip(family), 80, "refused")


def test_s11_local_terminating_endpoints_serve_when_no_local_ready(lab):
    stage = lab.stage
    web = lab.service("web", [terminating(stage.near), stage.far], target=8080, internalTrafficPolicy="Local")
    for family in lab.families:
        wait_who(stage.asker, web.vip(family), 80, "near")
    web.back(terminating(stage.near, serving=False), stage.far)
    for family in lab.families:
        wait_who(stage.asker, web.vip(family), 80, "timeout")


def test_s12_zone_hints(lab):
    stage = lab.stage
    hinted = {pod: Endpoint(pod, hint_zones=[zone])
              for pod, zone in ((stage.near, "rack1"), (stage.beside, "rack1"), (stage.far, "rack2"))}
    web = lab.service("web", list(hinted.values()), target=8080)
    wait_chosen(stage.node, web, [stage.near, stage.beside])
    wait_chosen(stage.far_node, web, [stage.far])
    wait_chosen(stage.empty_node, web, [stage.far])
    web.back(hinted[stage.near], hinted[stage.beside], stage.far)  # one has none: all are ignored
    for node in (stage.node, stage.far_node):
        wait_chosen(node, web, stage.backends)
    web.back(*(Endpoint(pod, hint_zones=["rack7"]) for pod in stage.backends))  # nobody's zone
    wait_chosen(stage.node, web, stage.backends)
    web.back(hinted[stage.near], Endpoint(stage.far, ready=False, serving=False, terminating=False))  # not ready: unasked
    wait_chosen(stage.node, web, [stage.near])
    web.back(terminating(stage.near, hint_zones=["rack1"]), terminating(stage.far, hint_zones=["rack2"]))
    wait_chosen(stage.node, web, [stage.near, stage.far])


def test_s12_node_hints_come_first(lab):
    stage = lab.stage
    web = lab.service("web", [Endpoint(stage.near, hint_nodes=["r1n1"], hint_zones=["rack2"]),
                              Endpoint(stage.far, hint_nodes=["r2n1"], hint_zones=["rack1"])], target=8080)
    wait_chosen(stage.node, web, [stage.near])
    wait_chosen(stage.far_node, web, [stage.far])
    wait_chosen(stage.beside_node, web, [stage.far])  # no node names it: zones


def test_s12_hints_never_bind_policy_local(lab):
    stage = lab.stage
    web = lab.service("web", [Endpoint(stage.near, hint_zones=["rack2"]), Endpoint(stage.far, hint_zones=["rack1"])],
                      target=8080, internalTrafficPolicy="Local")
    wait_chosen(stage.node, web, [stage.near])


def test_s12_a_change_of_the_zone_is_followed(lab):
    stage, node = lab.stage, lab.stage.node
    web = lab.service("web", [Endpoint(stage.near, hint_zones=["rack1"]), Endpoint(stage.far, hint_zones=["rack2"])],
                      target=8080)
    wait_chosen(node, web, [stage.near])
    node.labels["topology.kubernetes.io/zone"] = "rack2"
    try:
        lab.datastore.put(node.manifest())
        wait_chosen(node, web, [stage.far])
    finally:
        node.labels.clear()
        lab.datastore.put(node.manifest())
    wait_chosen(node, web, [stage.near])


def test_s13_internal_local_leaves_the_outside_its_endpoints(lab):
    stage = lab.stage
    web = lab.service("web", stage.backends, target=8080, type="LoadBalancer", internalTrafficPolicy="Local")
    for family in lab.families:
        wait_who(stage.asker, web.vip(family), 80, "near")
        wait_who(stage.asker, web.lb(family), 80, stage.names)
        wait_who(stage.lonely, web.lb(family), 80, stage.names)
        wait_who(stage.client, stage.empty_node.ip(family), web.node_port, stage.names)
        wait_who(stage.lonely, web.vip(family), 80, "timeout")
