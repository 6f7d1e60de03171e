# SPDX-License-Identifier: GPL-2.0-or-later
"""The directory datastore in the running agent: nodes come, go and move; bad manifests change nothing; claims race."""

import os
import shutil

from weftlab import Lab, check, equal, snapshot, wait_until, weft

LAB = {"topology": "racks"}
HERE = os.path.dirname(os.path.abspath(__file__))
MALFORMED = os.path.join(HERE, "..", "unit", "data", "manifests", "malformed")


def node_object(name, *addresses):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"rack": "x"}},
            "status": {"addresses": [{"type": "InternalIP", "address": address} for address in addresses]}}


def weft_routes(node, family, block):
    return [(r.get("metric"), r.get("dev"), r.get("gateway")) for r in node.routes(family, block)
            if r.get("protocol") == "weft"]


def test_node_added_moved_and_removed(lab):
    node = lab["r1n1"]
    block = "10.244.255.0/26"
    lab.datastore.put(node_object("guest", "10.1.1.200"),
                      weft("IPBlock", "10.244.255.0-26", cidr=block, node="guest", pool="pods-v4"))
    wait_until(lambda: weft_routes(node, 4, block) == [(16, "eth0", "10.1.1.200")], 10, "the direct route to a new node")
    wait_until(lambda: "10.1.1.200" in node.ns.run("nft list set inet weft peer4"), 5, "its address to be a known peer")
    lab.datastore.put(node_object("guest", "10.1.1.201"))
    wait_until(lambda: weft_routes(node, 4, block) == [(16, "eth0", "10.1.1.201")], 10, "the route to follow its address")
    wait_until(lambda: "10.1.1.200" not in node.ns.run("nft list set inet weft peer4"), 5, "its old address to be unknown")
    lab.datastore.put(node_object("guest", "10.9.9.9"))
    wait_until(lambda: weft_routes(node, 4, block) == [(4096, "weft.ipip", "10.9.9.9")], 10,
               "the fallback when it is off-link")
    lab.datastore.delete("Node", "guest")
    wait_until(lambda: weft_routes(node, 4, block) == [], 10, "no route to a node that is unknown")
    lab.datastore.delete("IPBlock", "10.244.255.0-26")


def test_own_node_readdressed():
    """The node gets another address: tunnel, BGP sessions' source, direct routes of the others follow."""
    with Lab("racks") as lab:
        node, neighbour = lab["r1n1"], lab["r1n2"]
        pod, other = node.pod(), lab["r2n1"].pod()
        lab.wait_blocks()
        node.ns.run("ip address add 10.1.1.99/24 dev eth0")
        manifest = node.manifest()
        manifest["status"]["addresses"][0]["address"] = "10.1.1.99"
        lab.datastore.put(manifest)
        block = sorted(node.blocks(4))[0]
        wait_until(lambda: weft_routes(neighbour, 4, block) == [(16, "eth0", "10.1.1.99")], 10,
                   "the neighbour to use the new address")
        wait_until(lambda: "10.1.1.99" in node.ns.run("ip -d link show weft.ipip"), 10, "the tunnel's local end")
        wait_until(lambda: "10.1.1.99" in lab["r2n1"].ns.run("nft list set inet weft peer4"), 10, "the known peers")
        pod.ns.reaches(lab["r1n2"].pod().ip4)
        check(other.ip4, "a pod elsewhere")


