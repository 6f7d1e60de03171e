// SPDX-License-Identifier: GPL-2.0-or-later
/* The parts of the BGP model's planning, one file each, for agent/plan/bgp*.c only. */
#ifndef AGENT_PLAN_BGP_INT_H
#define AGENT_PLAN_BGP_INT_H

#include "agent/plan/bgp.h"

/* One planning in progress. */
struct bgp_build {
	const struct cluster *c;
	const struct bgp_params *params;
	const struct weft_object *self;   /* our Node: not NULL where peers are planned */
	const struct weft_bgpconfig *cfg; /* NULL = none */
	struct bgp_model *m;
	size_t cap; /* of m->peers */
};

/* bgp_names.c: a symbol for BIRD of prefix and name; `more` (NULL = none) tells several of one name apart. */
void bgp_protocol_name(const char *prefix, const char *name, const char *more,
                       char out[BGP_PROTOCOL_NAME_MAX + 1]);
void bgp_clean(const char *text, char *out, size_t size); /* for a BIRD string or comment; NULL = "" */
bool bgp_bird_char(unsigned char ch);

/* bgp_peers.c */
void bgp_plan_objects(struct bgp_build *b);
/* Takes what p owns. Exports and the drain are planned here; the peers before it, in order, have precedence. */
void bgp_peer_add(struct bgp_build *b, struct bgp_peer *p);
__attribute__((format(printf, 2, 3))) void bgp_refuse(struct bgp_peer *p, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void bgp_warn(struct bgp_model *m, const char *fmt, ...);
/* Ours on the link that the address is on (longest prefix; the InternalIP if it is one), NULL = off-link. */
const struct weft_addr *bgp_on_link(const struct bgp_build *b, const struct weft_addr *a);

/* bgp_options.c: what a BGPPeer says beyond its address. */
void bgp_options(struct bgp_build *b, const struct weft_object *obj, struct bgp_peer *p);
/* What follows from the profile and from the rest: restart, BFD, their times. `on_link`: directly connected. */
void bgp_options_detect(const struct bgp_build *b, const struct weft_bgppeer *spec, bool on_link,
                        struct bgp_peer *p);

/* bgp_mesh.c */
void bgp_plan_mesh(struct bgp_build *b);

/* bgp_rules.c: names to values, matches to ranges. */
void bgp_rules(struct bgp_build *b, const struct weft_bgppeer *spec, struct bgp_peer *p);
void bgp_rules_free(struct bgp_rule *rules, size_t n);
/* Append those of `refs` to a sorted list without duplicates; the first name without a value, NULL = all have. */
const char *bgp_communities(const struct weft_bgpconfig *cfg, const struct weft_community_ref *refs, size_t n,
                            struct weft_community **out, size_t *n_out);
int bgp_community_cmp(const void *x, const void *y);

/* bgp_exports.c */
void bgp_plan_classes(struct bgp_build *b);
void bgp_exports(struct bgp_build *b, struct bgp_peer *p);
void bgp_exports_free(struct bgp_export *exports, size_t n);

/* bgp_ranges.c */
void bgp_add_range(struct bgp_range **v, size_t *n, const struct weft_prefix *cidr, uint8_t ge, uint8_t le);
void bgp_plan_ranges(struct bgp_build *b);

/* bgp_same.c: the same in every field; the shared lists of prefixes are the same. */
bool bgp_peer_same(const struct bgp_peer *a, const struct bgp_peer *b);
bool bgp_ranges_same(const struct bgp_model *a, const struct bgp_model *b);

#endif
