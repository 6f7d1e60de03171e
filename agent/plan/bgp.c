// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/plan/bgp.h"

#include <stdarg.h>
#include <stdio.h>

#include "weft/keyhash.h"

/* --- names --- */

#define NAME_PREFIX     "peer_"
#define NAME_PLAIN_MAX  (BGP_PROTOCOL_NAME_MAX - sizeof(NAME_PREFIX) + 1)
#define NAME_BODY_MAX   39 /* of a hashed name: 5 + 39 + 2 + 16 = 62 */
#define NAME_HASH_BYTES 8

/* [a-z0-9] and single '-': '-' -> '_' keeps such names apart and makes no "__". */
static bool is_plain(const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++) {
		bool alnum = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9');

		if (!alnum && (name[i] != '-' || name[i + 1] == '-'))
			return false;
	}
	return i > 0 && i <= NAME_PLAIN_MAX;
}

/*
 * A BIRD symbol that depends on the object's name alone: adding a peer must not rename, and thereby restart,
 * another. Names that are long or hold other characters end in "__" and a hash, which plain names cannot.
 */
static void protocol_name(const char *name, char out[BGP_PROTOCOL_NAME_MAX + 1])
{
	unsigned char digest[crypto_generichash_BYTES];
	char hex[2 * NAME_HASH_BYTES + 1] = "";
	size_t n = sizeof(NAME_PREFIX) - 1;
	bool plain = is_plain(name);
	size_t max = n + (plain ? NAME_PLAIN_MAX : NAME_BODY_MAX);

	memcpy(out, NAME_PREFIX, n);
	for (size_t i = 0; name[i] && n < max; i++) {
		char ch = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
		bool alnum = (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9');

		out[n++] = alnum ? ch : '_';
	}
	out[n] = '\0';
	if (plain)
		return;
	crypto_generichash(digest, sizeof(digest), (const unsigned char *)name, strlen(name), NULL, 0);
	sodium_bin2hex(hex, sizeof(hex), digest, NAME_HASH_BYTES);
	snprintf(out + n, BGP_PROTOCOL_NAME_MAX + 1 - n, "__%s", hex);
}

static bool bird_char(unsigned char ch)
{
	return ch >= ' ' && ch <= '~' && ch != '"';
}

static void description(const char *text, char out[BGP_DESCRIPTION_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; text && text[i] && n < BGP_DESCRIPTION_MAX; i++)
		out[n++] = bird_char((unsigned char)text[i]) ? text[i] : '?';
	out[n] = '\0';
}

/* --- peers --- */

__attribute__((format(printf, 2, 3))) static void refuse(struct bgp_peer *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->reason, sizeof(p->reason), fmt, ap);
	va_end(ap);
}

static const struct weft_secret_item *secret_item(const struct weft_object *secret, const char *key)
{
	for (size_t i = 0; i < secret->secret.n_items; i++)
		if (!strcmp(secret->secret.items[i].key, key))
			return &secret->secret.items[i];
	return NULL;
}

static void set_password(const struct cluster *c, const struct weft_bgppeer *spec, struct bgp_peer *p)
{
	const struct weft_object *secret = cluster_secret_of(c, spec);
	const char *key = spec->secret_key ? spec->secret_key : "";
	const struct weft_secret_item *item;

	if (!spec->secret)
		return;
	if (!secret) {
		refuse(p, "its password's Secret %.100s does not exist in namespace %s", spec->secret,
		       CLUSTER_SECRET_NAMESPACE);
		return;
	}
	item = secret_item(secret, key);
	if (!item) {
		refuse(p, "the Secret %.100s has no key \"%.100s\"", spec->secret, key);
		return;
	}
	if (!item->len || item->len > BGP_PASSWORD_MAX) {
		refuse(p, "the password in Secret %.100s has %zu bytes; TCP MD5 takes 1 to %d", spec->secret,
		       item->len, BGP_PASSWORD_MAX);
		return;
	}
	for (size_t i = 0; i < item->len; i++) {
		if (bird_char(((const unsigned char *)item->value)[i]))
			continue;
		refuse(p,
		       "the password in Secret %.100s holds a character other than printable ASCII without the "
		       "double quote (a newline at its end?)",
		       spec->secret);
		return;
	}
	p->password = item->value;
	p->password_len = item->len;
}

/*
 * A router knows us by our address on the link between us; with node addresses on loopbacks that is not the
 * InternalIP. A session from another address than the router expects is refused.
 */
static struct weft_addr local_address(const struct bgp_params *params, const struct weft_addr *peer,
                                      const struct weft_addr *internal_ip)
{
	struct weft_addr found = *internal_ip;
	uint8_t len = 0;

	for (size_t i = 0; i < params->n_links; i++) {
		const struct routes_link *l = &params->links[i];

		if (!weft_prefix_contains(&l->prefix, peer))
			continue;
		if (!weft_addr_cmp(&l->addr, internal_ip))
			return *internal_ip;
		if (l->prefix.len >= len)
			found = l->addr;
		len = l->prefix.len >= len ? l->prefix.len : len;
	}
	return found;
}

