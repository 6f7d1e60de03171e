// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/plan/bgp_words.h"

#include <string.h>

const char *bgp_words_type(unsigned type)
{
	switch (type) {
	case WEFT_ADVERT_PODBLOCK:
		return "blocks of pods";
	case WEFT_ADVERT_LOADBALANCER:
		return "LoadBalancer IPs";
	case WEFT_ADVERT_EXTERNAL:
		return "external IPs";
	default:
		return "cluster IPs";
	}
}

const char *bgp_words_drain(enum bgp_drain stage)
{
	return stage == BGP_DRAIN_NONE          ? "none"
	       : stage == BGP_DRAIN_LAST_RESORT ? "last resort"
	                                        : "withdrawn";
}

void bgp_words_range(const struct bgp_range *r, struct weft_buf *out)
{
	char cidr[WEFT_PREFIX_STR];

	weft_buf_str(out, weft_prefix_str(&r->cidr, cidr));
	if (r->ge != r->cidr.len || r->le != r->cidr.len)
		weft_buf_printf(out, "{%u,%u}", r->ge, r->le);
}

void bgp_words_community(const struct weft_community *c, struct weft_buf *out)
{
	weft_buf_printf(out, "%u:%u", c->part[0], c->part[1]);
	if (c->large)
		weft_buf_printf(out, ":%u", c->part[2]);
}

static void communities(const struct weft_community *v, size_t n, const char *between, struct weft_buf *out)
{
	for (size_t i = 0; i < n; i++) {
		weft_buf_str(out, i ? between : "");
		bgp_words_community(&v[i], out);
	}
}

/* A list of phrases with a word between them. */
struct phrases {
	struct weft_buf *out;
	const char *between;
	size_t n;
};

static struct weft_buf *phrase(struct phrases *p)
{
	weft_buf_str(p->out, p->n++ ? p->between : "");
	return p->out;
}

static void conditions(const struct bgp_rule *r, struct phrases *p)
{
	if (r->n_prefixes)
		weft_buf_str(phrase(p), "in ");
	for (size_t i = 0; i < r->n_prefixes; i++) {
		weft_buf_str(p->out, i ? " or " : "");
		bgp_words_range(&r->prefixes[i], p->out);
	}
	if (r->n_communities)
		communities(r->communities, r->n_communities, " or ",
		            (weft_buf_str(phrase(p), "with community "), p->out));
	if (r->n_as_path)
		weft_buf_str(phrase(p), "its path begins with");
	for (size_t i = 0; i < r->n_as_path; i++)
		weft_buf_printf(p->out, " %u", r->as_path[i]);
}

static void prepended(uint8_t times, struct phrases *p)
{
	if (times)
		weft_buf_printf(phrase(p), "own AS prepended %u time%s", times, times == 1 ? "" : "s");
}

void bgp_words_rule(const struct bgp_rule *r, bool import, struct weft_buf *out)
{
	struct phrases p = {out, " and ", 0};

	if (r->n_prefixes || r->n_communities || r->n_as_path) {
		weft_buf_str(out, "if ");
		conditions(r, &p);
	} else {
		weft_buf_str(out, "always");
	}
	weft_buf_str(out, r->reject ? ": reject" : ": accept");
	p = (struct phrases){out, ", ", 1};
	if (!r->reject && r->has_local_pref)
		weft_buf_printf(phrase(&p), "local preference %u", r->local_pref);
	if (!r->reject && r->n_add_communities)
		communities(r->add_communities, r->n_add_communities, " ",
		            (weft_buf_str(phrase(&p), "add community "), out));
	if (!r->reject && !import)
		prepended(r->prepend, &p);
}

void bgp_words_export(const struct bgp_peer *p, const struct bgp_export *e, struct weft_buf *out)
{
	struct phrases list = {out, ", ", 0};

	if (e->n_communities)
		communities(e->communities, e->n_communities, " ",
		            (weft_buf_str(phrase(&list), "communities "), out));
	if (e->has_local_pref && p->ibgp)
		weft_buf_printf(phrase(&list), "local preference %u", e->local_pref);
	if (!p->ibgp)
		prepended(e->prepend, &list);
	if (e->weight)
		weft_buf_str(phrase(&list), "link bandwidth by endpoints");
	if (!list.n)
		weft_buf_str(out, "as they are");
}

/* --- applied --- */

static bool in_range(const struct bgp_range *r, const struct weft_prefix *net)
{
	return weft_prefix_covers(&r->cidr, net) && net->len >= r->ge && net->len <= r->le;
}

