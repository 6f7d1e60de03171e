# SPDX-License-Identifier: GPL-2.0-or-later
"""How addresses are announced: classes in kernel table 179, BIRD's filters, and what two ToRs see of it.

The ToRs log every route that they get: a prefix that changes its class may be updated, but never withdrawn.
"""

import datetime
import ipaddress
import json
import os
import re

from weftlab import LabError, check, equal, wait_until, weft

LAB = {"topology": "announce", "services": True, "bfd_ms": 2000, "trace": True, "datastore": "directory"}
FRONT, GOLD = "198.51.100.0/24", "203.0.113.0/24"
FRONT6 = "2001:db8:51::/112"


def setup(lab):
    node = lab["n1"]
    lab.pods_of_n1 = [node.pod(name) for name in ("a", "b", "c")]
    lab.datastore.put(weft("IPPool", "front", cidr=FRONT, use="LoadBalancer"),
                      weft("IPPool", "front6", cidr=FRONT6, use="LoadBalancer"),
                      weft("IPPool", "gold", cidr=GOLD, use="LoadBalancer"))
    lab.wait_blocks()
    lab.keep()
    lab.adverts = set()
    for tor in lab.routers.values():
        for family in lab.families:
            tor.control.command(f'debug "n1_{family}" {{ routes }}')


def seen(tor, prefix):
    """What a ToR has of a prefix from the node: all attributes as text; "" = nothing."""
    family = ipaddress.ip_network(prefix).version
    try:
        text = tor.control.command(f"show route {prefix} all table master{family} where source = RTS_BGP")
    except LabError as error:
        if "Network not found" in str(error):
            return ""
        raise
    return text if prefix in text else ""


def attribute(tor, prefix, name):
    found = re.search(rf"BGP\.{name}: *(.*)", seen(tor, prefix))
    return found[1].strip() if found else ""


def wait_attribute(tor, prefix, name, value):
    wait_until(lambda: attribute(tor, prefix, name) == value, 30,
               f"{name} of {prefix} at {tor.name} to be {value!r}, it is {attribute(tor, prefix, name)!r}", 0.1)


def wait_seen(tor, prefix, there=True):
    wait_until(lambda: bool(seen(tor, prefix)) == there, 30,
               f"{prefix} to {'come to' if there else 'go from'} {tor.name}", 0.1)


class Unbroken:
    """A block in which none of the prefixes is withdrawn from any of the ToRs."""

    def __init__(self, lab, *prefixes):
        self.lab, self.prefixes = lab, prefixes

    def __enter__(self):
        self.before = {tor: len(tor.daemons[0].log_text()) for tor in self.lab.routers.values()}
        return self

    def __exit__(self, kind, _value, _trace):
        if kind:
            return
        for tor, start in self.before.items():
            lines = tor.daemons[0].log_text()[start:].splitlines()
            gone = [line for line in lines if " removed " in line and any(f" {p} " in line for p in self.prefixes)]
            equal(gone, [], f"withdrawn from {tor.name}")


def reconfigured(node):
    """In seconds. BIRD converts it from another clock each time that it is asked: the last digit is not reliable."""
    text = re.search(r"Last reconfiguration on (.*)", node.bird.command("show status"))[1]
    return datetime.datetime.fromisoformat(text).timestamp()


def uptimes(node):
    text = node.bird.command("show protocols")
    return sorted(line.split()[0] + " " + line.split()[4] for line in text.splitlines() if " BGP " in line)


def metrics(node, family=4):
    """Prefix -> metric of its route in table 179; exactly one each."""
    rows = [(row["dst"] if "/" in row["dst"] else f"{row['dst']}/{32 if family == 4 else 128}", row["metric"])
            for row in node.routes(family, "table", "179")]
    equal(len(rows), len(dict(rows)), f"one route for each prefix, there are {rows}")
    return dict(rows)


def balancer(lab, name, ip, backends=None, **spec):
    made = lab.service(name, backends or lab.pods_of_n1[:1], target=8080, type="LoadBalancer", families=[4], lb_status=False,
                       **spec)
    made.status_ips = [ip]
    made.put()
    return made


def advertise(lab, **adverts):
    """These BGPAdvertisements of LoadBalancer IPs, and none of a former test."""
    for name in lab.adverts - set(adverts):
        lab.datastore.delete("BGPAdvertisement", name)
    lab.adverts = set(adverts)
    lab.datastore.put(*(weft("BGPAdvertisement", name, types=["LoadBalancerIP"], **spec) for name, spec in adverts.items()))


def of(app):
    return {"matchLabels": {"app": app}}


def relabel(made, **labels):
    made.labels = labels
    made.put(slices=False)


