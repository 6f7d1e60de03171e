# SPDX-License-Identifier: GPL-2.0-or-later
"""deploy/*.service: weftd and BIRD do their work with the users and capabilities that the units give them."""

import configparser
import os
import shutil

from weftlab import Lab, check, equal, wait_until

UNITS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy")


def unit(name):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    with open(os.path.join(UNITS, name), encoding="utf-8") as file:
        parser.read_file(file)
    return parser["Service"]


def as_unit(service, argv):
    """argv with the user and the capabilities of a unit."""
    bounding = capabilities(service["CapabilityBoundingSet"])
    words = ["setpriv", "--no-new-privs", "--bounding-set", bounding]
    if "User" in service:
        ambient = capabilities(service["AmbientCapabilities"])
        words += ["--reuid", service["User"], "--regid", service["Group"], "--clear-groups",
                  "--inh-caps", ambient, "--ambient-caps", ambient]
    else:
        words += ["--inh-caps", bounding]
    return [*words, *argv]


def capabilities(text):
    return ",".join(["-all", *("+" + word.lower().removeprefix("cap_") for word in text.split())])


def test_users_and_capabilities_of_the_units_suffice():
    weftd, bird = unit("weftd.service"), unit("weft-bird.service")
    check(bird["ExecStart"].split()[0] == "/usr/sbin/bird" and weftd["ExecStart"].split()[0].endswith("/weftd"), "programs")
    lab = Lab("racks", password="c0rrect horse")
    try:
        lab.build()
        for node in lab.nodes.values():
            folder = f"{node.directory}/bird.run"  # as RuntimeDirectory= makes it
            os.mkdir(folder, 0o750)
            shutil.chown(folder, bird["User"], bird["Group"])
            node.birdd.argv[node.birdd.argv.index(node.bird.path)] = node.bird.path = f"{folder}/bird.ctl"
            node.weftd.argv = as_unit(weftd, node.weftd.argv)
            node.birdd.argv = as_unit(bird, node.birdd.argv)
        lab.start()
        lab.wait_blocks()
        node, far = lab["r1n1"], lab["r2n1"].pod()
        pod = node.pod()
        for family in (4, 6):
            pod.ns.reaches(far.ip(family))
        wait_until(lambda: not node.weft("status")["problems"], 20, "no problems in weftctl status")
        with open(f"/proc/{node.birdd.pid}/status", encoding="ascii") as status:
            check("Uid:\t0" not in status.read(), "BIRD runs as root")
        snippet = f"{node.directory}/bird/custom/mine.conf"
        with open(snippet, "w", encoding="ascii") as file:
            file.write("protocol static mine { ipv4; }\n")
        node.bird.command("configure")
        wait_until(lambda: "mine" in node.bird.protocols(), 10, "BIRD to read custom/mine.conf")
        node.stop()
        node.birdd.stop()
        os.unlink(snippet)
        equal(node.ns.run("ip route show proto bird").strip(), "", "routes of BIRD after an orderly stop")
    except BaseException:
        lab.save_logs()
        raise
    finally:
        lab.close()
