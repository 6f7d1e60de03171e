// SPDX-License-Identifier: GPL-2.0-or-later
/* What BIRD's replies mean, from recorded sessions of three versions, and from replies that are wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>

#include "agent/bird/show.h"
#include "tests/unit/transcript.h"

static const char *const versions[] = {"2.0.12", "2.17.6", "3.3.2"};

static struct bird_protos protocols(void **state, const char *version, const char *command)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct bird_protos p;

	if (bird_show_protocols(recorded(state, version, command), &p, &err) != 0)
		fail_msg("%s, %s: %s", version, command, err.text);
	return p;
}

static void check_proto(const struct bird_protos *p, const char *name, const char *proto, const char *table,
                        const char *proto_state)
{
	const struct bird_proto *found = bird_protos_find(p, name);

	if (!found)
		fail_msg("no protocol %s", name);
	assert_string_equal(found->proto, proto);
	assert_string_equal(found->table, table);
	assert_string_equal(found->state, proto_state);
	assert_memory_equal(found->since, "2030-01-02T", 11);
	assert_int_equal(strlen(found->since), 19);
}

static void protocols_are_read_by_their_heading(void **state)
{
	for (size_t v = 0; v < WEFT_ARRAY_LEN(versions); v++) {
		struct bird_protos p = protocols(state, versions[v], "show protocols");

		assert_int_equal(p.count, 12);
		check_proto(&p, "device1", "Device", "---", "up");
		check_proto(&p, "kmain4", "Kernel", "master4", "up");
		check_proto(&p, "padv6", "Pipe", "---", "up");
		check_proto(&p, "bfd1", "BFD", "---", "up");
		check_proto(&p, "tor1", "BGP", "---", "up");
		check_proto(&p, "tor9", "BGP", "---", "start");
		assert_string_equal(bird_protos_find(&p, "padv4")->info, "adv4 <=> master4");
		assert_string_equal(bird_protos_find(&p, "padv4")->bgp_state, "");
		assert_true(bird_proto_established(bird_protos_find(&p, "tor1")));
		assert_string_equal(bird_protos_find(&p, "tor1")->last_error, "");
		assert_false(bird_proto_established(bird_protos_find(&p, "tor9")));
		assert_string_equal(bird_protos_find(&p, "tor9")->bgp_state, "Active");
		assert_string_equal(bird_protos_find(&p, "tor9")->last_error,
		                    "Socket: Connection reset by peer");
		assert_null(bird_protos_find(&p, "tor"));
		bird_protos_free(&p);
		assert_int_equal(p.count, 0);
	}
}

/* A protocol that is down has its error alone in the last column. */
static void a_session_that_is_down_in_the_table(void **state)
{
	struct bird_protos p = protocols(state, "2.0.12-many", "show protocols");
	const char *name = "tor-with.a_very-long:name-0123456789";

	assert_string_equal(bird_protos_find(&p, name)->bgp_state, "Down");
	assert_string_equal(bird_protos_find(&p, "ll")->bgp_state, "Connect");
	bird_protos_free(&p);
	assert_int_equal(
	        bird_show_protocols(parse_reply(*state, "2002-Name  Proto  Table  State  Since  Info\n"
	                                                "1002-x  BGP  ---  down  now  Active x: y\n"
	                                                "0000 \n"),
	                            &p, NULL),
	        0);
	assert_string_equal(p.list[0].bgp_state, "Down");
	assert_string_equal(p.list[0].last_error, "Active x: y");
	bird_protos_free(&p);
}

