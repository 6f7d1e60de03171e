# SPDX-License-Identifier: GPL-2.0-or-later
"""The server as a child process, for tests:

	with ApiServer(folder, "10.0.0.10:6443", prefix=["ip", "netns", "exec", "api"], options=["--version", "1.26"]) as api:
	    api.apply({...})
	    api("cut watch services after 1000 bytes once")
	    api.stats()["counts"]["all"]["requests"]

kubeconfig, ca.crt and token are in api.tls_dir. kill() and run() again is a crash that loses everything;
api("restart") keeps the objects as etcd would.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import threading
import time

SERVE = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "serve")


class ControlError(RuntimeError):
    """The server did not do it."""


class ApiServer:
    def __init__(self, folder: str, *listen: str, prefix=(), options=(), ready_timeout: float = 120):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.tls_dir = folder, os.path.join(folder, "tls")
        self.socket_path, self.log_path = os.path.join(folder, "control"), os.path.join(folder, "requests.log")
        self.listen, self.prefix, self.options = listen or ("127.0.0.1:0",), list(prefix), list(options)
        self.ready_timeout = ready_timeout
        self.process = self.url = None
        self._control = None
        self._lock = threading.Lock()

    def run(self):
        argv = [*self.prefix, SERVE, "--tls-dir", self.tls_dir, "--control", self.socket_path, "--log", self.log_path]
        for each in self.listen:
            argv += ["--listen", each]
        with open(os.path.join(self.folder, "output"), "ab") as output:
            self.process = subprocess.Popen([*argv, *self.options], stdout=subprocess.PIPE, stderr=output,
                                            stdin=subprocess.DEVNULL)
        line = self._first_line()
        if not line.startswith("ready "):
            with open(os.path.join(self.folder, "output"), encoding="utf-8") as file:
                text = file.read()
            self.kill()
            raise ControlError(f"the API server did not start: {line}\n{text}")
        self.url = line.split()[1]
        return self

    def _first_line(self) -> str:
        ready, _, _ = select.select([self.process.stdout], [], [], self.ready_timeout)
        return self.process.stdout.readline().decode() if ready else "nothing said in time"

    def __enter__(self):
        return self.run()

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._end(self.process.terminate if self.process else None)

    def kill(self):
        self._end(self.process.kill if self.process else None)

    def _end(self, how):
        if self._control is not None:
            self._control.close()
            self._control = None
        if self.process is not None:
            how()
            self.process.wait(30)
            self.process.stdout.close()
            self.process = None

    # -- control

    def _ask(self, line: str) -> dict:
        with self._lock:
            if self._control is None:
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                sock.settimeout(120)
                sock.connect(self.socket_path)
                self._control = sock.makefile("rwb")
                sock.close()
            self._control.write(line.encode() + b"\n")
            self._control.flush()
            answer = json.loads(self._control.readline())
        if not answer.pop("ok"):
            raise ControlError(f"{line[:200]}: {answer['error']}")
        return answer

    def __call__(self, sentence: str) -> dict:
        """A sentence of faults.py."""
        return self._ask(" ".join(sentence.split()))

    def do(self, what: str, **words) -> dict:
        return self._ask(json.dumps({"do": what, **words}))

    def apply(self, obj: dict) -> dict:
        """Created, or merged over what is there (null removes), status included."""
        return self.do("apply", object=obj)["object"]

    def replace(self, obj: dict) -> dict:
        """Created, or becomes exactly this."""
        return self.do("replace", object=obj)["object"]

    def delete(self, resource: str, name: str, namespace: str = "default") -> bool:
        return self.do("delete", resource=resource, name=name, namespace=namespace)["deleted"]

    def get(self, resource: str, name: str, namespace: str = "default") -> dict | None:
        return self.do("get", resource=resource, name=name, namespace=namespace)["object"]

    def list(self, resource: str, namespace: str | None = None) -> list[dict]:
        return self.do("list", resource=resource, namespace=namespace)["items"]

    def stats(self, reset: bool = False) -> dict:
        return self.do("stats", reset=reset)

    def requests(self) -> list[dict]:
        """The log so far: finished requests."""
        with open(self.log_path, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def wait_watched(self, resource: str, number: int = 1, timeout: float = 30):
        """Until so many watches of a resource are open."""
        deadline = time.monotonic() + timeout
        while self.stats()["watchers"].get(resource, 0) < number:
            if time.monotonic() > deadline:
                raise ControlError(f"{number} watches of {resource} did not come")
            time.sleep(0.05)
