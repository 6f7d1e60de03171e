# SPDX-License-Identifier: GPL-2.0-or-later
"""weft-cni alone: no daemon, one node's namespace, pods beside it. Blocks are made by the allocator's test driver."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading

from kill_everywhere import kill_everywhere
from weftlab import CniError, equal, parallel
from weftlab.cni import Cni
from weftlab.ns import Netns

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
WEFT_CNI = os.path.join(BUILD, "weft-cni")
DRIVER = os.path.join(BUILD, "drivers", "ipam_driver")
PLUGINS = os.environ.get("CNI_PLUGINS", "/usr/lib/cni")
# Calls that change what a killed process leaves behind. Death at any other call is death at the next of these, so
# they are enough; LAB_KILL_ALL=1 takes all calls, ten times as many.
CHANGING = ["execve", "sendto", "pwrite64", "write", "openat", "mkdir", "flock", "exit_group"]
VERSIONS = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]


class Bed:
    """A node's namespace, its address state and a conflist; pods by number."""

    count = 0

    def __init__(self, blocks=("10.244.1.0/26", "fd00:244::40/122"), families=("4", "6"), **keys):
        Bed.count += 1
        self.name = f"cni{os.getpid()}-{Bed.count}"
        self.dir = tempfile.mkdtemp(prefix="weft-cni.")
        self.host = Netns(self.name)
        self.pods = {}
        for address in ("10.1.1.1/32", "fd01::1/128"):
            self.host.run(f"ip addr add {address} dev lo")
        self.host.sysctl("ipv4/ip_forward", "1")
        self.host.sysctl("ipv6/conf/all/forwarding", "1")
        for block in blocks:
            self.add_block(block)
        self.conflist = os.path.join(self.dir, "10-weft.conflist")
        self.conf = {"type": "weft-cni", "stateDir": self.dir, "socket": os.path.join(self.dir, "sock"), "mtu": 1480,
                     "families": list(families), **keys}
        with open(self.conflist, "w", encoding="utf-8") as file:
            json.dump({"cniVersion": "1.0.0", "name": "weft", "plugins": [
                self.conf, {"type": "portmap", "capabilities": {"portMappings": True}},
                {"type": "bandwidth", "capabilities": {"bandwidth": True}}]}, file)
        self.cni = Cni(self.host, self.conflist, [BUILD, PLUGINS])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pod in self.pods.values():
            pod.delete()
        self.host.delete()
        shutil.rmtree(self.dir)

    def drive(self, *args):
        return subprocess.run([DRIVER, os.path.join(self.dir, "ipam"), *args], check=True, capture_output=True,
                              text=True).stdout

    def add_block(self, cidr):
        self.drive("add", cidr, "default")

    def pod(self, number=0):
        if number not in self.pods:
            self.pods[number] = Netns(f"{self.name}-p{number}")
        return self.pods[number]

    def env(self, number=0, **more):
        return {"CNI_CONTAINERID": f"pod{number}", "CNI_IFNAME": "eth0", "CNI_NETNS": self.pod(number).path, **more}

    def call(self, command, number=0, version="1.1.0", env=None, **keys):
        config = {"cniVersion": version, "name": "weft", **self.conf, **keys}
        return self.cni.call("weft-cni", command, config, self.env(number) if env is None else env)

    def fails(self, code, command, number=0, says="", **options):
        try:
            self.call(command, number, **options)
        except CniError as error:
            equal(error.code, code, f"code of {command}: {error}")
            assert says in error.details, f"{command} does not say {says!r}: {error}"
            return
        raise AssertionError(f"{command} should fail with code {code}")

    def used(self):
        """Addresses in use: {address: container}."""
        return {line.split()[0]: line.split()[2] for line in self.drive("list").splitlines()}

    def devices(self):
        return [link["ifname"] for link in self.host.ip("link show") if link["ifname"].startswith("weft")]

    def nothing_left(self):
        equal(self.used(), {}, "addresses in use")
        equal(self.devices(), [], "devices of weft")
        for family in ("-4", "-6"):
            equal(self.host.ip(f"{family} route show proto 119"), [], f"routes of weft {family}")


