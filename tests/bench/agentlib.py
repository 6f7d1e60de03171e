# SPDX-License-Identifier: GPL-2.0-or-later
"""A node with a whole weftd, for tests/bench/bench_agent: namespace, datastore, daemons, and what the kernel was told."""

from __future__ import annotations

import atexit
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import threading
import time

from benchlib import BUILD, TOP

from weftlab import LabError, Netns, wait_until

RUN = "/run/bench"
PROTOCOL = 119  # weft's routes
RIVAL_PROTOCOL = 118
ON_LINK = 40  # nodes in this node's rack
SELF = "n0"
SYNCED = "the datastore has been read"
POOL = ipaddress.ip_network("10.128.0.0/9")
_open: list["Machine"] = []


def node_address(i: int) -> str:
    """Of node i: this node is 0; its rack is 10.1.0.0/24, the other racks are beyond the gateway."""
    return f"10.1.0.{i + 1}" if i <= ON_LINK else str(ipaddress.ip_address("10.2.0.0") + i)


def node(i: int) -> str:
    return (f"apiVersion: v1\nkind: Node\nmetadata:\n  name: n{i}\n  labels:\n    kubernetes.io/hostname: n{i}\n"
            f"    rack: rack{(i - 1) // ON_LINK}\n  annotations:\n    weft.dev/as-number: \"65101\"\n"
            f"status:\n  addresses:\n  - type: InternalIP\n    address: {node_address(i)}\n"
            f"  - type: Hostname\n    address: n{i}\n")


def block(i: int, owner: int) -> tuple[str, str]:
    """Block i of the pool from its far end (weftd claims from the near one): its object's name and its text."""
    cidr = ipaddress.ip_network((int(POOL.broadcast_address) - 63 - 64 * i, 26))
    name = str(cidr).replace("/", "-")
    return name, (f"apiVersion: weft.dev/v1alpha1\nkind: IPBlock\nmetadata:\n  name: {name}\n"
                  f"spec:\n  cidr: {cidr}\n  node: n{owner}\n  pool: pods\n")


CLUSTER = f"""apiVersion: weft.dev/v1alpha1
kind: IPPool
metadata:
  name: pods
spec:
  cidr: {POOL}
  ipip: Fallback
---
apiVersion: weft.dev/v1alpha1
kind: BGPConfig
metadata:
  name: default
spec:
  asNumber: 65101
---
apiVersion: weft.dev/v1alpha1
kind: BGPPeer
metadata:
  name: tor
spec:
  address: 10.1.0.254
  asNumber: 65001
"""


def write(path: str, text: str):
    """The file appears complete, from a place that weftd does not watch."""
    scratch = f"{RUN}/scratch"
    with open(scratch, "w", encoding="ascii") as file:
        file.write(text)
    os.rename(scratch, path)


