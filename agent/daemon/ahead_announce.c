// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is announced in one of the two states, by an announcer that has the agent's numbers and no kernel: it joins what
 * stands behind a prefix and gives a combination that is new the number that it would get. Of several new ones each
 * gets a number here; which gets which is settled when they come.
 */
#include "agent/daemon/ahead.h"

#include <stdio.h>
#include <string.h>

#include "weft/cleanup.h"
#include "weft/keyhash.h"
#include "weft/marks.h"

struct said {
	struct weft_prefix prefix;
	char *what;
};

struct ahead_announced {
	struct wanted *wanted;
	struct announcer *announcer;
	struct said *list;
	size_t n;
};

static void keep(void *ctx, const struct weft_route *r)
{
	(void)ctx, (void)r; /* `wanted` has it */
}

static void let_go(void *ctx, const struct weft_route_key *k)
{
	(void)ctx, (void)k;
}

struct ahead_announced *ahead_announced_new(const struct agent *a)
{
	static const struct wanted_ops ops = {.want = keep, .unwant = let_go};
	struct ahead_announced *d = must_alloc(1, sizeof(*d));

	d->wanted = wanted_new(&ops);
	d->announcer = announcer_ahead(a->announcer, d->wanted);
	return d;
}

static void say(struct ahead_announced *d, const struct weft_prefix *prefix, const char *what)
{
	d->list = must_grow(d->list, d->n + 1, sizeof(*d->list));
	d->list[d->n++] = (struct said){.prefix = *prefix, .what = must_strdup(what)};
}

void ahead_announce_block(struct ahead_announced *d, struct agent *a, const struct weft_prefix *cidr)
{
	struct advert_subject subject = adverts_of_block(a->cluster, cidr);

	announcer_put(d->announcer, cidr, &subject);
	say(d, cidr, "block of pods");
}

void ahead_announce_vip(struct ahead_announced *d, struct agent *a, const struct services_view *v,
                        const struct svc_vip *vip)
{
	static const char *const kinds[] = {"ClusterIP", "external IP", "LoadBalancer IP"};
	struct weft_prefix said[ADVERT_CHOICES];
	size_t n = serving_preview_vip(a->serving, &v->obj->meta, vip, d->announcer, said);
	weft_auto(weft_buf_free) struct weft_buf what = {0};

	weft_buf_printf(&what, "%s of %s", kinds[vip->kind], v->key);
	for (size_t i = 0; i < n; i++)
		say(d, &said[i], weft_buf_text(&what));
}

static void say_cidr(void *ctx, const struct weft_prefix *cidr)
{
	say(ctx, cidr, "service CIDR");
}

static void aggregate_line(void *ctx, const struct weft_route *r)
{
	char text[WEFT_ROUTE_STR];

	if (r->key.table != WEFT_TABLE_ADVERT)
		ahead_line(ctx, "route %s", weft_route_str(r, text));
}

void ahead_announced_end(struct ahead_announced *d, struct agent *a, struct ahead_lines *l)
{
	char cidr[WEFT_PREFIX_STR], weight[32];
	struct announced is;

	if (a->cfg.services.enabled)
		serving_preview_cidrs(a->serving, d->announcer, say_cidr, d);
	announcer_settle(d->announcer);
	announcer_collect(d->announcer);
	wanted_each(d->wanted, aggregate_line, l);
	for (size_t i = 0; i < d->n; i++) {
		if (!announcer_find(d->announcer, &d->list[i].prefix, &is))
			continue; /* no BGPAdvertisement has it, nor BGPConfig's `announce` */
		weight[0] = '\0';
		if (is.weight)
			snprintf(weight, sizeof(weight), " weight %u", is.weight);
		ahead_line(l, "announcement %s metric %u%s: %s", weft_prefix_str(&d->list[i].prefix, cidr),
		           is.class, weight, d->list[i].what);
	}
	a->announcer =
	        d->announcer; /* the classes of the BGP model; the agent's own has done its part here */
}

/* --- classes that come and go --- */

static bool same_set(const struct advert_class *x, const struct advert_class *y)
{
	bool same = x->type == y->type && x->n_names == y->n_names;

	for (size_t i = 0; i < x->n_names && same; i++)
		same = !strcmp(x->names[i], y->names[i]);
	return same;
}

static void add_missing(const struct ahead_announced *from, const struct ahead_announced *in,
                        const char *change, cJSON *list)
{
	size_t n;
	const struct advert_class *v = adverts_classes(announcer_book(from->announcer), &n);

	for (size_t i = 0; i < n; i++) {
		const struct advert_class *other = adverts_find(announcer_book(in->announcer), v[i].metric);
		cJSON *item, *names;

		if (other && same_set(&v[i], other))
			continue;
		item = cJSON_CreateObject();
		cJSON_AddStringToObject(item, "change", change);
		cJSON_AddNumberToObject(item, "metric", v[i].metric);
		cJSON_AddStringToObject(item, "type", advert_type_name(v[i].type));
		names = cJSON_AddArrayToObject(item, "advertisements");
		for (size_t k = 0; k < v[i].n_names; k++)
			cJSON_AddItemToArray(names, cJSON_CreateString(v[i].names[k]));
		cJSON_AddItemToArray(list, item);
	}
}

void ahead_add_classes(const struct ahead_announced *before, const struct ahead_announced *after, cJSON *list)
{
	add_missing(before, after, "removed", list);
	add_missing(after, before, "added", list);
}
