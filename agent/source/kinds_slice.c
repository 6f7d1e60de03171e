// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * discovery.k8s.io/v1 EndpointSlice.
 *
 * A cluster has a hundred thousand endpoints, and most of what their slices say is not needed. An endpoint is
 * one entry of an array of exact size; the texts it points to (its node, its hints) lie in one block per
 * slice, where equal texts are there once. While the endpoints are being decoded they point into the JSON.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/source/kinds.h"
#include "weft/cleanup.h"

#define MAX_ENDPOINTS 1000 /* these are the API's limits */
#define MAX_PORTS     20000
#define MAX_HINTS     8

#define LABEL_SERVICE      "kubernetes.io/service-name"
#define ANNOTATION_TRIGGER "endpoints.kubernetes.io/last-change-trigger-time"
#define LABEL_HEADLESS     "service.kubernetes.io/headless"

struct build {
	struct weft_endpoint *endpoints;
	size_t n;
	uint8_t family;
	const char **hints; /* of all endpoints in turn: zones, then nodes */
	size_t n_hints, cap_hints;
};

static void build_free(struct build *b)
{
	free(b->endpoints);
	free(b->hints);
}

/* --- one endpoint --- */

static int field_address(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	(void)f;
	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	/* S6: the first only. The field's family tells whether it fits. */
	if (cJSON_IsString(v->child) && !weft_sloppy_addr(v->child->valuestring, out))
		return weft_decode_fail(ctx, v->child, "is not an IP address");
	return 0;
}

static int field_node(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	(void)f;
	if (cJSON_IsString(v) && !*v->valuestring)
		return 0;
	*(const char **)out = weft_decode_name(ctx, v);
	return *(const char **)out ? 0 : ctx->err.code;
}

/* S9: what is not said is ready, serving and not terminating. */
static int field_condition(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const unsigned *bit = f->arg;
	uint8_t *conditions = out;
	bool on = false;
	int r = weft_field_bool(ctx, f, v, &on);

	*conditions = (uint8_t)(on ? *conditions | *bit : *conditions & ~*bit);
	return r;
}

static const unsigned ready = WEFT_ENDPOINT_READY, serving = WEFT_ENDPOINT_SERVING,
                      terminating = WEFT_ENDPOINT_TERMINATING;
static const struct weft_field condition_fields[] = {
        {"ready", field_condition, 0, 0, &ready},
        {"serving", field_condition, 0, 0, &serving},
        {"terminating", field_condition, 0, 0, &terminating},
};
WEFT_FIELD_TABLE_LENIENT(condition_table, condition_fields);

#define EP(member) offsetof(struct weft_endpoint, member)

static const struct weft_field endpoint_fields[] = {
        {"addresses", field_address, EP(addr), 0, NULL},
        {"nodeName", field_node, EP(node), 0, NULL},
        {"conditions", weft_field_object, EP(conditions), 0, &condition_table},
};
WEFT_FIELD_TABLE_LENIENT(endpoint_table, endpoint_fields);

/* --- hints --- */

static int add_hint(struct weft_decode_ctx *ctx, struct build *b, const cJSON *v)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(v, "name");
	const char *text = weft_decode_text(ctx, name ? name : v, WEFT_NAME_MAX);

	if (!text)
		return ctx->err.code;
	if (b->n_hints == b->cap_hints) {
		size_t cap = b->cap_hints ? 2 * b->cap_hints : 64;
		const char **hints = realloc(b->hints, cap * sizeof(*hints));

		if (!hints)
			return weft_decode_fail(ctx, v, "out of memory");
		b->hints = hints;
		b->cap_hints = cap;
	}
	b->hints[b->n_hints++] = text;
	return 0;
}

/* hints.KEY: a list of {name}. */
static int add_hints(struct weft_decode_ctx *ctx, struct build *b, const cJSON *hints, const char *key,
                     uint8_t *n)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(hints, key);
	size_t len, index = 0;
	int r = 0;

	if (!v || cJSON_IsNull(v))
		return 0;
	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	if (cJSON_GetArraySize(v) > MAX_HINTS)
		return weft_decode_fail(ctx, v, "has more than %d entries", MAX_HINTS);
	for (const cJSON *c = v->child; c && r == 0; c = c->next) {
		len = weft_path_push_index(ctx, index++);
		r = add_hint(ctx, b, c);
		weft_path_pop(ctx, len);
	}
	*n = (uint8_t)index;
	return r;
}

