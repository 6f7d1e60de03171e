// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What metrics say of BGP sessions, with a BIRD that the test plays: flaps between looks, words of a hostile
 * neighbour, silence. Since this program has bird_apply's functions, the library's own are not linked.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>

#include "agent/daemon/metrics_bird.h"
#include "tests/unit/transcript.h"
#include "weft/buf.h"

/* --- BIRD --- */

static struct {
	bird_reply_fn fn;
	void *ctx;
} asked[3];
static size_t n_asked;
static bool away;

void bird_apply_ask(struct bird_apply *b, const char *command, bird_reply_fn fn, void *ctx)
{
	static const char *const order[] = {"show status", "show protocols all", "show bfd sessions"};
	struct weft_err err = WEFT_ERR_INIT;

	(void)b;
	if (away) {
		weft_err_set(&err, ENOTCONN, "no BIRD");
		fn(ctx, NULL, &err);
		return;
	}
	assert_true(n_asked < WEFT_ARRAY_LEN(asked));
	assert_string_equal(command, order[n_asked]);
	asked[n_asked].fn = fn;
	asked[n_asked++].ctx = ctx;
}

void bird_apply_status(const struct bird_apply *b, struct bird_apply_status *out)
{
	(void)b;
	*out = (struct bird_apply_status){
	        .up = !away, .version = "x", .config = BIRD_CONFIG_LOADED, .error = ""};
}

const char *bird_config_state_name(enum bird_config_state s)
{
	static const char *const names[] = {"none", "pending", "written", "loaded", "refused"};

	return names[s];
}

#define STATUS                                                                                       \
	"1000-BIRD 2.0.12\n1011-Router ID is 10.0.0.1\n Hostname is n1\n"                            \
	" Current server time is 2030-01-02 12:00:10.500\n Last reboot on 2030-01-02 11:00:10.500\n" \
	" Last reconfiguration on 2030-01-02 11:59:00.000\n0013 Daemon is up and running\n"
#define HEAD "2002-Name       Proto      Table      State  Since         Info\n"
#define BFD  "1020-bfd1:\n IP address                Interface  State      Since         Interval  Timeout\n"

/* --- the bed --- */

struct bed {
	uv_loop_t loop;
	struct bird_parser *parser;
	struct metrics_bird *bird;
	unsigned answers;
};

static void on_answered(void *ctx)
{
	((struct bed *)ctx)->answers++;
}

static int begin(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	n_asked = 0;
	away = false;
	uv_loop_init(&b->loop);
	b->parser = bird_parser_new();
	b->bird = metrics_bird_new(&b->loop, NULL, 0, on_answered, b);
	*state = b;
	return b->parser && b->bird ? 0 : -1;
}

static int end(void **state)
{
	struct bed *b = *state;

	metrics_bird_free(b->bird);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	bird_parser_free(b->parser);
	assert_int_equal(uv_loop_close(&b->loop), 0);
	free(b);
	return 0;
}

static struct bgp_peer peer(const char *name, const char *protocol, const char *address, uint32_t as)
{
	struct bgp_peer p = {.name = name, .as_number = as};

	snprintf(p.protocol, sizeof(p.protocol), "%s", protocol);
	if (address)
		assert_int_equal(weft_addr_parse(address, &p.address, NULL), 0);
	return p;
}

static void take(struct bed *b, struct bgp_peer *peers, size_t n)
{
	struct bgp_model m = {.peers = peers, .n_peers = n};

	metrics_bird_take(b->bird, &m);
}

static void take_tor(struct bed *b)
{
	struct bgp_peer p = peer("tor", "peer_tor", "10.0.0.2", 65001);

	take(b, &p, 1);
}

static void reply(struct bed *b, size_t i, const char *text)
{
	asked[i].fn(asked[i].ctx, parse_reply(b->parser, text), NULL);
}