static void an_established_session_in_detail(void **state)
{
	static const uint32_t hold_left[] = {44488, 70539, 81861};

	for (size_t v = 0; v < WEFT_ARRAY_LEN(versions); v++) {
		struct bird_protos p = protocols(state, versions[v], "show protocols all tor1");
		const struct bird_proto *t = bird_protos_find(&p, "tor1");
		char addr[WEFT_ADDR_STR];

		assert_int_equal(p.count, 1);
		assert_string_equal(t->description, "d1");
		assert_true(bird_proto_established(t));
		assert_string_equal(t->neighbor, "10.0.1.1");
		assert_string_equal(weft_addr_str(&t->neighbor_addr, addr), "10.0.1.1");
		assert_int_equal(t->neighbor_as, 65001);
		assert_int_equal(t->local_as, 65010);
		assert_string_equal(t->neighbor_id, "10.0.1.1");
		assert_string_equal(t->source_address, "10.0.1.10");
		assert_string_equal(t->last_error, "");
		assert_string_equal(t->message, "");
		assert_int_equal(t->hold_time, 90);
		assert_int_equal(t->hold_left, hold_left[v]);
		assert_int_equal(t->keepalive_time, 30);
		assert_int_equal(t->channel_count, 2);
		assert_string_equal(t->channels[0].name, "ipv4");
		assert_string_equal(t->channels[0].state, "UP");
		assert_string_equal(t->channels[0].import_state, v == 2 ? "UP" : "");
		assert_string_equal(t->channels[0].export_state, v == 2 ? "READY" : "");
		assert_string_equal(t->channels[0].table, "master4");
		assert_string_equal(t->channels[0].input_filter, "named_imp");
		assert_string_equal(t->channels[0].output_filter, "(unnamed)");
		assert_int_equal(t->channels[0].import_limit, 1000);
		assert_false(t->channels[0].import_limit_hit);
		assert_true(t->channels[0].has_routes);
		assert_int_equal(t->channels[0].imported, 1);
		assert_int_equal(t->channels[0].exported, 1);
		assert_int_equal(t->channels[0].preferred, 1);
		assert_int_equal(t->channels[0].filtered, 0);
		assert_string_equal(t->channels[1].name, "ipv6");
		assert_int_equal(t->channels[1].import_limit, 0);
		assert_int_equal(t->channels[1].imported, 1);
		bird_protos_free(&p);
	}
}

static void check_changes(const struct bird_changes *c, const char *want)
{
	char text[128] = "", *at = text;

	for (int i = 0; i < BIRD_OUTCOMES; i++)
		at += c->given[i] ? sprintf(at, "%u ", c->count[i]) : sprintf(at, "- ");
	assert_string_equal(text, want);
}

/* What became of routes: by heading, since 2.17 and 3.x have columns that 2.0 has not. */
static void what_became_of_routes(void **state)
{
	struct bird_protos p = protocols(state, "2.0.12", "show protocols all tor1");
	const struct bird_changes *c = bird_protos_find(&p, "tor1")->channels[0].changes;

	check_changes(&c[BIRD_IMPORT_UPDATES], "2 0 0 1 1 ");
	check_changes(&c[BIRD_IMPORT_WITHDRAWS], "1 0 - 1 0 ");
	check_changes(&c[BIRD_EXPORT_WITHDRAWS], "0 - - - 0 ");
	bird_protos_free(&p);
	for (size_t v = 1; v < WEFT_ARRAY_LEN(versions); v++) {
		p = protocols(state, versions[v], "show protocols all tor1");
		c = bird_protos_find(&p, "tor1")->channels[0].changes;
		check_changes(&c[BIRD_IMPORT_UPDATES], "1 0 0 0 1 ");
		assert_true(c[BIRD_EXPORT_UPDATES].given[BIRD_ACCEPTED]);
		bird_protos_free(&p);
	}
	assert_int_equal(
	        bird_show_protocols(parse_reply(*state,
	                                        "2002-Name  Proto  Table  State  Since  Info\n"
	                                        "1002-x  BGP  ---  up  now  Established\n"
	                                        "1006-  Channel ipv4\n"
	                                        "     Import updates:  9  9\n"
	                                        "     Route change stats:  later thing   accepted  rejected\n"
	                                        "     Import updates:  7  4294967295  4294967296  3\n"
	                                        "     Export updates:  7\n"
	                                        "   Channel ipv6\n"
	                                        "     Import updates:  5  5\n"
	                                        "0000 \n"),
	                            &p, NULL),
	        0);
	c = p.list[0].channels[0].changes;
	check_changes(&c[BIRD_IMPORT_UPDATES], "- - - - 4294967295 ");
	check_changes(&c[BIRD_EXPORT_UPDATES], "- - - - - ");
	check_changes(&p.list[0].channels[1].changes[BIRD_IMPORT_UPDATES], "- - - - - ");
	bird_protos_free(&p);
}

static void a_session_that_is_down_in_detail(void **state)
{
	for (size_t v = 0; v < WEFT_ARRAY_LEN(versions); v++) {
		struct bird_protos p = protocols(state, versions[v], "show protocols all tor9");
		const struct bird_proto *t = bird_protos_find(&p, "tor9");

		assert_string_equal(t->description, "to tor9");
		assert_string_equal(t->bgp_state, "Active");
		assert_string_equal(t->last_error, "Socket: Connection reset by peer");
		assert_int_equal(t->hold_time, 0);
		assert_int_equal(t->channel_count, 2);
		assert_string_equal(t->channels[1].state, "DOWN");
		assert_false(t->channels[1].has_routes);
		bird_protos_free(&p);
	}
}

