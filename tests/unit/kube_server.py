#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
A server that misbehaves on request, for the tests of agent/kube's client: kube_server.py CERTS RECORDINGS

It listens on loopback ports of the kernel's choice, prints "NAME PORT" for each and then "ready", and ends
with its standard input. The path of a request says what is done to it, see the methods do_*.

  tls      certificate for 127.0.0.1, ::1 and api.test     h2       the same, with HTTP/2
  name     certificate for other.test only                 foreign  certificate of another CA
  plain    HTTP without TLS                                mute     accepts, and says nothing
  reset    accepts, and hangs up a little later
"""
import gzip
import json
import os
import pathlib
import socket
import ssl
import sys
import threading
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions

CERTS, RECORDINGS = map(pathlib.Path, sys.argv[1:3])
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

counted = threading.Lock()
connections = 0
open_now = [0]
seen = {}  # path -> requests


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def answer(status, body, *headers):
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def status_object(code, reason):
    return json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": f"it is {reason}",
                       "reason": reason, "code": code}).encode()


HOSTILE = {
    "http09": b"hello\r\n",
    "version": b"HTTP/7.3 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "code": b"HTTP/1.1 9999999999 OK\r\nContent-Length: 2\r\n\r\n{}",
    "no-code": b"HTTP/1.1 \r\n\r\n",
    "informational": b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" * 20000,
    "many-headers": b"HTTP/1.1 200 OK\r\n" + b"X-A: %s\r\n" % (b"a" * 1000) * 1000 + b"\r\n",
    "long-header": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 2000000 + b"\r\n\r\n",
    "nul-header": b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 2\r\n\r\n{}",
    "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 90\r\n\r\n{}",
    "negative-length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
    "chunk-size": CHUNKED + b"zz\r\n{}\r\n",
    "huge-chunk": CHUNKED + b"ffffffffffffffffffff\r\n{}\r\n",
    "not-gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n{{{{",
    "encodings": b"HTTP/1.1 200 OK\r\nContent-Encoding: " + b"gzip," * 500 + b"gzip\r\nContent-Length: 2\r\n\r\n{}",
    "escape": answer("403 Forbidden", b"\x1b[2J\x07 you shall\x00 not\nsecond line", "Content-Type: text/plain"),
    "nested": answer("500 Internal Server Error", b'{"a":' * 100000),
    "redirect": answer("302 Found", b"", "Location: /echo"),
    "endless": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}",
    "early": b"HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n" + answer("503 Whatever", b""),
    "switch": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
}


class Http1:
    def __init__(self, sock, number):
        self.sock, self.number = sock, number
        self.file = sock.makefile("rb")
        self.peer = ""
        if isinstance(sock, ssl.SSLSocket) and sock.getpeercert():
            self.peer = dict(x[0] for x in sock.getpeercert()["subject"])["commonName"]

    def serve(self):
        while True:
            line = self.file.readline().decode().split()
            if len(line) != 3:
                return
            self.method, self.path = line[:2]
            self.headers = {}
            while (head := self.file.readline().decode().strip()):
                name, value = head.split(":", 1)
                self.headers[name.lower()] = value.strip()
            self.body = self.file.read(int(self.headers.get("content-length", 0)))
            with counted:
                self.times = seen[self.path] = seen.get(self.path, 0) + 1
            do, *args = self.path.split("?")[0].strip("/").split("/")
            if getattr(self, "do_" + do.replace("-", "_"))(*args):
                return

    def send(self, data):
        self.sock.sendall(data)

    def reset(self):
        """Away without TLS's close_notify."""
        raw = socket.socket(fileno=os.dup(self.sock.fileno()))
        raw.shutdown(socket.SHUT_RDWR)
        raw.close()
        return True

    def do_echo(self, *_):
        """What came, as JSON."""
        self.send(answer("200 OK", json.dumps({
            "method": self.method, "path": self.path, "headers": self.headers, "body": self.body.decode(),
            "peer": self.peer, "connection": self.number, "open": open_now[0],
            "sni": getattr(self.sock, "sni", None)}).encode()))

    def do_times(self, *path):
        """How often that path was asked for."""
        self.send(answer("200 OK", b"%d" % seen.get("/" + "/".join(path), 0)))

    def do_auth(self, token):
        """Only for the bearer of this token."""
        if self.headers.get("authorization") == f"Bearer {token}":
            self.do_echo()
        else:
            self.send(answer("401 Unauthorized", status_object(401, "Unauthorized")))

    def do_file(self, name):
        """A recorded answer, byte by byte as it came, in pieces of odd sizes."""
        data = (RECORDINGS / name).read_bytes()
        for at in range(0, len(data), 997):
            self.send(data[at:at + 997])
        return b"\r\nConnection: close\r\n" in data

    def do_cut(self, name, count):
        """The first bytes of a recorded answer."""
        self.send((RECORDINGS / name).read_bytes()[:int(count)])
        return self.reset()

    def do_code(self, code, *words):
        """An answer of this code, with a header "NAME: VALUE" of the words."""
        headers = [f"{words[0]}: {' '.join(words[1:]).replace('_', ' ')}"] if words else []
        self.send(answer(f"{code} Whatever", b"", *headers))

    def do_hostile(self, name):
        try:
            self.send(HOSTILE[name])
            time.sleep(0.05)
        except OSError:
            pass
        return True

    def do_silent(self, *_):
        """No answer; until the other side gives up."""
        self.file.read(1)
        return True

    def do_stall(self, *_):
        """A stream that begins, and then nothing."""
        self.send(CHUNKED + chunk(b'{"type":"ADDED"}\n'))
        return self.do_silent()

    def do_drip(self, count, seconds):
        """A stream of so many pieces with a pause after each."""
        self.send(CHUNKED)
        for i in range(int(count)):
            self.send(chunk(b'{"n":%d}\n' % i))
            time.sleep(float(seconds))
        self.send(b"0\r\n\r\n")

    def do_large(self, size):
        self.send(answer("200 OK", b"x" * int(size)))

    def do_gzip(self, size):
        """Compressed where that was asked for."""
        data, headers = b"x" * int(size), []
        if self.headers.get("accept-encoding") == "gzip":
            data, headers = gzip.compress(data), ["Content-Encoding: gzip"]
        self.send(answer("200 OK", data, *headers))

    def do_once(self, *_):
        """The first time an answer, then the connection ends in the request."""
        if self.times > 1:
            return self.reset()
        self.do_echo()

    def do_last(self, *_):
        """An answer, and then the connection is closed."""
        self.do_echo()
        return True


