# SPDX-License-Identifier: GPL-2.0-or-later
"""What a container runtime does with CNI plugins: conflist in, one process per plugin, results passed along the chain."""

from __future__ import annotations

import json
import os
import subprocess
import threading

from .addresses import HasAddresses
from .check import LabError
from .ns import Netns


class CniError(LabError):
    """A plugin's error object; code, msg and details as the plugin gave them."""

    def __init__(self, command: str, plugin: str, status: int, out: str, err: str):
        try:
            reply = json.loads(out)
        except ValueError:
            reply = {}
        self.code, self.msg, self.details = reply.get("code"), reply.get("msg", ""), reply.get("details", "")
        self.status, self.stdout, self.stderr = status, out, err
        super().__init__(f"CNI {command} by {plugin}: exit status {status}, code {self.code}: {self.msg} {self.details}\n"
                         f"    stdout: {out.strip()}\n    stderr: {err.strip()}")


class Cni:
    """One node's runtime. Calls may come from several threads."""

    def __init__(self, ns: Netns, conflist: str, path: list[str]):
        self.ns, self.conflist, self.path = ns, conflist, path

    def config(self) -> dict:
        with open(self.conflist, encoding="utf-8") as file:
            return json.load(file)

    def binary(self, plugin: str) -> str:
        for folder in self.path:
            found = os.path.join(folder, plugin)
            if os.access(found, os.X_OK):
                return found
        raise LabError(f"CNI plugin {plugin} is in none of {self.path}")

    def call(self, plugin: str, command: str, config: dict, env: dict, timeout: float = 60) -> dict:
        """One plugin, once: config on stdin, result from stdout. {} when it prints nothing."""
        environment = {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "CNI_COMMAND": command,
                       "CNI_PATH": ":".join(self.path), **env}
        process = self.ns.popen([self.binary(plugin)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=environment)
        try:
            out, err = process.communicate(json.dumps(config), timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise LabError(f"CNI {command} by {plugin} did not end within {timeout:g} s") from None
        if process.returncode != 0:
            raise CniError(command, plugin, process.returncode, out, err)
        return json.loads(out) if out.strip() else {}

    def chain(self, command: str, env: dict, result: dict | None = None, runtime: dict | None = None,
              only: list[str] | None = None, extra: dict | None = None, version: str | None = None) -> dict:
        """All plugins of the conflist in the order that the command wants; returns the last result.

        runtime: capability arguments such as {"portMappings": [...], "bandwidth": {...}}; a plugin gets those that
        its capabilities name. only: names of the plugins to run (default: all). extra: keys merged into each
        configuration. version: another cniVersion than the conflist's."""
        conflist = self.config()
        plugins = [dict(plugin) for plugin in conflist["plugins"] if only is None or plugin["type"] in only]
        if command == "DEL":
            plugins.reverse()
        for plugin in plugins:
            plugin["cniVersion"], plugin["name"] = version or conflist["cniVersion"], conflist["name"]
            wanted = plugin.pop("capabilities", {})
            given = {key: value for key, value in (runtime or {}).items() if wanted.get(key)}
            if given:
                plugin["runtimeConfig"] = given
            plugin.update(extra or {})
            if result is not None:
                plugin["prevResult"] = result
            reply = self.call(plugin["type"], command, plugin, env)
            if command == "ADD":
                result = reply
        return result or {}

    def status(self):
        self.chain("STATUS", {})

    def gc(self, valid: list[dict]):
        """GC with the attachments that are still valid: [{"containerID": .., "ifname": ..}]."""
        self.chain("GC", {}, extra={"cni.dev/valid-attachments": valid})


class Pod(HasAddresses):
    """A namespace attached to a node's network. The attributes ip4 and ip6 come from the plugins' result."""

    _lock = threading.Lock()
    _count = 0

    def __init__(self, node, name: str | None = None, attach: bool = True, **options):
        with Pod._lock:
            Pod._count += 1
            number = Pod._count
        self.node = node
        self.name = name or f"pod{number}"
        self.ifname = options.pop("ifname", "eth0")
        self.container_id = options.pop("container_id", f"{number:04x}{os.urandom(30).hex()}")
        self.ns = Netns(f"{node.ns.name}.{self.name}")
        self.options = options
        self.result: dict = {}
        if attach:
            try:
                self.add()
            except BaseException:
                self.ns.delete()
                raise

    @property
    def env(self) -> dict:
        return {"CNI_CONTAINERID": self.container_id, "CNI_NETNS": self.ns.path, "CNI_IFNAME": self.ifname,
                "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={self.name};"
                            f"K8S_POD_INFRA_CONTAINER_ID={self.container_id}"}

    def add(self) -> dict:
        self.result = self.node.cni.chain("ADD", self.env, **self.options)
        return self.result

    def check(self, **options):
        """CHECK; options replace those of the ADD. (Debian's portmap 1.1.1 fails CHECK of a dual-stack pod with a
        mapped port, looking for the IPv4 rule in IPv6's table: leave it out with only=[...].)"""
        self.node.cni.chain("CHECK", self.env, self.result, **{**self.options, **options})

    def detach(self):
        """DEL, the namespace stays."""
        self.node.cni.chain("DEL", self.env, self.result or None, **self.options)

    def delete(self):
        """DEL, then the namespace goes, as a runtime does."""
        try:
            self.detach()
        finally:
            self.ns.delete()
            self.node.forget(self)

    def ip(self, family: int) -> str:
        for entry in self.result.get("ips", []):
            address = entry["address"].split("/")[0]
            if (":" in address) == (family == 6):
                return address
        raise LabError(f"pod {self.name} has no IPv{family} address; CNI result: {json.dumps(self.result)}")

    @property
    def host_interface(self) -> str:
        """The node's end of the veth pair."""
        return next(entry["name"] for entry in self.result["interfaces"] if not entry.get("sandbox"))

    def __repr__(self):
        return f"<pod {self.name} on {self.node.name}>"
