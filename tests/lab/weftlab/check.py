# SPDX-License-Identifier: GPL-2.0-or-later
"""Waiting and judging: every failure says what was expected and what was seen."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor


class LabError(AssertionError):
    """A test's expectation or a part of the lab failed; the text is for people."""


class Broken(LabError):
    """Waiting longer will not help."""


def wait_until(condition, timeout: float, what: str, interval: float = 0.1):
    """Polls condition until it returns something true, and returns that. condition may raise LabError or
    OSError (a socket that is not there yet): the last reason is part of the failure."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            value = condition()
            seen = f"last answer {value!r}"
        except Broken:
            raise
        except (LabError, OSError) as error:
            value, seen = None, f"last error {error}"
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"waited {timeout:g} s for {what}; {seen}")
        time.sleep(interval)


def equal(got, expected, what: str):
    """Sets, dictionaries and lists are compared item by item."""
    if got == expected:
        return
    if isinstance(got, (set, frozenset)) and isinstance(expected, (set, frozenset)):
        missing, extra = sorted(map(str, expected - got)), sorted(map(str, got - expected))
        raise LabError(f"{what}: missing {missing}, unexpected {extra}")
    raise LabError(f"{what}:\n  expected {expected!r}\n  got      {got!r}")


def check(condition, what: str):
    if not condition:
        raise LabError(what)


def parallel(function, items, workers: int = 8) -> list:
    """function(item) for all items, several at a time; the results in order. The first failure is raised."""
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, items))
