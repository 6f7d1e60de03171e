// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/plan/drain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/cleanup.h"
#include "weft/keyhash.h"

#define HEADING "weft-drain 1"

/* One drain: of the node, or of a peer. */
struct one {
	enum bgp_drain stage;
	unsigned reasons;
	uint64_t since, from, at, wait; /* from: LAST_RESORT; at: WITHDRAWN */
	uint64_t notice, end;           /* end: NONE, once no reason is left */
};

struct peer {
	char name[WEFT_NAME_MAX + 1];
	struct one one;
};

struct drain {
	struct one node;
	struct peer *peers; /* by name */
	struct bgp_peer_drain *view;
	size_t n;
};

struct drain *drain_new(void)
{
	struct drain *d = must_alloc(1, sizeof(*d));

	d->node.notice = DRAIN_NOTICE_MS;
	return d;
}

void drain_free(struct drain *d)
{
	if (!d)
		return;
	free(d->peers);
	free(d->view);
	free(d);
}

/* --- reasons --- */

unsigned drain_reasons_of(const struct weft_object *node, const struct weft_bgpconfig *cfg)
{
	const struct weft_meta *m = &node->meta;
	const char *annotation = weft_label_get(m->annotations, m->n_annotations, WEFT_ANNOTATION_DRAIN);
	unsigned reasons = 0;

	if (annotation && !strcmp(annotation, "true"))
		reasons |= DRAIN_ANNOTATION;
	if (node->node.cordoned && cfg && cfg->drain_on_cordon)
		reasons |= DRAIN_CORDON;
	if (weft_label_get(m->labels, m->n_labels, WEFT_LABEL_EXCLUDE))
		reasons |= DRAIN_EXCLUDED;
	if (node->node.autoscaler_taint)
		reasons |= DRAIN_AUTOSCALER;
	return reasons;
}

uint64_t drain_wait_of(const struct weft_bgpconfig *cfg)
{
	return 1000 * (uint64_t)(cfg ? cfg->drain_wait_s : WEFT_DRAIN_WAIT_DEFAULT_S);
}

const char *drain_reason_text(unsigned one)
{
	switch (one) {
	case DRAIN_COMMAND:
		return "weftctl drain";
	case DRAIN_ANNOTATION:
		return "annotation " WEFT_ANNOTATION_DRAIN;
	case DRAIN_CORDON:
		return "cordoned";
	case DRAIN_EXCLUDED:
		return "label " WEFT_LABEL_EXCLUDE;
	case DRAIN_AUTOSCALER:
		return "taint ToBeDeletedByClusterAutoscaler";
	case DRAIN_STOPPING:
		return "weftd is being stopped";
	default:
		return "";
	}
}

const char *drain_stage_name(enum bgp_drain stage)
{
	return stage == BGP_DRAIN_NONE          ? "none"
	       : stage == BGP_DRAIN_LAST_RESORT ? "last resort"
	                                        : "withdrawn";
}

bool drain_begins(const struct drain_state *s)
{
	return s->reasons && s->stage == BGP_DRAIN_NONE;
}

bool drain_ends(const struct drain_state *s)
{
	return !s->reasons && s->stage != BGP_DRAIN_NONE;
}

/* --- one drain --- */

static void schedule(struct one *o)
{
	o->from = o->since + (o->wait ? o->notice : 0);
	o->at = o->from + o->wait;
}

static bool set_reasons(struct one *o, unsigned reasons, uint64_t wait_ms, uint64_t now)
{
	unsigned before = o->reasons;

	if (reasons == before)
		return false;
	o->reasons = reasons;
	if (!reasons)
		o->end = now + (o->stage == BGP_DRAIN_NONE ? 0 : o->notice);
	if (!before && o->stage == BGP_DRAIN_NONE) {
		o->since = now;
		o->wait = wait_ms < DRAIN_WAIT_MAX ? wait_ms : DRAIN_WAIT_MAX;
		schedule(o);
	}
	return true;
}

/* A clock that was set back must not prolong the wait. */
static void follow_clock(struct one *o, uint64_t now)
{
	if (o->end > now + o->notice)
		o->end = now + o->notice;
	if (o->since <= now)
		return;
	o->since = now;
	schedule(o);
	if (o->stage == BGP_DRAIN_NONE)
		return;
	o->from = now;
	o->at = now + o->wait;
}

static bool turn(struct one *o, uint64_t now)
{
	enum bgp_drain before = o->stage;

	follow_clock(o, now);
	if (!o->reasons && now < o->end)
		return false;
	if (!o->reasons || now < o->from)
		o->stage = BGP_DRAIN_NONE;
	else
		o->stage = now >= o->at ? BGP_DRAIN_WITHDRAWN : BGP_DRAIN_LAST_RESORT;
	return o->stage != before;
}

static uint64_t deadline(const struct one *o)
{
	bool waits = o->reasons && o->stage != BGP_DRAIN_WITHDRAWN;

	if (!o->reasons && o->stage != BGP_DRAIN_NONE)
		return o->end;
	if (!waits)
		return DRAIN_NEVER;
	return o->stage == BGP_DRAIN_NONE ? o->from : o->at;
}

bool drain_node(struct drain *d, unsigned mask, unsigned reasons, uint64_t wait_ms, uint64_t now)
{
	return set_reasons(&d->node, (d->node.reasons & ~mask) | (reasons & mask), wait_ms, now);
}

/* --- peers --- */

static struct peer *find(const struct drain *d, const char *name)
{
	for (size_t i = 0; i < d->n; i++)
		if (!strcmp(d->peers[i].name, name))
			return &d->peers[i];
	return NULL;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct peer *)a)->name, ((const struct peer *)b)->name);
}

