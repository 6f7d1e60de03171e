# SPDX-License-Identifier: GPL-2.0-or-later
"""A running data centre: namespaces and cables from a topology, routers, nodes, clients, and ways to disturb it."""

from __future__ import annotations

import atexit
import contextlib
import ipaddress
import os
import shutil
import subprocess
import time

from .addresses import HasAddresses, first_ip
from .check import LabError, wait_until
from .daemon import Daemon, forget
from .kube import KubeStore
from .node import TOP, Datastore, Node, weft
from .ns import Netns, lose_all
from .probe import LossProbe, TcpStream
from .routers import Router, Session, Style
from .services import CIDRS, LB_CIDRS, Numbers, Service
from .software import make_router
from .topology import Topology
from .traffic import Servers

RUN = "/run/lab"
# Loaded before anything starts: a module brings sysctls with it, and a comparison of before and after shows them.
MODULES = ("ip_vs", "ip_vs_rr", "nf_conntrack", "nft_ct", "nft_chain_nat", "nft_fib_inet", "nft_reject_inet", "sctp",
           "sch_netem")
API_LINKS = {4: "192.0.2.2/31", 6: "fd00:c::2/127"}  # of the host `api` and the spine
_open: list["Lab"] = []
_loaded: list[bool] = []


class Host(HasAddresses):
    """An outsider: a namespace with an address and a default route."""

    def __init__(self, name: str, ns: Netns):
        self.name, self.ns = name, ns
        self.addresses: list = []

    def ip(self, family: int) -> str:
        return first_ip(self.name, self.addresses, family)


class Link:
    """A cable between two namespaces. The far end is a router's (of two, the first one's)."""

    def __init__(self, far: tuple[Netns, str], near: tuple[Netns, str], name: str):
        self.far, self.near, self.name = far, near, name
        self.is_cut = False
        self.impaired = False

    def cut(self) -> float:
        """Shuts the router's port: the other end loses its carrier. Returns the time."""
        self.is_cut = True
        self.far[0].set_link(self.far[1], up=False)
        return time.monotonic()

    def restore(self) -> float:
        self.far[0].set_link(self.far[1], up=True)
        self.is_cut = False
        return time.monotonic()

    def impair(self, *netem: str) -> float:
        """`tc qdisc netem` on both ends: impair("loss", "100%"), impair("delay", "20ms")."""
        self.impaired = True
        for ns, interface in (self.far, self.near):
            ns.run(["tc", "qdisc", "replace", "dev", interface, "root", "netem", *netem])
        return time.monotonic()

    def silence(self) -> float:
        """All packets vanish, both carriers stay: what only BFD and hold timers see. Both ways within a millisecond."""
        self.impaired = True
        at = time.monotonic()
        for ns, interface in (self.far, self.near):
            lose_all(ns, interface)
        return at

    def repair(self) -> float:
        for ns, interface in (self.far, self.near):
            ns.run(["tc", "qdisc", "del", "dev", interface, "root"], check=False)
        self.impaired = False
        return time.monotonic()


