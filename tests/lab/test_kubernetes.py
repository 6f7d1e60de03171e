# SPDX-License-Identifier: GPL-2.0-or-later
"""Four agents on a test API server, with the rights that deploy/kubernetes gives them: outages, storms of 410, a start without
the server, rotation of tokens, the lease, and what weft writes. The agents' other work on it: test_kubernetes_again.py."""

import contextlib
import select
import signal
import subprocess
import time

from stage import Stage, wait_chosen, wait_no_handover, wait_routed
from weftlab import Hammer, LabError, LossProbe, ask, check, equal, snapshot, wait_until
from weftlab.kube import TOKEN, USER

LAB = {"topology": "racks", "services": True, "bfd_ms": 2000, "datastore": "kubernetes"}
SHARED = True


def setup(lab):
    lab.stage = Stage(lab)
    lab.lb_pools()
    lab.datastore.wait_followed(len(lab.nodes))


def datastore(node):
    return node.weft("status")["datastore"]


def wait_in_step(lab, seconds=60):
    """Until every agent follows all of its collections."""
    def behind():
        return [f"{n.name}: {c['name']}: {c['trouble']}" for n in lab.nodes.values() for c in datastore(n)["collections"]
                if not c["following"] and not c["missing"]]
    wait_until(lambda: not behind() or fail(behind()), seconds, "all agents to follow the API server", 0.2)


def fail(text):
    raise LabError(str(text))


class Quiet:
    """`with Quiet(node) as quiet:` ... quiet.check("what"): nothing was written to the kernel's tables meanwhile. Routes,
    addresses, links and nftables tell of each change; IPVS tells of none and is compared."""

    def __init__(self, node):
        self.node = node
        self.monitors = []

    def __enter__(self):
        self.ipvs = self.node.ns.run("ipvsadm -S -n")
        for argv in (["ip", "monitor", "route", "address", "link"], ["nft", "monitor"]):
            self.monitors.append(self.node.ns.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        wait_until(self._subscribed, 30, "both monitors to tell of a change", 0)
        return self

    def _subscribed(self):
        """Both tell of these changes; a monitor that has not subscribed yet hears of none."""
        self.node.ns.run("ip route add blackhole 203.0.113.77/32")
        self.node.ns.run("nft add table inet quiet")
        self.node.ns.run("ip route del blackhole 203.0.113.77/32")
        self.node.ns.run("nft delete table inet quiet")
        return all(select.select([monitor.stdout], [], [], 0.5)[0] for monitor in self.monitors)

    def __exit__(self, kind, *_):
        self.lines = []
        for monitor in self.monitors:
            monitor.terminate()
            self.lines += [line.strip() for line in monitor.communicate()[0].splitlines()]
        self.lines = [line for line in self.lines if line and "203.0.113.77" not in line and "quiet" not in line
                      and "new generation" not in line]

    def check(self, what):
        equal(self.lines, [], f"changes of {self.node.name}'s kernel tables during {what}")
        equal(self.node.ns.run("ipvsadm -S -n"), self.ipvs, f"IPVS of {self.node.name} after {what}")


@contextlib.contextmanager
def stopped(lab):
    """The API server is away, and every agent knows."""
    lab.datastore.api("stop abruptly")
    try:
        wait_until(lambda: all(datastore(node)["error"] for node in lab.nodes.values() if node.weftd.running), 60,
                   "all agents to miss the API server")
        yield
    finally:
        lab.datastore.api("start")
    wait_in_step(lab)


def test_api_server_killed_and_restarted_under_load(lab):
    """Not a packet is lost, not a request fails; pods start and stop meanwhile."""
    stage, api = lab.stage, lab.datastore.api
    web = lab.service("web", stage.backends, target=8080, type="LoadBalancer")
    wait_routed(lab, web.lb(4), web.lb(6))
    for node in lab.nodes.values():
        wait_chosen(node, web, stage.backends)
    before = {name: snapshot(node.ns, sysctls=False) for name, node in lab.nodes.items()}
    with LossProbe(stage.asker, stage.far) as probe, Hammer([stage.asker, stage.lonely], web.vip(4), 80) as inside, \
            Hammer([stage.client], web.lb(6), 80) as outside:
        probe.wait_flowing()
        with stopped(lab):
            pod = stage.empty_node.pod("meanwhile")
            pod.ns.reaches(stage.far.ip4)
            check(ask(pod, web.vip(4), 80).outcome == "answered", "a new pod gets no answer of a VIP")
            pod.delete()
        api("restart with new history")
        wait_in_step(lab)
        for hammer in (inside, outside):
            hammer.wait_answered(20)
    probe.result.none_lost("an API server that goes and comes")
    inside.result.none_failed("an API server that goes and comes, ClusterIP")
    outside.result.none_failed("an API server that goes and comes, LB IP")
    for name, node in lab.nodes.items():
        before[name].same(snapshot(node.ns, sysctls=False), f"kernel state of {name}")


def test_storms_of_410_write_nothing(lab):
    stage, api, node = lab.stage, lab.datastore.api, lab.stage.node
    web = lab.service("storm", stage.backends, target=8080)
    for each in lab.nodes.values():
        wait_chosen(each, web, stage.backends)
    wait_in_step(lab)

    def expired():
        return min(c["expired"] for c in datastore(node)["collections"] if c["name"] in ("nodes", "services", "ipblocks"))
    with Quiet(node) as quiet, Quiet(stage.empty_node) as other:
        for number in range(5):
            seen = expired()
            lab.datastore.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"storm{number}"}})
            api("expire resourceVersions")
            api("end watches")
            wait_until(lambda: expired() > seen, 60, "a 410 for every collection")
            wait_in_step(lab)
    quiet.check("storms of 410")
    other.check("storms of 410")
    check(not lab.datastore.refused(), f"refused requests: {lab.datastore.refused()[:5]}")


