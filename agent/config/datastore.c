// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The section `datastore`: where cluster objects come from. Each kind has keys of its own; another kind's are
 * errors, since whoever writes them expects them to count.
 */
#include <stdio.h>
#include <string.h>

#include "agent/config/config_int.h"
#include "weft/cleanup.h"

#define SAFE "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+@:,=~-"

static const char *const nodes[] = {"all", "own", NULL};
static const struct weft_enum nodes_enum = {nodes};
static const char *const kinds[] = {"directory", "kubernetes", NULL};
static const struct weft_enum kind_enum = {kinds};
_Static_assert(WEFT_DATASTORE_KUBERNETES == 1, "the list of names follows the enum");
_Static_assert(sizeof(enum weft_datastore_kind) == sizeof(int), "weft_field_enum stores an int");

/* --- field decoders --- */

static int field_name(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const char *text = weft_decode_name(ctx, v);

	(void)f;
	if (!text)
		return ctx->err.code;
	snprintf(out, WEFT_NAME_MAX + 1, "%s", text);
	return 0;
}

static int field_context(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const char *text = weft_decode_text(ctx, v, WEFT_CONTEXT_MAX - 1);

	(void)f;
	if (!text)
		return ctx->err.code;
	if (!*text || strspn(text, SAFE) != strlen(text))
		return weft_decode_fail(ctx, v,
		                        "\"%s\" may hold letters, digits and / . _ + @ : , = ~ - only", text);
	snprintf(out, WEFT_CONTEXT_MAX, "%s", text);
	return 0;
}

/* What is behind it is checked by who connects to it. */
static int server(struct weft_decode_ctx *ctx, const cJSON *v, char out[WEFT_SERVER_MAX])
{
	const char *text = weft_decode_text(ctx, v, WEFT_SERVER_MAX - 1);

	if (!text)
		return ctx->err.code;
	if ((strncmp(text, "https://", 8) && strncmp(text, "http://", 7)) ||
	    strspn(text, SAFE "[]%") != strlen(text))
		return weft_decode_fail(ctx, v, "\"%s\" is not an address such as https://192.0.2.10:6443",
		                        text);
	snprintf(out, WEFT_SERVER_MAX, "%s", text);
	return 0;
}

static int field_servers(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	struct weft_config_datastore *d = &((struct weft_config *)out)->datastore;
	int first = 0;

	(void)f;
	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	if (cJSON_GetArraySize(v) > WEFT_SERVERS_MAX)
		return weft_decode_fail(ctx, v, "has more than %d entries", WEFT_SERVERS_MAX);
	d->n_servers = 0;
	for (const cJSON *c = v->child; c; c = c->next) {
		size_t len = weft_path_push_index(ctx, d->n_servers);
		int r = server(ctx, c, d->servers[d->n_servers++]);

		weft_path_pop(ctx, len);
		first = first ? first : r;
	}
	return first;
}

static int field_secrets(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	struct weft_config_datastore *d = &((struct weft_config *)out)->datastore;
	int first = 0;

	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	if (cJSON_GetArraySize(v) > WEFT_SECRETS_MAX)
		return weft_decode_fail(ctx, v, "has more than %d entries", WEFT_SECRETS_MAX);
	d->n_secrets = 0;
	for (const cJSON *c = v->child; c; c = c->next) {
		size_t len = weft_path_push_index(ctx, d->n_secrets);
		int r = field_name(ctx, f, c, d->secrets[d->n_secrets++]);

		weft_path_pop(ctx, len);
		first = first ? first : r;
	}
	return first;
}

static int field_nodes(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const struct weft_field choice = {.key = f->key, .arg = &nodes_enum};
	int own = 0, r = weft_field_enum(ctx, &choice, v, &own);

	*(bool *)out = own;
	return r;
}

/* --- the section --- */

static const struct weft_limits path_room = {0, WEFT_PATH_MAX};
static const struct weft_limits rescan_limits = {0, HOUR_MS};

