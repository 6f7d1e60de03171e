# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that people run behind Services: a DNS server over UDP and TCP, a web server, their usual clients."""

import os
import struct

from stage import Stage, wait_routed
from weftlab import Port, check, equal, wait_until
from weftlab.traffic import client_socket

LAB = {"topology": "racks", "services": True, "bfd_ms": 2000}
SHARED = True
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
	access_log off;
	client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
	uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
	server {{ listen 80; listen [::]:80; location / {{ return 200 "{name} $remote_addr\\n"; }} }}
}}
"""


def setup(lab):
    stage = lab.stage = Stage(lab)
    for pod in (stage.near, stage.far):
        folder = f"{lab.directory}/{pod.name}"
        os.makedirs(folder)
        with open(f"{folder}/nginx.conf", "w", encoding="ascii") as file:
            file.write(NGINX.format(folder=folder, name=pod.name))
        lab.program(pod, ["/usr/sbin/nginx", "-c", f"{folder}/nginx.conf", "-p", folder, "-e", f"{folder}/error.log"])
        lab.program(pod, ["/usr/sbin/dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                          "--user=root", "--bind-interfaces", f"--pid-file={folder}/dns.pid",
                          f"--txt-record=who.test,{pod.name}"])


def txt(asker, address, proto, source_port=0):
    """The TXT record of who.test, as a resolver asks for it; "" when nobody answers in time."""
    query = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\3who\4test\0" + struct.pack("!HH", 16, 1)
    with client_socket(asker, address, proto, source_port=source_port) as made:
        made.settimeout(1)
        try:
            made.connect((address, 53))
            made.send(query if proto == "udp" else struct.pack("!H", len(query)) + query)
            data = made.recv(1500)
        except OSError:
            return ""
    # Behind the question: name (a pointer), type, class, TTL, length, and the text with its own length.
    return data[len(query) + (2 if proto == "tcp" else 0) + 13:].decode()


def test_s4_dns_over_udp_and_tcp(lab):
    """As CoreDNS is used: one Service, two protocols, resolvers that keep their port while its pods are replaced."""
    stage = lab.stage
    dns = lab.service("dns", [stage.near, stage.far],
                      ports=[Port(53, name="udp", proto="UDP"), Port(53, name="tcp")])
    for family in lab.families:
        for proto in ("udp", "tcp"):
            seen = set()
            wait_until(lambda: seen.add(txt(stage.asker, dns.vip(family), proto)) or seen >= {"near", "far"}, 20,
                       f"both servers over {proto}")
            equal(seen - {""}, {"near", "far"}, "answers")
    for backend in (stage.near, stage.far) * 3:
        dns.back(backend)
        for family in lab.families:
            wait_until(lambda: txt(stage.lonely, dns.vip(family), "udp", 5353) == backend.name, 10,
                       f"{backend.name} to answer a resolver with a fixed port", 0.02)


def test_nginx_and_curl(lab):
    stage = lab.stage
    web = lab.service("web", [stage.near, stage.far], type="LoadBalancer")
    wait_routed(lab, web.lb(4), web.lb(6))
    for address in (web.lb(4), f"[{web.lb(6)}]"):
        seen = set()

        def curled():
            seen.add(stage.client.ns.run(["curl", "-sS", "-m", "5", f"http://{address}/"], check=False).split(" ")[0])
            return seen >= {"near", "far"}
        wait_until(curled, 20, f"both servers; {seen}")
    several = stage.asker.ns.run(["curl", "-sS", "-m", "5"] + [f"http://{web.vip(4)}/"] * 8).splitlines()
    equal({line.split()[1] for line in several}, {stage.asker.ip4}, "the source that nginx sees of a pod")
    equal(len({line.split()[0] for line in several}), 1, "servers of one kept connection")
