// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the controller writes: statuses of Services and pools as JSON, and what it tells of itself.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "agent/daemon/controller_private.h"
#include "weft/log.h"

#define PROBLEMS_MAX 50

/* --- JSON --- */

static void add_condition(cJSON *to, const char *type, bool status, const char *reason, const char *message)
{
	cJSON *list = cJSON_GetObjectItemCaseSensitive(to, "conditions"), *c = cJSON_CreateObject();

	if (!list)
		list = cJSON_AddArrayToObject(to, "conditions");
	cJSON_AddStringToObject(c, "type", type);
	cJSON_AddStringToObject(c, "status", status ? "True" : "False");
	cJSON_AddStringToObject(c, "reason", reason);
	cJSON_AddStringToObject(c, "message", message);
	cJSON_AddItemToArray(list, c);
}

static void add_ingress(cJSON *out, const struct lb_service *s)
{
	cJSON *lb = cJSON_AddObjectToObject(out, "loadBalancer");
	cJSON *ingress = cJSON_AddArrayToObject(lb, "ingress");
	char ip[WEFT_ADDR_STR];

	for (size_t i = 0; i < s->n_ips; i++) {
		cJSON *entry = cJSON_CreateObject();

		cJSON_AddStringToObject(entry, "ip", weft_addr_str(&s->ips[i], ip));
		cJSON_AddItemToArray(ingress, entry);
	}
	add_condition(out, CONTROLLER_CONDITION, s->state == LB_ASSIGNED, s->reason, s->message);
}

static const char *problem(const struct controller *c, const char *key, char text[CONTROLLER_TEXT])
{
	text[0] = '\0';
	if (c->o.problem)
		c->o.problem(c->o.ctx, key, text);
	return text;
}

bool controller_has_problem(const struct controller *c, const char *key)
{
	char text[CONTROLLER_TEXT];

	return problem(c, key, text)[0];
}

/* An Event says it where `kubectl describe` shows it; once, until it is another one. */
static void tell_people(struct controller_item *i, const char *text)
{
	const struct weft_source_ops *ops = i->c->o.source->ops;

	if (i->told && !strcmp(i->told, text))
		return;
	free(i->told);
	i->told = *text ? must_strdup(text) : NULL;
	if (*text && ops->tell)
		ops->tell(i->c->o.source, WEFT_SERVICE, item_key(i), true, "NotAsWritten", text);
}

/* NULL: there is nothing to say of it. */
static cJSON *service_status(struct controller_item *i)
{
	struct controller *c = i->c;
	char text[CONTROLLER_TEXT];
	struct lb_service s;
	bool balanced = lb_get(c->lb, item_key(i), &s) && s.state != LB_NONE;
	cJSON *out;

	problem(c, item_key(i), text);
	tell_people(i, i->invalid ? i->invalid : text);
	if (!text[0] && !balanced && !i->invalid)
		return NULL;
	out = cJSON_CreateObject();
	if (balanced)
		add_ingress(out, &s);
	if (text[0] && !i->invalid)
		add_condition(out, CONTROLLER_SERVED, false, "NotAsWritten", text);
	if (i->invalid)
		add_condition(out, CONTROLLER_SERVED, false, "Invalid", i->invalid);
	return out;
}

/* What is there already, and that the object is refused; NULL: neither. */
static cJSON *add_refusal(cJSON *out, const struct controller_item *i)
{
	if (!out && !i->invalid && !i->refused)
		return NULL;
	if (!out)
		out = cJSON_CreateObject();
	if (i->invalid)
		add_condition(out, CONTROLLER_ACCEPTED, false, "Invalid", i->invalid);
	else if (i->refused)
		add_condition(out, CONTROLLER_ACCEPTED, false, "Refused", i->refused);
	return out;
}

/* As an integer of 64 bits with a sign: a double would lose the last digits, and print an exponent. */
static void add_count(cJSON *to, const char *key, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, n > INT64_MAX ? (uint64_t)INT64_MAX : n);
	cJSON_AddItemToObject(to, key, cJSON_CreateRaw(text));
}

static void add_figures(cJSON *to, const struct lb_pool *p)
{
	add_count(to, "capacity", p->capacity);
	add_count(to, "used", p->used);
	add_count(to, "conflicts", p->conflicts);
}

static cJSON *pool_status(const struct lb_pool *p)
{
	cJSON *out = cJSON_CreateObject();
	char text[96];

	add_figures(out, p);
	if (p->used >= p->capacity)
		snprintf(text, sizeof(text), "all %" PRIu64 " addresses are used", p->capacity);
	else
		snprintf(text, sizeof(text), "%" PRIu64 " of %" PRIu64 " addresses are used", p->used,
		         p->capacity);
	add_condition(out, "weft.dev/AddressesAvailable", p->used < p->capacity,
	              p->used < p->capacity ? "Available" : "Exhausted", text);
	snprintf(text, sizeof(text), "%zu Services keep addresses that the pools do not give them any more",
	         p->conflicts);
	add_condition(out, "weft.dev/Conflict", p->conflicts, p->conflicts ? "Conflict" : "None",
	              p->conflicts ? text : "");
	return out;
}

/* --- writing --- */

static void count_failure(struct controller_item *i, bool failed)
{
	struct controller *c = i->c;

	if (i->failed == failed)
		return;
	i->failed = failed;
	if (failed)
		c->failing++;
	else if (--c->failing == 0 && c->error[0]) {
		log_info("controller: statuses are being written again");
		c->error[0] = '\0';
	}
}

