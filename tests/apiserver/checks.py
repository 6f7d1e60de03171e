# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the server as a program: curl over both HTTPs, each fault, RBAC, many objects, watches under load."""

from __future__ import annotations

import asyncio
import glob
import json
import os
import socket
import ssl
import subprocess
import tempfile
import time

import h2.connection
import h2.events
import yaml

from kubeapi import faults
from kubeapi.process import ApiServer, ControlError

SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
           "spec": {"ports": [{"name": "http", "port": 80}], "selector": {"app": "web"}}}


class Failure(AssertionError):
    """A check that did not hold."""


def same(got, wanted, what: str):
    if got != wanted:
        raise Failure(f"{what}: {str(got)[:300]!r}, expected {str(wanted)[:300]!r}")


def holds(condition, what: str):
    if not condition:
        raise Failure(what)


def token(api: ApiServer) -> str:
    with open(os.path.join(api.tls_dir, "token"), encoding="utf-8") as file:
        return file.read().strip()


def command(api: ApiServer, *options: str, bearer: str | None = None) -> list[str]:
    return ["curl", "-sS", "-A", "weftd/test", "--cacert", os.path.join(api.tls_dir, "ca.crt"), "-H",
            f"Authorization: Bearer {bearer or token(api)}", *options]


def curl(api: ApiServer, path: str, *options: str, http: str = "--http1.1", bearer: str | None = None, timeout: int = 20):
    """(exit status, HTTP status, body)"""
    done = subprocess.run(command(api, http, "-m", str(timeout), "-w", "\n%{http_code} %{http_version}", *options,
                                  api.url + path, bearer=bearer), capture_output=True, text=True, check=False)
    body, _, last = done.stdout.rpartition("\n")
    code, version = last.split()
    if done.returncode == 0 and code != "000":
        same(version[0], http.removeprefix("--http")[0], "HTTP version")
    return done.returncode, int(code), body


def connect(api: ApiServer, path: str | None, alpn: str = "http/1.1"):
    """A TLS connection on which a GET was sent, for looking at bytes."""
    context = ssl.create_default_context(cafile=os.path.join(api.tls_dir, "ca.crt"))
    context.set_alpn_protocols([alpn])
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    host, port = api.url.removeprefix("https://").rsplit(":", 1)
    made = context.wrap_socket(socket.create_connection((host, int(port)), 20), server_hostname="localhost",
                               suppress_ragged_eofs=False)
    if path is None:
        return made
    made.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: weftd\r\nAuthorization: Bearer {token(api)}\r\n\r\n".encode())
    return made


def read_all(sock) -> tuple[bytes, str]:
    """What came, and how it ended: "closed", "cut" (no close_notify), "reset", "silence"."""
    data = bytearray()
    while True:
        try:
            part = sock.recv(65536)
        except ssl.SSLError:
            return bytes(data), "cut"
        except ConnectionResetError:
            return bytes(data), "reset"
        except (TimeoutError, socket.timeout):
            return bytes(data), "silence"
        if not part:
            return bytes(data), "closed"
        data += part


# -- tests: functions of a server; their docstring is what they show

def test_curl(api: ApiServer):
    """curl by HTTP/1.1 and HTTP/2: list, get, create, merge patch, delete, watch; CA and name verified"""
    for http in ("--http1.1", "--http2"):
        _, code, body = curl(api, "/api/v1/namespaces/default/services", "-H", "Content-Type: application/json", "-d",
                             json.dumps(SERVICE), http=http)
        same(code, 201, "create")
        made = json.loads(body)
        _, code, body = curl(api, "/api/v1/namespaces/default/services/web", "-X", "PATCH", "-H",
                             "Content-Type: application/merge-patch+json", "-d", '{"metadata":{"labels":{"a":"b"}}}', http=http)
        same((code, json.loads(body)["metadata"]["labels"]), (200, {"a": "b"}), "patch")
        listed = json.loads(curl(api, "/api/v1/services?fieldSelector=metadata.name%3Dweb", http=http)[2])["items"]
        same([item["metadata"]["uid"] for item in listed], [made["metadata"]["uid"]], "listed")
        _, code, _ = curl(api, "/api/v1/namespaces/default/services/web", "-X", "DELETE", http=http)
        same(code, 200, "delete")
        rv = made["metadata"]["resourceVersion"]
        _, code, body = curl(api, f"/api/v1/services?watch=1&resourceVersion={rv}&timeoutSeconds=1", http=http)
        same([json.loads(line)["type"] for line in body.splitlines()], ["MODIFIED", "DELETED"], "watch")
    other = subprocess.run(["curl", "-sS", api.url + "/version"], capture_output=True, text=True, check=False)
    same(other.returncode, 60, "curl without the CA")
    pretty = subprocess.run(["curl", "-sS", "--cacert", os.path.join(api.tls_dir, "ca.crt"), api.url + "/version"],
                            capture_output=True, text=True, check=False)
    same(json.loads(pretty.stdout)["minor"], "36", "version")


