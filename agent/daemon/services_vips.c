// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * VIPs: an address that one or several Services have. Its local route waits until nftables and IPVS hold what
 * they need, its announcement until the route is in the kernel and IPVS has been read back. Withdrawals are
 * wanted at once, and serving_withdraw() writes them before anything else changes.
 */
#include <linux/rtnetlink.h>
#include <stdio.h>

#include "agent/daemon/services_private.h"
#include "weft/log.h"
#include "weft/marks.h"

/* `ip -6 route` gives local routes that somebody adds this metric. */
#define LOCAL_METRIC6 1024

struct weft_route vips_route(const struct serving *s, const struct weft_prefix *dst)
{
	bool v6 = dst->addr.family == AF_INET6;
	struct weft_route r;

	memset(&r, 0, sizeof(r));
	r.key.table = RT_TABLE_LOCAL;
	r.key.metric = v6 ? LOCAL_METRIC6 : 0;
	r.key.dst = *dst;
	r.type = RTN_LOCAL;
	r.scope = v6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_HOST;
	r.protocol = WEFT_RTPROT;
	r.src = v6 ? s->ip6 : s->ip4;
	snprintf(r.dev, sizeof(r.dev), "lo");
	return r;
}

struct vip *vips_find(const struct serving *s, const struct weft_addr *addr)
{
	unsigned hash = keyhash(&s->hash, addr, sizeof(*addr));
	struct vip *v;

	HASH_FIND_BYHASHVALUE(hh, s->vips, addr, sizeof(*addr), hash, v);
	return v;
}

static struct vip *need(struct serving *s, const struct weft_addr *addr)
{
	unsigned hash = keyhash(&s->hash, addr, sizeof(*addr));
	struct vip *v;

	HASH_FIND_BYHASHVALUE(hh, s->vips, addr, sizeof(*addr), hash, v);
	if (v)
		return v;
	v = must_alloc(1, sizeof(*v));
	v->addr = *addr;
	HASH_ADD_BYHASHVALUE(hh, s->vips, addr, sizeof(v->addr), hash, v);
	return v;
}

/* --- what is wanted --- */

static bool wants_route(const struct serving *s, const struct vip *v)
{
	if (!env_can_serve(s, v->addr.family))
		return false;
	for (const struct vip_user *u = v->users; u; u = u->next)
		if (u->route)
			return true;
	return false;
}

static void set_route(struct serving *s, struct vip *v, bool on)
{
	struct weft_prefix host = weft_prefix_host(&v->addr);
	struct weft_route r = vips_route(s, &host);
	char owner[WANTED_OWNER_MAX], text[WEFT_ADDR_STR];
	struct weft_err err = WEFT_ERR_INIT;

	snprintf(owner, sizeof(owner), "vip/%s", weft_addr_str(&v->addr, text));
	if (wanted_set(s->o.wanted, owner, &r, on ? 1 : 0, &err) < 0)
		log_warning("VIP %s: %s", text, err.text);
	v->routed = on;
}

void vips_wait_for(struct serving *s, struct vip *v, bool pending)
{
	if (v->pending == pending)
		return;
	v->pending = pending;
	if (pending)
		DL_APPEND(s->pending, v);
	else
		DL_DELETE(s->pending, v);
}

static void touch(struct serving *s, struct vip *v)
{
	if (v->touched)
		return;
	v->touched = true;
	DL_APPEND2(s->touched, v, touched_prev, touched_next);
}

/* Take back at once what is wanted no more; what is wanted anew waits for its turn. */
static void settle(struct serving *s, struct vip *v)
{
	bool route = wants_route(s, v);

	if (v->routed && !route) {
		set_route(s, v, false);
		s->withdrew = true;
	}
	if (!v->users) {
		vips_wait_for(s, v, false);
		HASH_DEL(s->vips, v);
		free(v->said);
		free(v);
		return;
	}
	if (route || announce_wanted(s, v))
		vips_wait_for(s, v, true);
}

void vips_put(struct serving *s, struct served *service, const struct weft_meta *meta,
              const struct svc_vip *want)
{
	struct vip *v = need(s, &want->addr);
	struct vip_user *u;

	LL_SEARCH_SCALAR(v->users, u, service, service);
	if (!u) {
		u = must_alloc(1, sizeof(*u));
		u->service = service;
		LL_PREPEND(v->users, u);
	}
	u->kind = want->kind;
	u->route = want->route;
	u->advertise = want->advertise;
	u->weight = want->weight;
	announce_choose(s, u, meta, want);
	touch(s, v);
}

