// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tunnel devices: tunnel.h.
 *
 * Level-triggered on the mirror of devices: look at the device, send what brings it nearer to what is wanted,
 * and wait for the event that tells the result; it makes us look again. A device that never becomes right
 * (something fights us) is slowed down by the backoff that also serves failures.
 */
#include "agent/apply/tunnel.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kernel/addr_msg.h"
#include "weft/cleanup.h"
#include "weft/log.h"
#include "weft/marks.h"

#define TTL          64
#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 60000
#define FREE_TRIES   4 /* create, address, and some change of plan meanwhile */

static const struct {
	const char *name, *kind;
	uint8_t family;
} types[TUNNEL_TYPES] = {
        [TUNNEL_IPIP] = {WEFT_DEV_IPIP, "ipip", AF_INET},
        [TUNNEL_SIT] = {WEFT_DEV_SIT, "sit", AF_INET6},
};

struct device {
	struct tunnel_spec spec;
	bool wanted, removed; /* removed: explicitly unwanted, need not wait for the sweep */
	bool dirty;
	bool created;      /* by us; its event, which puts it into the mirror, has not come yet */
	unsigned tries;    /* accepted by the kernel since it was right */
	unsigned failures; /* refused, in a row */
	uint64_t retry_at;
	char fault[256];
};

struct tunnel {
	struct netlink *nl;
	const struct links *links;
	struct nl_msg *msg;
	struct netlink_batch *batch;
	bool swept;
	struct device device[TUNNEL_TYPES];
};

struct tunnel *tunnel_new(struct netlink *nl, const struct links *links)
{
	struct tunnel *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->nl = nl;
	t->links = links;
	t->msg = netlink_msg_new();
	t->batch = netlink_batch_new();
	if (!t->msg || !t->batch) {
		tunnel_free(t);
		return NULL;
	}
	return t;
}

void tunnel_free(struct tunnel *t)
{
	if (!t)
		return;
	nlmsg_free(t->msg);
	netlink_batch_free(t->batch);
	free(t);
}

static void mark(struct device *d)
{
	d->dirty = true;
	d->tries = 0;
	d->failures = 0;
	d->retry_at = 0;
}

static bool same_spec(const struct tunnel_spec *a, const struct tunnel_spec *b)
{
	return weft_addr_cmp(&a->local, &b->local) == 0 && weft_addr_cmp(&a->addr, &b->addr) == 0 &&
	       a->mtu == b->mtu;
}

void tunnel_want(struct tunnel *t, enum tunnel_type type, const struct tunnel_spec *spec)
{
	struct device *d = &t->device[type];

	if (d->wanted && same_spec(&d->spec, spec))
		return;
	d->wanted = true;
	d->spec = *spec;
	mark(d);
}

void tunnel_unwant(struct tunnel *t, enum tunnel_type type)
{
	struct device *d = &t->device[type];

	if (!d->wanted)
		return;
	d->wanted = false;
	d->removed = true;
	mark(d);
}

void tunnel_resync(struct tunnel *t)
{
	for (int i = 0; i < TUNNEL_TYPES; i++) {
		t->device[i].created = false;
		mark(&t->device[i]);
	}
}

void tunnel_sweep(struct tunnel *t)
{
	t->swept = true;
	for (int i = 0; i < TUNNEL_TYPES; i++)
		mark(&t->device[i]); /* what was created a moment ago is not in the mirror yet: not again */
}

/* Looks again, but without forgetting how often it tried: our own changes come back as events. */
void tunnel_on_event(struct tunnel *t, const struct monitor_event *ev)
{
	const struct link_info *link = NULL;
	const char *name;

	if (ev->type == MONITOR_LINK_NEW || ev->type == MONITOR_LINK_DEL)
		name = ev->link.name;
	else if (ev->type == MONITOR_ADDR_NEW || ev->type == MONITOR_ADDR_DEL)
		name = (link = links_by_index(t->links, ev->addr.index)) ? link->name : "";
	else
		return;
	for (int i = 0; i < TUNNEL_TYPES; i++) {
		if (strcmp(name, types[i].name) == 0) {
			t->device[i].dirty = true;
			t->device[i].created = false;
		}
	}
}

const char *tunnel_fault(const struct tunnel *t, enum tunnel_type type)
{
	return t->device[type].fault;
}

/* What brings device `type` nearer is gathered here; an empty batch means that it is right. */
struct step {
	struct tunnel *t;
	enum tunnel_type type;
	uint32_t index;
	bool has_addr;
	int error;
};

