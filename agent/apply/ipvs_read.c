// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading back: ipvs_resync(), one service, ipvs_cleanup().
 *
 * All services are dumped first, then the destinations of each that is wanted or ours. Nothing marks a dump
 * as interrupted: a service that it missed is found when it is added again (EEXIST), one that vanished
 * meanwhile has no destinations and is added when they are refused (ESRCH).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/apply/ipvs_private.h"
#include "weft/cleanup.h"

#define RESYNC_PAUSE_MS 1000

/* --- the family --- */

static int take_family(void *ctx, const struct nlmsghdr *nlh)
{
	int id = ipvs_msg_family_parse(nlh);

	if (id > 0)
		*(uint16_t *)ctx = (uint16_t)id;
	return 0;
}

/* Asking loads the module where that is possible (its alias is the family's name). */
static int look_for_ipvs(struct ipvs *i, struct weft_err *err)
{
	uint16_t family = 0;
	struct netlink_sink sink = {.msg = take_family, .ctx = &family};
	int rc;

	netlink_msg_reset(i->msg);
	rc = ipvs_msg_family(i->msg);
	if (!rc)
		rc = netlink_get(i->nl, i->msg, &sink, err);
	if (rc && rc != -ENOENT)
		return weft_err_wrap(err, "looking for IPVS in the kernel"), rc;
	i->family = rc ? 0 : family;
	i->look_again = false;
	return 0;
}

struct ipvs *ipvs_new(ipvs_owns_fn owns, void *ctx, struct weft_err *err)
{
	struct netlink *nl = netlink_open_protocol(NETLINK_GENERIC, err);
	struct ipvs *i = nl ? ipvs_new_on(nl, 0, owns, ctx) : NULL;

	if (!i) {
		if (nl)
			weft_err_errno(err, ENOMEM, "IPVS");
		netlink_close(nl);
		return NULL;
	}
	i->own_nl = true;
	if (look_for_ipvs(i, err)) {
		ipvs_free(i);
		return NULL;
	}
	return i;
}

/* --- destinations --- */

struct dest_list {
	struct ipvs_dest *d;
	size_t n, size;
};

static void free_dest_list(struct dest_list *l)
{
	free(l->d);
}

/* Room for one more element, zeroed by nobody. */
static int reserve(void **array, size_t *size, size_t n, size_t element)
{
	size_t more = *size ? *size * 2 : 64;
	void *grown;

	if (n < *size)
		return 0;
	grown = reallocarray(*array, more, element);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*size = more;
	return 0;
}

static void restart_dests(void *ctx)
{
	((struct dest_list *)ctx)->n = 0;
}

static int take_dest(void *ctx, const struct nlmsghdr *nlh)
{
	struct dest_list *l = ctx;
	struct ipvs_msg_dest m;
	struct ipvs_dest d = {0};
	bool odd;

	if (ipvs_msg_dest_parse(nlh, &m))
		return 0;
	if (reserve((void **)&l->d, &l->size, l->n, sizeof(*l->d)))
		return -ENOMEM;
	odd = m.odd || m.weight > UINT16_MAX;
	d.addr = m.addr;
	d.port = m.port;
	d.flags = (uint8_t)(DEST_RUNS | (odd ? DEST_ODD : 0) | (m.tunnel ? DEST_RUNS_TUNNEL : 0));
	d.run = m.weight > UINT16_MAX ? UINT16_MAX : (uint16_t)m.weight;
	l->d[l->n++] = d;
	return 0;
}

static int dump_dests(struct ipvs *i, const struct svc_virtual_key *key, const struct netlink_sink *sink,
                      struct weft_err *err)
{
	struct ipvs_msg_key k = ipvs_to_msg(key);
	char text[SVC_KEY_STR];
	int rc;

	netlink_msg_reset(i->msg);
	rc = ipvs_msg_dests(i->msg, i->family, &k);
	if (rc)
		return weft_err_errno(err, rc, "reading endpoints");
	rc = netlink_dump(i->nl, i->msg, sink, err);
	if (rc && rc != -ESRCH)
		return weft_err_wrap(err, "reading the endpoints of virtual service %s",
		                     svc_virtual_str(key, text)),
		       rc;
	return 0;
}

