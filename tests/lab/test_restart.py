# SPDX-License-Identifier: GPL-2.0-or-later
"""weftd may stop, be killed, or find things altered: the dataplane goes on, foreign things are never touched."""

import os
import subprocess
import time

from weftlab import Lab, LossProbe, TcpStream, check, equal, snapshot, wait_until

LAB = {"topology": "racks"}


def test_killed_and_restarted_twenty_times_without_a_lost_packet(lab):
    node = lab["r1n1"]
    a, b, neighbour = node.pod(), lab["r2n1"].pod(), lab["r1n2"].pod()
    lab.wait_blocks()
    before = snapshot(node.ns)
    with LossProbe(a, b) as far, LossProbe(a, neighbour, family=6) as near:
        far.wait_flowing()
        near.wait_flowing()
        for _ in range(20):
            node.restart_weftd(kill=True)
    far.result.none_lost("20 kills, to another rack")
    near.result.none_lost("20 kills, to the same rack, IPv6")
    before.same(snapshot(node.ns), "kernel state before and after 20 kills")


def test_restart_writes_nothing(lab):
    """What is right in the kernel is adopted: no route is written, no event is seen."""
    node = lab["r1n1"]
    node.pod()
    lab.wait_blocks()
    node.restart_weftd()
    wait_until(lambda: node.weft("status")["routes"]["pending"] == 0, 10, "weftd to have settled")
    with node.ns.popen(["ip", "-o", "monitor", "route", "link", "address"], stdout=subprocess.PIPE, text=True) as monitor:
        time.sleep(0.5)  # let it subscribe
        node.restart_weftd(kill=True)
        wait_until(lambda: node.weft("status")["routes"]["pending"] == 0, 10, "weftd to have settled")
        monitor.terminate()
        seen = monitor.communicate()[0]
    ours = [line for line in seen.splitlines() if "proto weft" in line or "weft" in line.split(":")[0]]
    equal(ours, [], "kernel events about weft's routes and devices at a restart")


def test_deleted_and_altered_routes_are_back_within_a_second(lab):
    node, near, far = lab["r1n1"], lab["r1n2"], lab["r2n1"]
    pod = node.pod()
    lab.wait_blocks()
    for family in (4, 6):
        host = f"{pod.ip(family)}/{32 if family == 4 else 128}"
        direct = sorted(near.blocks(family))[0]
        fallback = sorted(far.blocks(family))[0]
        victims = [(host, ()), (direct, ("metric", "16")), (fallback, ("metric", "4096")),
                   (sorted(node.blocks(family))[0], ("metric", "8192"))]
        for block, metric in victims:
            def weft_routes(dst=block, selector=metric):
                return [r for r in node.routes(family, dst, *selector) if r.get("protocol") == "weft"]
            want = weft_routes()
            check(len(want) == 1, f"one route of weft for {block} {metric}, found {want}")
            kind = "blackhole" if "8192" in metric else ""
            node.ns.run(f"ip -{family} route del {kind} {block} {' '.join(metric)} proto weft")
            wait_until(lambda: weft_routes() == want, 1, f"the deleted route {block} {metric} to be back", 0.05)
        block = sorted(node.blocks(family))[0]
        node.ns.run(f"ip -{family} route del blackhole {block} table 179")
        wait_until(lambda: block in node.blocks(family), 1, f"the deleted announcement {block} to be back", 0.05)
    direct = sorted(near.blocks(4))[0]
    gateway = node.ns.ip("route show default")[0]["gateway"]
    want = node.routes(4, direct, "metric", "16")
    node.ns.run(f"ip route replace {direct} via {gateway} metric 16 proto weft")
    wait_until(lambda: node.routes(4, direct, "metric", "16") == want, 1, "the altered route to be as it was", 0.05)


