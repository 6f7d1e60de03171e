// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The filters of a BGP model for people: in words, and applied to one route. The order is that of the filters in
 * bird-templates (from_PEER, to_PEER), which these functions mirror; what a route really became BIRD says.
 */
#ifndef AGENT_PLAN_BGP_WORDS_H
#define AGENT_PLAN_BGP_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/plan/bgp.h"
#include "weft/buf.h"

/* "blocks of pods", "LoadBalancer IPs", ... of a WEFT_ADVERT_*. */
const char *bgp_words_type(unsigned type);
const char *bgp_words_drain(enum bgp_drain stage);

/* "10.0.0.0/8{16,24}", or the CIDR alone when it means just itself. */
void bgp_words_range(const struct bgp_range *r, struct weft_buf *out);
void bgp_words_community(const struct weft_community *c, struct weft_buf *out);

/* "if in 10.0.0.0/8{16,24} and the path begins with 65001: accept, local preference 50". */
void bgp_words_rule(const struct bgp_rule *r, bool import, struct weft_buf *out);

/* What a class gets on its way to a peer: "communities 64512:7, prepended twice", "as they are". */
void bgp_words_export(const struct bgp_peer *p, const struct bgp_export *e, struct weft_buf *out);

/* A route that a peer sent. */
struct bgp_heard {
	struct weft_prefix net;
	const uint32_t *as_path;
	size_t n_as_path;
	const struct weft_community *communities;
	size_t n_communities;
};

/* Would the import filter take it? `why` gets a sentence either way. */
bool bgp_judge_import(const struct bgp_model *m, const struct bgp_peer *p, const struct bgp_heard *r,
                      struct weft_buf *why);

/* Would a route of table 179 with this metric go to the peer: has the session its family, does the filter let it? */
bool bgp_judge_export(const struct bgp_peer *p, const struct weft_prefix *net, uint32_t metric,
                      struct weft_buf *why);

const struct bgp_export *bgp_export_of(const struct bgp_peer *p, uint32_t metric);

#endif