class Http2:
    """Only GET; /stall begins and stays, /goaway announces the connection's end, two of /pair are
    answered in one piece, all else is echoed."""

    def __init__(self, sock, number):
        self.sock, self.number = sock, number
        self.pair = []
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))

    def serve(self):
        self.h2.initiate_connection()
        self.sock.sendall(self.h2.data_to_send())
        while data := self.sock.recv(65536):
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    self.reply(event.stream_id, dict(event.headers))
            self.sock.sendall(self.h2.data_to_send())

    def reply(self, stream, headers):
        if headers[":path"] == "/pair" and not self.pair:
            self.pair.append((stream, headers))
            return
        while self.pair:
            self.echo(*self.pair.pop())
        self.echo(stream, headers)

    def echo(self, stream, headers):
        self.h2.send_headers(stream, [(":status", "200")])
        body = json.dumps({"http": 2, "headers": headers, "connection": self.number}).encode()
        self.h2.send_data(stream, body, end_stream=headers[":path"] != "/stall")
        if headers[":path"] == "/goaway":
            self.h2.close_connection()


def tls(name, h2_too=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTS / f"{name}.crt", CERTS / f"{name}.key")
    context.load_verify_locations(CERTS / "ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL

    def note(sock, server_name, _):
        sock.sni = server_name
    context.sni_callback = note
    context.set_alpn_protocols(["h2", "http/1.1"] if h2_too else ["http/1.1"])
    return context


def serve(name, sock, context, number):
    try:
        with counted:
            open_now[0] += 1
        if name == "reset":
            time.sleep(0.3)
            return
        if context:
            sock = context.wrap_socket(sock, server_side=True)
        h2_chosen = context and sock.selected_alpn_protocol() == "h2"
        (Http2 if h2_chosen else Http1)(sock, number).serve()
    except (OSError, AttributeError, ValueError, h2.exceptions.ProtocolError):
        pass
    finally:
        with counted:
            open_now[0] -= 1
        sock.close()


def listen(name, context, family=socket.AF_INET, address="127.0.0.1"):
    listener = socket.socket(family)
    listener.bind((address, 0))
    listener.listen(64)
    print(name, listener.getsockname()[1])

    def accept():
        global connections
        kept = []
        while True:
            sock, _ = listener.accept()
            with counted:
                connections += 1
                number = connections
            if name == "mute":
                kept.append(sock)
            else:
                threading.Thread(target=serve, args=(name, sock, context, number), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()


def main():
    listen("tls", tls("server"))
    listen("tls6", tls("server"), socket.AF_INET6, "::1")
    listen("h2", tls("server", True))
    listen("name", tls("name"))
    listen("foreign", tls("foreign"))
    listen("plain", None)
    listen("mute", None)
    listen("reset", None)
    print("ready", flush=True)
    sys.stdin.read()


main()