def address(result, index=0):
    return result["ips"][index]["address"].split("/")[0]


def test_every_version():
    with Bed() as bed:
        equal(bed.call("VERSION", env={})["supportedVersions"], VERSIONS, "versions")
        for version in VERSIONS:
            result = bed.call("ADD", version=version)
            equal(result["cniVersion"], version, "version of the result")
            equal([ip.get("version") for ip in result["ips"]], ["4", "6"] if version < "1" else [None, None], "families")
            if version >= "0.4.0":
                bed.call("CHECK", version=version, prevResult=result)
            else:
                bed.fails(1, "CHECK", version=version, prevResult=result)
            if version >= "1.1.0":
                bed.call("STATUS", version=version, env={})
                bed.call("GC", version=version, env={}, **{"cni.dev/valid-attachments": [
                    {"containerID": "pod0", "ifname": "eth0"}]})
                bed.call("CHECK", version=version, prevResult=result)
            else:
                bed.fails(1, "GC", version=version, env={}, **{"cni.dev/valid-attachments": []})
            bed.call("DEL", version=version, prevResult=result)
            bed.nothing_left()


def test_pod_is_reachable_without_neighbour_discovery():
    with Bed() as bed:
        result = bed.call("ADD")
        for index, host in ((0, "10.1.1.1"), (1, "fd01::1")):
            bed.host.reaches(address(result, index))
            bed.pod().reaches(host)
        for ns in (bed.host, bed.pod()):
            states = {state for entry in ns.ip("neigh show") for state in entry["state"]}
            equal(states, {"PERMANENT"}, f"neighbour states in {ns.name}")
        device = result["interfaces"][0]["name"]
        link = next(link for link in bed.host.ip(f"addr show dev {device}"))
        equal(link["addr_info"], [], "addresses of the host's device")
        equal((link["mtu"], link["address"]), (1480, "02:77:65:66:74:01"), "MTU and MAC of the host's device")
        equal(bed.host.sysctl(f"ipv6/conf/{device}/accept_ra"), "0", "accept_ra of the host's device")
        equal(bed.host.sysctl(f"ipv4/conf/{device}/rp_filter"), "1", "rp_filter of the host's device")


def test_pod_reaches_pod():
    with Bed() as bed:
        results = [bed.call("ADD", number) for number in (0, 1)]
        for index in (0, 1):
            bed.pod(0).reaches(address(results[1], index))


def test_forged_ipv4_source_is_dropped():
    with Bed() as bed:
        bed.call("ADD")
        bed.pod().run("ip addr add 10.99.0.1/32 dev lo")
        bed.host.run("ip route add 10.99.0.1/32 via 10.1.1.1 dev lo onlink", check=False)
        with bed.host:
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind(("10.1.1.1", 7000))
            server.settimeout(1)
        with bed.pod():
            for source in ("10.99.0.1", "0.0.0.0"):
                client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                client.bind((source, 0))
                client.sendto(source.encode(), ("10.1.1.1", 7000))
                client.close()
        equal(server.recv(100), b"0.0.0.0", "first datagram that arrives")
        server.close()


def test_ipv6_only_where_ipv6_is_off_by_default():
    with Bed(blocks=["fd00:244::40/122"], families=["6"]) as bed:
        for ns in (bed.host, bed.pod()):
            ns.sysctl("ipv6/conf/default/disable_ipv6", "1")
        bed.host.sysctl("ipv6/conf/default/accept_ra", "2")
        result = bed.call("ADD")
        equal(len(result["ips"]), 1, "addresses")
        bed.pod().reaches("fd01::1")
        equal(bed.host.sysctl(f"ipv6/conf/{result['interfaces'][0]['name']}/accept_ra"), "0", "accept_ra")
        bed.call("CHECK", prevResult=result)
        bed.call("DEL")
        bed.nothing_left()


