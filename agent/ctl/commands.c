// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The subcommands. Field names are those of docs/reference/weftctl.md.
 */
#include "agent/ctl/ctl.h"

#include <stdio.h>
#include <string.h>

#include "weft/cleanup.h"

#define COLUMNS(c) .columns = (c), .column_count = WEFT_ARRAY_LEN(c)

static const struct ctl_column node_columns[] = {
        {.header = "", .path = "self", .format = ctl_fmt_mark, .optional = true},
        {.header = "NODE", .path = "name", .shrink = 12},
        {.header = "STATE", .path = "state", .state = true},
        {.header = "IPV4", .path = "ip4", .optional = true},
        {.header = "IPV6", .path = "ip6", .optional = true},
        {.header = "AS", .path = "asNumber", .right = true},
        {.header = "BLOCKS", .path = "blocks", .right = true},
        {.header = "PATH", .path = "path", .shrink = 12},
};

static const struct ctl_column block_columns[] = {
        {.header = "", .path = "self", .format = ctl_fmt_mark, .optional = true},
        {.header = "BLOCK", .path = "cidr"},
        {.header = "NODE", .path = "node", .shrink = 12},
        {.header = "POOL", .path = "pool", .shrink = 8},
        {.header = "USED", .path = "used", .right = true},
        {.header = "FREE", .path = "free", .right = true},
        {.header = "COOLING", .path = "cooling", .right = true},
        {.header = "VIA", .path = "via", .shrink = 12},
};

static const struct ctl_column route_columns[] = {
        {.header = "STATE", .path = "state", .state = true},
        {.header = "TABLE", .path = "table"},
        {.header = "DESTINATION", .path = "dst"},
        {.header = "METRIC", .path = "metric", .right = true},
        {.header = "TYPE", .path = "type"},
        {.header = "VIA", .path = "via", .optional = true},
        {.header = "DEV", .path = "dev", .optional = true},
        {.header = "SOURCE", .path = "src", .optional = true},
        {.header = "OWNER", .path = "owner", .shrink = 10, .optional = true},
        {.header = "REASON", .path = "reason", .shrink = 16, .optional = true},
};

static const struct ctl_column peer_columns[] = {
        {.header = "PEER", .path = "name", .shrink = 10},
        {.header = "AS", .path = "asNumber", .right = true},
        {.header = "ADDRESS", .path = "address"},
        {.header = "DEV", .path = "interface", .optional = true},
        {.header = "STATE", .path = "state", .state = true},
        {.header = "FOR", .path = "sinceSeconds", .format = ctl_fmt_duration, .right = true},
        {.header = "ACCEPTED", .path = "families", .format = ctl_fmt_accepted, .right = true},
        {.header = "FILTERED",
         .path = "families",
         .format = ctl_fmt_filtered,
         .right = true,
         .optional = true},
        {.header = "ANNOUNCED", .path = "families", .format = ctl_fmt_announced, .right = true},
        {.header = "BFD", .path = "bfd.state", .state = true},
        {.header = "DRAIN", .path = "draining", .optional = true},
        {.header = "LAST ERROR", .path = "lastError", .shrink = 16, .optional = true},
        {.header = "REASON", .path = "reason", .shrink = 16, .optional = true},
        {.header = "DESCRIPTION", .path = "description", .shrink = 12, .optional = true},
};

static const struct ctl_option drain_options[] = {
        {"peer", "NAME", "only the session with this BGPPeer"},
        {"wait", "SECONDS", "between the two steps (default: BGPConfig's drain.waitSeconds)"},
        {"no-wait", NULL, "return at once; `weftctl status` shows how far it is"},
};

static const struct ctl_option undrain_options[] = {
        {"peer", "NAME", "only the session with this BGPPeer"},
};

static const struct ctl_option route_options[] = {
        {"received", "PEER", "routes that BIRD has from this peer, with those it refused"},
        {"advertised", "PEER", "routes that BIRD announces to this peer"},
        {"limit", "N", "show at most N of them (default 1000)"},
};

static const struct ctl_option plan_options[] = {
        {"config-dir", "DIR", "manifests as they would be"},
        {"config", "FILE", "and weft.yaml as it would be"},
        {"complete", NULL, "DIR has everything: kinds that it does not have go"},
};

static const struct ctl_option bird_options[] = {
        {"write", NULL, "also commands that change something, until weftd or BIRD changes it back"},
};