/* One look at the sessions: what stands below the heading, and the rows of BFD. */
static void look(struct bed *b, const char *rows, const char *bfd)
{
	weft_auto(weft_buf_free) struct weft_buf protos = {0}, sessions = {0};
	unsigned before = b->answers;

	weft_buf_printf(&protos, "%s%s0000 \n", HEAD, rows);
	weft_buf_printf(&sessions, "%s%s0000 \n", BFD, bfd);
	assert_true(metrics_bird_ask(b->bird));
	assert_true(metrics_bird_ask(b->bird)); /* the same question */
	assert_int_equal(n_asked, 3);
	n_asked = 0;
	reply(b, 0, STATUS);
	reply(b, 1, weft_buf_text(&protos));
	assert_int_equal(b->answers, before);
	reply(b, 2, weft_buf_text(&sessions));
	assert_int_equal(b->answers, before + 1);
}

static char *page(struct bed *b, bool answered)
{
	struct weft_buf out = {0};
	struct metrics_page p = {.out = &out};

	metrics_bird_write(b->bird, &p, answered);
	return weft_buf_take(&out);
}

static void expect(struct bed *b, const char *line)
{
	weft_autofree char *text = page(b, true), *sought = NULL;

	assert_true(asprintf(&sought, "\n%s\n", line) > 0);
	if (!strstr(text, sought))
		fail_msg("not there: %s\n%s", line, text);
}

static void expect_flaps(struct bed *b, unsigned n)
{
	char line[160];

	snprintf(
	        line, sizeof(line),
	        "weft_bgp_peer_flaps_total{peer=\"tor\",protocol=\"peer_tor\",address=\"10.0.0.2\",as=\"65001\"} %u",
	        n);
	expect(b, line);
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
		n++;
	return n;
}

#define UP(since) "1002-peer_tor   BGP        ---        up     2030-01-02T" since "  Established\n"
#define IDLE \
	"1002-peer_tor   BGP        ---        start  2030-01-02T11:59:59  Active  Socket: Connection refused\n"
#define TOR "peer=\"tor\",protocol=\"peer_tor\",address=\"10.0.0.2\",as=\"65001\""

/* --- the tests --- */

static void flaps_are_departures_from_established(void **state)
{
	struct bed *b = *state;

	take_tor(b);
	look(b, IDLE, "");
	expect_flaps(b, 0); /* it was never up */
	look(b, UP("11:00:00"), "");
	look(b, UP("11:00:00"), "");
	expect_flaps(b, 0);
	look(b, IDLE, "");
	look(b, IDLE, "");
	expect_flaps(b, 1);
	look(b, UP("11:10:00"), "");
	expect_flaps(b, 1); /* coming back is none */
	look(b, UP("11:20:00"), "");
	expect_flaps(b, 2); /* out and in again between two looks */
	look(b, "", "");
	expect_flaps(b, 3); /* BIRD has no such session any more */
}

static void counts_live_as_long_as_the_peer(void **state)
{
	struct bgp_peer two[] = {peer("new", "peer_new", "10.0.0.3", 1),
	                         peer("tor", "peer_tor", "10.0.0.2", 65001)};
	struct bed *b = *state;

	take_tor(b);
	look(b, UP("11:00:00"), "");
	look(b, UP("11:10:00"), "");
	take(b, two, 2);
	expect_flaps(b, 1);
	look(b, UP("11:20:00"), "");
	expect_flaps(b, 2);
	take(b, two, 1);
	take(b, two, 2);
	expect_flaps(b, 0);
}