def test_http2_parallel(api: ApiServer):
    """ten watches and a list share one HTTP/2 connection"""
    paths = [f"{api.url}/api/v1/services?watch=1&timeoutSeconds=1&x={i}" for i in range(10)] + [f"{api.url}/api/v1/nodes"]
    api.stats(reset=True)
    outputs = [each for path in paths for each in ("-o", "/dev/null", path)]
    done = subprocess.run(command(api, "-Z", "--http2", "-w", "%{http_code}\n", *outputs), capture_output=True, text=True,
                          timeout=30, check=False)
    same(done.stdout.split(), ["200"] * 11, "statuses")
    counts = api.stats()["counts"]
    same(counts["all"]["requests"], 11, "requests")
    same(counts["127.0.0.1"]["connections"], 1, "connections")


def test_http2_window(api: ApiServer):
    """an HTTP/2 client with a small window gets a large answer whole"""
    api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "large"}, "data": {"a": "x" * 400000}})
    with connect(api, None, "h2") as sock:
        session = h2.connection.H2Connection()
        session.initiate_connection()
        session.send_headers(1, [(":method", "GET"), (":path", "/api/v1/namespaces/default/configmaps/large"),
                                 (":scheme", "https"), (":authority", "x"), ("authorization", "Bearer " + token(api))],
                             end_stream=True)
        body, ended = b"", False
        while not ended:
            sock.sendall(session.data_to_send())
            for event in session.receive_data(sock.recv(65536)):
                if isinstance(event, h2.events.DataReceived):
                    body += event.data
                    session.acknowledge_received_data(event.flow_controlled_length, 1)
                ended = ended or isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset))
    same(len(json.loads(body)["data"]["a"]), 400000, "bytes")


def test_conditions(api: ApiServer):
    """a strategic merge patch of a Node's conditions changes its own and leaves the kubelet's; a merge patch does not"""
    path, kubelet = "/api/v1/nodes/node-00001/status", ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"]

    def patch(kind: str, status: str):
        _, code, body = curl(api, path, "-X", "PATCH", "-H", f"Content-Type: application/{kind}-patch+json", "-d", json.dumps(
            {"status": {"conditions": [{"type": "NetworkUnavailable", "status": status, "reason": "weft"}]}}))
        same(code, 200, body[:200])
        found = [(each["type"], each["status"]) for each in json.loads(body)["status"]["conditions"]]
        return [each for each in found if each[0] not in kubelet], [each[0] for each in found if each[0] in kubelet]

    for status in ("False", "True", "True"):
        same(patch("strategic-merge", status), ([("NetworkUnavailable", status)], kubelet), "strategic")
    same(patch("merge", "False"), ([("NetworkUnavailable", "False")], []), "merge")


def test_cut(api: ApiServer):
    """cut after N bytes: so many bytes of the body, then no close_notify, RST or close_notify as told"""
    # Not every kernel tells a reader behind the last bytes of an RST.
    for how, wanted in (("abruptly", ("cut",)), ("reset", ("reset", "cut")), ("orderly", ("closed",))):
        api(f"cut list services after 100 bytes {how} once")
        with connect(api, "/api/v1/services") as sock:
            data, end = read_all(sock)
        body = data.partition(b"\r\n\r\n")[2]
        same(len(body), 100, f"bytes of a list cut {how}")
        holds(end in wanted, f"a list cut {how} ended as {end}")
    same(curl(api, "/api/v1/services")[1], 200, "afterwards")
    api("cut watch services after 50 bytes 2 times")
    for _ in range(2):
        same(curl(api, "/api/v1/services?watch=1&timeoutSeconds=5", http="--http2")[0] != 0, True, "HTTP/2 cut")
    same(curl(api, "/api/v1/services?watch=1&timeoutSeconds=1", http="--http2")[0], 0, "the third")


