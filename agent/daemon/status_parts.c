// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/status_parts.h"

#include <stdio.h>
#include <string.h>

#define SHOWN_MAX 20

void status_problem(cJSON *list, const char *object, const char *where, const char *text)
{
	cJSON *item = cJSON_CreateObject();

	cJSON_AddStringToObject(item, "object", object);
	if (where[0])
		cJSON_AddStringToObject(item, "where", where);
	cJSON_AddStringToObject(item, "text", text);
	cJSON_AddItemToArray(list, item);
}

/* "IPPool/pods: spec.cidr: ..." begins with the object; other texts concern what the caller says. */
void status_cluster_problem(void *ctx, const char *where, const char *text)
{
	char object[WEFT_KEY_MAX + 32] = "datastore";
	const char *colon = strstr(text, ": "), *slash = strchr(text, '/');

	if (colon && slash && slash < colon && !memchr(text, ' ', (size_t)(colon - text)) &&
	    (size_t)(colon - text) < sizeof(object)) {
		snprintf(object, sizeof(object), "%.*s", (int)(colon - text), text);
		*strchr(object, '/') = ' ';
		text = colon + 2;
	}
	status_problem(ctx, object, where, text);
}

void status_datastore(struct weft_source *source, const struct cluster *cluster, cJSON *root)
{
	cJSON *item = source->ops->describe(source);
	cJSON *objects;

	if (!item)
		return;
	cJSON_AddItemToObject(root, "datastore", item);
	cJSON_DeleteItemFromObject(item, "objects");
	objects = cJSON_AddObjectToObject(item, "objects");
	for (int kind = 0; kind < WEFT_KIND_COUNT; kind++)
		if (cluster_count(cluster, (enum weft_kind)kind))
			cJSON_AddNumberToObject(objects, weft_kind_name((enum weft_kind)kind),
			                        (double)cluster_count(cluster, (enum weft_kind)kind));
}

void status_controller(const struct controller *c, cJSON *root, cJSON *problems)
{
	cJSON *item = controller_describe(c), *list;
	const cJSON *p, *service, *message;
	char object[WEFT_KEY_MAX + 16];
	size_t shown = 0;

	list = cJSON_DetachItemFromObject(item, "problems");
	cJSON_ArrayForEach (p, list) {
		service = cJSON_GetObjectItem(p, "service");
		message = cJSON_GetObjectItem(p, "message");
		if (shown++ == SHOWN_MAX)
			break;
		snprintf(object, sizeof(object), "Service %s", cJSON_GetStringValue(service));
		status_problem(problems, object, "", cJSON_GetStringValue(message));
	}
	cJSON_Delete(list);
	cJSON_AddItemToObject(root, "controller", item);
}
