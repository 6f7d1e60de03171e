// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * v1 Service, what the controller decided for one (ServiceStatus), and ServiceCIDR.
 *
 * A Service comes from any user of the cluster, and the API server has accepted it: whatever passes there
 * passes here. So unknown fields are ignored, addresses are read in their old forms (sloppy.c), and an
 * address that no host can have is left out. What the API server refuses too is an error, for those who write
 * manifests by hand. A bad source range is always an error: leaving it out could open what it closes (S20).
 *
 * What a Service costs in the kernel grows with ports x addresses x source ranges; that product is bounded.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "agent/source/kinds.h"
#include "weft/cleanup.h"

#define MAX_PORTS    ((size_t)3 * 65535) /* every port of three protocols */
#define MAX_ADDRS    ((size_t)65536)
#define MAX_COST     ((size_t)1 << 20)
#define MAX_CLASS    316 /* a qualified name */
#define AFFINITY_MAX 86400
#define AFFINITY_S   10800

int weft_decode_list(struct weft_decode_ctx *ctx, const cJSON *v, size_t max, size_t size, void **out)
{
	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	if ((size_t)cJSON_GetArraySize(v) > max)
		return weft_decode_fail(ctx, v, "has more than %zu entries", max);
	return weft_decode_array(ctx, v, (size_t)cJSON_GetArraySize(v), size, out);
}

int weft_field_choice(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	if (cJSON_IsString(v) && !*v->valuestring)
		return 0;
	return weft_field_enum(ctx, f, v, out);
}

/* Give back what was not used of an array that was made for a whole list. */
static void shrink(void **array, size_t n, size_t size)
{
	void *exact = n ? realloc(*array, n * size) : NULL;

	if (!n)
		free(*array);
	if (!n || exact)
		*array = exact;
}

/* --- addresses --- */

static int address(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_addr *out)
{
	const char *text = weft_decode_text(ctx, v, WEFT_NAME_MAX);

	if (!text)
		return ctx->err.code;
	if (!weft_sloppy_addr(text, out))
		return weft_decode_fail(ctx, v, "\"%.80s\" is not an IP address", text);
	return 0;
}

/* S1: "None" is headless, "" is nothing. */
static int cluster_ip(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_service *s)
{
	struct weft_addr a, *slot;

	if (cJSON_IsString(v) && (!*v->valuestring || !strcmp(v->valuestring, "None"))) {
		s->headless |= *v->valuestring != '\0';
		return 0;
	}
	if (address(ctx, v, &a) < 0)
		return ctx->err.code;
	slot = &s->cluster_ips[a.family == AF_INET6];
	if (weft_addr_is_host(&a) && !weft_addr_is_set(slot))
		*slot = a;
	return 0;
}

/* clusterIPs[0] is the clusterIP, so the order of the two does not matter. */
static int field_cluster_ip(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                            void *out)
{
	(void)f;
	return cluster_ip(ctx, v, out);
}

static int field_cluster_ips(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                             void *out)
{
	size_t index = 0;
	int r = 0;

	(void)f;
	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	if (cJSON_GetArraySize(v) > 2)
		return weft_decode_fail(ctx, v, "has more than 2 entries");
	for (const cJSON *c = v->child; c && r == 0; c = c->next) {
		size_t len = weft_path_push_index(ctx, index++);

		r = cluster_ip(ctx, c, out);
		weft_path_pop(ctx, len);
	}
	return r;
}

static int field_families(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	static const char *const names[] = {"IPv4", "IPv6", NULL};
	static const struct weft_enum family_enum = {names};
	static const struct weft_field family = {.key = "family", .arg = &family_enum};
	uint8_t *families = out;
	size_t index = 0;

	(void)f;
	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	if (cJSON_GetArraySize(v) > 2)
		return weft_decode_fail(ctx, v, "has more than 2 entries");
	for (const cJSON *c = v->child; c; c = c->next) {
		size_t len = weft_path_push_index(ctx, index);
		int one = 0, r = weft_field_enum(ctx, &family, c, &one);

		weft_path_pop(ctx, len);
		if (r < 0)
			return r;
		families[index++] = one ? AF_INET6 : AF_INET;
	}
	return 0;
}

static int field_external_ips(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                              void *out)
{
	struct weft_service *s = out;
	size_t index = 0;
	int r = weft_decode_list(ctx, v, MAX_ADDRS, sizeof(*s->external_ips), (void **)&s->external_ips);

	(void)f;
	for (const cJSON *c = v->child; c && r == 0; c = c->next) {
		size_t len = weft_path_push_index(ctx, index++);
		struct weft_addr *a = &s->external_ips[s->n_external_ips];

		r = address(ctx, c, a);
		s->n_external_ips += r == 0 && weft_addr_is_host(a);
		weft_path_pop(ctx, len);
	}
	if (r == 0)
		shrink((void **)&s->external_ips, s->n_external_ips, sizeof(*s->external_ips));
	return r;
}