static void an_established_session(void **state)
{
	struct bed *b = *state;

	take_tor(b);
	look(b,
	     UP("11:59:40") "1006-  BGP state:          Established\n"
	                    "     Hold timer:       44.488/90\n"
	                    "   Channel ipv4\n"
	                    "     State:          UP\n"
	                    "     Import limit:   1000\n"
	                    "     Routes:         4 imported, 3 filtered, 2 exported, 1 preferred\n"
	                    "     Route change stats:     received   rejected   filtered    ignored   accepted\n"
	                    "       Import updates:              7          0          3          0          4\n"
	                    "       Export withdraws:            0        ---        ---        ---          5\n",
	     " 10.0.0.2                  eth0       Up         11:59:41        0.300    1.500\n");
	expect(b, "weft_bird_up 1");
	expect(b, "weft_bird_uptime_seconds 3600");
	expect(b, "weft_bird_config_age_seconds 70.5");
	expect(b, "weft_bgp_peer_up{" TOR "} 1");
	expect(b, "weft_bgp_peer_uptime_seconds{" TOR "} 30.5");
	expect(b, "weft_bgp_peer_hold_time_seconds{" TOR "} 90");
	expect(b, "weft_bgp_peer_state{" TOR ",state=\"Established\"} 1");
	expect(b, "weft_bgp_peer_state{" TOR ",state=\"Active\"} 0");
	expect(b, "weft_bgp_peer_routes{" TOR ",family=\"ipv4\",kind=\"imported\"} 4");
	expect(b, "weft_bgp_peer_routes{" TOR ",family=\"ipv4\",kind=\"filtered\"} 3");
	expect(b, "weft_bgp_peer_routes{" TOR ",family=\"ipv4\",kind=\"exported\"} 2");
	expect(b, "weft_bgp_peer_routes{" TOR ",family=\"ipv4\",kind=\"preferred\"} 1");
	expect(b, "weft_bgp_peer_import_limit_routes{" TOR ",family=\"ipv4\"} 1000");
	expect(b, "weft_bgp_peer_import_limit_reached{" TOR ",family=\"ipv4\"} 0");
	expect(b, "weft_bgp_peer_route_changes_total{" TOR
	          ",family=\"ipv4\",direction=\"import\",change=\"update\",result=\"received\"} 7");
	expect(b, "weft_bgp_peer_route_changes_total{" TOR
	          ",family=\"ipv4\",direction=\"export\",change=\"withdraw\",result=\"accepted\"} 5");
	expect(b, "weft_bfd_session_up{protocol=\"bfd1\",address=\"10.0.0.2\",interface=\"eth0\"} 1");
	expect(b,
	       "weft_bfd_session_interval_seconds{protocol=\"bfd1\",address=\"10.0.0.2\",interface=\"eth0\"} 0.3");
	expect(b,
	       "weft_bfd_session_timeout_seconds{protocol=\"bfd1\",address=\"10.0.0.2\",interface=\"eth0\"} 1.5");
}

/* A neighbour's words in a shutdown are no label: they would make series without end. */
static void words_of_a_neighbour_stay_out(void **state)
{
	struct bed *b = *state;
	weft_autofree char *text = NULL;

	take_tor(b);
	look(b,
	     "1002-peer_tor   BGP        ---        start  2030-01-02T11:59:59  Idle  Received: Administrative "
	     "shutdown: ticket \"1\" {x} 8271\n"
	     "1006-  Last error:       Received: Administrative shutdown: ticket \"1\" {x} 8271\n"
	     "   Message: ticket 8271\n",
	     "");
	expect(b, "weft_bgp_peer_last_error{" TOR ",error=\"Received: Administrative shutdown\"} 1");
	text = page(b, true);
	assert_null(strstr(text, "8271"));
}

/* Not asked in time: what was known before is not told as if it were so now. Counts stay. */
static void silence_counts_as_down(void **state)
{
	struct bed *b = *state;
	weft_autofree char *text = NULL;

	take_tor(b);
	look(b, UP("11:00:00"),
	     " 10.0.0.2                  eth0       Up         11:59:41        0.300    1.500\n");
	look(b, UP("11:10:00"), "");
	text = page(b, false);
	assert_non_null(strstr(text, "\nweft_bird_up 0\n"));
	assert_non_null(strstr(text, "\nweft_bgp_peer_up{" TOR "} 0\n"));
	assert_non_null(strstr(text, "\nweft_bgp_peer_state{" TOR ",state=\"absent\"} 1\n"));
	assert_non_null(strstr(text, "\nweft_bgp_peer_flaps_total{" TOR "} 1\n"));
	assert_null(strstr(text, "\nweft_bfd_session_up{"));
	assert_null(strstr(text, "\nweft_bgp_peer_routes{"));
}

