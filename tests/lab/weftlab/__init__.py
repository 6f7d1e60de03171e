# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab: see tests/lab/README.md."""

from .check import LabError, check, equal, parallel, wait_until
from .cni import CniError, Pod
from .lab import Lab, Link
from .node import Node, build_directory, weft
from .ns import CommandError, Netns, ping, seen_source
from .probe import LossProbe, TcpStream
from .services import Endpoint, Port, Service, expected_ips, service, slice_of, terminating, unready
from .snapshot import Snapshot, snapshot
from .topology import Topology
from .traffic import Conversation, Hammer, Reply, Server, ask, http, spread, wait_who
from .writes import Writes

__all__ = ["CniError", "CommandError", "Conversation", "Endpoint", "Hammer", "Lab", "LabError", "Link", "LossProbe",
           "Netns", "Node", "Pod", "Port", "Reply", "Server", "Service", "Snapshot", "TcpStream", "Topology", "Writes",
           "ask", "build_directory", "check", "equal", "expected_ips", "http", "parallel", "ping", "seen_source", "service",
           "slice_of", "snapshot", "spread", "terminating", "unready", "wait_until", "wait_who", "weft"]
