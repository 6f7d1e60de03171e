// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tables of the configuration file. All errors are reported, each with file, line and key.
 */
#include "agent/config/config_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/source/yaml.h"
#include "weft/cleanup.h"
#include "weft/file.h"

static const char *const profiles[] = {"fast", "graceful", NULL};
static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const roles[] = {"node", "controller", NULL};
static const struct weft_enum profile_enum = {profiles};
static const struct weft_enum level_enum = {levels};
static const struct weft_enum role_enum = {roles};
_Static_assert(WEFT_RESTART_GRACEFUL == 1 && WEFT_LOG_DEBUG == 3 && WEFT_ROLE_NODE == 1 &&
                       WEFT_ROLE_CONTROLLER == 2,
               "the lists of names follow the enums");
_Static_assert(sizeof(enum weft_restart_profile) == sizeof(int) && sizeof(enum weft_log_level) == sizeof(int),
               "weft_field_enum stores an int");

/* Field decoders */

int config_field_path(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const struct weft_limits *room = f->arg;
	const char *text = weft_decode_text(ctx, v, room->max - 1);
	size_t len;

	if (!text)
		return ctx->err.code;
	if (*text != '/')
		return weft_decode_fail(ctx, v, "\"%s\" is not an absolute path", text);
	len = strlen(text);
	if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+@:,=~-") != len)
		return weft_decode_fail(ctx, v,
		                        "\"%s\" may hold letters, digits and / . _ + @ : , = ~ - only", text);
	while (len > 1 && text[len - 1] == '/')
		len--;
	memcpy(out, text, len);
	((char *)out)[len] = '\0';
	return 0;
}

static const struct {
	const char *unit;
	uint64_t ms;
} units[] = {{"ms", 1}, {"s", SECOND_MS}, {"m", 60 * SECOND_MS}, {"h", HOUR_MS}};

static bool parse_duration(const char *text, uint64_t *ms)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 12)
		return false;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(units); i++) {
		if (strcmp(text + digits, units[i].unit))
			continue;
		*ms = strtoull(text, NULL, 10) * units[i].ms;
		return true;
	}
	return false;
}

const char *config_duration_str(uint64_t ms, char buf[32])
{
	size_t i = WEFT_ARRAY_LEN(units) - 1;

	while (i > 0 && (ms == 0 || ms % units[i].ms))
		i--;
	if (ms == 0)
		i = 1;
	snprintf(buf, 32, "%llu%s", (unsigned long long)(ms / units[i].ms), units[i].unit);
	return buf;
}

int config_field_duration(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const struct weft_limits *limits = f->arg;
	char min[32], max[32];
	uint64_t ms = 0;

	if (cJSON_IsNumber(v))
		return weft_decode_fail(ctx, v, "a duration needs a unit: %.15gs, not %.15g", v->valuedouble,
		                        v->valuedouble);
	if (!weft_decode_text(ctx, v, 32))
		return ctx->err.code;
	if (!parse_duration(v->valuestring, &ms))
		return weft_decode_fail(ctx, v, "\"%s\" is not a duration such as 500ms, 60s, 5m or 2h",
		                        v->valuestring);
	if (ms < limits->min || ms > limits->max)
		return weft_decode_fail(ctx, v, "%s is not from %s to %s", v->valuestring,
		                        config_duration_str(limits->min, min),
		                        config_duration_str(limits->max, max));
	*(uint64_t *)out = ms;
	return 0;
}

static int field_node_name(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const char *text = weft_decode_name(ctx, v);

	(void)f;
	if (!text)
		return ctx->err.code;
	snprintf(out, WEFT_NAME_MAX + 1, "%s", text);
	return 0;
}

static int field_mtu(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	/* 1280 is the least that IPv6 works on (RFC 8200, 5). */
	static const struct weft_limits limits = {0, 65535};
	uint64_t mtu = 0;

	(void)f;
	if (weft_decode_uint(ctx, v, &limits, &mtu) < 0)
		return ctx->err.code;
	if (mtu && mtu < 1280)
		return weft_decode_fail(ctx, v, "%llu is not 0 (automatic) or 1280 to 65535",
		                        (unsigned long long)mtu);
	*(uint32_t *)out = (uint32_t)mtu;
	return 0;
}

static int field_roles(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	static const struct weft_field role = {.key = "role", .arg = &role_enum};
	unsigned set = 0;
	size_t index = 0;
	int first = 0;

	(void)f;
	if (!cJSON_IsArray(v))
		return weft_decode_fail(ctx, v, "must be a list, not %s", weft_json_type(v));
	if (!v->child)
		return weft_decode_fail(ctx, v, "needs at least one role");
	for (const cJSON *c = v->child; c; c = c->next) {
		size_t len = weft_path_push_index(ctx, index++);
		int one = 0, r = weft_field_enum(ctx, &role, c, &one);

		weft_path_pop(ctx, len);
		first = first ? first : r;
		set |= 1u << one;
	}
	if (first == 0)
		*(unsigned *)out = set;
	return first;
}

/* Tables: docs/reference/config.md has the same order. */

