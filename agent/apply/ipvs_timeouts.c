// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Timeouts of IPVS's connections, which all its users in a network namespace share. What they were before weft's first
 * change goes to a file: "TCP FIN UDP", in seconds. The file is made once and outlives restarts; `weftd cleanup` puts
 * the values back.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/apply/ipvs_private.h"
#include "weft/cleanup.h"
#include "weft/file.h"

#define FILE_MAX  64
#define VALUE_MAX 2000000 /* the kernel takes no more than INT_MAX ticks: ip_vs_set_timeout() */

static int take_timeouts(void *ctx, const struct nlmsghdr *nlh)
{
	return ipvs_msg_timeouts_parse(nlh, ctx);
}

static int read_timeouts(struct ipvs *i, struct ipvs_msg_timeouts *out, struct weft_err *err)
{
	struct netlink_sink sink = {.msg = take_timeouts, .ctx = out};
	int rc;

	netlink_msg_reset(i->msg);
	rc = ipvs_msg_get_timeouts(i->msg, i->family);
	if (!rc)
		rc = netlink_get(i->nl, i->msg, &sink, err);
	return rc ? weft_err_wrap(err, "reading IPVS timeouts"), rc : 0;
}

static int write_timeouts(struct ipvs *i, const struct ipvs_msg_timeouts *t, struct weft_err *err)
{
	int rc;

	netlink_msg_reset(i->msg);
	rc = ipvs_msg_set_timeouts(i->msg, i->family, t);
	return rc ? weft_err_errno(err, rc, "setting IPVS timeouts")
	          : netlink_one(i->nl, i->msg, "setting IPVS timeouts", err);
}

static bool same(const struct ipvs_msg_timeouts *a, const struct ipvs_msg_timeouts *b)
{
	return a->tcp == b->tcp && a->tcp_fin == b->tcp_fin && a->udp == b->udp;
}

/* One that is there is of an earlier life: its values came first. */
static int remember(const char *record, const struct ipvs_msg_timeouts *t, struct weft_err *err)
{
	struct weft_err fault = WEFT_ERR_INIT;
	char text[FILE_MAX];
	int n = snprintf(text, sizeof(text), "%u %u %u\n", t->tcp, t->tcp_fin, t->udp), rc;

	rc = weft_file_create(record, text, (size_t)n, 0644, &fault);
	return rc == -EEXIST || !rc
	               ? 0
	               : weft_err_set(err, rc, "the former ones can't be recorded, so they stay: %s",
	                              fault.text);
}

int ipvs_set_timeouts(struct ipvs *i, uint32_t tcp, uint32_t tcp_fin, uint32_t udp, const char *record,
                      struct weft_err *err)
{
	struct ipvs_msg_timeouts want = {.tcp = tcp, .tcp_fin = tcp_fin, .udp = udp}, have = {0};
	int rc;

	if (!ipvs_available(i, err))
		return -ENOENT;
	rc = read_timeouts(i, &have, err);
	if (rc || same(&have, &want))
		return rc;
	rc = remember(record, &have, err);
	return rc ? rc : write_timeouts(i, &want, err);
}

/* Up to VALUE_MAX, not 0, which the kernel takes for "as it is"; then `end`. */
static bool take_value(const char **at, char end, uint32_t *out)
{
	uint32_t n = 0;

	for (; **at >= '0' && **at <= '9' && n <= VALUE_MAX; (*at)++)
		n = 10 * n + (uint32_t)(**at - '0');
	*out = n;
	return n && n <= VALUE_MAX && *(*at)++ == end;
}

static int load(const char *record, struct ipvs_msg_timeouts *out, struct weft_err *err)
{
	weft_autofree char *text = NULL;
	const char *at;
	size_t len;
	int rc = weft_file_read(record, FILE_MAX, &text, &len, err);

	if (rc)
		return rc;
	at = text;
	if (take_value(&at, ' ', &out->tcp) && take_value(&at, ' ', &out->tcp_fin) &&
	    take_value(&at, '\n', &out->udp) && at == text + len)
		return 0;
	return weft_err_set(
	        err, EINVAL,
	        "%s: the former timeouts of IPVS must be three numbers of seconds; repair it, or remove it "
	        "and set them with `ipvsadm --set`",
	        record);
}

int ipvs_restore_timeouts(struct ipvs *i, const char *record, struct weft_err *err)
{
	struct ipvs_msg_timeouts former;
	int rc;

	if (access(record, F_OK) < 0 && errno == ENOENT)
		return 0;
	rc = load(record, &former, err);
	/* Without the module there is nothing to put back: it begins with the kernel's own. */
	if (!rc && ipvs_available(i, NULL))
		rc = write_timeouts(i, &former, err);
	if (!rc && unlink(record) < 0)
		rc = weft_err_errno(err, errno, "removing %s", record);
	return rc ? rc : 1;
}
