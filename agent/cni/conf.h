// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The network configuration on stdin: JSON, at most 1 MiB, decoded strictly.
 *
 * "Strictly": one JSON object and nothing after it; each key at most once; a key that weft-cni does not know
 * is an error that names it (code 2), so that a typing mistake is not taken for a default. DEL and GC ignore
 * unknown keys instead: a clean-up must not fail on what only ADD would use.
 */
#ifndef WEFT_CNI_CONF_H
#define WEFT_CNI_CONF_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/cni/code.h"
#include "agent/cni/env.h"
#include "weft/addr.h"

#define CNI_CONF_MAX        (1024 * 1024) /* bytes on stdin */
#define CNI_MTU_MIN4        68            /* RFC 791 */
#define CNI_MTU_MIN6        1280          /* RFC 8200 */
#define CNI_MTU_MAX         65535
#define CNI_COOLDOWN_MAX_MS (24 * 3600 * 1000) /* a day */
#define CNI_NAME_MAX        100 /* longest network name: it is part of a device alias of 255 bytes */
#define CNI_VALID_MAX       65536

#define CNI_DEFAULT_STATE_DIR "/var/lib/weft"
#define CNI_DEFAULT_SOCKET    "/run/weft/weftd.sock"

/* Versions of the specification, in order. */
enum cni_version { CNI_V030, CNI_V031, CNI_V040, CNI_V100, CNI_V110, CNI_VERSIONS };
const char *cni_version_text(enum cni_version v);

struct cni_conf {
	json_t *json; /* owns all strings and nodes below */
	enum cni_version version;
	const char *network;
	const char *state_dir; /* absolute */
	const char *socket;    /* absolute, fits sun_path */
	uint32_t mtu;          /* 0 = the kernel's default */
	uint64_t cooldown_ms;  /* before a released address is given out again */
	uint8_t families[2];   /* AF_INET, AF_INET6 in the order wanted; the first is the pod's primary */
	size_t n_families;
	struct weft_addr wanted[2]; /* runtimeConfig.ips or args.cni.ips: [0] v4, [1] v6; AF_UNSPEC = any */
	json_t *prev_result;        /* object or NULL */
	json_t *dns;                /* object or NULL */
	json_t *valid;              /* GC: array of {containerID, ifname}, checked; NULL for other commands */
};

/* Decode and check for a command. 0 or a CNI code; conf is to be freed in either case. */
int cni_conf_decode(const char *text, size_t len, enum cni_command command, struct cni_conf *conf,
                    struct weft_err *err);
void cni_conf_free(struct cni_conf *conf);

/* The cniVersion of a text that may be anything: for error replies and VERSION. "1.1.0" when there is none.
 */
const char *cni_conf_version_text(const json_t *json);

#endif
