// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A stand-in for the kernel's IPVS behind `struct netlink_ops`: services with destinations, the kernel's
 * answers (ESRCH: no such service, ENOENT: no such destination or scheduler, EEXIST), failures on demand.
 */
#ifndef WEFT_TESTS_FAKE_IPVS_H
#define WEFT_TESTS_FAKE_IPVS_H

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <netlink/attr.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kernel/ipvs_msg.h"
#include "agent/kernel/netlink.h"

#define FAKE_FAMILY 33
#define FAKE_DESTS  600
#define FAKE_LOG    512

struct fake_service {
	struct ipvs_msg_service s;
	struct ipvs_msg_dest dest[FAKE_DESTS];
	size_t n;
	bool used;
};

struct fake_ipvs {
	struct netlink base;
	struct fake_service *service;
	size_t size;
	bool no_module;
	const char *no_scheduler; /* the kernel has no module for this one */
	int refuse;               /* every write of refuse_cmd (0: any) answers this */
	int refuse_cmd;
	int send_error;       /* the next send loses its answers (but was done) */
	int dump_error;       /* every dump fails */
	int hide;             /* so many dumps of services leave the first one out */
	bool vanish;          /* services go away when their destinations are read */
	uint32_t timeouts[3]; /* tcp, fin, udp */
	unsigned sends, dumps, messages;
	char log[FAKE_LOG]; /* of the first messages: S/s/x service new/set/del, D/d/y destination new/set/del
	                     */
};

static inline struct fake_service *fake_find(struct fake_ipvs *k, const struct ipvs_msg_key *key)
{
	for (size_t i = 0; i < k->size; i++) {
		if (k->service[i].used && memcmp(&k->service[i].s.key, key, sizeof(*key)) == 0)
			return &k->service[i];
	}
	return NULL;
}

static inline struct fake_service *fake_add(struct fake_ipvs *k, const struct ipvs_msg_service *s)
{
	for (size_t i = 0; i < k->size; i++) {
		if (!k->service[i].used) {
			k->service[i].used = true;
			k->service[i].n = 0;
			k->service[i].s = *s;
			return &k->service[i];
		}
	}
	abort();
}

static inline struct ipvs_msg_dest *fake_dest(struct fake_service *s, const struct ipvs_msg_dest *d)
{
	for (size_t i = 0; s && i < s->n; i++) {
		if (weft_addr_cmp(&s->dest[i].addr, &d->addr) == 0 && s->dest[i].port == d->port)
			return &s->dest[i];
	}
	return NULL;
}

static inline int fake_write_service(struct fake_ipvs *k, int cmd, const struct ipvs_msg_service *s)
{
	struct fake_service *there = fake_find(k, &s->key);

	if (cmd != IPVS_CMD_NEW_SERVICE && !there)
		return -ESRCH;
	if (cmd == IPVS_CMD_NEW_SERVICE && there)
		return -EEXIST;
	if (cmd == IPVS_CMD_DEL_SERVICE) {
		there->used = false;
		return 0;
	}
	if (k->no_scheduler && strcmp(s->scheduler, k->no_scheduler) == 0)
		return -ENOENT;
	if (there)
		there->s = *s;
	else
		fake_add(k, s);
	return 0;
}

static inline int fake_write_dest(struct fake_ipvs *k, int cmd, const struct ipvs_msg_service *s,
                                  const struct ipvs_msg_dest *d)
{
	struct fake_service *service = fake_find(k, &s->key);
	struct ipvs_msg_dest *there = fake_dest(service, d);

	if (!service)
		return -ESRCH;
	if (cmd == IPVS_CMD_NEW_DEST && there)
		return -EEXIST;
	if (cmd != IPVS_CMD_NEW_DEST && !there)
		return -ENOENT;
	if (cmd == IPVS_CMD_DEL_DEST) {
		*there = service->dest[--service->n];
	} else {
		uint32_t active = there ? there->active : 0;

		if (service->n == FAKE_DESTS)
			abort();
		there = there ? there : &service->dest[service->n++];
		*there = *d;
		there->active = active;
	}
	return 0;
}

