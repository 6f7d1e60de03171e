// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The controller's reign: standing, building ipam/lb from the stores, and feeding it with what changes.
 */
#include "agent/daemon/controller_private.h"

#include <errno.h>
#include <stdio.h>

#include <utlist.h>

#include "weft/log.h"

#define RETRY_MS 5000
#define ROLE     "controller"

static void stand(struct controller *c);

/* --- items --- */

struct controller_item *controller_item(struct controller *c, enum weft_kind kind, const char *key)
{
	char id[WEFT_KEY_MAX + 1];
	struct controller_item *i;
	unsigned hash;
	size_t len;

	snprintf(id, sizeof(id), "%c%s", 'a' + (int)kind, key);
	len = strlen(id);
	hash = keyhash(&c->hash, id, len);
	HASH_FIND_BYHASHVALUE(hh, c->items, id, (unsigned)len, hash, i);
	if (i)
		return i;
	i = must_alloc(1, sizeof(*i));
	i->c = c;
	i->kind = kind;
	i->id = must_strdup(id);
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, c->items, i->id, (unsigned)len, hash, i);
	return i;
}

static void item_free(struct controller_item *i)
{
	struct controller *c = i->c;

	controller_forget_refused(i);
	HASH_DEL(c->items, i);
	free(i->told);
	free(i->id);
	free(i);
}

void controller_item_drop_if_unused(struct controller_item *i)
{
	if (!i->dirty && !i->has_status && !i->refused && !i->invalid && !i->writes && !i->failed)
		item_free(i);
}

/* --- the stores into ipam/lb --- */

/* A pool that overlaps another one, or holds a node's address, gives nothing new. */
static void put_pool(struct controller *c, const struct weft_object *obj, const char *why)
{
	struct controller_item *i = controller_item(c, WEFT_IPPOOL, obj->meta.name);
	struct weft_object as_ruled = *obj;

	if (controller_note_refused(i, why) && c->leading) {
		i->retell = true;
		controller_mark(c, i);
	}
	as_ruled.ippool.disabled |= why != NULL;
	lb_put_pool(c->lb, &as_ruled);
	controller_item_drop_if_unused(i);
}

static void put_pools(struct controller *c, bool all)
{
	struct cluster_pool p;

	for (size_t at = 0; cluster_pool_at(c->o.cluster, at, &p); at++) {
		struct controller_item *i = controller_item(c, WEFT_IPPOOL, p.name);

		if (all || controller_refusal_is_new(i, p.refused))
			put_pool(c, cluster_get(c->o.cluster, WEFT_IPPOOL, p.name), p.refused);
		else
			controller_item_drop_if_unused(i);
	}
	c->pools_dirty = false;
}

static const char *why_refused(const struct controller *c, const char *name)
{
	struct cluster_pool p;

	for (size_t at = 0; cluster_pool_at(c->o.cluster, at, &p); at++)
		if (!strcmp(p.name, name))
			return p.refused;
	return NULL;
}

static void look_at_pool(struct controller *c, struct controller_item *i)
{
	const char *name = item_key(i);
	const struct weft_object *obj = cluster_get(c->o.cluster, WEFT_IPPOOL, name);

	if (obj) {
		put_pool(c, obj, why_refused(c, name));
	} else {
		lb_del_pool(c->lb, name);
		controller_note_refused(i, NULL);
	}
	if (i->retell || (i->has_status && (!obj || obj->ippool.use != WEFT_USE_LOADBALANCER)))
		controller_write(c, WEFT_IPPOOL, name);
	i->retell = false;
}

static void look_at_service(struct controller *c, struct controller_item *i)
{
	struct services_view view;
	bool retell = i->retell;

	i->retell = false;
	if (services_get(c->o.services, item_key(i), &view)) {
		lb_put_service(c->lb, view.obj, view.ingress, view.n_ingress);
		if (retell && (i->has_status || i->invalid || controller_has_problem(c, item_key(i))))
			controller_write(c, WEFT_SERVICE, item_key(i));
		return;
	}
	lb_del_service(c->lb, item_key(i));
	/* A status that is there before its Service is left alone: somebody restores a backup. */
	if (i->invalid || (i->has_status && (i->gone || retell)))
		controller_write(c, WEFT_SERVICE, item_key(i));
}

