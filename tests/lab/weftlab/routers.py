# SPDX-License-Identifier: GPL-2.0-or-later
"""ToRs and spine: real routing software with a configuration made from the topology. Here BIRD and FRR; GoBGP and
OpenBGPD have files of their own, and software.py names them all.

All kinds answer the same questions: sessions(), prefixes(family), disable(peer), enable(peer). A session is
named PEER_4 or PEER_6 and carries the routes of its family.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from dataclasses import dataclass

from .addresses import HasAddresses, first_ip
from .check import Broken, LabError, wait_until
from .daemon import Daemon
from .ns import Netns

FRR_DIRECTORY = "/usr/lib/frr"
MAX_PREFIXES = 12  # that GoBGP and OpenBGPD take from a node


@dataclass
class Session:
    """One BGP session as the router sees it."""
    peer: str
    family: int
    local: object
    remote: object
    remote_as: int
    to_node: bool
    network: object

    @property
    def name(self) -> str:
        return f"{self.peer}_{self.family}"

    @property
    def families(self) -> tuple:
        """What FRR, GoBGP and OpenBGPD offer: to nodes also IPv4 over IPv6 (RFC 8950), which weft takes if told to."""
        return (6, 4) if self.to_node and self.family == 6 else (self.family,)


@dataclass
class Style:
    """How the lab's BGP is set up: the same for all routers of a lab."""
    graceful: bool = False
    bfd_ms: int = 500
    password: str | None = None
    nonstop: int = 0  # seconds
    trace: bool = False


@dataclass
class Path:
    """A route as a router learnt it from a peer."""
    next_hop: str
    as_path: list[int]
    communities: set[str]
    large: set[str]


class BirdControl:
    """BIRD's control socket. Replies are the text without codes."""

    def __init__(self, path: str):
        self.path = path

    def command(self, text: str, timeout: float = 20) -> str:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
            control.settimeout(timeout)
            try:
                control.connect(self.path)
                stream = control.makefile("rwb")
                self._reply(stream)
                stream.write(text.encode() + b"\n")
                stream.flush()
                return self._reply(stream)
            except OSError as error:
                raise LabError(f"birdc {text} on {self.path}: {error}") from error

    @staticmethod
    def _reply(stream) -> str:
        lines = []
        while True:
            raw = stream.readline()
            if not raw:
                raise LabError("BIRD closed the control socket")
            line = raw.decode(errors="replace").rstrip("\n")
            if line[:4].isdigit() and line[4:5] in (" ", "-"):
                if line[:1] in "89":
                    raise LabError(f"BIRD: {line}")
                lines.append(line[5:])
                if line[4] == " ":
                    return "\n".join(lines).strip()
            else:
                lines.append(line[1:] if line[:1] in " +" else line)

    def protocols(self, kind: str | None = None) -> dict[str, str]:
        """Name -> info column (`Established`, `Active  Socket: Connection refused` ...)."""
        rows = (line.split(None, 5) for line in self.command("show protocols").splitlines()[1:])
        return {row[0]: row[5].strip() if len(row) > 5 else row[3] for row in rows
                if len(row) >= 4 and (kind is None or row[1] == kind)}

    def prefixes(self, table: str, condition: str = "") -> set[str]:
        text = self.command(f"show route table {table} {condition}")
        return {line.split()[0] for line in text.splitlines() if "/" in line.split(" ")[0]}


