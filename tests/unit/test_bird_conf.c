// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * BIRD's configuration of a whole model: what it says, that BIRD takes it in every combination of options, and
 * that nothing of a peer's part depends on another peer.
 *
 * WEFT_TEST_BIRDS="/path/bird-2.19:/path/bird-3.3" parses all of it with further binaries too.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/bird/conf.h"
#include "tests/unit/objects.h"
#include "weft/cleanup.h"
#include "weft/file.h"

#define BIRD "/usr/sbin/bird"

struct bed {
	char dir[32], custom[64], conf[64], secret[64];
	struct tmpl *tmpl;
};

static const char *secret_path(void *ctx, const struct bgp_peer *peer)
{
	struct bed *bed = ctx;

	(void)peer;
	return bed->secret;
}

static int setup(void **state)
{
	static struct bed bed = {.dir = "/tmp/weft-conf-XXXXXX"};
	struct weft_err err = WEFT_ERR_INIT;

	if (!mkdtemp(bed.dir))
		return -1;
	snprintf(bed.custom, sizeof(bed.custom), "%s/custom", bed.dir);
	if (mkdir(bed.custom, 0755))
		return -1;
	snprintf(bed.conf, sizeof(bed.conf), "%s/bird.conf", bed.dir);
	snprintf(bed.secret, sizeof(bed.secret), "%s/secret.conf", bed.dir);
	if (weft_file_create(bed.secret, "password \"x\";\n", 14, 0644, &err) < 0)
		return -1;
	*state = &bed;
	return bird_conf_load("bird-templates", &bed.tmpl, &err);
}

static int teardown(void **state)
{
	struct bed *bed = *state;

	tmpl_free(bed->tmpl);
	unlink(bed->conf);
	rmdir(bed->custom);
	unlink(bed->secret);
	return rmdir(bed->dir);
}

static char *render(struct bed *bed, const struct bgp_model *m)
{
	struct bird_conf_params params = {
	        .node = "n1", .custom_dir = bed->custom, .secret_path = secret_path, .ctx = bed};
	weft_auto(weft_buf_free) struct weft_buf out = {0};
	struct weft_err err = WEFT_ERR_INIT;

	if (bird_conf_render(bed->tmpl, m, &params, &out, &err) < 0)
		fail_msg("%s", err.text);
	return weft_buf_take(&out);
}

static void parse_with(const char *binary, const struct bed *bed, const char *text)
{
	char command[512], said[512] = "";
	FILE *out;

	snprintf(command, sizeof(command), "%s -p -c %s 2>&1", binary, bed->conf);
	out = popen(command, "r");
	assert_non_null(out);
	said[fread(said, 1, sizeof(said) - 1, out)] = '\0';
	if (pclose(out) != 0)
		fail_msg("%s: %s\n%s", binary, said, text);
	/* 3.x wants "authentication md5" beside a password, which 2.x does not know. */
	if (strstr(said, "<WARN>") && !strstr(said, "Missing authentication option, assuming MD5"))
		fail_msg("%s: %s", binary, said);
}

static void parses(struct bed *bed, const char *text)
{
	const char *more = getenv("WEFT_TEST_BIRDS");
	weft_autofree char *list = strdup(more ? more : "");
	struct weft_err err = WEFT_ERR_INIT;

	if (weft_file_replace(bed->conf, text, strlen(text), 0644, &err) < 0)
		fail_msg("%s", err.text);
	parse_with(BIRD, bed, text);
	for (char *save, *b = strtok_r(list, ":", &save); b; b = strtok_r(NULL, ":", &save))
		parse_with(b, bed, text);
}

/* --- a cluster with everything --- */

static struct weft_community_ref named(const char *name)
{
	return (struct weft_community_ref){.name = strdup(name)};
}

static struct weft_community_ref valued(const char *name, bool large, uint32_t a, uint32_t b, uint32_t c)
{
	return (struct weft_community_ref){.name = name ? strdup(name) : NULL,
	                                   .value = {.large = large, .part = {a, b, c}}};
}