class Watch:
    """What is written to a namespace's kernel from now on: agent_watch.c."""

    def __init__(self, ns: Netns, protocol: int, routes: int = 0):
        self.process = ns.popen([f"{BUILD}/bench/agent_watch", str(protocol), str(routes)], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
        self._full = threading.Event()
        self._last = ""
        if self.process.stdout.readline() != "watching\n":
            raise LabError("agent_watch does not start")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            if line.startswith("full"):
                self._full.set()
            else:
                self._last = line

    def wait_full(self, timeout: float):
        if not self._full.wait(timeout):
            raise LabError(f"not all routes were there after {timeout:g} s: {self.end()}")

    def end(self) -> dict:
        self.process.stdin.close()
        self.process.wait(20)
        self._reader.join(5)
        result = json.loads(self._last)
        if result["lost"]:
            raise LabError("the kernel's messages overflowed agent_watch")
        return result


class Machine:
    """A namespace as a node: eth0 in its rack. weftd's files live in RUN/FILES and survive the machine."""

    def __init__(self, name: str, files: str | None = None, config: str = ""):
        """config: more lines for weft.yaml."""
        self.ns = Netns(f"bench-{name}")
        self.directory = f"{RUN}/{files or name}"
        self.store = f"{self.directory}/datastore"
        self.weftd = self.bird = None
        _open.append(self)
        self.lines: list[tuple[float, str]] = []
        self.cpu_synced = 0.0
        for folder in ("state", "run", "bird", "cni", "datastore/ipblocks"):
            os.makedirs(f"{self.directory}/{folder}", exist_ok=True)
        self.ns.ip_batch(["link add eth0 type veth peer name far", "link set far up", "link set eth0 up",
                          "addr add 10.1.0.1/24 dev eth0", "route add default via 10.1.0.254"])
        if not os.path.exists(f"{self.store}/cluster.yaml"):
            write(f"{self.store}/cluster.yaml", CLUSTER)
            write(f"{self.store}/self.yaml", node(0))
        with open(f"{self.directory}/weft.yaml", "w", encoding="ascii") as file:
            file.write(f"nodeName: {SELF}\ndatastore: {{kind: directory, path: {self.store}}}\n"
                       f"stateDir: {self.directory}/state\nrunDir: {self.directory}/run\n"
                       f"bird: {{configDir: {self.directory}/bird, socket: {self.directory}/bird.ctl, "
                       f"templates: {TOP}/bird-templates}}\n"
                       f"cni: {{confDir: {self.directory}/cni, binDir: {BUILD}}}\n{config}")

    # The cluster

    def add_nodes(self, count: int, one_file: bool):
        """Nodes 1 to count with a block each: two files of many documents, or two files for each node."""
        blocks = [block(i, i) for i in range(1, count + 1)]
        if one_file:
            write(f"{self.store}/nodes.yaml", "---\n".join(node(i) for i in range(1, count + 1)))
            write(f"{self.store}/blocks.yaml", "---\n".join(text for _, text in blocks))
            return
        for i, (name, text) in enumerate(blocks, 1):
            write(f"{self.store}/node-{i}.yaml", node(i))
            write(f"{self.store}/ipblocks/{name}.yaml", text)

    # Daemons

    def start(self):
        """Starts weftd; its log lines are kept with the time they came."""
        self.lines = []
        self.started = time.monotonic()
        self.weftd = self.ns.popen([f"{BUILD}/weftd", "--config", f"{self.directory}/weft.yaml"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   text=True)
        threading.Thread(target=self._follow, args=(self.weftd,), daemon=True).start()

    def _follow(self, process):
        for line in process.stderr:
            self.lines.append((time.monotonic(), line.rstrip()))
            if SYNCED in line:
                self.cpu_synced = self.cpu()

    def start_bird(self):
        self.bird = self.ns.popen(["/usr/sbin/bird", "-f", "-c", f"{self.directory}/bird/bird.conf",
                                   "-s", f"{self.directory}/bird.ctl"], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: self.ask("status")["bird"]["state"] == "up", 20, "weftd to see BIRD", 0.5)

    @staticmethod
    def _stop(process):
        if process is not None and process.poll() is None:
            process.terminate()
            process.wait(30)

    def stop(self):
        self._stop(self.weftd)

    def close(self):
        _open.remove(self)
        self.stop()
        self._stop(self.bird)
        self.ns.delete()

    def log_time(self, text: str, timeout: float = 120) -> float:
        """When a line with this text came."""
        def look():
            if self.weftd.poll() is not None:
                raise LabError(f"weftd ended: {self.lines[-5:]}")
            return next((at for at, line in self.lines if text in line), None)
        return wait_until(look, timeout, f"weftd to say {text!r} ({self.lines[-3:]})", 0.02)

    def synced(self) -> float:
        return self.log_time(SYNCED)

    def wait_ready(self):
        wait_until(lambda: os.path.exists(f"{self.directory}/cni/10-weft.conflist"), 60, "weftd to be ready", 0.2)

    def ask(self, command: str):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(60)
            client.connect(f"{self.directory}/run/weftd.sock")
            client.sendall(json.dumps({"cmd": command}).encode() + b"\n")
            reply = json.loads(client.makefile("rb").readline())
        if not reply.get("ok"):
            raise LabError(f"{command}: {reply.get('error')}")
        return reply["result"]

    # What is seen from outside

    def routes(self, protocol: int = PROTOCOL) -> list[dict]:
        """Its routes, counted in the kernel and not asked of weftd."""
        return self.ns.ip(f"-4 route show table all proto {protocol}")

    def memory(self) -> dict[str, int]:
        """KiB: VmHWM (peak), VmRSS, RssAnon."""
        with open(f"/proc/{self.weftd.pid}/status", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return {name: int(fields[name].split()[0]) for name in ("VmHWM", "VmRSS", "RssAnon")}

    def wakeups(self) -> int:
        """How often its threads have gone to sleep so far."""
        total = 0
        for task in os.listdir(f"/proc/{self.weftd.pid}/task"):
            with open(f"/proc/{self.weftd.pid}/task/{task}/status", encoding="ascii") as file:
                total += next(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt"))
        return total

    def cpu(self) -> float:
        """Seconds of processor time, of all threads and in the kernel too."""
        total = 0
        for task in os.listdir(f"/proc/{self.weftd.pid}/task"):
            with open(f"/proc/{self.weftd.pid}/task/{task}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        return total / 1e9

    def cpu_of(self, event) -> float:
        """Seconds of processor time for what event() causes: until no more is used for a while."""
        before = now = self.cpu()
        event()
        quiet = 0
        while quiet < 3:
            time.sleep(0.05)
            former, now = now, self.cpu()
            quiet = quiet + 1 if now == former and now > before else 0
        return now - before

    def steps_of(self, event) -> int:
        """Instructions of weftd's main thread for what event() causes: exact, but slow under emulation."""
        with subprocess.Popen([f"{BUILD}/bench/agent_steps", str(self.weftd.pid), "1000"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as steps:
            if steps.stdout.readline() != "stopped\n":
                raise LabError("agent_steps cannot stop weftd")
            event()
            answer, _ = steps.communicate("go\n", 600)
        return int(answer)


def batch_line(route: dict) -> str:
    """`ip route add` of what `ip -json route show` told."""
    kind = route.get("type", "unicast")
    words = ["route add", "" if kind == "unicast" else kind, route["dst"]]
    for key, word in (("gateway", "via"), ("dev", "dev"), ("prefsrc", "src"), ("metric", "metric"), ("table", "table"),
                      ("scope", "scope")):
        if key in route and not (kind != "unicast" and key in ("dev", "scope")):
            words += [word, str(route[key])]
    if "onlink" in route.get("flags", []):
        words.append("onlink")
    return " ".join(word for word in [*words, "proto", str(RIVAL_PROTOCOL)] if word)


@atexit.register
def _close_all():
    for machine in list(_open):
        machine.close()


def fresh():
    shutil.rmtree(RUN, ignore_errors=True)
    os.makedirs(RUN)
