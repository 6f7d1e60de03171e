# SPDX-License-Identifier: GPL-2.0-or-later
"""One failure while packets flow, for tests/bench/bench_failover: what was lost, and when the detectors spoke.

Two pods in two racks send each other a UDP packet each 10 ms, by IPv4 and IPv6, and one TCP stream runs. Ports are chosen
such that all flows take the ToR that fails, both ways; before anything fails, that ToR's kernel has counted packets of each. What the BIRDs at both ends of
the failing session say (`debug { states, events }`) has a time stamp: the time from the failure to it is the detector's.
"""

from __future__ import annotations

import contextlib
import datetime
import re
import time
from dataclasses import dataclass, field

from crossing import all_cross, choose_port, choose_stream, flow
from weftlab import Lab, LabError, LossProbe, wait_until

TRIES = 5    # to have all flows take the ToR that fails
STEP = 0.01  # seconds between packets
NOTICED = re.compile(r"BFD session down|Link down|Connection closed|Connection reset|Hold timer expired|Received: |No listening|shut ?down", re.I)


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
        """Sessions, blocks, and the fabric's routes over all ToRs."""
        self.lab.wait_ready(180)
        self.lab.wait_blocks(60)

        def native():
            return all(self._hops(place, there, family) == (2 if self.redundant else 1) for family in self.lab.families
                       for place, there in ((self.node, self.b), (self.lab["spine"], self.a), (self.far, self.a)))

        wait_until(native, 60, "the fabric's routes", 0.3)

    @staticmethod
    def _hops(place, pod, family: int) -> int:
        """Next hops of BIRD's route to a pod."""
        for route in place.ns.ip(f"-{family} route show match {pod.ip(family)} proto bird"):
            return len(route.get("nexthops", [route]))
        return 0

    # A failure

    def run(self, case) -> Outcome:
        birds = [self.node.bird, self.lab["spine"].control]
        for control in birds + ([self.tor.control] if self.tor.spec.software == "bird" else []):
            control.command("debug all { states, events }")
        ends = [(self.a, self.b)]
        if case.no_path(self):
            ends.append((self.node, self.far))  # the fabric itself, to compare with
        for _ in range(TRIES):
            with contextlib.ExitStack() as stack:
                flows, probes, stream = self._traffic(ends, stack)
                if not all_cross(self.tor, flows):
                    continue
                failed = time.monotonic()
                case.fail(self)
                repaired = case.repair(self) or time.monotonic()
                self.settle()
                for probe in probes:
                    probe.wait_flowing(60)
                stream.wait_progress(2048)
            return self.judge(case, failed, repaired, probes, stream)
        raise LabError(f"{TRIES} times not all flows took {self.tor.name}")

    def _traffic(self, ends, stack):
        """All flows, and what sends them, which runs."""
        flows, probes = set(), []
        for index, (a, b) in enumerate(ends):
            for family in self.lab.families:
                port = choose_port(self.tor, a, b, family, 7100 + 100 * index)
                flows |= flow(a, b, family, "udp", port)
                probes.append(LossProbe(a, b, family=family, port=port, interval=STEP))
        stream = choose_stream(self.tor, self.a, self.b, 7300)
        stack.push(stream)
        flows |= flow(self.a, self.b, 4, "tcp", stream.port)
        for probe in probes:
            stack.enter_context(probe)
        for probe in probes:
            probe.wait_flowing()
        return flows, probes, stream

    def judge(self, case, failed: float, repaired: float, probes, stream) -> Outcome:
        outcome = Outcome(stall=stream.result.longest_stall)
        families = len(self.lab.families)
        for i, probe in enumerate(probes[:families]):
            for way, direction in enumerate(probe.result.directions):
                made = Way(f"IPv{probe.family} {'to and fro'.split(' and ')[way]}")
                until = repaired
                if case.no_path(self):
                    there = probes[families + i].result.directions[way].windows
                    made.detected = max((window.end for window in there), default=failed) - failed
                    until = max(repaired, failed + made.detected)
                else:
                    made.detected = self.noticed(case.witness(self, way), probe.family, failed, repaired)
                for window in (window for window in direction.windows if window.end > failed):
                    made.windows += f", {window.lost} in {window.seconds * 1000:.0f} ms at {window.start - failed:+.3f} s"
                    if window.start < until:
                        made.lost += window.lost
                        made.seconds += window.seconds
                    else:
                        made.returned += window.lost
                during = [window.last for window in direction.windows if failed < window.end and window.start < until]
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
