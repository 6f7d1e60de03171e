// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An API server with one Lease, and a candidate for it in each process of a simulated world (kube_sim.h).
 */
#ifndef TESTS_UNIT_LEASE_SIM_H
#define TESTS_UNIT_LEASE_SIM_H

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "agent/kube/lease.h"
#include "tests/unit/kube_sim.h"

static const char collection[] = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
static const char path[] = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/weft-controller";

/* ---- the API server: one Lease ---- */

static struct {
	cJSON *lease;
	unsigned version;
	unsigned gets, posts, puts, conflicts;
} server;

static inline void answer_status(struct kube_call *c, enum kube_result result, int status)
{
	c->result = result;
	c->status = status;
	free(c->answer);
	c->answer = strdup("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\"}");
}

static inline void answer_lease(struct kube_call *c, int status)
{
	char *text = cJSON_PrintUnformatted(server.lease);

	c->result = KUBE_OK;
	c->status = status;
	free(c->answer);
	c->answer = strdup(text);
	cJSON_free(text);
}

static inline const char *member(const cJSON *object, const char *group, const char *key)
{
	const cJSON *value =
	        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(object, group), key);

	return cJSON_IsString(value) ? value->valuestring : "";
}

static inline double spec_number(const char *key)
{
	return cJSON_GetNumberValue(cJSON_GetObjectItem(cJSON_GetObjectItem(server.lease, "spec"), key));
}

static inline const char *spec_text(const char *key)
{
	return member(server.lease, "spec", key);
}

/* MicroTime takes exactly six digits: "2026-11-20T12:15:06.764170Z". */
static inline void check_time(const char *text)
{
	static const char form[] = "0000-00-00T00:00:00.000000Z";

	assert_int_equal(strlen(text), strlen(form));
	for (size_t i = 0; form[i]; i++)
		assert_true(form[i] == '0' ? isdigit((unsigned char)text[i]) : text[i] == form[i]);
}

static inline void store(cJSON *lease)
{
	char version[16];
	cJSON *metadata = cJSON_GetObjectItem(lease, "metadata");

	assert_string_equal(cJSON_GetObjectItem(lease, "apiVersion")->valuestring, "coordination.k8s.io/v1");
	assert_string_equal(cJSON_GetObjectItem(lease, "kind")->valuestring, "Lease");
	assert_string_equal(member(lease, "metadata", "name"), "weft-controller");
	assert_string_equal(member(lease, "metadata", "namespace"), "kube-system");
	check_time(member(lease, "spec", "renewTime"));
	check_time(member(lease, "spec", "acquireTime"));
	snprintf(version, sizeof(version), "%u", ++server.version);
	cJSON_DeleteItemFromObject(metadata, "resourceVersion");
	cJSON_AddStringToObject(metadata, "resourceVersion", version);
	cJSON_DeleteItemFromObject(metadata, "managedFields");
	cJSON_AddStringToObject(cJSON_AddObjectToObject(metadata, "managedFields"), "manager", version);
	cJSON_Delete(server.lease);
	server.lease = lease;
}

static inline void serve_put(struct kube_call *c)
{
	cJSON *lease = cJSON_Parse(c->body);

	assert_non_null(lease);
	assert_null(cJSON_GetObjectItem(cJSON_GetObjectItem(lease, "metadata"), "managedFields"));
	server.puts++;
	if (!server.lease) {
		answer_status(c, KUBE_NOT_FOUND, 404);
	} else if (strcmp(member(lease, "metadata", "resourceVersion"),
	                  member(server.lease, "metadata", "resourceVersion")) != 0) {
		assert_string_not_equal(member(lease, "metadata", "resourceVersion"), "");
		server.conflicts++;
		answer_status(c, KUBE_CONFLICT, 409);
	} else {
		store(lease);
		answer_lease(c, 200);
		return;
	}
	cJSON_Delete(lease);
}

static inline void serve(struct kube_call *c)
{
	if (!strcmp(c->method, "GET")) {
		server.gets++;
		assert_string_equal(c->path, path);
		if (server.lease)
			answer_lease(c, 200);
		else
			answer_status(c, KUBE_NOT_FOUND, 404);
	} else if (!strcmp(c->method, "POST")) {
		server.posts++;
		assert_string_equal(c->path, collection);
		if (server.lease) {
			answer_status(c, KUBE_ALREADY_EXISTS, 409);
			return;
		}
		store(cJSON_Parse(c->body));
		answer_lease(c, 201);
	} else {
		assert_string_equal(c->method, "PUT");
		assert_string_equal(c->path, path);
		serve_put(c);
	}
}

static inline void delete_lease(void)
{
	cJSON_Delete(server.lease);
	server.lease = NULL;
}

/* ---- candidates, one per process ---- */

static bool cut[SIM_PROCESSES]; /* from the API server, with cut_off() */

static struct candidate {
	struct kube_lease *lease;
	bool told;
	unsigned changes, life;
	uint64_t since; /* of the last change */
} candidates[SIM_PROCESSES];

static inline void on_change(void *ctx, bool leading)
{
	struct candidate *c = ctx;

	assert_int_not_equal(c->told, leading);
	c->told = leading;
	c->changes++;
	c->since = sim.now;
	/* Told that it leads, it leads. */
	assert_int_equal(kube_lease_leading(c->lease), leading);
}

static inline const char *identity(int i)
{
	static char text[32];

	/* Of four, process 3 is a former life of node-0's. */
	snprintf(text, sizeof(text), "node-%d_%u", i % (SIM_PROCESSES == 4 ? 3 : SIM_PROCESSES),
	         candidates[i].life);
	return text;
}

static size_t crowd; /* how many stand, as the candidates think */

static inline size_t rivals(void *ctx)
{
	(void)ctx;
	return crowd;
}

static inline struct candidate *start(int i)
{
	struct candidate *c = &candidates[i];

	sim.process = i;
	sim.dead[i] = false;
	c->life++;
	c->told = false;
	c->lease = kube_lease_new(&(struct kube_lease_options){.loop = (uv_loop_t *)candidates,
	                                                       .namespace = "kube-system",
	                                                       .name = "weft-controller",
	                                                       .identity = identity(i),
	                                                       .rivals = rivals,
	                                                       .on_change = on_change,
	                                                       .ctx = c});
	return c;
}

static inline bool leads(int i)
{
	sim.process = i;
	return candidates[i].lease && kube_lease_leading(candidates[i].lease);
}

static inline void leave(int i)
{
	sim.process = i;
	kube_lease_free(candidates[i].lease);
	candidates[i].lease = NULL;
	candidates[i].told = false;
}

static inline void cut_off(struct kube_call *c)
{
	c->lost_up = cut[c->process];
}

static inline int setup(void **state)
{
	(void)state;
	sim_begin(1);
	sim.serve = serve;
	memset(&server, 0, sizeof(server));
	memset(candidates, 0, sizeof(candidates));
	memset(cut, 0, sizeof(cut));
	crowd = 0;
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	sim.network = NULL;
	sim.after = NULL;
	for (int i = 0; i < SIM_PROCESSES; i++) {
		sim.frozen[i] = 0;
		sim.dead[i] = false;
		if (candidates[i].lease)
			leave(i);
	}
	sim_run(1);
	sim_end();
	delete_lease();
	return 0;
}

#endif