static bool in_ranges(const struct bgp_range *v, size_t n, const struct weft_prefix *net)
{
	for (size_t i = 0; i < n; i++)
		if (in_range(&v[i], net))
			return true;
	return false;
}

static bool has_community(const struct bgp_heard *r, const struct weft_community *c)
{
	for (size_t i = 0; i < r->n_communities; i++)
		if (r->communities[i].large == c->large && r->communities[i].part[0] == c->part[0] &&
		    r->communities[i].part[1] == c->part[1] &&
		    (!c->large || r->communities[i].part[2] == c->part[2]))
			return true;
	return false;
}

static bool has_any(const struct bgp_heard *r, const struct bgp_rule *rule)
{
	for (size_t i = 0; i < rule->n_communities; i++)
		if (has_community(r, &rule->communities[i]))
			return true;
	return rule->n_communities == 0;
}

static bool holds(const struct bgp_rule *rule, const struct bgp_heard *r)
{
	if (rule->n_prefixes && !in_ranges(rule->prefixes, rule->n_prefixes, &r->net))
		return false;
	if (!has_any(r, rule) || rule->n_as_path > r->n_as_path)
		return false;
	return !rule->n_as_path || !memcmp(rule->as_path, r->as_path, rule->n_as_path * sizeof(*r->as_path));
}

/* The first rule that decides; n = none does. */
static size_t deciding(const struct bgp_rule *v, size_t n, const struct bgp_heard *r)
{
	size_t i = 0;

	while (i < n && !holds(&v[i], r))
		i++;
	return i;
}

/* What no rule can add to: blocks of the pools, and from a BGPPeer importPrefixes. */
static bool in_policy(const struct bgp_model *m, bool mesh, const struct weft_prefix *net)
{
	return mesh ? in_ranges(m->advertise, m->n_advertise, net) : in_ranges(m->import, m->n_import, net);
}

bool bgp_judge_import(const struct bgp_model *m, const struct bgp_peer *p, const struct bgp_heard *r,
                      struct weft_buf *why)
{
	bool mesh = p->origin != BGP_PEER_OBJECT, taken = in_policy(m, mesh, &r->net);
	size_t i = taken ? deciding(p->import, p->n_import, r) : p->n_import;

	if (i < p->n_import) {
		weft_buf_printf(why, "import rule %zu: ", i + 1);
		bgp_words_rule(&p->import[i], true, why);
		return !p->import[i].reject;
	}
	if (mesh)
		weft_buf_str(why, taken ? "it is a block of a pool" : "it is no block of a pool");
	else
		weft_buf_str(why, taken ? "it is a block of a pool or one of BGPConfig's importPrefixes"
		                        : "it is neither a block of a pool nor one of BGPConfig's "
		                          "importPrefixes");
	return taken;
}

const struct bgp_export *bgp_export_of(const struct bgp_peer *p, uint32_t metric)
{
	for (size_t i = 0; i < p->n_exports; i++)
		if (p->exports[i].metric == metric)
			return &p->exports[i];
	return NULL;
}

bool bgp_judge_export(const struct bgp_peer *p, const struct weft_prefix *net, uint32_t metric,
                      struct weft_buf *why)
{
	const struct bgp_export *e = bgp_export_of(p, metric);
	uint32_t path[UINT8_MAX];
	struct bgp_heard r = {.net = *net, .as_path = path};
	size_t i;

	if (!p->channels[net->addr.family == AF_INET6].on) {
		weft_buf_printf(why, "the session carries no IPv%d", net->addr.family == AF_INET6 ? 6 : 4);
		return false;
	}
	if (!e) {
		weft_buf_printf(why, "its class %u is not announced to this peer", metric);
		return false;
	}
	if (p->drain == BGP_DRAIN_WITHDRAWN && e->type != WEFT_ADVERT_PODBLOCK) {
		weft_buf_str(why, "drained: addresses of Services are withdrawn");
		return false;
	}
	/* Rules see what the class has added. */
	r.communities = e->communities;
	r.n_communities = e->n_communities;
	for (uint8_t n = 0; !p->ibgp && n < e->prepend; n++)
		path[r.n_as_path++] = p->local_as;
	i = deciding(p->export, p->n_export, &r);
	if (i < p->n_export) {
		weft_buf_printf(why, "export rule %zu: ", i + 1);
		bgp_words_rule(&p->export[i], false, why);
		return !p->export[i].reject;
	}
	weft_buf_printf(why, "class %u, %s", metric, bgp_words_type(e->type));
	if (e->comment && e->comment[0])
		weft_buf_printf(why, " by BGPAdvertisement %s", e->comment);
	weft_buf_str(why, ": ");
	bgp_words_export(p, e, why);
	return true;
}
