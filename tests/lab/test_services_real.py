# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that people run behind Services: DNS, web servers and proxies, iperf3, and their usual clients."""

import json
import os
import struct

from stage import Stage, wait_routed, wait_virtual
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
	server {{ listen 80; listen [::]:80; location / {{ {action}; }} }}
}}
"""


def nginx(lab, pod, action):
    """A web server in a pod. Returns its folder."""
    folder = f"{lab.directory}/{pod.name}"
    os.makedirs(folder)
    with open(f"{folder}/nginx.conf", "w", encoding="ascii") as file:
        file.write(NGINX.format(folder=folder, action=action))
    lab.program(pod, ["/usr/sbin/nginx", "-c", f"{folder}/nginx.conf", "-p", folder, "-e", f"{folder}/error.log"])
    return folder


def setup(lab):
    stage = lab.stage = Stage(lab)
    for pod in (stage.near, stage.far):
        folder = nginx(lab, pod, f'return 200 "{pod.name} $remote_addr\\n"')
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


def curl(asker, address, times=1):
    """What a web server answers to one client that keeps its connection, line by line; nothing when one request fails."""
    url = f"http://[{address}]/" if ":" in address else f"http://{address}/"
    return asker.ns.run(["curl", "-sSf", "-m", "5"] + [url] * times, check=False).splitlines()


def test_nginx_and_curl(lab):
    stage = lab.stage
    web = lab.service("web", [stage.near, stage.far], type="LoadBalancer")
    wait_routed(lab, web.lb(4), web.lb(6))
    for family in lab.families:
        seen = set()
        wait_until(lambda: seen.update(line.split()[0] for line in curl(stage.client, web.lb(family)))
                   or seen >= {"near", "far"}, 20, f"both servers; {seen}")
    several = curl(stage.asker, web.vip(4), 8)
    equal({line.split()[1] for line in several}, {stage.asker.ip4}, "the source that nginx sees of a pod")
    equal(len({line.split()[0] for line in several}), 1, "servers of one kept connection")


def test_nginx_as_a_reverse_proxy(lab):
    """Two tiers: from outside to a LoadBalancer IP, by one pod's proxy to a ClusterIP, to two servers."""
    stage = lab.stage
    web = lab.service("web", [stage.near, stage.far])
    front = lab.service("front", [stage.lonely], type="LoadBalancer")
    wait_until(lambda: curl(stage.lonely, web.vip(4)), 20, "the servers behind")
    nginx(lab, stage.lonely, f"proxy_pass http://{web.vip(4)}")
    wait_routed(lab, front.lb(4), front.lb(6))
    for family in lab.families:
        wait_until(lambda: curl(stage.client, front.lb(family)), 20, "the proxy to answer")
        answers = curl(stage.client, front.lb(family), 20)
        equal(len(answers), 20, "answers to 20 requests")
        equal({line.split()[1] for line in answers}, {stage.lonely.ip4}, "the source that the servers see: the proxy's")
        equal({line.split()[0] for line in answers}, {"near", "far"}, "the servers behind the proxy")


def test_s4_iperf3_over_each_protocol(lab):
    """A connection for control, another for data: from a pod, the node, another node, and from outside. SCTP from a pod
    only: it tells its peer all addresses of its host, which nobody translates."""
    stage = lab.stage
    lab.program(stage.far, ["/usr/bin/iperf3", "-s"])
    speed = lab.service("speed", [stage.far], type="LoadBalancer",
                        ports=[Port(5201, name=proto.lower(), proto=proto) for proto in ("TCP", "UDP", "SCTP")])
    wait_routed(lab, speed.lb(4), speed.lb(6))
    streams = ([], ["--udp", "--bitrate", "8M"])
    for index, (asker, address) in enumerate(((stage.asker, speed.vip), (stage.node, speed.vip),
                                              (stage.far_node, speed.vip), (stage.client, speed.lb))):
        wait_virtual(stage.node, speed.key(4), bool, "the Service")
        for number, options in enumerate([*streams, ["--sctp"]] if asker is stage.asker else streams):
            family = lab.families[(index + number) % len(lab.families)]
            said = json.loads(asker.ns.run(["iperf3", "--client", address(family), "--bytes", "256K", "--json", *options],
                                           check=False))
            check("error" not in said, f"{asker.name}, {options}, IPv{family}: {said.get('error')}")
            end = said["end"]
            arrived = end["sum_received"]["bytes"] if "sum_received" in end else end["sum"]["packets"] - end["sum"]["lost_packets"]
            check(arrived > 0, f"{asker.name}, {options}, IPv{family}: {end}")
