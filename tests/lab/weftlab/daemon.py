# SPDX-License-Identifier: GPL-2.0-or-later
"""A process of the lab that runs in a namespace, with its log, and optionally a supervisor that restarts it."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import threading

from .check import Broken, LabError
from .ns import Netns

_all: set["Daemon"] = set()


class Daemon:
    """start(), stop() (SIGTERM), kill() (SIGKILL). With restart=SECONDS it is started again after it dies, as a
    container runtime does with a sidecar, until stop() or hold(); needs=PATH delays each start until PATH exists."""

    def __init__(self, name: str, ns: Netns, argv: list[str], log: str, restart: float | None = None,
                 needs: str | None = None, env: dict | None = None):
        self.name, self.ns, self.argv, self.log = name, ns, argv, log
        self.restart, self.needs = restart, needs
        self.env = {**os.environ, **(env or {})}
        self.process: subprocess.Popen | None = None
        self.starts = 0
        self._wanted = threading.Event()
        self._changed = threading.Condition()
        self._supervisor: threading.Thread | None = None
        _all.add(self)

    # State

    @property
    def running(self) -> bool:
        process = self.process
        return process is not None and process.poll() is None

    @property
    def pid(self) -> int:
        if not self.running:
            raise LabError(f"{self.name} is not running\n{self.tail()}")
        return self.process.pid

    def expect_alive(self):
        """An error when it was started and has ended by itself."""
        if self._wanted.is_set() and self.restart is None and not self.running:
            raise Broken(f"{self.name} ended with status {self.process.returncode}\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                return "".join(f"    {self.name}| {line.rstrip()}\n" for line in file.readlines()[-lines:]).rstrip()
        except FileNotFoundError:
            return f"    {self.name}| (no log)"

    def log_text(self) -> str:
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    # Life

    def start(self):
        if self._wanted.is_set() and (self.restart is not None or self.running):
            return self
        self._wanted.set()
        if self.restart is None:
            self._spawn()
        else:
            self._supervisor = threading.Thread(target=self._supervise, name=self.name, daemon=True)
            self._supervisor.start()
        return self

    def stop(self, timeout: float = 10) -> int | None:
        """SIGTERM, and no restart. Returns the exit status, negative for a signal."""
        return self._end(signal.SIGTERM, timeout)

    def hold(self):
        """SIGKILL, and no restart until start()."""
        return self._end(signal.SIGKILL, 5)

    def kill(self):
        """SIGKILL; a supervisor starts it again. Returns when it is dead."""
        process = self.process
        if process is None or process.poll() is not None:
            raise LabError(f"{self.name} was not running when it should be killed\n{self.tail()}")
        process.kill()
        process.wait()
        if self.restart is None:
            self._wanted.clear()

    def signal(self, number: int):
        os.kill(self.pid, number)

    def _end(self, number: int, timeout: float) -> int | None:
        self._wanted.clear()
        with self._changed:
            self._changed.notify_all()
        process = self.process
        if process is not None and process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                if number == signal.SIGTERM:
                    raise LabError(f"{self.name} did not end within {timeout:g} s of SIGTERM\n{self.tail()}") from None
        if self._supervisor is not None:
            self._supervisor.join(5)
            self._supervisor = None
        return process.returncode if process is not None else None

    def _spawn(self):
        with open(self.log, "ab") as log:
            self.process = self.ns.popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env,
                                         start_new_session=True)
        self.starts += 1

    def _pause(self, seconds: float):
        with self._changed:
            if self._wanted.is_set():
                self._changed.wait(seconds)

    def _supervise(self):
        while self._wanted.is_set():
            if self.needs and not os.path.exists(self.needs):
                self._pause(0.1)
                continue
            self._spawn()
            self.process.wait()
            self._pause(self.restart)


@atexit.register
def _end_all():
    for daemon in list(_all):
        daemon._wanted.clear()
    for daemon in list(_all):
        if daemon.running:
            daemon.process.kill()
            daemon.process.wait()


def forget(daemon: Daemon):
    _all.discard(daemon)
