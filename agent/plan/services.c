// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/plan/services.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>

#include "agent/plan/services_int.h"
#include "weft/cleanup.h"

#define PROXY_NAME "service.kubernetes.io/service-proxy-name"

/* --- names --- */

static const struct {
	const char *name;
	uint32_t flags;
} schedulers[] = {
        {"rr", 0},
        {"wrr", 0},
        {"lc", 0},
        {"wlc", 0},
        {"sed", 0},
        {"nq", 0},
        /* Without fallback a destination of weight 0 refuses the flows that hash to it. */
        {"sh", SVC_SCHED_FALLBACK},
        {"dh", 0},
        {"mh", SVC_SCHED_FALLBACK},
        {"lblc", 0},
        {"lblcr", 0},
        {"ovf", 0},
        {"fo", 0},
};

bool svc_scheduler(const char *name, uint32_t *flags)
{
	for (size_t i = 0; i < WEFT_ARRAY_LEN(schedulers); i++) {
		if (strcmp(schedulers[i].name, name))
			continue;
		*flags = schedulers[i].flags;
		return true;
	}
	return false;
}

static const char *protocol_name(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "TCP" : proto == IPPROTO_UDP ? "UDP" : "SCTP";
}

const char *svc_virtual_str(const struct svc_virtual_key *k, char buf[SVC_KEY_STR])
{
	bool v6 = k->addr.family == AF_INET6;
	char ip[WEFT_ADDR_STR];

	if (k->fwmark)
		snprintf(buf, SVC_KEY_STR, "fwmark 0x%08x (%s)", k->fwmark, v6 ? "IPv6" : "IPv4");
	else
		snprintf(buf, SVC_KEY_STR, "%s%s%s:%u/%s", v6 ? "[" : "", weft_addr_str(&k->addr, ip),
		         v6 ? "]" : "", k->port, protocol_name(k->proto));
	return buf;
}

/* A text that was cut must not end inside a character, for it goes into JSON: the last one goes, if not
 * ASCII. */
static void trim_last_character(char *text, size_t len)
{
	while (len && ((unsigned char)text[len - 1] & 0xc0) == 0x80)
		len--;
	if (len && (unsigned char)text[len - 1] >= 0xc0)
		text[len - 1] = '\0';
}

void svc_problem(struct svc_job *j, const char *fmt, ...)
{
	struct svc_plan *p = j->out;
	char *text;
	va_list ap;

	p->problems = svc_grow(p->problems, p->n_problems, &j->room.problems, sizeof(*p->problems));
	text = p->problems[p->n_problems++];
	va_start(ap, fmt);
	if (vsnprintf(text, SVC_PROBLEM, fmt, ap) >= SVC_PROBLEM)
		trim_last_character(text, SVC_PROBLEM - 1);
	va_end(ap);
}

/* --- order: of keys, not of arrival --- */

