# SPDX-License-Identifier: GPL-2.0-or-later
"""A node: weftd with files of its own, the BIRD beside it, and pods attached through its CNI conflist."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket

from . import ipvs
from .addresses import HasAddresses
from .check import LabError, wait_until
from .cni import Cni, Pod
from .daemon import Daemon
from .ns import Netns
from .routers import BirdControl

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
DEBIAN_PLUGINS = "/usr/lib/cni"


def build_directory() -> str:
    return os.path.join(TOP, os.environ.get("BUILD") or "build")


def to_yaml(value, indent: int = 0) -> str:
    """Enough YAML for configuration and manifests: block mappings and lists, JSON for what is scalar or empty."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        lines = []
        for key, item in value.items():
            nested = isinstance(item, (dict, list)) and item
            lines.append(f"{pad}{key}:" + ("\n" + to_yaml(item, indent + 1) if nested else f" {json.dumps(item)}"))
        return "\n".join(lines)
    if isinstance(value, list) and value:
        return "\n".join(f"{pad}- {to_yaml(item, indent + 1).strip()}" for item in value)
    return pad + json.dumps(value)


def _element(item):
    """One element of nft's JSON: its comment and counters are left out."""
    if isinstance(item, list):  # of a map
        return tuple(map(_element, item))
    if isinstance(item, dict):
        if "elem" in item:
            return _element(item["elem"]["val"])
        if "concat" in item:
            return tuple(map(_element, item["concat"]))
        if "prefix" in item:
            return f"{item['prefix']['addr']}/{item['prefix']['len']}"
        return json.dumps(item, sort_keys=True)
    return item


