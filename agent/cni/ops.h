// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commands: what each does to the address state and the kernel. One process runs one command.
 *
 * Order that makes a kill at any instant harmless: ADD reserves the address first and makes the device
 * second; DEL and GC remove the device first and release the address second. So an address is free only when
 * no device of ours uses it, and a device always has a record by which GC finds it. DEL after any of these
 * finds both by container ID and interface name alone.
 */
#ifndef WEFT_CNI_OPS_H
#define WEFT_CNI_OPS_H

#include "agent/cni/conf.h"
#include "agent/cni/env.h"

/* 0, or a CNI code with the text in err. ADD: *result is the text for stdout, malloc'd. */
int cni_add(const struct cni_env *env, const struct cni_conf *conf, char **result, struct weft_err *err);
int cni_del(const struct cni_env *env, const struct cni_conf *conf, struct weft_err *err);
int cni_check(const struct cni_env *env, const struct cni_conf *conf, struct weft_err *err);
int cni_status(const struct cni_conf *conf, struct weft_err *err);
int cni_gc(const struct cni_conf *conf, struct weft_err *err);

#endif