def test_stall(api: ApiServer):
    """stall and hang: the connection stays and nothing comes; the others go on"""
    api("stall list services after 10 bytes once")
    with connect(api, "/api/v1/services") as sock:
        sock.settimeout(3)
        data, end = read_all(sock)
    same((len(data.partition(b"\r\n\r\n")[2]), end), (10, "silence"), "stall")
    api("hang get once")
    same(curl(api, "/api/v1/namespaces/default", timeout=4)[0], 28, "hang (curl's time limit)")
    same(curl(api, "/api/v1/namespaces/default")[1], 200, "afterwards")


def test_answers(api: ApiServer):
    """scripted answers: codes, Retry-After, plain text, garbage; only for whom they are meant"""
    api("answer 429 to list services retry after 7 s once")
    _, code, head = curl(api, "/api/v1/services", "-i")
    same((code, "Retry-After: 7" in head, '"retryAfterSeconds":7' in head), (429, True, True), "429")
    api('answer 502 "Bad Gateway" to list services user=nobody')
    same(curl(api, "/api/v1/services")[1], 200, "another user's fault")
    api("clear")
    api('answer 503 "apiserver is shutting down" to any 2 times')
    same([curl(api, "/readyz")[1:] for _ in range(3)], [(503, "apiserver is shutting down\n")] * 2 + [(200, "ok")], "503")
    api("garbage list once")
    same("hotel" in curl(api, "/api/v1/services")[2], True, "garbage")
    api("403 for 60 s")
    same(curl(api, "/api/v1/services")[1], 403, "403 while it starts")
    api("clear")
    same(curl(api, "/api/v1/services")[1], 200, "started")


def test_slow(api: ApiServer):
    """slow and delay: the bytes take their time"""
    api("slow list services to 20000 bytes/s once")
    began = time.monotonic()
    body = curl(api, "/api/v1/services")[2]
    holds(time.monotonic() - began > len(body) / 20000 * 0.7, "slow: it was too fast")
    api("delay get by 300 ms once")
    began = time.monotonic()
    curl(api, "/api/v1/namespaces/default")
    holds(time.monotonic() - began > 0.3, "delay: it was too fast")


def test_expire(api: ApiServer):
    """expire: an old watch gets 410 in a 200 stream, of the named resource alone; continue tokens expire if told"""
    rv = api.stats()["rv"]
    api.apply({**SERVICE, "metadata": {"name": "fresh", "namespace": "default"}})
    api("expire resourceVersions of services")
    _, code, body = curl(api, f"/api/v1/services?watch=1&resourceVersion={rv}&timeoutSeconds=5")
    event = json.loads(body)
    same((code, event["type"], event["object"]["code"], event["object"]["reason"]), (200, "ERROR", 410, "Expired"), "watch")
    same(curl(api, f"/api/v1/nodes?watch=1&resourceVersion={rv}&timeoutSeconds=1")[2], "", "another resource")
    page = json.loads(curl(api, "/api/v1/services?limit=1")[2])["metadata"]["continue"]
    api("touch services 1")
    api("expire continue tokens")
    _, code, body = curl(api, f"/api/v1/services?limit=1&continue={page}")
    again = json.loads(body)["metadata"]["continue"]
    same(code, 410, "continue")
    same(curl(api, f"/api/v1/services?limit=500&continue={again}")[1], 200, "the inconsistent rest")


def test_restart(api: ApiServer):
    """stop, refuse, restart: connections are refused, cut or ended orderly; objects stay, history goes"""
    path = f"/api/v1/services?watch=1&resourceVersion={api.stats()['rv']}"
    with connect(api, path) as sock:
        api.wait_watched("services")
        api("stop orderly")
        data, end = read_all(sock)
    same((data[-5:], end), (b"0\r\n\r\n", "closed"), "orderly")
    same(curl(api, "/readyz")[0], 7, "refused")
    api("touch services")
    api("start with new history 403 for 60 s")
    same(curl(api, "/api/v1/services")[1], 403, "first answer")
    api("clear")
    holds(json.loads(curl(api, "/api/v1/services")[2])["items"], "the objects are gone")
    with connect(api, path) as sock:
        holds(b'"code":410' in read_until(sock, b"0\r\n\r\n"), "no 410 after the start")
    with connect(api, "/api/v1/services?watch=1") as sock:
        api.wait_watched("services")
        api("restart")
        same(read_all(sock)[1], "cut", "restart")
    api("refuse connections")
    same(curl(api, "/readyz")[0], 7, "refused")
    api("accept connections")
    same(curl(api, "/readyz")[1], 200, "accepted")


