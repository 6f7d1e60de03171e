// SPDX-License-Identifier: GPL-2.0-or-later
/* A peer's import and export lists with their names resolved. */
#include "agent/plan/bgp_int.h"

#include "weft/keyhash.h"

int bgp_community_cmp(const void *x, const void *y)
{
	const struct weft_community *a = x, *b = y;

	if (a->large != b->large)
		return a->large - b->large;
	for (int i = 0; i < 3; i++)
		if (a->part[i] != b->part[i])
			return a->part[i] < b->part[i] ? -1 : 1;
	return 0;
}

static const struct weft_community *community(const struct weft_bgpconfig *cfg,
                                              const struct weft_community_ref *ref)
{
	if (!ref->name)
		return &ref->value;
	for (size_t i = 0; cfg && i < cfg->n_communities; i++)
		if (!strcmp(cfg->communities[i].name, ref->name))
			return &cfg->communities[i].value;
	return NULL;
}

static void insert(struct weft_community **v, size_t *n, const struct weft_community *c)
{
	size_t at = 0;

	while (at < *n && bgp_community_cmp(&(*v)[at], c) < 0)
		at++;
	if (at < *n && !bgp_community_cmp(&(*v)[at], c))
		return;
	*v = must_grow(*v, *n + 1, sizeof(**v));
	memmove(&(*v)[at + 1], &(*v)[at], (*n - at) * sizeof(**v));
	(*v)[at] = *c;
	(*n)++;
}

const char *bgp_communities(const struct weft_bgpconfig *cfg, const struct weft_community_ref *refs, size_t n,
                            struct weft_community **out, size_t *n_out)
{
	const char *unknown = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct weft_community *c = community(cfg, &refs[i]);

		if (c)
			insert(out, n_out, c);
		else if (!unknown)
			unknown = refs[i].name;
	}
	return unknown;
}

/* A rule whose only prefixes are nonsense would match every route: it is refused. */
static const char *rule_ranges(const struct weft_bgp_rule *from, struct bgp_rule *to)
{
	for (size_t i = 0; i < from->n_prefixes; i++)
		bgp_add_range(&to->prefixes, &to->n_prefixes, &from->prefixes[i].cidr, from->prefixes[i].ge,
		              from->prefixes[i].le);
	return to->n_prefixes == from->n_prefixes ? NULL : "a prefix whose ge and le hold no length";
}

static void rule(const struct weft_bgpconfig *cfg, const struct weft_bgp_rule *from, struct bgp_rule *to,
                 struct bgp_peer *p)
{
	const char *nonsense = rule_ranges(from, to);
	const char *unknown = bgp_communities(cfg, from->communities, from->n_communities, &to->communities,
	                                      &to->n_communities);
	const char *unknown2 = bgp_communities(cfg, from->add_communities, from->n_add_communities,
	                                       &to->add_communities, &to->n_add_communities);

	if (nonsense)
		bgp_refuse(p, "a rule has %s", nonsense);
	if (unknown || unknown2)
		bgp_refuse(p, "BGPConfig's communities have no name %.100s", unknown ? unknown : unknown2);
	to->as_path = must_alloc(from->n_as_path + 1, sizeof(*to->as_path));
	to->n_as_path = from->n_as_path;
	for (size_t i = 0; i < from->n_as_path; i++)
		to->as_path[i] = from->as_path[i];
	to->reject = from->reject;
	to->has_local_pref = from->has_local_pref;
	to->local_pref = from->has_local_pref ? from->local_pref : 0;
	to->prepend = from->prepend;
}

static struct bgp_rule *rules(const struct weft_bgpconfig *cfg, const struct weft_bgp_rule *from, size_t n,
                              struct bgp_peer *p)
{
	struct bgp_rule *to = n ? must_alloc(n, sizeof(*to)) : NULL;

	for (size_t i = 0; i < n; i++)
		rule(cfg, &from[i], &to[i], p);
	return to;
}

void bgp_rules(struct bgp_build *b, const struct weft_bgppeer *spec, struct bgp_peer *p)
{
	p->import = rules(b->cfg, spec->import, spec->n_import, p);
	p->n_import = spec->n_import;
	p->export = rules(b->cfg, spec->export, spec->n_export, p);
	p->n_export = spec->n_export;
}

void bgp_rules_free(struct bgp_rule *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].prefixes);
		free(v[i].communities);
		free(v[i].add_communities);
		free(v[i].as_path);
	}
	free(v);
}