static void all_protocols_in_detail(void **state)
{
	struct bird_protos p = protocols(state, "2.0.12-many", "show protocols all");
	const struct bird_proto *t;

	assert_int_equal(p.count, 12);
	assert_int_equal(p.channel_count, 4 + 2 * 6);
	/* What a user writes into a description poses as nothing. */
	t = bird_protos_find(&p, "tor1");
	assert_string_equal(t->description, "rack 1: State: Channel ipv4 } ; it's # up");
	assert_int_equal(t->channel_count, 2);
	assert_int_equal(t->channels[0].import_limit, 1);
	assert_true(t->channels[0].import_limit_hit);
	assert_int_equal(t->channels[0].exported, 2);
	/* A name wider than its column. */
	t = bird_protos_find(&p, "tor-with.a_very-long:name-0123456789");
	assert_string_equal(t->proto, "BGP");
	assert_string_equal(t->state, "down");
	assert_string_equal(t->bgp_state, "Down");
	assert_string_equal(t->since, "2030-01-02T14:46:48");
	assert_string_equal(t->neighbor, "10.0.9.9");
	t = bird_protos_find(&p, "ll");
	assert_string_equal(t->neighbor, "fe80::1%va");
	assert_int_equal(t->neighbor_addr.family, AF_INET6);
	assert_string_equal(t->description, "");
	t = bird_protos_find(&p, "dyn");
	assert_string_equal(t->neighbor, "10.0.3.0/24");
	assert_int_equal(t->neighbor_addr.family, AF_UNSPEC);
	assert_string_equal(t->bgp_state, "Passive");
	/* No channels, and channels of another form. */
	assert_int_equal(bird_protos_find(&p, "device1")->channel_count, 0);
	t = bird_protos_find(&p, "padv4");
	assert_int_equal(t->channel_count, 1);
	assert_string_equal(t->channels[0].name, "main");
	assert_string_equal(t->channels[0].import_state, "up");
	assert_int_equal(bird_protos_find(&p, "st1")->channels[0].preferred, 2);
	bird_protos_free(&p);
}

static void rows_need_their_heading_and_nothing_else(void **state)
{
	static const struct {
		const char *text;
		int rc;
	} cases[] = {
	        {"0000 \n", 0},
	        {"2002-Name Proto  Table  State  Since  Info\n0000 \n", 0},
	        {"1002-tor1 BGP --- up now Established\n0000 \n", -EPROTO},
	        {"2002-Foo  Bar\n1002-tor1 BGP --- up now Established\n0000 \n", -EPROTO},
	        {"2002-\n1002-tor1\n0000 \n", -EPROTO},
	        {"2002-Name  Proto  Table  State  Since  Info\n1002-tor1\n0000 \n", -EPROTO},
	        {"1006-  Description: before any row\n0000 \n", 0},
	        {"8003 No protocols match\n", -ENOENT},
	        {"9001 syntax error\n", -EREMOTEIO},
	};
	struct bird_protos p;

	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		struct weft_err err = WEFT_ERR_INIT;

		assert_int_equal(bird_show_protocols(parse_reply(*state, cases[i].text), &p, &err),
		                 cases[i].rc);
		assert_int_equal(err.code, cases[i].rc);
		assert_int_equal(p.count, 0);
		bird_protos_free(&p);
	}
}

