// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The section `services` of the configuration.
 */
#include <stdio.h>
#include <string.h>

#include "agent/config/config_int.h"
#include "weft/cleanup.h"

static const struct weft_limits audit_limits = {0, HOUR_MS};

/* --- lists of CIDRs --- */

static int cidr_list(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_config_cidrs *out)
{
	struct weft_config_cidrs cidrs = {.n = 0};
	int first = 0;

	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	if (cJSON_GetArraySize(v) > WEFT_CONFIG_CIDRS)
		return weft_decode_fail(ctx, v, "has more than %d entries", WEFT_CONFIG_CIDRS);
	for (const cJSON *c = v->child; c; c = c->next) {
		size_t len = weft_path_push_index(ctx, cidrs.n);
		const char *text = weft_decode_text(ctx, c, 256);
		struct weft_err err = WEFT_ERR_INIT;
		int r = text ? weft_prefix_parse(text, &cidrs.cidr[cidrs.n++], &err) : ctx->err.code;

		if (text && r < 0)
			weft_decode_fail(ctx, c, "%s", err.text);
		weft_path_pop(ctx, len);
		first = first ? first : r;
	}
	if (first == 0)
		*out = cidrs;
	return first;
}

int config_field_cidrs(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	(void)f;
	return cidr_list(ctx, v, out);
}

/* A whole range becomes one local route: a slip of the pen must not take the default route. */
static int field_service_cidrs(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                               void *out)
{
	struct weft_config_cidrs *cidrs = out;
	int r = cidr_list(ctx, v, cidrs);

	(void)f;
	for (size_t i = 0; i < cidrs->n && r == 0; i++)
		if (cidrs->cidr[i].len < 8)
			r = weft_decode_fail(ctx, v, "a service CIDR is /8 or longer");
	return r;
}

/* --- node ports --- */

static const char *const node_port_words[] = {"all", "primary", NULL};
static const struct weft_enum node_port_enum = {node_port_words};
_Static_assert(WEFT_NODE_PORTS_ALL == 0 && WEFT_NODE_PORTS_PRIMARY == 1,
               "the list of words follows the enum");

/* A word, or a list of CIDRs; [primary] and [] are how kube-proxy writes the words. */
static int field_node_port_addresses(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                                     void *out)
{
	const struct weft_field word = {.key = f->key, .arg = &node_port_enum};
	struct weft_config_services *s = out;
	const cJSON *only = cJSON_IsArray(v) && v->child && !v->child->next ? v->child : NULL;
	int which = WEFT_NODE_PORTS_ALL, r;

	if (cJSON_IsString(v) || (cJSON_IsString(only) && !strchr(only->valuestring, '/')))
		r = weft_field_enum(ctx, &word, only ? only : v, &which);
	else
		r = cidr_list(ctx, v, &s->node_port_cidrs);
	if (r == 0)
		s->node_ports = s->node_port_cidrs.n ? WEFT_NODE_PORTS_CIDRS : (enum weft_node_ports)which;
	return r;
}

static int field_node_port_range(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                                 void *out)
{
	const char *text = weft_decode_text(ctx, v, 32), *dash;
	struct weft_config_services *s = out;
	uint16_t first, last;

	(void)f;
	if (!text)
		return ctx->err.code;
	dash = strchr(text, '-');
	if (!dash || !config_port(text, (size_t)(dash - text), &first) ||
	    !config_port(dash + 1, strlen(dash + 1), &last) || first > last)
		return weft_decode_fail(ctx, v, "\"%s\" is not a range of ports such as 30000-32767", text);
	s->node_port_first = first;
	s->node_port_last = last;
	return 0;
}

/* --- the rest --- */

/* The kernel's schedulers, as agent/plan knows them. */
static const char *const schedulers[] = {"rr", "wrr", "lc",   "wlc",   "sed", "nq", "sh",
                                         "dh", "mh",  "lblc", "lblcr", "ovf", "fo", NULL};
static const struct weft_enum scheduler_enum = {schedulers};

static int field_scheduler(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const struct weft_field name = {.key = f->key, .arg = &scheduler_enum};
	struct weft_config_services *s = out;
	int i = 0, r = weft_field_enum(ctx, &name, v, &i);

	if (r == 0)
		snprintf(s->scheduler, sizeof(s->scheduler), "%s", schedulers[i]);
	return r;
}

static int field_health_listen(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                               void *out)
{
	struct weft_config_services *s = out;

	(void)f;
	return config_listen(ctx, v, 10256, &s->health_addr, &s->health_port);
}

#define SERVICES(member) AT(services.member)

static const struct weft_field services_fields[] = {
        {"enabled", weft_field_bool, SERVICES(enabled), 0, NULL},
        {"cidrs", field_service_cidrs, SERVICES(cidrs), 0, NULL},
        {"nodePortAddresses", field_node_port_addresses, AT(services), 0, NULL},
        {"nodePortRange", field_node_port_range, AT(services), 0, NULL},
        {"externalIPs", config_field_cidrs, SERVICES(external_ips), 0, NULL},
        {"masqueradeAll", weft_field_bool, SERVICES(masquerade_all), 0, NULL},
        {"defaultLoadBalancerClass", weft_field_bool, SERVICES(default_class), 0, NULL},
        {"scheduler", field_scheduler, AT(services), 0, NULL},
        {"statistics", weft_field_bool, SERVICES(statistics), 0, NULL},
        {"audit", config_field_duration, SERVICES(audit_ms), 0, &audit_limits},
        {"healthListen", field_health_listen, AT(services), 0, NULL},
};
const struct weft_field_table config_services_table = {.fields = services_fields,
                                                       .n = WEFT_ARRAY_LEN(services_fields)};

/* --- the dump --- */

void config_dump_cidrs(struct weft_buf *out, const char *key, const struct weft_config_cidrs *cidrs)
{
	char text[WEFT_PREFIX_STR];

	weft_buf_printf(out, "  %s:%s\n", key, cidrs->n ? "" : " []");
	for (size_t i = 0; i < cidrs->n; i++)
		weft_buf_printf(out, "    - \"%s\"\n", weft_prefix_str(&cidrs->cidr[i], text));
}

static const char *yes(bool b)
{
	return b ? "true" : "false";
}

void config_services_dump(const struct weft_config_services *s, struct weft_buf *out)
{
	char audit[32];

	weft_buf_printf(out, "services:\n  enabled: %s\n", yes(s->enabled));
	config_dump_cidrs(out, "cidrs", &s->cidrs);
	if (s->node_ports == WEFT_NODE_PORTS_CIDRS)
		config_dump_cidrs(out, "nodePortAddresses", &s->node_port_cidrs);
	else
		weft_buf_printf(out, "  nodePortAddresses: %s\n", node_port_words[s->node_ports]);
	weft_buf_printf(out, "  nodePortRange: \"%u-%u\"\n", s->node_port_first, s->node_port_last);
	config_dump_cidrs(out, "externalIPs", &s->external_ips);
	weft_buf_printf(out,
	                "  masqueradeAll: %s\n  defaultLoadBalancerClass: %s\n  scheduler: %s\n"
	                "  statistics: %s\n  audit: %s\n",
	                yes(s->masquerade_all), yes(s->default_class), s->scheduler, yes(s->statistics),
	                config_duration_str(s->audit_ms, audit));
	config_dump_listen(out, "healthListen", &s->health_addr, s->health_port);
}