static const struct ctl_column ipam_columns[] = {
        {.header = "ADDRESS", .path = "address"},
        {.header = "STATE", .path = "state", .state = true},
        {.header = "BLOCK", .path = "block"},
        {.header = "CONTAINER", .path = "containerID", .shrink = 13},
        {.header = "INTERFACE", .path = "ifname"},
        {.header = "HOST DEVICE", .path = "hostDev"},
        {.header = "RELEASED", .path = "releasedAt", .optional = true},
};

static const struct ctl_column service_columns[] = {
        {.header = "SERVICE", .path = "service", .shrink = 12},
        {.header = "TYPE", .path = "type"},
        {.header = "VIPS", .path = "vips", .shrink = 12},
        {.header = "PORTS", .path = "ports", .shrink = 10},
        {.header = "ENDPOINTS", .path = "endpoints", .format = ctl_fmt_endpoints, .right = true},
        {.header = "ADVERTISED", .path = "advertised", .shrink = 10, .optional = true},
        {.header = "STATE", .path = "state", .state = true},
        {.header = "REASON", .path = "reason", .shrink = 16, .optional = true},
};

static const struct ctl_option seal_options[] = {
        {"new-key", "FILE", "make a key pair: the secret key into FILE, the public one is printed"},
        {"key", "PUBLIC", "seal for whoever has the secret key to this"},
        {"secret", "NAME", "the Secret that it is for: NAME (in kube-system) or NAMESPACE/NAME"},
        {"item", "KEY", "the key in that Secret"},
};

