// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * BGPPeer: its fields, then what they mean for each other.
 */
#include <string.h>

#include "agent/source/kinds_bgp.h"

#define MAX_DESCRIPTION 255 /* of a quoted string in BIRD: agent/bird/guard.h */
#define MAX_INTERFACE   15  /* IFNAMSIZ - 1 */
#define DEFAULT_HOLD    9

#define PEER(member) offsetof(struct weft_bgppeer, member)

/* --- texts --- */

static int secret_key(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const char *text = weft_decode_text(ctx, v, WEFT_NAME_MAX);

	(void)f;
	if (!text)
		return ctx->err.code;
	if (!weft_secret_key_valid(text))
		return weft_decode_fail(ctx, v, "\"%.80s\" is not a key of a Secret", text);
	return weft_decode_copy(ctx, v, text, out);
}

/* What BIRD takes between double quotes, which know no escapes: refused rather than changed. */
static int description(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const char *text = weft_decode_text(ctx, v, MAX_DESCRIPTION);

	(void)f;
	if (!text)
		return ctx->err.code;
	for (const char *p = text; *p; p++)
		if (*p < 0x20 || *p > 0x7e || *p == '"')
			return weft_decode_fail(ctx, v, "may hold printable ASCII except '\"' only");
	return weft_decode_copy(ctx, v, text, out);
}

/* Narrower than the kernel's rule, and nothing that needs quotes anywhere. */
static int interface(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	const char *text = weft_decode_text(ctx, v, MAX_INTERFACE);

	(void)f;
	if (!text)
		return ctx->err.code;
	if (!*text || text[strspn(text, chars)] || !strcmp(text, ".") || !strcmp(text, ".."))
		return weft_decode_fail(
		        ctx, v, "\"%s\" is not an interface name (letters, digits, '_', '.', '-')", text);
	return weft_decode_copy(ctx, v, text, out);
}

/* --- where it is, and its AS --- */

static int address(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	struct weft_addr a;

	(void)f;
	if (cJSON_IsString(v) && weft_addr_parse(v->valuestring, &a, NULL) == 0 && a.family == AF_INET6 &&
	    weft_addr_is_link_local(&a)) {
		*(struct weft_addr *)out = a;
		return 0;
	}
	return weft_decode_address(ctx, v, out);
}

static int autodiscover(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	static const char *const names[] = {"DefaultGateway", NULL};
	static const struct weft_enum ways = {names};
	const struct weft_field one = {.key = f->key, .arg = &ways};
	int way, r = weft_field_enum(ctx, &one, v, &way);

	*(bool *)out = r == 0;
	return r;
}

static int peer_as(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	struct weft_bgppeer *peer = out;

	if (cJSON_IsNumber(v))
		return weft_field_asn(ctx, f, v, &peer->as_number);
	if (!cJSON_IsString(v))
		return weft_decode_fail(ctx, v, "must be a number, \"internal\" or \"external\", not %s",
		                        weft_json_type(v));
	if (!weft_decode_text(ctx, v, 64))
		return ctx->err.code;
	if (strcmp(v->valuestring, "internal") && strcmp(v->valuestring, "external"))
		return weft_decode_fail(ctx, v, "\"%s\" is not a number without quotes, internal or external",
		                        v->valuestring);
	peer->as_mode = *v->valuestring == 'i' ? WEFT_PEER_AS_INTERNAL : WEFT_PEER_AS_EXTERNAL;
	return 0;
}

static const struct weft_field secret_ref_fields[] = {
        {"name", weft_field_name, PEER(secret), WEFT_FIELD_REQUIRED, NULL},
        {"key", secret_key, PEER(secret_key), WEFT_FIELD_REQUIRED, NULL},
};
WEFT_FIELD_TABLE(secret_ref, secret_ref_fields);
static const struct weft_field password_fields[] = {
        {"secretKeyRef", weft_field_object, 0, WEFT_FIELD_REQUIRED, &secret_ref},
};
WEFT_FIELD_TABLE(password_table, password_fields);

/* --- timers, BFD, restart, limits. No value is Off or On: to kubectl, those are booleans. --- */

/* No hold time of 0, which RFC 4271 has for "never": a session that can't notice a dead peer pins its routes. */
static const struct weft_limits holds = {3, 65535}, seconds = {1, 65535}, ttls = {2, 255};
static const struct weft_limits bfd_times = {10, 60000}, multipliers = {1, 255};
static const struct weft_limits restarts = {1, 4095};                      /* 12 bits: RFC 4724 */
static const struct weft_limits long_lived = {1, ((uint64_t)1 << 24) - 1}; /* 24 bits: RFC 9494 */
static const struct weft_limits counts = {1, 10000000}, own_as = {0, 10};

