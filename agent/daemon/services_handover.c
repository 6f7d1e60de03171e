// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hand-over of connections that began on other nodes (agent/plan/handover.h): nftables marks their segments, an IPVS
 * service by that mark, for each family, sends them through a tunnel to the next node.
 *
 * IPVS remembers each connection that it handed over, and to whom. So a node that is not the next one any more stays a
 * destination without weight until no connection to it is left; the audit of IPVS looks. At a restart the service is
 * known by its mark, which the name gives in every life.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/daemon/services_private.h"
#include "weft/cleanup.h"
#include "weft/log.h"

#define HAND_MARK "hand over"

static struct svc_virtual by_mark(uint32_t mark, uint8_t family)
{
	struct svc_virtual v;

	memset(&v, 0, sizeof(v));
	v.key.addr.family = family;
	v.key.fwmark = mark;
	snprintf(v.scheduler, sizeof(v.scheduler), "rr");
	return v;
}

static const uint8_t families[] = {AF_INET, AF_INET6};

static struct svc_dest dest_of(const struct weft_addr *to, bool keep_only)
{
	return (struct svc_dest){.addr = *to, .weight = !keep_only, .tunnel = true, .keep_only = keep_only};
}

static void want(struct serving *s)
{
	struct svc_dest dests[1 + HANDOVER_RING];
	struct weft_err err = WEFT_ERR_INIT;
	size_t n = 0;

	if (!s->hand_mark)
		return; /* all marks are taken: what is unknown is reset, as without a hand-over */
	memset(dests, 0, sizeof(dests));
	if (weft_addr_is_set(&s->handover.next))
		dests[n++] = dest_of(&s->handover.next, false);
	for (size_t i = 0; i < s->n_hand_kept; i++)
		dests[n++] = dest_of(&s->hand_kept[i], true);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(families); i++) {
		struct svc_virtual v = by_mark(s->hand_mark, families[i]);

		if (!n)
			ipvs_unwant(s->o.ipvs, &v.key);
		else if (ipvs_want(s->o.ipvs, &v, dests, n, &err) < 0)
			log_warning("hand-over of connections: %s", err.text);
	}
}

static void forget(struct serving *s, const struct weft_addr *a)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_hand_kept; i++)
		if (weft_addr_cmp(&s->hand_kept[i], a))
			s->hand_kept[n++] = s->hand_kept[i];
	s->n_hand_kept = n;
}

static void keep(struct serving *s, const struct weft_addr *a)
{
	forget(s, a);
	if (weft_addr_is_set(a) && s->n_hand_kept < WEFT_ARRAY_LEN(s->hand_kept))
		s->hand_kept[s->n_hand_kept++] = *a;
}

static bool same(const struct handover_targets *a, const struct handover_targets *b)
{
	return !weft_addr_cmp(&a->next, &b->next) && a->left == b->left && a->drop == b->drop;
}

bool serving_handover(struct serving *s, const struct handover_targets *t)
{
	if (!s->o.cfg->services.enabled || same(t, &s->handover))
		return false;
	if (weft_addr_cmp(&t->next, &s->handover.next))
		keep(s, &s->handover.next);
	s->handover = *t;
	want(s);
	return true;
}

/* The addresses with connections in IPVS, of both families; false: it can't be said. */
static bool read_handed(struct serving *s, void (*fn)(struct serving *s, const struct weft_addr *to))
{
	for (size_t f = 0; f < WEFT_ARRAY_LEN(families); f++) {
		struct svc_virtual v = by_mark(s->hand_mark, families[f]);
		struct ipvs_service_info info;
		int r = ipvs_read(s->o.ipvs, &v.key, &info, NULL);

		if (r == -ENOENT)
			continue;
		if (r < 0)
			return false;
		for (size_t i = 0; i < info.n; i++)
			if (info.dests[i].active || info.dests[i].inactive)
				fn(s, &info.dests[i].addr);
		ipvs_service_info_free(&info);
	}
	return true;
}

void serving_handover_audit(struct serving *s)
{
	struct weft_addr before[WEFT_ARRAY_LEN(s->hand_kept)];
	size_t n = s->n_hand_kept;
	bool first = !s->hand_mark;

	if (!s->o.cfg->services.enabled)
		return;
	if (first)
		s->hand_mark = fwmarks_get(s->marks, HAND_MARK);
	if (!s->hand_mark || (!first && !n))
		return;
	memcpy(before, s->hand_kept, sizeof(before));
	s->n_hand_kept = 0;
	if (!read_handed(s, keep)) { /* the next time, then */
		memcpy(s->hand_kept, before, sizeof(before));
		s->n_hand_kept = n;
	}
	forget(s, &s->handover.next);
	if (s->n_hand_kept != n)
		want(s);
}

void handover_shape(const struct serving *s, struct nft_shape *shape)
{
	shape->hand_mark = weft_addr_is_set(&s->handover.next) ? s->hand_mark : 0;
	shape->hand_left = s->handover.left;
	shape->hand_drop = s->handover.drop;
}
