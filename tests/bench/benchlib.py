# SPDX-License-Identifier: GPL-2.0-or-later
"""What the benches share: how a row of the table is told to tests/bench/run, and the size of things.

A bench is a program tests/bench/bench_*. It prints what it likes, and a row for each figure:

    ROW <tab> name <tab> measured <tab> rival or floor <tab> ratio <tab> target <tab> met

Its exit status is 0 unless it could not measure; a target that is missed is not an error."""

from __future__ import annotations

import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("BUILD") or "build")
SCALE = float(os.environ.get("BENCH_SCALE") or 1)

sys.path.insert(0, os.path.join(TOP, "tests/lab"))


def scaled(count: int, least: int = 1) -> int:
    return max(least, round(count * SCALE))


def say(text: str):
    print(text, flush=True)


def row(name: str, measured: str, rival: str = "", ratio: float | None = None, target: str = "",
        met: bool | None = None):
    """One figure. met None: it is told, not judged."""
    verdict = "" if met is None else "yes" if met else "missed"
    say("\t".join(("ROW", name, measured, rival, "" if ratio is None else f"{ratio:.2f}", target, verdict)))


def at_most(name: str, measured: str, rival: str, ratio: float, limit: float):
    row(name, measured, rival, ratio, f"<= {limit:g}", ratio <= limit)


def at_least(name: str, measured: str, rival: str, ratio: float, limit: float):
    row(name, measured, rival, ratio, f">= {limit:g}", ratio >= limit)


def run(*command: str) -> str:
    """A program's output; it is shown when the program fails for another reason than a missed target."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=TOP, check=False)
    say(done.stdout.rstrip())
    return done.stdout
