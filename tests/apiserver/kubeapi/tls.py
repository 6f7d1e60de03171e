# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of keys: a CA, the server's certificate for all its addresses, a client's, a token and a kubeconfig; made
by openssl(1) where they are not there yet."""

from __future__ import annotations

import ipaddress
import os
import secrets
import ssl
import subprocess


def _openssl(*arguments: str):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


def _sign(folder: str, name: str, subject: str, *extensions: str):
    path, ca = os.path.join(folder, name), os.path.join(folder, "ca")
    added = [each for extension in ("basicConstraints=critical,CA:FALSE", *extensions) for each in ("-addext", extension)]
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj",
             subject, "-keyout", path + ".key", "-out", path + ".crt", "-CA", ca + ".crt", "-CAkey", ca + ".key", *added)


def make_ca(folder: str):
    os.makedirs(folder, exist_ok=True)
    ca = os.path.join(folder, "ca")
    if not os.path.exists(ca + ".crt"):
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
                 "-keyout", ca + ".key", "-out", ca + ".crt", "-subj", "/CN=test-apiserver-ca")


def make(folder: str, addresses: list[str], names: list[str]):
    """What is missing of ca, server, client (system:masters), token."""
    make_ca(folder)
    if not os.path.exists(os.path.join(folder, "server.crt")):
        listed = ["DNS:" + name for name in names] + ["IP:" + str(ipaddress.ip_address(each)) for each in addresses]
        _sign(folder, "server", "/CN=kube-apiserver", "extendedKeyUsage=serverAuth", "subjectAltName=" + ",".join(listed))
    if not os.path.exists(os.path.join(folder, "client.crt")):
        make_client(folder, "client", "admin", "system:masters")
    token = os.path.join(folder, "token")
    if not os.path.exists(token):
        with open(token, "w", encoding="utf-8") as file:
            file.write("admin-" + secrets.token_hex(8) + "\n")


def make_client(folder: str, name: str, user: str, group: str = ""):
    """name.crt and name.key, for a user."""
    subject = (f"/O={group}" if group else "") + f"/CN={user}"
    _sign(folder, name, subject, "extendedKeyUsage=clientAuth")


def write_kubeconfig(folder: str, url: str):
    with open(os.path.join(folder, "token"), encoding="utf-8") as file:
        token = file.read().strip()
    with open(os.path.join(folder, "kubeconfig"), "w", encoding="utf-8") as file:
        file.write(f"""apiVersion: v1
kind: Config
current-context: test
contexts:
- name: test
  context: {{cluster: test, user: admin}}
clusters:
- name: test
  cluster: {{server: "{url}", certificate-authority: ca.crt}}
users:
- name: admin
  user: {{token: "{token}"}}
""")


def context(folder: str, http2: bool) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(os.path.join(folder, "server.crt"), os.path.join(folder, "server.key"))
    made.load_verify_locations(os.path.join(folder, "ca.crt"))
    made.verify_mode = ssl.CERT_OPTIONAL
    made.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
    return made
