// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The collections of the Kubernetes source: which there are, what their watches say, and when all is there.
 *
 * Flow: a watch says on_begin, objects, on_complete; each object goes to kubernetes_take() or
 * kubernetes_drop(). A listing has a number, the entries it saw have it too: at on_complete the others are
 * gone. What a listing that broke off has seen counts for nothing, since the next one has another number.
 *
 * A kind that a server may have in two versions, or not at all (ServiceCIDR), is tried in both; without
 * either it counts as empty, and is tried again now and then, as servers get upgraded.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/kube/kubernetes_priv.h"
#include "agent/source/decode.h"
#include "weft/log.h"

#define SWAP_MS    (5 * 60 * 1000)
#define LASTING_MS 5000

/* kube-proxy's own: Services and slices that another proxy serves, and slices of headless Services (S1). */
#define PROXY_SELECTOR \
	"labelSelector=%21service.kubernetes.io%2Fheadless%2C%21service.kubernetes.io%2Fservice-proxy-name"

#define BY_NAME "fieldSelector=metadata.name%3D"

enum need { ALWAYS, SERVICES, NAMESPACES };

static const struct {
	enum weft_kind kind;
	const char *name, *path, *fallback, *selector;
	bool optional;
	enum need need;
} kinds[] = {
        {WEFT_NODE, "nodes", "/api/v1/nodes", NULL, NULL, false, ALWAYS},
        {WEFT_IPPOOL, "ippools", "/apis/weft.dev/v1alpha1/ippools", NULL, NULL, false, ALWAYS},
        {WEFT_IPBLOCK, "ipblocks", "/apis/weft.dev/v1alpha1/ipblocks", NULL, NULL, false, ALWAYS},
        {WEFT_BGPCONFIG, "bgpconfigs", "/apis/weft.dev/v1alpha1/bgpconfigs", NULL, NULL, false, ALWAYS},
        {WEFT_BGPPEER, "bgppeers", "/apis/weft.dev/v1alpha1/bgppeers", NULL, NULL, false, ALWAYS},
        {WEFT_BGPADVERTISEMENT, "bgpadvertisements", "/apis/weft.dev/v1alpha1/bgpadvertisements", NULL, NULL,
         false, ALWAYS},
        {WEFT_SERVICECIDR, "servicecidrs", "/apis/networking.k8s.io/v1/servicecidrs",
         "/apis/networking.k8s.io/v1beta1/servicecidrs", NULL, true, SERVICES},
        {WEFT_SERVICE, "services", "/api/v1/services", NULL, PROXY_SELECTOR, false, SERVICES},
        {WEFT_ENDPOINTSLICE, "endpointslices", "/apis/discovery.k8s.io/v1/endpointslices", NULL,
         PROXY_SELECTOR, false, SERVICES},
        {WEFT_NAMESPACE, "namespaces", "/api/v1/namespaces", NULL, NULL, false, NAMESPACES},
};

/* --- which there are --- */

static char *copy(const char *text)
{
	return text ? must_strdup(text) : NULL;
}

static void add_secret(struct kubernetes *k, const char *name)
{
	struct kubernetes_collection *c = &k->collections[k->n_collections];
	char path[KUBERNETES_PATH], selector[WEFT_NAME_MAX + 64];

	if (k->n_collections == KUBERNETES_COLLECTIONS)
		return;
	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/secrets", k->namespace);
	snprintf(selector, sizeof(selector), "%s%s", BY_NAME, name);
	*c = (struct kubernetes_collection){.k = k,
	                                    .kind = WEFT_SECRET,
	                                    .name = "secrets",
	                                    .paths = {must_strdup(path)},
	                                    .selector = must_strdup(selector),
	                                    .optional = true};
	k->n_collections++;
}

static char *selector_of(size_t i, const struct kubernetes_options *o)
{
	char text[WEFT_NAME_MAX + 64];

	if (kinds[i].kind != WEFT_NODE || !o->own_node)
		return copy(kinds[i].selector);
	snprintf(text, sizeof(text), "%s%s", BY_NAME, o->node);
	return must_strdup(text);
}