def test_half_open(api: ApiServer):
    """half-open: connections are accepted and stay silent, open ones too, until thaw"""
    with connect(api, "/api/v1/services?watch=1") as sock:
        api.wait_watched("services")
        sock.recv(4096)
        api("half-open")
        api.apply({**SERVICE, "metadata": {"name": "unheard", "namespace": "default"}})
        sock.settimeout(0.5)
        same(read_all(sock)[1], "silence", "an open watch")
        same(curl(api, "/readyz", timeout=1)[0], 28, "a new connection (time limit)")
        api("thaw")
        sock.settimeout(10)
        holds(b"unheard" in sock.recv(65536), "the event after the thaw")
    same(curl(api, "/readyz")[1], 200, "afterwards")


def test_tokens(api: ApiServer):
    """tokens are revoked and added; 401 is a Status"""
    api("add token secret of somebody")
    same(curl(api, "/api/v1/services", bearer="secret")[1], 200, "added")
    api("revoke token somebody")
    _, code, body = curl(api, "/api/v1/services", bearer="secret")
    same((code, json.loads(body)["reason"]), (401, "Unauthorized"), "revoked")


def test_http2_switch(api: ApiServer):
    """http2 off: ALPN gives HTTP/1.1"""
    api("http2 off")
    with connect(api, "/readyz", "h2") as sock:
        same(sock.selected_alpn_protocol(), None, "off")
    api("http2 on")
    with connect(api, "/readyz", "h2") as sock:
        same(sock.selected_alpn_protocol(), "h2", "on")


def test_bookmarks(api: ApiServer):
    """bookmarks come at the interval, when something advanced, and before the end"""
    api("bookmarks every 300 ms")
    rv = api.stats()["rv"]
    watch = subprocess.Popen(command(api, f"{api.url}/api/v1/nodes?watch=1&allowWatchBookmarks=true&resourceVersion={rv}"
                                     "&timeoutSeconds=4"), stdout=subprocess.PIPE, text=True)
    api.wait_watched("nodes")
    api.apply({**SERVICE, "metadata": {"name": "elsewhere", "namespace": "default"}})
    lines = [json.loads(line) for line in watch.communicate(timeout=20)[0].splitlines()]
    api("bookmarks every 60 s")
    same([line["type"] for line in lines], ["BOOKMARK"], "events")
    same(int(lines[0]["object"]["metadata"]["resourceVersion"]) > rv, True, "it advanced")


def test_error_events(api: ApiServer):
    """error events: told in open watches, which end then; a reset HTTP/2 stream leaves its connection alone"""
    with connect(api, "/api/v1/services?watch=1&resourceVersion=0") as sock:
        api.wait_watched("services")
        api("error 500 in watches of services")
        data = read_until(sock, b"0\r\n\r\n")
    same((b'"type":"ERROR"' in data, b'"code":500' in data), (True, True), "the event")
    api("cut watch after 10 bytes stream once")
    api.stats(reset=True)
    paths = (f"{api.url}/api/v1/services?watch=1&timeoutSeconds=9", f"{api.url}/readyz")
    done = subprocess.run(command(api, "--http2", "-w", " %{http_code}", *paths), capture_output=True, text=True, check=False)
    same((done.stdout[-6:], "INTERNAL_ERROR" in done.stderr), ("ok 200", True), "the stream and the next: " + done.stderr)
    same(api.stats()["counts"]["127.0.0.1"]["connections"], 1, "connections")