static const struct weft_limits path_room = {0, WEFT_PATH_MAX};
static const struct weft_limits socket_room = {0, WEFT_SOCKET_MAX};
/* "/weftd.sock" and weft_file_replace()'s suffix stay within sun_path. */
static const struct weft_limits run_room = {0, WEFT_SOCKET_MAX - sizeof("/weftd.sock.XXXXXX")};
static const struct weft_limits stale_limits = {SECOND_MS, 24 * HOUR_MS};

static const struct weft_field bird_fields[] = {
        {"configDir", config_field_path, AT(bird.config_dir), 0, &path_room},
        {"socket", config_field_path, AT(bird.socket), 0, &socket_room},
        {"templates", config_field_path, AT(bird.templates), 0, &path_room},
        {"binary", config_field_path, AT(bird.binary), 0, &path_room},
        {"restartProfile", weft_field_enum, AT(bird.restart_profile), 0, &profile_enum},
        {"staleRoutes", config_field_duration, AT(bird.stale_routes_ms), 0, &stale_limits},
};
WEFT_FIELD_TABLE(bird_table, bird_fields);

static const struct weft_field cni_fields[] = {
        {"confDir", config_field_path, AT(cni.conf_dir), 0, &path_room},
        {"binDir", config_field_path, AT(cni.bin_dir), 0, &path_room},
        {"mtu", field_mtu, AT(cni.mtu), 0, NULL},
};
WEFT_FIELD_TABLE(cni_table, cni_fields);

static const struct weft_field log_fields[] = {{"level", weft_field_enum, AT(log_level), 0, &level_enum}};
WEFT_FIELD_TABLE(log_table, log_fields);

/* Sections decode into the whole struct: their offsets count from its start. */
static const struct weft_field config_fields[] = {
        {"nodeName", field_node_name, AT(node_name), 0, NULL},
        {"datastore", config_field_datastore, 0, WEFT_FIELD_REQUIRED, NULL},
        {"stateDir", config_field_path, AT(state_dir), 0, &path_room},
        {"runDir", config_field_path, AT(run_dir), 0, &run_room},
        {"procSys", config_field_path, AT(proc_sys), 0, &path_room},
        {"bird", weft_field_object, 0, 0, &bird_table},
        {"cni", weft_field_object, 0, 0, &cni_table},
        {"ipam", config_field_ipam, 0, 0, NULL},
        {"services", weft_field_object, 0, 0, &config_services_table},
        {"metrics", weft_field_object, 0, 0, &config_metrics_table},
        {"log", weft_field_object, 0, 0, &log_table},
        {"roles", field_roles, AT(roles), 0, NULL},
        {"drainOnStop", weft_field_bool, AT(drain_on_stop), 0, NULL},
};
WEFT_FIELD_TABLE(config_table, config_fields);

static const struct weft_config defaults = {
        .datastore = {.namespace = "kube-system", .secrets = {"weft-bgp"}, .n_secrets = 1},
        .state_dir = "/var/lib/weft",
        .run_dir = "/run/weft",
        .proc_sys = "/proc/sys",
        .bird = {.config_dir = "/etc/weft/bird",
                 .socket = "/run/bird/bird.ctl",
                 .templates = "/usr/share/weft/bird-templates",
                 .binary = "/usr/sbin/bird",
                 .restart_profile = WEFT_RESTART_FAST,
                 .stale_routes_ms = 120 * SECOND_MS},
        .cni = {.conf_dir = "/etc/cni/net.d", .bin_dir = "/opt/cni/bin"},
        .ipam = {.cooldown_ms = 60 * SECOND_MS,
                 .spare_addresses = 16,
                 .release_empty_after_ms = 600 * SECOND_MS},
        .services = {.enabled = true,
                     .node_port_first = 30000,
                     .node_port_last = 32767,
                     .external_ips = {.cidr = {{.addr = {.family = AF_INET}}, {.addr = {.family = AF_INET6}}},
                                      .n = 2},
                     .default_class = true,
                     .scheduler = "rr",
                     .audit_ms = 60 * SECOND_MS,
                     .health_port = 10256},
        .metrics = {.addr = {.family = AF_INET, .bytes = {127, 0, 0, 1}}, .port = 9179},
        .log_level = WEFT_LOG_INFO,
        .roles = WEFT_ROLE_NODE | WEFT_ROLE_CONTROLLER,
};

/* Reports */

struct reader {
	const char *name; /* of the file */
	struct weft_yaml_doc *doc;
	weft_config_report_fn report;
	void *ctx;
	struct weft_err first;
	unsigned n_errors;
};

static void report_line(struct reader *reader, unsigned line, int code, const char *text)
{
	struct weft_err err;

	weft_err_set(&err, code, "%s:%u: %s", reader->name, line, text);
	if (reader->n_errors++ == 0)
		reader->first = err;
	if (reader->report)
		reader->report(reader->ctx, err.text);
}

static void report_field(struct weft_decode_ctx *ctx)
{
	struct reader *reader = ctx->report_ctx;

	report_line(reader, weft_yaml_line(reader->doc, ctx->at), ctx->err.code, ctx->err.text);
}

