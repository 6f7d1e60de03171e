// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cni/result.h"

#include <stdio.h>
#include <string.h>

#include "weft/cleanup.h"

static void free_json(json_t **json)
{
	json_decref(*json);
}

/* The list `key` of the result, made when it is not there (or null). NULL when memory is short. */
static json_t *list_of(json_t *result, const char *key)
{
	json_t *list = json_object_get(result, key);

	if (json_is_array(list))
		return list;
	list = json_array();
	return json_object_set_new(result, key, list) == 0 ? list : NULL;
}

/* A new object at the end of a list; its fields are set through set_*(). */
static json_t *new_item(json_t *list)
{
	json_t *item = json_object();

	return json_array_append_new(list, item) == 0 ? item : NULL;
}

static bool set_text(json_t *item, const char *key, const char *value)
{
	return json_object_set_new(item, key, json_string(value)) == 0;
}

static bool set_number(json_t *item, const char *key, json_int_t value)
{
	return json_object_set_new(item, key, json_integer(value)) == 0;
}

static bool add_interface(json_t *list, const char *name, const uint8_t mac[6], const char *sandbox,
                          uint32_t mtu, enum cni_version version)
{
	char text[CNI_MAC_STR];
	json_t *item = new_item(list);

	return item && set_text(item, "name", name) && set_text(item, "mac", cni_mac_str(mac, text)) &&
	       (!sandbox || set_text(item, "sandbox", sandbox)) &&
	       (!mtu || version < CNI_V110 || set_number(item, "mtu", mtu));
}

static bool add_ip(json_t *list, const struct weft_addr *addr, size_t interface, enum cni_version version)
{
	struct weft_prefix host = weft_prefix_host(addr);
	struct weft_addr gateway = cni_gateway(addr->family);
	char text[WEFT_PREFIX_STR], gw[WEFT_ADDR_STR];
	json_t *item = new_item(list);

	return item &&
	       (version >= CNI_V100 || set_text(item, "version", addr->family == AF_INET ? "4" : "6")) &&
	       set_text(item, "address", weft_prefix_str(&host, text)) &&
	       set_text(item, "gateway", weft_addr_str(&gateway, gw)) &&
	       set_number(item, "interface", (json_int_t)interface);
}

static bool add_default_route(json_t *list, uint8_t family)
{
	struct weft_addr gateway = cni_gateway(family);
	char gw[WEFT_ADDR_STR];
	json_t *item = new_item(list);

	return item && set_text(item, "dst", family == AF_INET ? "0.0.0.0/0" : "::/0") &&
	       set_text(item, "gw", weft_addr_str(&gateway, gw));
}

static bool fill_result(json_t *result, const struct cni_conf *conf, const struct cni_attachment *a,
                        const char *netns)
{
	json_t *interfaces = list_of(result, "interfaces"), *ips = list_of(result, "ips");
	json_t *routes = list_of(result, "routes");
	size_t pod_index;

	if (!interfaces || !ips || !routes ||
	    !add_interface(interfaces, a->host_dev, cni_host_mac, NULL, a->mtu, conf->version) ||
	    !add_interface(interfaces, a->pod_dev, a->pod_mac, netns, a->mtu, conf->version))
		return false;
	pod_index = json_array_size(interfaces) - 1;
	for (size_t i = 0; i < a->n_addrs; i++)
		if (!add_ip(ips, &a->addrs[i], pod_index, conf->version) ||
		    !add_default_route(routes, a->addrs[i].family))
			return false;
	return true;
}

char *cni_result_text(const struct cni_conf *conf, const struct cni_attachment *a, const char *netns)
{
	weft_auto(free_json) json_t *result =
	        conf->prev_result ? json_deep_copy(conf->prev_result) : json_object();

	if (!result || !set_text(result, "cniVersion", cni_version_text(conf->version)) ||
	    !fill_result(result, conf, a, netns))
		return NULL;
	if (conf->dns && !json_object_get(result, "dns") &&
	    json_object_set_new(result, "dns", json_deep_copy(conf->dns)) != 0)
		return NULL;
	return json_dumps(result, JSON_COMPACT);
}