static const struct weft_field timer_fields[] = {
        {"holdSeconds", weft_field_u16, PEER(hold_s), 0, &holds},
        {"keepaliveSeconds", weft_field_u16, PEER(keepalive_s), 0, &seconds},
        {"connectRetrySeconds", weft_field_u16, PEER(connect_retry_s), 0, &seconds},
};
WEFT_FIELD_TABLE(timer_table, timer_fields);

static int bfd_enabled(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	bool on = false;
	int r = weft_field_bool(ctx, f, v, &on);

	*(int *)out = on ? 1 : -1;
	return r;
}

static const struct weft_field bfd_fields[] = {
        {"enabled", bfd_enabled, PEER(bfd), 0, NULL},
        {"receiveMilliseconds", weft_field_u16, PEER(bfd_rx_ms), 0, &bfd_times},
        {"transmitMilliseconds", weft_field_u16, PEER(bfd_tx_ms), 0, &bfd_times},
        {"multiplier", weft_field_u8, PEER(bfd_multiplier), 0, &multipliers},
};
WEFT_FIELD_TABLE(bfd_table, bfd_fields);

static int restart_mode(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	static const char *const names[] = {"Disabled", "Aware", "Enabled", NULL};
	static const struct weft_enum modes = {names};
	const struct weft_field one = {.key = f->key, .arg = &modes};
	int mode = 0, r = weft_field_enum(ctx, &one, v, &mode);

	*(enum weft_gr_mode *)out = (enum weft_gr_mode)(WEFT_GR_OFF + mode);
	return r;
}
_Static_assert(WEFT_GR_AWARE == WEFT_GR_OFF + 1 && WEFT_GR_ON == WEFT_GR_OFF + 2,
               "the names follow the enum");

static const struct weft_field restart_fields[] = {
        {"mode", restart_mode, PEER(restart), 0, NULL},
        {"restartSeconds", weft_field_u16, PEER(restart_s), 0, &restarts},
        {"longLived", weft_field_bool, PEER(long_lived), 0, NULL},
        {"longLivedSeconds", weft_field_u32, PEER(long_lived_s), 0, &long_lived},
};
WEFT_FIELD_TABLE(restart_table, restart_fields);

static const char *const limit_actions[] = {"Block", "Warn", "Restart", "Disable", NULL};
static const struct weft_enum limit_enum = {limit_actions};
static const char *const next_hops[] = {"Self", "Keep", NULL};
static const struct weft_enum next_hop_enum = {next_hops};
static const char *const add_paths[] = {"Disabled", "Receive", "Send", "Both", NULL};
static const struct weft_enum add_path_enum = {add_paths};
_Static_assert(WEFT_LIMIT_BLOCK == 0 && WEFT_LIMIT_DISABLE == 3 && WEFT_NEXT_HOP_KEEP == 1 &&
                       WEFT_ADD_PATH_OFF == 0 && WEFT_ADD_PATH_BOTH == 3,
               "the lists of names follow the enums");
_Static_assert(sizeof(enum weft_limit_action) == sizeof(int) && sizeof(enum weft_next_hop) == sizeof(int) &&
                       sizeof(enum weft_add_path) == sizeof(int),
               "weft_field_enum stores an int");

static const struct weft_field limit_fields[] = {
        {"count", weft_field_u32, PEER(max_prefixes), WEFT_FIELD_REQUIRED, &counts},
        {"action", weft_field_enum, PEER(max_prefixes_action), 0, &limit_enum},
};
WEFT_FIELD_TABLE(limit_table, limit_fields);

/* --- policy --- */

static const bool yes = true, no = false;
static const struct weft_list import_list = {
        weft_bgp_rule, sizeof(struct weft_bgp_rule), PEER(n_import), 0, BGP_MAX_RULES, &yes};
static const struct weft_list export_list = {
        weft_bgp_rule, sizeof(struct weft_bgp_rule), PEER(n_export), 0, BGP_MAX_RULES, &no};

static const struct weft_field reflector_fields[] = {
        {"client", weft_field_bool, PEER(reflector_client), 0, NULL},
        {"clusterID", weft_bgp_id, PEER(cluster_id), 0, NULL},
};
WEFT_FIELD_TABLE(reflector_table, reflector_fields);

static int families(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	static const char *const names[] = {"IPv4", "IPv6", NULL};
	static const struct weft_enum family_enum = {names};
	const struct weft_field one = {.key = f->key, .arg = &family_enum};
	bool *on = out;
	size_t index = 0;
	int r = 0;

	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	if (!v->child)
		return weft_decode_fail(ctx, v, "needs at least one entry");
	for (const cJSON *c = v->child; c && r == 0; c = c->next) {
		size_t len = weft_path_push_index(ctx, index++);
		int family = 0;

		r = weft_field_enum(ctx, &one, c, &family);
		on[family] = true;
		weft_path_pop(ctx, len);
	}
	return r;
}