/* What others see borrows the names: made anew whenever the list moves. */
static void show(struct drain *d)
{
	d->view = must_grow(d->view, d->n + 1, sizeof(*d->view));
	for (size_t i = 0; i < d->n; i++)
		d->view[i] = (struct bgp_peer_drain){d->peers[i].name, d->peers[i].one.stage};
}

static bool is_name(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= WEFT_NAME_MAX &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-") == len;
}

static struct peer *add(struct drain *d, const char *name)
{
	d->peers = must_grow(d->peers, d->n + 1, sizeof(*d->peers));
	memset(&d->peers[d->n], 0, sizeof(*d->peers));
	snprintf(d->peers[d->n].name, sizeof(d->peers[d->n].name), "%s", name);
	d->n++;
	qsort(d->peers, d->n, sizeof(*d->peers), by_name);
	return find(d, name);
}

int drain_peer(struct drain *d, const char *name, bool on, uint64_t wait_ms, uint64_t now,
               struct weft_err *err)
{
	struct peer *p;

	if (!is_name(name))
		return weft_err_set(err, EINVAL, "\"%.80s\" is not the name of a BGPPeer", name);
	p = find(d, name);
	if (!on) {
		if (!p)
			return 0;
		memmove(p, p + 1, (size_t)(d->peers + d->n - (p + 1)) * sizeof(*p));
		d->n--;
		show(d);
		return 1;
	}
	if (p)
		return 0;
	if (d->n == DRAIN_PEERS)
		return weft_err_set(err, ENOSPC, "%d peers are drained already", DRAIN_PEERS);
	p = add(d, name);
	set_reasons(&p->one, DRAIN_COMMAND, wait_ms, now);
	turn(&p->one, now);
	show(d);
	return 1;
}

/* --- what follows --- */

bool drain_turn(struct drain *d, uint64_t now)
{
	bool changed = turn(&d->node, now);

	for (size_t i = 0; i < d->n; i++)
		changed |= turn(&d->peers[i].one, now);
	if (changed)
		show(d);
	return changed;
}

uint64_t drain_deadline(const struct drain *d)
{
	uint64_t at = deadline(&d->node);

	for (size_t i = 0; i < d->n; i++)
		if (deadline(&d->peers[i].one) < at)
			at = deadline(&d->peers[i].one);
	return at;
}

static struct drain_state state_of(const struct one *o)
{
	return (struct drain_state){.stage = o->stage, .reasons = o->reasons, .since = o->since, .at = o->at};
}

struct drain_state drain_state(const struct drain *d)
{
	return state_of(&d->node);
}

const struct bgp_peer_drain *drain_peers(const struct drain *d, size_t *n)
{
	*n = d->n;
	return d->view;
}

bool drain_peer_state(const struct drain *d, const char *peer, struct drain_state *out)
{
	const struct peer *p = find(d, peer);

	if (p)
		*out = state_of(&p->one);
	return p;
}

/* --- over a restart --- */

void drain_save(const struct drain *d, struct weft_buf *out)
{
	unsigned kept = d->node.reasons & ~(unsigned)DRAIN_STOPPING;

	weft_buf_str(out, HEADING "\n");
	if (kept)
		weft_buf_printf(out, "node %u %" PRIu64 " %" PRIu64 "\n", kept, d->node.since, d->node.wait);
	for (size_t i = 0; i < d->n; i++)
		weft_buf_printf(out, "peer %s %" PRIu64 " %" PRIu64 "\n", d->peers[i].name,
		                d->peers[i].one.since, d->peers[i].one.wait);
}

static bool restore(struct one *o, unsigned reasons, uint64_t since, uint64_t wait)
{
	if (!reasons || wait > DRAIN_WAIT_MAX || since > UINT64_MAX / 2)
		return false;
	*o = (struct one){.reasons = reasons, .since = since, .wait = wait, .notice = o->notice};
	schedule(o);
	return true;
}

static bool load_line(struct drain *d, const char *line)
{
	char name[WEFT_NAME_MAX + 1];
	uint64_t since, wait;
	unsigned reasons;
	int end = 0;

	if (sscanf(line, "node %u %" SCNu64 " %" SCNu64 "%n", &reasons, &since, &wait, &end) == 3 &&
	    !line[end])
		return !d->node.reasons && !(reasons & ~0x1fu) && restore(&d->node, reasons, since, wait);
	if (sscanf(line, "peer %253s %" SCNu64 " %" SCNu64 "%n", name, &since, &wait, &end) == 3 &&
	    !line[end])
		return is_name(name) && !find(d, name) && d->n < DRAIN_PEERS &&
		       restore(&add(d, name)->one, DRAIN_COMMAND, since, wait);
	return false;
}

static bool load_lines(struct drain *d, char *text)
{
	char *rest = NULL, *line = strtok_r(text, "\n", &rest);

	if (!line || strcmp(line, HEADING))
		return false;
	while ((line = strtok_r(NULL, "\n", &rest)))
		if (!load_line(d, line))
			return false;
	return true;
}

int drain_load(struct drain *d, const char *text, size_t len, uint64_t now, struct weft_err *err)
{
	weft_autofree char *copy = strndup(text, len);

	if (!copy || strlen(copy) != len || !load_lines(d, copy)) {
		d->node = (struct one){.notice = DRAIN_NOTICE_MS};
		d->n = 0;
		show(d);
		return weft_err_set(err, EINVAL, "it is damaged");
	}
	drain_turn(d, now);
	show(d);
	return 0;
}