def test_an_agent_starts_without_the_api_server(lab):
    """As after a reboot: nothing of weft in the kernel. Routes, sessions, VIPs and pods come from the last known state."""
    stage, node = lab.stage, lab.stage.empty_node
    web = lab.service("boot", stage.backends, target=8080)
    wait_chosen(node, web, stage.backends)
    with stopped(lab):
        node.weftd.kill()
        node.birdd.hold()
        node.ns.run("nft delete table inet weft")
        node.ns.run("ipvsadm -C")
        for family in (4, 6):
            node.ns.run(f"ip -{family} route flush proto 119", check=False)
            node.ns.run(f"ip -{family} route flush table 179", check=False)
            node.ns.run(f"ip -{family} route flush proto bird", check=False)
        for link in ("weft.ipip", "weft.sit"):
            node.ns.run(f"ip link delete {link}", check=False)
        node.weftd.start()
        node.birdd.start()
        wait_until(lambda: datastore(node)["synced"], 30, "the last known state")
        state = datastore(node)
        check(state["stale"] and state["error"], f"status hides that the API server is away: {state}")
        told = " ".join(p["text"] for p in node.weft("status")["problems"])
        check("last in step" in told, f"problems of a stale agent: {told}")
        check("behind" in node.weftctl("status", check=False), "weftctl status does not show the age")
        wait_chosen(node, web, stage.backends)
        pod = node.pod("early")
        for family in lab.families:
            wait_until(lambda: pod.ns.ping(stage.far.ip(family), 1), 60, "the new pod to reach another rack")
            equal(ask(pod, web.vip(family), 80).outcome, "answered", "a VIP without the API server")
        pod.delete()
    check(not datastore(node)["stale"], "still stale with the API server back")