static int decode_endpoint(struct weft_decode_ctx *ctx, struct build *b, const cJSON *v)
{
	struct weft_endpoint *e = &b->endpoints[b->n];
	const cJSON *hints;
	size_t len;
	int r;

	*e = (struct weft_endpoint){.conditions = WEFT_ENDPOINT_READY | WEFT_ENDPOINT_SERVING};
	r = weft_fields_decode(ctx, &endpoint_table, v, e);
	if (r < 0 || e->addr.family != b->family || !weft_addr_is_host(&e->addr))
		return r;
	b->n++;
	hints = cJSON_GetObjectItemCaseSensitive(v, "hints");
	len = weft_path_push(ctx, "hints");
	r = add_hints(ctx, b, hints, "forZones", &e->n_zones);
	if (r == 0)
		r = add_hints(ctx, b, hints, "forNodes", &e->n_nodes);
	weft_path_pop(ctx, len);
	return r;
}

/* --- the block of texts --- */

static int by_text(const void *x, const void *y)
{
	return strcmp(**(char **const *)x, **(char **const *)y);
}

/* `slots` are sorted. The bytes that their different texts take. */
static size_t texts_size(char **const *slots, size_t n)
{
	size_t size = 0;

	for (size_t i = 0; i < n; i++)
		if (i == 0 || strcmp(*slots[i], *slots[i - 1]))
			size += strlen(*slots[i]) + 1;
	return size;
}

static void move_texts(char **const *slots, size_t n, char *to)
{
	const char *last = NULL;
	char *at = to;

	for (size_t i = 0; i < n; i++) {
		if (!last || strcmp(*slots[i], last)) {
			at = to;
			to = stpcpy(at, *slots[i]) + 1;
		}
		last = at;
		*slots[i] = at;
	}
}

/* Where every pointer to a text is: the hints' are in the block, the nodes' in the endpoints. */
static size_t collect_slots(struct build *b, char **hints, char ***slots)
{
	size_t n = 0, used = 0;

	for (size_t i = 0; i < b->n; i++) {
		struct weft_endpoint *e = &b->endpoints[i];

		e->zones = e->n_zones ? hints + used : NULL;
		used += e->n_zones;
		e->nodes = e->n_nodes ? hints + used : NULL;
		used += e->n_nodes;
		if (e->node)
			slots[n++] = &e->node;
	}
	for (size_t i = 0; i < used; i++)
		slots[n++] = &hints[i];
	return n;
}

static int pack(struct weft_decode_ctx *ctx, const cJSON *at, struct build *b, void **block)
{
	size_t hints = b->n_hints * sizeof(char *), n;
	weft_autofree char ***slots = NULL;
	weft_autofree char **now = NULL;
	char **to;
	int r = weft_decode_array(ctx, at, b->n + b->n_hints, sizeof(*slots), (void **)&slots);

	if (r == 0)
		r = weft_decode_array(ctx, at, b->n_hints, sizeof(char *), (void **)&now);
	if (r < 0)
		return r;
	if (hints)
		memcpy(now, b->hints, hints);
	n = collect_slots(b, now, slots);
	qsort(slots, n, sizeof(*slots), by_text);
	r = weft_decode_array(ctx, at, hints + texts_size(slots, n), 1, block);
	if (r < 0)
		return r;
	to = *block;
	move_texts(slots, n, (char *)*block + hints);
	if (hints)
		memcpy(to, now, hints);
	collect_slots(b, to, slots);
	return 0;
}

/* --- the slice --- */

static int decode_endpoints(struct weft_decode_ctx *ctx, const cJSON *v, struct build *b)
{
	size_t index = 0;
	int r = weft_decode_list(ctx, v, MAX_ENDPOINTS, sizeof(*b->endpoints), (void **)&b->endpoints);

	for (const cJSON *c = v->child; c && r == 0; c = c->next) {
		size_t len = weft_path_push_index(ctx, index++);

		r = decode_endpoint(ctx, b, c);
		weft_path_pop(ctx, len);
	}
	return r;
}

static int endpoints(struct weft_decode_ctx *ctx, const cJSON *v, struct weft_endpointslice *s)
{
	weft_auto(build_free) struct build b = {.family = s->family};
	int r = decode_endpoints(ctx, v, &b);
	struct weft_endpoint *exact;

	if (r < 0 || !b.n)
		return r;
	exact = realloc(b.endpoints, b.n * sizeof(*exact));
	b.endpoints = exact ? exact : b.endpoints;
	r = pack(ctx, v, &b, &s->texts);
	if (r < 0)
		return r;
	s->endpoints = WEFT_TAKE_PTR(b.endpoints);
	s->n_endpoints = b.n;
	return 0;
}