def test_altered_devices_and_tables_are_repaired(lab):
    node = lab["r1n1"]
    node.pod()
    before = snapshot(node.ns)
    node.ns.run("ip link set weft.ipip down")
    wait_until(lambda: "UP" in node.ns.ip("link show weft.ipip")[0]["flags"], 5, "weft.ipip to be up again")
    node.ns.run("ip link del weft.ipip")
    wait_until(lambda: node.ns.run("ip link show weft.ipip", check=False), 5, "weft.ipip to be made again")
    node.ns.run("nft delete table inet weft")
    wait_until(lambda: node.ns.run("nft list table inet weft", check=False), 5, "the table inet weft to be back")
    node.ns.run("nft flush table inet weft")
    wait_until(lambda: "peer4" in node.ns.run("nft list table inet weft") and
               "drop" in node.ns.run("nft list table inet weft"), 5, "the rules to be back")
    block = sorted(lab["r2n1"].blocks(4))[0]
    wait_until(lambda: [r for r in node.routes(4, block) if r.get("dev") == "weft.ipip"], 5,
               "the fallback routes to be back")
    check(before is not None, "snapshot")


def test_link_down_and_up_restores_every_route(lab):
    """The kernel drops routes silently when a device goes down: they are back with it."""
    node, near = lab["r1n1"], lab["r1n2"]
    lab.wait_blocks()
    for family in (4, 6):
        direct = sorted(near.blocks(family))[0]
        check(node.routes(family, direct, "metric", "16"), f"no direct route to {direct}")
    gateway = node.ns.ip("route show default")[0]["gateway"]
    node.ns.run("ip link set eth0 down")
    node.ns.run("ip link set eth0 up")
    node.ns.run(f"ip route replace default via {gateway}")
    for family in (4, 6):
        direct = sorted(near.blocks(family))[0]
        wait_until(lambda: node.routes(family, direct, "metric", "16"), 10, f"the direct route to {direct} to be back")


def test_foreign_things_are_untouched_by_a_full_life():
    """Start, run with pods, cleanup: what others put there is identical, what weft made is gone."""
    with Lab("racks", agents=False) as lab:
        node = lab["r1n1"]
        node.ns.ip_batch(["link add foreign0 type dummy", "link set foreign0 up",
                          "address add 198.51.100.1/32 dev foreign0",
                          "route add 203.0.113.0/24 dev foreign0 metric 16",
                          "route add 203.0.113.0/24 dev foreign0 metric 4096 proto static",
                          "route add blackhole 198.51.100.0/24 table 179 proto static",
                          "route add 198.18.0.0/15 dev foreign0 table 100", "rule add from 198.51.100.1 lookup 100",
                          "link add wefty type dummy"])
        node.ns.run(["nft", "-f", "-"], stdin="table inet other { chain c { type filter hook input priority 0; "
                    "tcp dport 9 drop; }; }\ntable ip weft { chain c { }; }\n")
        before = snapshot(node.ns)
        node.start()
        wait_until(node.ready, 60, "the conflist")
        pods = [node.pod() for _ in range(3)]
        pods[0].ns.reaches(pods[1].ip4)
        node.restart_weftd(kill=True)
        node.stop()
        for pod in pods[1:]:
            pod.delete()
        text = node.cleanup()
        check("removed" in text, f"cleanup says what it did: {text!r}")
        pods[0].ns.delete()
        before.same(snapshot(node.ns), "everything on the node before and after weft's life")
        for path in ("state/ipam", "cni/10-weft.conflist", "bird/bird.conf", "run/weftd.sock"):
            check(not os.path.exists(f"{node.directory}/{path}"), f"{path} is left")


def test_cleanup_refuses_while_weftd_runs(lab):
    node = lab["r1n1"]
    try:
        node.cleanup()
    except AssertionError as error:
        check("runs already" in str(error), f"the reason: {error}")
    else:
        raise AssertionError("cleanup ran beside a running weftd")
    check(node.ready(), "the conflist is gone")


def test_pods_come_and_go_without_weftd(lab):
    node = lab["r1n1"]
    other = lab["r2n1"].pod()
    node.weftd.hold()
    pod = node.pod()
    with TcpStream(pod, other) as stream:
        stream.wait_progress()
    pod.delete()
    late = node.pod()
    node.weftd.start()
    node.wait_answering()
    late.ns.reaches(other.ip6)
