# SPDX-License-Identifier: GPL-2.0-or-later
"""Unit test programs that need a kernel with everything: the lab's has ipip and sit, which a build machine's may
lack. There, what they can't run is left out and said; here nothing may be left out."""

import os
import re
import subprocess

from weftlab import LabError, build_directory


def run(name, **environment):
    done = subprocess.run([os.path.join(build_directory(), "unit", name)], env=os.environ | environment, text=True,
                          timeout=300, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    passed = re.search(r"^\[  PASSED  \] ([1-9][0-9]*) test", done.stdout, re.MULTILINE)
    left_out = re.search(r"^(not run:|\[  SKIPPED \])", done.stdout, re.MULTILINE)
    if done.returncode or not passed or left_out:
        raise LabError(f"{name}: exit status {done.returncode}, passed {passed and passed[1]}, "
                       f"{'some' if left_out else 'none'} left out\n" + done.stdout[-6000:])


def test_tunnel_devices():
    run("test_tunnel", WEFT_TEST_TUNNELS="1")


def test_routes():
    run("test_fib_kernel")
    run("test_routers_kernel")


def test_nftables():
    run("test_nft")
    run("test_nft_services")
    run("test_trace")


def test_iptables_legacy():
    run("test_legacy_filter", WEFT_TEST_LEGACY="1")


def test_nftables_packets():
    run("test_nft_packets", WEFT_TEST_IPVS="1")


def test_sysctls():
    run("test_sysctl")


def test_ipvs():
    run("test_ipvs_kernel", WEFT_TEST_IPVS="1")