/* S6: no number means all ports; what is none can't be reached. */
static int field_number(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	(void)f;
	if (!cJSON_IsNumber(v))
		return weft_decode_fail(ctx, v, "must be a number, not %s", weft_json_type(v));
	if (v->valuedouble >= 1 && v->valuedouble <= 65535)
		*(uint16_t *)out = (uint16_t)v->valuedouble;
	return 0;
}

#define PORT(member) offsetof(struct weft_service_port, member)

static const struct weft_field port_fields[] = {
        {"name", weft_field_port_name, PORT(name), 0, NULL},
        {"protocol", weft_field_protocol, PORT(protocol), 0, NULL},
        {"port", field_number, PORT(port), 0, NULL},
};
WEFT_FIELD_TABLE_LENIENT(port_table, port_fields);

static int field_ports(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	struct weft_endpointslice *s = out;
	size_t index = 0;
	int r = weft_decode_list(ctx, v, MAX_PORTS, sizeof(*s->ports), (void **)&s->ports);

	(void)f;
	for (const cJSON *c = v->child; c && r == 0; c = c->next) {
		struct weft_service_port *p = &s->ports[s->n_ports];
		size_t len = weft_path_push_index(ctx, index++);

		*p = (struct weft_service_port){.protocol = IPPROTO_TCP};
		r = weft_fields_decode(ctx, &port_table, c, p);
		if (r == 0 && p->name && p->port)
			s->n_ports++;
		else
			free(p->name);
		weft_path_pop(ctx, len);
	}
	return r < 0 ? r : weft_check_ports(ctx, v, s->ports, s->n_ports, false);
}

static int field_family(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	static const char *const names[] = {"IPv4", "IPv6", "FQDN", NULL};
	static const uint8_t families[] = {AF_INET, AF_INET6, 0};
	static const struct weft_enum types = {names};
	const struct weft_field type = {.key = f->key, .arg = &types};
	int i = 0, r = weft_field_enum(ctx, &type, v, &i);

	if (r == 0)
		*(uint8_t *)out = families[i];
	return r;
}

static const struct weft_field slice_fields[] = {
        {"addressType", field_family, offsetof(struct weft_endpointslice, family), WEFT_FIELD_REQUIRED, NULL},
        {"ports", field_ports, 0, 0, NULL},
};
WEFT_FIELD_TABLE_LENIENT(slice_table, slice_fields);

/* "2026-01-31T12:00:00.123456789Z". Only metrics need it: what is no such time counts as none. */
static uint64_t trigger_ms(const cJSON *json)
{
	const cJSON *meta = cJSON_GetObjectItemCaseSensitive(json, "metadata");
	const cJSON *all = cJSON_GetObjectItemCaseSensitive(meta, "annotations");
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(all, ANNOTATION_TRIGGER));
	const char *end;
	struct tm tm = {0};
	uint64_t ms = 0, digit = 100;
	time_t at;

	end = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	if (end && *end == '.')
		for (end++; *end >= '0' && *end <= '9'; end++, digit /= 10)
			ms += (uint64_t)(*end - '0') * digit;
	if (!end || strcmp(end, "Z") != 0)
		return 0;
	at = timegm(&tm);
	return at > 0 ? (uint64_t)at * 1000 + ms : 0;
}

/* The labels say all that is needed of them here. The others (who made it) may change as they like. */
static int take_labels(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	struct weft_meta *meta = &obj->meta;
	const char *service = weft_label_get(meta->labels, meta->n_labels, LABEL_SERVICE);
	int r = 0;

	obj->endpointslice.headless = weft_label_get(meta->labels, meta->n_labels, LABEL_HEADLESS);
	if (service && *service)
		r = weft_decode_copy(ctx, json, service, &obj->endpointslice.service);
	for (size_t i = 0; i < meta->n_labels; i++) {
		free(meta->labels[i].key);
		free(meta->labels[i].value);
	}
	free(meta->labels);
	meta->labels = NULL;
	meta->n_labels = 0;
	return r;
}

int weft_decode_endpointslice(struct weft_decode_ctx *ctx, const cJSON *json, struct weft_object *obj)
{
	struct weft_endpointslice *s = &obj->endpointslice;
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "endpoints");
	int r = take_labels(ctx, json, obj);
	size_t len;

	s->trigger_ms = trigger_ms(json);
	if (r == 0)
		r = weft_fields_decode(ctx, &slice_table, json, s);
	if (r < 0 || !s->family || !list || cJSON_IsNull(list))
		return r;
	len = weft_path_push(ctx, "endpoints");
	r = endpoints(ctx, list, s);
	weft_path_pop(ctx, len);
	return r;
}
