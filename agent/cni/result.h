// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What goes to stdout (CNI specification 1.1, section 5; section "Result" of 0.3.1 and 0.4.0), and CHECK's
 * view of a former result. JSON in memory, no output.
 */
#ifndef WEFT_CNI_RESULT_H
#define WEFT_CNI_RESULT_H

#include "agent/cni/attach.h"
#include "agent/cni/conf.h"

/* All return malloc'd text, NULL when memory is short. */

/*
 * ADD's result: what prevResult held, if any, and our two interfaces, addresses and default routes behind it.
 */
char *cni_result_text(const struct cni_conf *conf, const struct cni_attachment *a, const char *netns);

/* The error object; version as in cni_conf_version_text(). */
char *cni_error_text(const char *version, int code, const struct weft_err *err);

char *cni_versions_text(const char *version);

/*
 * Does prevResult list this attachment: both devices, and exactly its addresses on the pod's? Sets
 * default_route[] (v4, v6) for those it lists. 0 or CNI_E_CHECK.
 */
int cni_result_check(const json_t *prev, const struct cni_attachment *a, const char *netns,
                     bool default_route[2], struct weft_err *err);

#endif