/* Other columns, another time format, labels of a version to come, numbers that are none. */
static void what_is_unknown_is_passed_over(void **state)
{
	const struct bird_reply *r = parse_reply(
	        *state,
	        "2002-Proto      Name       Flags      State  Table      Since         Info\n"
	        "1002-BGP        tor1       x,y        up     ---        2030-01-02 12:10:28.592  Established   "
	        "Received: Cease\n"
	        "1006-  Mood:           good\n"
	        "   Neighbor AS:      4294967295\n"
	        "   Local AS:         99999999999\n"
	        "   Hold timer:       -/-\n"
	        "   Keepalive timer:  4294967.999/4294967296\n"
	        "   Local:            7\n"
	        "   no label here\n"
	        "   Channel ipv4-mpls\n"
	        "    Description:    of the channel, not of the protocol\n"
	        "    Routes:         7 imported, 6 dreamt, 5 filtered, x exported, 3 preferred\n"
	        "    Import limit:   many\n"
	        "   Channel \n"
	        "   Channel ipv6\n"
	        "    Routes:\n"
	        "1002-Pipe       p          -          up     ---        12:10:28.592  a => b\n"
	        "0000 \n");
	struct weft_err err = WEFT_ERR_INIT;
	struct bird_protos p;

	assert_int_equal(bird_show_protocols(r, &p, &err), 0);
	assert_int_equal(p.count, 2);
	assert_string_equal(p.list[0].name, "tor1");
	assert_string_equal(p.list[0].proto, "BGP");
	assert_string_equal(p.list[0].since, "2030-01-02 12:10:28.592");
	assert_string_equal(p.list[0].bgp_state, "Established");
	assert_string_equal(p.list[0].last_error, "Received: Cease");
	assert_string_equal(p.list[0].description, "");
	assert_true(p.list[0].neighbor_as == 4294967295u);
	assert_int_equal(p.list[0].local_as, 0);
	assert_int_equal(p.list[0].hold_time, 0);
	assert_int_equal(p.list[0].keepalive_time, 0);
	assert_int_equal(p.list[0].channel_count,
	                 2); /* blanks at the end are cut: the one without a name is none */
	assert_string_equal(p.list[0].channels[0].name, "ipv4-mpls");
	assert_int_equal(p.list[0].channels[0].imported, 7);
	assert_int_equal(p.list[0].channels[0].filtered, 5);
	assert_int_equal(p.list[0].channels[0].preferred, 0); /* after a counter that is none, no more */
	assert_int_equal(p.list[0].channels[0].import_limit, 0);
	assert_true(p.list[0].channels[1].has_routes);
	assert_string_equal(p.list[1].since, "12:10:28.592");
	assert_string_equal(p.list[1].info, "a => b");
	bird_protos_free(&p);
}

static void a_peers_words_stay_text(void **state)
{
	const struct bird_reply *r = parse_reply(
	        *state, "2002-Name       Proto      Table      State  Since         Info\n"
	                "1002-tor1       BGP        ---        start  2030-01-02T12:10:18  Idle          "
	                "Received: Administrative shutdown: \"BGP state: Established\"\n"
	                "1006-  Message:        Channel ipv4: Neighbor AS: 1\x1b[2J\n"
	                "   BGP state:          Idle\n"
	                "     Neighbor AS:      65001\n"
	                "       Hostname: Local AS: 7\n"
	                " \n"
	                "0000 \n");
	struct bird_protos p;

	assert_int_equal(bird_show_protocols(r, &p, NULL), 0);
	assert_string_equal(p.list[0].bgp_state, "Idle");
	assert_string_equal(p.list[0].last_error,
	                    "Received: Administrative shutdown: \"BGP state: Established\"");
	assert_string_equal(p.list[0].message, "Channel ipv4: Neighbor AS: 1?[2J");
	assert_int_equal(p.list[0].neighbor_as, 65001);
	assert_int_equal(p.list[0].local_as, 0);
	assert_int_equal(p.list[0].channel_count, 0);
	bird_protos_free(&p);
}

static void the_welcome_tells_the_version(void **state)
{
	static const struct {
		const char *text;
		unsigned v[3];
	} cases[] = {
	        {"0001 BIRD 2.0.12 ready.\n", {2, 0, 12}},   {"0001 BIRD 3.3.2 ready.\n", {3, 3, 2}},
	        {"0001 BIRD 2.19 ready.\n", {2, 19, 0}},     {"0001 BIRD 3.0-alpha1 ready.\n", {3, 0, 0}},
	        {"0001 BIRD 2.17.6+x ready.\n", {2, 17, 6}}, {"0001 BIRD 4\n", {4, 0, 0}},
	};
	static const char *const bad[] = {"0001 BIRD ready.\n", "0001 FRR 10\n", "0000 BIRD 2.0.12\n",
	                                  "8007 Access denied\n"};
	struct bird_version v;

	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		assert_int_equal(bird_welcome(parse_reply(*state, cases[i].text), &v, NULL), 0);
		assert_int_equal(v.major, cases[i].v[0]);
		assert_int_equal(v.minor, cases[i].v[1]);
		assert_int_equal(v.patch, cases[i].v[2]);
	}
	for (size_t i = 0; i < WEFT_ARRAY_LEN(bad); i++)
		assert_true(bird_welcome(parse_reply(*state, bad[i]), &v, NULL) < 0);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(versions); i++) {
		assert_int_equal(bird_welcome(recorded(state, versions[i], ""), &v, NULL), 0);
		assert_string_equal(v.text, versions[i]);
	}
}

