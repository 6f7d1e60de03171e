# SPDX-License-Identifier: GPL-2.0-or-later
"""GoBGP as a ToR: gobgpd, asked through gobgp. It writes no kernel routes: it carries routes, but no packets to pods."""

from __future__ import annotations

import json

from .check import LabError
from .daemon import Daemon
from .routers import MAX_PREFIXES, Path, Router, Session

ESTABLISHED = 6
STATES = {0: "Unknown", 1: "Idle", 2: "Connect", 3: "Active", 4: "OpenSent", 5: "OpenConfirm", ESTABLISHED: "Established"}
# Types of path attributes.
AS_PATH, NEXT_HOP, COMMUNITIES, MP_REACH, LARGE_COMMUNITIES = 2, 3, 8, 14, 32


class GobgpRouter(Router):
    def configure(self):
        config = self._write("gobgpd.toml", self.config_text())
        self.api = f"unix://{self.directory}/api"
        argv = ["/usr/bin/gobgpd", "-f", config, "-p", "--pprof-disable", f"--api-hosts={self.api}"]
        self.daemons = [Daemon(f"{self.name}.gobgpd", self.ns, argv, f"{self.directory}/gobgpd.log")]
        self.kernel_statics()

    def config_text(self) -> str:
        lines = ["[global.config]", f"  as = {self.spec.asn}", f'  router-id = "{self.router_id}"']
        for session in self.sessions_wanted:
            lines += self._neighbor_lines(session)
        return "\n".join(lines) + "\n"

    def _neighbor_lines(self, session: Session) -> list[str]:
        lines = ["[[neighbors]]", "  [neighbors.config]", f'    neighbor-address = "{session.remote}"',
                 f"    peer-as = {session.remote_as}"]
        if session.to_node and self.style.password:
            lines.append(f'    auth-password = "{self.style.password}"')
        lines += ["  [neighbors.timers.config]", "    hold-time = 9", "    keepalive-interval = 3", "    connect-retry = 2",
                  "    idle-hold-time-after-reset = 1", "  [neighbors.transport.config]",
                  f'    local-address = "{session.local}"', f"    passive-mode = {'true' if session.to_node else 'false'}",
                  "  [neighbors.graceful-restart.config]", "    enabled = true", "    restart-time = 30"]
        for family in session.families:
            lines += ["  [[neighbors.afi-safis]]", "    [neighbors.afi-safis.config]",
                      f'      afi-safi-name = "ipv{family}-unicast"',
                      "    [neighbors.afi-safis.mp-graceful-restart.config]", "      enabled = true"]
            if session.to_node:
                lines += ["    [neighbors.afi-safis.prefix-limit.config]", f"      max-prefixes = {MAX_PREFIXES}"]
        return lines

    def gobgp(self, *words: str) -> str:
        return self.ns.run(["gobgp", "--target", self.api, *words])

    def _ask(self, *words: str):
        text = self.gobgp("-j", *words)
        try:
            return json.loads(text or "null")
        except ValueError as error:
            raise LabError(f"{self.name}: gobgp {' '.join(words)}: {error}: {text[:200]}") from error

    def sessions(self) -> dict[str, str]:
        states = {peer["conf"].get("neighbor_address"): STATES.get(peer["state"].get("session_state", 0), "Unknown")
                  for peer in self._ask("neighbor")}
        return {session.name: states.get(str(session.remote), "no connection") for session in self.sessions_wanted}

    def prefixes(self, family: int, peer: str | None = None) -> set[str]:
        return set(self._routes(family, peer))

    def _routes(self, family: int, peer: str | None, over: int = 0) -> dict:
        if peer is None:
            routes = self._ask("global", "rib", "-a", f"ipv{family}") or {}
            return {prefix: paths for prefix, paths in routes.items() if any(path.get("source-id") for path in paths)}
        return self._ask("neighbor", str(self.session(peer, over or family).remote), "adj-in", "-a", f"ipv{family}") or {}

    def path(self, family: int, prefix: str, peer: str, over: int = 0) -> Path:
        for found in self._routes(family, peer, over).get(prefix, []):
            attributes = {item["type"]: item for item in found["attrs"]}
            hop = attributes.get(NEXT_HOP) or attributes[MP_REACH]
            return Path(hop["nexthop"], [number for segment in attributes[AS_PATH]["as_paths"] for number in segment["asns"]],
                        {f"{number >> 16}:{number & 0xFFFF}"
                         for number in attributes.get(COMMUNITIES, {}).get("communities", [])},
                        {f"{item['ASN']}:{item['LocalData1']}:{item['LocalData2']}"
                         for item in attributes.get(LARGE_COMMUNITIES, {}).get("value", [])})
        raise LabError(f"{self.name} has no {prefix} from {peer}")

    def interface_neighbour(self, interface: str) -> str:
        """The link-local address that it found for `neighbor add interface`."""
        for peer in self._ask("neighbor"):
            if f"%{interface}" in peer["state"].get("neighbor_address", ""):
                return peer["state"]["neighbor_address"]
        raise LabError(f"{self.name} has no neighbour by interface {interface}")

    def interface_prefixes(self, interface: str, family: int) -> set[str]:
        """What was learnt from the neighbour of an interface."""
        return set(self._ask("neighbor", self.interface_neighbour(interface), "adj-in", "-a", f"ipv{family}") or {})

    def originate(self, *prefixes: str):
        for prefix in prefixes:
            self.gobgp("global", "rib", "add", prefix, "-a", "ipv6" if ":" in prefix else "ipv4")

    def retract(self, *prefixes: str):
        for prefix in prefixes:
            self.gobgp("global", "rib", "del", prefix, "-a", "ipv6" if ":" in prefix else "ipv4")

    def disable(self, peer: str):
        self._each(peer, "disable")
        self.disabled.add(peer)

    def enable(self, peer: str):
        self._each(peer, "enable")
        self.disabled.discard(peer)

    def _each(self, peer: str, verb: str):
        for session in self._named(peer):
            self.gobgp("neighbor", str(session.remote), verb)
