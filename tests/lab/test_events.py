# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens to a node while pods run: its link, its Node object, a block of its own, nftables, the order of a start."""

import contextlib
import ipaddress
import json

from weftlab import Lab, LossProbe, check, equal, wait_until, weft

LAB = {"topology": "racks"}


def tunnel_state(node):
    """Index, MTU and address of both tunnels: what must not change without a reason."""
    links = {link["ifname"]: link for link in json.loads(node.ns.run("ip -j address show"))}
    return [(name, links[name]["ifindex"], links[name]["mtu"],
             sorted(a["local"] for a in links[name]["addr_info"] if a["scope"] == "global"))
            for name in ("weft.ipip", "weft.sit") if name in links]


@contextlib.contextmanager
def link_down(node):
    """eth0 down, and up again with the default routes that went with it, as the host's network service does."""
    routes = {family: node.ns.run(f"ip -{family} route show default").splitlines() for family in (4, 6)}
    node.ns.set_link("eth0", up=False)
    try:
        wait_until(lambda: not node.routes(4, "10.1.1.0/24"), 5, "the connected network to go")
        yield
    finally:
        node.ns.set_link("eth0", up=True)
        for family, lines in routes.items():
            for line in lines:
                node.ns.run(f"ip -{family} route replace {line}", check=False)
    wait_until(lambda: node.ns.device_to("10.1.1.250") == "eth0", 10, "the rack's network to be back")


def test_link_down_and_up_keeps_the_tunnels(lab):
    """A link that goes down for a moment leaves tunnels, their addresses and the pods' MTU alone; traffic is back with it."""
    node, far = lab["r1n1"], lab["r2n1"]
    pod, other = node.pod(), far.pod()
    lab.wait_blocks()
    before, conflist = tunnel_state(node), open(node.conflist, encoding="utf-8").read()
    equal(len(before), 2, "tunnels")
    for _ in range(2):
        with link_down(node):
            wait_until(lambda: node.weft("status"), 5, "weftd to answer")
            equal(tunnel_state(node), before, "tunnels while the link is down")
    equal(tunnel_state(node), before, "tunnels after the link came back")
    equal(open(node.conflist, encoding="utf-8").read(), conflist, "the conflist")
    wait_until(lambda: pod.ns.ping(other.ip4, 1), 60, "pods to reach each other again")


def test_own_node_object_deleted_and_registered_again(lab):
    """kubelet registers a Node anew: no route, tunnel or session goes meanwhile, no packet is lost."""
    node = lab["r1n1"]
    a, b = node.pod(), lab["r2n1"].pod()
    lab.wait_blocks()
    before = tunnel_state(node)
    config = open(node.bird_config, encoding="utf-8").read()
    manifest = node.manifest()
    with LossProbe(a, b) as probe:
        probe.wait_flowing()
        lab.datastore.delete("Node", node.name)
        wait_until(lambda: any(p["object"] == "Node" for p in node.weft("status")["problems"]), 10,
                   "weftd to miss its Node")
        equal(tunnel_state(node), before, "tunnels without the Node object")
        equal(open(node.bird_config, encoding="utf-8").read(), config, "BIRD's configuration without the Node object")
        check("r1n1_4" in lab["tor1"].established(), "the session ended")
        lab.datastore.put(manifest)
        wait_until(lambda: not any(p["object"] == "Node" for p in node.weft("status")["problems"]), 10,
                   "weftd to have its Node again")
    equal(tunnel_state(node), before, "tunnels with the Node object")
    check(probe.result.longest < 1, f"the loss of the Node object: {probe.result}")


def test_weftd_starts_while_the_link_is_down(lab):
    """What an earlier life made is not swept because the network is not there yet."""
    node = lab["r1n1"]
    node.pod()
    lab.wait_blocks()
    before = tunnel_state(node)
    with link_down(node):
        node.restart_weftd(kill=True)
        wait_until(lambda: node.weft("status"), 10, "weftd to answer")
        equal(tunnel_state(node), before, "tunnels after a start without a network")
    equal(tunnel_state(node), before, "tunnels when the network is there")


def test_block_given_to_another_node():
    """Its pods keep their addresses here, but no new pod and no tunnel gets one of it: the other node may give them out."""
    with Lab("racks") as lab:
        node = lab["r1n1"]
        old = node.pod()
        lab.wait_blocks()
        block = sorted(node.blocks(4))[0]
        lab.datastore.give_block(block, "r2n1")
        wait_until(lambda: node.blocks(4) and block not in node.blocks(4), 20, "another block instead")
        wait_until(lambda: any("names node r2n1" in p["text"] for p in node.weft("status")["problems"]), 10, "a report")

        def within(address):
            return ipaddress.ip_address(address) in ipaddress.ip_network(block)

        wait_until(lambda: not any(within(a) for a in tunnel_state(node)[0][3]), 10, "the tunnel to leave the block")
        for _ in range(3):
            pod = node.pod()
            check(not within(pod.ip4), f"a new pod got {pod.ip4} of the block {block} that is r2n1's")
        old.ns.reaches(node.ip4)


def test_deleted_nft_table_is_back(lab):
    node = lab["r1n1"]
    before = node.ns.run("nft -st list table inet weft")
    node.ns.run("nft delete table inet weft")
    wait_until(lambda: node.ns.run("nft -st list table inet weft", check=False) == before, 5, "the table to be back")


def test_freed_block_goes_to_who_waits_for_one():
    """A pool of one block: the node that had none claims it as soon as its owner is gone, with no other event."""
    with Lab("racks", pools=False, agents=False) as lab:
        lab.datastore.put(weft("IPPool", "tiny", cidr="10.250.0.0/26"))
        first, second = lab["r1n1"], lab["r2n1"]
        first.start()
        wait_until(lambda: first.blocks(4), 30, "the first node to have the block")
        second.start()
        wait_until(lambda: any("tiny" in p["text"] for p in second.weft("status")["problems"]), 30, "the second to miss one")
        first.stop()
        lab.datastore.delete_block("10.250.0.0/26")
        wait_until(lambda: second.blocks(4) == {"10.250.0.0/26"}, 15, "the second node to have the block")
        wait_until(second.ready, 15, "the second node to take pods")
