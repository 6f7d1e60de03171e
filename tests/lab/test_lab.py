# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab itself: what the other tests stand on. No weft here; a BIRD with a configuration written below stands
in for a node's where a node has to announce something."""

import json
import os

from weftlab import CniError, Lab, LabError, LossProbe, TcpStream, equal, parallel, snapshot, wait_until
from weftlab.ns import Netns

LAB = {"topology": "racks", "agents": False}

NODE_BIRD = """
log stderr all;
router id {ip4};
protocol device {{ scan time 1; }}
protocol static {{ ipv4; route {block} blackhole; }}
protocol kernel {{ ipv4 {{ import none; export where source = RTS_BGP; }}; metric 32; }}
protocol bfd {{ interface "*" {{ min rx interval 300 ms; min tx interval 300 ms; multiplier 3; }}; }}
protocol bgp tor {{
	local as {asn}; neighbor {tor} as {tor_as}; bfd on; connect delay time 1; connect retry time 1;
	ipv4 {{ import where net ~ [ 10.244.0.0/16+ ]; export where source = RTS_STATIC; }};
}}
"""


def start_stand_in(node, block):
    tor = node.lab.tors(node.name)[0]
    with open(node.bird_config, "w", encoding="ascii") as file:
        file.write(NODE_BIRD.format(ip4=node.ip4, block=block, asn=node.spec.asn, tor=tor.ip4, tor_as=tor.spec.asn))
    node.birdd.start()


def stop_stand_in(node):
    node.birdd.hold()
    os.unlink(node.bird_config)


def test_routers_are_peers(lab):
    equal(lab.router("spine").established(), {"tor1_4", "tor1_6", "tor2_4", "tor2_6"}, "sessions of the spine")
    for family, subnets in ((4, {"10.1.1.0/24", "10.1.2.0/24"}), (6, {"fd00:1:1::/64", "fd00:1:2::/64"})):
        wait_until(lambda: subnets <= lab.router("spine").prefixes(family), 20, f"{subnets} at the spine")


def test_client_reaches_all_nodes(lab):
    for node in lab.nodes.values():
        lab["client"].ns.reaches(node.ip4)
        lab["client"].ns.reaches(node.ip6)


def test_nodes_reach_each_other(lab):
    lab["r1n1"].ns.reaches(lab["r1n2"].ip4)
    lab["r1n1"].ns.reaches(lab["r2n2"].ip6)


def test_cut_link_is_seen_both_ways(lab):
    link = lab.link("spine", "tor1")
    with LossProbe(lab["client"], lab["r1n1"]) as probe:
        cut = link.cut()
        probe.wait_silent()
        restored = link.restore()
        probe.wait_flowing()
    for way in probe.result.directions:
        window = max(way.windows, key=lambda window: window.lost)
        assert cut - 0.05 <= window.start <= cut + 0.3, f"cut at {cut}, {probe.result}"
        assert window.end >= restored, f"restored at {restored}, {probe.result}"


def test_probe_counts_no_loss_on_a_whole_path(lab):
    for kind, family in (("udp", 6), ("icmp", 4), ("icmp", 6)):
        with LossProbe(lab["client"], lab["r2n1"], family=family, kind=kind) as probe:
            probe.wait_flowing()
        probe.result.none_lost(f"{kind} over a whole path")


def test_stream_survives_a_cut_of_a_second(lab):
    link = lab.link("spine", "tor2")
    with TcpStream(lab["client"], lab["r2n1"]) as stream:
        stream.wait_progress()
        with LossProbe(lab["client"], lab["r2n1"], port=7009) as probe:
            link.silence()
            wait_until(lambda: probe.silence() > 1, 10, "a second of silence")
            link.repair()
            stream.wait_progress()
    assert stream.result.longest_stall >= 0.9, f"expected a stall of a second: {stream.result}"


def test_broken_stream_is_an_error(lab):
    node = lab["r1n1"]
    try:
        with TcpStream(lab["client"], node) as stream:
            stream.wait_progress()
            node.ns.run("nft add table inet cut; add chain inet cut in { type filter hook input priority 0; }; "
                        "add rule inet cut in tcp dport 7008 reject with tcp reset")
            stream.wait_progress(size=1 << 20, timeout=20)
    except LabError as error:
        assert "reset" in str(error), str(error)
    else:
        raise LabError("a reset connection went unnoticed")
    finally:
        node.ns.run("nft delete table inet cut", check=False)


def test_node_bird_announces_and_is_supervised(lab):
    node, tor, other = lab["r1n1"], lab["tor1"], lab["tor2"]
    start_stand_in(node, "10.244.7.0/26")
    try:
        wait_until(lambda: "10.244.7.0/26" in other.prefixes(4), 20, "the block at the other ToR")
        equal(tor.prefixes(4, "r1n1"), {"10.244.7.0/26"}, "what tor1 learnt from r1n1")
        first = node.birdd.pid
        node.birdd.kill()
        wait_until(lambda: node.birdd.running and node.birdd.pid != first, 10, "a new BIRD")
        wait_until(lambda: "r1n1_4" in tor.established(), 20, "the session after the restart")
        tor.disable("r1n1")
        wait_until(lambda: "10.244.7.0/26" not in other.prefixes(4), 20, "the block to be withdrawn")
        tor.enable("r1n1")
        wait_until(lambda: "r1n1_4" in tor.established(), 20, "the session after enable")
    finally:
        stop_stand_in(node)


