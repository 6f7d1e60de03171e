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

/* What the API server does not tell (any more). */
static void datastore_problems(const cJSON *item, cJSON *problems)
{
	const cJSON *c, *age = cJSON_GetObjectItem(item, "ageSeconds");
	const char *error = cJSON_GetStringValue(cJSON_GetObjectItem(item, "error"));
	char text[WEFT_ERR_TEXT + 128];

	if (cJSON_IsTrue(cJSON_GetObjectItem(item, "stale"))) {
		snprintf(text, sizeof(text), "last in step %.0f s ago, what was known then is in force%s%s",
		         age ? age->valuedouble : 0, error && *error ? ": " : "", error ? error : "");
		status_problem(problems, "datastore", "", text);
	} else if (error && *error) {
		status_problem(problems, "datastore", "", error);
	}
	if (error && *error)
		return; /* that is the trouble of each collection */
	cJSON_ArrayForEach (c, cJSON_GetObjectItem(item, "collections")) {
		const char *trouble = cJSON_GetStringValue(cJSON_GetObjectItem(c, "trouble"));

		if (trouble && *trouble)
			status_problem(problems, "datastore", "", trouble);
	}
}

void status_datastore(struct weft_source *source, const struct cluster *cluster, cJSON *root, cJSON *problems)
{
	cJSON *item = source->ops->describe(source);
	cJSON *objects;

	if (!item)
		return;
	cJSON_AddItemToObject(root, "datastore", item);
	datastore_problems(item, problems);
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