static void set_address(const struct bgp_model *m, const struct bgp_params *params,
                        const struct weft_bgppeer *spec, struct bgp_peer *p)
{
	bool v6 = spec->address.family == AF_INET6;
	char text[WEFT_ADDR_STR];

	p->address = spec->address;
	p->local = local_address(params, &spec->address, v6 ? &m->ip6 : &m->ip4);
	weft_addr_str(&spec->address, text);
	if (!weft_addr_is_host(&spec->address))
		refuse(p, "%s is not a unicast address that a peer can have here", text);
	else if (!weft_addr_is_set(&p->local))
		refuse(p, "its address %s is IPv%d and our Node has no IPv%d InternalIP", text, v6 ? 6 : 4,
		       v6 ? 6 : 4);
	else if (!weft_addr_cmp(&p->address, &p->local))
		refuse(p, "its address %s is our own", text);
}

/* The peers before this one, in name order, have precedence. */
static void refuse_twin(const struct bgp_model *m, struct bgp_peer *p)
{
	for (size_t i = 0; i < m->n_peers && !*p->reason; i++) {
		const struct bgp_peer *q = &m->peers[i];

		if (!strcmp(q->protocol, p->protocol))
			refuse(p, "its protocol name %s is that of BGPPeer %.200s", p->protocol, q->name);
		else if (!*q->reason && !weft_addr_cmp(&q->address, &p->address))
			refuse(p, "BGPPeer %.200s has the same address", q->name);
	}
}

struct peers_ctx {
	const struct cluster *c;
	const struct bgp_params *params;
	const struct weft_object *self;
	struct bgp_model *m;
	size_t cap;
};

static bool plan_peer(void *ctx, const struct weft_object *obj)
{
	struct peers_ctx *x = ctx;
	const struct weft_bgppeer *spec = &obj->bgppeer;
	struct bgp_peer p = {.name = obj->meta.name, .port = spec->port, .as_number = spec->as_number};

	if (!weft_selector_matches(&spec->node_selector, x->self->meta.labels, x->self->meta.n_labels))
		return false;
	protocol_name(obj->meta.name, p.protocol);
	description(spec->description, p.description);
	set_address(x->m, x->params, spec, &p);
	if (!*p.reason && !spec->as_number)
		refuse(&p, "AS number 0 is reserved (RFC 7607)");
	if (!*p.reason && !spec->port)
		refuse(&p, "port 0 is no port");
	if (!*p.reason)
		set_password(x->c, spec, &p);
	refuse_twin(x->m, &p);
	if (x->m->n_peers == x->cap) {
		x->cap = x->cap ? 2 * x->cap : 4;
		x->m->peers = must_grow(x->m->peers, x->cap, sizeof(*x->m->peers));
	}
	x->m->peers[x->m->n_peers++] = p;
	return false;
}

/* --- ranges --- */

static void add_range(struct bgp_range **v, size_t *n, const struct weft_prefix *cidr, uint8_t ge, uint8_t le)
{
	if (ge < cidr->len || le < ge || le > weft_addr_bits(cidr->addr.family))
		return;
	*v = must_grow(*v, *n + 1, sizeof(**v));
	memset(&(*v)[*n], 0, sizeof(**v));
	(*v)[(*n)++] = (struct bgp_range){*cidr, ge, le};
}

static int range_cmp(const void *x, const void *y)
{
	const struct bgp_range *a = x, *b = y;
	int r = weft_prefix_cmp(&a->cidr, &b->cidr);

	return r ? r : a->ge != b->ge ? a->ge - b->ge : a->le - b->le;
}

static void sort_ranges(struct bgp_range *v, size_t *n)
{
	size_t kept = 0;

	if (*n > 1)
		qsort(v, *n, sizeof(*v), range_cmp);
	for (size_t i = 0; i < *n; i++)
		if (!kept || range_cmp(&v[kept - 1], &v[i]))
			v[kept++] = v[i];
	*n = kept;
}

static void plan_ranges(const struct cluster *c, const struct weft_bgpconfig *cfg, struct bgp_model *m)
{
	struct cluster_pool p;

	for (size_t i = 0; cluster_pool_at(c, i, &p); i++) {
		const struct weft_prefix *cidr = &p.spec->cidr;
		uint8_t ge = p.spec->block_size, le = p.spec->longest_block ? p.spec->longest_block : ge;

		/* A refused pool may have blocks from before; one without any must not open the filters. */
		if (p.spec->use != WEFT_USE_PODS || (p.refused && !p.n_blocks))
			continue;
		add_range(&m->advertise, &m->n_advertise, cidr, ge, le);
		add_range(&m->import, &m->n_import, cidr, ge, le);
	}
	for (size_t i = 0; cfg && i < cfg->n_import; i++)
		add_range(&m->import, &m->n_import, &cfg->import[i].cidr, cfg->import[i].ge,
		          cfg->import[i].le);
	sort_ranges(m->advertise, &m->n_advertise);
	sort_ranges(m->import, &m->n_import);
}

