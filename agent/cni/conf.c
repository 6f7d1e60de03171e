// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cni/conf.h"
#include "ipam/host.h"
#include "weft/cleanup.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static const char *const version_names[CNI_VERSIONS] = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};

const char *cni_version_text(enum cni_version v)
{
	return version_names[v];
}

struct decoder {
	struct cni_conf *conf;
	enum cni_command command;
	bool lenient; /* DEL, GC */
	const char *key;
	struct weft_err *err;
};

typedef int (*field_fn)(struct decoder *d, json_t *value);

static int need_string(struct decoder *d, json_t *v, const char **out)
{
	if (!json_is_string(v))
		return cni_fail(d->err, CNI_E_CONFIG, "\"%s\" must be a string", d->key);
	*out = json_string_value(v);
	return 0;
}

static int field_cni_version(struct decoder *d, json_t *v)
{
	const char *text = "";
	int r = need_string(d, v, &text);

	if (r)
		return r;
	for (size_t i = 0; i < CNI_VERSIONS; i++) {
		if (strcmp(text, version_names[i]) == 0) {
			d->conf->version = (enum cni_version)i;
			return 0;
		}
	}
	return cni_fail(d->err, CNI_E_VERSION,
	                "cniVersion \"%.32s\" is not supported; use one of 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0",
	                text);
}

static int field_name(struct decoder *d, json_t *v)
{
	int r = need_string(d, v, &d->conf->network);

	if (!r)
		r = cni_check_id("\"name\"", d->conf->network, CNI_E_CONFIG, d->err);
	if (!r && strlen(d->conf->network) > CNI_NAME_MAX)
		r = cni_fail(d->err, CNI_E_CONFIG, "\"name\" has more than %d characters", CNI_NAME_MAX);
	return r;
}

static int need_path(struct decoder *d, json_t *v, size_t max, const char **out)
{
	int r = need_string(d, v, out);

	if (r)
		return r;
	if (**out != '/')
		return cni_fail(d->err, CNI_E_CONFIG, "\"%s\" must be an absolute path, it is \"%.128s\"",
		                d->key, *out);
	if (strlen(*out) > max)
		return cni_fail(d->err, CNI_E_CONFIG, "\"%s\" has more than %zu characters", d->key, max);
	return 0;
}

static int field_state_dir(struct decoder *d, json_t *v)
{
	return need_path(d, v, 1024, &d->conf->state_dir);
}

static int field_socket(struct decoder *d, json_t *v)
{
	return need_path(d, v, sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1, &d->conf->socket);
}

static int field_mtu(struct decoder *d, json_t *v)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || n > CNI_MTU_MAX || (n > 0 && n < CNI_MTU_MIN4))
		return cni_fail(d->err, CNI_E_CONFIG, "\"mtu\" must be 0 or an integer from %d to %d",
		                CNI_MTU_MIN4, CNI_MTU_MAX);
	d->conf->mtu = (uint32_t)n;
	return 0;
}

static int field_cooldown(struct decoder *d, json_t *v)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > CNI_COOLDOWN_MAX_MS)
		return cni_fail(d->err, CNI_E_CONFIG, "\"cooldownMs\" must be an integer from 0 to %d",
		                CNI_COOLDOWN_MAX_MS);
	d->conf->cooldown_ms = (uint64_t)json_integer_value(v);
	return 0;
}

static int field_families(struct decoder *d, json_t *v)
{
	struct cni_conf *c = d->conf;
	json_t *item;
	size_t i;

	c->n_families = 0;
	if (json_array_size(v) == 0)
		return cni_fail(
		        d->err, CNI_E_CONFIG,
		        "\"families\" must be a list of \"4\", \"6\" or both, in order of preference");
	json_array_foreach(v, i, item)
	{
		const char *text = json_is_string(item) ? json_string_value(item) : "";
		uint8_t family = strcmp(text, "4") == 0 ? AF_INET : strcmp(text, "6") == 0 ? AF_INET6 : 0;

		if (!family || c->n_families == 2 || (c->n_families == 1 && c->families[0] == family))
			return cni_fail(d->err, CNI_E_CONFIG,
			                "\"families\" may hold \"4\" and \"6\", each once");
		c->families[c->n_families++] = family;
	}
	return 0;
}

static int need_object(struct decoder *d, json_t *v, json_t **out)
{
	if (!json_is_object(v))
		return cni_fail(d->err, CNI_E_CONFIG, "\"%s\" must be an object", d->key);
	*out = v;
	return 0;
}

static int field_prev_result(struct decoder *d, json_t *v)
{
	static const char *const lists[] = {"interfaces", "ips", "routes"};
	int r = json_is_null(v) ? 0 : need_object(d, v, &d->conf->prev_result);

	if (r || !d->conf->prev_result)
		return r;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(lists); i++) {
		json_t *list = json_object_get(v, lists[i]), *item;
		size_t k;

		if (list && !json_is_null(list) && !json_is_array(list))
			return cni_fail(d->err, CNI_E_CONFIG, "\"prevResult.%s\" must be a list", lists[i]);
		json_array_foreach(list, k, item) if (!json_is_object(item)) return cni_fail(
		        d->err, CNI_E_CONFIG, "\"prevResult.%s\" must be a list of objects", lists[i]);
	}
	return 0;
}

