// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cni/request.h"

#include <errno.h>
#include <string.h>

int cni_request_init(struct cni_request *q, struct netlink *nl, struct weft_err *err)
{
	*q = (struct cni_request){.nl = nl, .batch = netlink_batch_new(), .msg = netlink_msg_new()};
	if (q->batch && q->msg)
		return 0;
	cni_request_free(q);
	return weft_err_errno(err, ENOMEM, "netlink messages");
}

void cni_request_free(struct cni_request *q)
{
	netlink_batch_free(q->batch);
	nlmsg_free(q->msg);
	q->batch = NULL;
	q->msg = NULL;
}

void cni_request_add(struct cni_request *q, int rc, const char *what)
{
	int at = rc;

	if (rc == 0)
		at = netlink_batch_count(q->batch) < CNI_REQUEST_MAX ? netlink_batch_add(q->batch, q->msg)
		                                                     : -ENOSPC;
	if (at >= 0)
		q->what[at] = what;
	else if (!q->failed)
		q->failed = at;
	netlink_msg_reset(q->msg);
}

static int first_failure(const struct cni_request *q, struct weft_err *err)
{
	for (size_t i = 0; i < netlink_batch_count(q->batch); i++) {
		int rc = netlink_batch_error(q->batch, i);
		const char *text = netlink_batch_text(q->batch, i);

		if (rc)
			return weft_err_errno(err, rc, "%s%s%s", q->what[i], *text ? ": " : "", text);
	}
	return 0;
}

int cni_request_send(struct cni_request *q, struct weft_err *err)
{
	int rc = q->failed;

	if (rc)
		weft_err_errno(err, rc, "encoding netlink messages");
	else
		rc = netlink_send(q->nl, q->batch, err);
	if (!rc)
		rc = first_failure(q, err);
	netlink_batch_reset(q->batch);
	q->failed = 0;
	return rc;
}

static int take_link(void *ctx, const struct nlmsghdr *nlh)
{
	struct cni_link *out = ctx;
	int rc = link_msg_parse(nlh, &out->link);

	return rc ? rc : linkconf_msg_parse(nlh, &out->conf);
}

int cni_link_get(struct cni_request *q, const char *name, struct cni_link *out, struct weft_err *err)
{
	struct netlink_sink sink = {.msg = take_link, .ctx = out};
	struct weft_err why = WEFT_ERR_INIT;
	int rc = link_msg_get(q->msg, name);

	memset(out, 0, sizeof(*out));
	if (!rc)
		rc = netlink_get(q->nl, q->msg, &sink, &why);
	netlink_msg_reset(q->msg);
	if (!rc && !out->link.index)
		rc = -ENODEV;
	return rc ? weft_err_errno(err, rc, "looking for the device %s", name) : 0;
}