def test_only_the_own_node_is_followed(lab):
    """datastore.nodes own: the agent hears of no other Node, and the fabric carries their blocks."""
    stage, node = lab.stage, lab.stage.empty_node
    node.write_config(datastore={**lab.datastore.config(), "nodes": "own"})
    node.restart_weftd()
    try:
        wait_until(lambda: datastore(node)["synced"], 30, "the listing")
        equal([n["name"] for n in node.weft("nodes")], [node.name], "Nodes that the agent knows")
        pod = node.pod("alone")
        for family in lab.families:
            wait_until(lambda: pod.ns.ping(stage.far.ip(family), 1), 60, "the pod to reach another rack")
        pod.delete()
        told = [p["text"] for p in node.weft("status")["problems"]]
        check(any("datastore.nodes is own" in text for text in told), f"pools that ask for tunnels are not reported: {told}")
        check(not any("node unknown" in text for text in told), f"other nodes are missed: {told}")
    finally:
        node.write_config()
        node.restart_weftd()
    wait_until(lambda: len(node.weft("nodes")) == len(lab.nodes), 30, "all Nodes again")
    # The log has requests that have ended.
    asked = {line["target"] for line in lab.datastore.api.requests() if "/nodes?" in line["target"]}
    check(any(f"fieldSelector=metadata.name%3D{node.name}&" in target for target in asked), f"asked for: {asked}")


def test_what_went_meanwhile_is_noticed(lab):
    """Deleted and changed while no agent could see it: afterwards it is gone, and nothing else."""
    stage, node = lab.stage, lab.stage.node
    web = lab.service("going", [stage.near], target=8080)
    stay = lab.service("staying", [stage.near], target=8080)
    for each in (web, stay):
        wait_chosen(node, each, [stage.near])
    with stopped(lab):
        web.delete()
        stay.back(stage.far)
    wait_until(lambda: web.key(4) not in node.ipvs() and web.key(6) not in node.ipvs(), 30, "the Service to go")
    wait_chosen(node, stay, [stage.far])


def test_tokens_rotate(lab):
    """The old token ends; what comes after is followed all the same."""
    stage, api, node = lab.stage, lab.datastore.api, lab.stage.node
    groups = "system:serviceaccounts,system:serviceaccounts:kube-system,system:authenticated"
    try:
        api(f"add token second of {USER} groups {groups}")
        lab.datastore.rotate("second")
        api(f"revoke token {TOKEN}")
        api("end watches")
        web = lab.service("rotated", [stage.near], target=8080)
        wait_chosen(node, web, [stage.near])
    finally:
        api(f"add token {TOKEN} of {USER} groups {groups}")
        lab.datastore.rotate(TOKEN)
    wait_in_step(lab)


def leaders(lab):
    return [node.name for node in lab.nodes.values()
            if node.weftd.running and node.weft("status")["controller"]["leading"]]


def wait_leader(lab, seconds, other_than=None):
    """Until one leads; at no look two of them."""
    def one():
        found = leaders(lab)
        check(len(found) < 2, f"two leaders: {found}")
        return found[0] if found and found[0] != other_than else fail(f"leaders: {found}")
    return wait_until(one, seconds, "a leader", 0.1)


def test_the_lease_is_taken_over_and_never_shared(lab):
    first = wait_leader(lab, 30)
    lease = lab.datastore.get("Lease", "weft-controller", "kube-system")
    check(lease["spec"]["holderIdentity"].startswith(first + "_"), f"the holder of {lease}")
    started = time.monotonic()
    lab[first].weftd.kill()
    second = wait_leader(lab, 40, first)
    check(time.monotonic() - started > 5, "a lease was taken before its time")
    lab[first].weftd.start()
    web = lab.service("reign", [lab.stage.near], target=8080, type="LoadBalancer", lb_status=False)
    wait_until(lambda: "198.51.100." in lab.datastore.status_text("reign"), 20, "the new leader to give an IP")
    status = lab.datastore.get("Service", "reign")["status"]
    condition = next(c for c in status["conditions"] if c["type"] == "weft.dev/LoadBalancer")
    check(condition["status"] == "True" and condition["lastTransitionTime"], f"the condition {condition}")
    # One that ends gives it back; one that hangs loses it, and knows when it wakes up.
    lab[first].wait_answering()
    started = time.monotonic()
    lab[second].weftd.stop()
    third = wait_leader(lab, 30, second)
    check(time.monotonic() - started < 10, f"a lease that was given back took {time.monotonic() - started:.1f} s")
    lab[second].weftd.start()
    lab[second].wait_answering()
    lab[third].weftd.signal(signal.SIGSTOP)
    others = {name: node for name, node in lab.nodes.items() if name != third}
    try:
        wait_until(lambda: any(node.weft("status")["controller"]["leading"] for node in others.values()), 40,
                   "another to lead while the leader hangs")
    finally:
        lab[third].weftd.signal(signal.SIGCONT)
    wait_until(lambda: len(leaders(lab)) == 1 and leaders(lab) != [third], 10, "the one that hung to step down")
    web.delete()