static inline int fake_process(struct fake_ipvs *k, const struct nlmsghdr *h)
{
	const struct genlmsghdr *g = nlmsg_data(h);
	struct ipvs_msg_service s;
	struct ipvs_msg_dest d;

	if (h->nlmsg_type != FAKE_FAMILY || k->no_module)
		return -ENOENT;
	if (k->messages < FAKE_LOG - 1 && g->cmd <= IPVS_CMD_DEL_DEST)
		k->log[k->messages] = "?Ssx?Ddy"[g->cmd];
	k->messages++;
	if (k->refuse && (!k->refuse_cmd || k->refuse_cmd == g->cmd))
		return k->refuse;
	if (g->cmd == IPVS_CMD_SET_CONFIG) {
		struct ipvs_msg_timeouts t;

		ipvs_msg_timeouts_parse(h, &t);
		k->timeouts[0] = t.tcp;
		k->timeouts[1] = t.tcp_fin;
		k->timeouts[2] = t.udp;
		return 0;
	}
	if (ipvs_msg_service_parse(h, &s))
		return -EINVAL;
	if (g->cmd <= IPVS_CMD_DEL_SERVICE)
		return fake_write_service(k, g->cmd, &s);
	return ipvs_msg_dest_parse(h, &d) ? -EINVAL : fake_write_dest(k, g->cmd, &s, &d);
}

static inline int fake_send(struct netlink *nl, struct netlink_batch *b, struct weft_err *err)
{
	struct fake_ipvs *k = (struct fake_ipvs *)nl;
	int lost = k->send_error;

	k->sends++;
	k->send_error = 0;
	for (size_t i = 0; i < netlink_batch_count(b); i++) {
		int rc = fake_process(k, netlink_batch_message(b, i));

		if (rc)
			netlink_batch_fail(b, i, rc, "");
	}
	return lost ? weft_err_errno(err, lost, "answers") : 0;
}

/* Encoders make requests; the kernel's answers look the same but for the persistence flags' company. */
static inline int fake_tell_service(struct fake_ipvs *k, const struct fake_service *s,
                                    const struct netlink_sink *sink, struct nl_msg *msg)
{
	(void)k;
	netlink_msg_reset(msg);
	ipvs_msg_service(msg, FAKE_FAMILY, IPVS_MSG_NEW, &s->s);
	if (s->s.odd) {
		struct nlattr *nest = nlmsg_find_attr(nlmsg_hdr(msg), GENL_HDRLEN, IPVS_CMD_ATTR_SERVICE);

		nla_put_string(msg, IPVS_SVC_ATTR_PE_NAME, "sip");
		nla_nest_end(msg, nest);
	}
	return sink->msg(sink->ctx, nlmsg_hdr(msg));
}

static inline int fake_tell_dests(struct fake_ipvs *k, const struct ipvs_msg_service *who,
                                  const struct netlink_sink *sink, struct nl_msg *msg)
{
	struct fake_service *s = fake_find(k, &who->key);
	int rc = 0;

	for (size_t i = 0; s && i < s->n && rc == 0; i++) {
		netlink_msg_reset(msg);
		ipvs_msg_dest(msg, FAKE_FAMILY, IPVS_MSG_NEW, &who->key, &s->dest[i]);
		if (s->dest[i].active) { /* what is only read */
			struct nlattr *nest =
			        nlmsg_find_attr(nlmsg_hdr(msg), GENL_HDRLEN, IPVS_CMD_ATTR_DEST);

			nla_put_u32(msg, IPVS_DEST_ATTR_ACTIVE_CONNS, s->dest[i].active);
			nest->nla_len = (uint16_t)(nest->nla_len + nla_total_size(sizeof(uint32_t)));
		}
		if (s->dest[i].odd) {
			struct nlattr *nest =
			        nlmsg_find_attr(nlmsg_hdr(msg), GENL_HDRLEN, IPVS_CMD_ATTR_DEST);
			struct nlattr *fwd =
			        nla_find(nla_data(nest), nla_len(nest), IPVS_DEST_ATTR_FWD_METHOD);
			uint32_t route = IP_VS_CONN_F_DROUTE;

			memcpy(nla_data(fwd), &route, sizeof(route));
		}
		rc = sink->msg(sink->ctx, nlmsg_hdr(msg));
	}
	return rc;
}

