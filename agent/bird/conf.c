// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/bird/conf.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "weft/cleanup.h"
#include "weft/file.h"

static int load_file(void *arg, const char *name, char **text, size_t *len, struct weft_err *err)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s.conf", (const char *)arg, name) >= sizeof(path))
		return weft_err_set(err, ENAMETOOLONG, "the path of the template folder is too long");
	return weft_file_read(path, TMPL_TEXT_MAX, text, len, err);
}

int bird_conf_load(const char *dir, struct tmpl **out, struct weft_err *err)
{
	static const struct tmpl_options options = {
	        .escape = TMPL_BIRD, .strict = true, .strict_sections = true};
	weft_autofree char *text = NULL;
	weft_autofree char *folder = strdup(dir);
	size_t len;
	int r = folder ? load_file(folder, "bird", &text, &len, err)
	               : weft_err_errno(err, ENOMEM, "templates");

	if (r < 0)
		return weft_err_wrap(err, "bird.templates");
	r = tmpl_compile("bird.conf", text, len, &options, load_file, folder, out, err);
	return r < 0 ? weft_err_wrap(err, "the templates in %s", dir) : 0;
}

static void add_address(cJSON *to, const char *name, const struct weft_addr *a)
{
	char text[WEFT_ADDR_STR];

	cJSON_AddStringToObject(to, name, weft_addr_str(a, text));
}

static void add_ranges(cJSON *root, const char *name, const struct bgp_range *ranges, size_t n)
{
	cJSON *list = cJSON_AddArrayToObject(root, name);

	for (size_t i = 0; i < n; i++) {
		char cidr[WEFT_PREFIX_STR];
		cJSON *item = cJSON_CreateObject();

		cJSON_AddStringToObject(item, "netType",
		                        ranges[i].cidr.addr.family == AF_INET ? "NET_IP4" : "NET_IP6");
		cJSON_AddStringToObject(item, "cidr", weft_prefix_str(&ranges[i].cidr, cidr));
		cJSON_AddNumberToObject(item, "ge", ranges[i].ge);
		cJSON_AddNumberToObject(item, "le", ranges[i].le);
		cJSON_AddItemToArray(list, item);
	}
}

static cJSON *peer_data(const struct bgp_peer *peer, const struct bgp_model *m,
                        const struct bird_conf_params *params)
{
	cJSON *data = cJSON_CreateObject();
	const char *secret = peer->password ? params->secret_path(params->ctx, peer) : NULL;

	cJSON_AddStringToObject(data, "protocol", peer->protocol);
	cJSON_AddStringToObject(data, "description", peer->description);
	add_address(data, "local", &peer->local);
	add_address(data, "address", &peer->address);
	cJSON_AddNumberToObject(data, "port", peer->port);
	cJSON_AddNumberToObject(data, "peerAs", peer->as_number);
	cJSON_AddNumberToObject(data, "localAs", m->local_as);
	cJSON_AddNumberToObject(data, "listenPort", m->listen_port);
	cJSON_AddBoolToObject(data, "ipv4", weft_addr_is_set(&m->ip4));
	cJSON_AddBoolToObject(data, "ipv6", weft_addr_is_set(&m->ip6));
	if (secret)
		cJSON_AddStringToObject(data, "secret", secret);
	else
		cJSON_AddBoolToObject(data, "secret", false);
	return data;
}

static cJSON *model_data(const struct bgp_model *m, const struct bird_conf_params *params)
{
	cJSON *root = cJSON_CreateObject();
	cJSON *peers;

	cJSON_AddStringToObject(root, "node", params->node);
	cJSON_AddStringToObject(root, "custom", params->custom_dir);
	add_address(root, "routerId", &m->router_id);
	cJSON_AddBoolToObject(root, "fast", m->profile == BGP_FAST);
	cJSON_AddBoolToObject(root, "graceful", m->profile == BGP_GRACEFUL);
	add_ranges(root, "advertise", m->advertise, m->n_advertise);
	add_ranges(root, "import", m->import, m->n_import);
	peers = cJSON_AddArrayToObject(root, "peers");
	for (size_t i = 0; i < m->n_peers; i++)
		if (!m->peers[i].reason[0])
			cJSON_AddItemToArray(peers, peer_data(&m->peers[i], m, params));
	return root;
}

int bird_conf_render(const struct tmpl *t, const struct bgp_model *m, const struct bird_conf_params *params,
                     struct weft_buf *out, struct weft_err *err)
{
	cJSON *data = model_data(m, params);
	int r = tmpl_render(t, data, out, err);

	cJSON_Delete(data);
	return r < 0 ? weft_err_wrap(err, "rendering bird.conf") : 0;
}