static const struct weft_field bgppeer_fields[] = {
        {"nodeSelector", weft_field_selector, PEER(node_selector), 0, NULL},
        {"address", address, PEER(address), 0, NULL},
        {"interface", interface, PEER(interface), 0, NULL},
        {"autodiscover", autodiscover, PEER(default_gateway), 0, NULL},
        {"port", weft_field_u16, PEER(port), 0, &weft_bgp_ports},
        {"asNumber", peer_as, 0, WEFT_FIELD_REQUIRED, NULL},
        {"localASNumber", weft_field_asn, PEER(local_as), 0, NULL},
        {"sourceAddress", weft_field_address, PEER(source), 0, NULL},
        {"multihop", weft_field_u8, PEER(multihop), 0, &ttls},
        {"ttlSecurity", weft_field_bool, PEER(ttl_security), 0, NULL},
        {"passive", weft_field_bool, PEER(passive), 0, NULL},
        {"timers", weft_field_object, 0, 0, &timer_table},
        {"description", description, PEER(description), 0, NULL},
        {"password", weft_field_object, 0, 0, &password_table},
        {"bfd", weft_field_object, 0, 0, &bfd_table},
        {"gracefulRestart", weft_field_object, 0, 0, &restart_table},
        {"maxPrefixes", weft_field_object, 0, 0, &limit_table},
        {"import", weft_field_list, PEER(import), 0, &import_list},
        {"export", weft_field_list, PEER(export), 0, &export_list},
        {"allowOwnAS", weft_field_u8, PEER(allow_own_as), 0, &own_as},
        {"nextHop", weft_field_enum, PEER(next_hop), 0, &next_hop_enum},
        {"addPath", weft_field_enum, PEER(add_path), 0, &add_path_enum},
        {"routeReflector", weft_field_object, 0, 0, &reflector_table},
        {"families", families, PEER(families), 0, NULL},
};
WEFT_FIELD_TABLE(bgppeer_table, bgppeer_fields);

/* --- rules that span fields --- */

static bool is_direct(const struct weft_bgppeer *p)
{
	return !weft_addr_is_set(&p->address) || weft_addr_is_link_local(&p->address);
}

static int check_where(struct weft_decode_ctx *ctx, const cJSON *json, const struct weft_bgppeer *p)
{
	bool address_set = weft_addr_is_set(&p->address);

	if (!address_set && !p->interface && !p->default_gateway)
		return weft_bgp_fail(ctx, json, "address",
		                     "is missing; give address, interface or autodiscover");
	if (p->default_gateway && (address_set || p->interface))
		return weft_bgp_fail(ctx, json, "autodiscover", "is instead of address and interface");
	if (address_set && is_direct(p) && !p->interface)
		return weft_bgp_fail(ctx, json, "interface", "is missing; a link-local address needs it");
	if (address_set && !is_direct(p) && p->interface)
		return weft_bgp_fail(ctx, json, "interface",
		                     "is for a link-local address, or instead of address");
	return 0;
}

static int check_session(struct weft_decode_ctx *ctx, const cJSON *json, const struct weft_bgppeer *p)
{
	if (p->multihop && is_direct(p))
		return weft_bgp_fail(ctx, json, "multihop",
		                     "is for a peer with an address that is not link-local");
	if (weft_addr_is_set(&p->source) && (is_direct(p) || p->source.family != p->address.family))
		return weft_bgp_fail(ctx, json, "sourceAddress",
		                     "is for a peer with an address, not link-local, of the same family");
	if (p->keepalive_s && p->keepalive_s >= (p->hold_s ? p->hold_s : DEFAULT_HOLD))
		return weft_bgp_fail(ctx, json, "timers",
		                     "keepaliveSeconds must be less than holdSeconds (default 9)");
	if (p->long_lived && (p->restart == WEFT_GR_OFF || p->restart == WEFT_GR_AWARE))
		return weft_bgp_fail(ctx, json, "gracefulRestart", "longLived needs mode: Enabled");
	if (p->reflector_client && p->as_mode == WEFT_PEER_AS_EXTERNAL)
		return weft_bgp_fail(ctx, json, "routeReflector",
		                     "a client is internal: its AS number must be the node's");
	return 0;
}

int weft_decode_bgppeer(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	struct weft_bgppeer *peer = &obj->bgppeer;
	int r;

	peer->port = 179;
	r = weft_decode_spec(ctx, json, &bgppeer_table, peer);
	if (r == 0)
		r = check_where(ctx, json, peer);
	return r < 0 ? r : check_session(ctx, json, peer);
}
