// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The configuration file of weftd, docs/reference/config.md.
 *
 * One fixed-size struct without pointers: copy it, keep it, nothing to release. Every value in it is
 * validated; paths are absolute, without a trailing '/', of [A-Za-z0-9/._+@:,=~-] only, so that they can go
 * into BIRD's configuration, a conflist or a log as they are.
 */
#ifndef WEFT_CONFIG_H
#define WEFT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/buf.h"
#include "weft/err.h"
#include "weft/log.h"
#include "weft/object.h"

#define WEFT_CONFIG_DEFAULT  "/etc/weft/weft.yaml"
#define WEFT_CONFIG_NODE_ENV "WEFT_NODE_NAME"    /* the default of nodeName, before the host name */
#define WEFT_CONFIG_MAX      ((size_t)256 << 10) /* bytes of a configuration file */

#define WEFT_PATH_MAX   192 /* a configured path with its NUL */
#define WEFT_SOCKET_MAX 108 /* sockaddr_un.sun_path, see unix(7) */

#define WEFT_SERVERS_MAX 8
#define WEFT_SERVER_MAX  192 /* an API server's URL with its NUL */
#define WEFT_CONTEXT_MAX 128
#define WEFT_SECRETS_MAX 16

enum weft_datastore_kind { WEFT_DATASTORE_DIRECTORY, WEFT_DATASTORE_KUBERNETES };

/* When BIRD restarts: fast = BFD, and a supervisor that starts it again at once; graceful = BGP graceful
 * restart (RFC 4724), and BIRD runs with -R. docs/architecture.md, "BIRD", says why not both. */
enum weft_restart_profile { WEFT_RESTART_FAST, WEFT_RESTART_GRACEFUL };

#define WEFT_ROLE_NODE       0x1u
#define WEFT_ROLE_CONTROLLER 0x2u

struct weft_config_datastore {
	enum weft_datastore_kind kind;
	char path[WEFT_PATH_MAX];
	uint64_t rescan_ms;           /* list the folder again so often; 0 = only on network file systems */
	char seal_key[WEFT_PATH_MAX]; /* file with what opens sealed values (weft/seal.h); "" = none */

	/* KUBERNETES */
	char kubeconfig[WEFT_PATH_MAX]; /* "" = in a cluster, by its service account */
	char context[WEFT_CONTEXT_MAX]; /* "" = the file's current one */
	char servers[WEFT_SERVERS_MAX][WEFT_SERVER_MAX];
	size_t n_servers;                                  /* 0 = as the kubeconfig says */
	char namespace[WEFT_NAME_MAX + 1];                 /* of weft's Secrets and Leases */
	char secrets[WEFT_SECRETS_MAX][WEFT_NAME_MAX + 1]; /* those that may be read */
	size_t n_secrets;
	bool own_node; /* follow no other Node: the fabric carries all blocks */
};

struct weft_config_bird {
	char config_dir[WEFT_PATH_MAX];
	char socket[WEFT_SOCKET_MAX];
	char templates[WEFT_PATH_MAX];
	char binary[WEFT_PATH_MAX];
	enum weft_restart_profile restart_profile;
	uint64_t stale_routes_ms; /* how long BIRD's routes stay when BIRD is dead */
};

struct weft_config_cni {
	char conf_dir[WEFT_PATH_MAX];
	char bin_dir[WEFT_PATH_MAX];
	uint32_t mtu; /* 0 = the underlay's minus encapsulation */
};

#define WEFT_CONFIG_CIDRS 16

struct weft_config_cidrs {
	struct weft_prefix cidr[WEFT_CONFIG_CIDRS];
	size_t n;
};

/* Where blocks of pod addresses come from: claims in IPPools, or Node.spec.podCIDRs. */
enum weft_ipam_mode { WEFT_IPAM_POOLS, WEFT_IPAM_NODE };

struct weft_config_ipam {
	enum weft_ipam_mode mode;
	uint64_t cooldown_ms; /* before an address is used again */
	uint32_t spare_addresses;
	uint64_t release_empty_after_ms;

	/* NODE */
	struct weft_config_cidrs clusters; /* at least one; they do not overlap */
	enum weft_tunnel_mode tunnel;
};

/* Which addresses of the node answer on node ports (S22). */
enum weft_node_ports { WEFT_NODE_PORTS_ALL, WEFT_NODE_PORTS_PRIMARY, WEFT_NODE_PORTS_CIDRS };

struct weft_config_services {
	bool enabled;
	struct weft_config_cidrs cidrs; /* service CIDRs, besides those of ServiceCIDR objects */
	enum weft_node_ports node_ports;
	struct weft_config_cidrs node_port_cidrs;
	uint16_t node_port_first,
	        node_port_last; /* nodePortRange: which IPVS services on node addresses are ours */
	struct weft_config_cidrs external_ips; /* externalIPs outside are refused (S5) */
	bool masquerade_all;
	bool default_class; /* serve LoadBalancer Services without a class */
	char scheduler[16]; /* of Services without the annotation */
	bool statistics;    /* IPVS estimators (H13) */
	uint64_t audit_ms;  /* compare IPVS, which tells of no change, with what is wanted; 0 = never */
	struct weft_addr health_addr; /* of :10256; AF_UNSPEC = all addresses */
	uint16_t health_port;         /* 0 = none */
};

struct weft_config_metrics {
	struct weft_addr addr; /* AF_UNSPEC = all addresses */
	uint16_t port;         /* 0 = none */
};

struct weft_config {
	char node_name[WEFT_NAME_MAX + 1];
	struct weft_config_datastore datastore;
	char state_dir[WEFT_PATH_MAX];
	char proc_sys[WEFT_PATH_MAX]; /* where kernel settings are: /proc/sys */
	char run_dir[WEFT_PATH_MAX];  /* run_dir/weftd.sock fits sockaddr_un */
	struct weft_config_bird bird;
	struct weft_config_cni cni;
	struct weft_config_ipam ipam;
	struct weft_config_services services;
	struct weft_config_metrics metrics;
	enum weft_log_level log_level;
	unsigned roles;     /* WEFT_ROLE_* */
	bool drain_on_stop; /* SIGTERM drains the node first */
};

/* One error, a sentence that begins with FILE:LINE. */
typedef void (*weft_config_report_fn)(void *ctx, const char *text);

/*
 * Read and validate a file. Every error found is reported (report may be NULL); err holds the first one and
 * how many more there are. `out` is written on success only.
 */
int weft_config_load(const char *path, struct weft_config *out, weft_config_report_fn report, void *ctx,
                     struct weft_err *err);

/* The same for text that was already read; `name` is what the reports call it. */
int weft_config_parse(const char *name, const char *text, size_t len, struct weft_config *out,
                      weft_config_report_fn report, void *ctx, struct weft_err *err);

/* The effective configuration as YAML that weft_config_parse() accepts. */
void weft_config_dump(const struct weft_config *config, struct weft_buf *out);

#endif