static void look_at_namespace(struct controller *c, const struct controller_item *i)
{
	const struct weft_object *obj = cluster_get(c->o.cluster, WEFT_NAMESPACE, item_key(i));

	if (obj)
		lb_put_namespace(c->lb, obj);
	else
		lb_del_namespace(c->lb, item_key(i));
}

static void look_at(struct controller *c, struct controller_item *i)
{
	if (i->kind == WEFT_SERVICE)
		look_at_service(c, i);
	else if (i->kind == WEFT_IPPOOL)
		look_at_pool(c, i);
	else if (i->kind == WEFT_NAMESPACE)
		look_at_namespace(c, i);
	else if (i->invalid || i->has_status)
		controller_write(c, i->kind, item_key(i));
}

static void forget_dirty(struct controller *c, struct controller_item *i)
{
	DL_DELETE(c->dirty, i);
	i->dirty = false;
}

static void on_wake(uv_timer_t *t)
{
	struct controller *c = t->data;

	if (!c->leading)
		return;
	if (c->pools_dirty)
		put_pools(c, false);
	while (c->dirty) {
		struct controller_item *i = c->dirty;

		i->writes++; /* it stays while it is looked at */
		forget_dirty(c, i);
		look_at(c, i);
		i->writes--;
		controller_item_drop_if_unused(i);
	}
	controller_write_all(c);
}

static void wake(struct controller *c)
{
	if (c->leading && !uv_is_active((uv_handle_t *)&c->wake))
		uv_timer_start(&c->wake, on_wake, 0, 0);
}

/* --- the reign --- */

static bool put_service(void *ctx, const struct services_view *view)
{
	struct controller *c = ctx;

	lb_put_service(c->lb, view->obj, view->ingress, view->n_ingress);
	if (controller_has_problem(c, view->key))
		controller_retell(c, view->key);
	return false;
}

/* Is there a condition of an earlier reign in its status that is not true any more? The source knows. */
static bool take_stock(void *ctx, const struct weft_object *obj)
{
	struct controller *c = ctx;
	struct controller_item *i = controller_item(c, obj->kind, obj->meta.name);

	if (obj->kind != WEFT_IPPOOL || obj->ippool.use != WEFT_USE_LOADBALANCER)
		controller_write(c, obj->kind, obj->meta.name);
	else
		controller_item_drop_if_unused(i);
	return false;
}

static bool put_namespace(void *ctx, const struct weft_object *obj)
{
	struct controller *c = ctx;

	lb_put_namespace(c->lb, obj);
	return false;
}

/* Left over from a time without a controller: their Services are gone, or none of ours any more. */
static void remove_orphans(struct controller *c)
{
	struct controller_item *i, *next;
	struct lb_service s;

	HASH_ITER (hh, c->items, i, next)
		if (i->kind == WEFT_SERVICE && i->has_status &&
		    (!lb_get(c->lb, item_key(i), &s) ||
		     s.state == LB_NONE)) /* or a problem is left to tell */
			controller_write(c, WEFT_SERVICE, item_key(i));
}

static void begin(struct controller *c)
{
	c->lb = lb_new(c->o.default_class);
	cluster_each(c->o.cluster, WEFT_NAMESPACE, put_namespace, c);
	put_pools(c, true);
	services_each(c->o.services, put_service, c);
	lb_ready(c->lb);
	remove_orphans(c);
	for (int kind = WEFT_IPPOOL; kind < WEFT_KIND_COUNT; kind++)
		if (weft_kind_has_status((enum weft_kind)kind))
			cluster_each(c->o.cluster, (enum weft_kind)kind, take_stock, c);
	controller_tell_invalid(c);
	controller_write_all(c);
}

static void end(struct controller *c)
{
	struct controller_item *i, *next;

	uv_timer_stop(&c->wake);
	uv_timer_stop(&c->retry);
	HASH_ITER (hh, c->items, i, next) {
		if (i->dirty)
			forget_dirty(c, i);
		i->failed = false;
		controller_note_refused(i, NULL);
		controller_item_drop_if_unused(i);
	}
	c->failing = 0;
	c->error[0] = '\0';
	lb_free(c->lb);
	c->lb = NULL;
}