def test_refused_services_are_told_by_events(lab):
    """A condition in the status, and one Event however often it is looked at."""
    stage = lab.stage
    odd = lab.service("odd", [stage.near], target=8080, annotations={"weft.dev/scheduler": "nonsense"})

    def served():
        status = (lab.datastore.get("Service", "odd") or {}).get("status", {})
        return [c for c in status.get("conditions", []) if c["type"] == "weft.dev/Served"]

    def events():
        return [e for e in lab.datastore.list("Event") if e["involvedObject"]["name"] == "odd"]
    wait_until(lambda: served() and served()[0]["status"] == "False", 30, "the condition weft.dev/Served")
    wait_until(events, 30, "an Event")
    odd.back(stage.near, stage.far)
    odd.back(stage.near)
    wait_chosen(stage.node, odd, [stage.near])
    made = events()
    equal(len(made), 1, f"Events about one problem: {[(e['reason'], e.get('count')) for e in made]}")
    equal(made[0]["involvedObject"]["uid"], lab.datastore.get("Service", "odd")["metadata"]["uid"], "the Event's uid")
    equal(made[0]["type"], "Warning", "the Event's type")
    odd.delete()


def test_conditions_of_nodes(lab):
    """NetworkUnavailable: False where pods can work, put right when somebody changes it."""
    store = lab.datastore
    for name in lab.nodes:
        wait_until(lambda: store.condition(name).get("status") == "False", 30, f"the condition of {name}")
        equal(store.condition(name)["reason"], "WeftIsReady", "its reason")
    made = store.get("Node", "r1n1")
    for condition in made["status"]["conditions"]:
        if condition["type"] == "NetworkUnavailable":
            condition.update(status="True", reason="NoRouteCreated")
    store.api.replace(made)
    wait_until(lambda: store.condition("r1n1").get("status") == "False", 30, "the condition to be put right")


def test_all_nodes_learn_of_a_drain_by_command(lab):
    """By the Node's condition, before routers hear of it; the node itself does not take it for a reason."""
    store, node, other = lab.datastore, lab.stage.node, lab.stage.far_node

    def drained():
        return store.condition(node.name, "weft.dev/Draining").get("status") == "True"

    def handed():
        return "jump handed" in other.ns.run("nft list chain inet weft services_in")

    check(not drained(), "the condition is there before the drain")
    node.weftctl("drain", "--wait", "2")
    check(drained() and handed(), f"drained, but the condition is {drained()}, and {other.name} hands over: {handed()}")
    equal(store.condition(node.name, "weft.dev/Draining")["message"], "weftctl drain", "the condition's message")
    node.restart_weftd(kill=True)
    node.wait_answering()
    equal(node.weft("draining")["reasons"], ["weftctl drain"], "reasons after a restart")
    equal(node.weftctl("undrain").strip(), "nothing is drained", "answer of undrain")
    check(not drained(), "the condition outlives the drain")
    wait_no_handover(lab)


def test_nothing_was_forbidden(lab):
    """All that the tests before made the agents ask for is in deploy/kubernetes/base/rbac.yaml."""
    equal(lab.datastore.refused(), [], "requests that RBAC refused")


def test_cleanup_says_that_the_network_is_gone(lab):
    """The last test here: a node without weft, and with it again."""
    node = lab.stage.empty_node
    lab.kept.remove(lab.stage.lonely)
    lab.stage.lonely.delete()
    node.stop()
    node.cleanup()
    condition = lab.datastore.condition(node.name)
    equal((condition["status"], condition["reason"]), ("True", "WeftIsGone"), "the condition after cleanup")
    node.start()
    wait_until(lambda: lab.datastore.condition(node.name).get("status") == "False", 60, "the condition after a start")
    lab.wait_ready()