static void status_is_read(void **state)
{
	static const struct {
		const char *recording, *version, *reboot;
	} cases[] = {
	        {"2.0.12-many", "2.0.12", "2030-01-02 14:46:48.254"},
	        {"2.17.6", "2.17.6", "2030-01-02 12:10:23.814"},
	        {"3.3.2", "3.3.2", "2030-01-02 12:10:29.747"},
	};
	struct bird_status s;
	char addr[WEFT_ADDR_STR];

	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		const struct bird_reply *r = recorded(state, cases[i].recording, "show status");

		assert_int_equal(bird_show_status(r, &s, NULL), 0);
		assert_string_equal(s.version.text, cases[i].version);
		assert_string_equal(weft_addr_str(&s.router_id, addr), "10.0.1.10");
		assert_string_equal(s.last_reboot, cases[i].reboot);
		assert_string_equal(s.hostname, "node1");
		assert_int_equal(strlen(s.server_time), 23);
		assert_int_equal(strlen(s.last_reconfiguration), 23);
		assert_int_equal(s.state, BIRD_DAEMON_UP);
		assert_false(s.graceful_recovery);
	}
	assert_int_equal(bird_show_status(parse_reply(*state, "1000-BIRD 2.0.12\n"
	                                                      "0024-Graceful restart recovery in progress\n"
	                                                      "   Waiting for 1 channels to recover\n"
	                                                      "0013 Reconfiguration in progress\n"),
	                                  &s, NULL),
	                 0);
	assert_true(s.graceful_recovery);
	assert_int_equal(s.state, BIRD_DAEMON_RECONFIGURING);
	assert_int_equal(
	        bird_show_status(parse_reply(*state, "1000-BIRD 2\n0013 Shutdown in progress\n"), &s, NULL),
	        0);
	assert_int_equal(s.state, BIRD_DAEMON_SHUTDOWN);
}

static void a_status_that_is_none_is_refused(void **state)
{
	static const char *const bad[] = {"0000 \n", "0013 Daemon is up and running\n",
	                                  "1000-BIRD 2.0.12\n0000 \n", "1000-BIRD x\n0013 up\n",
	                                  "1000-BIRD 2\n1011-Router ID is 300.1.1.1\n0013 up\n"};

	for (size_t i = 0; i < WEFT_ARRAY_LEN(bad); i++) {
		struct weft_err err = WEFT_ERR_INIT;
		struct bird_status s;

		assert_int_equal(bird_show_status(parse_reply(*state, bad[i]), &s, &err), -EPROTO);
		assert_int_equal(err.code, -EPROTO);
	}
}

static const struct bird_bfd_session *bfd_find(const struct bird_bfd *b, const char *addr)
{
	char text[WEFT_ADDR_STR];

	for (size_t i = 0; i < b->count; i++)
		if (strcmp(weft_addr_str(&b->list[i].addr, text), addr) == 0)
			return &b->list[i];
	fail_msg("no BFD session of %s", addr);
	return NULL;
}

static void bfd_sessions_are_read(void **state)
{
	static const char *const recordings[] = {"2.17.6", "3.3.2"};
	struct bird_bfd b;

	for (size_t i = 0; i < WEFT_ARRAY_LEN(recordings); i++) {
		assert_int_equal(bird_show_bfd(recorded(state, recordings[i], "show bfd sessions"), &b, NULL),
		                 0);
		assert_int_equal(b.count, 3);
		assert_string_equal(bfd_find(&b, "10.0.1.1")->proto, "bfd1");
		assert_string_equal(bfd_find(&b, "10.0.1.1")->interface, "tor1");
		assert_string_equal(bfd_find(&b, "10.0.1.1")->state, "Up");
		assert_memory_equal(bfd_find(&b, "10.0.1.1")->since, "2030-01-02T12:10:", 17);
		assert_int_equal(bfd_find(&b, "10.0.2.1")->interval, 100);
		assert_int_equal(bfd_find(&b, "10.0.2.1")->timeout, 300);
		assert_string_equal(bfd_find(&b, "10.2.0.1")->state, "Down");
		assert_int_equal(bfd_find(&b, "10.2.0.1")->interval, 1000);
		assert_int_equal(bfd_find(&b, "10.2.0.1")->timeout, 0);
		bird_bfd_free(&b);
	}
	assert_int_equal(bird_show_bfd(recorded(state, "2.0.12-many", "show bfd sessions"), &b, NULL), 0);
	assert_int_equal(b.count, 0);
	bird_bfd_free(&b);
}