def test_goaway(api: ApiServer):
    """goaway: an HTTP/2 connection's streams go on to their end, then it is closed"""
    watch = subprocess.Popen(command(api, "--http2", f"{api.url}/api/v1/nodes?watch=1&resourceVersion={api.stats()['rv']}"
                                     "&timeoutSeconds=4"), stdout=subprocess.PIPE, text=True)
    api.wait_watched("nodes")
    api("goaway")
    api("touch nodes")
    out = watch.communicate(timeout=20)[0]
    same((watch.returncode, json.loads(out)["type"]), (0, "MODIFIED"), "the watch")


def test_large(api: ApiServer):
    """bodies above 3 MiB get 413, objects above etcd's limit a 500"""
    for http in ("--http1.1", "--http2"):
        for size, wanted in ((3300000, 413), (1700000, 500), (1000, 201)):
            with tempfile.NamedTemporaryFile("w") as file:
                json.dump({"metadata": {"generateName": "big-"}, "data": {"a": "x" * size}}, file)
                file.flush()
                _, code, body = curl(api, "/api/v1/namespaces/default/configmaps", "-H", "Content-Type: application/json",
                                     "--data-binary", "@" + file.name, http=http)
            same(code, wanted, f"{size} bytes by {http}: {body[:200]}")


def test_crds(api: ApiServer):
    """uninstall: DELETED, the watch ends, then a text/plain 404; install brings it back"""
    pool = {"apiVersion": "weft.dev/v1alpha1", "kind": "IPPool", "metadata": {"name": "p"}, "spec": {}}
    api.apply(pool)
    with connect(api, "/apis/weft.dev/v1alpha1/ippools?watch=1") as sock:
        api.wait_watched("ippools")
        api("uninstall weft")
        same(b'"type":"DELETED"' in read_until(sock, b"0\r\n\r\n"), True, "DELETED, then the end")
    same(curl(api, "/apis/weft.dev/v1alpha1/ippools")[1:], (404, "404 page not found\n"), "uninstalled")
    api("install weft")
    same(curl(api, "/apis/weft.dev/v1alpha1/ippools")[1], 200, "installed")