def test_classes(lab):
    """Communities of a pool, peers, local preference, prepending; who belongs changes without a configuration."""
    node, tor1, tor2 = lab["n1"], lab["tor1"], lab["tor2"]
    plain, gold = "198.51.100.5/32", "203.0.113.5/32"
    adverts = {"gold": {"pools": ["gold"], "communities": ["65001:100", "65001:1:2"]},
               "inside": {"serviceSelector": of("inside"), "localPref": 250, "peers": ["tor2-rack1-v4"]},
               "backup": {"serviceSelector": of("backup"), "prepend": 2}}
    advertise(lab, **adverts)
    web = balancer(lab, "web", plain[:-3])
    rich = balancer(lab, "rich", gold[:-3])
    balancer(lab, "secret", "198.51.100.6", labels={"app": "inside"})
    balancer(lab, "spare", "198.51.100.7", labels={"app": "backup"})
    for tor in (tor1, tor2):
        wait_attribute(tor, gold, "community", "(65001,100)")
        wait_attribute(tor, gold, "large_community", "(65001, 1, 2)")
        wait_seen(tor, plain)
        equal(attribute(tor, plain, "community"), "", f"communities of {plain} at {tor.name}")
    wait_attribute(tor2, "198.51.100.6/32", "local_pref", "250")
    wait_attribute(tor1, "198.51.100.7/32", "as_path", "65101 65101 65101")
    check(not seen(tor1, "198.51.100.6/32"), "tor1 has what is for tor2 only")

    # Known classes: a route's metric changes, BIRD's configuration does not, and the prefix is never away.
    before, classes = reconfigured(node), metrics(node)
    equal((classes[plain], min(classes[gold], classes["198.51.100.7/32"]) >= 1000), (200, True), "metrics")
    with Unbroken(lab, plain, gold):
        relabel(web, app="backup")
        wait_attribute(tor1, plain, "as_path", "65101 65101 65101")
        equal(metrics(node)[plain], classes["198.51.100.7/32"], "class of the Service that was relabelled")
        relabel(web)
        wait_attribute(tor1, plain, "as_path", "65101")
        balancer(lab, "rich2", "203.0.113.6")
        wait_attribute(tor1, "203.0.113.6/32", "community", "(65001,100)")
    check(abs(reconfigured(node) - before) < 0.05, "BIRD has been reconfigured")

    # A set that was never seen before: filters first, then the route; sessions stay.
    up = uptimes(node)
    with Unbroken(lab, plain, gold):
        relabel(rich, app="backup")
        wait_attribute(tor1, gold, "as_path", "65101 65101 65101")
        equal(attribute(tor1, gold, "community"), "(65001,100)", "communities of both")
        # The edit of a BGPAdvertisement is a matter of filters: no route changes.
        classes = metrics(node)
        advertise(lab, **{**adverts, "gold": {"pools": ["gold"], "communities": ["65001:101"]}})
        wait_attribute(tor1, gold, "community", "(65001,101)")
        equal(metrics(node), classes, "table 179")
        shown = node.weft("services", args={"service": "default/rich"})["announcements"]
        equal([(each["class"], each["advertisements"], each["state"]) for each in shown],
              [(classes[gold], ["backup", "gold"], "announced")], "what weftctl services says")
    equal(uptimes(node), up, "sessions")


def test_a_successor_takes_over(lab):
    """A BGPAdvertisement that gets another name in its file: its prefixes go over, none is withdrawn."""
    prefix = "203.0.113.8/32"

    def rename(name, community):
        lab.datastore.put_text("renamed.json", json.dumps(weft("BGPAdvertisement", name, types=["LoadBalancerIP"],
                                                               pools=["gold"], communities=[community])))
        for tor in lab.routers.values():
            wait_attribute(tor, prefix, "community", f"({community.replace(':', ',')})")

    # Without a BGPAdvertisement it is not announced at all: what the one that was deleted said must count on.
    lab.datastore.put(weft("BGPConfig", "default", announce=["PodBlock"]))
    advertise(lab)
    rich = balancer(lab, "successor", prefix[:-3])
    rename("former", "65001:100")
    with Unbroken(lab, prefix):
        for i in range(1, 6):
            rename(f"latter-{i}", f"65001:20{i}")
    rich.delete()
    lab.datastore.delete_file("renamed.json")
    lab.datastore.put(weft("BGPConfig", "default"))