/* --- the model --- */

/* A node without IPv4 needs 4 octets that are unique in the AS all the same (RFC 6286): from its name. */
static struct weft_addr derived_router_id(const char *name)
{
	unsigned char digest[crypto_generichash_BYTES];
	struct weft_addr id = {.family = AF_INET};

	crypto_generichash(digest, sizeof(digest), (const unsigned char *)name, strlen(name), NULL, 0);
	memcpy(id.bytes, digest, 4);
	id.bytes[0] |= 1; /* never 0.0.0.0 */
	return id;
}

void bgp_plan(const struct cluster *c, const struct bgp_params *params, struct bgp_model *out)
{
	const struct weft_object *self = cluster_self(c), *obj = cluster_get(c, WEFT_BGPCONFIG, "default");
	const struct weft_bgpconfig *cfg = obj ? &obj->bgpconfig : NULL;
	struct peers_ctx x = {.c = c, .params = params, .self = self, .m = out};

	*out = (struct bgp_model){
	        .profile = params->profile,
	        .listen_port = cfg && cfg->listen_port ? cfg->listen_port : BGP_DEFAULT_PORT,
	        .local_as = cfg && cfg->as_number ? cfg->as_number : BGP_DEFAULT_AS,
	};
	if (self) {
		out->ip4 = self->node.ip4;
		out->ip6 = self->node.ip6;
		if (self->node.as_number)
			out->local_as = self->node.as_number;
	}
	out->router_id = cfg && weft_addr_is_set(&cfg->router_id) ? cfg->router_id
	                 : weft_addr_is_set(&out->ip4)            ? out->ip4
	                                                          : derived_router_id(cluster_self_name(c));
	if (self)
		cluster_each(c, WEFT_BGPPEER, plan_peer, &x);
	plan_ranges(c, cfg, out);
}

void bgp_model_free(struct bgp_model *m)
{
	free(m->peers);
	free(m->advertise);
	free(m->import);
	*m = (struct bgp_model){0};
}

/* --- sameness --- */

static void feed(crypto_generichash_state *s, const void *data, size_t len)
{
	uint64_t n = len; /* lengths first: no two models make one stream */

	crypto_generichash_update(s, (const unsigned char *)&n, sizeof(n));
	if (len)
		crypto_generichash_update(s, data, len);
}

static void feed_peer(crypto_generichash_state *s, const struct bgp_peer *p)
{
	uint8_t has_password = p->password != NULL;

	feed(s, p->protocol, strlen(p->protocol));
	feed(s, p->name, strlen(p->name));
	feed(s, p->description, strlen(p->description));
	feed(s, &p->address, sizeof(p->address));
	feed(s, &p->local, sizeof(p->local));
	feed(s, &p->port, sizeof(p->port));
	feed(s, &p->as_number, sizeof(p->as_number));
	feed(s, &has_password, sizeof(has_password));
	feed(s, p->password, p->password_len);
	feed(s, p->reason, strlen(p->reason));
}

static void feed_ranges(crypto_generichash_state *s, const struct bgp_range *v, size_t n)
{
	feed(s, &n, sizeof(n));
	for (size_t i = 0; i < n; i++) {
		feed(s, &v[i].cidr, sizeof(v[i].cidr));
		feed(s, &v[i].ge, sizeof(v[i].ge));
		feed(s, &v[i].le, sizeof(v[i].le));
	}
}

void bgp_fingerprint(const struct bgp_model *m, const uint8_t key[32], uint8_t out[BGP_FINGERPRINT])
{
	crypto_generichash_state s;

	crypto_generichash_init(&s, key, 32, BGP_FINGERPRINT);
	feed(&s, &m->router_id, sizeof(m->router_id));
	feed(&s, &m->local_as, sizeof(m->local_as));
	feed(&s, &m->listen_port, sizeof(m->listen_port));
	feed(&s, &m->profile, sizeof(m->profile));
	feed(&s, &m->ip4, sizeof(m->ip4));
	feed(&s, &m->ip6, sizeof(m->ip6));
	feed(&s, &m->n_peers, sizeof(m->n_peers));
	for (size_t i = 0; i < m->n_peers; i++)
		feed_peer(&s, &m->peers[i]);
	feed_ranges(&s, m->advertise, m->n_advertise);
	feed_ranges(&s, m->import, m->n_import);
	crypto_generichash_final(&s, out, BGP_FINGERPRINT);
	sodium_memzero(&s, sizeof(s));
}

bool bgp_model_equal(const struct bgp_model *a, const struct bgp_model *b)
{
	static const uint8_t key[32];
	uint8_t x[BGP_FINGERPRINT], y[BGP_FINGERPRINT];

	bgp_fingerprint(a, key, x);
	bgp_fingerprint(b, key, y);
	return !memcmp(x, y, sizeof(x));
}
