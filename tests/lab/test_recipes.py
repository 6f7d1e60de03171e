# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/bgp-recipes.md, executed: the blocks of each section are taken out of the page and run as they stand.

`yaml` blocks become objects of the datastore, `frr NAME...` blocks are loaded by vtysh into FRR on these routers. A
section is an addition to the first one, unless it is in ALONE.
"""

import contextlib
import json
import os
import re

import yaml
from weftlab import LabError, check, equal, wait_until

LAB = {"topology": "recipes", "datastore": "directory", "services": True}
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = f"{TOP}/docs/bgp-recipes.md"
FIRST = "eBGP, one AS per rack"
ALONE = ("iBGP, the ToR reflects",)
RACK1 = ("r1n1", "r1n2")
loaded = set()  # routers that have a recipe's configuration
ours = []  # (kind, name, namespace) of the objects that a recipe brought


def sections():
    """Title -> {"yaml": [object, ...], "tor1": text, "tor2": text}"""
    found = {}
    with open(PAGE, encoding="utf-8") as page:
        for part in page.read().split("\n## ")[1:]:
            recipe = {"yaml": [], "tor1": "", "tor2": ""}
            for info, text in re.findall(r"^```(\w[^\n]*)\n(.*?)^```$", part, re.MULTILINE | re.DOTALL):
                language, *routers = info.split()
                if language == "yaml":
                    recipe["yaml"] += list(yaml.safe_load_all(text))
                elif language == "frr":
                    for router in routers:
                        recipe[router] += text
            found[part.splitlines()[0]] = recipe
    return found


def knows_its_port(tor):
    return "inet6 fe80" in tor.vty("show interface swp3", daemon="zebra")


def settle_port(tor):
    """FRR's zebra sometimes misses the link-local address of a port that got another name, and sends no router
    advertisement on it ever after. What an operator does then: the port goes down and up."""
    for _ in range(5):
        with contextlib.suppress(LabError):
            wait_until(lambda: knows_its_port(tor), 10, f"{tor.name} to know its link-local address on swp3")
            return
        tor.ns.ip_batch(["link set swp3 down", "link set swp3 up"])
    check(knows_its_port(tor), f"{tor.name}'s zebra has no link-local address on swp3: {tor.ns.run('ip -6 address show dev swp3')}")


def setup(lab):
    """What the page calls its ports and addresses."""
    for name in ("tor1", "tor2"):
        lab[name].ns.ip_batch(["link set r3n1 down", "link set r3n1 name swp3", "link set swp3 up"])
    lab["tor2"].ns.ip_batch(["address flush dev tor1 scope global", "address add 10.1.1.2/24 dev tor1",
                             "address add fd00:1:1::2/64 dev tor1 nodad"])


def execute(lab, title):
    recipes = sections()
    recipe = recipes[title]
    base = None if title == FIRST or title in ALONE else recipes[FIRST]
    parts = [base, recipe] if base else [recipe]
    for router in lab.routers.values():
        if router.name in loaded:
            router.forget()
            loaded.remove(router.name)
        if router.name == "tor1" or recipe[router.name]:  # the second ToR has the first recipe's block too
            router.load((base["tor1"] if base else "") + recipe[router.name])
            loaded.add(router.name)
    objects = {(item["kind"], item["metadata"]["name"]): item for part in parts for item in part["yaml"]}
    for kind, name, namespace in ours:
        if (kind, name) not in objects:
            lab.datastore.delete(kind, name, namespace)
    lab.datastore.put(*objects.values())
    ours[:] = [(kind, name, item["metadata"].get("namespace", "")) for (kind, name), item in objects.items()]


def neighbours(router):
    """Address or interface -> state, as `show bgp summary` has it."""
    found = {}
    for family in (4, 6):
        for name, peer in router.summary(family).items():
            found[name] = peer["state"]
    return found


def wait_sessions(router, *expected):
    wait_until(lambda: set(expected) <= {name for name, state in neighbours(router).items() if state == "Established"}, 120,
               f"{router.name}'s sessions with {', '.join(expected)}: {neighbours(router)}")


def rack1(lab):
    return [lab[node].ip(family) for node in RACK1 for family in lab.families]


def wait_blocks(lab, router, *nodes):
    for node in nodes:
        for family in lab.families:
            blocks = lab[node].blocks(family)
            check(blocks, f"{node} has no IPv{family} block")
            wait_until(lambda: blocks <= router.prefixes(family), 30, f"{blocks} of {node} at {router.name}")


def wait_default(lab, node, family, *gateways):
    """The default route that BIRD put into the kernel has exactly these gateways (a part of the text will do)."""
    def seen():
        routes = [route for route in lab[node].routes(family, "default") if route.get("protocol") == "bird"]
        hops = [hop for route in routes for hop in route.get("nexthops", [route])]
        return sorted(hop.get("gateway") or hop["via"]["host"] for hop in hops)

    def fits():
        now = seen()
        return len(now) == len(gateways) and all(part in text for part, text in zip(sorted(gateways), now))

    wait_until(fits, 30, f"{node}'s IPv{family} default route via {gateways}; it has {seen()}")


def test_ebgp_per_rack(lab):
    execute(lab, FIRST)
    tor = lab["tor1"]
    wait_sessions(tor, *rack1(lab))
    wait_blocks(lab, tor, *RACK1)
    for node in RACK1:
        wait_default(lab, node, 4, "10.1.1.1")
        wait_default(lab, node, 6, "fd00:1:1::1")


def test_two_tors(lab):
    execute(lab, "Two ToRs")
    for tor in lab.routers.values():
        wait_sessions(tor, *rack1(lab))
        wait_blocks(lab, tor, *RACK1)
    wait_default(lab, "r1n1", 4, "10.1.1.1", "10.1.1.2")
    wait_default(lab, "r1n2", 6, "fd00:1:1::1", "fd00:1:1::2")


def test_unnumbered(lab):
    execute(lab, "Unnumbered")
    for tor in lab.routers.values():
        settle_port(tor)
        wait_sessions(tor, "swp3")
        wait_blocks(lab, tor, "r3n1")
    for family in lab.families:
        wait_default(lab, "r3n1", family, "fe80::", "fe80::")


def test_ibgp_with_reflector(lab):
    """Node objects without the annotation, so that BGPConfig's AS number counts."""
    nodes = [lab[node].manifest() for node in RACK1]
    lab.datastore.put(*({**node, "metadata": {**node["metadata"], "annotations": {}}} for node in nodes))
    try:
        reflected(lab)
    finally:
        lab.datastore.put(*nodes)


