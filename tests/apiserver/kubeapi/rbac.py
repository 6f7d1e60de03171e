# SPDX-License-Identifier: GPL-2.0-or-later
"""Who asks (tokens, client certificates) and what they may: ClusterRoles and Roles with their bindings."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field

import yaml

PUBLIC = ("/healthz", "/livez", "/readyz", "/version")


@dataclass
class User:
    name: str
    groups: set = field(default_factory=set)


ANONYMOUS = User("system:anonymous", {"system:unauthenticated"})


@dataclass
class Asked:
    """What a request wants, as an authorizer sees it."""
    verb: str
    path: str = ""           # of a request that is for no resource
    group: str = ""
    resource: str = ""       # "nodes" or "nodes/status"
    namespace: str = ""
    name: str = ""


class Tokens:
    """Users by token. Files are kube-apiserver's --token-auth-file: token,user,uid,"group1,group2"."""

    def __init__(self):
        self.users: dict[str, User] = {}

    def load(self, path: str):
        with open(path, encoding="utf-8", newline="") as file:
            for row in csv.reader(file, skipinitialspace=True):
                if len(row) >= 2:
                    self.add(row[0], row[1], row[3].split(",") if len(row) > 3 else ())

    def add(self, token: str, user: str, groups=()):
        self.users[token] = User(user, {*groups, "system:authenticated"})

    def revoke(self, what: str):
        """By token or user."""
        self.users = {token: user for token, user in self.users.items() if what not in (token, user.name)}

    def of_certificate(self, certificate: dict) -> User:
        names = [(key, value) for part in certificate["subject"] for key, value in part]
        return User(dict(names).get("commonName", ""),
                    {value for key, value in names if key == "organizationName"} | {"system:authenticated"})


class Rbac:
    """Without any role everybody who is known may do everything."""

    def __init__(self):
        self.roles: dict[tuple, list] = {}      # (namespace or None, name) -> rules
        self.bindings: list[tuple] = []         # (namespace or None, role key, subjects)

    def load(self, path: str):
        with open(path, encoding="utf-8") as file:
            for obj in yaml.safe_load_all(file):
                for each in (obj or {}).get("items", [obj]):
                    self.add(each)

    def add(self, obj: dict | None):
        kind = (obj or {}).get("kind", "")
        if kind in ("ClusterRole", "Role"):
            namespace = obj["metadata"].get("namespace", "default") if kind == "Role" else None
            self.roles[namespace, obj["metadata"]["name"]] = obj.get("rules") or []
        elif kind in ("ClusterRoleBinding", "RoleBinding"):
            namespace = obj["metadata"].get("namespace", "default") if kind == "RoleBinding" else None
            ref = obj["roleRef"]
            role = (None if ref["kind"] == "ClusterRole" else namespace, ref["name"])
            self.bindings.append((namespace, role, obj.get("subjects") or []))

    def allows(self, user: User, asked: Asked) -> bool:
        if not self.roles or "system:masters" in user.groups:
            return user is not ANONYMOUS or asked.path in PUBLIC
        if not asked.resource and (asked.path in PUBLIC or "system:authenticated" in user.groups):
            return True
        for namespace, role, subjects in self.bindings:
            if namespace is not None and namespace != asked.namespace:
                continue
            if any(_is(subject, user, namespace) for subject in subjects) \
                    and any(_permits(rule, asked) for rule in self.roles.get(role, ())):
                return True
        return False


def _is(subject: dict, user: User, namespace: str | None) -> bool:
    if subject["kind"] == "User":
        return subject["name"] == user.name
    if subject["kind"] == "Group":
        return subject["name"] in user.groups
    return f"system:serviceaccount:{subject.get('namespace', namespace)}:{subject['name']}" == user.name


def _permits(rule: dict, asked: Asked) -> bool:
    def among(listed, value):
        return "*" in listed or value in listed

    if not among(rule.get("verbs", ()), asked.verb):
        return False
    if not asked.resource:
        return any(url == asked.path or url.endswith("*") and asked.path.startswith(url[:-1])
                   for url in rule.get("nonResourceURLs", ()))
    if not among(rule.get("apiGroups", ()), asked.group) or not among(rule.get("resources", ()), asked.resource):
        return False
    names = rule.get("resourceNames")
    return not names or asked.name in names


def refusal(user: User, asked: Asked) -> tuple[str, dict]:
    """(message, details) of the 403."""
    if not asked.resource:
        return f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"', {}
    plural = asked.resource.split("/")[0]
    what = f"{plural}.{asked.group}" if asked.group else plural
    if asked.name:
        what += f' "{asked.name}"'
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    details = {"name": asked.name} if asked.name else {}
    if asked.group:
        details["group"] = asked.group
    details["kind"] = plural
    return (f'{what} is forbidden: User "{user.name}" cannot {asked.verb} resource "{asked.resource}" in API group '
            f'"{asked.group}" {where}'), details