static int field_dns(struct decoder *d, json_t *v)
{
	return need_object(d, v, &d->conf->dns);
}

/* ["10.244.1.5", "fd00::5/64"]: at most one of each family; a prefix length means nothing here. */
static int read_ips(struct decoder *d, const char *where, json_t *v)
{
	json_t *item;
	size_t i;

	if (!json_is_array(v))
		return cni_fail(d->err, CNI_E_CONFIG, "\"%s\" must be a list of addresses", where);
	json_array_foreach(v, i, item)
	{
		const char *given = json_is_string(item) ? json_string_value(item) : "(no string)";
		char text[WEFT_PREFIX_STR] = "";
		struct weft_addr addr, *slot;

		if (strlen(given) < sizeof(text))
			strcpy(text, given);
		text[strcspn(text, "/")] = '\0';
		if (weft_addr_parse(text, &addr, NULL) < 0)
			return cni_fail(d->err, CNI_E_CONFIG,
			                "\"%s\" holds \"%.64s\", which is not an address", where, given);
		slot = &d->conf->wanted[addr.family == AF_INET6];
		if (weft_addr_is_set(slot))
			return cni_fail(d->err, CNI_E_CONFIG,
			                "\"%s\" asks for two addresses of one family; a pod has one", where);
		*slot = addr;
	}
	return 0;
}

/* Capability arguments. Other keys than `ips` are there only when our "capabilities" ask for them. */
static int field_runtime_config(struct decoder *d, json_t *v)
{
	json_t *object = NULL, *ips;
	int r = need_object(d, v, &object);

	if (r)
		return r;
	ips = json_object_get(object, "ips");
	if (!ips || d->command != CNI_ADD)
		return 0;
	return read_ips(d, "runtimeConfig.ips", ips);
}

/* {"cni": {"ips": [...]}}: the convention older than runtimeConfig, which wins when both are given. */
static int field_args(struct decoder *d, json_t *v)
{
	json_t *ips = json_object_get(json_object_get(v, "cni"), "ips");

	if (!ips || d->command != CNI_ADD || weft_addr_is_set(&d->conf->wanted[0]) ||
	    weft_addr_is_set(&d->conf->wanted[1]))
		return 0;
	return read_ips(d, "args.cni.ips", ips);
}

/* IPAM plugins are not called: weft-cni allocates itself. */
static int field_ipam(struct decoder *d, json_t *v)
{
	const char *type = json_string_value(json_object_get(v, "type"));

	if ((json_is_object(v) && json_object_size(v) == 0) || json_is_null(v) || d->lenient)
		return 0;
	return cni_fail(
	        d->err, CNI_E_FIELD,
	        "\"ipam\" with type \"%.64s\" is not supported: weft-cni allocates addresses itself; remove it",
	        type ? type : "");
}

static int field_ip_masq(struct decoder *d, json_t *v)
{
	if (json_is_false(v) || d->lenient)
		return 0;
	return cni_fail(d->err, CNI_E_FIELD,
	                "\"ipMasq\": true is not supported: pods are routed with their own addresses");
}

static int field_valid(struct decoder *d, json_t *v)
{
	json_t *item;
	size_t i;

	if (d->command != CNI_GC)
		return 0;
	if (!json_is_array(v) && !json_is_null(v))
		return cni_fail(d->err, CNI_E_CONFIG, "\"%s\" must be a list", d->key);
	if (json_array_size(v) > CNI_VALID_MAX)
		return cni_fail(d->err, CNI_E_CONFIG, "\"%s\" has more than %d entries", d->key,
		                CNI_VALID_MAX);
	json_array_foreach(v, i, item)
	{
		const char *id = json_string_value(json_object_get(item, "containerID"));
		const char *ifname = json_string_value(json_object_get(item, "ifname"));
		int r;

		if (!id || !ifname)
			return cni_fail(d->err, CNI_E_CONFIG,
			                "each of \"%s\" must have the strings containerID and ifname",
			                d->key);
		r = cni_check_id("containerID", id, CNI_E_CONFIG, d->err);
		if (!r)
			r = cni_check_ifname("ifname", ifname, CNI_E_CONFIG, d->err);
		if (r)
			return r;
	}
	d->conf->valid = v;
	return 0;
}

static int field_type(struct decoder *d, json_t *v)
{
	const char *type = "";

	return need_string(d, v, &type);
}

static int field_ignored(struct decoder *d, json_t *v)
{
	(void)d;
	(void)v;
	return 0;
}