def reflected(lab):
    execute(lab, "iBGP, the ToR reflects")
    wait_sessions(lab["tor1"], *rack1(lab))
    for family, tor in ((4, "10.1.1.1"), (6, "fd00:1:1::1")):
        blocks = lab["r1n1"].blocks(family)
        wait_until(lambda: blocks <= lab["r1n2"].bird.prefixes(f"master{family}", f"where source = RTS_BGP && from = {tor}"),
                   30, f"{blocks} of r1n1 at r1n2, reflected")
        wait_default(lab, "r1n1", family, tor if family == 4 else "fe80::")  # FRR prefers its link-local next hop


def test_bfd(lab):
    execute(lab, "BFD")
    wait_sessions(lab["tor1"], *rack1(lab))

    def up():
        """Peer -> what the ToR negotiated, of the sessions that are up."""
        peers = json.loads(lab["tor1"].vty("show bfd peers json", daemon="bfdd"))
        return {peer["peer"]: peer["remote-receive-interval"] for peer in peers if peer["status"] == "up"}

    wait_until(lambda: set(rack1(lab)) <= set(up()), 30, f"BFD with all nodes: {up()}")
    wait_until(lambda: up().get(lab["r1n1"].ip4) == 500, 20, f"r1n1 to say that it receives every 500 ms: {up()}")


def test_communities(lab):
    lab.lb_pools()
    pod = lab["r1n1"].pod()
    lab.serve(pod)
    execute(lab, "Communities on LoadBalancer IPs")
    web = lab.service("web", [pod], port=80, target=8080, type="LoadBalancer")
    tor = lab["tor1"]
    wait_sessions(tor, *rack1(lab))

    def paths(prefix):
        return json.loads(tor.vty(f"show bgp ipv4 unicast {prefix} json")).get("paths", [])

    vip = f"{web.lb(4)}/32"
    wait_until(lambda: [path for path in paths(vip) if "community" in path] == paths(vip) and len(paths(vip)) == len(RACK1),
               30, f"{vip} of both nodes at tor1, with a community")
    for found in paths(vip):
        equal(found["community"]["list"], ["65001:200"], "communities")
        equal(found["largeCommunity"]["list"], ["65001:1:200"], "large communities")
    said = tor.vty(f"show bgp ipv4 unicast {vip}")
    equal(said.count("localpref 200"), len(RACK1), f"paths that the ToR prefers, of\n{said}")
    for block in [block for block in lab["r1n1"].blocks(4) if "/" in block]:  # single addresses are the VIPs
        check("community" not in paths(block)[0], f"communities of a pod block: {paths(block)}")


def test_md5(lab):
    execute(lab, "MD5 passwords")
    wait_sessions(lab["tor1"], *rack1(lab))
    lab.datastore.put({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "weft-bgp", "namespace": "kube-system"},
                       "stringData": {"tor1": "wrong"}})
    wait_until(lambda: "Established" not in neighbours(lab["tor1"]).values(), 60, "sessions with a wrong password to end")


def test_every_recipe_is_tested():
    with open(__file__, encoding="utf-8") as source:
        text = source.read()
    executed = {FIRST, *re.findall(r'execute\(lab, "([^"]+)"\)', text)}
    equal(set(sections()), executed, "sections of docs/bgp-recipes.md")
    for title, recipe in sections().items():
        check(recipe["yaml"] and (recipe["tor1"] or recipe["tor2"]), f"{title}: both sides' configuration")
