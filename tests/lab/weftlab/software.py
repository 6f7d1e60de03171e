# SPDX-License-Identifier: GPL-2.0-or-later
"""Which class and which program stand behind a topology's `router NAME as N SOFTWARE`."""

from __future__ import annotations

import os

from .check import LabError
from .gobgp import GobgpRouter
from .ns import Netns
from .openbgpd import OpenbgpdRouter
from .routers import FRR_DIRECTORY, BirdRouter, FrrRouter, Router, Style

KINDS = {"bird": (BirdRouter, "/usr/sbin/bird"), "frr": (FrrRouter, f"{FRR_DIRECTORY}/bgpd"),
         "gobgp": (GobgpRouter, "/usr/bin/gobgpd"), "openbgpd": (OpenbgpdRouter, "/usr/sbin/bgpd")}


def make_router(spec, ns: Netns, index: int, directory: str, style: Style) -> Router:
    os.makedirs(directory, exist_ok=True)
    kind, program = KINDS[spec.software]
    if not os.path.exists(program):
        raise LabError(f"{program} is not installed; run tests/deps")
    return kind(spec, ns, index, directory, style)