#define LIST(type, ...)                                                                  \
	({                                                                               \
		const type items[] = {__VA_ARGS__};                                      \
		type *copy = calloc(sizeof(items) / sizeof(items[0]), sizeof(items[0])); \
		memcpy(copy, items, sizeof(items));                                      \
		copy;                                                                    \
	})

static struct weft_object *config(void)
{
	struct weft_object *o = object(WEFT_BGPCONFIG, "default");
	struct weft_bgpconfig *c = &o->bgpconfig;

	c->as_number = 64600;
	c->listen_port = 179;
	c->communities = LIST(struct weft_community_ref, valued("blue", false, 64600, 7, 0),
	                      valued("green", true, 4200000000u, 1, 4294967295u));
	c->n_communities = 2;
	c->import = LIST(struct weft_prefix_range, {prefix("0.0.0.0/0"), 0, 0}, {prefix("::/0"), 0, 0});
	c->n_import = 2;
	return o;
}

static struct weft_object *advert(const char *name)
{
	struct weft_object *o = object(WEFT_BGPADVERTISEMENT, name);
	struct weft_bgpadvertisement *a = &o->bgpadvertisement;

	a->types = WEFT_ADVERT_LOADBALANCER;
	a->communities = LIST(struct weft_community_ref, named("green"), named("blue"), named("gone"));
	a->n_communities = 3;
	a->has_local_pref = true;
	a->local_pref = 4294967295u;
	a->prepend = 2;
	a->endpoint_weight = true;
	return o;
}

static struct cluster *cluster(void)
{
	struct cluster *c = cluster_new("a");

	put(c, labelled(node("a", "10.1.1.1", "fd01::1"), "rack", "1"));
	put(c, pool("pods", "10.244.0.0/16", 26, WEFT_TUNNEL_FALLBACK));
	put(c, pool("pods6", "fd44::/64", 122, WEFT_TUNNEL_FALLBACK));
	put(c, secret("s", "k", "x"));
	put(c, config());
	put(c, advert("gold"));
	synced(c);
	return c;
}

static const char *const gold[] = {"gold"};
static const struct advert_class classes[] = {
        {.metric = 100, .type = WEFT_ADVERT_PODBLOCK},
        {.metric = 200, .type = WEFT_ADVERT_LOADBALANCER},
        {.metric = 1000, .type = WEFT_ADVERT_LOADBALANCER, .names = gold, .n_names = 1},
};
static const struct routes_link links[] = {
        {.dev = "eth0",
         .prefix = {.addr = {.family = AF_INET, .bytes = {10, 1, 1, 0}}, .len = 24},
         .addr = {.family = AF_INET, .bytes = {10, 1, 1, 1}}},
};
static const struct bgp_params everything = {
        .profile = BGP_FAST, .classes = classes, .n_classes = 3, .links = links, .n_links = 1};

static struct weft_bgp_rule *rules(bool import)
{
	struct weft_bgp_rule *r = calloc(4, sizeof(*r));

	r[0].prefixes = LIST(struct weft_prefix_range, {prefix("192.168.0.0/16"), 16, 32},
	                     {prefix("fd99::/16"), 16, 128});
	r[0].n_prefixes = 2;
	r[0].communities = LIST(struct weft_community_ref, named("green"), named("blue"));
	r[0].n_communities = 2;
	r[0].as_path = LIST(uint32_t, 65000, 4200000001u);
	r[0].n_as_path = 2;
	r[0].has_local_pref = true;
	r[0].local_pref = 250;
	r[1].prefixes = LIST(struct weft_prefix_range, {prefix("fd98::/16"), 16, 16});
	r[1].n_prefixes = 1;
	r[1].reject = true;
	r[2].communities = LIST(struct weft_community_ref, valued(NULL, false, 65535, 65281, 0));
	r[2].n_communities = 1;
	r[2].add_communities = LIST(struct weft_community_ref, named("blue"));
	r[2].n_add_communities = 1;
	r[2].prepend = import ? 0 : 3;
	return r;
}

static void with_rules(struct weft_object *o)
{
	o->bgppeer.import = rules(true);
	o->bgppeer.export = rules(false);
	o->bgppeer.n_import = o->bgppeer.n_export = 4; /* the last: everything, as it is */
}

