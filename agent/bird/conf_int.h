// SPDX-License-Identifier: GPL-2.0-or-later
/* Template data of the parts of bird.conf, for agent/bird/conf*.c only. */
#ifndef WEFT_BIRD_CONF_INT_H
#define WEFT_BIRD_CONF_INT_H

#include <cjson/cJSON.h>

#include "agent/bird/conf.h"

/* A list of the ranges of one family: {first, cidr, ge, le}. */
void conf_add_ranges(cJSON *to, const char *name, const struct bgp_range *v, size_t n, uint8_t family);

/* The section of one peer. `secret`: the file of its password, NULL = none. */
cJSON *conf_peer(const struct bgp_peer *p, const struct bgp_model *m, const char *secret);

/* conf_filter.c: what stands in its two filters. */
void conf_add_filters(cJSON *to, const struct bgp_peer *p);

#endif
