// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Several rtnetlink messages in one sendmsg, each with a name for its error.
 *
 * Encode into q->msg, then cni_request_add(q, encoder's return, "what it does"); at the end
 * cni_request_send(). The first failure, of an encoder or of the kernel, is the one reported.
 */
#ifndef WEFT_CNI_REQUEST_H
#define WEFT_CNI_REQUEST_H

#include "agent/kernel/link_msg.h"
#include "agent/kernel/linkconf_msg.h"
#include "agent/kernel/netlink.h"

#define CNI_REQUEST_MAX 24

struct cni_request {
	struct netlink *nl; /* borrowed */
	struct netlink_batch *batch;
	struct nl_msg *msg; /* encode here; emptied by add() */
	const char *what[CNI_REQUEST_MAX];
	int failed; /* of an encoder */
};

int cni_request_init(struct cni_request *q, struct netlink *nl, struct weft_err *err); /* 0 or -errno */
void cni_request_free(struct cni_request *q);
void cni_request_add(struct cni_request *q, int rc, const char *what);

/* Send and empty it. 0, or the negative errno of the first failure. */
int cni_request_send(struct cni_request *q, struct weft_err *err);

/* One device by name; -ENODEV when it is not there. */
struct cni_link {
	struct link_info link;
	struct linkconf_info conf;
};
int cni_link_get(struct cni_request *q, const char *name, struct cni_link *out, struct weft_err *err);

#endif
