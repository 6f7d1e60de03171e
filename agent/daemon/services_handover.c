// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hand-over of connections whose node is being drained (agent/plan/handover.h): nftables marks their segments, an IPVS
 * service by that mark sends them through a tunnel to the node. One mark for what comes from outside, one for what
 * comes out of a tunnel; each for both families.
 */
#include <stdio.h>
#include <string.h>

#include "agent/daemon/services_private.h"
#include "weft/cleanup.h"
#include "weft/log.h"

static struct svc_virtual by_mark(uint32_t mark, uint8_t family)
{
	struct svc_virtual v;

	memset(&v, 0, sizeof(v));
	v.key.addr.family = family;
	v.key.fwmark = mark;
	snprintf(v.scheduler, sizeof(v.scheduler), "rr");
	return v;
}

static void want(struct serving *s, uint32_t mark, const struct weft_addr *to)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	struct svc_dest dest = {.addr = *to, .weight = 1, .tunnel = true};
	struct weft_err err = WEFT_ERR_INIT;

	if (!mark)
		return; /* never needed, or none is left: what is unknown is reset, as without a hand-over */
	for (size_t i = 0; i < WEFT_ARRAY_LEN(families); i++) {
		struct svc_virtual v = by_mark(mark, families[i]);

		if (!weft_addr_is_set(to))
			ipvs_unwant(s->o.ipvs, &v.key);
		else if (ipvs_want(s->o.ipvs, &v, &dest, 1, &err) < 0)
			log_warning("hand-over of connections: %s", err.text);
	}
}

/* The mark is taken with the first use and kept: the name gives the same one in every life. */
static uint32_t mark_of(struct serving *s, uint32_t *kept, const char *name, const struct weft_addr *to)
{
	if (!*kept && weft_addr_is_set(to))
		*kept = fwmarks_get(s->marks, name);
	return *kept;
}

bool serving_handover(struct serving *s, const struct handover_targets *t)
{
	if (!s->o.cfg->services.enabled ||
	    (!weft_addr_cmp(&s->handover.first, &t->first) && !weft_addr_cmp(&s->handover.next, &t->next) &&
	     s->handover.last == t->last))
		return false;
	want(s, mark_of(s, &s->mark_over, "hand over", &t->first), &t->first);
	want(s, mark_of(s, &s->mark_on, "hand on", &t->next), &t->next);
	s->handover = *t;
	return true;
}

void handover_shape(const struct serving *s, struct nft_shape *shape)
{
	shape->hand_over = weft_addr_is_set(&s->handover.first) ? s->mark_over : 0;
	shape->hand_drop = s->handover.last;
	shape->hand_on = weft_addr_is_set(&s->handover.next) ? s->mark_on : 0;
}