/* The API server takes any text here, so nothing is said about one that is no address. */
static int field_load_balancer_ip(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                                  void *out)
{
	struct weft_addr a;

	(void)f;
	if (!cJSON_IsString(v))
		return weft_decode_fail(ctx, v, "must be a string, not %s", weft_json_type(v));
	if (weft_sloppy_addr(v->valuestring, &a) && weft_addr_is_host(&a))
		*(struct weft_addr *)out = a;
	return 0;
}

static int source_range(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_prefix *out)
{
	static const char blanks[] = " \t\r\n\v\f";
	char text[64] = "";
	const char *start;
	size_t len;

	if (cJSON_IsString(v)) {
		start = v->valuestring + strspn(v->valuestring, blanks);
		len = strcspn(start, blanks);
		if (len < sizeof(text) && !start[len + strspn(start + len, blanks)])
			memcpy(text, start, len);
	}
	if (weft_sloppy_prefix(text, out))
		return 0;
	if (!weft_decode_text(ctx, v, WEFT_NAME_MAX))
		return ctx->err.code;
	return weft_decode_fail(ctx, v, "\"%.80s\" is not a CIDR (ADDRESS/LENGTH)", v->valuestring);
}

static int field_source_ranges(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                               void *out)
{
	struct weft_service *s = out;
	int r = weft_decode_list(ctx, v, MAX_ADDRS, sizeof(*s->source_ranges), (void **)&s->source_ranges);

	(void)f;
	for (const cJSON *c = v->child; c && r == 0; c = c->next) {
		size_t len = weft_path_push_index(ctx, s->n_source_ranges);

		r = source_range(ctx, c, &s->source_ranges[s->n_source_ranges++]);
		weft_path_pop(ctx, len);
	}
	return r;
}

static int field_class(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const char *text = weft_decode_text(ctx, v, MAX_CLASS);

	(void)f;
	if (!text)
		return ctx->err.code;
	return *text ? weft_decode_copy(ctx, v, text, out) : 0;
}

static int field_selector_labels(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                                 void *out)
{
	struct weft_service *s = out;

	(void)f;
	return weft_decode_labels(ctx, v, &s->selector, &s->n_selector);
}

/* --- ports --- */

static const struct weft_limits port_limits = {1, 65535};
static const struct weft_limits port_or_none = {0, 65535};

#define PORT(member) offsetof(struct weft_service_port, member)

static const struct weft_field port_fields[] = {
        {"name", weft_field_port_name, PORT(name), 0, NULL},
        {"protocol", weft_field_protocol, PORT(protocol), 0, NULL},
        {"port", weft_field_u16, PORT(port), WEFT_FIELD_REQUIRED, &port_limits},
        {"nodePort", weft_field_u16, PORT(node_port), 0, &port_or_none},
};
WEFT_FIELD_TABLE_LENIENT(port_table, port_fields);

static int field_ports(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	struct weft_service *s = out;
	int r = weft_decode_list(ctx, v, MAX_PORTS, sizeof(*s->ports), (void **)&s->ports);

	(void)f;
	for (const cJSON *c = v->child; c && r == 0; c = c->next) {
		struct weft_service_port *p = &s->ports[s->n_ports];
		size_t len = weft_path_push_index(ctx, s->n_ports++);

		p->protocol = IPPROTO_TCP;
		r = weft_fields_decode(ctx, &port_table, c, p);
		if (r == 0 && !p->name)
			r = weft_decode_copy(ctx, c, "", &p->name);
		weft_path_pop(ctx, len);
	}
	return r < 0 ? r : weft_check_ports(ctx, v, s->ports, s->n_ports, true);
}

/* --- status --- */

struct ingress {
	struct weft_addr *addrs;
	size_t n;
};

/* S2: an entry with an address that the dataplane is to serve; everything else is none of its business. */
static bool ingress_address(const cJSON *v, struct weft_addr *out)
{
	const cJSON *ip = cJSON_GetObjectItemCaseSensitive(v, "ip");
	const cJSON *mode = cJSON_GetObjectItemCaseSensitive(v, "ipMode");

	if (cJSON_IsString(mode) && *mode->valuestring && strcmp(mode->valuestring, "VIP"))
		return false;
	return cJSON_IsString(ip) && weft_sloppy_addr(ip->valuestring, out) && weft_addr_is_host(out);
}