def test_numbers_outlive_the_agent(lab):
    """kill -9: the numbers, the routes and what the ToRs have stay; without the file nothing is withdrawn either."""
    node, tor1 = lab["n1"], lab["tor1"]
    prefix = "203.0.113.5/32"
    advertise(lab, gold={"pools": ["gold"], "communities": ["65001:100"]})
    balancer(lab, "rich", prefix[:-3])
    wait_attribute(tor1, prefix, "community", "(65001,100)")
    before = {family: metrics(node, family) for family in lab.families}
    with Unbroken(lab, prefix, *before[4], *before[6]):
        node.restart_weftd(kill=True)
        for family in lab.families:
            equal(metrics(node, family), before[family], f"IPv{family}, table 179")
        node.weftd.kill()
        os.unlink(f"{node.directory}/state/adverts")
        node.weftd.start()
        wait_until(lambda: metrics(node)[prefix] != before[4][prefix], 30, "the VIP to have a new number")
        wait_attribute(tor1, prefix, "community", "(65001,100)")


def test_aggregation(lab):
    """Policy Cluster: one prefix as long as one VIP is in it, inside the pool. Policy Local: single addresses."""
    node, tor1 = lab["n1"], lab["tor1"]
    advertise(lab)
    one = balancer(lab, "one", "198.51.100.20")
    wait_seen(tor1, "198.51.100.20/32")
    with Unbroken(lab, "198.51.100.0/24"):
        advertise(lab, wide={"aggregationLength": 24, "aggregationLengthIPv6": 120, "pools": ["front", "front6"]})
        wait_seen(tor1, "198.51.100.0/24")
        wait_seen(tor1, "198.51.100.20/32", there=False)
        two = balancer(lab, "two", "198.51.100.30")
        six = lab.service("six", lab.pods_of_n1[:1], target=8080, type="LoadBalancer", families=[6])
        local = balancer(lab, "local", "198.51.100.31", externalTrafficPolicy="Local")
        wait_seen(tor1, "198.51.100.31/32")
        wait_seen(tor1, "2001:db8:51::100/120")
        check(not seen(tor1, "198.51.100.30/32"), "a VIP of an aggregate is announced by itself")
        one.delete()
        local.delete()
        wait_seen(tor1, "198.51.100.31/32", there=False)
        equal({p for p in metrics(node) if p.startswith("198.")}, {"198.51.100.0/24"}, "table 179")
    two.delete()
    six.delete()
    wait_seen(tor1, "198.51.100.0/24", there=False)
    wait_seen(tor1, "2001:db8:51::100/120", there=False)


def test_weights_follow_the_endpoints(lab):
    """The link-bandwidth community in proportion to the ready endpoints of the node, updated in place."""
    tor1, prefix = lab["tor1"], "198.51.100.40/32"
    advertise(lab, weighed={"endpointWeight": True})
    web = balancer(lab, "web", prefix[:-3], externalTrafficPolicy="Local")

    def bandwidth():
        found = re.search(r"65101, (\d+)\)", attribute(tor1, prefix, "ext_community"))
        return int(found[1]) if found else 0

    wait_until(lambda: bandwidth() == 0x48000000, 30, "the weight of one endpoint")
    with Unbroken(lab, prefix):
        web.back(*lab.pods_of_n1)
        wait_until(lambda: bandwidth() == 0x48c00000, 30, "the weight of three endpoints")
        web.back(*lab.pods_of_n1[:2])
        wait_until(lambda: bandwidth() == 0x48800000, 30, "the weight of two endpoints")
    equal([row["metrics"][0]["window"] for row in lab["n1"].routes(4, "table", "179") if row["dst"] == prefix[:-3]], [2],
          "what the kernel's route carries")


def test_a_refused_configuration_moves_nothing(lab):
    """A class that BIRD's filters can't know yet is not used; what is announced stays as it is."""
    node, tor1, prefix = lab["n1"], lab["tor1"], "198.51.100.50/32"
    snippet = f"{node.directory}/bird/custom/broken.conf"
    advertise(lab)
    web = balancer(lab, "web", prefix[:-3])
    wait_seen(tor1, prefix)
    with Unbroken(lab, prefix):
        with open(snippet, "w", encoding="utf-8") as file:
            file.write("this is no configuration;\n")
        advertise(lab, late={"communities": ["65001:7"], "serviceSelector": of("late")})
        relabel(web, app="late")
        wait_until(lambda: node.weft("services", args={"service": "default/web"})["announcements"][0]["state"] == "former-class", 30,
                   "the VIP to wait for BIRD")
        wait_until(lambda: node.weft("status")["bird"]["configState"] == "failed", 30, "BIRD to refuse")
        equal(metrics(node)[prefix], 200, "metric of the VIP")
        os.unlink(snippet)
        advertise(lab, late={"communities": ["65001:8"], "serviceSelector": of("late")})
        wait_attribute(tor1, prefix, "community", "(65001,8)")
