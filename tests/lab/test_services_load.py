# SPDX-License-Identifier: GPL-2.0-or-later
"""Not one failed request: rolling updates, killed agents, all at once. LAB_ROLLS sets the number of updates, LAB_VIPS that
of LoadBalancer IPs that come and go."""

import os

from stage import Stage, wait_chosen, wait_not_routed, wait_routed
from weftlab import Hammer, TcpStream, check, equal, parallel, terminating, wait_until

LAB = {"topology": "racks", "services": True, "bfd_ms": 2000}
SHARED = True
ROLLS = int(os.environ.get("LAB_ROLLS", "20"))
VIPS = int(os.environ.get("LAB_VIPS", "100"))


def setup(lab):
    lab.stage = Stage(lab)


def test_s29_agents_killed_under_load(lab):
    """Each node's weftd is killed again and again: requests, kept and new, from pods, nodes and outside go on."""
    stage = lab.stage
    web = lab.service("web", stage.backends, target=8080, type="LoadBalancer")
    wait_routed(lab, web.lb(4), web.lb(6))
    for node in lab.nodes.values():
        wait_chosen(node, web, stage.backends)
    with Hammer([stage.asker, stage.lonely, stage.far_node], web.vip(6), 80) as inside, \
            Hammer([stage.client], web.lb(4), 80) as outside, \
            Hammer([stage.client], stage.empty_node.ip4, web.node_port) as port:
        for _ in range(ROLLS // 10):
            for node in lab.nodes.values():
                node.restart_weftd(kill=True)
            for hammer in (inside, outside, port):
                hammer.wait_answered(20)
    for hammer, what in ((inside, "ClusterIP"), (outside, "LB IP"), (port, "node port")):
        hammer.result.none_failed(f"kills, {what}")


def roll(lab, web, node, old, number):
    """One step of a rolling update: the new pod is ready, the old one leaves, ends when it is idle, is gone."""
    pods = {each.place: each for each in web.backends}
    new = node.pod(f"web{number}")
    lab.serve(new)
    web.back(*pods, new)
    rest = [pod for pod in pods if pod is not old] + [new]
    web.back(*rest, terminating(old))
    parallel(lambda each: wait_chosen(each, web, rest), lab.nodes.values())
    for server in [each for each in lab.servers.all if each.ns is old.ns]:
        server.drain()
    web.back(*rest)
    parallel(lambda each: wait_until(lambda: len(each.ipvs()[web.key(4)].dests) == len(rest), 20,
                                     f"{old.name} to be removed on {each.name}"), lab.nodes.values())
    old.delete()
    return new


def test_s11_rolling_updates_without_a_failed_request(lab):
    stage = lab.stage
    homes = [lab[name] for name in ("r1n1", "r1n2", "r2n1")]
    pods = [node.pod(f"first{index}") for index, node in enumerate(homes)]
    lab.serve(*pods)
    web = lab.service("web", pods, target=8080, type="LoadBalancer")
    wait_routed(lab, web.lb(4), web.lb(6))
    for node in lab.nodes.values():
        wait_chosen(node, web, pods)
    with Hammer([stage.asker, stage.empty_node], web.vip(4), 80) as four, \
            Hammer([stage.lonely], web.vip(6), 80) as six, Hammer([stage.client], web.lb(6), 80) as outside:
        for number in range(ROLLS):
            index = number % len(pods)
            pods[index] = roll(lab, web, homes[index], pods[index], number)
            check(not (four.failed or six.failed or outside.failed), f"requests failed at update {number}")
        for hammer in (four, six, outside):
            hammer.wait_answered(20)
    for hammer, what in ((four, "IPv4"), (six, "IPv6"), (outside, "from outside")):
        hammer.result.none_failed(f"{ROLLS} updates, {what}")


def test_h6_streams_outlive_the_update_that_replaces_their_pod(lab):
    """A long connection to a leaving pod goes on until the pod ends it, while agents are killed too."""
    stage = lab.stage
    web = lab.service("web", [stage.far], port=7008)
    wait_chosen(stage.node, web, [stage.far])
    with TcpStream(stage.asker, stage.far, address=web.vip(4)) as stream:
        web.back(stage.near, terminating(stage.far))
        wait_chosen(stage.node, web, [stage.near])
        stream.wait_progress()
        stage.node.restart_weftd(kill=True)
        stream.wait_progress()
        equal(stage.node.ipvs()[web.key(4)].weights, {(stage.near.ip4, 7008): 1, (stage.far.ip4, 7008): 0},
              "destinations of the restarted agent")


def sessions(lab):
    """Every BGP and BFD session at both ends: its state, and the second of the day since when it has had that."""
    birds = {node.name: node.bird for node in lab.nodes.values()} | {r.name: r.control for r in lab.routers.values()}
    seen = {}
    for name, bird in birds.items():
        for words in map(str.split, bird.command("show protocols").splitlines()):
            if words[1:2] == ["BGP"]:
                seen[name, words[0]] = (words[3:4] + words[5:], words[4])
        for words in map(str.split, bird.command("show bfd sessions").splitlines()):
            if words[2:3] in (["Up"], ["Down"], ["Init"]):
                seen[name, words[0], words[1]] = (words[2:3], words[3])
    return {key: (state, sum(float(part) * 60 ** (2 - index) for index, part in enumerate(since.split("T")[-1].split(":"))))
            for key, (state, since) in seen.items()}


def same_sessions(before, after):
    """BIRD counts back from now: its times differ by a millisecond or two."""
    equal({key: state for key, (state, _) in after.items()}, {key: state for key, (state, _) in before.items()}, "sessions")
    moved = {key: (before[key], after[key]) for key in before if abs(before[key][1] - after[key][1]) > 0.1}
    equal(moved, {}, "sessions that have changed their state meanwhile")


def test_vips_come_and_go_without_a_word_of_the_sessions(lab):
    """No BGP or BFD session changes its state, no request to another VIP fails."""
    stage = lab.stage
    web = lab.service("web", stage.backends, target=8080, type="LoadBalancer")
    wait_routed(lab, web.lb(4), web.lb(6))
    before = sessions(lab)
    equal({key[0] for key in before}, {*lab.nodes, *lab.routers}, "who has sessions")
    check(any(len(key) == 3 for key in before), "no BFD sessions are listed")
    with Hammer([stage.client], web.lb(4), 80, interval=0.2) as four, \
            Hammer([stage.client], web.lb(6), 80, interval=0.2) as six:
        for turn in range(VIPS // 20):
            made = [lab.service(f"vip-{turn}-{number}", [stage.near], target=8080, type="LoadBalancer") for number in range(10)]
            vips = [each.lb(family) for each in made for family in lab.families]
            wait_routed(lab, *vips)
            for each in made:
                each.delete()
        wait_not_routed(lab, *vips)
        for hammer in (four, six):
            hammer.wait_answered(5)
    same_sessions(before, sessions(lab))
    for hammer in (four, six):
        hammer.result.none_failed(f"{VIPS} changes of other VIPs")