static inline int fake_answer(struct fake_ipvs *k, const struct nlmsghdr *h, const struct netlink_sink *sink,
                              struct nl_msg *msg)
{
	bool all = (h->nlmsg_flags & NLM_F_ACK) == 0;
	uint8_t cmd = ((const struct genlmsghdr *)nlmsg_data(h))->cmd;
	struct ipvs_msg_service who = {0};
	int rc = 0;

	if (cmd == IPVS_CMD_GET_CONFIG) {
		struct ipvs_msg_timeouts t = {k->timeouts[0], k->timeouts[1], k->timeouts[2]};

		ipvs_msg_set_timeouts(msg, FAKE_FAMILY, &t);
		return sink->msg(sink->ctx, nlmsg_hdr(msg));
	}
	if (cmd == IPVS_CMD_GET_SERVICE && all) {
		for (size_t i = k->hide > 0 ? 1 : 0; i < k->size && rc == 0; i++)
			rc = k->service[i].used ? fake_tell_service(k, &k->service[i], sink, msg) : 0;
		k->hide -= k->hide > 0 ? 1 : 0;
		return rc;
	}
	if (ipvs_msg_service_parse(h, &who))
		return -EINVAL;
	if (cmd == IPVS_CMD_GET_DEST) {
		if (k->vanish && fake_find(k, &who.key))
			fake_find(k, &who.key)->used = false;
		return fake_tell_dests(k, &who, sink, msg);
	}
	return fake_find(k, &who.key) ? fake_tell_service(k, fake_find(k, &who.key), sink, msg) : -ESRCH;
}

static inline int fake_dump(struct netlink *nl, struct nl_msg *req, const struct netlink_sink *sink,
                            struct weft_err *err)
{
	struct fake_ipvs *k = (struct fake_ipvs *)nl;
	const struct nlmsghdr *h = nlmsg_hdr(req);
	struct nl_msg *msg = netlink_msg_new();
	int rc;

	k->dumps++;
	if (k->dump_error) {
		rc = k->dump_error;
	} else if (k->no_module || (h->nlmsg_type != GENL_ID_CTRL && h->nlmsg_type != FAKE_FAMILY)) {
		rc = -ENOENT;
	} else if (h->nlmsg_type == GENL_ID_CTRL) {
		struct genlmsghdr g = {.cmd = CTRL_CMD_NEWFAMILY};

		nlmsg_put(msg, 0, 0, GENL_ID_CTRL, 0, 0);
		nlmsg_append(msg, &g, sizeof(g), NLMSG_ALIGNTO);
		nla_put_u16(msg, CTRL_ATTR_FAMILY_ID, FAKE_FAMILY);
		rc = sink->msg(sink->ctx, nlmsg_hdr(msg));
	} else {
		rc = fake_answer(k, h, sink, msg);
	}
	nlmsg_free(msg);
	return rc ? weft_err_errno(err, rc, "the stand-in says so") : 0;
}

static inline void fake_close(struct netlink *nl)
{
	(void)nl;
}

static const struct netlink_ops fake_ops = {.send = fake_send, .dump = fake_dump, .close = fake_close};

static inline void fake_init(struct fake_ipvs *k, size_t services)
{
	memset(k, 0, sizeof(*k));
	k->base.ops = &fake_ops;
	k->size = services;
	k->service = calloc(services, sizeof(*k->service));
}

#endif