void kubernetes_add_collections(struct kubernetes *k, const struct kubernetes_options *o)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].need == SERVICES && !o->services)
			continue;
		k->collections[k->n_collections++] = (struct kubernetes_collection){
		        .k = k,
		        .kind = kinds[i].kind,
		        .name = kinds[i].name,
		        .paths = {copy(kinds[i].path), copy(kinds[i].fallback)},
		        .selector = selector_of(i, o),
		        .optional = kinds[i].optional};
	}
	for (size_t i = 0; i < o->n_secrets; i++)
		add_secret(k, o->secrets[i]);
}

/* A Secret has the collection that is about it alone. */
static bool about(const struct kubernetes_collection *c, const char *key)
{
	const char *slash = strchr(key, '/');

	return slash && !strcmp(slash + 1, c->selector + strlen(BY_NAME));
}

struct kubernetes_collection *kubernetes_collection_of(struct kubernetes *k, enum weft_kind kind,
                                                       const char *key)
{
	for (size_t i = 0; i < k->n_collections; i++)
		if (k->collections[i].kind == kind && (kind != WEFT_SECRET || about(&k->collections[i], key)))
			return &k->collections[i];
	return NULL;
}

const char *kubernetes_object_path(const struct kubernetes_collection *c, const char *key,
                                   char out[KUBERNETES_PATH])
{
	const char *path = c->paths[c->at], *plural = strrchr(path, '/'), *slash = strchr(key, '/');

	if (slash && c->kind != WEFT_SECRET)
		snprintf(out, KUBERNETES_PATH, "%.*s/namespaces/%.*s%s%s", (int)(plural - path), path,
		         (int)(slash - key), key, plural, slash);
	else
		snprintf(out, KUBERNETES_PATH, "%s/%s", path, slash ? slash + 1 : key);
	return out;
}

/* --- what the watches say --- */

/* After an outage the first answer tells all others to ask at once, rather than at the end of their pauses.
 */
static void heard(struct kubernetes_collection *c)
{
	struct kubernetes *k = c->k;

	if (!k->outage)
		return;
	k->outage = false;
	log_info("the API server answers again");
	for (size_t i = 0; i < k->n_collections; i++)
		if (k->collections[i].watch && &k->collections[i] != c)
			kube_watch_nudge(k->collections[i].watch);
}

static void on_begin(void *ctx)
{
	struct kubernetes_collection *c = ctx;

	heard(c);
	c->generation++;
}

static void on_object(void *ctx, bool deleted, const char *text, size_t len, const cJSON *json)
{
	struct kubernetes_collection *c = ctx;

	heard(c);
	if (deleted)
		kubernetes_drop(c, json);
	else
		kubernetes_take(c, text, len, json);
}

static void on_complete(void *ctx, const char *version)
{
	struct kubernetes_collection *c = ctx;
	struct kubernetes_entry *e, *next;

	(void)version;
	heard(c);
	HASH_ITER (hh, c->entries, e, next)
		if (e->generation != c->generation)
			kubernetes_remove(c, e);
	if (c->kind == WEFT_IPBLOCK)
		kubernetes_block_forget(c->k, c->generation);
	c->k->to_purge |= !c->complete;
	c->complete = true;
	c->missing = false;
	kubernetes_check_synced(c->k);
}

static void on_swap(void *ctx)
{
	struct kubernetes_collection *c = ctx;

	kube_watch_free(c->watch);
	c->watch = NULL;
	c->at ^= 1;
	kubernetes_follow(c);
}

static void on_missing(void *ctx, bool missing)
{
	struct kubernetes_collection *c = ctx;

	heard(c);
	if (missing && c->paths[1]) {
		/* Not from within the watch's own callback. */
		kubernetes_later(c->k, &c->swap, c->at == 0 && !c->missing ? 0 : SWAP_MS, on_swap, c);
		c->missing |= c->at == 1;
	} else {
		c->missing = missing;
	}
	kubernetes_check_synced(c->k);
}

