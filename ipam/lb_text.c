// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a Service asks for by name, as far as it can be understood; and sentences for its condition.
 */
#include <stdarg.h>
#include <stdio.h>

#include "ipam/lb_int.h"
#include "weft/cleanup.h"

#define SHARE_MAX 253

void lb_problem(struct lb_problem *p, const char *reason, const char *fmt, ...)
{
	va_list ap;

	if (p->reason) /* the first one is told */
		return;
	p->reason = reason;
	va_start(ap, fmt);
	vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
	weft_text_clean(p->text);
}

const char *lb_family_name(int family)
{
	return family == LB_V4 ? "IPv4" : "IPv6";
}

/* Where a held address comes from: the pool that gave it as long as it has it, else the first that does. */
static const char *pool_of(const struct lb *lb, const struct lb_svc *s, int family)
{
	const struct weft_addr *a = &s->held[family];
	const struct lb_space *p = s->given[family] ? lb_space_find(lb, s->given[family]) : NULL;

	if (p && lb_space_has(p, a))
		return p->name;
	for (size_t i = 0; i < lb->n_spaces; i++)
		if (lb_space_has(lb->by_rank[i], a))
			return lb->by_rank[i]->name;
	return "?";
}

void lb_text_assigned(const struct lb_svc *s, const struct lb *lb, char *out, size_t size)
{
	char now[WEFT_ADDR_STR], before[WEFT_ADDR_STR];
	size_t n = 0;

	out[0] = '\0';
	for (int f = 0; f < LB_FAMILIES && n < size; f++) {
		if (!weft_addr_is_set(&s->held[f]))
			continue;
		n += (size_t)snprintf(out + n, size - n, "%s%s from IPPool %.64s", n ? ", " : "",
		                      weft_addr_str(&s->held[f], now), pool_of(lb, s, f));
		if (weft_addr_is_set(&s->before[f]) && n < size)
			n += (size_t)snprintf(out + n, size - n, " in place of %s, as the Service asked for",
			                      weft_addr_str(&s->before[f], before));
	}
}

/* Requests */

__attribute__((format(printf, 3, 4))) static void bad(struct lb_request *r, const char *reason,
                                                      const char *fmt, ...)
{
	struct lb_problem p = {.reason = NULL};
	va_list ap;

	if (r->bad)
		return;
	va_start(ap, fmt);
	vsnprintf(p.text, sizeof(p.text), fmt, ap);
	va_end(ap);
	weft_text_clean(p.text);
	r->bad = reason;
	r->text = lb_strdup(p.text);
}

static char *trimmed(const char *text)
{
	size_t n;
	char *out;

	text += strspn(text, " \t");
	out = lb_strdup(text);
	n = strlen(out);
	while (n && strchr(" \t", out[n - 1]))
		out[--n] = '\0';
	return out;
}

/* DNS-1123 subdomain, as far as it matters for a look-up and a message. */
static bool is_name(const char *text)
{
	size_t n = strlen(text);

	return n && n <= WEFT_NAME_MAX && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.") == n;
}

static void add_ip(struct lb_request *r, const struct weft_addr *a, const char *where)
{
	struct weft_addr *at = &r->ip[lb_index(a)];
	char first[WEFT_ADDR_STR], second[WEFT_ADDR_STR];

	if (weft_addr_is_set(at) && weft_addr_cmp(at, a))
		bad(r, "InvalidAnnotation",
		    "%s asks for two %s addresses, %s and %s; one per family is possible", where,
		    lb_family_name(lb_index(a)), weft_addr_str(at, first), weft_addr_str(a, second));
	*at = *a;
}

static void read_ips(const char *value, struct lb_request *r)
{
	weft_autofree char *list = lb_strdup(value);
	char *rest = list, *item;

	while ((item = strsep(&rest, ","))) {
		weft_autofree char *text = trimmed(item);
		struct weft_addr a;

		if (weft_addr_parse(text, &a, NULL) < 0 || !weft_addr_is_host(&a)) {
			bad(r, "InvalidAnnotation",
			    "the annotation " WEFT_ANNOTATION_LB_IPS
			    " has \"%.64s\", which is not an address that a Service can have",
			    text);
			return;
		}
		add_ip(r, &a, "the annotation " WEFT_ANNOTATION_LB_IPS);
	}
}

static void read_pool(const char *value, struct lb_request *r)
{
	r->pool = trimmed(value);
	if (!is_name(r->pool))
		bad(r, "InvalidAnnotation",
		    "the annotation " WEFT_ANNOTATION_LB_POOL
		    " has \"%.64s\", which is not the name of an IPPool",
		    r->pool);
}

static void read_share(const char *value, struct lb_request *r)
{
	r->share = trimmed(value);
	if (*r->share && strlen(r->share) <= SHARE_MAX)
		return;
	bad(r, "InvalidAnnotation",
	    "the annotation " WEFT_ANNOTATION_LB_SHARE " must have 1 to %d characters", SHARE_MAX);
	free(r->share);
	r->share = NULL;
}

static const char *annotation(const struct weft_object *obj, const char *key)
{
	return weft_label_get(obj->meta.annotations, obj->meta.n_annotations, key);
}

void lb_request_read(const struct weft_object *obj, struct lb_request *out)
{
	const char *ips = annotation(obj, WEFT_ANNOTATION_LB_IPS);
	const char *pool = annotation(obj, WEFT_ANNOTATION_LB_POOL);
	const char *share = annotation(obj, WEFT_ANNOTATION_LB_SHARE);

	*out = (struct lb_request){.bad = NULL};
	if (ips)
		read_ips(ips, out);
	if (weft_addr_is_set(&obj->service.load_balancer_ip))
		add_ip(out, &obj->service.load_balancer_ip,
		       "spec.loadBalancerIP together with the annotation " WEFT_ANNOTATION_LB_IPS);
	if (pool)
		read_pool(pool, out);
	if (share)
		read_share(share, out);
}

void lb_request_free(struct lb_request *r)
{
	free(r->pool);
	free(r->share);
	free(r->text);
	*r = (struct lb_request){.bad = NULL};
}