def test_wanted_address():
    with Bed() as bed:
        result = bed.call("ADD", runtimeConfig={"ips": ["10.244.1.33/24"]})
        equal(address(result), "10.244.1.33", "address asked for by capability")
        bed.fails(11, "ADD", 1, runtimeConfig={"ips": ["10.244.1.33"]})
        equal(address(bed.call("ADD", 2, env=bed.env(2, CNI_ARGS="IgnoreUnknown=1;IP=10.244.1.40"))), "10.244.1.40",
              "address asked for by CNI_ARGS")
        bed.fails(101, "ADD", 3, runtimeConfig={"ips": ["10.99.0.1"]})


def test_check_finds_each_difference():
    with Bed() as bed:
        def broken(what, command, ns):
            result = bed.call("ADD")
            ns.run(command.format(device=result["interfaces"][0]["name"], ip4=address(result)))
            bed.fails(102, "CHECK", says=what, prevResult=result)
            bed.call("DEL")

        broken("missing", "ip link del {device}", bed.host)
        broken("down", "ip link set {device} down", bed.host)
        broken("the route", "ip route del {ip4} dev {device}", bed.host)
        broken("the address", "ip addr del {ip4}/32 dev eth0", bed.pod())
        broken("default route", "ip route del default", bed.pod())
        broken("missing in the pod", "sh -c 'ip link set eth0 down && ip link set eth0 name eth9'", bed.pod())
        result = bed.call("ADD")
        bed.drive("release", "pod0", "eth0")
        bed.fails(102, "CHECK", says="reserved", prevResult=result)
        bed.call("DEL")
        bed.nothing_left()


def test_del_works_without_the_namespace():
    with Bed() as bed:
        bed.call("ADD")
        bed.pods.pop(0).delete()
        bed.call("DEL", env={"CNI_CONTAINERID": "pod0", "CNI_IFNAME": "eth0", "CNI_NETNS": "/run/netns/gone"})
        bed.call("DEL", env={"CNI_CONTAINERID": "pod0", "CNI_IFNAME": "eth0"})
        bed.call("DEL", env={"CNI_CONTAINERID": "never", "CNI_IFNAME": "eth0", "CNI_NETNS": ""})
        bed.nothing_left()


def test_foreign_interfaces_stay():
    with Bed() as bed:
        name = bed.call("ADD")["interfaces"][0]["name"]
        bed.call("DEL")
        bed.pod().run("ip link add eth0 type veth peer name other")
        bed.fails(100, "ADD", says="already has an interface named eth0")
        equal(len(bed.pod().ip("link show dev eth0")), 1, "the pod's own interface")
        bed.nothing_left()
        bed.pod().run("ip link del eth0")
        bed.host.run(f"ip link add {name} type veth peer name other")
        bed.host.run(f"ip link set {name} alias somebody")
        bed.fails(100, "ADD", says="left alone")
        bed.fails(100, "DEL", says="left alone")
        equal(bed.devices(), [name], "the foreign device")


def test_gc_removes_what_is_not_listed_and_nothing_else():
    with Bed() as bed:
        results = [bed.call("ADD", number) for number in range(4)]
        bed.host.run("ip link add weftmine type veth peer name weft.x")
        # A killed ADD: reserved, device without an alias.
        half = results[3]["interfaces"][0]["name"]
        bed.host.run(f"ip link set {half} alias ''")
        bed.call("GC", env={}, **{"cni.dev/valid-attachments": [{"containerID": "pod1", "ifname": "eth0"}]})
        equal(set(bed.used().values()), {"pod1"}, "owners after GC")
        equal(set(bed.devices()), {results[1]["interfaces"][0]["name"], "weftmine", "weft.x"}, "devices after GC")
        bed.call("CHECK", 1, prevResult=results[1])
        # Another network on the same state keeps its pods.
        config = {"cniVersion": "1.1.0", "name": "second", **bed.conf, "cni.dev/valid-attachments": []}
        bed.cni.call("weft-cni", "GC", config, {})
        bed.call("CHECK", 1, prevResult=results[1])


