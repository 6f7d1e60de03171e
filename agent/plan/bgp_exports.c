// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Classes of announcement, for each peer: what the BGPAdvertisements of a class say, put together.
 *
 * A class without BGPAdvertisement goes to every peer as it is. Several that choose the same prefixes add up:
 * all communities, the highest local preference, the longest prepend. A peer that none of them names hears
 * nothing of the class. A BGPAdvertisement that was deleted counts as long as routes are in classes that have it.
 */
#include "agent/plan/bgp_int.h"

#include <stdio.h>

#include "weft/keyhash.h"

#define COMMENT_MAX 160

static const struct advert_class plain[] = {
        {.metric = 100, .type = WEFT_ADVERT_PODBLOCK},
        {.metric = 200, .type = WEFT_ADVERT_LOADBALANCER},
        {.metric = 201, .type = WEFT_ADVERT_EXTERNAL},
        {.metric = 202, .type = WEFT_ADVERT_CLUSTER},
};

static const struct advert_class *classes(const struct bgp_build *b, size_t *n)
{
	*n = b->params->classes ? b->params->n_classes : sizeof(plain) / sizeof(plain[0]);
	return b->params->classes ? b->params->classes : plain;
}

static int class_cmp(const void *x, const void *y)
{
	const struct bgp_class *a = x, *b = y;

	return a->metric < b->metric ? -1 : a->metric > b->metric;
}

static int export_cmp(const void *x, const void *y)
{
	const struct bgp_export *a = x, *b = y;

	return a->metric < b->metric ? -1 : a->metric > b->metric;
}

static void warn_of(struct bgp_build *b, const struct advert_class *class)
{
	for (size_t i = 0; i < class->n_names; i++) {
		const struct weft_object *o = cluster_get(b->c, WEFT_BGPADVERTISEMENT, class->names[i]);
		struct weft_community *list = NULL;
		size_t n = 0;
		const char *unknown = !o ? NULL
		                         : bgp_communities(b->cfg, o->bgpadvertisement.communities,
		                                           o->bgpadvertisement.n_communities, &list, &n);

		free(list);
		if (unknown)
			bgp_warn(
			        b->m,
			        "BGPAdvertisement %.100s: BGPConfig's communities have no name %.100s; it is left out",
			        class->names[i], unknown);
	}
}

void bgp_plan_classes(struct bgp_build *b)
{
	size_t n;
	const struct advert_class *v = classes(b, &n);

	b->m->classes = must_alloc(n, sizeof(*b->m->classes));
	b->m->n_classes = n;
	for (size_t i = 0; i < n; i++) {
		b->m->classes[i] = (struct bgp_class){v[i].metric, v[i].type};
		warn_of(b, &v[i]);
	}
	if (n > 1)
		qsort(b->m->classes, n, sizeof(*b->m->classes), class_cmp);
}

static bool concerns(const struct weft_bgpadvertisement *a, const struct bgp_peer *p)
{
	for (size_t i = 0; i < a->n_peers; i++)
		if (p->origin == BGP_PEER_OBJECT && !strcmp(a->peers[i], p->name))
			return true;
	return a->n_peers == 0;
}

static void merge(struct bgp_build *b, const struct weft_bgpadvertisement *a, struct bgp_export *e)
{
	bgp_communities(b->cfg, a->communities, a->n_communities, &e->communities, &e->n_communities);
	if (a->has_local_pref && (!e->has_local_pref || a->local_pref > e->local_pref))
		e->local_pref = a->local_pref;
	e->has_local_pref |= a->has_local_pref;
	if (a->prepend > e->prepend)
		e->prepend = a->prepend;
	e->weight |= a->endpoint_weight;
}

static void comment(char **text, const char *name)
{
	char clean[COMMENT_MAX], *longer;
	size_t len = *text ? strlen(*text) : 0;

	bgp_clean(name, clean, sizeof(clean));
	if (len + strlen(clean) + 2 > COMMENT_MAX)
		snprintf(clean, sizeof(clean), "...");
	if (len > 3 && !strcmp(*text + len - 3, "..."))
		return;
	longer = must_alloc(1, len + strlen(clean) + 3);
	sprintf(longer, "%s%s%s", len ? *text : "", len ? ", " : "", clean);
	free(*text);
	*text = longer;
}

static const struct weft_object *advertisement(const struct cluster *c, const char *name)
{
	const struct weft_object *o = cluster_get(c, WEFT_BGPADVERTISEMENT, name);

	return o ? o : cluster_deleted_advertisement(c, name);
}

/* False: this class is not for this peer. */
static bool plan_export(struct bgp_build *b, const struct advert_class *class, const struct bgp_peer *p,
                        struct bgp_export *e)
{
	bool any = class->n_names == 0;

	*e = (struct bgp_export){.metric = class->metric, .type = class->type};
	for (size_t i = 0; i < class->n_names; i++) {
		const struct weft_object *o = advertisement(b->c, class->names[i]);

		if (!o || !concerns(&o->bgpadvertisement, p))
			continue;
		merge(b, &o->bgpadvertisement, e);
		comment(&e->comment, class->names[i]);
		any = true;
	}
	if (any && !e->comment)
		e->comment = must_strdup("");
	return any;
}

void bgp_exports(struct bgp_build *b, struct bgp_peer *p)
{
	size_t n;
	const struct advert_class *v = classes(b, &n);

	p->exports = must_alloc(n, sizeof(*p->exports));
	for (size_t i = 0; i < n; i++) {
		/* Every node serves the addresses of Services itself: in a mesh they would be noise. */
		if (p->origin != BGP_PEER_OBJECT && v[i].type != WEFT_ADVERT_PODBLOCK)
			continue;
		if (plan_export(b, &v[i], p, &p->exports[p->n_exports]))
			p->n_exports++;
	}
	if (p->n_exports > 1)
		qsort(p->exports, p->n_exports, sizeof(*p->exports), export_cmp);
}

void bgp_exports_free(struct bgp_export *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].communities);
		free(v[i].comment);
	}
	free(v);
}