class Lab:
    """`with Lab("racks") as lab:` builds, starts and waits until everything is ready; leaving takes all down.

    topology   a name in tests/lab/topologies, or a path
    profile    weft's and the routers' restart profile: "fast" (BFD) or "graceful" (graceful restart, no BFD)
    agents     False: no weftd and no BIRD on the nodes
    ipip       the pools' mode: Fallback, Never, CrossSubnet, Always
    password   for the nodes' BGP sessions (MD5)
    bfd_ms     the routers' BFD interval, three lost ones are a failure
    nonstop    seconds of graceful restart that BIRD routers announce; what they forward survives their daemon. 0: none
    trace      BIRDs log the changes of sessions, to the millisecond
    pools      False: no IPPool objects (a test makes its own)
    services   service CIDRs in every weft.yaml; a dictionary adds keys to its `services`
    objects    more objects for the datastore before weftd starts
    weft       more keys for every weft.yaml: {"ipam": {"cooldown": "1s"}}
    datastore  "directory", or "kubernetes": a test API server on a host `api`; $LAB_DATASTORE is the default
    version    the API server's"""

    saved: set[str] = set()  # where logs have been copied to

    def __init__(self, topology: str = "racks", profile: str = "fast", agents: bool = True, ipip: str = "Fallback",
                 password: str | None = None, bfd_ms: int = 500, pools: bool = True, services=False,
                 objects=(), weft=None, datastore=None, version: str = "1.36",
                 nonstop: int = 0, trace: bool = False):
        if os.geteuid() != 0 or not os.environ.get("LAB_INSIDE"):
            raise LabError("a lab needs the lab machine: tests/lab/vm -- COMMAND")
        self.topology = Topology(topology)
        self.families = self.topology.families()
        self.kubernetes = (datastore or os.environ.get("LAB_DATASTORE") or "directory") == "kubernetes"
        if self.kubernetes:
            self.topology.add_host("api", [API_LINKS[family] for family in self.families])
        self.profile, self.graceful, self.agents = profile, profile == "graceful", agents
        self.ipip, self.password, self.pools = ipip, password, pools
        self.weft_options = dict(weft or {})
        if services or services == {}:
            cidrs = [CIDRS[family] for family in self.families]
            more = services if isinstance(services, dict) else {}
            self.weft_options["services"] = {"cidrs": cidrs, **more}
        self.objects = list(objects)
        taken = {lab.name for lab in _open}
        self.name = self.topology.name
        while self.name in taken:
            self.name += "+"
        self.directory = f"{RUN}/{self.name}"
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)
        shutil.copy(f"{TOP}/deploy/rt_protos.d/weft.conf", "/etc/iproute2/rt_protos.d/")
        _open.append(self)
        self.style = Style(self.graceful, bfd_ms, password, nonstop, trace)
        store = f"{self.directory}/datastore"
        self.datastore = KubeStore(self, store, version) if self.kubernetes else Datastore(store)
        self.namespaces: dict[str, Netns] = {}
        self.routers: dict[str, Router] = {}
        self.nodes: dict[str, Node] = {}
        self.hosts: dict[str, Host] = {}
        self.links: dict[frozenset, Link] = {}
        self.services: list[Service] = []
        self.servers = Servers()
        self.numbers = Numbers()
        self.kept: list = []
        self.programs: list[Daemon] = []

    # Access: lab["tor1"], lab.node("r1n1"), lab.link("tor1", "spine")

    def __getitem__(self, name: str):
        for group in (self.nodes, self.routers, self.hosts):
            if name in group:
                return group[name]
        raise LabError(f"nothing in {self.topology.name} is called {name}")

    def node(self, name: str) -> Node:
        return self.nodes[name]

    def router(self, name: str) -> Router:
        return self.routers[name]

    def link(self, one: str, other: str) -> Link:
        found = self.links.get(frozenset((one, other)))
        if found is None:
            raise LabError(f"no cable between {one} and {other}")
        return found

    def tors(self, node: str) -> list[Router]:
        """The routers that a node is connected to."""
        return [router for router in self.routers.values() if frozenset((node, router.name)) in self.links]

    # Life

    def __enter__(self):
        try:
            self.build()
            self.start()
        except BaseException:
            self.save_logs()
            self.close()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.save_logs()
        self.close()

    def build(self):
        """Namespaces, cables, addresses, routers' configuration, the datastore: nothing runs yet."""
        load_modules()
        for index, name in enumerate(self.topology.names(), 1):
            ns = self.namespaces[name] = Netns(f"{self.name}.{name}")
            directory = f"{self.directory}/{name}"
            if name in self.topology.routers:
                self.routers[name] = make_router(self.topology.routers[name], ns, index, directory, self.style)
            elif name in self.topology.nodes:
                self.nodes[name] = Node(self, self.topology.nodes[name], ns, directory)
            else:
                self.hosts[name] = Host(name, ns)
        self._settings()
        _Cabler(self).run()
        for router in self.routers.values():
            router.configure()
        if self.kubernetes:
            api = self.hosts["api"]
            self.datastore.start(api.ns, [api.ip(family) for family in self.families],
                                 [CIDRS[family] for family in self.families])
        self.datastore.put(*self._objects(), *self.objects)

    def start(self):
        for router in self.routers.values():
            router.start()
        if self.kubernetes:
            self.wait_api()
        if self.agents:
            for node in self.nodes.values():
                node.start()
        self.wait_ready()

    def wait_api(self):
        """Until the routers carry every node to the API server."""
        api = self.hosts["api"]
        for node in self.nodes.values():
            wait_until(lambda: node.ns.ping(api.ip(self.families[0]), 1), 60, f"{node.name} to reach the API server")

    def wait_ready(self, timeout: float = 90):
        """All BGP sessions Established; with agents, every node can take pods."""
        if self.agents:
            for node in self.nodes.values():
                wait_until(node.ready, timeout, f"the conflist of {node.name}")
        for router in self.routers.values():
            wanted = {session.name for session in router.sessions_wanted if self.agents or not session.to_node}
            wait_until(lambda: self._all_up(router, wanted), timeout, f"the BGP sessions of {router.name}", 0.2)

    @staticmethod
    def _all_up(router: Router, wanted: set[str]) -> bool:
        missing = wanted - router.established()
        if missing:
            states = router.sessions()
            raise LabError("; ".join(f"{name}: {states.get(name)}" for name in sorted(missing)))
        return True

    def heal(self):
        """Undoes what a test did: pods go, cables are whole, sessions enabled, what was stopped runs, all is ready
        again. Says what it cannot undo."""
        for link in self.links.values():
            if link.is_cut:
                link.restore()
            if link.impaired:
                link.repair()
        problems = []
        for node in self.nodes.values():
            if self.agents:
                node.weftd.start()
                node.birdd.start()
        for made in [each for each in self.services if each not in self.kept]:
            made.delete()
        for server in [each for each in self.servers.all if each not in self.kept]:
            server.close()
        for pod in [pod for node in self.nodes.values() for pod in node.pods if pod not in self.kept]:
            try:
                pod.delete()
            except LabError as error:
                problems.append(str(error))
        for router in self.routers.values():
            router.start()
            for peer in sorted(router.disabled):
                wait_until(lambda: router.enable(peer) is None, 10, f"{router.name} to enable its session with {peer}")
        if problems:
            raise LabError("after the test: " + "; ".join(problems))
        self.wait_ready()

    def daemons(self) -> list[Daemon]:
        found = [daemon for router in self.routers.values() for daemon in router.daemons]
        for node in self.nodes.values():
            found += [node.weftd, node.birdd]
        return [*self.programs, *found]

    def close(self):
        """Stops everything and removes the namespaces. Safe to call twice."""
        if self not in _open:
            return
        _open.remove(self)
        self.servers.close()
        for daemon in self.daemons():
            try:
                daemon.hold()
            except LabError:
                pass
            forget(daemon)
        for node in self.nodes.values():
            for pod in list(node.pods):
                pod.ns.delete()
        self.datastore.close()
        for ns in self.namespaces.values():
            ns.delete()
        shutil.rmtree(self.directory, ignore_errors=True)

    def save_logs(self) -> str | None:
        """Copies logs, configurations and the datastore to $LAB_OUT/NAME, and says where."""
        out = os.environ.get("LAB_OUT")
        if not out or not os.path.isdir(self.directory):
            return None
        target = f"{out}/{self.name}"
        shutil.rmtree(target, ignore_errors=True)
        Lab.saved.add(target)
        with contextlib.suppress(shutil.Error):  # daemons still run: a file may go while it is copied
            shutil.copytree(self.directory, target, ignore=_neither_file_nor_folder)
        return target

    # Services

    def keep(self):
        """heal() leaves what stands now: pods, servers, Services that a module's tests share."""
        self.kept = [*(pod for node in self.nodes.values() for pod in node.pods), *self.servers.all, *self.services]

    def service(self, name: str, backends=(), **options) -> Service:
        """A Service with its slices in the datastore; what can be said of it: weftlab/services.py."""
        made = Service(self, name, self.numbers.next(), backends, **options)
        self.services.append(made)
        return made

    def serve(self, *places, port: int = 8080, proto: str = "tcp"):
        """A server in each place that answers with the place's name. Returns the last one."""
        return [self.servers.add(place, port, proto) for place in places][-1]

    def program(self, place, argv: list[str]) -> Daemon:
        """A real server in a place, until the lab is closed."""
        name = f"{place.name}.{os.path.basename(argv[0])}"
        made = Daemon(name, place.ns, argv, f"{self.directory}/{name}.log")
        self.programs.append(made)
        return made.start()

    def lb_pools(self, **spec) -> list[dict]:
        """An IPPool of LoadBalancer IPs for each family, put into the datastore."""
        pools = [weft("IPPool", f"lb-v{family}", cidr=LB_CIDRS[family], use="LoadBalancer", **spec)
                 for family in self.families]
        self.datastore.put(*pools)
        return pools

    # Traffic

    def loss(self, a, b, **options) -> LossProbe:
        return LossProbe(a, b, **options)

    def stream(self, a, b, **options) -> TcpStream:
        return TcpStream(a, b, **options)

    def wait_blocks(self, timeout: float = 30):
        """Until every router has all blocks that the nodes announce. Returns {family: set of blocks}."""
        blocks = {family: set().union(*(node.blocks(family) for node in self.nodes.values()))
                  for family in self.families}
        for router in self.routers.values():
            for family in self.families:
                wait_until(lambda: blocks[family] <= router.prefixes(family), timeout,
                           f"the blocks {sorted(blocks[family])} at {router.name}", 0.2)
        return blocks

    # Building

    def _settings(self):
        """Routers forward and tolerate asymmetry. Nodes and hosts are as systemd sets them up on Debian."""
        for name, ns in self.namespaces.items():
            ns.sysctl("ipv6/conf/default/accept_dad", 0)
            ns.sysctl("ipv6/conf/all/accept_dad", 0)
            if name not in self.nodes:
                # In one kernel a router takes the sender's hash of a connection, which by default changes when an answer is
                # late: the connection would move to another path, which real routers do not do.
                ns.sysctl("core/txrehash", 0)
            if name in self.routers:
                ns.sysctl("ipv4/ip_forward", 1)
                ns.sysctl("ipv6/conf/all/forwarding", 1)
                ns.sysctl("ipv6/conf/all/keep_addr_on_down", 1)
                ns.sysctl("ipv4/fib_multipath_hash_policy", 1)
                ns.sysctl("ipv6/fib_multipath_hash_policy", 1)
                ns.sysctl("ipv4/conf/default/rp_filter", 0)
                ns.sysctl("ipv4/conf/all/rp_filter", 0)
            else:
                ns.sysctl("ipv4/conf/default/rp_filter", 2)
                ns.sysctl("ipv4/conf/default/promote_secondaries", 1)

    def _objects(self) -> list[dict]:
        found = [node.manifest() for node in self.nodes.values()]
        if self.pools:
            for pool in self.topology.pools:
                found.append(weft("IPPool", f"pods-{'v4' if pool.cidr.version == 4 else 'v6'}",
                                  cidr=str(pool.cidr), blockSize=pool.block, ipip=self.ipip))
        found.append(weft("BGPConfig", "default"))
        if self.password:
            found.append({"apiVersion": "v1", "kind": "Secret",
                          "metadata": {"name": "weft-bgp", "namespace": "kube-system"},
                          "stringData": {"password": self.password}})
        return found + self.bgp_peers()

    def bgp_peers(self) -> list[dict]:
        """One BGPPeer for each router address: for the whole rack where all its nodes use it, else for a node."""
        made = []
        users: dict[tuple, set[str]] = {}
        for router in self.routers.values():
            for session in router.sessions_wanted:
                if session.to_node:
                    users.setdefault((router, session.local), set()).add(session.peer)
        for (router, address), nodes in users.items():
            racks = {self.nodes[node].spec.rack for node in nodes}
            rack = racks.pop()
            whole = {node.name for node in self.nodes.values() if node.spec.rack == rack}
            if not racks and whole == nodes:
                labels, subject = {"rack": rack}, f"rack{rack}"
            else:
                labels, subject = {"kubernetes.io/hostname": min(nodes)}, min(nodes)
            spec = {"nodeSelector": {"matchLabels": labels}, "address": str(address), "asNumber": router.spec.asn,
                    "description": f"{router.name} for {subject}"}
            if self.password:
                spec["password"] = {"secretKeyRef": {"name": "weft-bgp", "key": "password"}}
            made.append(weft("BGPPeer", f"{router.name}-{subject}-v{address.version}", **spec))
        return made