static void on_change(void *ctx, bool leading)
{
	struct controller *c = ctx;

	if (c->leading == leading)
		return;
	c->leading = leading;
	if (leading)
		begin(c);
	else
		end(c);
}

static void on_stand_again(uv_timer_t *t)
{
	stand(t->data);
}

static void stand(struct controller *c)
{
	struct weft_err err = WEFT_ERR_INIT;

	if (c->standing)
		return;
	if (c->o.source->ops->stand(c->o.source, ROLE, c->identity, on_change, c, &err) == 0) {
		c->standing = true;
		c->error[0] = '\0';
		return;
	}
	if (strcmp(c->error, err.text))
		log_error("controller: %s", err.text);
	snprintf(c->error, sizeof(c->error), "%s", err.text);
	uv_timer_start(&c->retry, on_stand_again, c->o.retry_ms, 0);
}

/* --- events --- */

void controller_mark(struct controller *c, struct controller_item *i)
{
	if (c->leading && !i->dirty) {
		i->dirty = true;
		DL_APPEND(c->dirty, i);
	}
	wake(c);
}

static void note(struct controller *c, const struct weft_event *ev)
{
	enum weft_kind kind = ev->kind == WEFT_SERVICESTATUS ? WEFT_SERVICE : ev->kind;
	bool there = ev->type == WEFT_EV_UPSERT;
	struct controller_item *i = controller_item(c, kind, ev->key);

	if (ev->kind == WEFT_SERVICESTATUS)
		i->has_status = there;
	else
		i->gone = !there;
	controller_mark(c, i);
	controller_item_drop_if_unused(i);
}

void controller_on_event(struct controller *c, const struct weft_event *ev)
{
	if (ev->type == WEFT_EV_SYNCED) {
		c->synced = true;
		stand(c);
		return;
	}
	if (ev->type == WEFT_EV_INVALID) {
		controller_note_invalid(c, ev);
		return;
	}
	if (ev->kind == WEFT_SERVICE || ev->kind == WEFT_SERVICESTATUS || ev->kind == WEFT_NAMESPACE ||
	    ev->kind == WEFT_IPPOOL)
		note(c, ev);
	/* What the rules between pools look at. */
	if (ev->kind == WEFT_IPPOOL || ev->kind == WEFT_IPBLOCK || ev->kind == WEFT_NODE) {
		c->pools_dirty = true;
		wake(c);
	}
}

void controller_retell(struct controller *c, const char *key)
{
	struct controller_item *i = controller_item(c, WEFT_SERVICE, key);

	i->retell = c->leading;
	controller_mark(c, i);
	controller_item_drop_if_unused(i);
}

/* --- made and freed --- */

int controller_new(const struct controller_options *o, struct controller **out, struct weft_err *err)
{
	struct controller *c;

	if (!o->source->ops->put_status || !o->source->ops->stand)
		return weft_err_set(err, ENOTSUP, "the datastore has no place for a controller");
	c = must_alloc(1, sizeof(*c));
	c->o = *o;
	c->o.retry_ms = o->retry_ms ? o->retry_ms : RETRY_MS;
	c->identity = must_strdup(o->identity);
	c->o.identity = c->identity;
	keyhash_init(&c->hash);
	uv_timer_init(o->loop, &c->wake);
	uv_timer_init(o->loop, &c->retry);
	c->wake.data = c->retry.data = c;
	c->handles = 2;
	*out = c;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct controller *c = handle->data;

	if (--c->handles)
		return;
	free(c->identity);
	free(c);
}

void controller_free(struct controller *c)
{
	struct controller_item *i, *next;

	if (!c)
		return;
	HASH_ITER (hh, c->items, i, next)
		item_free(i);
	lb_free(c->lb);
	uv_close((uv_handle_t *)&c->wake, on_closed);
	uv_close((uv_handle_t *)&c->retry, on_closed);
}
