// SPDX-License-Identifier: GPL-2.0-or-later
/* Ranges of prefixes: what may be announced, what may be heard. */
#include "agent/plan/bgp_int.h"

#include "weft/keyhash.h"

void bgp_add_range(struct bgp_range **v, size_t *n, const struct weft_prefix *cidr, uint8_t ge, uint8_t le)
{
	if (ge < cidr->len || le < ge || le > weft_addr_bits(cidr->addr.family))
		return;
	*v = must_grow(*v, *n + 1, sizeof(**v));
	memset(&(*v)[*n], 0, sizeof(**v));
	(*v)[(*n)++] = (struct bgp_range){*cidr, ge, le};
}

static int range_cmp(const void *x, const void *y)
{
	const struct bgp_range *a = x, *b = y;
	int r = weft_prefix_cmp(&a->cidr, &b->cidr);

	return r ? r : a->ge != b->ge ? a->ge - b->ge : a->le - b->le;
}

static void sort_ranges(struct bgp_range *v, size_t *n)
{
	size_t kept = 0;

	if (*n > 1)
		qsort(v, *n, sizeof(*v), range_cmp);
	for (size_t i = 0; i < *n; i++)
		if (!kept || range_cmp(&v[kept - 1], &v[i]))
			v[kept++] = v[i];
	*n = kept;
}

void bgp_plan_ranges(struct bgp_build *b)
{
	const struct weft_bgpconfig *cfg = b->cfg;
	struct bgp_model *m = b->m;
	struct cluster_pool p;

	for (size_t i = 0; cluster_pool_at(b->c, i, &p); i++) {
		const struct weft_prefix *cidr = &p.spec->cidr;
		uint8_t ge = p.spec->block_size, le = p.spec->longest_block ? p.spec->longest_block : ge;

		/* A refused pool may have blocks from before; one without any must not open the filters. */
		if (p.spec->use != WEFT_USE_PODS || (p.refused && !p.n_blocks))
			continue;
		bgp_add_range(&m->advertise, &m->n_advertise, cidr, ge, le);
		bgp_add_range(&m->import, &m->n_import, cidr, ge, le);
	}
	for (size_t i = 0; cfg && i < cfg->n_import; i++)
		bgp_add_range(&m->import, &m->n_import, &cfg->import[i].cidr, cfg->import[i].ge,
		              cfg->import[i].le);
	sort_ranges(m->advertise, &m->n_advertise);
	sort_ranges(m->import, &m->n_import);
}
