# SPDX-License-Identifier: GPL-2.0-or-later
"""weftctl and BGP: peers, routes of a peer, why something is announced or not, BIRD's own commands."""

import json
import pathlib
import subprocess

from stage import host, wait_not_routed, wait_routed
from weftlab import check, equal, wait_until, weft
from weftlab.node import build_directory

LAB = {"topology": "two-tors", "services": True}
UP, DOWN = "tor1a-r1n1-v4", "tor1b-r1n1-v4"


def ask(node, *arguments):
    """weftctl: exit status and output, both channels."""
    process = node.ns.popen([f"{build_directory()}/weftctl", "--socket", f"{node.directory}/run/weftd.sock", *arguments],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    out, _ = process.communicate(timeout=60)
    return process.returncode, out


def said(node, *arguments, code=0):
    status, out = ask(node, *arguments)
    equal(status, code, f"exit status of weftctl {' '.join(arguments)}, which says:\n{out}\n")
    return out


def decoded(node, *arguments, code=0):
    return json.loads(said(node, *arguments, "-o", "json", code=code))


def explained(node, what, code):
    """The one target's steps, joined by name, and its verdict."""
    target = decoded(node, "bgp", "explain", what, code=code)["targets"][0]
    steps = {}
    for step in target["steps"]:
        steps[step["step"]] = steps.get(step["step"], "") + step["text"] + "\n"
    return steps, target["verdict"], target["why"]


def until_explained(node, what, code, condition, text):
    wait_until(lambda: condition(*explained(node, what, code)), 30, text, 0.2)


def test_peers_and_their_routes(lab):
    node = lab["r1n1"]
    lab.wait_blocks()
    peers = {peer["name"]: peer for peer in decoded(node, "peers")}
    equal(sorted(peers), sorted(f"tor1{t}-r1n1-v{f}" for t in "ab" for f in (4, 6)), "peers of r1n1")
    for peer in peers.values():
        equal(peer["state"], "Established", f"state of {peer['name']}")
        check(peer["sinceSeconds"] < 3600 and peer["families"], f"age and families: {peer}")
    wait_until(lambda: {p["bfd"]["state"] for p in decoded(node, "peers")} == {"Up"}, 20, "BFD sessions in `peers`")
    table = said(node, "peers")
    check("tor1a for r1n1" in table and "Established" in table, f"the table: {table}")

    page = decoded(node, "peers", UP)["peers"][0]
    check("Route refresh" in page["capabilities"], f"capabilities: {page['capabilities']}")
    equal(page["session"]["type"], "external", "type of the session")
    equal(page["timers"]["holdNegotiated"], 9, "negotiated hold time")
    check(any(c["metric"] == 200 and c["type"] == "LoadBalancer IPs" for c in page["announced"]), f"{page['announced']}")
    check("10.244.0.0/16" in " ".join(page["taken"]), f"taken: {page['taken']}")
    check("hold 9 s" in said(node, "peers", UP), "timers on the page")
    check("no BGP peer of this node" in said(node, "peers", "tor9", code=1), "an unknown peer")

    far, own = min(lab["r2n1"].blocks(4)), min(node.blocks(4))
    received = decoded(node, "routes", "--received", UP)
    route = next(r for r in received["routes"] if r["prefix"] == far)
    check(route["asPath"].startswith("65001 65000 65002 65121") and route["nextHop"] == "10.0.1.0", f"received: {route}")
    check(route["state"] in ("best", "accepted"), f"state: {route}")
    equal(received["more"], 0, "routes that are not shown")
    refused = [r for r in received["routes"] if r["state"] == "filtered"]
    check(refused and all(r["reason"] for r in refused), f"no refused route with its reason: {received['routes']}")
    cut = decoded(node, "routes", "--received", UP, "--limit", "1")
    equal(len(cut["routes"]), 1, "routes with --limit 1")
    equal(cut["more"], received["total"] - 1, "routes beyond the limit")
    check(" more: see --limit" in said(node, "routes", "--received", UP, "--limit", "1"), "the limit is told")
    equal([r["prefix"] for r in decoded(node, "routes", "--received", UP, far)["routes"]], [far], "routes in a CIDR")
    sent = decoded(node, "routes", "--advertised", UP)["routes"]
    check([(r["asPath"], r["nextHop"]) for r in sent if r["prefix"] == own] == [("65111", "10.0.1.1")], f"sent: {sent}")
    check(far not in [r["prefix"] for r in sent], "what was heard is not announced")
    check(own in said(node, "routes", "--advertised", UP), "the table of what is announced")


def test_explain(lab):
    node, far_node = lab["r1n1"], lab["r2n1"]
    lab.wait_blocks()
    lab.lb_pools()
    pod = node.pod("web")
    web = lab.service("web", [pod], type="LoadBalancer")
    vip = web.lb(4)
    wait_routed(lab, vip)

    until_explained(node, vip, 0, lambda steps, verdict, why: verdict == "announced" and "to 2 peers" in why,
                    "the VIP to be announced to both ToRs")
    steps, _, _ = explained(node, vip, 0)
    check("Service default/web" in steps["object"] and "metric 200" in steps["kernel"] and "has" in steps["bird"], f"{steps}")
    check(f"{UP}: announced" in steps["peer"] and "path 65111" in steps["peer"], f"{steps}")
    check("announced: to" in said(node, "bgp", "explain", "default/web"), "the page of a Service")

    web.back()
    wait_not_routed(lab, vip)
    until_explained(node, vip, 1, lambda steps, verdict, why: verdict == "not announced" and "no ready endpoint" in why,
                    "the reason: no endpoint")
    web.back(pod)
    wait_routed(lab, vip)

    own, far = min(node.blocks(4)), min(far_node.blocks(4))
    lab["tor1b"].disable("r1n1")
    until_explained(node, own, 1, lambda steps, verdict, why: verdict == "partly announced" and "1 of 2 peers" in why
                    and f"{DOWN}: NOT announced, session is" in steps["peer"], "the session that is down")
    lab["tor1b"].enable("r1n1")
    lab.wait_ready()

    peer = next(p for p in lab._objects() if p["metadata"]["name"] == DOWN)
    lab.datastore.put({**peer, "spec": {**peer["spec"], "export": [{"match": {"prefixes": [host(vip)]}, "action": "Reject"}]}})
    until_explained(node, vip, 0, lambda steps, verdict, why: why == "to 1 peer"
                    and f"{DOWN}: not announced, as it should be: export rule 1" in steps["peer"], "the rule")
    lab.datastore.put(peer)

    steps, verdict, _ = explained(node, far, 0)
    equal(verdict, "learnt", "verdict of another node's block")
    check(f"{UP} offers {far}" in steps["offer"] and f"{DOWN} offers {far}" in steps["offer"], f"{steps}")
    check("of BIRD" in steps["kernel"] and "the fallback" in steps["beside"], f"{steps}")
    node.birdd.hold()
    wait_until(lambda: ask(node, "bgp", "explain", own)[0] == 2, 20, "no BIRD, no answer")
    node.birdd.start()
    lab.wait_ready()


def test_commands_of_bird(lab):
    node = lab["r1n1"]
    lab.wait_ready()
    check("Established" in said(node, "bird", "show", "protocols"), "show protocols")
    check("table 179" in said(node, "bird", "--", "show protocols all adverts4"), "show protocols all")
    check("Access denied" in said(node, "bird", "--", "configure", code=1), "a command that changes something")
    check("syntax error" in said(node, "bird", "--", "nonsense", code=2), "what BIRD does not know")
    name = decoded(node, "peers", UP)["peers"][0]["protocol"]
    said(node, "bird", "--write", "--", "reload", "in", name)
    check("is not passed on" in said(node, "bird", "--write", "--", "down", code=1), "a word that is not passed on")
    check("no file names" in said(node, "bird", "--write", "--", 'configure "/tmp/x"', code=1), "a file")
    lab.wait_ready()


def test_plan_tells_what_would_happen_and_does_nothing(lab):
    node = lab["r1n1"]
    lab.wait_ready()
    folder = pathlib.Path(node.directory) / "new"
    folder.mkdir()
    objects = {f"{o['kind']}-{o['metadata']['name']}": o for o in lab._objects()}
    config = pathlib.Path(node.config()["bird"]["configDir"]) / "bird.conf"
    before, since = config.read_text(), {p["name"]: p["since"] for p in decoded(node, "peers")}

    def planned(*arguments, code=0):
        for old in folder.iterdir():
            old.unlink()
        for name, obj in objects.items():
            (folder / f"{name}.json").write_text(json.dumps(obj))
        return decoded(node, "plan", "--config-dir", str(folder), *arguments, code=code)

    same = planned()
    equal([same["sessions"], same["bird"], same["kernel"]["added"], same["kernel"]["removed"], same["invalid"],
           same["classes"]], [[], [], [], [], [], []], "a plan of what there is")
    equal(same["untouched"], 4, "sessions that stay untouched")
    check(any(kept.startswith("IPBlock (") for kept in same["kept"]), f"kept: {same['kept']}")

    objects[f"BGPPeer-{UP}"]["spec"]["timers"] = {"holdSeconds": 30}
    del objects[f"BGPPeer-{DOWN}"]
    objects["BGPPeer-tor1a-r1n1-v6"]["spec"]["export"] = [{"match": {"prefixes": ["fd00::/16"]}, "action": "Reject"}]
    objects["BGPPeer-new"] = weft("BGPPeer", "new", address="10.0.1.4", asNumber=65001)
    objects["IPPool-other"] = weft("IPPool", "other", cidr="10.99.0.1/16")
    plan = planned(code=1)
    changes = {session["peer"]: session["change"] for session in plan["sessions"]}
    equal(changes, {UP: "restarts", DOWN: "removed", "tor1a-r1n1-v6": "reconfigured", "new": "added"}, "sessions")
    equal(next(s["field"] for s in plan["sessions"] if s["peer"] == UP), "timers", "why it restarts")
    equal(plan["untouched"], 1, "sessions that stay untouched")
    check("-    hold time 9;" in plan["bird"] and "+    hold time 30;" in plan["bird"], f"the difference: {plan['bird']}")
    check("host bits" in plan["invalid"][0]["text"], f"malformed: {plan['invalid']}")
    check(plan["invalid"][0]["where"].startswith(str(folder)), f"malformed: {plan['invalid']}")
    page = said(node, "plan", "--config-dir", str(folder), code=1)
    check("restarts" in page and "+    hold time 30;" in page and "4 change, 1 stay untouched" in page, page)

    del objects["IPPool-other"]
    objects["Node-r2n1"] = {**objects["Node-r2n1"], "status": {"addresses": [{"type": "InternalIP", "address": "10.1.2.99"}]}}
    plan = planned()
    check(any("via 10.1.2.99 dev weft.ipip" in line for line in plan["kernel"]["added"]), f"{plan['kernel']}")
    check(any("via 10.1.2.11 dev weft.ipip" in line for line in plan["kernel"]["removed"]), f"{plan['kernel']}")

    block = min(node.blocks(4))
    objects["BGPAdvertisement-fabric"] = weft("BGPAdvertisement", "fabric", types=["PodBlock"], communities=["65000:77"])
    objects["Node-r2n2"]["metadata"]["annotations"] = {"weft.dev/drain": "true"}
    plan = planned()
    equal(plan["classes"], [{"change": "added", "metric": 1000, "type": "PodBlock", "advertisements": ["fabric"]}],
          "classes that are new")
    check(f"announcement {block} metric 1000: block of pods" in plan["kernel"]["added"], f"{plan['kernel']}")
    check(f"announcement {block} metric 100: block of pods" in plan["kernel"]["removed"], f"{plan['kernel']}")
    check(any(line.startswith("+") and "1000" in line for line in plan["bird"]), f"the new class: {plan['bird']}")
    check("sysctl net/ipv4/vs/sloppy_tcp = 1" in plan["kernel"]["added"], f"{plan['kernel']}")
    check("sysctl net/ipv4/vs/sloppy_tcp = 0" in plan["kernel"]["removed"], f"{plan['kernel']}")
    equal([line for line in plan["kernel"]["added"] if line.startswith("sysctl")],
          ["sysctl net/ipv4/vs/sloppy_tcp = 1"], "kernel settings that would change")
    equal(node.ns.sysctl("ipv4/vs/sloppy_tcp"), "0", "net.ipv4.vs.sloppy_tcp after the plan")
    check(not (pathlib.Path(node.directory) / "state/adverts").exists() or
          "fabric" not in (pathlib.Path(node.directory) / "state/adverts").read_text(), "a number was taken")
    page = said(node, "plan", "--config-dir", str(folder))
    check("classes     1 change" in page and "added     1000  PodBlock  fabric" in page, page)

    check("is no folder" in said(node, "plan", "--config-dir", "/nowhere", code=2), "a folder that is not there")
    equal(config.read_text(), before, "bird.conf")
    equal({p["name"]: p["since"] for p in decoded(node, "peers")}, since, "since when the sessions are up")
    equal([p.name for p in (pathlib.Path(node.directory) / "run").iterdir() if p.name.startswith("plan")], [], "copies left")