static const struct field {
	const char *name;
	field_fn read;
} fields[] = {
        {"cniVersion", field_cni_version}, /* first: other errors are reported in this version */
        {"name", field_name},
        {"type", field_type},
        {"stateDir", field_state_dir},
        {"socket", field_socket},
        {"mtu", field_mtu},
        {"cooldownMs", field_cooldown},
        {"families", field_families},
        {"runtimeConfig", field_runtime_config}, /* before args: it wins */
        {"args", field_args},
        {"prevResult", field_prev_result},
        {"dns", field_dns},
        {"ipam", field_ipam},
        {"ipMasq", field_ip_masq},
        {"cni.dev/valid-attachments", field_valid},
        {"cni.dev/attachments", field_ignored}, /* what GC's list was called in an early draft */
        {"capabilities", field_ignored},
        {"cniVersions", field_ignored},
        {"disableCheck", field_ignored},
        {"disableGC", field_ignored},
};

static bool is_known(const char *key)
{
	for (size_t i = 0; i < WEFT_ARRAY_LEN(fields); i++)
		if (strcmp(fields[i].name, key) == 0)
			return true;
	return strncmp(key, "cni.dev/", 8) == 0;
}

static int check_keys(struct decoder *d, json_t *json)
{
	const char *key;
	json_t *item;

	if (d->lenient)
		return 0;
	json_object_foreach(json, key, item)
	{
		weft_autofree char *value = NULL;

		if (is_known(key))
			continue;
		value = json_dumps(item, JSON_COMPACT | JSON_ENCODE_ANY);
		return cni_fail(d->err, CNI_E_FIELD, "unknown key \"%.64s\": %.128s", key,
		                value ? value : "");
	}
	return 0;
}

/* What holds between fields. */
static int check_whole(struct decoder *d, json_t *json)
{
	static const enum cni_version since[] = {
	        [CNI_ADD] = CNI_V030,    [CNI_DEL] = CNI_V030, [CNI_CHECK] = CNI_V040,
	        [CNI_STATUS] = CNI_V110, [CNI_GC] = CNI_V110,  [CNI_VERSION] = CNI_V030,
	};
	static const char *const names[] = {
	        [CNI_ADD] = "ADD",       [CNI_DEL] = "DEL", [CNI_CHECK] = "CHECK",
	        [CNI_STATUS] = "STATUS", [CNI_GC] = "GC",   [CNI_VERSION] = "VERSION",
	};
	struct cni_conf *c = d->conf;

	if (!json_object_get(json, "cniVersion"))
		return cni_fail(d->err, CNI_E_VERSION,
		                "there is no cniVersion, which means 0.1.0: not supported");
	if (c->version < since[d->command])
		return cni_fail(d->err, CNI_E_VERSION, "%s needs cniVersion %s or later, it is %s",
		                names[d->command], version_names[since[d->command]],
		                version_names[c->version]);
	if (!c->network)
		return cni_fail(d->err, CNI_E_CONFIG, "there is no \"name\" of the network");
	for (size_t i = 0; i < c->n_families; i++)
		if (c->families[i] == AF_INET6 && c->mtu && c->mtu < CNI_MTU_MIN6)
			return cni_fail(d->err, CNI_E_CONFIG, "\"mtu\" %u is below %d, which IPv6 needs",
			                c->mtu, CNI_MTU_MIN6);
	if (d->command == CNI_CHECK && !c->prev_result)
		return cni_fail(d->err, CNI_E_CONFIG, "CHECK needs a \"prevResult\"");
	if (d->command == CNI_GC && !c->valid)
		return cni_fail(d->err, CNI_E_CONFIG,
		                "GC needs \"cni.dev/valid-attachments\" (an empty list removes everything)");
	return 0;
}

int cni_conf_decode(const char *text, size_t len, enum cni_command command, struct cni_conf *conf,
                    struct weft_err *err)
{
	struct decoder d = {.conf = conf,
	                    .command = command,
	                    .lenient = command == CNI_DEL || command == CNI_GC,
	                    .err = err};
	json_error_t why;
	int r;

	*conf = (struct cni_conf){
	        .version = CNI_V110,
	        .state_dir = CNI_DEFAULT_STATE_DIR,
	        .socket = CNI_DEFAULT_SOCKET,
	        .cooldown_ms = WEFT_IPAM_COOLDOWN_MS,
	        .families = {AF_INET},
	        .n_families = 1,
	};
	if (len > CNI_CONF_MAX)
		return cni_fail(err, CNI_E_DECODE, "the network configuration is longer than %d bytes",
		                CNI_CONF_MAX);
	conf->json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!conf->json)
		return cni_fail(err, CNI_E_DECODE, "stdin, line %d, column %d: %s", why.line, why.column,
		                why.text);
	if (!json_is_object(conf->json))
		return cni_fail(err, CNI_E_DECODE, "the network configuration must be a JSON object");
	r = check_keys(&d, conf->json);
	for (size_t i = 0; !r && i < WEFT_ARRAY_LEN(fields); i++) {
		json_t *value = json_object_get(conf->json, fields[i].name);

		d.key = fields[i].name;
		if (value)
			r = fields[i].read(&d, value);
	}
	return r ? r : check_whole(&d, conf->json);
}

void cni_conf_free(struct cni_conf *conf)
{
	json_decref(conf->json);
	*conf = (struct cni_conf){0};
}

const char *cni_conf_version_text(const json_t *json)
{
	const char *text = json_string_value(json_object_get(json, "cniVersion"));

	return text ? text : version_names[CNI_V110];
}
