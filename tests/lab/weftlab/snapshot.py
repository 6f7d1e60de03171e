# SPDX-License-Identifier: GPL-2.0-or-later
"""All that a daemon could have changed in a namespace, as lines of text, for a comparison before and after."""

from __future__ import annotations

import json
import os

from .check import LabError
from .ns import Netns

# What differs between two looks at an untouched namespace.
VOLATILE_KEYS = {"ifindex", "link_index", "expires", "used", "age", "valid_life_time", "preferred_life_time"}
VOLATILE_SETTINGS = {"netfilter/nf_conntrack_count", "ipv4/route/flush", "ipv6/route/flush"}

COMMANDS = (("link", "-d link show"), ("address", "address show"), ("route", "-4 route show table all"),
            ("route6", "-6 route show table all"), ("rule", "-4 rule show"), ("rule6", "-6 rule show"))


class Snapshot(dict):
    """Section -> set of lines."""

    def difference(self, later: "Snapshot") -> list[str]:
        lines = []
        for section in self:
            lines += [f"- {section}: {line}" for line in sorted(self[section] - later[section])]
            lines += [f"+ {section}: {line}" for line in sorted(later[section] - self[section])]
        return lines

    def same(self, later: "Snapshot", what: str):
        lines = self.difference(later)
        if lines:
            raise LabError(f"{what}: {len(lines)} differences (- before, + after)\n    " + "\n    ".join(lines[:40]))


def snapshot(ns: Netns, sysctls: bool = True) -> Snapshot:
    """Links, addresses, routes of all tables, rules, nftables, IPVS and settings of a namespace."""
    taken = Snapshot()
    for section, arguments in COMMANDS:
        taken[section] = {_line(item) for item in ns.ip(arguments)}
    ruleset = ns.run("nft -s -n list ruleset").splitlines()
    taken["nftables"] = set(_with_context(ruleset))
    taken["ipvs"] = set()
    with ns:
        has_ipvs = os.path.exists("/proc/thread-self/net/ip_vs")
    if has_ipvs:
        taken["ipvs"] = set(ns.run("ipvsadm -S -n").splitlines())
    taken["sysctl"] = set(_settings(ns)) if sysctls else set()
    return taken


def _line(item: dict) -> str:
    """addr_info of an address belongs to its interface; the rest of a link is in its own section."""
    if "addr_info" in item:
        addresses = sorted(f"{a['local']}/{a['prefixlen']} {a['scope']}" for a in item["addr_info"] if "local" in a)
        return f"{item['ifname']} {' '.join(addresses)}"
    return json.dumps(_steady(item), sort_keys=True)


def _steady(value):
    if isinstance(value, dict):
        return {key: _steady(item) for key, item in value.items() if key not in VOLATILE_KEYS}
    if isinstance(value, list):
        return [_steady(item) for item in value]
    return value


def _with_context(ruleset: list[str]):
    """Each line of a ruleset with the table and chain it stands in."""
    context: list[str] = []
    for line in map(str.strip, ruleset):
        if line.endswith("{"):
            context.append(line[:-1].strip())
        yield " / ".join([*context, line]) if line != "}" else ""
        if line == "}" and context:
            context.pop()


def _settings(ns: Netns):
    with ns:
        for folder, _, files in os.walk("/proc/sys/net"):
            for file in files:
                path = os.path.join(folder, file)
                name = path[len("/proc/sys/net/"):]
                if name in VOLATILE_SETTINGS or name.startswith(("core/", "unix/")):
                    continue
                try:
                    with open(path, encoding="ascii") as setting:
                        yield f"{name} = {setting.read().strip()}"
                except (OSError, UnicodeDecodeError):
                    continue  # write-only, or unset such as stable_secret
