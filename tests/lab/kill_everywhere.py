#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Kill a command at every system call it makes, and check what it leaves behind.

    kill_everywhere.py [--setup CMD] --check CMD [--stdin FILE] [--only NAME,...] [--name TEXT] -- COMMAND...

First COMMAND runs undisturbed under strace, to count its system calls; then, for the k-th call of each name,
    setup      CMD by the shell: makes the state to start from (optional)
    kill       COMMAND under strace, which delivers SIGKILL on entry to that call (the call does not happen)
    check      CMD by the shell: exit status 0 = all is well
The undisturbed run is set up and checked too. KILL_POINT is "name#k" in the environment of setup, COMMAND and
check, and empty for the undisturbed run. --stdin is the file COMMAND reads; --only limits the calls killed at.
Ends with a line "NAME: P kill points at S system calls, ..." and `N passed, N failed`; status 1 if a check failed.

For Python: kill_everywhere(command, check, setup=..., ...) takes functions of one argument, the kill point; check
returns None, or a text that says what is wrong.

Why this is "at any instruction": what a process leaves behind (files, kernel objects) changes only by system
calls, unless it writes to shared memory mappings. To die between two calls is to die on entry to the second. That
one call is all or nothing is the kernel's promise, argued where it is relied on (ipam/block.h).

Calls are counted for each process and thread by itself: a command that forks is killed in whichever of them
makes its k-th call (all that do). Counts can differ a little between runs (waiting for a lock, memory layout);
runs that end before their point are counted as "ran to the end" and checked like the others. The first execve is
one of them: it is strace's own and over before strace can act.
"""
import argparse
import collections
import os
import re
import signal
import subprocess
import sys
import tempfile

CALL = re.compile(r"^(\d+)\s+(\w+)\(")
TIMEOUT = 120


class Result:
    def __init__(self, name):
        self.name, self.points, self.calls = name, 0, 0
        self.killed, self.ended, self.failures = 0, 0, []

    def summary(self):
        return (f"{self.name}: {self.points} kill points at {self.calls} system calls, {self.killed} killed, "
                f"{self.ended} ran to the end, {len(self.failures)} wrong")


def _strace(command, point, stdin, env, options):
    with tempfile.NamedTemporaryFile("r", prefix="kill_everywhere.") as trace:
        with open(stdin or os.devnull, "rb") as source:
            done = subprocess.run(["strace", "-f", "-qq", "-o", trace.name, *options, "--", *command],
                                  stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                  env={**(env or os.environ), "KILL_POINT": point}, timeout=TIMEOUT, check=False)
        return done, trace.read()


def count_calls(command, stdin=None, env=None):
    """How often each system call is made, by the process that makes it most often: {name: count}."""
    done, trace = _strace(command, "", stdin, env, [])
    if done.returncode != 0:
        raise RuntimeError(f"the undisturbed command fails ({done.returncode}): "
                           f"{done.stderr.decode(errors='replace').strip()}")
    per_process = collections.Counter(m.groups() for m in map(CALL.match, trace.splitlines()) if m)
    counts = collections.OrderedDict()
    for (_, call), n in per_process.items():
        counts[call] = max(n, counts.get(call, 0))
    return counts


def kill_at(command, call, k, stdin=None, env=None):
    """
    Run the command and kill it on entry to its k-th `call`; True when it (or a child of it) was killed.
    Without --seccomp-bpf, which would be faster: strace 6.1 then loses the signal.
    """
    done, trace = _strace(command, f"{call}#{k}", stdin, env,
                          ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={k}"])
    return done.returncode == -signal.SIGKILL or "+++ killed by SIGKILL" in trace


def kill_everywhere(command, check, setup=None, stdin=None, env=None, only=None, name=None):
    result = Result(name or os.path.basename(command[0]))
    setup = setup or (lambda point: None)

    def judge(point):
        wrong = check(point)
        if wrong is not None:
            result.failures.append((point or "undisturbed", wrong))

    setup("")
    counts = count_calls(command, stdin, env)
    judge("")
    for call, times in counts.items():
        if only and call not in only:
            continue
        result.calls += 1
        for k in range(1, times + 1):
            point = f"{call}#{k}"
            setup(point)
            result.points += 1
            if kill_at(command, call, k, stdin, env):
                result.killed += 1
            else:
                result.ended += 1
            judge(point)
    return result


def _shell(text):
    def run(point):
        done = subprocess.run(["sh", "-c", text], stdin=subprocess.DEVNULL, capture_output=True, check=False,
                              env={**os.environ, "KILL_POINT": point}, timeout=TIMEOUT)
        if done.returncode == 0:
            return None
        return f"status {done.returncode}: {(done.stdout + done.stderr).decode(errors='replace').strip()}"
    return run


def _shell_setup(text):
    run = _shell(text)

    def setup(point):
        wrong = run(point)
        if wrong is not None:
            raise RuntimeError(f"setup failed at {point or 'the start'}: {wrong}")
    return setup


def main():
    parser = argparse.ArgumentParser(description="Kill a command at every system call and check what it leaves.")
    parser.add_argument("--setup", metavar="CMD")
    parser.add_argument("--check", metavar="CMD", required=True)
    parser.add_argument("--stdin", metavar="FILE")
    parser.add_argument("--only", metavar="NAME,...")
    parser.add_argument("--name")
    parser.add_argument("command", nargs="+", metavar="COMMAND")
    args = parser.parse_args()
    result = kill_everywhere(args.command, _shell(args.check),
                             _shell_setup(args.setup) if args.setup else None, stdin=args.stdin,
                             only=args.only.split(",") if args.only else None, name=args.name)
    for point, wrong in result.failures:
        print(f"{result.name} killed at {point}: {wrong}")
    print(result.summary())
    failed = len(result.failures)
    print(f"{result.points + 1 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
