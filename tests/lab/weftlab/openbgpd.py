# SPDX-License-Identifier: GPL-2.0-or-later
"""OpenBGPD as a ToR: bgpd, asked through bgpctl. It writes no kernel routes on Linux: it carries routes, but no
packets to pods."""

from __future__ import annotations

import json
import os

from .check import LabError
from .daemon import Daemon
from .routers import MAX_PREFIXES, Path, Router, Session

CHROOT = "/run/openbgpd"  # the home of its user, where its children lock themselves up


class OpenbgpdRouter(Router):
    def configure(self):
        os.makedirs(CHROOT, exist_ok=True)
        self.control = f"{self.directory}/bgpd.sock"
        self.config = self._write("bgpd.conf", self.config_text())
        os.chmod(self.config, 0o600)  # it refuses one that others could read
        argv = ["/usr/sbin/bgpd", "-d", "-f", self.config]
        self.daemons = [Daemon(f"{self.name}.bgpd", self.ns, argv, f"{self.directory}/bgpd.log")]
        self.kernel_statics()

    def config_text(self) -> str:
        lines = [f"AS {self.spec.asn}", f"router-id {self.router_id}", f'socket "{self.control}"', "fib-update no"]
        lines += [f"listen on {address.ip}" for address in self.addresses]
        for session in self.sessions_wanted:
            lines += self._neighbor_lines(session)
        return "\n".join([*lines, "allow from any", "allow to any"]) + "\n"

    def _neighbor_lines(self, session: Session) -> list[str]:
        lines = [f"neighbor {session.remote} {{", f"  remote-as {session.remote_as}", f"  local-address {session.local}",
                 "  holdtime 9"]
        if session.to_node and self.style.password:
            # On Linux it signs connections that it opens, but listens without the key: it must not be passive.
            lines.append(f'  tcp md5sig password "{self.style.password}"')
        elif session.to_node:
            lines.append("  passive")
        if session.to_node:
            lines.append(f"  max-prefix {MAX_PREFIXES}")
        return [*lines, *(f"  announce IPv{family} unicast" for family in session.families), "}"]

    def bgpctl(self, *words: str) -> str:
        return self.ns.run(["bgpctl", "-s", self.control, *words])

    def _ask(self, *words: str) -> dict:
        text = self.bgpctl("-j", *words)
        try:
            return json.loads(text)
        except ValueError as error:
            raise LabError(f"{self.name}: bgpctl {' '.join(words)}: {error}: {text[:200]}") from error

    def sessions(self) -> dict[str, str]:
        states = {peer["remote_addr"]: peer["state"] for peer in self._ask("show", "neighbor")["neighbors"]}
        return {session.name: states.get(str(session.remote), "no connection") for session in self.sessions_wanted}

    def prefixes(self, family: int, peer: str | None = None) -> set[str]:
        return {path["prefix"] for path in self._rib(family, peer) if path.get("source") != "internal"}

    def _rib(self, family: int, peer: str | None, *words: str, over: int = 0) -> list:
        chosen = ["neighbor", str(self.session(peer, over or family).remote)] if peer else []
        afi = "inet6" if family == 6 else "inet"
        return self._ask("show", "rib", afi, *words, *chosen).get("rib", [])

    def path(self, family: int, prefix: str, peer: str, over: int = 0) -> Path:
        for found in self._rib(family, peer, "detail", over=over):
            if found["prefix"] == prefix:
                return Path(found["exit_nexthop"], [int(number) for number in found["aspath"].split()],
                            set(found.get("communities", [])), set(found.get("large_communities", [])))
        raise LabError(f"{self.name} has no {prefix} from {peer}")

    def originate(self, *prefixes: str):
        for prefix in prefixes:
            self.bgpctl("network", "add", prefix)

    def retract(self, *prefixes: str):
        for prefix in prefixes:
            self.bgpctl("network", "delete", prefix)

    def disable(self, peer: str):
        self._each(peer, "down")
        self.disabled.add(peer)

    def enable(self, peer: str):
        self._each(peer, "up")
        self.disabled.discard(peer)

    def _each(self, peer: str, verb: str):
        for session in self._named(peer):
            self.bgpctl("neighbor", str(session.remote), verb)
