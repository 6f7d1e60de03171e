# SPDX-License-Identifier: GPL-2.0-or-later
"""Which Services and which of their addresses are served: S1 to S5, S30."""

from stage import Stage, fence, wait_chosen, wait_routed, wait_virtual
from weftlab import Endpoint, Port, ask, check, equal, slice_of, wait_who

LAB = {"topology": "racks", "services": True, "bfd_ms": 2000}
SHARED = True
PROXY_NAME = "service.kubernetes.io/service-proxy-name"


def setup(lab):
    lab.stage = Stage(lab, ("tcp", "udp", "sctp"))


def test_s1_headless_external_name_and_foreign_services_are_ignored(lab):
    stage = lab.stage
    headless = lab.service("headless", stage.backends, clusterIPs=["None"])
    named = lab.service("named", stage.backends, type="ExternalName", externalName="web.example")
    manifest = named.manifest()
    manifest["spec"].update(clusterIP=named.vip(4), clusterIPs=[named.vip(4), named.vip(6)])
    lab.datastore.put(manifest)
    foreign = lab.service("foreign", stage.backends, target=8080, labels={PROXY_NAME: ""})
    fence(lab, stage)
    for node in lab.nodes.values():
        held = node.ipvs()
        for made in (headless, named, foreign):
            for family in lab.families:
                check(made.key(family) not in held, f"{node.name} serves {made.name}")
    del foreign.labels[PROXY_NAME]
    foreign.put()
    for family in lab.families:
        wait_who(stage.asker, foreign.vip(family), 80, stage.names)
    foreign.labels[PROXY_NAME] = "other"
    foreign.put()
    for family in lab.families:
        wait_who(stage.asker, foreign.vip(family), 80, "refused")


def test_s1_headless_slices_are_ignored(lab):
    stage = lab.stage
    web = lab.service("web", [], target=8080)
    web.slice_labels = {"service.kubernetes.io/headless": ""}
    web.back(*stage.backends)
    fence(lab, stage)
    equal(ask(stage.asker, web.vip(4), 80).outcome, "refused", "a Service whose slices are headless")
    web.slice_labels = {}
    web.put()
    for family in lab.families:
        wait_who(stage.asker, web.vip(family), 80, stage.names)


def test_s2_ingress_decides_not_class_or_distribution(lab):
    stage = lab.stage
    odd = lab.service("odd", stage.backends, target=8080, type="LoadBalancer", loadBalancerClass="example.com/other",
                      trafficDistribution="PreferClose")
    odd.status_ips = [{"ip": odd.lb(4), "ipMode": "VIP"}, {"ip": odd.lb(6)}]
    proxied = lab.service("proxied", stage.backends, target=8080, type="LoadBalancer", lb_status=False)
    proxied.status_ips = [{"ip": proxied.lb(4), "ipMode": "Proxy"}, {"hostname": "lb.example"}]
    odd.put()
    proxied.put()
    for family in lab.families:
        wait_who(stage.asker, odd.lb(family), 80, stage.names)
        wait_who(stage.asker, odd.vip(family), 80, stage.names)
    wait_chosen(stage.node, proxied, stage.backends)
    check(("TCP", proxied.lb(4), 80) not in stage.node.ipvs(), "an ingress with ipMode Proxy is served")


def test_s3_families_are_kept_apart(lab):
    """IPv6 first, external IPs and ingress of both families in one list."""
    stage = lab.stage
    web = lab.service("web", stage.backends, target=8080, type="LoadBalancer", families=[6, 4])
    web.set(externalIPs=[web.external(6), web.external(4)])
    equal(web.manifest()["spec"]["clusterIP"], web.vip(6), "the first ClusterIP")
    for family in lab.families:
        for address in (web.vip(family), web.lb(family), web.external(family)):
            wait_who(stage.asker, address, 80, stage.names)
            equal(stage.node.ipvs()["TCP", address, 80].chosen, {pod.ip(family) for pod in stage.backends},
                  f"destinations of {address}")


def test_s4_protocols_and_ports_are_independent(lab):
    stage = lab.stage
    ports = [Port(80, 8080, proto.upper(), proto) for proto in ("tcp", "udp", "sctp")]
    web = lab.service("web", stage.backends, ports=[*ports, Port(81, 8080, "TCP", "more")])
    for family in lab.families:
        for proto in ("tcp", "udp", "sctp"):
            wait_who(stage.asker, web.vip(family), 80, stage.names, proto)
        wait_who(stage.asker, web.vip(family), 81, stage.names)
    web.ports = [each for each in web.ports if each.name != "udp"]
    web.put()
    for family in lab.families:
        wait_who(stage.asker, web.vip(family), 80, "refused", "udp")
        for port, proto in ((80, "tcp"), (80, "sctp"), (81, "tcp")):
            check(ask(stage.asker, web.vip(family), port, proto).who, f"{port}/{proto} answers no more")