def serve(path, answer):
    """A stand-in for weftd's socket: one request, one answer. Returns the list that gets the request."""
    requests, listener = [], socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(1)

    def run():
        client, _ = listener.accept()
        requests.append(json.loads(client.makefile().readline()))
        client.sendall((json.dumps(answer()) + "\n").encode())
        client.close()
        listener.close()
        os.unlink(path)

    threading.Thread(target=run, daemon=True).start()
    return requests


def test_block_is_claimed_when_none_has_room():
    with Bed(blocks=["10.244.1.0/26"], families=["4", "6"]) as bed:
        bed.fails(11, "ADD", says="start weftd")
        bed.fails(51, "STATUS", env={})
        bed.nothing_left()

        def claim():
            bed.add_block("fd00:244::40/122")
            return {"ok": True, "result": {}}

        requests = serve(bed.conf["socket"], claim)
        bed.call("ADD")
        equal(requests, [{"cmd": "claim", "family": 6}], "request to weftd")
        bed.call("STATUS", env={})


def test_exhaustion_is_told_in_weftds_words():
    with Bed(blocks=[], families=["4"]) as bed:
        answer = {"ok": False, "error": "pool default is exhausted", "code": 28}
        serve(bed.conf["socket"], lambda: answer)
        bed.fails(11, "ADD", says="pool default is exhausted")
        serve(bed.conf["socket"], lambda: answer)
        bed.fails(50, "STATUS", says="pool default is exhausted", env={})
        bed.nothing_left()


def test_hostile_input():
    with Bed() as bed:
        for variable, values in {"CNI_CONTAINERID": ["", "../x", "a b", "a\nb", "x" * 4096], "CNI_IFNAME":
                                 ["", "..", "a/b", "eth%d", "sixteen-letters-"], "CNI_NETNS": ["", "relative", bed.host.path,
                                 "/etc/passwd", "/dev/null"], "CNI_ARGS": ["x", "IP=y"]}.items():
            for value in values:
                bed.fails(4, "ADD", env=bed.env(**{variable: value}))
        bed.fails(3, "ADD", env=bed.env(CNI_NETNS="/run/netns/no-such-namespace"))
        fifo = os.path.join(bed.dir, "fifo")
        os.mkfifo(fifo)
        bed.fails(4, "ADD", env=bed.env(CNI_NETNS=fifo))
        for text in (b"", b"{", b"[1]", b"\xff" * 100, b"{" * 100000, b" " * (1 << 20) + b"{}"):
            done = subprocess.run([WEFT_CNI], input=text, capture_output=True, check=False,
                                  env={"CNI_COMMAND": "ADD", **bed.env()})
            equal((done.returncode, json.loads(done.stdout)["code"]), (1, 6), f"status and code for {text[:10]!r}")
        done = subprocess.run([WEFT_CNI], input=b"", capture_output=True, check=False, env={})
        assert done.returncode != 0 and not done.stdout and b"CNI_COMMAND" in done.stderr, done
        bed.nothing_left()


def test_chain_with_portmap_and_bandwidth():
    with Bed() as bed:
        runtime = {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}],
                   "bandwidth": {"ingressRate": 8000000, "ingressBurst": 800000, "egressRate": 8000000,
                                 "egressBurst": 800000}}
        env = bed.env()
        result = bed.cni.chain("ADD", env, runtime=runtime)
        assert "8080" in bed.host.run("iptables-save -t nat"), "no rule for the mapped port"
        device = result["interfaces"][0]["name"]
        assert "tbf" in bed.host.run(f"tc qdisc show dev {device}"), "no rate limit"
        # Not portmap: version 1.1.1 looks for IPv4 rules in ip6tables too, and fails behind any plugin.
        bed.cni.chain("CHECK", env, result=result, runtime=runtime, only=["weft-cni", "bandwidth"])
        bed.cni.chain("DEL", env, result=result, runtime=runtime)
        bed.nothing_left()


