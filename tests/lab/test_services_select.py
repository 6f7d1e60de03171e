# SPDX-License-Identifier: GPL-2.0-or-later
"""Which Services and which of their addresses are served: S1 to S5."""

from stage import Stage, fence, wait_chosen, wait_virtual
from weftlab import Port, ask, check, equal, wait_who

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
    node.write_config(services={**lab.weft_options["services"], "externalIPs": ["203.0.113.0/25", "2001:db8:e::/64"]})
    try:
        node.restart_weftd()
        wait_virtual(node, ("TCP", "203.0.113.250", 80), lambda v: v is None, "the external IP outside to go")
        for family in lab.families:
            wait_virtual(node, ("TCP", web.external(family), 80), bool, "the external IP inside")
    finally:
        node.write_config()
        node.restart_weftd()
