# SPDX-License-Identifier: GPL-2.0-or-later
"""ipam.mode node: blocks are the podCIDRs of Node objects, as a controller manager gives them; nobody claims any."""

from weftlab import Lab, check, equal, wait_until, weft

IPAM = {"mode": "node", "clusterCIDRs": ["10.244.0.0/16", "fd00:244::/48"], "cooldown": "1s"}


def manifest(node, number):
    made = node.manifest()
    if number is not None:
        made["spec"] = {"podCIDR": f"10.244.{number}.0/24",
                        "podCIDRs": [f"10.244.{number}.0/24", f"fd00:244:0:{number}::/64"]}
    return made


def problems(node):
    return " | ".join(p["text"] for p in node.weft("status")["problems"])


def test_podcidrs_are_the_blocks():
    with Lab("racks", pools=False, agents=False, weft={"ipam": IPAM}) as lab:
        nodes = list(lab.nodes.values())
        late = nodes[-1]
        for number, node in enumerate(nodes):
            lab.datastore.put(manifest(node, None if node is late else number))
        # What is for another mode is not used.
        lab.datastore.put(weft("IPPool", "pods", cidr="10.200.0.0/16"),
                          weft("IPBlock", "10.244.9.0-24", cidr="10.244.9.0/24", node=nodes[0].name, pool="pods"))
        claims = lab.datastore.claims()
        for node in nodes:
            node.start()
        for node in nodes[:-1]:
            wait_until(node.ready, 90, f"the conflist of {node.name}")
        wait_until(lambda: "has no spec.podCIDRs yet" in problems(late), 30, "a node without podCIDRs to say so")
        check(not late.ready(), "a node without podCIDRs takes no pods")

        lab.datastore.put(manifest(late, len(nodes) - 1))
        lab.agents = True
        lab.wait_ready()
        lab.wait_blocks()
        for number, node in enumerate(nodes):
            equal(node.blocks(4), {f"10.244.{number}.0/24"}, f"IPv4 blocks of {node.name}")
            equal(node.blocks(6), {"fd00:244::/116" if number == 0 else f"fd00:244:0:{number}::/116"},
                  f"IPv6 blocks of {node.name}")
            equal(problems(node), "", f"problems of {node.name}")
        equal(lab.datastore.claims(), claims, "claims")

        pods = [node.pod() for node in nodes]
        for one in pods:
            for other in pods:
                if one is not other:
                    one.ns.reaches(other.ip4)
                    one.ns.reaches(other.ip6)

        # Its Node vanishes and comes again without podCIDRs, then with the same: its pods stay as they are.
        lab.datastore.delete("Node", late.name)
        wait_until(lambda: "no Node object" in problems(late), 30, "the node to miss its Node")
        equal(late.blocks(4), {f"10.244.{len(nodes) - 1}.0/24"}, "its block")
        pods[0].ns.reaches(pods[-1].ip4)
        lab.datastore.put(manifest(late, None))
        lab.datastore.put(manifest(late, len(nodes) - 1))
        late.pod().ns.reaches(pods[0].ip4)

        # Registered anew with another podCIDR (an API server lets nobody change one): new pods are in it, those that run
        # keep their addresses here.
        lab.datastore.delete("Node", late.name)
        lab.datastore.put(manifest(late, 77))
        wait_until(lambda: "10.244.77.0/24" in late.blocks(4), 30, "the new block")
        fresh = wait_until(late.ready, 30, "the conflist") and late.pod()
        check(fresh.ip4.startswith("10.244.77."), f"a new pod in the new podCIDR: {fresh.ip4}")
        pods[0].ns.reaches(fresh.ip4)
        check(problems(late), "addresses of a block that is not the node's any more are reported")
        equal(lab.datastore.claims(), claims, "claims")
