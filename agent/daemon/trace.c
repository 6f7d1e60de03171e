// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One packet through this node, step by step as it meets them, by the kernel's own answers: routes by
 * RTM_GETROUTE with the packet's source and device, elements of our nftables sets, IPVS services. Each step
 * either ends the way or hands on to the next; what it found is a hop, the last one's meaning the verdict.
 *
 * The order is that of the hooks (agent/apply/nft_text.c): source ranges; the mark that selects all endpoints
 * for pods and this node; drop without local endpoints; refuse; IPVS; what is left is refused; source NAT.
 */
#include "agent/daemon/views_services.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/cleanup.h"
#include "weft/marks.h"

#include "agent/apply/nft_query.h"
#include "agent/daemon/views.h"
#include "agent/kernel/lookup.h"

#define SELF "node"

enum from { FROM_SELF, FROM_POD, FROM_OUTSIDE };

struct trace {
	const struct services_views *v;
	enum from from;
	struct lookup_packet packet;
	uint8_t proto;
	uint16_t port; /* 0 = none */
	struct route_info route;
	uint32_t mark;
	bool masq; /* from outside, to an element of the set masq */
	struct ipvs_service_info service;
	cJSON *root, *hops;
};

/* --- what is told --- */

static cJSON *hop(struct trace *t, const char *step, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
static cJSON *hop(struct trace *t, const char *step, const char *fmt, ...)
{
	cJSON *item = cJSON_CreateObject();
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cJSON_AddStringToObject(item, "step", step);
	cJSON_AddStringToObject(item, "text", text);
	cJSON_AddItemToArray(t->hops, item);
	return cJSON_AddObjectToObject(item, "detail");
}

static void verdict(struct trace *t, const char *word, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
static void verdict(struct trace *t, const char *word, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cJSON_AddStringToObject(t->root, "verdict", word);
	cJSON_AddStringToObject(t->root, "why", text);
}

/* --- routes --- */

static const char *refusal(int error)
{
	switch (error) {
	case -EINVAL:
		return "a blackhole route, or an address that can't be there: silently dropped";
	case -EACCES:
		return "a prohibit route: refused";
	case -EXDEV:
		return "the reverse path filter expects this source on another device: silently dropped";
	default:
		return "no route";
	}
}

static const char *refusal_verdict(int error)
{
	return error == -EINVAL || error == -EXDEV ? "dropped" : error == -EACCES ? "refused" : "unreachable";
}

/* The kernel may hand out a route that discards as a route, or as an error. */
static int route_error(const struct route_info *r)
{
	switch (r->route.type) {
	case RTN_BLACKHOLE:
		return -EINVAL;
	case RTN_PROHIBIT:
		return -EACCES;
	case RTN_UNREACHABLE:
	case RTN_THROW:
		return -EHOSTUNREACH;
	default:
		return 0;
	}
}

static int look_up(const struct trace *t, const struct lookup_packet *p, struct route_info *out)
{
	int ret;

	memset(out, 0, sizeof(*out));
	ret = lookup_packet(t->v->nl, p, out, NULL);
	return ret < 0 ? ret : route_error(out);
}

static const char *dev_name(const struct trace *t, uint32_t index)
{
	const struct link_info *link = links_by_index(t->v->links, index);

	return link ? link->name : "?";
}

static bool is_tunnel(const char *dev)
{
	return !strcmp(dev, WEFT_DEV_IPIP) || !strcmp(dev, WEFT_DEV_SIT);
}

static bool is_pod(const char *dev)
{
	return !strncmp(dev, WEFT_DEV_PREFIX, strlen(WEFT_DEV_PREFIX)) && !is_tunnel(dev);
}

/* "fabric via 10.1.1.1 dev eth0 (10.244.2.0/26 metric 32)" */
static void way_text(const struct trace *t, const struct route_info *r, char *out, size_t size)
{
	const char *dev = dev_name(t, r->oif), *kind = "another's route";
	char via[WEFT_ADDR_STR], dst[WEFT_PREFIX_STR];

	if (is_tunnel(dev))
		kind = "tunnel";
	else if (r->route.protocol == RTPROT_BIRD)
		kind = "fabric";
	else if (r->route.protocol == RTPROT_KERNEL)
		kind = "network of this node";
	else if (r->route.protocol == WEFT_RTPROT)
		kind = weft_addr_is_set(&r->route.gateway) ? "direct" : "pod of this node";
	weft_prefix_str(&r->route.key.dst, dst);
	if (weft_addr_is_set(&r->route.gateway))
		snprintf(out, size, "%s via %s dev %s (route %s metric %u)", kind,
		         weft_addr_str(&r->route.gateway, via), dev, dst, r->route.key.metric);
	else if (r->oif)
		snprintf(out, size, "%s, dev %s (route %s metric %u)", kind, dev, dst, r->route.key.metric);
	else
		snprintf(out, size, "%s, several next hops (route %s metric %u)", kind, dst,
		         r->route.key.metric);
}

static void add_route(const struct trace *t, cJSON *detail, const struct route_info *r)
{
	view_prefix(detail, "dst", &r->route.key.dst);
	view_addr(detail, "via", &r->route.gateway);
	if (r->oif)
		cJSON_AddStringToObject(detail, "dev", dev_name(t, r->oif));
	cJSON_AddNumberToObject(detail, "metric", r->route.key.metric);
	cJSON_AddNumberToObject(detail, "protocol", r->route.protocol);
	cJSON_AddStringToObject(detail, "type", r->route.type == RTN_LOCAL ? "local" : "unicast");
}

/* Who sends: a pod or an outside host comes in by the device that leads to it. */
static bool find_source(struct trace *t)
{
	struct lookup_packet back = {.dst = t->packet.src};
	char text[WEFT_ADDR_STR];
	struct route_info r;
	int ret;

	if (!weft_addr_is_set(&t->packet.src) || links_has_addr(t->v->links, &t->packet.src))
		return true;
	ret = look_up(t, &back, &r);
	if (ret == 0 && r.route.type == RTN_LOCAL)
		return true;
	if (ret == 0 && r.oif) {
		const char *dev = dev_name(t, r.oif);

		t->packet.iif = r.oif;
		t->from = is_pod(dev) ? FROM_POD : FROM_OUTSIDE;
		return true;
	}
	weft_addr_str(&t->packet.src, text);
	hop(t, "route", "back to %s: %s", text, ret < 0 ? refusal(ret) : "several next hops");
	verdict(t, "unreachable", "it is not known by which device packets of %s would come in", text);
	return false;
}

/* --- one next hop --- */

static bool next_hop(struct trace *t, const struct weft_addr *to)
{
	struct lookup_packet p = {.dst = *to};
	char addr[WEFT_ADDR_STR], text[256];
	struct route_info r;
	int ret = look_up(t, &p, &r);
	cJSON *detail;

	weft_addr_str(to, addr);
	if (ret < 0) {
		detail = hop(t, "nexthop", "%s: %s", addr, refusal(ret));
		view_addr(detail, "endpoint", to);
		return false;
	}
	if (r.route.type == RTN_LOCAL)
		snprintf(text, sizeof(text), "this node itself");
	else
		way_text(t, &r, text, sizeof(text));
	detail = hop(t, "nexthop", "%s: %s", addr, text);
	view_addr(detail, "endpoint", to);
	add_route(t, detail, &r);
	return true;
}

/* --- steps towards a Service --- */

/* 1, 0, or -1 after a verdict: the kernel could not be asked. */
static int in_set(struct trace *t, enum svc_set set, uint32_t *mark)
{
	struct svc_element e;
	struct weft_err err = WEFT_ERR_INIT;
	int ret;

	memset(&e, 0, sizeof(e));
	e.addr = t->packet.dst;
	e.set = (uint8_t)set;
	e.proto = t->proto;
	e.port = t->port;
	if (set == SVC_SET_SOURCE)
		e.source = weft_prefix_host(&t->packet.src);
	ret = nft_query(&e, &err);
	if (ret < 0) {
		hop(t, "nftables", "weft's table can't be read: %s", err.text);
		verdict(t, "unreachable", "what nftables does with it is not known");
		return -1;
	}
	if (mark && ret)
		*mark = e.mark;
	return ret;
}

/* True: the packet goes on. */
static bool source_ranges(struct trace *t)
{
	int ranged = in_set(t, SVC_SET_RANGED, NULL), open;

	if (ranged <= 0)
		return ranged == 0;
	open = weft_addr_is_set(&t->packet.src) ? in_set(t, SVC_SET_SOURCE, NULL) : 0;
	if (open < 0)
		return false;
	hop(t, "nftables", open ? "loadBalancerSourceRanges hold the source" : "sets ranged, source: drop");
	if (!open)
		verdict(t, "dropped", "no range of loadBalancerSourceRanges holds the source");
	return open;
}

static bool nftables(struct trace *t)
{
	int found;

	if (!source_ranges(t))
		return false;
	if (t->from != FROM_OUTSIDE) {
		found = in_set(t, SVC_SET_ETPL, &t->mark);
		if (found < 0)
			return false;
		if (found)
			cJSON_AddNumberToObject(hop(t, "nftables",
			                            "map etpl: mark 0x%08x, so that all endpoints may get it",
			                            t->mark),
			                        "mark", t->mark);
	}
	found = t->mark ? 0 : in_set(t, SVC_SET_DROP, NULL);
	if (found > 0) {
		hop(t, "nftables", "set drop: dropped");
		verdict(t, "dropped", "traffic policy Local, and this node has no endpoint");
	}
	if (found)
		return false;
	found = in_set(t, SVC_SET_REFUSE, NULL);
	if (found > 0) {
		hop(t, "nftables", "set refuse: refused");
		verdict(t, "refused", "a node port whose Service has no endpoint");
	}
	if (found == 0 && t->from == FROM_OUTSIDE) {
		found = in_set(t, SVC_SET_MASQ, NULL);
		t->masq = found > 0;
		return found >= 0;
	}
	return found == 0;
}

/* What IPVS does not have: a VIP's port is closed, others are this host's own sockets. */
static void not_in_ipvs(struct trace *t, int error, const struct weft_err *err)
{
	if (error != -ENOENT) {
		hop(t, "ipvs", "it can't be read: %s", err->text);
		verdict(t, "unreachable", "what IPVS does with it is not known");
	} else if (t->route.route.protocol == WEFT_RTPROT) {
		hop(t, "ipvs", "no service");
		hop(t, "nftables", "to a service address, but to no port that IPVS serves: refused");
		verdict(t, "refused", "no Service has this port with an endpoint for it here");
	} else {
		hop(t, "ipvs", "no service");
		verdict(t, "delivered", "to this node's own programs: no Service has this port");
	}
}

static size_t count_candidates(const struct ipvs_service_info *info)
{
	size_t n = 0;

	for (size_t i = 0; i < info->n; i++)
		n += info->dests[i].weight > 0;
	return n;
}

static void add_dests(const struct ipvs_service_info *info, cJSON *detail)
{
	cJSON *list = cJSON_AddArrayToObject(detail, "endpoints");

	for (size_t i = 0; i < info->n; i++) {
		cJSON *item = cJSON_CreateObject();

		view_addr(item, "address", &info->dests[i].addr);
		cJSON_AddNumberToObject(item, "port", info->dests[i].port);
		cJSON_AddNumberToObject(item, "weight", info->dests[i].weight);
		cJSON_AddItemToArray(list, item);
	}
}

static bool ipvs(struct trace *t)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct svc_virtual_key key;
	char text[SVC_KEY_STR];
	size_t candidates;
	cJSON *detail;
	int ret;

	memset(&key, 0, sizeof(key));
	key.addr.family = t->packet.dst.family;
	key.fwmark = t->mark;
	if (!t->mark) {
		key.addr = t->packet.dst;
		key.proto = t->proto;
		key.port = t->port;
	}
	ret = ipvs_read(t->v->ipvs, &key, &t->service, &err);
	if (ret < 0) {
		not_in_ipvs(t, ret, &err);
		return false;
	}
	candidates = count_candidates(&t->service);
	detail = hop(t, "ipvs", "service %s, scheduler %s: %zu of %zu endpoints get new connections",
	             svc_virtual_str(&key, text), t->service.service.scheduler, candidates, t->service.n);
	cJSON_AddStringToObject(detail, "key", text);
	cJSON_AddStringToObject(detail, "scheduler", t->service.service.scheduler);
	add_dests(&t->service, detail);
	if (!candidates)
		verdict(t, "refused", "no endpoint gets new connections");
	return candidates > 0;
}

static bool in_any(const struct weft_prefix *list, size_t n, const struct weft_addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (weft_prefix_contains(&list[i], a))
			return true;
	return false;
}

/* S21. A hairpin is told beside: the packet may also go to others. */
static void source_nat(struct trace *t)
{
	struct nft_shape shape = {0};
	bool cluster_ip, masq = t->masq;

	serving_shape(t->v->serving, &shape);
	cluster_ip = in_any(shape.service_cidrs, shape.n_service_cidrs, &t->packet.dst);
	if (cluster_ip && t->from != FROM_SELF && shape.masquerade_all)
		masq = true;
	if (cluster_ip && t->from == FROM_OUTSIDE &&
	    !in_any(shape.pod_cidrs, shape.n_pod_cidrs, &t->packet.src))
		masq = true;
	cJSON_AddBoolToObject(hop(t, "snat", "%s",
	                          masq                   ? "the source becomes this node's address"
	                          : t->from == FROM_SELF ? "none: it has this node's address"
	                                                 : "none: the endpoint sees the source"),
	                      "masquerade", masq);
	for (size_t i = 0; t->from == FROM_POD && !masq && i < t->service.n; i++) {
		if (!t->service.dests[i].weight ||
		    weft_addr_cmp(&t->service.dests[i].addr, &t->packet.src) != 0)
			continue;
		hop(t, "snat", "if it comes back to the sender: the source becomes this node's address");
		return;
	}
}

static void endpoints(struct trace *t)
{
	size_t reached = 0, n = 0;

	for (size_t i = 0; i < t->service.n; i++) {
		bool again = false;

		for (size_t k = 0; k < i; k++)
			again |= t->service.dests[k].weight &&
			         weft_addr_cmp(&t->service.dests[k].addr, &t->service.dests[i].addr) == 0;
		if (!t->service.dests[i].weight || again)
			continue;
		n++;
		reached += next_hop(t, &t->service.dests[i].addr);
	}
	if (reached == n)
		verdict(t, "delivered", "to one of %zu endpoint%s", n, n == 1 ? "" : "s");
	else
		verdict(t, reached ? "delivered" : "unreachable", "%zu of %zu endpoints can be reached",
		        reached, n);
}

/* --- the whole --- */

static void to_this_node(struct trace *t)
{
	char dst[WEFT_PREFIX_STR];

	weft_prefix_str(&t->route.route.key.dst, dst);
	add_route(t,
	          hop(t, "route", "taken by this node: local route %s%s", dst,
	              t->route.route.protocol == WEFT_RTPROT ? " of weft, a service address" : ""),
	          &t->route);
	if (!t->port)
		verdict(t, "delivered", "to this node; name a port to see what happens to it");
	else if (nftables(t) && ipvs(t)) {
		source_nat(t);
		endpoints(t);
	}
}

static void through_this_node(struct trace *t)
{
	char text[256];

	way_text(t, &t->route, text, sizeof(text));
	add_route(t, hop(t, "route", "%s", text), &t->route);
	if (t->from == FROM_SELF && is_tunnel(dev_name(t, t->route.oif)))
		hop(t, "snat", "the source is, or becomes, the tunnel's address");
	verdict(t, "delivered", "%s",
	        is_pod(dev_name(t, t->route.oif))
	                ? "to a pod of this node"
	                : "to the next hop; what others do with it is not looked at");
}

static void trace(struct trace *t)
{
	int ret;

	if (!find_source(t))
		return;
	ret = look_up(t, &t->packet, &t->route);
	if (ret < 0) {
		hop(t, "route", "%s", refusal(ret));
		verdict(t, refusal_verdict(ret), "%s", refusal(ret));
	} else if (t->route.route.type == RTN_LOCAL) {
		to_this_node(t);
	} else {
		through_this_node(t);
	}
}

/* --- the request --- */

static int read_addr(const cJSON *args, const char *name, struct weft_addr *out, struct weft_err *err)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(args, name));

	if (!text)
		return weft_err_set(err, EINVAL, "trace: args.%s is no text", name);
	if (weft_addr_parse(text, out, err) < 0)
		return weft_err_wrap(err, "trace: args.%s", name);
	if (!weft_addr_is_host(out))
		return weft_err_set(err, EINVAL, "trace: args.%s: %s is no address of a host", name, text);
	return 0;
}