class Node(HasAddresses):
    def __init__(self, lab, spec, ns: Netns, directory: str):
        self.lab, self.spec, self.name, self.ns = lab, spec, spec.name, ns
        self.directory = directory
        self.addresses: list = []  # ip_interface objects of its links
        self.pods: list[Pod] = []
        self.labels: dict = {}  # more labels of its Node object
        self.annotations: dict = {}
        for folder in ("state", "run", "bird", "cni"):
            os.makedirs(f"{directory}/{folder}", exist_ok=True)
        self.config_path = f"{directory}/weft.yaml"
        self.conflist = f"{directory}/cni/10-weft.conflist"
        self.bird_config = f"{directory}/bird/bird.conf"
        self.bird = BirdControl(f"{directory}/bird.ctl")
        build = build_directory()
        self.cni = Cni(ns, self.conflist, [build, DEBIAN_PLUGINS])
        self.weftd = Daemon(f"{self.name}.weftd", ns, [f"{build}/weftd", "--config", self.config_path],
                            f"{directory}/weftd.log")
        argv = ["/usr/sbin/bird", "-f", "-c", self.bird_config, "-s", self.bird.path]
        if lab.graceful:
            argv.append("-R")
        # The sidecar: starts when there is a configuration, again one second after BIRD dies.
        self.birdd = Daemon(f"{self.name}.bird", ns, argv, f"{directory}/bird.log", restart=1.0, needs=self.bird_config)

    # Addresses

    def ip(self, family: int) -> str:
        for address in [*self.spec.addresses, *(interface.ip for interface in self.addresses)]:
            if address.version == family:
                return str(address)
        raise LabError(f"node {self.name} has no IPv{family} address")

    def manifest(self) -> dict:
        addresses = [self.ip(family) for family in self.lab.families]
        return {"apiVersion": "v1", "kind": "Node",
                "metadata": {"name": self.name,
                             "labels": {"kubernetes.io/hostname": self.name, "rack": self.spec.rack,
                                        "topology.kubernetes.io/zone": f"rack{self.spec.rack}", **self.labels},
                             "annotations": {"weft.dev/as-number": str(self.spec.asn), **self.annotations}},
                "status": {"addresses": [{"type": "InternalIP", "address": address} for address in addresses]
                           + [{"type": "Hostname", "address": self.name}]}}

    # weftd

    def config(self) -> dict:
        return {"nodeName": self.name,
                "datastore": self.lab.datastore.config(),
                "stateDir": f"{self.directory}/state", "runDir": f"{self.directory}/run",
                "bird": {"configDir": f"{self.directory}/bird", "socket": self.bird.path,
                         "templates": f"{TOP}/bird-templates", "binary": "/usr/sbin/bird",
                         "restartProfile": self.lab.profile},
                "cni": {"confDir": f"{self.directory}/cni", "binDir": build_directory()},
                **self.lab.weft_options}

    def write_config(self, **changes):
        """weft.yaml anew, with changes: node.write_config(ipam={"cooldown": "1s"})."""
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(to_yaml({**self.config(), **changes}) + "\n")

    def start(self):
        self.write_config()
        if self.lab.style.trace:
            self._trace()
        self.weftd.start()
        self.birdd.start()

    def _trace(self):
        """BIRD's own words for it, in the folder for them."""
        os.makedirs(f"{self.directory}/bird/custom", exist_ok=True)
        with open(f"{self.directory}/bird/custom/trace.conf", "w", encoding="ascii") as file:
            file.write("log stderr { trace };\n")

    def stop(self):
        self.birdd.stop()
        self.weftd.stop()

    def ready(self) -> bool:
        """weftd has written its conflist: pods can be attached."""
        self.weftd.expect_alive()
        return os.path.exists(self.conflist)

    def restart_weftd(self, kill: bool = False):
        """kill: SIGKILL instead of SIGTERM. Returns when it runs again and its socket answers."""
        if kill:
            self.weftd.kill()
        else:
            self.weftd.stop()
        self.weftd.start()
        self.wait_answering()

    def wait_answering(self, timeout: float = 20):
        wait_until(lambda: self.weft("status") is not None, timeout, f"weftd of {self.name} to answer")

    def weft(self, command: str, **arguments):
        """One request over weftd's socket; the result, decoded. Cheaper than weftctl."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(20)
            client.connect(f"{self.directory}/run/weftd.sock")
            client.sendall(json.dumps({"cmd": command, **arguments}).encode() + b"\n")
            line = client.makefile("rb").readline()
        if not line:
            raise LabError(f"weftd of {self.name} closed the socket at {command!r}")
        reply = json.loads(line)
        if not reply.get("ok"):
            raise LabError(f"weftd of {self.name}: {command}: {reply.get('error')} (code {reply.get('code')})")
        return reply.get("result")

    def weftctl(self, *arguments: str, check: bool = True) -> str:
        return self.ns.run([f"{build_directory()}/weftctl", "--socket", f"{self.directory}/run/weftd.sock", *arguments],
                           check=check)

    def cleanup(self) -> str:
        """`weftd cleanup`, after weftd and BIRD have been stopped."""
        return self.ns.run([f"{build_directory()}/weftd", "cleanup", "--config", self.config_path])

    # Routes

    def routes(self, family: int, *selector: str) -> list:
        """`ip -json route show SELECTOR`; no selector: table main."""
        return self.ns.ip([f"-{family}", "route", "show", *selector])

    def blocks(self, family: int) -> set[str]:
        """The blocks this node announces: kernel table 179."""
        with contextlib.suppress(LabError):  # the table does not exist before the first block
            return {route["dst"] for route in self.routes(family, "table", "179")}
        return set()

    # Services

    def ipvs(self) -> dict:
        """("TCP", "10.96.0.1", 80) or ("FWM4", mark) -> Virtual (.scheduler .persistent .dests .weights .chosen)."""
        return ipvs.services(self.ns)

    def nft_set(self, name: str) -> set:
        """Elements of a set or map of weft's table: strings and numbers, tuples of them; of a map (key, value)."""
        text = self.ns.run(["nft", "-j", "list", "set", "inet", "weft", name], check=False)
        text = text or self.ns.run(["nft", "-j", "list", "map", "inet", "weft", name])
        for item in json.loads(text)["nftables"]:
            for kind in ("set", "map"):
                if kind in item:
                    return {_element(each) for each in item[kind].get("elem", [])}
        raise LabError(f"{self.name}: no set {name} in the answer of nft: {text}")

    # Pods

    def pod(self, name: str | None = None, **options) -> Pod:
        """Attaches a new pod. Options: runtime={"portMappings": [...]}, only=["weft-cni"], container_id=, ifname=."""
        made = Pod(self, name, **options)
        self.pods.append(made)
        return made

    def forget(self, pod: Pod):
        self.lab.servers.leave(pod.ns)
        if pod in self.pods:
            self.pods.remove(pod)

    def __repr__(self):
        return f"<node {self.name}>"