static void add(struct step *s, int encoded)
{
	int rc = encoded ? encoded : netlink_batch_add(s->t->batch, s->t->msg);

	if (rc < 0 && !s->error)
		s->error = rc;
	netlink_msg_reset(s->t->msg);
}

static uint8_t host_len(uint8_t family)
{
	return (uint8_t)weft_addr_bits(family);
}

/* The kernel's own addresses on a sit device: link-local ones and ::a.b.c.d/96 (addrconf.c,
 * sit_add_v4_addrs). */
static bool kernels_own(const struct addr_info *a)
{
	static const uint8_t zero[12];

	return a->addr.family == AF_INET6 &&
	       (weft_addr_is_link_local(&a->addr) ||
	        (a->len == 96 && memcmp(a->addr.bytes, zero, sizeof(zero)) == 0));
}

static bool is_wanted(const struct step *s, const struct addr_info *a)
{
	return weft_addr_cmp(&a->addr, &s->t->device[s->type].spec.addr) == 0 &&
	       a->len == host_len(a->addr.family);
}

static bool look_for_addr(void *ctx, const struct addr_info *a)
{
	struct step *s = ctx;

	s->has_addr = is_wanted(s, a);
	return !s->has_addr;
}

static bool remove_other_addr(void *ctx, const struct addr_info *a)
{
	struct step *s = ctx;

	if (a->addr.family == types[s->type].family && !kernels_own(a) && !is_wanted(s, a))
		add(s, addr_msg_put(s->t->msg, RTM_DELADDR, s->index, &a->addr, a->len, false));
	return true;
}

/* First add, then remove: with its last v4 address a device loses its routes (fib_disable_ip). */
static void plan_addresses(struct step *s)
{
	const struct weft_addr *want = &s->t->device[s->type].spec.addr;

	links_addrs(s->t->links, s->index, look_for_addr, s);
	if (!s->has_addr && weft_addr_is_set(want))
		add(s, addr_msg_put(s->t->msg, RTM_NEWADDR, s->index, want, host_len(want->family), true));
	links_addrs(s->t->links, s->index, remove_other_addr, s);
}

static bool link_right(const struct link_info *link, const struct tunnel_spec *spec)
{
	return link->up && link->mtu == spec->mtu && link->tunnel_ttl == TTL && link->tunnel_pmtudisc &&
	       weft_addr_cmp(&link->tunnel_local, &spec->local) == 0;
}

static void plan_wanted(struct step *s, const struct link_info *link)
{
	const struct tunnel_spec *spec = &s->t->device[s->type].spec;
	struct link_tunnel lt = {.name = types[s->type].name,
	                         .kind = types[s->type].kind,
	                         .local = spec->local,
	                         .mtu = spec->mtu,
	                         .ttl = TTL};

	if (link && (link->tunnel_extra || weft_addr_is_set(&link->tunnel_remote))) {
		add(s, link_msg_del(s->t->msg, link->index));
		link = NULL;
	}
	if (!link) {
		add(s, link_msg_tunnel(s->t->msg, &lt, 0)); /* its event brings us back for the address */
		return;
	}
	if (!link_right(link, spec))
		add(s, link_msg_tunnel(s->t->msg, &lt, link->index));
	plan_addresses(s);
}

static void plan(struct step *s)
{
	const struct device *d = &s->t->device[s->type];
	const struct link_info *link = links_by_name(s->t->links, types[s->type].name);

	s->index = link ? link->index : 0;
	if (link && strcmp(link->kind, types[s->type].kind) != 0)
		s->error = d->wanted ? -EEXIST : 0;
	else if (d->wanted)
		plan_wanted(s, link);
	else if (link && (d->removed || s->t->swept))
		add(s, link_msg_del(s->t->msg, link->index));
}

static int send_step(struct step *s, struct weft_err *err)
{
	struct netlink_batch *b = s->t->batch;
	int rc = netlink_send(s->t->nl, b, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < netlink_batch_count(b); i++) {
		rc = netlink_batch_error(b, i);
		if (rc == 0 || (netlink_batch_message(b, i)->nlmsg_type == RTM_DELLINK && rc == -ENODEV) ||
		    (netlink_batch_message(b, i)->nlmsg_type == RTM_DELADDR && rc == -EADDRNOTAVAIL))
			continue;
		if (rc == -EOPNOTSUPP)
			return weft_err_set(err, rc, "this kernel has no %s tunnels (module %s)",
			                    types[s->type].kind, types[s->type].kind);
		if (rc == -EEXIST)
			return weft_err_set(err, rc, "another device is a tunnel of the same ends");
		return weft_err_errno(err, rc, "%s",
		                      netlink_batch_text(b, i)[0] ? netlink_batch_text(b, i) : "the kernel");
	}
	return 0;
}