const struct ctl_command ctl_commands[] = {
        {
                .name = "status",
                .args = "",
                .brief = "is this node's network healthy, and if not, why",
                .help = "Shows the node, its datastore, address blocks, routes, BIRD and its sessions, tunnels,\n"
                        "and every problem that weft knows of, one line each.\n"
                        "\n"
                        "Exit status 1 when there are problems, so that it can be used as a check.",
                .examples = "  weftctl status\n"
                            "  weftctl status -o json | jq -r '.problems[].text'\n",
                .page = ctl_status,
                .verdict = ctl_status_verdict,
        },
        {
                .name = "nodes",
                .args = "[NAME]",
                .most = 1,
                .brief = "nodes of the cluster and how packets get to each",
                .help = "Lists the nodes; `*` marks this one. NAME is a name or a shell pattern.\n"
                        "PATH is how packets for the node's pods leave here: `direct` (same subnet), `fabric`\n"
                        "(a route that BIRD learnt) or `tunnel` (IPIP, or sit for IPv6).",
                .examples = "  weftctl nodes\n"
                            "  weftctl nodes 'rack2-*'\n",
                COLUMNS(node_columns),
                .sort = {"name"},
                .match = "name",
                .empty =
                        "no nodes: the datastore has no Node objects, or is not read yet (see `weftctl status`)",
        },
        {
                .name = "blocks",
                .args = "[CIDR|ADDRESS]",
                .most = 1,
                .brief = "address blocks, their nodes and how full they are",
                .help = "Lists the IPBlocks; `*` marks this node's own, and only those have counts.\n"
                        "With an argument, only the block that it is or lies in.",
                .examples =
                        "  weftctl blocks\n"
                        "  weftctl blocks 10.244.1.17      which block, hence which node, has this address\n",
                COLUMNS(block_columns),
                .sort = {"cidr"},
                .match = "cidr",
                .empty = "no blocks: no node has claimed one yet; is there an IPPool for this node?",
        },
        {
                .name = "routes",
                .args = "[CIDR|ADDRESS]",
                .most = 1,
                .brief = "routes: of the kernel, or received from and announced to a peer",
                .help = "Lists every route that weft wants in the kernel: table `main` forwards to pods and other\n"
                        "nodes, table 179 holds what BIRD advertises. STATE is one of\n"
                        "\n"
                        "  installed   it is in the kernel\n"
                        "  pending     about to be written, or to be retried (REASON)\n"
                        "  not-ready   waits for a device or an address (REASON)\n"
                        "  conflict    somebody else's route has its place (OWNER); weft leaves that alone\n"
                        "\n"
                        "With an argument, only routes that it is or lies in.\n"
                        "\n"
                        "With --received or --advertised, what BIRD has from a BGP peer or announces to it, with\n"
                        "path, next hop and communities. STATE is then `best`, `accepted` (another one is better),\n"
                        "`filtered` (with the reason) or `announced`. An argument selects: routes inside a CIDR, the\n"
                        "best route to an ADDRESS.",
                .examples = "  weftctl routes\n"
                            "  weftctl routes 10.244.1.17\n"
                            "  weftctl routes -o json | jq '.[] | select(.state != \"installed\")'\n"
                            "  weftctl routes --received tor1\n"
                            "  weftctl routes --advertised tor1 10.244.0.0/16\n",
                .options = route_options,
                .option_count = WEFT_ARRAY_LEN(route_options),
                .read_args = ctl_routes_args,
                COLUMNS(route_columns),
                .sort = {"table", "dst", "metric"},
                .match = "dst",
                .empty = "no routes: weft wants none, as long as there is no block (see `weftctl blocks`)",
                .page = ctl_routes,
        },
        {
                .name = "peers",
                .args = "[NAME]",
                .most = 1,
                .brief = "BGP sessions of this node",
                .help = "Lists the BGP peers with what BIRD says of their sessions: state and for how long, routes of\n"
                        "IPv4/IPv6 that were accepted, refused by the import filter (where BIRD keeps them) and\n"
                        "announced, BFD, the last error; of one that has no session, the reason.\n"
                        "\n"
                        "With NAME all about one peer: timers, capabilities, filters in words, what is announced\n"
                        "and how, graceful restart, the limit of routes. NAME may be a shell pattern: then the list.",
                .examples =
                        "  weftctl peers\n"
                        "  weftctl peers tor1\n"
                        "  weftctl peers 'rack2-*'\n"
                        "  weftctl peers -o json | jq -r '.[] | \"\\(.name) \\(.protocol) \\(.state)\"'\n",
                .read_args = ctl_peers_args,
                COLUMNS(peer_columns),
                .sort = {"name", "address"},
                .match = "name",
                .empty = "no peers: no BGPPeer selects this node",
                .page = ctl_peers,
        },
        {
                .name = "bgp",
                .args = "explain CIDR|ADDRESS|NAMESPACE/NAME",
                .least = 2,
                .most = 2,
                .brief = "`bgp explain`: why is a prefix, or is it not, announced to whom",
                .help = "Walks the chain from an address of a Service or a block of pods to each peer: is it wanted,\n"
                        "by which class and BGPAdvertisements it stands in kernel table 179, does BIRD have it, and\n"
                        "for each peer the session, the rule that decides, and what the peer gets. Of a prefix that\n"
                        "is not this node's: which peers offer it, which offer was chosen or refused and why, which\n"
                        "route the kernel uses, and what stands beside it as a fallback.\n"
                        "\n"
                        "Exit status 0: announced to all that are to get it (or learnt and in use); 1: not, somewhere;\n"
                        "2: unknown, because BIRD does not answer.",
                .examples = "  weftctl bgp explain 203.0.113.7\n"
                            "  weftctl bgp explain shop/web\n"
                            "  weftctl bgp explain 10.244.2.0/26\n",
                .read_args = ctl_bgp_args,
                .page = ctl_bgp,
                .verdict = ctl_bgp_verdict,
        },
        {
                .name = "plan",
                .args = "--config-dir DIR [--config FILE] [--complete]",
                .brief = "what other manifests would change, before they are there",
                .help = "Plans this node with the manifests in DIR instead of those in force, and shows the difference:\n"
                        "BGP sessions that would be added, removed, reconfigured without an interruption, or restarted\n"
                        "(and because of which field); bird.conf (without passwords); routes, announcements, tunnels,\n"
                        "IPVS services and nftables elements. Nothing is changed.\n"
                        "\n"
                        "A kind of which DIR has an object is taken as DIR has it; kinds that it does not have stay as\n"
                        "they are (`kept`), unless --complete says that DIR is all. IPBlocks stay unless DIR has some.\n"
                        "\n"
                        "Exit status 1 when a manifest is malformed: its object stays as it is.",
                .examples =
                        "  weftctl plan --config-dir new/\n"
                        "  weftctl plan --config-dir new/ -o json | jq -r '.sessions[] | select(.change == "
                        "\"restarts\") | .peer'\n",
                .options = plan_options,
                .option_count = WEFT_ARRAY_LEN(plan_options),
                .read_args = ctl_plan_args,
                .prepare = ctl_plan_prepare,
                .release = ctl_plan_release,
                .timeout_ms = 30000,
                .page = ctl_plan,
                .verdict = ctl_plan_verdict,
        },
        {
                .name = "bird",
                .args = "[--] COMMAND...",
                .least = 1,
                .most = CTL_ARGS_MAX,
                .brief = "a command of BIRD's own, as birdc takes it",
                .help = "Hands a command to BIRD and prints its answer as birdc does. weftd asks, so the permission\n"
                        "for its socket is enough. BIRD refuses whatever would change something (8007 Access denied).\n"
                        "\n"
                        "With --write, these are passed on as well:\n"
                        "\n"
                        "  disable, enable, restart NAME   ends a session, begins it again: its routes go meanwhile\n"
                        "  reload [in|out] NAME            routes are asked for and sent again, the session stays\n"
                        "  refresh [in|out] NAME           the same by route refresh\n"
                        "  configure [check|undo|...]      reads bird.conf again\n"
                        "  debug NAME ..., echo ...        what BIRD logs\n"
                        "\n"
                        "A session that is disabled stays so until it is enabled or BIRD restarts.\n"
                        "\n"
                        "Exit status 1 when BIRD answers with an error (8xxx), 2 when it does not know the command\n"
                        "(9xxx).",
                .examples = "  weftctl bird show protocols\n"
                            "  weftctl bird -- show route 10.244.1.0/26 all\n"
                            "  weftctl bird --write restart peer_tor1\n",
                .options = bird_options,
                .option_count = WEFT_ARRAY_LEN(bird_options),
                .read_args = ctl_bird_args,
                .page = ctl_bird,
                .verdict = ctl_bird_verdict,
        },
        {
                .name = "ipam",
                .args = "[CIDR|ADDRESS]",
                .most = 1,
                .brief = "pod addresses of this node",
                .help = "Lists the addresses that this node has given out: `used` by a container, or `cooling`:\n"
                        "released, and not given out again for a while. With an argument, only that address.",
                .examples = "  weftctl ipam\n"
                            "  weftctl ipam 10.244.1.17        which container has this address\n",
                COLUMNS(ipam_columns),
                .sort = {"address"},
                .match = "address",
                .empty = "no addresses: no pod of this node has one from weft",
        },
        {
                .name = "services",
                .args = "[NAMESPACE/NAME]",
                .most = 1,
                .brief = "addresses, endpoints and state of Services",
                .help = "Lists the Services, as this node serves them. ENDPOINTS are those in use of those known,\n"
                        "ADVERTISED the addresses that this node announces. STATE is one of\n"
                        "\n"
                        "  ok            it is in the kernel as wanted\n"
                        "  no-endpoints  no endpoint is ready: connections are refused\n"
                        "  not-served    weft has nothing to do with it (REASON)\n"
                        "  pending       about to be written, or to be retried (REASON)\n"
                        "  problem       something of it can't be done (REASON)\n"
                        "\n"
                        "With NAMESPACE/NAME, all about one: each address with its route, each port with its\n"
                        "endpoints: the weight that weft wants (WANTED; 0 lets connections end), the kernel's\n"
                        "(KERNEL), and the kernel's count of connections. A shell pattern filters the list.",
                .examples =
                        "  weftctl services\n"
                        "  weftctl services 'shop/*'\n"
                        "  weftctl services shop/web\n"
                        "  weftctl services -o json | jq -r '.[] | select(.state != \"ok\") | .service'\n",
                .read_args = ctl_service_args,
                COLUMNS(service_columns),
                .sort = {"service"},
                .match = "service",
                .empty =
                        "no services: the datastore has no Service objects, or is not read yet (see `weftctl "
                        "status`)",
                .page = ctl_service,
        },
        {
                .name = "trace",
                .args = "SRC DST[:PORT[/PROTO]]",
                .least = 2,
                .most = 2,
                .brief = "where a packet goes, by the kernel's own answers",
                .help = "Follows a packet through this node: routes, weft's nftables sets, IPVS, source NAT, and\n"
                        "the next hop of each endpoint that may get it. Nothing is sent. SRC is an address\n"
                        "(a pod's, this node's, an outside one), or `node` for this node. PROTO is TCP (default),\n"
                        "UDP or SCTP. Without PORT only the routes are looked at.\n"
                        "\n"
                        "Exit status 1 when the packet would not be delivered.",
                .examples = "  weftctl trace 10.244.1.5 10.96.0.10:53/UDP\n"
                            "  weftctl trace node '[fd00:96::a]:443'\n"
                            "  weftctl trace 203.0.113.9 198.51.100.7:80\n"
                            "  weftctl trace node 10.244.2.17\n",
                .read_args = ctl_trace_args,
                .page = ctl_trace,
                .verdict = ctl_trace_verdict,
        },
        {
                .name = "drain",
                .args = "",
                .brief = "take this node, or a peer, out of the traffic",
                .help = "Announces everything as a last resort (GRACEFUL_SHUTDOWN, RFC 8326), waits, then withdraws\n"
                        "the addresses of Services. Pod blocks stay announced, and what still comes is served.\n"
                        "Returns when it is done. It lasts until `weftctl undrain`, over restarts too.",
                .examples = "  weftctl drain\n"
                            "  weftctl drain --wait 60\n"
                            "  weftctl drain --peer tor1      before the router is reloaded\n",
                .options = drain_options,
                .option_count = WEFT_ARRAY_LEN(drain_options),
                .read_args = ctl_drain_args,
                .page = ctl_drain,
                .waits = ctl_drain_waits,
                .again = "draining",
        },
        {
                .name = "undrain",
                .args = "",
                .brief = "end a drain: announce everything as before",
                .help = "Ends what `weftctl drain` began. Other reasons (the Node's annotation, cordon, label or\n"
                        "taint) last until they are taken away; they are shown.",
                .examples = "  weftctl undrain\n"
                            "  weftctl undrain --peer tor1\n",
                .options = undrain_options,
                .option_count = WEFT_ARRAY_LEN(undrain_options),
                .page = ctl_drain,
                .waits = ctl_undrain_waits,
                .again = "draining",
        },
        {
                .name = "seal",
                .args = "",
                .brief = "passwords that may stand in a folder of manifests",
                .help = "Seals a value, read from standard input, so that only weftd can open it: on nodes whose\n"
                        "weft.yaml names the secret key (datastore.sealKey). What is printed stands in stringData\n"
                        "of the Secret that --secret names, under the key --item, and opens nowhere else. weftd is\n"
                        "not asked: sealing needs the public key only.",
                .examples =
                        "  weftctl seal --new-key /etc/weft/seal.key\n"
                        "  weftctl seal --key weft.dev/seal-public:v1:... --secret weft-bgp --item tor1\n"
                        "  weftctl seal --key \"$(cat seal.pub)\" --secret weft-bgp --item tor1 < password\n",
                .options = seal_options,
                .option_count = WEFT_ARRAY_LEN(seal_options),
                .local = ctl_seal,
        },
};
const size_t ctl_command_count = WEFT_ARRAY_LEN(ctl_commands);

