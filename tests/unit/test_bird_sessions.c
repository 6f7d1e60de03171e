// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a change does to sessions, tried on a real BIRD: bgp_model_restarts() says it, BIRD's protocols show it.
 *
 * One session for each field that a BGPPeer has, all with an address pair of their own. All fields change at once, each
 * on its session; so a session that restarts without need shows too.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "agent/apply/bird_stages.h"
#include "tests/unit/bird_lab.h"
#include "tests/unit/objects.h"
#include "weft/cleanup.h"

#define OURS   64600
#define THEIRS 65000

typedef void (*edit_fn)(struct weft_bgppeer *p);

static void nothing(struct weft_bgppeer *p)
{
	(void)p;
}

static void bfd_on(struct weft_bgppeer *p)
{
	p->bfd = 1;
}

static void bfd_slow(struct weft_bgppeer *p)
{
	p->bfd = 1;
	p->bfd_rx_ms = 500;
	p->bfd_multiplier = 5;
}

static void description(struct weft_bgppeer *p)
{
	p->description = strdup("another");
}

static void reject_one(struct weft_bgp_rule **rules, size_t *n)
{
	*rules = calloc(1, sizeof(**rules));
	*n = 1;
	(*rules)->prefixes = calloc(1, sizeof(struct weft_prefix_range));
	(*rules)->n_prefixes = 1;
	(*rules)->prefixes[0] = (struct weft_prefix_range){prefix("192.0.2.0/24"), 24, 32};
	(*rules)->reject = true;
}

static void import_rule(struct weft_bgppeer *p)
{
	reject_one(&p->import, &p->n_import);
}

static void export_rule(struct weft_bgppeer *p)
{
	reject_one(&p->export, &p->n_export);
}

static void limit(struct weft_bgppeer *p)
{
	p->max_prefixes = 77;
}

static void limit_action(struct weft_bgppeer *p)
{
	p->max_prefixes_action = WEFT_LIMIT_DISABLE;
}

static void next_hop(struct weft_bgppeer *p)
{
	p->next_hop = WEFT_NEXT_HOP_KEEP;
}

static void port(struct weft_bgppeer *p)
{
	p->port = 1790;
}

static void external(struct weft_bgppeer *p)
{
	p->as_mode = WEFT_PEER_AS_EXTERNAL;
}

static void local_as(struct weft_bgppeer *p)
{
	p->local_as = 64999;
}

static void multihop(struct weft_bgppeer *p)
{
	p->multihop = 3;
}

static void ttl_security(struct weft_bgppeer *p)
{
	p->ttl_security = true;
}

static void passive(struct weft_bgppeer *p)
{
	p->passive = true;
}

static void hold(struct weft_bgppeer *p)
{
	p->hold_s = 30;
}

static void retry(struct weft_bgppeer *p)
{
	p->connect_retry_s = 7;
}

static void password(struct weft_bgppeer *p)
{
	p->secret = strdup("s");
	p->secret_key = strdup("k");
}

static void own_as(struct weft_bgppeer *p)
{
	p->allow_own_as = 2;
}

static void graceful(struct weft_bgppeer *p)
{
	p->restart = WEFT_GR_ON;
}

static void graceful_longer(struct weft_bgppeer *p)
{
	p->restart = WEFT_GR_ON;
	p->restart_s = 77;
}

static void long_lived(struct weft_bgppeer *p)
{
	p->restart = WEFT_GR_ON;
	p->long_lived = true;
}

static void restart_off(struct weft_bgppeer *p)
{
	p->restart = WEFT_GR_OFF;
}

static void add_path(struct weft_bgppeer *p)
{
	p->add_path = WEFT_ADD_PATH_RECEIVE;
}

static void families(struct weft_bgppeer *p)
{
	p->families[0] = p->families[1] = true;
}

static void source(struct weft_bgppeer *p)
{
	p->source = addr("10.0.0.1");
}

static void internal(struct weft_bgppeer *p)
{
	p->as_number = OURS;
}

static void client(struct weft_bgppeer *p)
{
	internal(p);
	p->reflector_client = true;
}