/* --- combinations --- */

/* Option i of combination n takes one of its values; over all n every pair of values of two options meets. */
static unsigned pick(unsigned n, unsigned option, unsigned values)
{
	static const unsigned prime = 11;

	return (n / prime + option * (n % prime)) % prime % values;
}

static struct weft_object *combined(unsigned n)
{
	static const char *const addresses[] = {"10.1.1.254", "fd01::fe", "fe80::1", "10.9.9.9"};
	static const uint32_t hold[] = {0, 3, 90};
	unsigned where = pick(n, 0, 4), as = pick(n, 1, 4), o = 2;
	struct weft_object *p = peer("tor", addresses[where], as == 3 ? 64600 : 65000);
	struct weft_bgppeer *b = &p->bgppeer;

	b->interface = where == 2 ? strdup("v_0.5-eth-0") : NULL;
	b->as_mode = as < 3 ? (enum weft_peer_as)as : WEFT_PEER_AS_NUMBER;
	b->multihop = where == 3 && pick(n, o++, 2) ? 4 : 0;
	b->ttl_security = pick(n, o++, 2);
	b->passive = pick(n, o++, 2);
	b->hold_s = (uint16_t)hold[pick(n, o++, 3)];
	b->bfd = (int)pick(n, o++, 3) - 1;
	b->restart = (enum weft_gr_mode)pick(n, o++, 4);
	b->long_lived = pick(n, o++, 2);
	b->max_prefixes_action = (enum weft_limit_action)pick(n, o++, 4);
	b->allow_own_as = (uint8_t)pick(n, o++, 3);
	b->next_hop = (enum weft_next_hop)pick(n, o, 2);
	b->add_path = (enum weft_add_path)pick(n, 3, 4);
	b->reflector_client = pick(n, 6, 2);
	b->cluster_id = addr(pick(n, 7, 2) ? "1.2.3.4" : NULL);
	b->local_as = pick(n, 8, 3) == 2 ? 65009 : 0;
	if (pick(n, 9, 2))
		b->families[0] = b->families[1] = true;
	if (pick(n, 4, 2))
		with_rules(p);
	if (pick(n, 5, 2)) {
		b->secret = strdup("s");
		b->secret_key = strdup("k");
	}
	return p;
}

static void every_pair_of_options_parses(void **state)
{
	struct cluster *c = cluster();
	unsigned rendered = 0;

	for (unsigned n = 0; n < 121; n++) {
		struct bgp_params params = everything;
		struct bgp_model m;
		weft_autofree char *text = NULL;

		params.profile = n % 2 ? BGP_FAST : BGP_GRACEFUL;
		params.drain = (enum bgp_drain)(n % 3);
		put(c, combined(n));
		bgp_plan(c, &params, &m);
		assert_int_equal(m.n_peers, 1);
		text = render(*state, &m);
		if (!m.peers[0].reason[0]) {
			rendered++;
			parses(*state, text);
		}
		bgp_model_free(&m);
	}
	assert_true(rendered > 20);
	cluster_free(c);
}

static size_t times(const char *text, const char *word)
{
	size_t n = 0;

	for (const char *at = text; (at = strstr(at, word)); at++)
		n++;
	return n;
}

/* A router of an unnumbered link takes no session from whom it did not hear. */
static void unnumbered_links_hear_of_us(void **state)
{
	static const struct bgp_neighbour seen[] = {
	        {.dev = "eth0", .addr = {.family = AF_INET6, .bytes = {0xfe, 0x80, [15] = 1}}},
	        {.dev = "eth0", .addr = {.family = AF_INET6, .bytes = {0xfe, 0x80, [15] = 2}}},
	        {.dev = "eth1", .addr = {.family = AF_INET6, .bytes = {0xfe, 0x80, [15] = 1}}},
	};
	struct cluster *c = cluster();
	struct bgp_params params = everything;
	struct weft_object *p = peer("tor", NULL, 65000);

	p->bgppeer.interface = strdup("eth0");
	put(c, p);
	for (size_t n = 0; n <= 3; n += 3) {
		struct bgp_model m;
		weft_autofree char *text = NULL;

		params.neighbours = seen;
		params.n_neighbours = n;
		bgp_plan(c, &params, &m);
		text = render(*state, &m);
		assert_int_equal(times(text, "protocol radv "), n ? 1 : 0);
		assert_int_equal(times(text, "interface \"eth0\""), n ? 1 : 0);
		assert_int_equal(times(text, "interface \"eth1\""), 0);
		assert_int_equal(times(text, "neighbor fe80::"), n ? 2 : 0);
		parses(*state, text);
		bgp_model_free(&m);
	}
	cluster_free(c);
}

