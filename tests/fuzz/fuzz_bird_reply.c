// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz the framing of BIRD's control socket and everything that reads its replies. Input: one byte, the size
 * of the pieces that are fed, then what the socket says.
 *
 * What must hold besides memory safety: bytes are taken in order and none twice; texts are printable and
 * NUL-terminated where they say; results are counted within the reply; freeing always works.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/bird/routes.h"
#include "agent/bird/show.h"
#include "agent/bird/show_detail.h"

static void require(bool what)
{
	if (!what)
		abort();
}

static void check_text(const char *s)
{
	require(s != NULL);
	for (; *s; s++)
		require(*s == '\t' || (*s >= 0x20 && *s <= 0x7e));
}

static void check_lines(const struct bird_reply *r)
{
	require(r->count > 0);
	for (size_t i = 0; i < r->count; i++) {
		require(r->lines[i].code <= 9999);
		require(strlen(r->lines[i].text) == r->lines[i].len);
		check_text(r->lines[i].text);
	}
}

static void check_protocols(const struct bird_reply *r)
{
	struct bird_protos p;

	if (bird_show_protocols(r, &p, NULL) == 0)
		require(p.count + p.channel_count <= r->count);
	for (size_t i = 0; i < p.count; i++) {
		const struct bird_proto *t = &p.list[i];
		const char *const texts[] = {t->name,        t->proto,         t->table,     t->state,
		                             t->since,       t->info,          t->bgp_state, t->last_error,
		                             t->description, t->message,       t->router_id, t->neighbor,
		                             t->neighbor_id, t->source_address};

		for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++)
			check_text(texts[k]);
		for (size_t k = 0; k < t->channel_count; k++) {
			check_text(t->channels[k].name);
			check_text(t->channels[k].output_filter);
		}
		require(bird_protos_find(&p, t->name) != NULL);
	}
	bird_protos_free(&p);
}

static void check_tables(const struct bird_reply *r)
{
	struct bird_bfd b;
	struct bird_route_count c;

	bird_show_bfd(r, &b, NULL);
	for (size_t i = 0; i < b.count; i++) {
		check_text(b.list[i].proto);
		check_text(b.list[i].interface);
		check_text(b.list[i].state);
		check_text(b.list[i].since);
	}
	bird_bfd_free(&b);
	bird_show_route_count(r, &c, NULL);
	for (size_t i = 0; i < c.count; i++)
		check_text(c.list[i].table);
	bird_route_count_free(&c);
}

static bool check_route(void *ctx, const struct bird_route *r)
{
	size_t *n = ctx;
	const char *const texts[] = {
	        r->table,   r->type,           r->proto,      r->since, r->source,      r->origin,
	        r->as_path, r->next_hop,       r->local_pref, r->med,   r->communities, r->large_communities,
	        r->metric,  r->ext_communities};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		check_text(texts[i]);
	require(r->net.addr.family && r->n_hops <= BIRD_ROUTE_HOPS);
	for (size_t i = 0; i < r->n_hops; i++) {
		check_text(r->hops[i].via);
		check_text(r->hops[i].dev);
	}
	++*n;
	return *n % 7;
}

static void check_capability(void *ctx, const char *text)
{
	(void)ctx;
	check_text(text);
}

static void check_routes(const struct bird_reply *r)
{
	size_t n = 0;
	struct bird_routes reader = {.fn = check_route, .ctx = &n};

	for (size_t i = 0; i < r->count; i++)
		bird_routes_line(&reader, &r->lines[i]);
	bird_routes_end(&reader);
	require(n <= r->count);
	bird_each_capability(r, "tor1", check_capability, NULL);
	bird_neighbor_restarts(r, "tor1");
}

static void check_single(const struct bird_reply *r)
{
	struct bird_configure conf;
	struct bird_version version;
	struct bird_status status;

	if (bird_configure_result(r, &conf, NULL) == 0) {
		check_text(conf.file);
		check_text(conf.message);
		check_text(bird_configure_name(conf.result));
	}
	if (bird_welcome(r, &version, NULL) == 0)
		check_text(version.text);
	if (bird_show_status(r, &status, NULL) == 0) {
		check_text(status.hostname);
		check_text(status.last_reboot);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bird_parser *p = bird_parser_new();
	size_t chunk, used;
	int rc = 0;

	if (!size || !p) {
		bird_parser_free(p);
		return 0;
	}
	chunk = *data ? *data : SIZE_MAX;
	for (data++, size--; size && rc >= 0; data += used, size -= used) {
		rc = bird_parser_feed(p, data, size < chunk ? size : chunk, &used, NULL);
		require(used <= size && (rc != 0 || used > 0));
		require((bird_parser_reply(p) != NULL) == (rc == 1));
		if (rc != 1)
			continue;
		check_lines(bird_parser_reply(p));
		check_protocols(bird_parser_reply(p));
		check_tables(bird_parser_reply(p));
		check_routes(bird_parser_reply(p));
		check_single(bird_parser_reply(p));
	}
	bird_parser_free(p);
	return 0;
}