class _Cabler:
    """Turns the topology's cables into veth pairs, addresses, default routes and BGP sessions."""

    def __init__(self, lab: Lab):
        self.lab = lab
        self.create: list[str] = []
        self.inside: dict[str, list[str]] = {name: [] for name in lab.namespaces}
        self.uplinks: dict[str, list] = {}  # node or host -> [(gateway, interface)]
        self.ports: dict[str, int] = {}
        self.bridges = 0

    def run(self):
        for cable in self.lab.topology.cables:
            self._lan(cable) if cable.kind == "lan" else self._link(cable)
        for name, node in self.lab.nodes.items():
            for address in node.spec.addresses:
                self.inside[name].append(f"address add {address} dev lo" + (" nodad" if address.version == 6 else ""))
        for name, gateways in self.uplinks.items():
            self._defaults(name, gateways)
        script = f"{self.lab.directory}/links"
        with open(script, "w", encoding="ascii") as file:
            file.write("".join(line + "\n" for line in self.create))
        bench = Netns(f"{self.lab.name}+cables")  # the kernel refuses a name that exists where the command runs
        bench.run(["ip", "-batch", script])
        bench.delete()
        for name, lines in self.inside.items():
            self.lab.namespaces[name].ip_batch(lines)

    def _interface(self, name: str, toward: str) -> str:
        """eth0, eth1 ... on nodes and hosts; on routers the name of the neighbour."""
        if name in self.lab.routers:
            return toward[:15]
        self.ports[name] = self.ports.get(name, -1) + 1
        return f"eth{self.ports[name]}"

    def _cable(self, far: str, near: str, mtu: int) -> Link:
        if near in self.lab.routers and far not in self.lab.routers:
            far, near = near, far
        ends = []
        for name, toward in ((far, near), (near, far)):
            ends.append((self.lab.namespaces[name], self._interface(name, toward)))
        (far_ns, far_if), (near_ns, near_if) = ends
        self.create.append(f"link add name {far_if} mtu {mtu} netns {far_ns.name} type veth "
                           f"peer name {near_if} mtu {mtu} netns {near_ns.name}")
        for name, (_, interface) in zip((far, near), ends):
            self.inside[name].append(f"link set {interface} up")
        link = Link(ends[0], ends[1], f"{far}-{near}")
        self.lab.links[frozenset((far, near))] = link
        return link

    def _address(self, name: str, interface: str, address):
        self.inside[name].append(f"address add {address} dev {interface}" + (" nodad" if address.version == 6 else ""))
        self.lab[name].addresses.append(address)

    def _lan(self, cable):
        router, *members = cable.members
        bridge = f"lan{self.bridges}"
        self.bridges += 1
        self.inside[router].append(f"link add {bridge} mtu {cable.mtu} type bridge forward_delay 0 stp_state 0")
        for member in members:
            link = self._cable(router, member, cable.mtu)
            self.inside[router].append(f"link set {link.far[1]} master {bridge}")
            for network in cable.networks:
                self._address(member, link.near[1], cable.address(member, network))
        self.inside[router].append(f"link set {bridge} up")
        for network in cable.networks:
            self._address(router, bridge, cable.address(router, network))
        for member in members:
            self._neighbours(cable, router, member, bridge)

    def _link(self, cable):
        one, other = cable.members
        link = self._cable(one, other, cable.mtu)
        ends = {link.far[0].name: link.far[1], link.near[0].name: link.near[1]}
        for name in cable.members:
            interface = ends[self.lab.namespaces[name].name]
            for network in cable.networks:
                self._address(name, interface, cable.address(name, network))
        self._neighbours(cable, one, other, "")

    def _neighbours(self, cable, one: str, other: str, bridge: str):
        """BGP sessions between them, and the default route of one that is no router."""
        lab = self.lab
        if one not in lab.routers:
            one, other = other, one
        link = lab.link(one, other)
        for network in cable.networks:
            here, there = cable.address(one, network), cable.address(other, network)
            family = network.version
            bare = any(lab.topology.routers[name].bare for name in (one, other) if name in lab.routers)
            if other in lab.routers:
                for me, mine, peer, its in () if bare else ((one, here, other, there), (other, there, one, here)):
                    lab.routers[me].sessions_wanted.append(
                        Session(peer, family, mine.ip, its.ip, lab.routers[peer].spec.asn, False, network))
                continue
            self.uplinks.setdefault(other, []).append((here.ip, link.near[1]))
            if other in lab.nodes:
                node = lab.nodes[other]
                if not bare:
                    lab.routers[one].sessions_wanted.append(
                        Session(other, family, here.ip, there.ip, node.spec.asn, True, network))
                for address in node.spec.addresses:
                    if address.version == family:
                        lab.routers[one].statics.append((ipaddress.ip_network(address), there.ip))

    def _defaults(self, name: str, gateways: list):
        addresses = getattr(self.lab[name], "spec", None)
        own = {address.version: address for address in addresses.addresses} if addresses else {}
        for family in self.lab.families:
            hops = [(gateway, interface) for gateway, interface in gateways if gateway.version == family]
            source = f" src {own[family]}" if family in own else ""
            everything = "0.0.0.0/0" if family == 4 else "::/0"
            if len(hops) == 1:
                self.inside[name].append(f"route add {everything} via {hops[0][0]} dev {hops[0][1]}{source}")
            elif hops:
                parts = " ".join(f"nexthop via {gateway} dev {interface}" for gateway, interface in hops)
                self.inside[name].append(f"route add {everything}{source} {parts}")


def load_modules():
    """Once; a kernel that has them built in is fine too."""
    if not _loaded:
        _loaded.append(True)
        subprocess.run(["modprobe", "-q", "-a", *MODULES], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
                           env={**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"})


def _neither_file_nor_folder(folder: str, names: list[str]) -> list[str]:
    """Sockets, which copytree cannot copy."""
    return [name for name in names if not os.path.isfile(f"{folder}/{name}") and not os.path.isdir(f"{folder}/{name}")]


@atexit.register
def _close_all():
    for lab in list(_open):
        lab.close()