class Router(HasAddresses):
    """What routers have in common."""

    def __init__(self, spec, ns: Netns, index: int, directory: str, style: Style):
        self.spec, self.name, self.ns, self.style = spec, spec.name, ns, style
        self.router_id = f"10.255.255.{index}"
        self.directory = directory
        self.sessions_wanted: list[Session] = []
        self.statics: list[tuple] = []  # (prefix, gateway)
        self.addresses: list = []
        self.daemons: list[Daemon] = []
        self.disabled: set[str] = set()

    def ip(self, family: int) -> str:
        return first_ip(self.name, self.addresses, family)

    def start(self):
        for daemon in self.daemons:
            daemon.start()

    def stop(self):
        for daemon in reversed(self.daemons):
            daemon.stop()

    def _write(self, name: str, text: str) -> str:
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def established(self) -> set[str]:
        for daemon in self.daemons:
            daemon.expect_alive()
        return {name for name, state in self.sessions().items() if state == "Established"}

    def _named(self, peer: str) -> list[Session]:
        found = [session for session in self.sessions_wanted if session.peer == peer]
        if not found:
            raise LabError(f"{self.name} has no BGP session with {peer}")
        return found

    def session(self, peer: str, family: int) -> Session:
        return next(session for session in self._named(peer) if session.family == family)

    def kernel_statics(self):
        """The way to nodes' loopbacks, where the software itself writes no kernel routes."""
        self.ns.ip_batch([f"route replace {net} via {via}" for net, via in self.statics])

    def sessions(self) -> dict[str, str]:
        raise NotImplementedError


class BirdRouter(Router):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.control = BirdControl(os.path.join(self.directory, "ctl"))

    def configure(self):
        config = self._write("bird.conf", self.config_text())
        argv = ["/usr/sbin/bird", "-f", "-c", config, "-s", self.control.path, *(["-R"] if self.style.nonstop else [])]
        self.daemons = [Daemon(f"{self.name}.bird", self.ns, argv, f"{self.directory}/bird.log")]

    def config_text(self) -> str:
        nonstop = self.style.nonstop
        lines = [f"log stderr {{ {'trace, ' if self.style.trace else ''}info, remote, warning, error, auth, fatal, bug }};",
                 f"router id {self.router_id};",
                 *(["debug protocols { states, events };"] if self.style.trace else []),
                 *(["graceful restart wait 10;"] if nonstop else []),
                 "protocol device { scan time 1; }",
                 'protocol direct { ipv4; ipv6; interface "*"; }',
                 "filter to_kernel { if source = RTS_BGP || source = RTS_STATIC then accept; reject; }",
                 "filter no_v4_default { if net = 0.0.0.0/0 then reject; accept; }",
                 "filter no_v6_default { if net = ::/0 then reject; accept; }"]
        for family in (4, 6):
            lines.append(f"protocol kernel kernel{family} {{ merge paths on; scan time 10; "
                         f"{'persist; graceful restart on; ' if nonstop else ''}ipv{family} {{ import none; export filter to_kernel; }}; }}")
            routes = [(net, via) for net, via in self.statics if net.version == family]
            if routes:
                lines.append(f"protocol static static{family} {{ check link on; ipv{family};")
                lines += [f"  route {net} via {via};" for net, via in routes]
                lines.append("}")
        if not self.style.graceful:
            bfd = f"min rx interval {self.style.bfd_ms} ms; min tx interval {self.style.bfd_ms} ms; multiplier 3;"
            lines.append(f'protocol bfd {{ accept direct; interface "*" {{ {bfd} }}; }}')
        for session in self._rendered():
            lines += self._session_lines(session)
        return "\n".join(lines) + "\n"

    def _rendered(self):
        """One protocol per session, or one per network of dynamic neighbours."""
        seen = set()
        for session in self.sessions_wanted:
            if not (session.to_node and self.spec.dynamic):
                yield session
            elif session.network not in seen:
                seen.add(session.network)
                yield session

    def _session_lines(self, session: Session) -> list[str]:
        if session.to_node and self.spec.dynamic:
            name, neighbor = f"nodes_{session.family}", f"range {session.network}"
            dynamic = [f'  dynamic name "nodes_{session.family}_";']
        else:
            name, neighbor, dynamic = session.name, str(session.remote), []
        lines = [f"protocol bgp {name} {{", f"  local {session.local} as {self.spec.asn};",
                 f"  neighbor {neighbor} as {session.remote_as};", *dynamic,
                 "  hold time 9; keepalive time 3; connect delay time 1; connect retry time 2; error wait time 1, 3;",
                 "  long lived graceful restart off;"]  # else it keeps what a dead FRR announced
        if self.style.nonstop:
            lines.append(f"  graceful restart on; graceful restart time {self.style.nonstop};")
        if session.to_node:
            lines.append("  passive on;")
            if self.style.password:
                lines.append(f'  password "{self.style.password}";')
        # Toward nodes only: a busy machine that starves one router for a second would cut the underlay itself.
        if session.to_node and not self.style.graceful:
            lines.append("  bfd on;")
        # On a cable of two nobody else can be the next hop; on a subnet the real one is told.
        next_hop = " next hop self;" if session.network.num_addresses <= 4 else ""
        lines += [f"  ipv{session.family} {{ import filter no_v{session.family}_default; "
                  f"export filter no_v{session.family}_default;{next_hop} }};", "}"]
        return lines

    def sessions(self) -> dict[str, str]:
        """Session -> `Established` or what BIRD says instead. Dynamic sessions are found by their neighbour."""
        states = self.control.protocols("BGP")
        if self.spec.dynamic:
            by_address = {str(session.remote): session.name for session in self.sessions_wanted if session.to_node}
            for session in [s for s in self.sessions_wanted if s.to_node]:
                states[session.name] = "no connection"
            for name in [name for name in states if name.startswith("nodes_")]:
                text = self.control.command(f'show protocols all "{name}"')
                for line in text.splitlines():
                    key, _, value = line.strip().partition(":")
                    if key == "Neighbor address" and value.strip() in by_address:
                        states[by_address[value.strip()]] = states[name]
                del states[name]
        return states

    def prefixes(self, family: int, peer: str | None = None) -> set[str]:
        """BGP prefixes that are used here; only those learnt from peer when it is named."""
        if peer is None:
            return self.control.prefixes(f"master{family}", "primary where source = RTS_BGP")
        return self.control.prefixes(f"master{family}", f"where source = RTS_BGP && from = {self.session(peer, family).remote}")

    def disable(self, peer: str):
        """Ends the sessions with peer in an orderly way; with dynamic neighbours, those with all nodes."""
        self._each(peer, "disable")
        self.disabled.add(peer)

    def enable(self, peer: str):
        self._each(peer, "enable")
        self.disabled.discard(peer)

    def _each(self, peer: str, verb: str):
        for session in self._named(peer):
            dynamic = session.to_node and self.spec.dynamic
            self.control.command(f'{verb} "nodes_{session.family}*"' if dynamic else f"{verb} {session.name}")


