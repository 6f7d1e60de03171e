# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses of what stands in the lab: nodes, routers, outsiders, pods."""

from __future__ import annotations

from .check import LabError


class HasAddresses:
    """What has an address of a family: ip(family) is the class's own."""

    @property
    def ip4(self) -> str:
        return self.ip(4)

    @property
    def ip6(self) -> str:
        return self.ip(6)


def first_ip(owner: str, addresses, family: int) -> str:
    """Of ip_interface objects the first of the family, as text without the prefix length."""
    for address in addresses:
        if address.version == family:
            return str(address.ip)
    raise LabError(f"{owner} has no IPv{family} address")