static void no_bird_is_answered_at_once(void **state)
{
	struct bed *b = *state;

	take_tor(b);
	away = true;
	assert_false(metrics_bird_ask(b->bird));
	assert_int_equal(b->answers, 0);
	expect(b, "weft_bird_up 0");
	away = false;
	look(b, UP("11:00:00"), "");
	expect(b, "weft_bird_up 1");
}

/* Replies that say nothing of use: an error, another form. */
static void nonsense_counts_as_down(void **state)
{
	struct bed *b = *state;

	take_tor(b);
	assert_true(metrics_bird_ask(b->bird));
	n_asked = 0;
	reply(b, 0, STATUS);
	reply(b, 1, "9001 there was some parser error\n");
	reply(b, 2, "9001 There is no BFD protocol running\n");
	expect(b, "weft_bird_up 0");
	assert_true(metrics_bird_ask(b->bird));
	n_asked = 0;
	reply(b, 0, "0013 Daemon is up and running\n");
	reply(b, 1, HEAD UP("sometime") "0000 \n");
	reply(b, 2, BFD "0000 \n");
	assert_int_equal(b->answers, 2);
}

/* Two samples with the same labels would spoil the page as a whole. */
static void labels_are_unique(void **state)
{
	struct bgp_peer list[] = {peer("a", "peer_a", "10.0.0.3", 1), peer("a", "peer_a", "10.0.0.3", 1),
	                          peer("b", "x", NULL, 0), peer("b", "x", NULL, 0), peer("c", "y", NULL, 0)};
	struct bed *b = *state;
	weft_autofree char *text = NULL;

	for (size_t i = 2; i < WEFT_ARRAY_LEN(list); i++)
		strcpy(list[i].reason, "no address");
	take(b, list, WEFT_ARRAY_LEN(list));
	look(b, "",
	     " 10.0.0.2                  eth0       Up         11:59:41        0.300    1.500\n"
	     " 10.0.0.2                  eth0       Up         11:59:41        0.300    1.500\n"
	     " 10.0.0.2                  eth1       Down       11:59:41        0.300    1.500\n");
	text = page(b, true);
	assert_int_equal(count(text, "\nweft_bgp_peer_up{"), 3);
	assert_int_equal(count(text, "\nweft_bfd_session_up{"), 2);
	assert_non_null(
	        strstr(text, "\nweft_bgp_peer_up{peer=\"b\",protocol=\"\",address=\"\",as=\"0\"} 0\n"));
}

static void link_local_peers_and_unknown_numbers(void **state)
{
	struct bgp_peer p = peer("tor", "peer_tor", "fe80::1", 0);
	struct bed *b = *state;

	strcpy(p.interface, "eth0");
	take(b, &p, 1);
	look(b, UP("11:00:00") "1006-  Neighbor AS:        4200000001\n", "");
	expect(b,
	       "weft_bgp_peer_up{peer=\"tor\",protocol=\"peer_tor\",address=\"fe80::1%eth0\",as=\"4200000001\"} 1");
}

#undef TEST
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(flaps_are_departures_from_established),
	        TEST(counts_live_as_long_as_the_peer),
	        TEST(an_established_session),
	        TEST(words_of_a_neighbour_stay_out),
	        TEST(silence_counts_as_down),
	        TEST(no_bird_is_answered_at_once),
	        TEST(nonsense_counts_as_down),
	        TEST(labels_are_unique),
	        TEST(link_local_peers_and_unknown_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