/* What the pod's specification says, else the kubelet's name for a node: its lower-cased host name. */
static void default_node_name(struct reader *reader, struct weft_config *config)
{
	const char *given = getenv(WEFT_CONFIG_NODE_ENV);
	char host[WEFT_NAME_MAX + 1] = "";

	if (given && *given) {
		if (weft_name_valid(given))
			snprintf(config->node_name, sizeof(config->node_name), "%s", given);
		else
			report_line(reader, 1, EINVAL,
			            "nodeName is not given, and " WEFT_CONFIG_NODE_ENV
			            " in the environment is no valid name");
		return;
	}
	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	for (char *p = host; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
	if (weft_name_valid(host))
		memcpy(config->node_name, host, sizeof(host));
	else
		report_line(reader, 1, EINVAL,
		            "nodeName is not given and the host name is no valid name; set nodeName");
}

static int finish(const struct reader *reader, struct weft_err *err)
{
	if (!reader->n_errors)
		return 0;
	if (reader->n_errors == 1)
		return weft_err_set(err, reader->first.code, "%s", reader->first.text);
	return weft_err_set(err, reader->first.code, "%s (and %u more)", reader->first.text,
	                    reader->n_errors - 1);
}

static void decode_doc(struct reader *reader, struct weft_config *config)
{
	struct weft_decode_ctx ctx = {.err = WEFT_ERR_INIT, .report = report_field, .report_ctx = reader};
	const cJSON *given;

	if (reader->doc->err.code) {
		report_line(reader, reader->doc->line, reader->doc->err.code, reader->doc->err.text);
		return;
	}
	weft_fields_decode(&ctx, &config_table, reader->doc->root, config);
	given = cJSON_GetObjectItemCaseSensitive(reader->doc->root, "nodeName");
	if (!given || cJSON_IsNull(given))
		default_node_name(reader, config);
}

int weft_config_parse(const char *name, const char *text, size_t len, struct weft_config *out,
                      weft_config_report_fn report, void *ctx, struct weft_err *err)
{
	struct reader reader = {.name = name, .report = report, .ctx = ctx, .first = WEFT_ERR_INIT};
	weft_auto(weft_yaml_free) struct weft_yaml yaml = {0};
	struct weft_config config = defaults;
	struct weft_err problem = WEFT_ERR_INIT;
	int r = weft_yaml_parse(text, len, false, &yaml, &problem);

	if (r < 0)
		report_line(&reader, 1, r, problem.text);
	else if (yaml.n_docs == 0)
		report_line(&reader, 1, EINVAL, "the configuration is empty; it needs at least datastore");
	else if (yaml.n_docs > 1)
		report_line(&reader, yaml.docs[1].line, EINVAL,
		            "a configuration is one document, here is a second");
	if (!reader.n_errors) {
		reader.doc = &yaml.docs[0];
		decode_doc(&reader, &config);
	}
	r = finish(&reader, err);
	if (r == 0)
		*out = config;
	return r;
}

int weft_config_load(const char *path, struct weft_config *out, weft_config_report_fn report, void *ctx,
                     struct weft_err *err)
{
	struct weft_err problem = WEFT_ERR_INIT;
	weft_autofree char *text = NULL;
	size_t len = 0;
	int r = weft_file_read(path, WEFT_CONFIG_MAX, &text, &len, &problem);

	if (r == 0)
		return weft_config_parse(path, text, len, out, report, ctx, err);
	if (report)
		report(ctx, problem.text);
	return weft_err_set(err, r, "%s", problem.text);
}

void weft_config_dump(const struct weft_config *c, struct weft_buf *out)
{
	char stale[32];

	/* The strings' characters need no escapes: names and paths are restricted. */
	weft_buf_printf(out, "nodeName: \"%s\"\n", c->node_name);
	config_datastore_dump(&c->datastore, out);
	weft_buf_printf(out, "stateDir: \"%s\"\nrunDir: \"%s\"\nprocSys: \"%s\"\n", c->state_dir, c->run_dir,
	                c->proc_sys);
	weft_buf_printf(
	        out,
	        "bird:\n  configDir: \"%s\"\n  socket: \"%s\"\n  templates: \"%s\"\n  binary: \"%s\"\n"
	        "  restartProfile: %s\n  staleRoutes: %s\n",
	        c->bird.config_dir, c->bird.socket, c->bird.templates, c->bird.binary,
	        profiles[c->bird.restart_profile], config_duration_str(c->bird.stale_routes_ms, stale));
	weft_buf_printf(out, "cni:\n  confDir: \"%s\"\n  binDir: \"%s\"\n  mtu: %u\n", c->cni.conf_dir,
	                c->cni.bin_dir, c->cni.mtu);
	config_ipam_dump(&c->ipam, out);
	config_services_dump(&c->services, out);
	config_metrics_dump(&c->metrics, out);
	weft_buf_printf(out, "log:\n  level: %s\nroles:\n", levels[c->log_level]);
	for (int i = 0; roles[i]; i++)
		if (c->roles & (1u << i))
			weft_buf_printf(out, "  - %s\n", roles[i]);
	weft_buf_printf(out, "drainOnStop: %s\n", c->drain_on_stop ? "true" : "false");
}
