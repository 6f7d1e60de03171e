// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The addresses of a Service: its ClusterIPs, what its LoadBalancer gave it, its external IPs. Anybody who
 * may write a Service chooses the latter, so an address that would take something away from this machine or
 * another node is refused here.
 */
#include <stdio.h>

#include "agent/plan/services_int.h"

/* One that the Service has by several ways is there once: as ClusterIP, else LB, else external IP. */
static unsigned rank(enum svc_vip_kind kind)
{
	return kind == SVC_VIP_CLUSTER ? 0 : kind == SVC_VIP_LB ? 1 : 2;
}

static const char *field(enum svc_vip_kind kind)
{
	static const char *const fields[] = {[SVC_VIP_CLUSTER] = "spec.clusterIPs",
	                                     [SVC_VIP_EXTERNAL] = "spec.externalIPs",
	                                     [SVC_VIP_LB] = "status.loadBalancer.ingress"};

	return fields[kind];
}

static bool in_any(const struct weft_prefix *list, size_t n, const struct weft_addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (weft_prefix_contains(&list[i], a))
			return true;
	return false;
}

/*
 * This node's own addresses beyond its Node object: a VIP would close their ports. Not asked for ClusterIPs:
 * another proxy may have left these on a device.
 */
static bool is_own(const struct svc_env *env, const struct weft_addr *a)
{
	for (size_t i = 0; i < env->n_node_addrs; i++)
		if (!weft_addr_cmp(&env->node_addrs[i], a))
			return true;
	return !weft_addr_cmp(&env->ip4, a) || !weft_addr_cmp(&env->ip6, a);
}

static void refuse(struct svc_job *j, const struct weft_addr *a, enum svc_vip_kind kind, const char *why,
                   const char *node)
{
	char ip[WEFT_ADDR_STR];

	svc_problem(j, "%s: %s %s%s", field(kind), weft_addr_str(a, ip), why, node);
}

/* Writes a problem and returns false. */
static bool may_have(struct svc_job *j, const struct weft_addr *a, enum svc_vip_kind kind)
{
	const char *node = j->env->node_with(j->env->ctx, a);

	if (!weft_addr_is_host(a))
		refuse(j, a, kind, "is not an address that a Service can have", "");
	else if (!weft_addr_is_set(&j->svc->cluster_ips[svc_index(a->family)]))
		refuse(j, a, kind, "is not served, the Service has no ClusterIP of that family", "");
	else if (node)
		refuse(j, a, kind, "is an address of Node ", node);
	else if (kind != SVC_VIP_CLUSTER && is_own(j->env, a))
		refuse(j, a, kind, "is an address of this node", "");
	else if (kind == SVC_VIP_EXTERNAL && !in_any(j->env->external_ips, j->env->n_external_ips, a))
		refuse(j, a, kind, "is outside services.externalIPs", "");
	else
		return true;
	return false;
}

static void add(struct svc_job *j, const struct weft_addr *a, enum svc_vip_kind kind)
{
	struct svc_plan *p = j->out;

	if (!weft_addr_is_set(a) || !may_have(j, a, kind))
		return;
	p->vips = svc_grow(p->vips, p->n_vips, &j->room.vips, sizeof(*p->vips));
	p->vips[p->n_vips++] = (struct svc_vip){
	        .addr = *a, .kind = kind, .route = !in_any(j->env->cidrs, j->env->n_cidrs, a)};
}

static int by_addr_best_first(const void *pa, const void *pb)
{
	const struct svc_vip *a = pa, *b = pb;
	int r = weft_addr_cmp(&a->addr, &b->addr);

	return r ? r : (int)rank(a->kind) - (int)rank(b->kind);
}

void svc_vips(struct svc_job *j)
{
	const struct weft_service *s = j->svc;
	struct svc_plan *p = j->out;
	size_t kept = 0;

	add(j, &s->cluster_ips[0], SVC_VIP_CLUSTER);
	add(j, &s->cluster_ips[1], SVC_VIP_CLUSTER);
	for (size_t i = 0; s->type == WEFT_SERVICE_LOADBALANCER && i < j->view->n_ingress; i++)
		add(j, &j->view->ingress[i], SVC_VIP_LB);
	for (size_t i = 0; i < s->n_external_ips; i++)
		add(j, &s->external_ips[i], SVC_VIP_EXTERNAL);
	if (p->n_vips)
		qsort(p->vips, p->n_vips, sizeof(*p->vips), by_addr_best_first);
	for (size_t i = 0; i < p->n_vips; i++)
		if (!kept || weft_addr_cmp(&p->vips[kept - 1].addr, &p->vips[i].addr))
			p->vips[kept++] = p->vips[i];
	p->n_vips = kept;
}

/* --- announcing --- */

struct advert_subject svc_subject(const struct svc_env *env, const struct weft_meta *service,
                                  const struct svc_vip *v)
{
	return (struct advert_subject){.type = v->type,
	                               .prefix = weft_prefix_host(&v->addr),
	                               .service = service,
	                               .ns = env->ns(env->ctx, service->namespace),
	                               .pool = env->pool(env->ctx, &v->addr),
	                               .local = v->local};
}

static bool is_chosen(const struct svc_job *j, const struct svc_vip *v)
{
	struct advert_subject s = svc_subject(j->env, &j->view->obj->meta, v);

	for (size_t i = 0; i < j->env->n_adverts; i++)
		if (advert_chooses(&j->env->adverts[i]->bgpadvertisement, &s))
			return true;
	return false;
}

static const char *nobody(unsigned type)
{
	static const char lb[] =
	        "no BGPAdvertisement selects it and BGPConfig's announce has no LoadBalancerIP";
	static const char external[] =
	        "no BGPAdvertisement selects it and BGPConfig's announce has no ExternalIP";
	static const char cluster[] =
	        "no BGPAdvertisement selects it and BGPConfig's announce has no ClusterIP";

	return type == WEFT_ADVERT_LOADBALANCER ? lb : type == WEFT_ADVERT_EXTERNAL ? external : cluster;
}

/* What comes here must find an endpoint. One that only terminates draws no new traffic to a Local node. */
static const char *why_not(const struct svc_job *j, const struct svc_vip *v)
{
	int family = svc_index(v->addr.family);

	if (v->kind == SVC_VIP_CLUSTER && !v->route)
		return "only its whole service CIDR can be announced";
	if (!(j->env->announce & v->type) && !is_chosen(j, v))
		return nobody(v->type);
	if (j->env->drained)
		return "node is drained";
	if (!j->chosen[family])
		return "no ready endpoint";
	if (v->local && !j->local_ready[family])
		return "no ready endpoint on this node";
	return NULL;
}

void svc_advertise(struct svc_job *j)
{
	static const unsigned types[] = {[SVC_VIP_CLUSTER] = WEFT_ADVERT_CLUSTER,
	                                 [SVC_VIP_EXTERNAL] = WEFT_ADVERT_EXTERNAL,
	                                 [SVC_VIP_LB] = WEFT_ADVERT_LOADBALANCER};

	for (size_t i = 0; i < j->out->n_vips; i++) {
		struct svc_vip *v = &j->out->vips[i];

		v->type = types[v->kind];
		v->local = (v->kind == SVC_VIP_CLUSTER ? j->svc->internal_policy : j->svc->external_policy) ==
		           WEFT_POLICY_LOCAL;
		v->weight = v->local ? j->local_ready[svc_index(v->addr.family)] : 0;
		v->why_not = why_not(j, v);
		v->advertise = !v->why_not;
	}
}