/* Fills the entry's running destinations; l is memory for it. */
static int read_dests(struct ipvs *i, struct ipvs_entry *e, struct dest_list *l, struct weft_err *err)
{
	struct netlink_sink sink = {.restart = restart_dests, .msg = take_dest, .ctx = l};
	int rc = dump_dests(i, &e->key, &sink, err);

	if (rc)
		return rc;
	l->n = ipvs_dests_sort(l->d, l->n);
	rc = ipvs_set_dests(e, l->d, l->n);
	return rc ? weft_err_errno(err, rc, "reading endpoints") : 0;
}

/* --- services --- */

struct service_list {
	struct ipvs_msg_service *s;
	size_t n, size;
};

static void free_service_list(struct service_list *l)
{
	free(l->s);
}

static void restart_services(void *ctx)
{
	((struct service_list *)ctx)->n = 0;
}

static int take_service(void *ctx, const struct nlmsghdr *nlh)
{
	struct service_list *l = ctx;

	if (reserve((void **)&l->s, &l->size, l->n, sizeof(*l->s)))
		return -ENOMEM;
	if (ipvs_msg_service_parse(nlh, &l->s[l->n]) == 0)
		l->n++;
	return 0;
}

static int read_services(struct ipvs *i, struct service_list *l, struct weft_err *err)
{
	struct netlink_sink sink = {.restart = restart_services, .msg = take_service, .ctx = l};
	int rc;

	netlink_msg_reset(i->msg);
	rc = ipvs_msg_services(i->msg, i->family);
	if (!rc)
		rc = netlink_dump(i->nl, i->msg, &sink, err);
	return rc ? (weft_err_wrap(err, "reading virtual services"), rc) : 0;
}

/* What nobody wants and is not ours leaves no entry. */
static int saw(struct ipvs *i, const struct ipvs_msg_service *s, struct dest_list *l, struct weft_err *err)
{
	struct svc_virtual_key key = ipvs_from_msg(&s->key);
	struct ipvs_entry *e = ipvs_find(i, &key);

	if (!e && !i->owns(i->ctx, &key))
		return 0;
	if (!e)
		e = ipvs_entry_make(i, &key);
	if (!e)
		return weft_err_errno(err, ENOMEM, "reading virtual services");
	ipvs_is_ours(i, e);
	ipvs_set_running(e, s);
	e->seen = true;
	return read_dests(i, e, l, err);
}

/* Adopt or repair. */
static void conclude(struct ipvs *i)
{
	struct ipvs_entry *e, *tmp;

	HASH_ITER (hh, i->entries, e, tmp) {
		bool right = e->wanted && e->place == IPVS_IDLE;

		if (!e->seen)
			ipvs_set_absent(e);
		ipvs_settle(i, e);
		i->repairs += right && e->place != IPVS_IDLE;
	}
}

static int read_all(struct ipvs *i, struct weft_err *err)
{
	weft_auto(free_service_list) struct service_list services = {0};
	weft_auto(free_dest_list) struct dest_list dests = {0};
	int rc = i->family ? read_services(i, &services, err) : 0;

	for (size_t k = 0; rc == 0 && k < services.n; k++)
		rc = saw(i, &services.s[k], &dests, err);
	return rc;
}

int ipvs_resync(struct ipvs *i, uint64_t now, struct weft_err *err)
{
	struct ipvs_entry *e, *tmp;
	int rc = 0;

	i->resyncs++;
	i->need_resync = true; /* until it worked */
	i->resync_after = now + RESYNC_PAUSE_MS;
	HASH_ITER (hh, i->entries, e, tmp)
		e->seen = false;
	if (!i->family || i->look_again)
		rc = look_for_ipvs(i, err);
	if (!rc)
		rc = read_all(i, err);
	if (rc)
		return rc;
	conclude(i);
	i->need_resync = false;
	return 0;
}

/* --- one service --- */

static int take_one(void *ctx, const struct nlmsghdr *nlh)
{
	return ipvs_msg_service_parse(nlh, ctx) == -EINVAL ? -EPROTO : 0;
}