static int field_ingress(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	struct ingress *in = out;
	int r = weft_decode_list(ctx, v, MAX_ADDRS, sizeof(*in->addrs), (void **)&in->addrs);

	(void)f;
	if (r < 0)
		return r;
	for (const cJSON *c = v->child; c; c = c->next)
		in->n += ingress_address(c, &in->addrs[in->n]);
	shrink((void **)&in->addrs, in->n, sizeof(*in->addrs));
	return 0;
}

static const struct weft_field load_balancer_fields[] = {{"ingress", field_ingress, 0, 0, NULL}};
WEFT_FIELD_TABLE_LENIENT(load_balancer_table, load_balancer_fields);
static const struct weft_field status_fields[] = {
        {"loadBalancer", weft_field_object, 0, 0, &load_balancer_table}};
WEFT_FIELD_TABLE_LENIENT(status_table, status_fields);
static const struct weft_field service_status_fields[] = {{"status", weft_field_object, 0, 0, &status_table}};
WEFT_FIELD_TABLE_LENIENT(service_status_table, service_status_fields);

/* --- the Service --- */

static const char *const types[] = {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName", NULL};
static const struct weft_enum type_enum = {types};
static const char *const policies[] = {"Cluster", "Local", NULL};
static const struct weft_enum policy_enum = {policies};
static const char *const family_policies[] = {"SingleStack", "PreferDualStack", "RequireDualStack", NULL};
static const struct weft_enum family_policy_enum = {family_policies};
_Static_assert(WEFT_SERVICE_EXTERNALNAME == 3 && WEFT_POLICY_LOCAL == 1 && WEFT_REQUIRE_DUAL_STACK == 2,
               "the lists of names follow the enums");
_Static_assert(sizeof(enum weft_service_type) == sizeof(int) &&
                       sizeof(enum weft_traffic_policy) == sizeof(int) &&
                       sizeof(enum weft_family_policy) == sizeof(int),
               "weft_field_choice stores an int");

#define SPEC(member) offsetof(struct weft_service, member)

static const struct weft_field spec_fields[] = {
        {"type", weft_field_choice, SPEC(type), 0, &type_enum},
        {"clusterIP", field_cluster_ip, 0, 0, NULL},
        {"clusterIPs", field_cluster_ips, 0, 0, NULL},
        {"ipFamilies", field_families, SPEC(families), 0, NULL},
        {"ipFamilyPolicy", weft_field_choice, SPEC(family_policy), 0, &family_policy_enum},
        {"ports", field_ports, 0, 0, NULL},
        {"externalIPs", field_external_ips, 0, 0, NULL},
        {"loadBalancerIP", field_load_balancer_ip, SPEC(load_balancer_ip), 0, NULL},
        {"loadBalancerClass", field_class, SPEC(load_balancer_class), 0, NULL},
        {"loadBalancerSourceRanges", field_source_ranges, 0, 0, NULL},
        {"internalTrafficPolicy", weft_field_choice, SPEC(internal_policy), 0, &policy_enum},
        {"externalTrafficPolicy", weft_field_choice, SPEC(external_policy), 0, &policy_enum},
        {"healthCheckNodePort", weft_field_u16, SPEC(health_port), 0, &port_or_none},
        {"selector", field_selector_labels, 0, 0, NULL},
};
WEFT_FIELD_TABLE_LENIENT(spec_table, spec_fields);
static const struct weft_field service_fields[] = {
        {"spec", weft_field_object, 0, WEFT_FIELD_REQUIRED, &spec_table}};
WEFT_FIELD_TABLE_LENIENT(service_table, service_fields);

/* S24: two fields that make one value. */
struct affinity {
	int client_ip;
	uint32_t timeout;
};

static const char *const affinities[] = {"None", "ClientIP", NULL};
static const struct weft_enum affinity_enum = {affinities};
static const struct weft_limits timeout_limits = {1, AFFINITY_MAX};
static const struct weft_field client_ip_fields[] = {
        {"timeoutSeconds", weft_field_u32, offsetof(struct affinity, timeout), 0, &timeout_limits}};
WEFT_FIELD_TABLE_LENIENT(client_ip_table, client_ip_fields);
static const struct weft_field affinity_config_fields[] = {
        {"clientIP", weft_field_object, 0, 0, &client_ip_table}};
WEFT_FIELD_TABLE_LENIENT(affinity_config_table, affinity_config_fields);
static const struct weft_field affinity_fields[] = {
        {"sessionAffinity", weft_field_choice, offsetof(struct affinity, client_ip), 0, &affinity_enum},
        {"sessionAffinityConfig", weft_field_object, 0, 0, &affinity_config_table},
};
WEFT_FIELD_TABLE_LENIENT(affinity_table, affinity_fields);
static const struct weft_field service_affinity_fields[] = {
        {"spec", weft_field_object, 0, 0, &affinity_table}};
WEFT_FIELD_TABLE_LENIENT(service_affinity_table, service_affinity_fields);

static int decode_affinity(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_service *s)
{
	struct affinity a = {.timeout = AFFINITY_S};
	int r = weft_fields_decode(ctx, &service_affinity_table, json, &a);

	if (r == 0 && a.client_ip)
		s->affinity_s = a.timeout;
	return r;
}

static int decode_ingress(struct weft_decode_ctx *ctx, const cJSON *json,
                          const struct weft_field_table *table, struct weft_addr **addrs, size_t *n)
{
	struct ingress in = {0};
	int r = weft_fields_decode(ctx, table, json, &in);

	*addrs = in.addrs; /* also after a failure: the object's owner frees it */
	*n = in.n;
	return r;
}

static int check_service(struct weft_decode_ctx *ctx, const cJSON *json, const struct weft_service *s)
{
	size_t cost = s->n_ports * (2 + s->n_external_ips + s->n_ingress);

	if (!s->n_ports && !s->headless && s->type != WEFT_SERVICE_EXTERNALNAME)
		return weft_decode_fail(ctx, weft_spec_item(json, "ports"), "spec.ports: is missing");
	if (cost > MAX_COST || cost * (1 + s->n_source_ranges) > MAX_COST)
		return weft_decode_fail(
		        ctx, weft_spec_item(json, "ports"),
		        "%zu ports, %zu external addresses and %zu source ranges make more than "
		        "%zu entries in the kernel; make several Services of it",
		        s->n_ports, s->n_external_ips + s->n_ingress, s->n_source_ranges, MAX_COST);
	return 0;
}

int weft_decode_service(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	struct weft_service *s = &obj->service;
	int r = weft_fields_decode(ctx, &service_table, json, s);

	if (r == 0)
		r = decode_affinity(ctx, json, s);
	if (r == 0)
		r = decode_ingress(ctx, json, &service_status_table, &s->ingress, &s->n_ingress);
	return r < 0 ? r : check_service(ctx, json, s);
}

/* --- ServiceStatus: written by weft, so it is as strict as the other kinds of weft.dev --- */

int weft_decode_servicestatus(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	static const struct weft_field fields[] = {
	        {"apiVersion", NULL, 0, 0, NULL},
	        {"kind", NULL, 0, 0, NULL},
	        {"metadata", NULL, 0, 0, NULL},
	        {"spec", NULL, 0, 0, NULL},
	        {"status", weft_field_object, 0, WEFT_FIELD_REQUIRED, &status_table},
	};
	static const struct weft_field_table table = {fields, WEFT_ARRAY_LEN(fields), false};
	struct weft_servicestatus *s = &obj->servicestatus;

	return decode_ingress(ctx, json, &table, &s->ingress, &s->n_ingress);
}

/* --- ServiceCIDR --- */

static int service_cidr(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_prefix *out)
{
	const char *text = weft_decode_text(ctx, v, WEFT_NAME_MAX);

	if (!text)
		return ctx->err.code;
	if (!weft_sloppy_prefix(text, out))
		return weft_decode_fail(ctx, v, "\"%.80s\" is not a CIDR (ADDRESS/LENGTH)", text);
	return weft_check_cidr(ctx, v, out); /* the whole of it becomes a local route */
}

static int field_cidrs(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	struct weft_servicecidr *s = out;
	int r = 0;

	(void)f;
	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	if ((size_t)cJSON_GetArraySize(v) > WEFT_ARRAY_LEN(s->cidrs))
		return weft_decode_fail(ctx, v, "has more than %zu entries", WEFT_ARRAY_LEN(s->cidrs));
	for (const cJSON *c = v->child; c && r == 0; c = c->next) {
		size_t len = weft_path_push_index(ctx, s->n_cidrs);

		r = service_cidr(ctx, c, &s->cidrs[s->n_cidrs++]);
		weft_path_pop(ctx, len);
	}
	return r;
}

static const struct weft_field cidr_spec_fields[] = {{"cidrs", field_cidrs, 0, WEFT_FIELD_REQUIRED, NULL}};
WEFT_FIELD_TABLE_LENIENT(cidr_spec_table, cidr_spec_fields);
static const struct weft_field servicecidr_fields[] = {
        {"spec", weft_field_object, 0, WEFT_FIELD_REQUIRED, &cidr_spec_table}};
WEFT_FIELD_TABLE_LENIENT(servicecidr_table, servicecidr_fields);

int weft_decode_servicecidr(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	return weft_fields_decode(ctx, &servicecidr_table, json, &obj->servicecidr);
}