static void on_trouble(void *ctx, const char *text)
{
	struct kubernetes_collection *c = ctx;
	struct kubernetes *k = c->k;
	struct kube_health health;

	kube_health(k->client, &health);
	if (!*text) {
		heard(c);
		if (c->complained)
			log_info("%s: all is well again", c->name);
		c->complained = false;
		c->troubled_ms = 0;
		return;
	}
	if (!c->troubled_ms)
		c->troubled_ms = uv_now(k->loop) + 1;
	if (!k->outage && *health.error) {
		k->outage = true;
		log_warning("no API server answers, what is known stays in force: %s", text);
	}
}

/* What is over in a moment (a 410, a server that starts) is not worth a word. */
void kubernetes_complain(struct kubernetes *k)
{
	struct kube_watch_state state;

	for (size_t i = 0; i < k->n_collections && !k->outage; i++) {
		struct kubernetes_collection *c = &k->collections[i];

		if (!c->watch || c->complained || !c->troubled_ms ||
		    uv_now(k->loop) < c->troubled_ms + LASTING_MS)
			continue;
		kube_watch_state(c->watch, &state);
		c->complained = true;
		log_warning("%s: %s", c->name, state.trouble);
	}
}

/* --- following --- */

void kubernetes_follow(struct kubernetes_collection *c)
{
	struct kube_watch_options o = {
	        .client = c->k->client,
	        .loop = c->k->loop,
	        .path = c->paths[c->at],
	        .selector = c->selector,
	        .secret = c->kind == WEFT_SECRET,
	        .cb = {.on_begin = on_begin,
	               .on_object = on_object,
	               .on_complete = on_complete,
	               .on_missing = on_missing,
	               .on_trouble = on_trouble},
	        .ctx = c,
	        .watch_s = c->k->watch_s,
	        .retry_ms = c->k->retry_ms,
	};

	c->watch = kube_watch_new(&o);
}

void kubernetes_unfollow(struct kubernetes_collection *c)
{
	if (c->watch)
		kube_watch_free(c->watch);
	c->watch = NULL;
	kubernetes_not_later(c->k, &c->swap);
}

bool kubernetes_in_step(const struct kubernetes *k)
{
	struct kube_watch_state state;

	for (size_t i = 0; i < k->n_collections; i++) {
		const struct kubernetes_collection *c = &k->collections[i];

		if (!c->watch || c->optional)
			continue;
		kube_watch_state(c->watch, &state);
		if (!state.following || !state.complete)
			return false;
	}
	return true;
}

void kubernetes_check_namespaces(struct kubernetes *k)
{
	struct kubernetes_collection *c = kubernetes_collection_of(k, WEFT_NAMESPACE, "");
	bool want = k->by_namespace;
	struct kubernetes_entry *e, *next;

	if (want == (c->watch != NULL))
		return;
	if (want) {
		kubernetes_follow(c);
		return;
	}
	kubernetes_unfollow(c);
	c->complete = false;
	HASH_ITER (hh, c->entries, e, next)
		kubernetes_remove(c, e);
}

/* --- SYNCED --- */

static bool settled(const struct kubernetes_collection *c)
{
	if (!c->watch || c->complete || (c->missing && c->optional))
		return true;
	return c->k->impatient && (c->optional || c->k->known_whole);
}

/* From now on the last known state is a whole one, and can be told in the server's place. */
static void note_whole(const struct kubernetes *k)
{
	for (size_t i = 0; i < k->n_collections; i++)
		if (k->collections[i].watch && !k->collections[i].optional && !k->collections[i].complete)
			return;
	if (k->known)
		lastknown_in_step(k->known, (uint64_t)time(NULL));
}

void kubernetes_check_synced(struct kubernetes *k)
{
	for (size_t i = 0; i < k->n_collections && !k->synced; i++)
		if (!settled(&k->collections[i]))
			return;
	if (!k->synced) {
		k->synced = true;
		kubernetes_not_later(k, &k->patience);
		kubernetes_tell(k, &(struct weft_event){.type = WEFT_EV_SYNCED});
	}
	if (k->to_purge && !k->closing) {
		kubernetes_purge_known(k);
		note_whole(k);
	}
	k->to_purge = false;
}