static void bfd_protocols_are_told_apart(void **state)
{
	static const char text[] = "1020-down: is not up\n"
	                           " a:\n"
	                           " IP address  Interface  State  Since  Interval  Timeout\n"
	                           " fe80::1  ---  Init  2030-01-02 12:10:29  0.0505  99999999.1\n"
	                           " nonsense  eth0  Up  x  1  1\n"
	                           " \n"
	                           " b:\n"
	                           " 10.0.0.9  no heading  Up  x\n"
	                           " IP address  State\n"
	                           " 10.0.0.1  Up\n"
	                           "0000 \n";
	struct weft_err err = WEFT_ERR_INIT;
	struct bird_bfd b;

	assert_int_equal(bird_show_bfd(parse_reply(*state, text), &b, &err), 0);
	assert_int_equal(b.count, 2);
	assert_string_equal(b.list[0].proto, "a");
	assert_string_equal(b.list[0].interface, "---");
	assert_string_equal(b.list[0].since, "2030-01-02 12:10:29");
	assert_int_equal(b.list[0].interval, 50);
	assert_int_equal(b.list[0].timeout, 0); /* out of range */
	assert_string_equal(b.list[1].proto, "b");
	assert_string_equal(b.list[1].state, "Up");
	assert_string_equal(b.list[1].since, "");
	bird_bfd_free(&b);
	assert_int_equal(
	        bird_show_bfd(parse_reply(*state, "9001 There is no BFD protocol running\n"), &b, &err), 0);
	assert_int_equal(b.count, 0);
	assert_int_equal(err.code, 0);
	assert_int_equal(bird_show_bfd(parse_reply(*state, "9001 syntax error\n"), &b, &err), -EREMOTEIO);
}

static void routes_are_counted(void **state)
{
	static const char *const recordings[] = {"2.17.6", "3.3.2"};
	struct weft_err err = WEFT_ERR_INIT;
	struct bird_route_count c;

	for (size_t i = 0; i < WEFT_ARRAY_LEN(recordings); i++) {
		assert_int_equal(
		        bird_show_route_count(recorded(state, recordings[i], "show route count"), &c, NULL),
		        0);
		assert_int_equal(c.count, 2);
		assert_string_equal(c.list[0].table, "master4");
		assert_int_equal(c.list[0].shown, 4);
		assert_int_equal(c.list[0].networks, 3);
		assert_string_equal(c.list[1].table, "master6");
		assert_int_equal(c.list[1].routes, 2);
		assert_int_equal(c.total.routes, 6);
		assert_int_equal(c.total.networks, 5);
		bird_route_count_free(&c);
	}
	/* One table: no line of totals. */
	assert_int_equal(bird_show_route_count(
	                         recorded(state, "2.0.12-many", "show route count table master4"), &c, NULL),
	                 0);
	assert_int_equal(c.count, 1);
	assert_int_equal(c.total.routes, 3);
	bird_route_count_free(&c);
	assert_int_equal(bird_show_route_count(parse_reply(*state, "0000 \n"), &c, &err), -EPROTO);
	assert_int_equal(
	        bird_show_route_count(parse_reply(*state, "1007-4 of 99999999999999999999 routes for 3 "
	                                                  "networks in table x\n0000 \n"),
	                              &c, &err),
	        -EPROTO);
	assert_int_equal(
	        bird_show_route_count(parse_reply(*state, "8004 Stopped due to reconfiguration\n"), &c, &err),
	        -EREMOTEIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(protocols_are_read_by_their_heading),
	        TEST(a_session_that_is_down_in_the_table),
	        TEST(an_established_session_in_detail),
	        TEST(what_became_of_routes),
	        TEST(a_session_that_is_down_in_detail),
	        TEST(all_protocols_in_detail),
	        TEST(rows_need_their_heading_and_nothing_else),
	        TEST(what_is_unknown_is_passed_over),
	        TEST(a_peers_words_stay_text),
	        TEST(the_welcome_tells_the_version),
	        TEST(status_is_read),
	        TEST(a_status_that_is_none_is_refused),
	        TEST(bfd_sessions_are_read),
	        TEST(bfd_protocols_are_told_apart),
	        TEST(routes_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