char *cni_error_text(const char *version, int code, const struct weft_err *err)
{
	weft_auto(free_json) json_t *e = json_object();

	if (!e || !set_text(e, "cniVersion", version) || !set_number(e, "code", code) ||
	    !set_text(e, "msg", cni_code_msg(code)))
		return NULL;
	/* A text that was cut inside a UTF-8 sequence, or quotes a file's bytes, is no JSON string. */
	if (!set_text(e, "details", err->text) && !set_text(e, "details", "(unprintable)"))
		return NULL;
	return json_dumps(e, JSON_COMPACT);
}

char *cni_versions_text(const char *version)
{
	weft_auto(free_json) json_t *v = json_object();
	json_t *list;

	if (!v || !set_text(v, "cniVersion", version))
		return NULL;
	list = list_of(v, "supportedVersions");
	for (int i = 0; i < CNI_VERSIONS; i++)
		if (json_array_append_new(list, json_string(cni_version_text((enum cni_version)i))) != 0)
			return NULL;
	return json_dumps(v, JSON_COMPACT);
}

static const char *string_of(const json_t *item, const char *key)
{
	const char *text = json_string_value(json_object_get(item, key));

	return text ? text : "";
}

/* Index of an interface in prevResult, -1 when it is not listed. sandbox "" = on the host. */
static int find_interface(const json_t *prev, const char *name, const char *sandbox)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(prev, "interfaces"), i,
	                   item) if (strcmp(string_of(item, "name"), name) == 0 &&
	                             strcmp(string_of(item, "sandbox"), sandbox) == 0) return (int)i;
	return -1;
}

static bool is_ours(const struct cni_attachment *a, const char *prefix)
{
	for (size_t i = 0; i < a->n_addrs; i++) {
		struct weft_prefix host = weft_prefix_host(&a->addrs[i]), p;

		if (weft_prefix_parse(prefix, &p, NULL) == 0 && weft_prefix_cmp(&host, &p) == 0)
			return true;
	}
	return false;
}

/* Each address of the pod's interface must be one that we hold for it, and the other way round. */
static int check_ips(const json_t *prev, const struct cni_attachment *a, int pod, struct weft_err *err)
{
	json_t *item;
	size_t n = 0, i;

	json_array_foreach(json_object_get(prev, "ips"), i, item)
	{
		json_t *index = json_object_get(item, "interface");

		if (!json_is_integer(index) || json_integer_value(index) != pod)
			continue;
		if (!is_ours(a, string_of(item, "address")))
			return cni_fail(err, CNI_E_CHECK,
			                "prevResult lists %.64s, which is not reserved for %s",
			                string_of(item, "address"), a->pod_dev);
		n++;
	}
	if (n != a->n_addrs)
		return cni_fail(err, CNI_E_CHECK,
		                "prevResult lists %zu addresses of %s, %zu are reserved for it", n,
		                a->pod_dev, a->n_addrs);
	return 0;
}

int cni_result_check(const json_t *prev, const struct cni_attachment *a, const char *netns,
                     bool default_route[2], struct weft_err *err)
{
	int pod = find_interface(prev, a->pod_dev, netns);
	json_t *item;
	size_t i;

	if (find_interface(prev, a->host_dev, "") < 0)
		return cni_fail(err, CNI_E_CHECK, "prevResult doesn't list the host's device %s",
		                a->host_dev);
	if (pod < 0)
		return cni_fail(err, CNI_E_CHECK, "prevResult doesn't list %s in %.256s", a->pod_dev, netns);
	default_route[0] = default_route[1] = false;
	json_array_foreach(json_object_get(prev, "routes"), i, item)
	{
		if (strcmp(string_of(item, "dst"), "0.0.0.0/0") == 0)
			default_route[0] = true;
		if (strcmp(string_of(item, "dst"), "::/0") == 0)
			default_route[1] = true;
	}
	return check_ips(prev, a, pod, err);
}
