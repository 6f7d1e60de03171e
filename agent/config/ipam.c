// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The section `ipam` of the configuration.
 */
#include "agent/config/config_int.h"
#include "agent/source/kinds.h"
#include "agent/source/podcidrs.h"
#include "weft/cleanup.h"

static const struct weft_limits cooldown_limits = {0, 24 * HOUR_MS};
static const struct weft_limits release_limits = {SECOND_MS, 30 * 24 * HOUR_MS};
static const struct weft_limits spare_limits = {0, 4096};
static const char *const modes[] = {"pools", "node", NULL};
static const struct weft_enum mode_enum = {modes};
static const char *const tunnels[] = {"Fallback", "Never", "CrossSubnet", "Always", NULL};
static const struct weft_enum tunnel_enum = {tunnels};
_Static_assert(WEFT_IPAM_NODE == 1 && WEFT_TUNNEL_FALLBACK == 0 && WEFT_TUNNEL_NEVER == 1 &&
                       WEFT_TUNNEL_CROSS_SUBNET == 2 && WEFT_TUNNEL_ALWAYS == 3,
               "the lists of names follow the enums");

static const struct weft_field ipam_fields[] = {
        {"mode", weft_field_enum, AT(ipam.mode), 0, &mode_enum},
        {"cooldown", config_field_duration, AT(ipam.cooldown_ms), 0, &cooldown_limits},
        {"spareAddresses", weft_field_u32, AT(ipam.spare_addresses), 0, &spare_limits},
        {"releaseEmptyAfter", config_field_duration, AT(ipam.release_empty_after_ms), 0, &release_limits},
        {"clusterCIDRs", config_field_cidrs, AT(ipam.clusters), 0, NULL},
        {"ipip", weft_field_enum, AT(ipam.tunnel), 0, &tunnel_enum},
};
WEFT_FIELD_TABLE(ipam_table, ipam_fields);

static int check_cluster(struct weft_decode_ctx *ctx, const cJSON *v, const struct weft_config_cidrs *all,
                         size_t i)
{
	const struct weft_prefix *cidr = &all->cidr[i];
	unsigned longest = cidr->addr.family == AF_INET ? WEFT_PODCIDR_LONGEST4 : WEFT_PODCIDR_LONGEST6;
	char text[WEFT_PREFIX_STR], other[WEFT_PREFIX_STR];

	weft_prefix_str(cidr, text);
	if (cidr->len > longest)
		return weft_decode_fail(ctx, v, "clusterCIDRs: %s is smaller than /%u", text, longest);
	for (size_t o = 0; o < i; o++)
		if (weft_prefix_overlaps(&all->cidr[o], cidr))
			return weft_decode_fail(ctx, v, "clusterCIDRs: %s overlaps %s", text,
			                        weft_prefix_str(&all->cidr[o], other));
	return weft_check_cidr(ctx, v, cidr);
}

int config_field_ipam(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	struct weft_config *config = out;
	const struct weft_config_ipam *i = &config->ipam;
	int r = weft_field_object(ctx, &(const struct weft_field){.key = f->key, .arg = &ipam_table}, v, out);

	if (r < 0)
		return r;
	if (i->mode == WEFT_IPAM_NODE && !i->clusters.n)
		return weft_decode_fail(ctx, v,
		                        "mode node needs clusterCIDRs: what the controller manager has as "
		                        "--cluster-cidr");
	if (i->mode != WEFT_IPAM_NODE && (i->clusters.n || i->tunnel != WEFT_TUNNEL_FALLBACK))
		return weft_decode_fail(ctx, v,
		                        "clusterCIDRs and ipip are for mode node; IPPools have theirs");
	for (size_t n = 0; n < i->clusters.n && r == 0; n++)
		r = check_cluster(ctx, v, &i->clusters, n);
	return r;
}

void config_ipam_dump(const struct weft_config_ipam *i, struct weft_buf *out)
{
	char cooldown[32], release[32];

	weft_buf_printf(out,
	                "ipam:\n  mode: %s\n  cooldown: %s\n  spareAddresses: %u\n  releaseEmptyAfter: %s\n",
	                modes[i->mode], config_duration_str(i->cooldown_ms, cooldown), i->spare_addresses,
	                config_duration_str(i->release_empty_after_ms, release));
	if (i->mode != WEFT_IPAM_NODE)
		return;
	config_dump_cidrs(out, "clusterCIDRs", &i->clusters);
	weft_buf_printf(out, "  ipip: %s\n", tunnels[i->tunnel]);
}
