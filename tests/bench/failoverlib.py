# SPDX-License-Identifier: GPL-2.0-or-later
"""One failure while packets flow, for tests/bench/bench_failover: what was lost, and when the detectors spoke.

Two pods in two racks send each other a UDP packet each 10 ms, by IPv4 and IPv6, and one TCP stream runs. Where there are two
ToRs the ports are chosen such that all flows take the ToR that fails, both ways. What the BIRDs at both ends of
the failing session say (`debug { states, events }`) has a time stamp: the time from the failure to it is the detector's.
"""

from __future__ import annotations

import contextlib
import datetime
import re
import time
from dataclasses import dataclass, field

from weftlab import Lab, LabError, LossProbe, TcpStream, wait_until

STEP = 0.01  # seconds between packets
NOTICED = re.compile(r"BFD session down|Link down|Connection closed|Hold timer expired|Received: |No listening|shut ?down", re.I)


@dataclass
class Way:
    """One direction of one family."""
    name: str
    lost: int = 0          # what began to be lost between failure and repair
    seconds: float = 0.0   # how long: from the first lost packet to the next that arrived
    returned: int = 0      # lost after it
    detected: float = 0.0  # seconds from the failure
    beyond: float = 0.0    # seconds from the detector's word to the last packet that was lost
    windows: str = ""


@dataclass
class Outcome:
    ways: list[Way] = field(default_factory=list)
    stall: float = 0.0

    @property
    def worst(self) -> Way:
        return max(self.ways, key=lambda way: (way.beyond, way.lost))

    @property
    def lost(self) -> int:
        return max(way.lost for way in self.ways)

    @property
    def returned(self) -> int:
        return max(way.returned for way in self.ways)


class Rig:
    """The lab, its two pods, the node and the ToR that things happen to."""

    def __init__(self, lab: Lab):
        self.lab = lab
        self.node, self.far = lab["r1n1"], lab["r2n1"]
        self.tor = lab.tors("r1n1")[0]
        self.redundant = len(lab.tors("r1n1")) > 1
        self.link = lab.link(self.tor.name, "r1n1")
        self.a, self.b = self.node.pod("a"), self.far.pod("b")
        self.wall = time.time() - time.monotonic()
        self.settle()

    def settle(self):
        """Sessions, blocks, and the fabric's routes over all ToRs; then ports that fit them."""
        self.lab.wait_ready(180)
        self.lab.wait_blocks(60)

        def native():
            return all(self._hops(place, there, family) == (2 if self.redundant else 1) for family in self.lab.families
                       for place, there in ((self.node, self.b), (self.lab["spine"], self.a), (self.far, self.a)))

        wait_until(native, 60, "the fabric's routes", 0.3)
        self.ports = {family: self._port(family, "udp") for family in self.lab.families}
        self.stream_port = self._port(4, "tcp")

    @staticmethod
    def _hops(place, pod, family: int) -> int:
        """Next hops of BIRD's route to a pod."""
        for route in place.ns.ip(f"-{family} route show match {pod.ip(family)} proto bird"):
            return len(route.get("nexthops", [route]))
        return 0

    def _port(self, family: int, proto: str) -> int:
        """A port, the same at both ends, whose packets pass the ToR that is to fail, both ways."""
        port = 7100 if proto == "udp" else 7300
        if not self.redundant:
            return port
        spine, toward = self.lab["spine"], self.lab.link("spine", self.lab.tors("r2n1")[0].name)
        arrives = next(end[1] for end in (toward.far, toward.near) if end[0] is spine.ns)
        for port in range(port, port + 64):
            if (self._leaves(self.node.ns, self.a, self.b, self.a.host_interface, family, proto, port) == self.link.near[1] and
                    self._leaves(spine.ns, self.b, self.a, arrives, family, proto, port) == self.tor.name):
                return port
        raise LabError(f"no port whose packets take {self.tor.name} both ways")

    @staticmethod
    def _leaves(ns, source, target, arrives, family, proto, port) -> str | None:
        out = ns.run(f"ip -{family} route get {target.ip(family)} from {source.ip(family)} iif {arrives} ipproto {proto} "
                     f"sport {port} dport {port}", check=False)
        found = re.search(r" dev (\S+)", out)
        return found and found.group(1)

    # A failure

    def run(self, case) -> Outcome:
        for control in (self.node.bird, self.lab["spine"].control, self.tor.control):
            control.command("debug all { states, events }")
        with contextlib.ExitStack() as stack:
            ends = [(self.a, self.b, 0)]
            if case.no_path(self):
                ends.append((self.node, self.far, 100))  # the fabric itself, to compare with
            probes = [stack.enter_context(LossProbe(a, b, family=family, port=self.ports[family] + offset, interval=STEP))
                      for a, b, offset in ends for family in self.lab.families]
            stream = stack.enter_context(TcpStream(self.a, self.b, port=self.stream_port, source_port=self.stream_port, chunk=512))
            for probe in probes:
                probe.wait_flowing()
            failed = time.monotonic()
            case.fail(self)
            repaired = case.repair(self) or time.monotonic()
            self.settle()
            for probe in probes:
                probe.wait_flowing(60)
            stream.wait_progress(2048)
        return self.judge(case, failed, repaired, probes, stream)

    def judge(self, case, failed: float, repaired: float, probes, stream) -> Outcome:
        outcome = Outcome(stall=stream.result.longest_stall)
        families = len(self.lab.families)
        for i, probe in enumerate(probes[:families]):
            for way, direction in enumerate(probe.result.directions):
                made = Way(f"IPv{probe.family} {'to and fro'.split(' and ')[way]}")
                for window in direction.windows:
                    made.windows += f", {window.lost} in {window.seconds * 1000:.0f} ms at {window.start - failed:+.3f} s"
                    if window.start < repaired:
                        made.lost += window.lost
                        made.seconds += window.seconds
                    else:
                        made.returned += window.lost
                if case.no_path(self):
                    there = probes[families + i].result.directions[way].windows
                    made.detected = max((window.end for window in there), default=failed) - failed
                else:
                    made.detected = self.noticed(case.witness(self, way), probe.family, failed, repaired)
                during = [window.last for window in direction.windows if window.start < repaired]
                made.beyond = max(0.0, max(during, default=failed) - failed - made.detected)
                outcome.ways.append(made)
        return outcome

    def noticed(self, witness, family: int, failed: float, repaired: float) -> float:
        """Seconds until a BIRD reported the end of its session; 0 when nobody had to."""
        if witness is None:
            return 0.0
        daemon, protocol = witness
        for line in daemon.log_text().splitlines():
            match = re.match(r"(\d+-\d+-\d+ \d+:\d+:\d+\.\d+) <\w+> (\w+): (.*)", line)
            if not match or not re.fullmatch(f"{protocol}{family}", match.group(2)) or not NOTICED.search(match.group(3)):
                continue
            at = datetime.datetime.fromisoformat(match.group(1)).timestamp() - self.wall
            if failed - 0.005 <= at <= repaired:
                return max(0.0, at - failed)
        return 0.0

    def node_says(self):
        return self.node.birdd, f"peer_{self.tor.name}_\\w+_v"

    def tor_says(self):
        return self.tor.daemons[0], "r1n1_"

    def spine_says(self):
        return self.lab["spine"].daemons[0], f"{self.tor.name}_"