def read_until(sock, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        part = sock.recv(65536)
        holds(part, f"closed after {data[-100:]!r}")
        data += part
    return data


def test_plain_http(api: ApiServer):
    """HTTP on the TLS port and malformed requests get what a real server says"""
    host, port = api.url.removeprefix("https://").rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        same(sock.recv(4096), b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", "plain")
    for sent, wanted in ((b"GARBAGE\r\n\r\n", b"400 Bad Request"),
                         (b"GET /version HTTP/1.1\r\n\r\n", b"400 Bad Request: missing required Host header")):
        context = ssl.create_default_context(cafile=os.path.join(api.tls_dir, "ca.crt"))
        with context.wrap_socket(socket.create_connection((host, int(port)), 10), server_hostname="localhost") as sock:
            sock.sendall(sent)
            data, end = read_all(sock)
            same((data.startswith(b"HTTP/1.1 " + wanted + b"\r\n"), end), (True, "closed"), repr(sent))


def test_sentences(_api: ApiServer):
    """every sentence of README.md is understood, others are refused"""
    with open(os.path.join(os.path.dirname(os.path.realpath(__file__)), "README.md"), encoding="utf-8") as file:
        text = file.read().split("## The control socket")[1].split("JSON:")[0]
    count = 0
    for line in text.splitlines():
        if line.startswith("\t"):
            for part in line.strip().replace("  ", "\n").split("\n"):
                for sentence in filter(None, (each.strip() for each in part.split(" | "))):
                    faults.understand(sentence)
                    count += 1
    holds(count >= 30, f"only {count} sentences found")
    for wrong in ("", "cut", "cut watch after bytes", "explode", "answer 4290 to list", "slow list to fast"):
        try:
            faults.understand(wrong)
        except faults.Unclear:
            continue
        raise Failure(f"understood: {wrong!r}")


def test_errors_on_control(api: ApiServer):
    """the control socket says what is wrong"""
    for ask in (lambda: api("nonsense"), lambda: api.apply({"kind": "Nothing", "apiVersion": "v1", "metadata": {}}),
                lambda: api.apply({**SERVICE, "metadata": {"name": "Bad_Name"}}), lambda: api("load /nonexistent")):
        try:
            ask()
        except ControlError:
            continue
        raise Failure("no error")


TESTS = [value for name, value in list(globals().items()) if name.startswith("test_")]

ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: agent}
rules:
- {apiGroups: [""], resources: [services, nodes], verbs: [list, watch]}
- {apiGroups: [""], resources: [nodes/status], verbs: [patch]}
- {apiGroups: [weft.dev], resources: [ippools/status], verbs: [patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: secret, namespace: kube-system}
rules:
- {apiGroups: [""], resources: [secrets], resourceNames: [bgp], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: agent}
roleRef: {kind: ClusterRole, name: agent, apiGroup: rbac.authorization.k8s.io}
subjects: [{kind: ServiceAccount, name: weft, namespace: kube-system}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: secret, namespace: kube-system}
roleRef: {kind: Role, name: secret, apiGroup: rbac.authorization.k8s.io}
subjects: [{kind: ServiceAccount, name: weft, namespace: kube-system}]
"""
ASKED = (("GET", "/api/v1/services", 200), ("GET", "/api/v1/services?watch=1&timeoutSeconds=1", 200),
         ("GET", "/api/v1/namespaces/default/services/web", 403), ("GET", "/api/v1/pods", 403),
         ("GET", "/api/v1/namespaces/kube-system/secrets", 403), ("GET", "/api/v1/secrets", 403),
         ("GET", "/api/v1/namespaces/kube-system/secrets?fieldSelector=metadata.name%3Dbgp", 200),
         ("GET", "/api/v1/namespaces/kube-system/secrets?fieldSelector=metadata.name%3Dother", 403),
         ("GET", "/api/v1/namespaces/default/secrets?fieldSelector=metadata.name%3Dbgp", 403),
         ("GET", "/api/v1/namespaces/kube-system/secrets/bgp", 404), ("GET", "/version", 200),
         ("PATCH", "/api/v1/nodes/n/status", 404), ("PATCH", "/api/v1/nodes/n", 403),
         ("PATCH", "/apis/weft.dev/v1alpha1/ippools/p/status", 404), ("DELETE", "/apis/weft.dev/v1alpha1/ippools/p", 403))


def check_rbac(folder: str):
    """roles from a file are enforced, with subresources, namespaces and resourceNames by field selector"""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "rbac.yaml"), "w", encoding="utf-8") as file:
        file.write(ROLE)
    with open(os.path.join(folder, "tokens.csv"), "w", encoding="utf-8") as file:
        file.write('agent-token,system:serviceaccount:kube-system:weft,1,"system:serviceaccounts,system:authenticated"\n')
    options = ["--rbac", os.path.join(folder, "rbac.yaml"), "--token", os.path.join(folder, "tokens.csv")]
    with ApiServer(folder, options=options) as api:
        for method, path, wanted in ASKED:
            extra = ["-X", method]
            if method == "PATCH":
                extra += ["-H", "Content-Type: application/merge-patch+json", "-d", "{}"]
            same(curl(api, path, *extra, bearer="agent-token")[1], wanted, f"{method} {path}")
        same(curl(api, "/api/v1/secrets")[1], 200, "system:masters")


def check_many(folder: str):
    """10,000 services, 10,000 slices of 10 endpoints, 5,000 nodes: listed at 100 MB/s, paged, followed by 200 watches"""
    options = ["--generate", "services=10000,endpoints=10,nodes=5000"]
    with ApiServer(folder, options=options) as api:
        told = "\n%{size_download} %{time_total} %{time_starttransfer}\n%{http_code} %{http_version}"
        _, code, head = curl(api, "/apis/discovery.k8s.io/v1/endpointslices", "-o", "/dev/null", "-w", told, timeout=60)
        size, total, first = map(float, head.split()[:3])
        same(code, 200, "list")
        holds(2300 < size / 10000 < 3300, f"{size / 10000:.0f} bytes per slice; a real one of 10 endpoints has 2,590")
        rate = size / 1e6 / (total - first)
        print(f"     {size / 1e6:.1f} MB of slices at {rate:.0f} MB/s, first byte after {first * 1000:.0f} ms")
        services = len(curl(api, "/api/v1/services", timeout=60)[2])
        holds(800 < services / 10000 < 1100, f"{services / 10000:.0f} bytes per Service; a real one has 930")
        items, token_ = 0, ""
        while True:
            page = json.loads(curl(api, f"/api/v1/nodes?limit=2000&continue={token_}")[2])
            items += len(page["items"])
            token_ = page["metadata"].get("continue", "")
            if not token_:
                break
        same(items, 5000, "nodes by pages")
        asyncio.run(_watchers(api, 200))


async def _watchers(api: ApiServer, number: int):
    """All get an event; the slowest's delay is told."""
    context = ssl.create_default_context(cafile=os.path.join(api.tls_dir, "ca.crt"))
    host, port = api.url.removeprefix("https://").rsplit(":", 1)
    rv = api.stats()["rv"]
    request = (f"GET /apis/discovery.k8s.io/v1/endpointslices?watch=1&resourceVersion={rv} HTTP/1.1\r\nHost: x\r\n"
               f"Authorization: Bearer {token(api)}\r\n\r\n").encode()
    streams = []
    for _ in range(number):
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname="localhost")
        writer.write(request)
        await reader.readuntil(b"\r\n\r\n")
        streams.append((reader, writer))
    began = time.monotonic()
    await asyncio.to_thread(api.apply, {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {
        "name": "svc-00000-abcde", "namespace": "default", "labels": {"changed": "yes"}}})
    lines = await asyncio.gather(*(asyncio.wait_for(reader.readuntil(b"}\n"), 30) for reader, _ in streams))
    print(f"     an event reached {number} watches within {(time.monotonic() - began) * 1000:.0f} ms")
    holds(all(b'"MODIFIED"' in line for line in lines), "not all watches got the event")
    for _, writer in streams:
        writer.close()


SCENARIO = """
- answer 503 to list nodes once
- at: 200 ms
  do: [cut watch after 10 bytes once, expire resourceVersions]
- after: 100 ms
  do: http2 off
"""


def check_scenario(folder: str):
    """a scenario file is played at its times; a wrong one is refused at the start"""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "scenario.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(SCENARIO)
    with ApiServer(folder, options=["--scenario", path, "--version", "1.26"]) as api:
        same(curl(api, "/api/v1/nodes")[1], 503, "the first step")
        deadline = time.monotonic() + 20
        while (found := [fault["text"] for fault in api.stats()["faults"]]) != ["cut watch after 10 bytes once"]:
            holds(time.monotonic() < deadline, f"the second step did not come: {found}")
            time.sleep(0.05)
        same(curl(api, "/apis/networking.k8s.io/v1/servicecidrs")[1], 404, "ServiceCIDRs in 1.26")
    with open(path, "a", encoding="utf-8") as file:
        file.write("- do: explode\n")
    try:
        with ApiServer(folder, options=["--scenario", path]):
            raise Failure("a wrong scenario was taken")
    except ControlError:
        pass


def check_deployed(folder: str):
    """the CustomResourceDefinitions of deploy/: the examples are taken, defaults set, unknown fields warned of, limits kept"""
    top = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "deploy")
    crds = sorted(glob.glob(os.path.join(top, "kubernetes", "base", "crds", "*.yaml")))
    holds(len(crds) >= 5, f"CRDs: {crds}")
    with ApiServer(folder, options=[each for path in crds for each in ("--load", path)]) as api:
        count = 0
        for path in glob.glob(os.path.join(top, "examples", "*.yaml")):
            with open(path, encoding="utf-8") as file:
                for obj in yaml.safe_load_all(file):
                    if obj and obj["apiVersion"].startswith("weft.dev/"):
                        api.apply(obj)
                        count += 1
        holds(count >= 5, f"{count} examples")
        pool = {"metadata": {"name": "p"}, "spec": {"cidr": "10.0.0.0/24", "blockSize": 5}}
        send = ("-H", "Content-Type: application/json", "-d")
        _, code, body = curl(api, "/apis/weft.dev/v1alpha1/ippools", *send, json.dumps(pool))
        same((code, json.loads(body)["details"]["causes"][0]["field"]), (422, "spec.blockSize"), "a limit")
        pool["spec"] = {"cidr": "10.0.0.0/24", "bogus": True}
        _, code, body = curl(api, "/apis/weft.dev/v1alpha1/ippools", "-i", *send, json.dumps(pool))
        same((code, 'Warning: 299 - "unknown field \\"spec.bogus\\""' in body, '"bogus"' in body.split("\n\n")[-1]),
             (201, True, False), "an unknown field: " + body)


CHECKS = (check_rbac, check_many, check_scenario, check_deployed)
