// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stand-ins for what views of Services ask of the rest of the daemon and of IPVS: a plan of one Service
 * (plan_bed.h), and an IPVS that has what `recorded` says.
 */
#ifndef TESTS_UNIT_VIEWS_STUBS_H
#define TESTS_UNIT_VIEWS_STUBS_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/daemon/views_services.h"
#include "tests/unit/plan_bed.h"

struct recorded {
	const char *key;                /* as svc_virtual_str() has it */
	struct ipvs_dest_info dests[4]; /* up to the first without port */
};

static struct plan_bed bed;
static struct recorded recorded[5];
static enum ipvs_state ipvs_is;
static const char *ipvs_text = "", *route_is = "installed", *holder;
static bool announced, masquerade_all;
static struct serving_announcement said; /* of all VIPs outside the service CIDR */
static const char *said_single;

bool serving_preview(struct serving *s, const char *key, struct svc_plan *out)
{
	struct services_view v;

	(void)s;
	if (!services_get(bed.services, key, &v))
		return false;
	svc_plan(&v, &bed.env, out);
	return true;
}

const char *serving_taken_by(const struct serving *s, const char *service, const struct svc_virtual_key *key)
{
	(void)s, (void)service;
	return key->fwmark ? NULL : holder;
}

const char *serving_route_state(const struct serving *s, const struct weft_addr *vip)
{
	(void)s;
	return weft_prefix_contains(&bed.cidrs[0], vip) ? "covered" : route_is;
}

bool serving_announced(const struct serving *s, const struct weft_addr *vip)
{
	(void)s;
	return announced && !weft_prefix_contains(&bed.cidrs[0], vip);
}

size_t serving_announcements(const struct serving *s, const struct weft_addr *vip,
                             struct serving_announcement out[SERVING_ANNOUNCEMENTS])
{
	(void)s;
	if (!said.class || weft_prefix_contains(&bed.cidrs[0], vip))
		return 0;
	out[0] = said;
	return 1;
}

const char *serving_single(const struct serving *s, const char *service, const struct weft_addr *vip)
{
	(void)s, (void)service, (void)vip;
	return said_single;
}

void serving_shape(const struct serving *s, struct nft_shape *shape)
{
	(void)s;
	shape->services = true;
	shape->masquerade_all = masquerade_all;
	shape->node4 = addr("10.1.1.1");
	shape->service_cidrs[0] = prefix("10.96.0.0/16");
	shape->pod_cidrs[0] = prefix("10.244.0.0/16");
	shape->service_cidrs[1] = prefix("fd96::/112");
	shape->pod_cidrs[1] = prefix("fd44::/48");
	shape->node6 = addr("fd01::1");
	shape->n_service_cidrs = shape->n_pod_cidrs = 2;
}

enum ipvs_state ipvs_state_of(const struct ipvs *i, const struct svc_virtual_key *key, const char **text)
{
	(void)i, (void)key;
	*text = ipvs_text;
	return ipvs_is;
}

const char *ipvs_state_name(enum ipvs_state state)
{
	static const char *const names[] = {"installed", "pending", "not ready", "failed", "stale"};

	return names[state];
}

int ipvs_read(struct ipvs *i, const struct svc_virtual_key *key, struct ipvs_service_info *out,
              struct weft_err *err)
{
	char text[SVC_KEY_STR];

	(void)i;
	memset(out, 0, sizeof(*out));
	svc_virtual_str(key, text);
	for (size_t k = 0; k < WEFT_ARRAY_LEN(recorded); k++) {
		if (!recorded[k].key || strcmp(recorded[k].key, text) != 0)
			continue;
		while (out->n < WEFT_ARRAY_LEN(recorded[k].dests) && recorded[k].dests[out->n].port)
			out->n++;
		out->dests = calloc(out->n + 1, sizeof(*out->dests));
		memcpy(out->dests, recorded[k].dests, out->n * sizeof(*out->dests));
		strcpy(out->service.scheduler, "rr");
		return 0;
	}
	return weft_err_set(err, ENOENT, "no such service");
}

void ipvs_service_info_free(struct ipvs_service_info *info)
{
	free(info->dests);
	memset(info, 0, sizeof(*info));
}

/* The answer to args (JSON), printed; an error's text after '!'. */
static char *ask(serve_handler_fn fn, struct services_views *v, const char *args)
{
	cJSON *request = cJSON_Parse(args), *result = NULL;
	struct weft_err err = WEFT_ERR_INIT;
	char *text;

	assert_non_null(request);
	if (fn(v, NULL, request, &result, &err) < 0) {
		assert_null(result);
		assert_int_not_equal(asprintf(&text, "!%s", err.text), -1);
	} else {
		text = cJSON_PrintUnformatted(result);
	}
	cJSON_Delete(result);
	cJSON_Delete(request);
	return text;
}

#endif