static int read_port(const cJSON *args, struct trace *t, struct weft_err *err)
{
	const cJSON *port = cJSON_GetObjectItemCaseSensitive(args, "port");
	const char *proto = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(args, "protocol"));

	if (!port && !cJSON_HasObjectItem(args, "protocol"))
		return 0;
	if (!cJSON_IsNumber(port) || port->valuedouble != port->valueint || port->valueint < 1 ||
	    port->valueint > 65535)
		return weft_err_set(err, EINVAL, "trace: args.port must be a number from 1 to 65535");
	t->port = (uint16_t)port->valueint;
	if (proto && !strcmp(proto, "TCP"))
		t->proto = IPPROTO_TCP;
	else if (proto && !strcmp(proto, "UDP"))
		t->proto = IPPROTO_UDP;
	else if (proto && !strcmp(proto, "SCTP"))
		t->proto = IPPROTO_SCTP;
	else
		return weft_err_set(err, EINVAL, "trace: args.protocol must be TCP, UDP or SCTP");
	cJSON_AddNumberToObject(t->root, "port", t->port);
	cJSON_AddStringToObject(t->root, "protocol", proto);
	return 0;
}

static int read_request(const cJSON *args, struct trace *t, struct weft_err *err)
{
	const char *src = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(args, "src"));
	char text[WEFT_ADDR_STR];
	int ret = read_addr(args, "dst", &t->packet.dst, err);

	if (ret == 0 && !(src && !strcmp(src, SELF)))
		ret = read_addr(args, "src", &t->packet.src, err);
	if (ret < 0)
		return ret;
	if (weft_addr_is_set(&t->packet.src) && t->packet.src.family != t->packet.dst.family)
		return weft_err_set(err, EINVAL, "trace: args.src and args.dst are not of one family");
	cJSON_AddStringToObject(t->root, "src",
	                        weft_addr_is_set(&t->packet.src) ? weft_addr_str(&t->packet.src, text)
	                                                         : SELF);
	cJSON_AddStringToObject(t->root, "dst", weft_addr_str(&t->packet.dst, text));
	return read_port(args, t, err);
}

int view_trace(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result, struct weft_err *err)
{
	struct trace t = {.v = ctx, .root = cJSON_CreateObject()};
	int ret = read_request(cJSON_GetObjectItemCaseSensitive(args, "args"), &t, err);

	(void)req;
	if (ret < 0) {
		cJSON_Delete(t.root);
		return ret;
	}
	t.hops = cJSON_AddArrayToObject(t.root, "hops");
	trace(&t);
	ipvs_service_info_free(&t.service);
	*result = t.root;
	return 0;
}