class FrrRouter(Router):
    """zebra, bgpd and bfdd with sockets and files of their own; asked through the vty sockets, without vtysh."""

    def configure(self):
        self.sockets = os.path.join(self.directory, "run")
        os.makedirs(self.sockets, exist_ok=True)
        shutil.chown(self.sockets, "frr", "frr")  # they drop privileges to it
        programs = [("zebra", [], []), ("bgpd", ["-p", "179"], self.bgp_lines())]
        if self.statics:
            routes = [f"{'ip' if net.version == 4 else 'ipv6'} route {net} {via}" for net, via in self.statics]
            programs.insert(1, ("staticd", [], routes))
        if not self.style.graceful:
            profile = ["bfd", " profile lab", f"  receive-interval {self.style.bfd_ms}",
                       f"  transmit-interval {self.style.bfd_ms}", "  detect-multiplier 3", " exit", "exit"]
            programs.insert(1, ("bfdd", ["--bfdctl", f"{self.sockets}/bfdd.sock"], profile))
        for program, options, lines in programs:
            config = self._write(f"{program}.conf", "\n".join([f"hostname {self.name}", *lines]) + "\n")
            argv = [f"{FRR_DIRECTORY}/{program}", "-f", config, "-P", "0", "--vty_socket", self.sockets,
                    "-z", f"{self.sockets}/zserv", "-i", f"{self.sockets}/{program}.pid",
                    "--log", "stdout", "--log-level", "informational", *options]
            self.daemons.append(Daemon(f"{self.name}.{program}", self.ns, argv, f"{self.directory}/{program}.log"))

    def established(self) -> set[str]:
        for daemon in self.daemons:  # a line that FRR does not understand is only a line in its log
            if "No such command" in daemon.log_text():
                raise Broken(f"{daemon.name} refuses its configuration\n{daemon.tail()}")
        return super().established()

    def bgp_lines(self) -> list[str]:
        if self.spec.bare:
            return []
        lines = ["ip prefix-list nodefault4 seq 5 deny 0.0.0.0/0", "ip prefix-list nodefault4 seq 10 permit any",
                 "ipv6 prefix-list nodefault6 seq 5 deny ::/0", "ipv6 prefix-list nodefault6 seq 10 permit any",
                 f"router bgp {self.spec.asn}", f" bgp router-id {self.router_id}", " no bgp default ipv4-unicast",
                 " no bgp ebgp-requires-policy", " no bgp network import-check", " bgp bestpath as-path multipath-relax"]
        if self.spec.graceful:
            lines += [" bgp graceful-restart", " bgp graceful-restart preserve-fw-state"]
        activate: dict[int, list[str]] = {4: [], 6: []}
        ranges = set()
        for session in self.sessions_wanted:
            if session.to_node and self.spec.dynamic:
                group = f"NODES{session.family}"
                if session.network in ranges:
                    continue
                ranges.add(session.network)
                lines.append(f" neighbor {group} peer-group")
                self._neighbor_lines(lines, group, session)
                lines.append(f" bgp listen range {session.network} peer-group {group}")
                activate[session.family].append(group)
            else:
                self._neighbor_lines(lines, str(session.remote), session)
                for family in session.families:
                    activate[family].append(str(session.remote))
        for family, peers in activate.items():
            if peers:
                lines.append(f" address-family ipv{family} unicast")
                lines += ["  redistribute connected", "  redistribute static"]
                for peer in peers:
                    lines += [f"  neighbor {peer} activate", f"  neighbor {peer} prefix-list nodefault{family} in",
                              f"  neighbor {peer} prefix-list nodefault{family} out"]
                lines.append(" exit-address-family")
        return [*lines, "exit"]

    def _neighbor_lines(self, lines: list[str], neighbor: str, session: Session):
        lines += [f" neighbor {neighbor} remote-as {session.remote_as}",
                  f" neighbor {neighbor} timers 3 9", f" neighbor {neighbor} timers connect 2"]
        if session.to_node:
            if not self.spec.dynamic:
                lines.append(f" neighbor {neighbor} passive")
                if session.family == 6:
                    lines.append(f" neighbor {neighbor} capability extended-nexthop")
            if self.style.password:
                lines.append(f" neighbor {neighbor} password {self.style.password}")
        if session.to_node and not self.style.graceful:
            lines += [f" neighbor {neighbor} bfd", f" neighbor {neighbor} bfd profile lab"]

    def vty(self, *commands: str, daemon: str = "bgpd") -> str:
        """Runs commands over a daemon's vty socket and returns the last answer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as vty:
            vty.settimeout(20)
            try:
                vty.connect(f"{self.sockets}/{daemon}.vty")
                answer = ""
                for command in ("enable", *commands):
                    vty.sendall(command.encode() + b"\0")
                    data = b""
                    while len(data) < 4 or data[-4:-1] != b"\0\0\0":
                        piece = vty.recv(65536)
                        if not piece:
                            raise LabError(f"{self.name}: {daemon} closed its vty at {command!r}")
                        data += piece
                    answer = data[:-4].decode(errors="replace")
                    if data[-1] not in (0, 1):
                        raise LabError(f"{self.name}: {daemon}: {command}: {answer.strip()} (status {data[-1]})")
                return answer
            except OSError as error:
                raise LabError(f"{self.name}: {daemon}: {error}") from error

    def load(self, text: str):
        """A configuration as in frr.conf, on top of what runs; every line has to be understood."""
        path = self._write("load.conf", text)
        said = self.ns.run(["vtysh", "--vty_socket", self.sockets, "-f", path])
        if "%" in said or "line" in said:
            raise LabError(f"{self.name}: vtysh -f says\n{said}")

    def forget(self):
        """Ends what load() brought: bgpd and bfdd start anew, zebra goes on (prefix lists and route maps are harmless)."""
        anew = [daemon for daemon in self.daemons if not daemon.name.endswith(".zebra")]
        for daemon in anew:
            daemon.hold()
            daemon.start()
        for daemon in anew:
            program = daemon.name.rpartition(".")[2]
            wait_until(lambda: self.vty("show version", daemon=program), 20, f"{daemon.name} to answer")

    def summary(self, family: int) -> dict[str, dict]:
        """Neighbour -> its line of `show bgp summary`."""
        return json.loads(self.vty(f"show bgp ipv{family} unicast summary json") or "{}").get("peers", {})

    def sessions(self) -> dict[str, str]:
        summary = {family: self.summary(family) for family in {session.family for session in self.sessions_wanted}}
        return {session.name: summary[session.family].get(str(session.remote), {}).get("state", "no connection")
                for session in self.sessions_wanted}

    def prefixes(self, family: int, peer: str | None = None) -> set[str]:
        table = f"show bgp ipv{family} unicast"
        if peer is None:
            routes = json.loads(self.vty(f"{table} json"))["routes"]
            return {prefix for prefix, paths in routes.items()
                    if any(path.get("bestpath") and path.get("path") for path in paths)}
        remote = self.session(peer, family).remote
        return set(json.loads(self.vty(f"{table} neighbors {remote} routes json")).get("routes", {}))

    def path(self, family: int, prefix: str, peer: str, over: int = 0) -> Path:
        remote = str(self.session(peer, over or family).remote)
        for found in json.loads(self.vty(f"show bgp ipv{family} unicast {prefix} json")).get("paths", []):
            if found["peer"]["peerId"] == remote:
                hop = next(hop for hop in found["nexthops"] if hop.get("scope") != "link-local")
                numbers = [number for segment in found["aspath"]["segments"] for number in segment["list"]]
                return Path(hop["ip"], numbers, set(found.get("community", {}).get("list", [])),
                            set(found.get("largeCommunity", {}).get("list", [])))
        raise LabError(f"{self.name} has no {prefix} from {peer}")

    def interface_prefixes(self, interface: str, family: int) -> set[str]:
        """What was learnt from the neighbour of an interface."""
        return set(json.loads(self.vty(f"show bgp ipv{family} unicast neighbors {interface} routes json")).get("routes", {}))

    def limit(self, count: int):
        """How many prefixes a node may announce in a family; 0: any number."""
        for family in (4, 6):
            lines = [f"neighbor {session.remote} maximum-prefix {count}" for session in self.sessions_wanted
                     if session.to_node and session.family == family]
            self.configure_bgp(f"address-family ipv{family} unicast",
                               *(lines if count else [f"no {line.rpartition(' ')[0]}" for line in lines]))

    def originate(self, *prefixes: str):
        self._networks("", prefixes)

    def retract(self, *prefixes: str):
        self._networks("no ", prefixes)

    def _networks(self, word: str, prefixes):
        """Networks for all; a default route for the nodes only."""
        for family, default in ((4, "0.0.0.0/0"), (6, "::/0")):
            mine = [prefix for prefix in prefixes if (":" in prefix) == (family == 6)]
            lines = [f"{word}network {prefix}" for prefix in mine if prefix != default]
            if default in mine:
                lines += [f"{word}neighbor {session.remote} default-originate" for session in self.sessions_wanted
                          if session.to_node and session.family == family]
            if lines:
                self.configure_bgp(f"address-family ipv{family} unicast", *lines)

    def configure_bgp(self, *lines: str):
        """Commands below `router bgp N`, on the running daemon."""
        self.vty("configure terminal", f"router bgp {self.spec.asn}", *lines)

    def _shutdown(self, peer: str, word: str):
        for session in self._named(peer):
            target = f"NODES{session.family}" if session.to_node and self.spec.dynamic else str(session.remote)
            self.configure_bgp(f"{word}neighbor {target} shutdown")

    def disable(self, peer: str):
        """Ends the sessions with peer; with dynamic neighbours, those with all nodes of the range."""
        self._shutdown(peer, "")
        self.disabled.add(peer)

    def enable(self, peer: str):
        self._shutdown(peer, "no ")
        self.disabled.discard(peer)