def test_s4_each_protocol_from_everywhere(lab):
    """A pod, the node, another node, a client behind the routers; ClusterIP, node port, LoadBalancer IP."""
    stage = lab.stage
    protos = ("tcp", "udp", "sctp")
    web = lab.service("web", stage.backends, ports=[Port(80, 8080, p.upper(), p) for p in protos], type="LoadBalancer")
    wait_routed(lab, web.lb(4), web.lb(6))
    for family in lab.families:
        for index, proto in enumerate(protos):
            for asker in (stage.asker, stage.node, stage.empty_node, stage.client):
                if asker is not stage.client:
                    wait_who(asker, web.vip(family), 80, stage.names, proto)
                wait_who(asker, web.lb(family), 80, stage.names, proto)
                wait_who(asker, stage.far_node.ip(family), web.ports[index].node, stage.names, proto)


def test_s5_external_ips(lab):
    stage = lab.stage
    web = lab.service("web", stage.backends, target=8080)
    web.set(externalIPs=web.externals())
    for family in lab.families:
        wait_who(stage.asker, web.external(family), 80, stage.names)
        wait_who(stage.node, web.external(family), 80, stage.names)
    web.set(externalIPs=None)
    for family in lab.families:
        wait_virtual(stage.node, ("TCP", web.external(family), 80), lambda v: v is None, "the external IP to go")
        equal([r for r in stage.node.routes(family, "table", "local") if r["dst"] == web.external(family)], [],
              "local routes of an external IP that is gone")


def test_s5_external_ips_outside_the_allowed_ranges(lab):
    stage, node = lab.stage, lab.stage.node
    web = lab.service("web", stage.backends, target=8080)
    web.set(externalIPs=[*web.externals(), "203.0.113.250"])
    wait_virtual(node, ("TCP", "203.0.113.250", 80), bool, "an external IP")
    node.write_config(services={**lab.weft_options["services"], "externalIPs": ["203.0.113.0/25", "203.0.113.128/26",
                                                                                    "203.0.113.192/27", "2001:db8:e::/64"]})
    try:
        node.restart_weftd()
        wait_virtual(node, ("TCP", "203.0.113.250", 80), lambda v: v is None, "the external IP outside to go")
        for family in lab.families:
            wait_virtual(node, ("TCP", web.external(family), 80), bool, "the external IP inside")
    finally:
        node.write_config()
        node.restart_weftd()


def test_s30_each_family_has_a_state_of_its_own(lab):
    """Endpoints of one family only: it is served, the other is refused, or dropped by policy Local."""
    stage = lab.stage
    web = lab.service("web", [stage.near], target=8080, type="NodePort")
    local = lab.service("local", [stage.near, stage.far], target=8080, internalTrafficPolicy="Local")
    single = {family: lab.service(f"single-{family}", [stage.near], target=8080, families=[family]) for family in lab.families}
    port = [{"name": "", "protocol": "TCP", "port": 8080}]
    for family, other in ((4, 6), (6, 4)):
        lab.datastore.put(slice_of("web", other, [], port),
                          slice_of("local", other, [Endpoint(stage.far).manifest(other)], port))
        wait_who(stage.asker, web.vip(other), 80, "refused", per=1)
        wait_who(stage.client, stage.node.ip(other), web.node_port, "refused", per=1)
        wait_who(stage.asker, local.vip(other), 80, "timeout", per=1)
        lab.datastore.put(*web.slices(), *local.slices())
        wait_who(stage.asker, web.vip(other), 80, "near")
        wait_who(stage.asker, local.vip(other), 80, "near")
        lab.datastore.put(slice_of("web", other, [], port))
        wait_who(stage.asker, web.vip(other), 80, "refused", per=1)
        wait_who(stage.asker, web.vip(family), 80, "near")
        wait_who(stage.asker, single[family].vip(family), 80, "near")
        check(single[family].key(other) not in stage.node.ipvs(), "a Service of one family is served in the other")
        lab.datastore.put(*web.slices())
        wait_who(stage.asker, web.vip(other), 80, "near")