static void schedule(struct device *d, uint64_t now)
{
	unsigned n = d->failures ? d->failures - 1 : d->tries - FREE_TRIES - 1;
	uint64_t delay = n < 6 ? (uint64_t)RETRY_MIN_MS << n : RETRY_MAX_MS;

	d->retry_at = now + (delay < RETRY_MAX_MS ? delay : RETRY_MAX_MS);
}

/* Keep the reason; true when it is news. */
static bool note_fault(struct device *d, const char *text)
{
	if (strncmp(d->fault, text, sizeof(d->fault) - 1) == 0)
		return false;
	snprintf(d->fault, sizeof(d->fault), "%s", text);
	return true;
}

static int converge(struct tunnel *t, enum tunnel_type type, uint64_t now, struct weft_err *err)
{
	struct device *d = &t->device[type];
	struct step s = {.t = t, .type = type};
	struct weft_err why = WEFT_ERR_INIT;
	int rc;

	netlink_batch_reset(t->batch);
	netlink_msg_reset(t->msg);
	d->dirty = false;
	if (d->created && d->wanted)
		return 0; /* its event makes us look again */
	plan(&s);
	if (!s.error && netlink_batch_count(t->batch) == 0) {
		*d = (struct device){.spec = d->spec, .wanted = d->wanted, .removed = d->removed};
		return 0;
	}
	if (s.error == -EEXIST)
		rc = weft_err_set(&why, EEXIST,
		                  "a device of another kind has this name, and is not weft's to change");
	else if (s.error)
		rc = weft_err_errno(&why, s.error, "encoding");
	else
		rc = send_step(&s, &why);
	if (rc) {
		d->failures++;
	} else {
		d->failures = 0;
		d->retry_at = 0;
		d->created = d->wanted && !links_by_name(t->links, types[type].name);
		if (++d->tries <= FREE_TRIES)
			return 0;
		rc = weft_err_set(&why, EAGAIN, "something changes it back again and again");
	}
	schedule(d, now);
	weft_err_wrap(&why, "tunnel device %s", types[type].name);
	if (!note_fault(d, why.text))
		return 0;
	if (err)
		*err = why;
	return rc;
}

int tunnel_apply(struct tunnel *t, uint64_t now, struct weft_err *err)
{
	int first = 0;

	for (int i = 0; i < TUNNEL_TYPES; i++) {
		struct device *d = &t->device[i];
		struct weft_err why = WEFT_ERR_INIT;
		int rc;

		if ((d->retry_at && d->retry_at > now) || (!d->dirty && !d->retry_at))
			continue;
		rc = converge(t, (enum tunnel_type)i, now, &why);
		if (rc && !first) {
			first = rc;
			if (err)
				*err = why;
		} else if (rc) {
			log_warning("%s", why.text); /* only one error fits the caller's */
		}
	}
	return first;
}

uint64_t tunnel_deadline(const struct tunnel *t)
{
	uint64_t deadline = TUNNEL_NEVER;

	for (int i = 0; i < TUNNEL_TYPES; i++) {
		const struct device *d = &t->device[i];
		uint64_t at = d->retry_at ? d->retry_at : d->dirty ? 0 : TUNNEL_NEVER;

		if (at < deadline)
			deadline = at;
	}
	return deadline;
}

int tunnel_cleanup(struct netlink *nl, const struct links *links, struct weft_err *err)
{
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();

	if (!msg)
		return weft_err_errno(err, ENOMEM, "removing tunnels");
	for (int i = 0; i < TUNNEL_TYPES; i++) {
		const struct link_info *link = links_by_name(links, types[i].name);
		int rc;

		if (!link || strcmp(link->kind, types[i].kind) != 0)
			continue;
		netlink_msg_reset(msg);
		rc = link_msg_del(msg, link->index);
		if (!rc)
			rc = netlink_one(nl, msg, "removing a tunnel device", err);
		if (rc && rc != -ENODEV)
			return rc;
	}
	return 0;
}
