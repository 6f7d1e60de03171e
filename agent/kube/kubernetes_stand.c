// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Standing for a role by the Lease weft-ROLE, and telling people by Events.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>

#include <utlist.h>

#include "agent/kube/kubernetes_priv.h"
#include "agent/kube/lease.h"
#include "agent/source/fields.h"
#include "weft/log.h"

struct kubernetes_stand {
	struct kubernetes_stand *next;
	struct kubernetes *k;
	char *role;
	struct kube_lease *lease;
	void (*on_change)(void *ctx, bool leading);
	void *ctx;
};

/* Who does not lead writes nothing any more, also not what was begun. */
static void on_lease(void *ctx, bool leading)
{
	struct kubernetes_stand *st = ctx;

	log_info("%s the %s", leading ? "leading as" : "not leading any more as", st->role);
	st->on_change(st->ctx, leading);
	if (!leading)
		kubernetes_stop_statuses(st->k);
}

/* Where each node's agent stands, nodes tell how many do; where only ours is followed, their blocks. */
static size_t rivals(void *ctx)
{
	const struct kubernetes_stand *st = ctx;
	const struct kubernetes *k = st->k;
	const struct kubernetes_collection *c =
	        kubernetes_collection_of(st->k, k->own_node ? WEFT_IPBLOCK : WEFT_NODE, "");

	return k->on_nodes ? HASH_COUNT(c->entries) : 0;
}

int kubernetes_stand(struct weft_source *s, const char *role, const char *identity,
                     void (*on_change)(void *ctx, bool leading), void *ctx, struct weft_err *err)
{
	struct kubernetes *k = (struct kubernetes *)s;
	char name[WEFT_NAME_MAX + 1], unique[WEFT_NAME_MAX + 32];
	struct kubernetes_stand *st;

	if (!k->sink || k->closing || !weft_name_valid(role) || strlen(role) > 100)
		return weft_err_set(err, EINVAL, "\"%.100s\" is not a usable name of a role", role);
	st = must_alloc(1, sizeof(*st));
	*st = (struct kubernetes_stand){
	        .k = k, .role = must_strdup(role), .on_change = on_change, .ctx = ctx};
	snprintf(name, sizeof(name), "weft-%s", role);
	/* A process that was started again is another one: it must not think that it still holds the lease.
	 */
	snprintf(unique, sizeof(unique), "%s_%08x%08x", identity, randombytes_random(), randombytes_random());
	LL_PREPEND(k->stands, st);
	st->lease = kube_lease_new(&(struct kube_lease_options){.client = k->client,
	                                                        .loop = k->loop,
	                                                        .namespace = k->namespace,
	                                                        .name = name,
	                                                        .identity = unique,
	                                                        .rivals = rivals,
	                                                        .on_change = on_lease,
	                                                        .ctx = st});
	return 0;
}

bool kubernetes_free_stands(struct kubernetes *k)
{
	bool leading = false;

	while (k->stands) {
		struct kubernetes_stand *st = k->stands;

		k->stands = st->next;
		leading |= kube_lease_leading(st->lease);
		kube_lease_free(st->lease);
		free(st->role);
		free(st);
	}
	return leading;
}

void kubernetes_describe_stands(const struct kubernetes *k, cJSON *out)
{
	const struct kubernetes_stand *st;
	cJSON *list, *item;

	if (!k->stands)
		return;
	list = cJSON_AddArrayToObject(out, "leases");
	LL_FOREACH (k->stands, st) {
		item = cJSON_CreateObject();
		cJSON_AddStringToObject(item, "role", st->role);
		cJSON_AddStringToObject(item, "holder", kube_lease_holder(st->lease));
		cJSON_AddBoolToObject(item, "leading", kube_lease_leading(st->lease));
		if (*kube_lease_trouble(st->lease))
			cJSON_AddStringToObject(item, "trouble", kube_lease_trouble(st->lease));
		cJSON_AddItemToArray(list, item);
	}
}

void kubernetes_tell_people(struct weft_source *s, enum weft_kind kind, const char *key, bool warning,
                            const char *reason, const char *message)
{
	struct kubernetes *k = (struct kubernetes *)s;
	struct kubernetes_collection *c = kubernetes_collection_of(k, kind, key);
	const struct kubernetes_entry *e = c ? kubernetes_find(c, key) : NULL;
	char namespace[WEFT_NAME_MAX + 1] = "", uid[37];
	const char *slash = strchr(key, '/');

	if (!k->events)
		return;
	if (slash && slash - key <= WEFT_NAME_MAX)
		memcpy(namespace, key, (size_t)(slash - key));
	kube_events_tell(k->events,
	                 &(struct kube_event_about){.api = weft_kind_api(kind),
	                                            .kind = weft_kind_name(kind),
	                                            .namespace = *namespace ? namespace : NULL,
	                                            .name = slash ? slash + 1 : key,
	                                            .uid = e ? kubernetes_uid(e, uid) : NULL},
	                 warning, reason, message);
}