static const struct weft_field fields[] = {
        {"kind", weft_field_enum, AT(datastore.kind), WEFT_FIELD_REQUIRED, &kind_enum},
        {"path", config_field_path, AT(datastore.path), 0, &path_room},
        {"rescan", config_field_duration, AT(datastore.rescan_ms), 0, &rescan_limits},
        {"sealKey", config_field_path, AT(datastore.seal_key), 0, &path_room},
        {"kubeconfig", config_field_path, AT(datastore.kubeconfig), 0, &path_room},
        {"context", field_context, AT(datastore.context), 0, NULL},
        {"servers", field_servers, 0, 0, NULL},
        {"namespace", field_name, AT(datastore.namespace), 0, NULL},
        {"secrets", field_secrets, 0, 0, NULL},
        {"nodes", field_nodes, AT(datastore.own_node), 0, NULL},
};
WEFT_FIELD_TABLE(table, fields);

/* Which kind a key belongs to, by its place in the table; `kind` itself belongs to both. */
static bool key_of(enum weft_datastore_kind kind, size_t i)
{
	return i == 0 || (kind == WEFT_DATASTORE_DIRECTORY) == (i <= 3);
}

static int foreign_keys(struct weft_decode_ctx *ctx, const cJSON *v, enum weft_datastore_kind kind)
{
	int first = 0;

	for (size_t i = 0; i < WEFT_ARRAY_LEN(fields); i++) {
		const cJSON *item = cJSON_GetObjectItemCaseSensitive(v, fields[i].key);
		size_t len;
		int r;

		if (!item || cJSON_IsNull(item) || key_of(kind, i))
			continue;
		len = weft_path_push(ctx, fields[i].key);
		r = weft_decode_fail(ctx, item, "belongs to datastore.kind %s, not to %s", kinds[!kind],
		                     kinds[kind]);
		weft_path_pop(ctx, len);
		first = first ? first : r;
	}
	return first;
}

static int missing(struct weft_decode_ctx *ctx, const cJSON *v, const char *key, const char *text)
{
	size_t len = weft_path_push(ctx, key);
	int r = weft_decode_fail(ctx, v, "%s", text);

	weft_path_pop(ctx, len);
	return r;
}

int config_field_datastore(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const struct weft_config_datastore *d = &((struct weft_config *)out)->datastore;
	int r = weft_fields_decode(ctx, &table, v, out);

	(void)f;
	if (r < 0)
		return r;
	r = foreign_keys(ctx, v, d->kind);
	if (r < 0)
		return r;
	if (d->kind == WEFT_DATASTORE_DIRECTORY && !*d->path)
		return missing(ctx, v, "path", "is missing");
	if (d->kind == WEFT_DATASTORE_KUBERNETES && *d->context && !*d->kubeconfig)
		return missing(ctx, v, "kubeconfig", "is missing: context names an entry of it");
	if (d->kind == WEFT_DATASTORE_KUBERNETES && !*d->kubeconfig && !d->n_servers)
		return missing(
		        ctx, v, "servers",
		        "is missing: without a kubeconfig, name the API servers' real addresses, such as "
		        "[\"https://192.0.2.10:6443\"] (`kubectl get endpointslices kubernetes` lists "
		        "them). The address that pods are told is a Service's, which weft itself programs");
	return 0;
}

/* --- dump --- */

static void dump_list(const char *key, const char *list, size_t size, size_t n, struct weft_buf *out)
{
	weft_buf_printf(out, n ? "  %s:\n" : "  %s: []\n", key);
	for (size_t i = 0; i < n; i++)
		weft_buf_printf(out, "    - \"%s\"\n", list + i * size);
}

void config_datastore_dump(const struct weft_config_datastore *d, struct weft_buf *out)
{
	char rescan[32];

	weft_buf_printf(out, "datastore:\n  kind: %s\n", kinds[d->kind]);
	if (d->kind == WEFT_DATASTORE_DIRECTORY) {
		weft_buf_printf(out, "  path: \"%s\"\n  rescan: %s\n", d->path,
		                config_duration_str(d->rescan_ms, rescan));
		if (*d->seal_key)
			weft_buf_printf(out, "  sealKey: \"%s\"\n", d->seal_key);
		return;
	}
	if (*d->kubeconfig)
		weft_buf_printf(out, "  kubeconfig: \"%s\"\n", d->kubeconfig);
	if (*d->context)
		weft_buf_printf(out, "  context: \"%s\"\n", d->context);
	dump_list("servers", d->servers[0], sizeof(d->servers[0]), d->n_servers, out);
	weft_buf_printf(out, "  namespace: \"%s\"\n", d->namespace);
	dump_list("secrets", d->secrets[0], sizeof(d->secrets[0]), d->n_secrets, out);
	weft_buf_printf(out, "  nodes: %s\n", nodes[d->own_node]);
}