/* --- no peer's part depends on another --- */

/* From a peer's heading to the next one. */
static char *part_of(const char *text, const char *heading)
{
	const char *from = strstr(text, heading), *to;

	assert_non_null(from);
	to = strstr(from + 1, "# ---- ");
	to = to ? to : strstr(from, "include \"/tmp/weft-conf");
	return strndup(from, (size_t)(to - from));
}

static unsigned chance(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % n;
}

static void put_another(struct cluster *c, unsigned *seed)
{
	char name[16], address[24];
	unsigned n = chance(seed, 6);
	struct weft_object *o = combined(chance(seed, 121));

	snprintf(name, sizeof(name), "%c%u", chance(seed, 2) ? 'a' : 'x', n);
	snprintf(address, sizeof(address), "10.1.1.%u", n + 10);
	free(o->meta.name);
	o->meta.name = strdup(name);
	o->bgppeer.address = addr(address);
	free(o->bgppeer.interface);
	o->bgppeer.interface = NULL;
	put(c, o);
}

/* Something that is none of the peer's business changes. */
static void mutate(struct cluster *c, struct bgp_params *p, struct bgp_peer_drain *drain, unsigned *seed)
{
	char text[32];
	struct weft_object *o = config();
	unsigned n = chance(seed, 5);

	switch (chance(seed, 6)) {
	case 0:
		snprintf(text, sizeof(text), "%c%u", chance(seed, 2) ? 'a' : 'x', n);
		del(c, WEFT_BGPPEER, text);
		break;
	case 1:
		snprintf(text, sizeof(text), "10.%u.0.0/16", 100 + n);
		put(c, pool(text, text, 26, WEFT_TUNNEL_FALLBACK));
		break;
	case 2:
		o->bgpconfig.node_mesh = chance(seed, 2);
		o->bgpconfig.import[0].ge = o->bgpconfig.import[0].le = (uint8_t)n;
		put(c, o);
		put(c, node("b", n ? "10.1.1.2" : NULL, NULL));
		return;
	case 3:
		*drain = (struct bgp_peer_drain){n ? "x1" : "a2", (enum bgp_drain)chance(seed, 3)};
		p->peer_drains = drain;
		p->n_peer_drains = 1;
		break;
	default:
		put_another(c, seed);
	}
	weft_object_free(o);
}

static void a_peers_part_stays_byte_for_byte(void **state)
{
	struct bgp_params p = everything;
	struct bgp_peer_drain drain;
	struct cluster *c = cluster();
	struct weft_object *fixed = peer("fixed", "10.1.1.254", 65000);
	weft_autofree char *was = NULL;
	unsigned seed = 1;

	with_rules(fixed);
	put(c, fixed);
	for (unsigned i = 0; i < 300; i++) {
		weft_autofree char *text = NULL, *part = NULL;
		struct bgp_model m;

		bgp_plan(c, &p, &m);
		text = render(*state, &m);
		part = part_of(text, "# ---- BGPPeer fixed ----");
		if (was)
			assert_string_equal(part, was);
		else
			was = WEFT_TAKE_PTR(part);
		if (i % 60 == 59) /* and the whole is one that BIRD takes */
			parses(*state, text);
		bgp_model_free(&m);
		mutate(c, &p, &drain, &seed);
	}
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(unnumbered_links_hear_of_us),
	        cmocka_unit_test(every_pair_of_options_parses),
	        cmocka_unit_test(a_peers_part_stays_byte_for_byte),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