void vips_drop(struct serving *s, struct served *service, const struct weft_addr *addr)
{
	struct vip *v = vips_find(s, addr);
	struct vip_user *u = NULL;

	if (v)
		LL_SEARCH_SCALAR(v->users, u, service, service);
	if (!u)
		return;
	LL_DELETE(v->users, u);
	announce_forget(s, u);
	free(u);
	touch(s, v);
}

void vips_settle(struct serving *s)
{
	struct vip *v, *next;

	/* Announcements end before the routes that they lead to. */
	DL_FOREACH2(s->touched, v, touched_next)
	if (v->n_said && !announce_wanted(s, v))
		announce_end(s, v);
	s->withdrew |= announcer_settle(s->o.announcer);
	DL_FOREACH_SAFE2(s->touched, v, next, touched_next)
	{
		v->touched = false;
		settle(s, v);
	}
	s->touched = NULL;
}

/* --- may it follow? --- */

/* No IPVS service of the VIP's Services is yet to be written. One that the kernel refuses holds up nothing
 * but itself. */
static bool dataplane_written(const struct serving *s, const struct vip *v)
{
	for (const struct vip_user *u = v->users; u; u = u->next)
		for (size_t i = 0; i < u->service->n_virtuals; i++) {
			const char *why;
			enum ipvs_state state = ipvs_state_of(s->o.ipvs, &u->service->virtuals[i], &why);

			if (state == IPVS_PENDING || state == IPVS_NOT_READY)
				return false;
		}
	return nft_settled(s->o.nft);
}

static bool has_traffic(const struct ipvs_service_info *info)
{
	for (size_t i = 0; i < info->n; i++)
		if (info->dests[i].weight)
			return true;
	return false;
}

/* An IPVS service at this address takes packets: as the kernel says, not as we remember. */
static bool read_back(struct serving *s, const struct vip *v)
{
	for (const struct vip_user *u = v->users; u; u = u->next) {
		if (!u->advertise)
			continue;
		for (size_t i = 0; i < u->service->n_virtuals; i++) {
			const struct svc_virtual_key *k = &u->service->virtuals[i];
			struct ipvs_service_info info;
			bool good;

			if (weft_addr_cmp(&k->addr, &v->addr) || !ipvs_installed(s->o.ipvs, k) ||
			    ipvs_read(s->o.ipvs, k, &info, NULL) < 0)
				continue;
			good = has_traffic(&info);
			ipvs_service_info_free(&info);
			if (good)
				return true;
		}
	}
	return false;
}

static bool route_installed(const struct serving *s, const struct vip *v)
{
	struct weft_prefix host = weft_prefix_host(&v->addr);
	struct weft_route r = vips_route(s, &host);
	enum fib_state state;

	if (v->routed)
		return fib_state_of(s->o.fib, &r.key, &state) && state == FIB_INSTALLED;
	return !wants_route(s, v) && env_routes(s, &v->addr);
}

/* The first announcement waits for the dataplane; what is announced already may be announced as another thing. */
static bool may_announce(struct serving *s, const struct vip *v)
{
	return v->n_said || (route_installed(s, v) && read_back(s, v));
}

static bool follow(struct serving *s, struct vip *v)
{
	bool progress = false;

	if (!dataplane_written(s, v))
		return false;
	if (wants_route(s, v)) {
		progress = !v->routed;
		set_route(s, v, true); /* again, too: its source may be another now */
	}
	if (announce_wanted(s, v) && announce_differs(s, v)) {
		if (!may_announce(s, v))
			return progress;
		progress |= announce_say(s, v);
	}
	vips_wait_for(s, v, false);
	return progress;
}

bool vips_follow(struct serving *s)
{
	bool progress = false;
	struct vip *v, *next;

	DL_FOREACH_SAFE(s->pending, v, next)
	progress |= follow(s, v);
	s->withdrew |= announcer_settle(s->o.announcer);
	return progress;
}

bool vips_wait(const struct serving *s)
{
	const struct vip *v;

	DL_FOREACH (s->pending, v)
		if (!dataplane_written(s, v))
			return true;
	return false;
}

void vips_free(struct serving *s)
{
	struct vip_user *u, *u_next;
	struct vip *v, *next;

	HASH_ITER (hh, s->vips, v, next) {
		LL_FOREACH_SAFE(v->users, u, u_next)
		{
			announce_forget(s, u);
			free(u);
		}
		HASH_DEL(s->vips, v);
		free(v->said);
		free(v);
	}
}
