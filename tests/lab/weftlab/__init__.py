# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab: see tests/lab/README.md."""

from .check import LabError, check, equal, parallel, wait_until
from .cni import CniError, Pod
from .lab import Lab, Link
from .node import Node, build_directory, weft
from .ns import CommandError, Netns, ping, seen_source
from .probe import LossProbe, TcpStream
from .snapshot import Snapshot, snapshot
from .topology import Topology

__all__ = ["CniError", "CommandError", "Lab", "LabError", "Link", "LossProbe", "Netns", "Node", "Pod", "Snapshot",
           "TcpStream", "Topology", "build_directory", "check", "equal", "parallel", "ping", "seen_source", "snapshot",
           "wait_until", "weft"]