def test_snapshot_sees_changes_and_only_those(lab):
    ns = lab["r1n2"].ns
    before = snapshot(ns)
    before.same(snapshot(ns), "an untouched namespace")
    ns.ip_batch(["link add spare type dummy", "address add 198.51.100.1/32 dev spare", "rule add pref 7 lookup 77"])
    ns.run("nft add table inet spare")
    ns.sysctl("ipv4/ip_forward", 1)
    sections = {line.split(":")[0] for line in before.difference(snapshot(ns))}
    assert {"+ link", "+ address", "+ rule", "+ nftables", "- sysctl", "+ sysctl"} <= sections, sorted(sections)
    ns.ip_batch(["link del spare", "rule del pref 7"])
    ns.run("nft delete table inet spare")
    ns.sysctl("ipv4/ip_forward", 0)
    before.same(snapshot(ns), "what was changed and changed back")


def test_frr_takes_dynamic_neighbours_and_all_is_gone_afterwards():
    with open("/proc/self/mounts", encoding="ascii") as mounts:
        before = sorted(mounts)
    with Lab("racks-frr", agents=False) as lab:
        assert lab["tor2"].spec.software == "frr"
        lab["client"].ns.reaches(lab["r2n2"].ip6)
        start_stand_in(lab["r2n1"], "10.244.8.0/26")
        wait_until(lambda: "10.244.8.0/26" in lab["spine"].prefixes(4), 30, "the block at the spine")
        equal(lab["tor2"].prefixes(4, "r2n1"), {"10.244.8.0/26"}, "what FRR learnt from r2n1")
        equal(lab["tor2"].sessions()["r2n1_4"], "Established", "FRR's session with r2n1")
        pids = [daemon.pid for daemon in lab.daemons() if daemon.running]
        names = [ns.name for ns in lab.namespaces.values()]
        directory = lab.directory
    for pid in pids:
        assert not os.path.exists(f"/proc/{pid}"), f"process {pid} is left"
    equal([name for name in names if os.path.exists(f"/run/netns/{name}")], [], "namespaces left")
    assert not os.path.exists(directory), f"{directory} is left"
    with open("/proc/self/mounts", encoding="ascii") as mounts:
        equal(sorted(mounts), before, "mounts")


def test_failures_are_readable():
    ns = Netns("probe-of-errors")
    try:
        ns.run("ip route get 203.0.113.9")
    except LabError as error:
        for part in ("ip route get 203.0.113.9", "expected exit status 0", "unreachable"):
            assert part in str(error), str(error)
    else:
        raise LabError("a failing command passed")
    finally:
        ns.delete()


def spread_flows(node):
    """As weft does on a node with several links: flows keep their link, and none takes one without carrier."""
    for family in ("ipv4", "ipv6"):
        node.ns.sysctl(f"{family}/fib_multipath_hash_policy", 1)
        for link in ("eth0", "eth1"):
            node.ns.sysctl(f"{family}/conf/{link}/ignore_routes_with_linkdown", 1)


def test_two_tors_keep_a_node_reachable_without_one_of_them():
    with Lab("two-tors", agents=False) as lab:
        client, node = lab["client"], lab["r1n2"]
        spread_flows(node)
        for other in lab.nodes.values():
            client.ns.reaches(other.ip4)
            client.ns.reaches(other.ip6)
        with LossProbe(client, node, kind="icmp") as probe:
            lab.link("tor1a", "r1n2").cut()
            wait_until(lambda: "10.1.1.12/32" not in lab["tor1a"].control.prefixes("master4", "where proto = \"static4\""),
                       10, "tor1a to drop its route")
            probe.wait_flowing()
        client.ns.reaches(node.ip6)


def test_ipv6_only():
    with Lab("ipv6-only", agents=False) as lab:
        equal(lab.families, [6], "families")
        for node in lab.nodes.values():
            lab["client"].ns.reaches(node.ip6)


def test_runtime_runs_a_chain_of_plugins(lab):
    """Debian's plugins stand in for weft-cni: result passing, capabilities, CHECK, DEL, and that heal() detaches."""
    node = lab["r1n1"]
    ranges = [[{"subnet": "10.88.0.0/24"}], [{"subnet": "fd00:88::/64"}]]
    with open(node.conflist, "w", encoding="ascii") as file:
        json.dump({"cniVersion": "1.0.0", "name": "stand-in", "plugins": [
            {"type": "ptp", "ipam": {"type": "host-local", "dataDir": f"{node.directory}/host-local", "ranges": ranges}},
            {"type": "bandwidth", "capabilities": {"bandwidth": True}}]}, file)
    node.ns.sysctl("ipv4/ip_forward", 1)
    try:
        pod = node.pod("web", runtime={"bandwidth": {"ingressRate": 8000000, "ingressBurst": 800000}})
        node.ns.reaches(pod.ip4)
        node.ns.reaches(pod.ip6)
        assert "tbf" in node.ns.run(f"tc qdisc show dev {pod.host_interface}"), "no rate limit on the pod's interface"
        pod.check()
        before = set(os.listdir(f"{node.directory}/host-local/stand-in"))
        assert pod.ip4 in before, before
        pod.delete()
        assert pod.ip4 not in os.listdir(f"{node.directory}/host-local/stand-in"), "the address was not given back"
        pods = parallel(lambda _: node.pod(only=["ptp"]), range(2), workers=2)
        equal(len({each.ip4 for each in pods}), 2, "addresses of two pods attached at once")
        lab.heal()
        equal(node.pods, [], "pods after heal()")
        try:
            node.cni.call("ptp", "ADD", {"cniVersion": "1.0.0", "name": "x", "type": "ptp"}, {})
        except CniError as error:
            equal(error.code, 4, "error code of an ADD without CNI_CONTAINERID")
        else:
            raise LabError("an ADD without a container passed")
    finally:
        os.unlink(node.conflist)
        node.ns.sysctl("ipv4/ip_forward", 0)