/* -ENOENT: there is none. */
static int get_service(struct ipvs *i, const struct svc_virtual_key *key, struct ipvs_msg_service *out,
                       struct weft_err *err)
{
	struct netlink_sink sink = {.msg = take_one, .ctx = out};
	struct ipvs_msg_key k = ipvs_to_msg(key);
	char text[SVC_KEY_STR];
	int rc;

	memset(out, 0, sizeof(*out));
	if (!ipvs_available(i, err))
		return -ENOENT;
	netlink_msg_reset(i->msg);
	rc = ipvs_msg_get(i->msg, i->family, &k);
	if (rc)
		return weft_err_errno(err, rc, "asking for virtual service %s", svc_virtual_str(key, text));
	rc = netlink_get(i->nl, i->msg, &sink, err);
	if (rc == -ESRCH || rc == -ENOENT)
		return weft_err_set(err, ENOENT, "the kernel has no virtual service %s",
		                    svc_virtual_str(key, text));
	return rc ? (weft_err_wrap(err, "reading virtual service %s", svc_virtual_str(key, text)), rc) : 0;
}

int ipvs_reread(struct ipvs *i, struct ipvs_entry *e, struct weft_err *err)
{
	weft_auto(free_dest_list) struct dest_list dests = {0};
	struct ipvs_msg_service s;
	int rc = get_service(i, &e->key, &s, NULL);

	if (rc == -ENOENT) {
		ipvs_set_absent(e);
		return 0;
	}
	if (rc)
		return weft_err_errno(err, rc, "reading a virtual service");
	ipvs_set_running(e, &s);
	return read_dests(i, e, &dests, err);
}

static void restart_infos(void *ctx)
{
	((struct ipvs_service_info *)ctx)->n = 0;
}

static int take_info(void *ctx, const struct nlmsghdr *nlh)
{
	struct ipvs_service_info *info = ctx;
	struct ipvs_dest_info *grown;
	struct ipvs_msg_dest m;

	if (ipvs_msg_dest_parse(nlh, &m))
		return 0;
	grown = reallocarray(info->dests, info->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	info->dests = grown;
	grown[info->n++] = (struct ipvs_dest_info){.addr = m.addr,
	                                           .port = m.port,
	                                           .weight = m.weight,
	                                           .active = m.active,
	                                           .inactive = m.inactive};
	return 0;
}

int ipvs_read(struct ipvs *i, const struct svc_virtual_key *key, struct ipvs_service_info *out,
              struct weft_err *err)
{
	struct netlink_sink sink = {.restart = restart_infos, .msg = take_info, .ctx = out};
	struct ipvs_msg_service s;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = get_service(i, key, &s, err);
	if (!rc)
		rc = dump_dests(i, key, &sink, err);
	if (rc) {
		ipvs_service_info_free(out);
		return rc;
	}
	out->service.key = *key;
	memcpy(out->service.scheduler, s.scheduler, sizeof(out->service.scheduler));
	out->service.sched_flags = s.sched_flags;
	out->service.persistence_s = s.persistence_s;
	out->service.n = out->n;
	return 0;
}

void ipvs_service_info_free(struct ipvs_service_info *info)
{
	free(info->dests);
	info->dests = NULL;
	info->n = 0;
}

/* --- cleanup --- */

static void free_ipvs(struct ipvs **i)
{
	ipvs_free(*i);
}

int ipvs_cleanup(ipvs_owns_fn owns, void *ctx, size_t *removed, struct weft_err *err)
{
	weft_auto(free_ipvs) struct ipvs *i = ipvs_new(owns, ctx, err);
	size_t found;
	int rc;

	if (removed)
		*removed = 0;
	if (!i)
		return err && err->code ? err->code : -ENOMEM;
	rc = ipvs_resync(i, 0, err);
	if (rc)
		return rc;
	found = HASH_COUNT(i->entries);
	ipvs_sweep(i);
	do
		rc = ipvs_apply(i, 0, err);
	while (rc == 1);
	if (removed)
		*removed = found - HASH_COUNT(i->entries);
	if (rc)
		return rc;
	return i->entries ? weft_err_set(err, EIO, "%zu virtual services were not removed: %s",
	                                 (size_t)HASH_COUNT(i->entries),
	                                 i->entries->fault ? i->entries->fault->text : "unknown why")
	                  : 0;
}