static int number_order(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

static int key_order(const struct svc_virtual_key *a, const struct svc_virtual_key *b)
{
	int r = number_order(a->fwmark, b->fwmark);

	r = r ? r : weft_addr_cmp(&a->addr, &b->addr);
	r = r ? r : number_order(a->port, b->port);
	return r ? r : number_order(a->proto, b->proto);
}

/* Of one key the first that was planned comes first: its destinations are further ahead. */
static int virtual_order(const void *pa, const void *pb)
{
	const struct svc_virtual *a = pa, *b = pb;
	int r = key_order(&a->key, &b->key);

	return r ? r : (a->first > b->first) - (a->first < b->first);
}

static int element_order(const void *pa, const void *pb)
{
	const struct svc_element *a = pa, *b = pb;
	int r = number_order(a->set, b->set);

	r = r ? r : weft_addr_cmp(&a->addr, &b->addr);
	r = r ? r : number_order(a->port, b->port);
	r = r ? r : number_order(a->proto, b->proto);
	return r ? r : weft_prefix_cmp(&a->source, &b->source);
}

static int addr_order(const void *a, const void *b)
{
	return weft_addr_cmp(a, b);
}

static void sort(void *list, size_t n, size_t size, int (*order)(const void *, const void *))
{
	if (n)
		qsort(list, n, size, order);
}

/* A key twice: a ClusterIP that answers on node ports too. It has the same endpoints both times. */
static void distinct_virtuals(struct svc_plan *p)
{
	size_t kept = 0;

	sort(p->virtuals, p->n_virtuals, sizeof(*p->virtuals), virtual_order);
	for (size_t i = 0; i < p->n_virtuals; i++)
		if (!kept || key_order(&p->virtuals[kept - 1].key, &p->virtuals[i].key))
			p->virtuals[kept++] = p->virtuals[i];
	p->n_virtuals = kept;
}

static void distinct_elements(struct svc_plan *p)
{
	size_t kept = 0;

	sort(p->elements, p->n_elements, sizeof(*p->elements), element_order);
	for (size_t i = 0; i < p->n_elements; i++)
		if (!kept || element_order(&p->elements[kept - 1], &p->elements[i]))
			p->elements[kept++] = p->elements[i];
	p->n_elements = kept;
}

static void count_ready(struct svc_job *j)
{
	sort(j->ready, j->n_ready, sizeof(*j->ready), addr_order);
	for (size_t i = 0; i < j->n_ready; i++)
		if (!i || weft_addr_cmp(&j->ready[i - 1], &j->ready[i]))
			j->local_ready[svc_index(j->ready[i].family)]++;
}

/* --- the plan --- */

/* S1: what is not ours to serve. */
static bool served(const struct weft_object *obj)
{
	const struct weft_service *s = &obj->service;

	if (weft_label_get(obj->meta.labels, obj->meta.n_labels, PROXY_NAME))
		return false;
	if (s->headless || s->type == WEFT_SERVICE_EXTERNALNAME)
		return false;
	return weft_addr_is_set(&s->cluster_ips[0]) || weft_addr_is_set(&s->cluster_ips[1]);
}

static void choose_scheduler(struct svc_job *j)
{
	const struct weft_meta *m = &j->view->obj->meta;
	const char *asked = weft_label_get(m->annotations, m->n_annotations, WEFT_ANNOTATION_SCHEDULER);

	if (asked && svc_scheduler(asked, &j->sched_flags)) {
		j->scheduler = asked;
		return;
	}
	j->scheduler = j->env->scheduler;
	svc_scheduler(j->scheduler, &j->sched_flags);
	if (asked)
		svc_problem(j,
		            "annotation " WEFT_ANNOTATION_SCHEDULER ": %s is used instead of \"%s\", "
		            "which is not a scheduler",
		            j->scheduler, asked);
}

/* S3: a family is served if the Service has a ClusterIP of it. */
static void plan_ports(struct svc_job *j)
{
	for (size_t i = 0; i < j->svc->n_ports; i++) {
		if (weft_addr_is_set(&j->svc->cluster_ips[0]))
			svc_port(j, &j->svc->ports[i], AF_INET);
		if (weft_addr_is_set(&j->svc->cluster_ips[1]))
			svc_port(j, &j->svc->ports[i], AF_INET6);
	}
}

/* S25 */
static void plan_health(struct svc_job *j)
{
	if (j->svc->type != WEFT_SERVICE_LOADBALANCER || j->svc->external_policy != WEFT_POLICY_LOCAL)
		return;
	j->out->health_port = j->svc->health_port;
	j->out->health_local = j->local_ready[0] + j->local_ready[1];
}

void svc_plan(const struct services_view *service, const struct svc_env *env, struct svc_plan *out)
{
	struct svc_job j = {.view = service, .svc = &service->obj->service, .env = env, .out = out};

	memset(out, 0, sizeof(*out));
	out->served = served(service->obj);
	if (!out->served)
		return;
	choose_scheduler(&j);
	svc_vips(&j);
	svc_vip_elements(&j);
	svc_ranges(&j);
	plan_ports(&j);
	count_ready(&j);
	svc_advertise(&j);
	plan_health(&j);
	distinct_virtuals(out);
	distinct_elements(out);
	free(j.ranges);
	free(j.ready);
}

void svc_plan_free(struct svc_plan *p)
{
	free(p->vips);
	free(p->virtuals);
	free(p->dests);
	free(p->elements);
	free(p->problems);
	memset(p, 0, sizeof(*p));
}
