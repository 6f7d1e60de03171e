// SPDX-License-Identifier: GPL-2.0-or-later
/* An API server that keeps Events, in a simulated world (kube_sim.h). */
#ifndef TESTS_UNIT_EVENTS_SIM_H
#define TESTS_UNIT_EVENTS_SIM_H

#include <errno.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "agent/kube/events.h"
#include "agent/source/fields.h"
#include "tests/unit/kube_sim.h"
#include "weft/object.h"

static struct kube_events *events;

/* ---- the API server ---- */

static struct {
	cJSON *objects; /* by path */
	unsigned posts, patches;
	enum kube_result fail; /* all of it; KUBE_OK = none */
	unsigned fails;        /* so many times; 0 = always */
} server;

static inline void check_event(const cJSON *event)
{
	const char *name = cJSON_GetObjectItem(cJSON_GetObjectItem(event, "metadata"), "name")->valuestring;

	assert_true(weft_name_valid(name));
	assert_true(strlen(cJSON_GetObjectItem(event, "message")->valuestring) <= 1024);
	assert_true(strlen(cJSON_GetObjectItem(event, "reason")->valuestring) <= 128);
	assert_true(strlen(cJSON_GetObjectItem(event, "reportingInstance")->valuestring) <= 128);
	assert_true(weft_text_printable(cJSON_GetObjectItem(event, "message")->valuestring));
	assert_true(weft_text_printable(cJSON_GetObjectItem(event, "reason")->valuestring));
}

static inline void serve_post(struct kube_call *c)
{
	cJSON *event = cJSON_ParseWithLength(c->body, c->len);
	const cJSON *metadata = cJSON_GetObjectItem(event, "metadata");
	char path[1024];

	assert_non_null(event);
	check_event(event);
	assert_string_equal(c->type, "application/json");
	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/events",
	         cJSON_GetObjectItem(metadata, "namespace")->valuestring);
	assert_string_equal(c->path, path);
	strcat(path, "/");
	strcat(path, cJSON_GetObjectItem(metadata, "name")->valuestring);
	server.posts++;
	c->result = KUBE_ALREADY_EXISTS;
	c->status = 409;
	if (cJSON_GetObjectItemCaseSensitive(server.objects, path)) {
		cJSON_Delete(event);
		return;
	}
	cJSON_AddItemToObject(server.objects, path, event);
	c->result = KUBE_OK;
	c->status = 201;
}

static inline void serve_patch(struct kube_call *c)
{
	cJSON *patch = cJSON_ParseWithLength(c->body, c->len);
	cJSON *event = cJSON_GetObjectItemCaseSensitive(server.objects, c->path);
	const cJSON *item;

	assert_string_equal(c->method, "PATCH");
	assert_string_equal(c->type, "application/merge-patch+json");
	assert_int_equal(cJSON_GetArraySize(patch), 2);
	server.patches++;
	c->result = event ? KUBE_OK : KUBE_NOT_FOUND;
	c->status = event ? 200 : 404;
	cJSON_ArrayForEach (item, patch)
		if (event)
			cJSON_ReplaceItemInObject(event, item->string, cJSON_Duplicate(item, true));
	cJSON_Delete(patch);
}

static inline void serve(struct kube_call *c)
{
	if (server.fail != KUBE_OK) {
		c->result = server.fail;
		c->status = 500;
		if (server.fails && --server.fails == 0)
			server.fail = KUBE_OK;
		return;
	}
	if (!strcmp(c->method, "POST"))
		serve_post(c);
	else
		serve_patch(c);
}

static inline int setup(void **state)
{
	(void)state;
	sim_begin(1);
	sim.serve = serve;
	memset(&server, 0, sizeof(server));
	server.objects = cJSON_CreateObject();
	events = kube_events_new(NULL, NULL, "weft-controller", "node-a");
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	if (events)
		kube_events_free(events);
	events = NULL;
	sim_end();
	cJSON_Delete(server.objects);
	return 0;
}

static const struct kube_event_about web = {
        .api = "v1", .kind = "Service", .namespace = "default", .name = "web", .uid = "u-1"};

static inline void tell(const char *name, const char *message)
{
	struct kube_event_about about = web;

	about.name = name;
	kube_events_tell(events, &about, true, "NoAddress", message);
}

static inline const cJSON *nth(int n)
{
	return cJSON_GetArrayItem(server.objects, n);
}

static inline const char *text(const cJSON *event, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, key));
}

static inline int count(const cJSON *event)
{
	return cJSON_GetObjectItemCaseSensitive(event, "count")->valueint;
}

static inline int stored(void)
{
	return cJSON_GetArraySize(server.objects);
}

#endif