static void on_retry(uv_timer_t *t)
{
	controller_retry(t->data);
}

static void on_written(void *ctx, const struct weft_err *err)
{
	struct controller_item *i = ctx;
	struct controller *c = i->c;

	i->writes--;
	if (err && c->leading) {
		/* -EAGAIN: somebody else wrote first. Nothing is wrong; it is decided anew with what that was. */
		if (err->code != -EAGAIN) {
			if (strcmp(c->error, err->text))
				log_error("controller: status of %s %s: %s", weft_kind_name(i->kind),
				          item_key(i), err->text);
			snprintf(c->error, sizeof(c->error), "%s", err->text);
		}
		count_failure(i, true);
		if (!uv_is_active((uv_handle_t *)&c->retry))
			uv_timer_start(&c->retry, on_retry, c->o.retry_ms, 0);
	} else {
		count_failure(i, false);
	}
	controller_item_drop_if_unused(i);
}

static void write_item(struct controller_item *i, cJSON *status)
{
	struct controller *c = i->c;

	i->has_status = status;
	i->writes++;
	c->o.source->ops->put_status(c->o.source, i->kind, item_key(i), status, on_written, i);
	cJSON_Delete(status);
}

static bool find_pool(const struct lb *lb, const char *name, struct lb_pool *out)
{
	for (size_t i = 0; lb_pool_at(lb, i, out); i++)
		if (!strcmp(out->name, name))
			return true;
	return false;
}

void controller_write(struct controller *c, enum weft_kind kind, const char *key)
{
	struct controller_item *i = controller_item(c, kind, key);
	struct lb_pool p;
	cJSON *status = NULL;

	if (kind == WEFT_SERVICE)
		status = service_status(i);
	else if (kind == WEFT_IPPOOL && find_pool(c->lb, key, &p))
		status = add_refusal(pool_status(&p), i);
	else
		status = add_refusal(NULL, i);
	write_item(i, status);
}

void controller_write_all(struct controller *c)
{
	struct lb_service s;
	struct lb_pool p;

	while (lb_next(c->lb, &s))
		controller_write(c, WEFT_SERVICE, s.key);
	while (lb_next_pool(c->lb, &p))
		write_item(controller_item(c, WEFT_IPPOOL, p.name),
		           add_refusal(pool_status(&p), controller_item(c, WEFT_IPPOOL, p.name)));
}

void controller_retry(struct controller *c)
{
	struct controller_item *i, *next;
	bool again = false;

	if (!c->leading)
		return;
	HASH_ITER (hh, c->items, i, next) {
		if (!i->failed || i->writes)
			continue;
		if (i->dirty) /* what is decided of it is older than what is known */
			again = true;
		else
			controller_write(c, i->kind, item_key(i));
	}
	if (again)
		uv_timer_start(&c->retry, on_retry, c->o.retry_ms, 0);
}

/* --- status --- */

struct summary {
	const struct lb *lb;
	size_t count[LB_CONFLICT + 1];
	cJSON *problems;
};

static bool sum_up(void *ctx, const struct services_view *view)
{
	struct summary *sum = ctx;
	struct lb_service s;
	cJSON *problem;

	if (!lb_get(sum->lb, view->key, &s))
		return false;
	sum->count[s.state]++;
	if ((s.state != LB_PENDING && s.state != LB_CONFLICT) ||
	    cJSON_GetArraySize(sum->problems) >= PROBLEMS_MAX)
		return false;
	problem = cJSON_CreateObject();
	cJSON_AddStringToObject(problem, "service", view->key);
	cJSON_AddStringToObject(problem, "reason", s.reason);
	cJSON_AddStringToObject(problem, "message", s.message);
	cJSON_AddItemToArray(sum->problems, problem);
	return false;
}

static void describe_reign(const struct controller *c, cJSON *out)
{
	cJSON *counts = cJSON_AddObjectToObject(out, "services"), *pools;
	struct summary sum = {.lb = c->lb, .problems = cJSON_AddArrayToObject(out, "problems")};
	struct lb_pool p;

	services_each(c->o.services, sum_up, &sum);
	cJSON_AddNumberToObject(counts, "assigned", (double)sum.count[LB_ASSIGNED]);
	cJSON_AddNumberToObject(counts, "pending", (double)sum.count[LB_PENDING]);
	cJSON_AddNumberToObject(counts, "conflict", (double)sum.count[LB_CONFLICT]);
	pools = cJSON_AddArrayToObject(out, "pools");
	for (size_t i = 0; lb_pool_at(c->lb, i, &p); i++) {
		cJSON *pool = cJSON_CreateObject();

		cJSON_AddStringToObject(pool, "name", p.name);
		add_figures(pool, &p);
		cJSON_AddItemToArray(pools, pool);
	}
}

struct controller_summary controller_summary(const struct controller *c)
{
	return (struct controller_summary){
	        .leading = c->leading, .failed_writes = c->failing, .lb = c->leading ? c->lb : NULL};
}

cJSON *controller_describe(const struct controller *c)
{
	cJSON *out = cJSON_CreateObject();

	cJSON_AddBoolToObject(out, "leading", c->leading);
	cJSON_AddStringToObject(out, "identity", c->identity);
	if (c->lb)
		describe_reign(c, out);
	cJSON_AddNumberToObject(out, "failedWrites", (double)c->failing);
	if (c->error[0])
		cJSON_AddStringToObject(out, "error", c->error);
	return out;
}