const struct ctl_command *ctl_command_find(const char *name)
{
	for (size_t i = 0; i < ctl_command_count; i++)
		if (!strcmp(ctl_commands[i].name, name))
			return &ctl_commands[i];
	return NULL;
}

static const char options_help[] =
        "Options:\n"
        "  -s, --socket PATH     socket of weftd (default " CTL_SOCKET ")\n"
        "  -o, --output FORMAT   table (default), json or yaml\n"
        "      --timeout SECONDS give up after this time (default 10)\n"
        "      --no-color        no colour on a terminal; NO_COLOR in the environment does the same\n"
        "  -h, --help            this text; after a command, help for the command\n"
        "      --version         print the version\n";

void ctl_help(struct weft_buf *out)
{
	weft_buf_str(out, "weftctl asks weftd, the network agent of this node, what it does.\n\n"
	                  "Usage: weftctl [OPTIONS] COMMAND [ARGUMENTS]\n\nCommands:\n");
	for (size_t i = 0; i < ctl_command_count; i++)
		weft_buf_printf(out, "  %-10s%s\n", ctl_commands[i].name, ctl_commands[i].brief);
	weft_buf_printf(
	        out,
	        "\n%s\n"
	        "Exit status: 0 done, 1 failed (`status`: there are problems; `trace`: not delivered),\n"
	        "2 wrong usage, 3 weftd can't be reached or does not answer.\n\n"
	        "Examples:\n"
	        "  weftctl status\n"
	        "  weftctl routes 10.244.1.17\n"
	        "  weftctl help routes\n",
	        options_help);
}

void ctl_help_command(const struct ctl_command *c, struct weft_buf *out)
{
	char name[64];

	weft_buf_printf(out, "weftctl %s: %s\n\nUsage: weftctl [OPTIONS] %s%s%s\n\n%s\n\n", c->name, c->brief,
	                c->name, c->args[0] ? " " : "", c->args, c->help);
	if (c->option_count)
		weft_buf_printf(out, "Options of `%s`:\n", c->name);
	for (size_t i = 0; i < c->option_count; i++) {
		const struct ctl_option *p = &c->options[i];

		snprintf(name, sizeof(name), "--%s%s%s", p->name, p->value ? " " : "",
		         p->value ? p->value : "");
		weft_buf_printf(out, "      %-17s %s\n", name, p->help);
	}
	weft_buf_printf(out, "%s%s\nExamples:\n%s", c->option_count ? "\n" : "", options_help, c->examples);
}
