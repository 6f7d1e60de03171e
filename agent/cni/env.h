// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a container runtime passes by environment variables (CNI specification 1.1, section 2,
 * "Parameters"), validated: every value is hostile until it has passed here.
 */
#ifndef WEFT_CNI_ENV_H
#define WEFT_CNI_ENV_H

#include <net/if.h>
#include <stdbool.h>

#include "agent/cni/code.h"
#include "weft/addr.h"
#include "weft/err.h"

enum cni_command { CNI_ADD, CNI_DEL, CNI_CHECK, CNI_STATUS, CNI_GC, CNI_VERSION };

#define CNI_ID_MAX   128  /* longest container ID; runtimes use 64 hexadecimal digits */
#define CNI_ARGS_MAX 4096 /* longest CNI_ARGS */

/* Pointers go into the environment and live as long as it does. */
struct cni_env {
	enum cni_command command;
	const char *container_id; /* ADD, DEL, CHECK */
	const char *ifname;       /* ADD, DEL, CHECK */
	const char *netns;        /* ADD, CHECK; NULL when absent or empty on DEL */
	struct weft_addr wanted;  /* CNI_ARGS IP=..., AF_UNSPEC = none */
};

/* Read and validate the variables that the command needs. Returns 0 or CNI_E_ENV. */
int cni_env_read(struct cni_env *env, struct weft_err *err);

/* The lexical rules, also for the attachments that GC lists. */
int cni_check_id(const char *what, const char *id, enum cni_code code, struct weft_err *err);
int cni_check_ifname(const char *what, const char *name, enum cni_code code, struct weft_err *err);

#endif