def block_name(block: str) -> str:
    """The IPBlock of a CIDR."""
    return block.replace("/", "-").replace(":", "-")


class Datastore:
    """The directory of manifests that all nodes of a lab share."""

    def __init__(self, path: str):
        self.path = path
        os.makedirs(f"{path}/ipblocks", exist_ok=True)

    def put(self, *objects: dict, file: str | None = None):
        """Writes objects, atomically, each to a file of its own (or all to FILE as one stream of documents)."""
        if file is not None:
            self.put_text(file, "---\n".join(to_yaml(item) + "\n" for item in objects))
            return
        for item in objects:
            meta = item["metadata"]
            self.put_text(self.file_of(item["kind"], meta["name"], meta.get("namespace", "")), to_yaml(item) + "\n")

    @staticmethod
    def file_of(kind: str, name: str, namespace: str = "") -> str:
        inside = f"{namespace}." if namespace not in ("", "default", "kube-system") else ""
        return f"{kind.lower()}-{inside}{name}.yaml"

    def put_text(self, file: str, text: str):
        """Any text, also a broken one, appears as FILE at once."""
        scratch = f"{self.path}/.{file}.new"
        with open(scratch, "w", encoding="utf-8") as out:
            out.write(text)
        os.rename(scratch, f"{self.path}/{file}")

    def delete(self, kind: str, name: str, namespace: str = ""):
        os.unlink(f"{self.path}/{self.file_of(kind, name, namespace)}")

    def delete_file(self, file: str):
        os.unlink(f"{self.path}/{file}")

    def claims(self) -> list[str]:
        """Names of the block claims, as files."""
        return sorted(os.path.splitext(name)[0] for name in os.listdir(f"{self.path}/ipblocks") if name[0] != ".")

    def give_block(self, block: str, node: str):
        """Another owner in a claim, as an operator would write it."""
        path = f"{self.path}/ipblocks/{block_name(block)}.yaml"
        with open(path, encoding="utf-8") as file:
            lines = [f"  node: {node}\n" if line.lstrip().startswith("node:") else line for line in file]
        with open(f"{self.path}/ipblocks/.moved", "w", encoding="utf-8") as file:
            file.writelines(lines)
        os.rename(file.name, path)

    def delete_block(self, block: str):
        os.unlink(f"{self.path}/ipblocks/{block_name(block)}.yaml")

    def status_text(self, name: str, namespace: str = "default") -> str:
        """The status of a Service as weft's controller wrote it, "" if there is none."""
        try:
            with open(f"{self.path}/status/service.{namespace}_{name}.yaml", encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def config(self) -> dict:
        """The section of weft.yaml."""
        return {"kind": "directory", "path": self.path}

    def copy_to(self, path: str):
        shutil.copytree(self.path, path, dirs_exist_ok=True)

    def close(self):
        """Nothing runs."""


def weft(kind: str, name: str, **spec) -> dict:
    """A weft.dev object: weft("IPPool", "pods", cidr="10.244.0.0/16")."""
    return {"apiVersion": "weft.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
