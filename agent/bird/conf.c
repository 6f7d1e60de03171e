// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/bird/conf_int.h"

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

static void add_class(cJSON *list, uint32_t metric)
{
	cJSON *item = cJSON_CreateObject();

	cJSON_AddBoolToObject(item, "first", cJSON_GetArraySize(list) == 0);
	cJSON_AddNumberToObject(item, "metric", metric);
	cJSON_AddItemToArray(list, item);
}

/* Blocks of pods must lie in the pools besides; addresses of Services lie where the user puts them. */
static void add_classes(cJSON *root, const struct bgp_model *m)
{
	cJSON *blocks = cJSON_AddArrayToObject(root, "blockMetrics");
	cJSON *services = cJSON_AddArrayToObject(root, "serviceMetrics");

	for (size_t i = 0; i < m->n_classes; i++)
		add_class(m->classes[i].type == WEFT_ADVERT_PODBLOCK ? blocks : services,
		          m->classes[i].metric);
}

/* The links of unnumbered sessions, each once. */
static void add_unnumbered(cJSON *root, const struct bgp_model *m)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < m->n_peers; i++) {
		const struct bgp_peer *p = &m->peers[i];
		bool known = p->reason[0] || !p->interface[0];
		cJSON *item;

		cJSON_ArrayForEach (item, list)
			known |= !strcmp(cJSON_GetObjectItem(item, "link")->valuestring, p->interface);
		if (known)
			continue;
		item = cJSON_CreateObject();
		cJSON_AddStringToObject(item, "link", p->interface);
		cJSON_AddItemToArray(list, item);
	}
	cJSON_AddBoolToObject(root, "unnumbered", cJSON_GetArraySize(list) > 0);
	cJSON_AddItemToObject(root, "links", list);
}

static cJSON *model_data(const struct bgp_model *m, const struct bird_conf_params *params)
{
	cJSON *root = cJSON_CreateObject();
	cJSON *peers;
	char text[WEFT_ADDR_STR];
	bool bfd = false;

	cJSON_AddStringToObject(root, "node", params->node);
	cJSON_AddStringToObject(root, "custom", params->custom_dir);
	cJSON_AddStringToObject(root, "routerId", weft_addr_str(&m->router_id, text));
	cJSON_AddBoolToObject(root, "graceful", m->profile == BGP_GRACEFUL);
	conf_add_ranges(root, "pools4", m->advertise, m->n_advertise, AF_INET);
	conf_add_ranges(root, "pools6", m->advertise, m->n_advertise, AF_INET6);
	conf_add_ranges(root, "import4", m->import, m->n_import, AF_INET);
	conf_add_ranges(root, "import6", m->import, m->n_import, AF_INET6);
	add_classes(root, m);
	peers = cJSON_AddArrayToObject(root, "peers");
	for (size_t i = 0; i < m->n_peers; i++) {
		const struct bgp_peer *p = &m->peers[i];

		if (p->reason[0])
			continue;
		bfd |= p->bfd;
		cJSON_AddItemToArray(
		        peers, conf_peer(p, m, p->password ? params->secret_path(params->ctx, p) : NULL));
	}
	cJSON_AddBoolToObject(root, "bfd", bfd);
	add_unnumbered(root, m);
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