static void cluster_id(struct weft_bgppeer *p)
{
	client(p);
	p->cluster_id = addr("9.9.9.9");
}

static const struct {
	const char *name;
	edit_fn before, after;
} fields[] = {
        {"nothing", nothing, nothing},
        {"description", nothing, description},
        {"import-rule", nothing, import_rule},
        {"export-rule", nothing, export_rule},
        {"limit", nothing, limit},
        {"limit-action", nothing, limit_action},
        {"next-hop", nothing, next_hop},
        {"bfd-on", nothing, bfd_on},
        {"bfd-off", bfd_on, nothing},
        {"bfd-times", bfd_on, bfd_slow},
        {"port", nothing, port},
        {"external", nothing, external},
        {"local-as", nothing, local_as},
        {"multihop", nothing, multihop},
        {"ttl-security", nothing, ttl_security},
        {"passive", nothing, passive},
        {"hold", nothing, hold},
        {"connect-retry", nothing, retry},
        {"password", nothing, password},
        {"own-as", nothing, own_as},
        {"graceful", nothing, graceful},
        {"graceful-time", graceful, graceful_longer},
        {"long-lived", graceful, long_lived},
        {"graceful-off", nothing, restart_off},
        {"add-path", nothing, add_path},
        {"families", nothing, families},
        {"source", nothing, source},
        {"internal", internal, internal},
        {"client", internal, client},
        {"cluster-id", client, cluster_id},
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static struct lab *lab;
static char secret_file[96];

static const char *secret_path(void *ctx, const struct bgp_peer *p)
{
	(void)ctx;
	(void)p;
	return secret_file;
}

static struct weft_object *config(void)
{
	struct weft_object *o = object(WEFT_BGPCONFIG, "default");

	o->bgpconfig.as_number = OURS;
	o->bgpconfig.listen_port = 179;
	return o;
}

static struct cluster *cluster(void)
{
	struct cluster *c = cluster_new("a");

	put(c, node("a", "10.0.0.1", "fd00::1"));
	put(c, pool("pods", "10.244.0.0/16", 26, WEFT_TUNNEL_FALLBACK));
	put(c, secret("s", "k", "x"));
	put(c, config());
	synced(c);
	return c;
}

static void put_peers(struct cluster *c, bool after)
{
	char text[WEFT_ADDR_STR];

	for (size_t i = 0; i < FIELDS; i++) {
		struct weft_object *o;

		snprintf(text, sizeof(text), "10.0.2.%zu", i + 1);
		o = peer(fields[i].name, text, THEIRS);
		snprintf(text, sizeof(text), "10.0.1.%zu", i + 1);
		o->bgppeer.source = addr(text);
		o->bgppeer.bfd = -1;
		(after ? fields[i].after : fields[i].before)(&o->bgppeer);
		put(c, o);
	}
}

/* The other end: what the sessions are before the change. */
static char *other_end(void)
{
	weft_auto(weft_buf_free) struct weft_buf b = {0};

	weft_buf_printf(&b, "router id 10.0.2.1;\nprotocol device {}\n");
	for (size_t i = 0; i < FIELDS; i++)
		weft_buf_printf(
		        &b,
		        "protocol bgp p%zu { local 10.0.2.%zu as %d; neighbor 10.0.1.%zu as %d; direct;\n"
		        "hold time 9; connect delay time 1; connect retry time 1; error wait time 1, 1;\n"
		        "ipv4 { import all; export none; }; }\n",
		        i, i + 1, fields[i].before == internal || fields[i].before == client ? OURS : THEIRS,
		        i + 1, OURS);
	return weft_buf_take(&b);
}

static char *text_of(const struct bgp_model *m)
{
	struct bird_conf_params params = {.node = "a", .custom_dir = lab->custom, .secret_path = secret_path};
	weft_auto(weft_buf_free) struct weft_buf out = {0};
	struct weft_err err = WEFT_ERR_INIT;

	if (bird_conf_render(lab->tmpl, m, &params, &out, &err) < 0)
		fail_msg("%s", err.text);
	return weft_buf_take(&out);
}

static void write_model(const struct bgp_model *m)
{
	weft_autofree char *text = text_of(m);

	lab_write(lab, 0, text);
}

/* One session's protocol as the text has it, between its first and its last line. */
static char *section_of(const char *text, const struct bgp_peer *p)
{
	char head[BGP_PROTOCOL_NAME_MAX + 32];
	const char *at, *end;

	snprintf(head, sizeof(head), "\nprotocol bgp %s ", p->protocol);
	at = strstr(text, head);
	end = at ? strstr(at, "\n}\n") : NULL;
	assert_non_null(end);
	return strndup(at, (size_t)(end + 3 - at));
}

/* Who rolls changes out judges by the text what restarts: as the model does, but for passwords, whose file has another
 * name then. */
static void texts_agree(const struct bgp_model *before, const struct bgp_model *after, const bool *restarts)
{
	weft_autofree char *old = text_of(before), *new = text_of(after);

	for (size_t i = 0; i < after->n_peers; i++) {
		const struct bgp_peer *p = &before->peers[i], *q = &after->peers[i];
		weft_autofree char *was = section_of(old, p), *is = section_of(new, q);
		struct bird_stage one = {.session = "another"};

		if (p->password_len != q->password_len)
			continue;
		if (bird_stage_asks(&one, was, is) != restarts[i])
			fail_msg("%s: the model says %s, the stages do not:\n%s\n%s", q->name,
			         restarts[i] ? "restart" : "none", was, is);
	}
}

static int setup(void **state)
{
	static struct lab the_lab;

	(void)state;
	lab = &the_lab;
	if (lab_up(lab, 2) < 0)
		return -1;
	snprintf(secret_file, sizeof(secret_file), "%s/secret", lab->dir);
	if (weft_file_create(secret_file, "password \"x\";\n", 14, 0644, NULL) < 0)
		return -1;
	lab_must(lab, 0, "ip addr add 10.0.0.1/16 dev lan");
	lab_must(lab, 1, "ip addr add 10.0.0.2/16 dev lan");
	for (size_t i = 0; i < FIELDS; i++) {
		lab_run(lab, 0, "ip addr add 10.0.1.%zu/32 dev lan", i + 1);
		lab_run(lab, 1, "ip addr add 10.0.2.%zu/32 dev lan", i + 1);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return lab_down(lab);
}

/* The line of a protocol in `show protocols`; "" = none. */
static void line_of(const struct bgp_peer *p, const char *all, char out[160])
{
	const char *at = strstr(all, p->protocol);

	while (at && at[strlen(p->protocol)] != ' ')
		at = strstr(at + 1, p->protocol);
	snprintf(out, 160, "%.*s", at ? (int)strcspn(at, "\n") : 0, at ? at : "");
}

static void all_established(const struct bgp_model *m)
{
	for (int i = 0; i < LAB_LIMIT; i++) {
		const char *all = lab_birdc(lab, 0, "show protocols");
		size_t up = 0;

		for (const char *s = all; (s = strstr(s, "Established")); s++)
			up++;
		if (up == m->n_peers)
			return;
		poll(NULL, 0, 100);
	}
	fail_msg("not all of %zu sessions are up: %s", m->n_peers, lab->said);
}

struct expected {
	const struct bgp_model *m;
	bool restarts[FIELDS];
};

static void on_change(void *ctx, const struct bgp_peer *p, enum bgp_change change, const char *field)
{
	struct expected *x = ctx;

	assert_true(change == BGP_SESSION_RESTARTS || change == BGP_SESSION_SOFT);
	assert_int_equal(field != NULL, change == BGP_SESSION_RESTARTS);
	x->restarts[p - x->m->peers] = change == BGP_SESSION_RESTARTS;
}

/* Load `after` in place of `before`, and compare what BIRD did with what the model said. */
static size_t change(const struct bgp_model *before, const struct bgp_model *after)
{
	struct expected x = {.m = after};
	char(*was)[160] = calloc(FIELDS, 160), line[160];
	size_t restarted = 0;

	bgp_model_restarts(before, after, on_change, &x);
	texts_agree(before, after, x.restarts);
	lab_birdc(lab, 0, "show protocols");
	for (size_t i = 0; i < before->n_peers; i++)
		line_of(&before->peers[i], lab->said, was[i]);
	write_model(after);
	if (!strstr(lab_birdc(lab, 0, "configure"), "Reconfigur"))
		fail_msg("%s", lab->said);
	lab_birdc(lab, 0, "show protocols");
	for (size_t i = 0; i < after->n_peers; i++) {
		line_of(&after->peers[i], lab->said, line);
		if ((strcmp(was[i], line) != 0) != x.restarts[i])
			fail_msg("%s: the model says %s, but BIRD's line was\n%s\nand is\n%s",
			         after->peers[i].name, x.restarts[i] ? "restart" : "none", was[i], line);
		restarted += x.restarts[i];
	}
	free(was);
	return restarted;
}

static void each_field_restarts_what_the_model_says(void **state)
{
	struct cluster *c = cluster(), *d = cluster();
	struct routes_link link = {.dev = "lan", .prefix = prefix("10.0.0.0/16"), .addr = addr("10.0.0.1")};
	struct bgp_params params = {.profile = BGP_FAST, .links = &link, .n_links = 1};
	weft_autofree char *other = other_end();
	struct bgp_model before, after;

	(void)state;
	put_peers(c, false);
	put_peers(d, true);
	bgp_plan(c, &params, &before);
	bgp_plan(d, &params, &after);
	for (size_t i = 0; i < FIELDS; i++) {
		assert_string_equal(before.peers[i].reason, "");
		assert_string_equal(after.peers[i].reason, "");
	}
	lab_write(lab, 1, other);
	write_model(&before);
	lab_bird(lab, 1);
	lab_bird(lab, 0);
	all_established(&before);
	assert_int_equal(change(&before, &before), 0);
	assert_in_range(change(&before, &after), 15, FIELDS - 8);
	write_model(&before);
	lab_birdc(lab, 0, "configure");
	bgp_model_free(&before);
	bgp_model_free(&after);
	cluster_free(c);
	cluster_free(d);
}

static void prefixes(struct weft_bgpconfig *c)
{
	c->import = calloc(1, sizeof(*c->import));
	c->import[0] = (struct weft_prefix_range){prefix("0.0.0.0/0"), 0, 0};
	c->n_import = 1;
}

static void announce(struct weft_bgpconfig *c)
{
	c->announce = WEFT_ADVERT_CLUSTER;
	c->drain_wait_s = 77;
}

static void router_id(struct weft_bgpconfig *c)
{
	c->router_id = addr("9.8.7.6");
}

static void listen_port(struct weft_bgpconfig *c)
{
	c->listen_port = 1799;
}

static void listen_address(struct weft_bgpconfig *c)
{
	c->listen_address[0] = addr("10.0.0.1");
}

/* What BGPConfig changes concerns all sessions or none. */
static void each_field_of_bgpconfig_too(void **state)
{
	static const struct {
		void (*edit)(struct weft_bgpconfig *c);
		size_t restarts;
	} edits[] = {{prefixes, 0},
	             {announce, 0},
	             {router_id, FIELDS},
	             {listen_port, FIELDS},
	             {listen_address, FIELDS}};
	struct routes_link link = {.dev = "lan", .prefix = prefix("10.0.0.0/16"), .addr = addr("10.0.0.1")};
	struct bgp_params params = {.profile = BGP_FAST, .links = &link, .n_links = 1};

	(void)state;
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		struct cluster *c = cluster(), *d = cluster();
		struct weft_object *edited = config();
		struct bgp_model before, after;

		edits[i].edit(&edited->bgpconfig);
		put(d, edited);
		put_peers(c, false);
		put_peers(d, false);
		bgp_plan(c, &params, &before);
		bgp_plan(d, &params, &after);
		all_established(&before);
		assert_int_equal(change(&before, &after), edits[i].restarts);
		write_model(&before);
		lab_birdc(lab, 0, "configure");
		bgp_model_free(&before);
		bgp_model_free(&after);
		cluster_free(c);
		cluster_free(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_field_restarts_what_the_model_says),
	        cmocka_unit_test(each_field_of_bgpconfig_too),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