def test_a_thousand_pods_in_parallel():
    with Bed(blocks=[f"10.244.{i}.0/24" for i in range(5)], families=["4"]) as bed:
        env = {"PATH": os.environ["PATH"]}
        config = json.dumps({"cniVersion": "1.0.0", "name": "weft", **bed.conf})
        pods = [bed.pod(i) for i in range(8)]
        seen = {}

        def run(command, number):
            # Eight namespaces serve all; each attachment has an interface name of its own.
            with bed.host:
                done = subprocess.run([WEFT_CNI], input=config, capture_output=True, text=True, check=False, env={
                    **env, "CNI_COMMAND": command, "CNI_CONTAINERID": f"c{number}", "CNI_IFNAME": f"e{number}",
                    "CNI_NETNS": pods[number % 8].path})
            assert done.returncode == 0, done.stdout
            return done.stdout

        def add(number):
            return address(json.loads(run("ADD", number)))

        for start in range(0, 1000, 200):
            batch = range(start, start + 200)
            addresses = parallel(add, batch)
            equal(len(set(addresses)), 200, "different addresses in a batch")
            assert not set(addresses) & set(seen), "an address came back while it should rest"
            seen.update(zip(addresses, batch))
            equal(len(bed.used()), 200, "addresses in use")
            parallel(lambda number: run("DEL", number), batch)
            bed.nothing_left()


def test_two_attachments_of_one_pod():
    with Bed() as bed:
        first = bed.call("ADD")
        env = bed.env(CNI_IFNAME="net1")
        second = bed.call("ADD", env=env)
        for result in (first, second):
            for index in (0, 1):
                bed.host.reaches(address(result, index))
        for family, source in (("-4", address(first)), ("-6", address(first, 1))):
            route = bed.pod().ip(f"{family} route get {'10.1.1.1' if family == '-4' else 'fd01::1'}")[0]
            equal((route["dev"], route["prefsrc"]), ("eth0", source), "way out of the pod")
        bed.call("CHECK", prevResult=first)
        bed.call("CHECK", env=env, prevResult=second)
        bed.call("DEL")
        bed.pod().reaches("10.1.1.1")
        bed.pod().reaches("fd01::1")
        bed.call("DEL", env=env)
        bed.nothing_left()


def test_killed_anywhere():
    """ADD and DEL, killed wherever it makes a difference: DEL leaves nothing, and ADD again works."""
    with Bed(blocks=["10.244.1.0/24", "fd00:244::/120"]) as bed:
        pod = bed.pod()
        stdin = os.path.join(bed.dir, "stdin")
        with open(stdin, "w", encoding="utf-8") as file:
            json.dump({"cniVersion": "1.1.0", "name": "weft", **bed.conf}, file)
        command = ["nsenter", f"--net={bed.host.path}", WEFT_CNI]
        devices = [link["ifname"] for link in pod.ip("link show")]  # lo, and what loaded tunnel modules put everywhere

        def check(_):
            try:
                again = bed.call("ADD")
                bed.call("CHECK", prevResult=again)
                bed.call("DEL")
                bed.nothing_left()
                equal([link["ifname"] for link in pod.ip("link show")], devices, "devices in the pod")
            except AssertionError as error:
                return str(error)
            return None

        def check_del(_):
            try:
                bed.call("DEL")
                bed.nothing_left()
            except AssertionError as error:
                return str(error)
            return None

        def fresh(_):
            # Addresses rest for a minute after use; a new folder has them all.
            shutil.rmtree(os.path.join(bed.dir, "ipam"))
            bed.add_block("10.244.1.0/24")
            bed.add_block("fd00:244::/120")

        def attached(point):
            fresh(point)
            bed.call("ADD")

        for verb, setup, judge in (("ADD", fresh, check), ("ADD", fresh, check_del), ("DEL", attached, check_del)):
            result = kill_everywhere(command, judge, setup=setup, stdin=stdin, name=verb,
                                     only=None if os.environ.get("LAB_KILL_ALL") else CHANGING, env={**os.environ, **bed.env(), "CNI_COMMAND": verb})
            print(result.summary())
            assert not result.failures, f"{result.summary()}; first: {result.failures[0]}"