def test_malformed_manifests_give_one_error_each_and_change_nothing(lab):
    node = lab["r1n1"]
    lab.wait_blocks()
    wait_until(lambda: not node.weft("status")["problems"], 30, "a node without problems")
    before = {name: snapshot(n.ns) for name, n in lab.nodes.items()}
    config = open(node.bird_config, encoding="utf-8").read()
    files = sorted(f for f in os.listdir(MALFORMED) if f.endswith((".yaml", ".yml", ".json")))
    check(len(files) >= 50, f"a corpus of at least 50 files, there are {len(files)}")
    for name in files:
        shutil.copy(os.path.join(MALFORMED, name), f"{lab.datastore.path}/.tmp")
        os.rename(f"{lab.datastore.path}/.tmp", f"{lab.datastore.path}/bad-{name}")

    def reports():
        found = {}
        for problem in node.weft("status")["problems"]:
            where = os.path.basename(problem.get("where", "")).split(":")[0]
            found.setdefault(where, []).append(problem["text"])
        return found
    wait_until(lambda: len(reports()) >= len(files), 30, f"a report for each of {len(files)} files")
    found = reports()
    for name in files:
        texts = found.get(f"bad-{name}")
        check(texts, f"{name} is not reported")
        equal(len(texts), 1, f"reports for {name}: {texts}")
    for name, n in lab.nodes.items():
        before[name].same(snapshot(n.ns), f"kernel state of {name} with {len(files)} malformed manifests")
    equal(open(node.bird_config, encoding="utf-8").read(), config, "bird.conf")
    for name in files:
        lab.datastore.delete_file(f"bad-{name}")
    wait_until(lambda: not node.weft("status")["problems"], 30, "the reports to go with their files")


def test_overlapping_and_misplaced_pools_are_refused(lab):
    node = lab["r1n1"]
    lab.datastore.put(weft("IPPool", "twin", cidr="10.244.128.0/17"))
    lab.datastore.put(weft("IPPool", "mine", cidr="10.1.1.0/24"))

    def problems():
        return " | ".join(f"{p['object']}: {p['text']}" for p in node.weft("status")["problems"])
    wait_until(lambda: "twin" in problems() and "overlap" in problems(), 10, "a report about the overlapping pool")
    wait_until(lambda: "mine" in problems(), 10, "a report about the pool that holds node addresses")
    lab.datastore.delete("IPPool", "twin")
    lab.datastore.delete("IPPool", "mine")
    wait_until(lambda: not problems(), 10, "the reports to go")


def test_four_agents_race_for_the_last_block():
    """A pool of one block and four nodes: exactly one gets it, the others say so and name the pool."""
    with Lab("racks", pools=False, agents=False) as lab:
        lab.datastore.put(weft("IPPool", "tiny", cidr="10.250.0.0/26"))
        for node in lab.nodes.values():
            node.start()
        wait_until(lambda: any(node.blocks(4) for node in lab.nodes.values()), 60, "one node to have the block")

        def told():
            return [n.name for n in lab.nodes.values()
                    if not n.blocks(4) and any("tiny" in p["text"] for p in n.weft("status")["problems"])]
        wait_until(lambda: len(told()) == 3, 30, "three nodes to report that pool tiny is exhausted")
        equal(lab.datastore.claims(), ["10.250.0.0-26"], "claims")
        owners = [n for n in lab.nodes.values() if n.blocks(4)]
        equal(len(owners), 1, "owners of the block")
        loser = next(n for n in lab.nodes.values() if not n.blocks(4))
        check(not loser.ready(), "a node without a block takes pods")


def test_more_pods_than_a_block_and_release():
    """A node that runs short claims further blocks; empty ones go back after a while."""
    with Lab("racks", pools=False, agents=False,
             weft={"ipam": {"cooldown": "1s", "spareAddresses": 1, "releaseEmptyAfter": "3s"}}) as lab:
        lab.datastore.put(weft("IPPool", "small", cidr="10.250.0.0/24", blockSize=29))
        node = lab["r1n1"]
        node.start()
        wait_until(node.ready, 60, "the conflist")
        pods = [node.pod() for _ in range(20)]
        equal(len({pod.ip4 for pod in pods}), 20, "different addresses")
        check(len(node.blocks(4)) >= 3, f"several blocks: {node.blocks(4)}")
        for pod in pods:
            pod.delete()
        wait_until(lambda: len(node.blocks(4)) <= 2, 60, "empty blocks to be released")
        wait_until(lambda: len(lab.datastore.claims()) <= 2, 10, "their claims to be gone")
        node.pod().ns.reaches(node.ip4)
