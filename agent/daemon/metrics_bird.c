// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/metrics_bird.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weft/cleanup.h"

#define ABSENT    "absent"
#define SINCE_MAX 32
#define ERROR_MAX 64
#define POLLS     20
#define PEER_STR  (WEFT_ADDR_STR + IFNAMSIZ)

struct peer {
	char name[WEFT_NAME_MAX + 1], protocol[BGP_PROTOCOL_NAME_MAX + 1];
	char address[PEER_STR];
	uint32_t as_number;
	uint64_t flaps;
	bool established;
	char since[SINCE_MAX];
};

struct metrics_bird {
	struct bird_apply *bird;
	void (*on_answered)(void *ctx);
	void *ctx;
	uv_timer_t poll;
	uint64_t poll_ms;
	unsigned polls; /* that are left until nobody has scraped for long */
	struct peer *peers;
	size_t n_peers;
	unsigned pending; /* answers that are to come */
	bool sending;
	/* of the last round of questions */
	bool have_status, have_protos, have_bfd;
	struct bird_status status;
	struct bird_protos protos;
	struct bird_bfd bfd;
};

/* --- who there is --- */

static const struct peer *find(const struct peer *list, size_t n, const struct peer *sought)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i].protocol, sought->protocol) &&
		    (*sought->protocol || !strcmp(list[i].name, sought->name)))
			return &list[i];
	return NULL;
}

static void fill(const struct bgp_peer *from, struct peer *to)
{
	char addr[WEFT_ADDR_STR];

	snprintf(to->name, sizeof(to->name), "%s", from->name ? from->name : "");
	snprintf(to->protocol, sizeof(to->protocol), "%s", from->reason[0] ? "" : from->protocol);
	if (weft_addr_is_set(&from->address))
		snprintf(to->address, sizeof(to->address), "%s%s%s", weft_addr_str(&from->address, addr),
		         from->interface[0] ? "%" : "", from->interface);
	to->as_number = from->as_number;
}

void metrics_bird_take(struct metrics_bird *b, const struct bgp_model *model)
{
	struct peer *list = calloc(model->n_peers + 1, sizeof(*list));
	const struct peer *old;
	size_t n = 0;

	if (!list)
		return; /* the former ones are shown until the next change */
	for (size_t i = 0; i < model->n_peers; i++) {
		memset(&list[n], 0, sizeof(list[n]));
		fill(&model->peers[i], &list[n]);
		if (find(list, n, &list[n]))
			continue; /* two series with the same labels spoil a whole page */
		old = find(b->peers, b->n_peers, &list[n]);
		if (old) {
			list[n].flaps = old->flaps;
			list[n].established = old->established;
			memcpy(list[n].since, old->since, sizeof(old->since));
		}
		n++;
	}
	free(b->peers);
	b->peers = list;
	b->n_peers = n;
}

static const struct bird_proto *proto_of(const struct metrics_bird *b, const struct peer *peer)
{
	return b->have_protos && *peer->protocol ? bird_protos_find(&b->protos, peer->protocol) : NULL;
}

static void look_for_flaps(struct metrics_bird *b)
{
	for (size_t i = 0; i < b->n_peers; i++) {
		struct peer *p = &b->peers[i];
		const struct bird_proto *proto = proto_of(b, p);
		bool up = proto && bird_proto_established(proto);

		if (p->established && (!up || strcmp(p->since, proto->since) != 0))
			p->flaps++;
		p->established = up;
		if (up)
			snprintf(p->since, sizeof(p->since), "%s", proto->since);
	}
}

/* --- asking --- */

static void answered(struct metrics_bird *b)
{
	if (--b->pending)
		return;
	if (b->have_protos)
		look_for_flaps(b);
	if (!b->sending)
		b->on_answered(b->ctx);
}

static void on_status(void *ctx, const struct bird_reply *reply, const struct weft_err *err)
{
	struct metrics_bird *b = ctx;

	(void)err;
	b->have_status = reply && bird_show_status(reply, &b->status, NULL) == 0;
	answered(b);
}

static void on_protocols(void *ctx, const struct bird_reply *reply, const struct weft_err *err)
{
	struct metrics_bird *b = ctx;

	(void)err;
	bird_protos_free(&b->protos);
	b->have_protos = reply && bird_show_protocols(reply, &b->protos, NULL) == 0;
	answered(b);
}

static void on_bfd(void *ctx, const struct bird_reply *reply, const struct weft_err *err)
{
	struct metrics_bird *b = ctx;

	(void)err;
	bird_bfd_free(&b->bfd);
	b->have_bfd = reply && bird_show_bfd(reply, &b->bfd, NULL) == 0;
	answered(b);
}

static bool ask(struct metrics_bird *b)
{
	if (b->pending)
		return true; /* somebody asked a moment ago */
	b->pending = 3;
	b->sending = true;
	bird_apply_ask(b->bird, "show status", on_status, b);
	bird_apply_ask(b->bird, "show protocols all", on_protocols, b);
	bird_apply_ask(b->bird, "show bfd sessions", on_bfd, b);
	b->sending = false;
	return b->pending;
}

static void on_poll(uv_timer_t *t)
{
	struct metrics_bird *b = t->data;

	ask(b);
	if (--b->polls == 0)
		uv_timer_stop(t);
}

bool metrics_bird_ask(struct metrics_bird *b)
{
	b->polls = POLLS;
	if (b->poll_ms && !uv_is_active((uv_handle_t *)&b->poll))
		uv_timer_start(&b->poll, on_poll, b->poll_ms, b->poll_ms);
	return ask(b);
}

/* --- writing: BIRD --- */

/* "2030-01-02T14:46:48" or with a blank, in BIRD's time zone; only differences of two count. */
static bool seconds_of(const char *text, double *out)
{
	struct tm tm = {0};
	const char *end = strptime(text, "%Y-%m-%d", &tm);

	if (end && (*end == 'T' || *end == ' '))
		end = strptime(end + 1, "%H:%M:%S", &tm);
	else
		end = NULL;
	if (!end)
		return false;
	*out = (double)timegm(&tm);
	if (*end == '.')
		*out += strtod(end, NULL);
	return true;
}

/* How long ago that was by BIRD's own clock; false: one of the times can't be read. */
static bool age_of(const struct metrics_bird *b, const char *then, double *out)
{
	double at, now;

	if (!b->have_status || !seconds_of(b->status.server_time, &now) || !seconds_of(then, &at))
		return false;
	*out = now > at ? now - at : 0;
	return true;
}

static void write_age(const struct metrics_bird *b, struct metrics_page *p, enum metric which,
                      const char *since, bool up)
{
	double age;

	if (up && age_of(b, since, &age))
		metric_single(p, which, age);
	else
		metric(p, which);
}

static void write_bird(const struct metrics_bird *b, struct metrics_page *p, bool up)
{
	struct bird_apply_status s;

	bird_apply_status(b->bird, &s);
	metric_single(p, METRIC_BIRD_UP, up);
	metric(p, METRIC_BIRD_INFO);
	if (up)
		metrics_sample(p, 1, b->status.version.text);
	write_age(b, p, METRIC_BIRD_UPTIME, b->status.last_reboot, up);
	write_age(b, p, METRIC_BIRD_CONFIG_AGE, b->status.last_reconfiguration, up);
	metric(p, METRIC_BIRD_RECOVERY);
	if (up)
		metrics_sample(p, b->status.graceful_recovery, NULL);
	metric(p, METRIC_BIRD_CONFIG);
	for (int i = BIRD_CONFIG_NONE; i <= BIRD_CONFIG_REFUSED; i++)
		metrics_sample(p, s.config == (enum bird_config_state)i,
		               bird_config_state_name((enum bird_config_state)i));
	metric_single(p, METRIC_BIRD_LOADS, (double)s.loads);
	metric_single(p, METRIC_BIRD_REFUSALS, (double)s.refusals);
}

/* --- peers --- */

/* Labels of one peer: four, then what the family adds. */
struct labels {
	char as[16];
	const char *values[10];
};

static const char *const *labels_of(const struct peer *peer, const struct bird_proto *proto, struct labels *l,
                                    const char *const *more)
{
	uint32_t as = !peer->as_number && proto ? proto->neighbor_as : peer->as_number;
	size_t n = 4;

	snprintf(l->as, sizeof(l->as), "%u", as);
	l->values[0] = peer->name;
	l->values[1] = peer->protocol;
	l->values[2] = peer->address;
	l->values[3] = l->as;
	while (more && *more && n < WEFT_ARRAY_LEN(l->values) - 1)
		l->values[n++] = *more++;
	l->values[n] = NULL;
	return l->values;
}

static void put(struct metrics_page *p, const struct peer *peer, const struct bird_proto *proto,
                double number, const char *const *more)
{
	struct labels l;

	metrics_put(p, number, labels_of(peer, proto, &l, more));
}

#define MORE(...) ((const char *const[]){__VA_ARGS__, NULL})

typedef void (*peer_fn)(const struct metrics_bird *b, struct metrics_page *p, const struct peer *peer,
                        const struct bird_proto *proto);

static void put_up(const struct metrics_bird *b, struct metrics_page *p, const struct peer *peer,
                   const struct bird_proto *proto)
{
	(void)b;
	put(p, peer, proto, proto && bird_proto_established(proto), NULL);
}

static void put_state(const struct metrics_bird *b, struct metrics_page *p, const struct peer *peer,
                      const struct bird_proto *proto)
{
	static const char *const states[] = {"Down",        "Idle",        "Connect", "Active",  "OpenSent",
	                                     "OpenConfirm", "Established", "Close",   "Passive", ABSENT};
	const char *now = proto ? proto->bgp_state : ABSENT;

	(void)b;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(states); i++)
		put(p, peer, proto, !strcmp(now, states[i]), MORE(states[i]));
}

static void put_uptime(const struct metrics_bird *b, struct metrics_page *p, const struct peer *peer,
                       const struct bird_proto *proto)
{
	bool up = proto && bird_proto_established(proto);
	double age = 0;

	if (!up || age_of(b, proto->since, &age))
		put(p, peer, proto, age, NULL);
}

static void put_flaps(const struct metrics_bird *b, struct metrics_page *p, const struct peer *peer,
                      const struct bird_proto *proto)
{
	(void)b;
	put(p, peer, proto, (double)peer->flaps, NULL);
}

static void put_hold(const struct metrics_bird *b, struct metrics_page *p, const struct peer *peer,
                     const struct bird_proto *proto)
{
	(void)b;
	put(p, peer, proto, proto ? proto->hold_time : 0, NULL);
}

/* "Received: Administrative shutdown: come back at noon" without what the peer says: BIRD's words are few. */
static void put_error(const struct metrics_bird *b, struct metrics_page *p, const struct peer *peer,
                      const struct bird_proto *proto)
{
	const char *end;
	char text[ERROR_MAX];
	size_t len;

	(void)b;
	if (!proto || !*proto->last_error)
		return;
	end = strstr(proto->last_error, ": ");
	end = end ? strstr(end + 2, ": ") : NULL;
	len = end ? (size_t)(end - proto->last_error) : strlen(proto->last_error);
	snprintf(text, sizeof(text), "%.*s", (int)(len < sizeof(text) ? len : sizeof(text) - 1),
	         proto->last_error);
	put(p, peer, proto, 1, MORE(text));
}

static void put_routes(const struct metrics_bird *b, struct metrics_page *p, const struct peer *peer,
                       const struct bird_proto *proto)
{
	(void)b;
	for (size_t i = 0; proto && i < proto->channel_count; i++) {
		const struct bird_channel *c = &proto->channels[i];

		if (!c->has_routes)
			continue;
		put(p, peer, proto, c->imported, MORE(c->name, "imported"));
		put(p, peer, proto, c->filtered, MORE(c->name, "filtered"));
		put(p, peer, proto, c->exported, MORE(c->name, "exported"));
		put(p, peer, proto, c->preferred, MORE(c->name, "preferred"));
	}
}

static void put_limit(const struct metrics_bird *b, struct metrics_page *p, const struct peer *peer,
                      const struct bird_proto *proto)
{
	(void)b;
	for (size_t i = 0; proto && i < proto->channel_count; i++)
		if (proto->channels[i].import_limit)
			put(p, peer, proto, proto->channels[i].import_limit, MORE(proto->channels[i].name));
}

static void put_limit_hit(const struct metrics_bird *b, struct metrics_page *p, const struct peer *peer,
                          const struct bird_proto *proto)
{
	(void)b;
	for (size_t i = 0; proto && i < proto->channel_count; i++)
		if (proto->channels[i].import_limit)
			put(p, peer, proto, proto->channels[i].import_limit_hit,
			    MORE(proto->channels[i].name));
}

static void put_change(struct metrics_page *p, const struct peer *peer, const struct bird_proto *proto,
                       const struct bird_channel *c, enum bird_change change)
{
	static const char *const outcomes[BIRD_OUTCOMES] = {"received", "rejected", "filtered", "ignored",
	                                                    "accepted"};
	bool import = change == BIRD_IMPORT_UPDATES || change == BIRD_IMPORT_WITHDRAWS;
	bool update = change == BIRD_IMPORT_UPDATES || change == BIRD_EXPORT_UPDATES;
	const struct bird_changes *n = &c->changes[change];

	for (int i = 0; i < BIRD_OUTCOMES; i++)
		if (n->given[i])
			put(p, peer, proto, n->count[i],
			    MORE(c->name, import ? "import" : "export", update ? "update" : "withdraw",
			         outcomes[i]));
}

static void put_changes(const struct metrics_bird *b, struct metrics_page *p, const struct peer *peer,
                        const struct bird_proto *proto)
{
	(void)b;
	for (size_t i = 0; proto && i < proto->channel_count; i++)
		for (int change = 0; change < BIRD_CHANGES; change++)
			put_change(p, peer, proto, &proto->channels[i], (enum bird_change)change);
}

static void write_peers(const struct metrics_bird *b, struct metrics_page *p, bool up)
{
	static const struct {
		enum metric metric;
		peer_fn fn;
	} families[] = {{METRIC_PEER_UP, put_up},
	                {METRIC_PEER_STATE, put_state},
	                {METRIC_PEER_UPTIME, put_uptime},
	                {METRIC_PEER_FLAPS, put_flaps},
	                {METRIC_PEER_HOLD, put_hold},
	                {METRIC_PEER_ERROR, put_error},
	                {METRIC_PEER_ROUTES, put_routes},
	                {METRIC_PEER_LIMIT, put_limit},
	                {METRIC_PEER_LIMIT_HIT, put_limit_hit},
	                {METRIC_PEER_CHANGES, put_changes}};

	for (size_t f = 0; f < WEFT_ARRAY_LEN(families); f++) {
		metric(p, families[f].metric);
		for (size_t i = 0; i < b->n_peers; i++)
			families[f].fn(b, p, &b->peers[i], up ? proto_of(b, &b->peers[i]) : NULL);
	}
}

/* --- BFD --- */

static bool same_session(const struct bird_bfd_session *a, const struct bird_bfd_session *b)
{
	return !strcmp(a->proto, b->proto) && !strcmp(a->interface, b->interface) &&
	       !weft_addr_cmp(&a->addr, &b->addr);
}

static bool is_first(const struct metrics_bird *b, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (same_session(&b->bfd.list[k], &b->bfd.list[i]))
			return false;
	return true;
}

static void put_session(struct metrics_page *p, const struct bird_bfd_session *s, enum metric which)
{
	static const char *const states[] = {"AdminDown", "Down", "Init", "Up"};
	char addr[WEFT_ADDR_STR];

	weft_addr_str(&s->addr, addr);
	if (which == METRIC_BFD_UP)
		metrics_sample(p, !strcmp(s->state, "Up"), s->proto, addr, s->interface);
	else if (which == METRIC_BFD_INTERVAL)
		metrics_sample(p, s->interval / 1000.0, s->proto, addr, s->interface);
	else if (which == METRIC_BFD_TIMEOUT)
		metrics_sample(p, s->timeout / 1000.0, s->proto, addr, s->interface);
	for (size_t i = 0; which == METRIC_BFD_STATE && i < WEFT_ARRAY_LEN(states); i++)
		metrics_sample(p, !strcmp(s->state, states[i]), s->proto, addr, s->interface, states[i]);
}

static void write_bfd(const struct metrics_bird *b, struct metrics_page *p, bool up)
{
	for (int which = METRIC_BFD_UP; which <= METRIC_BFD_TIMEOUT; which++) {
		metric(p, (enum metric)which);
		for (size_t i = 0; up && b->have_bfd && i < b->bfd.count; i++)
			if (is_first(b, i))
				put_session(p, &b->bfd.list[i], (enum metric)which);
	}
}

void metrics_bird_write(const struct metrics_bird *b, struct metrics_page *p, bool answered)
{
	bool up = answered && b->have_status && b->have_protos;

	write_bird(b, p, up);
	write_peers(b, p, up);
	write_bfd(b, p, up);
}

/* --- life --- */

struct metrics_bird *metrics_bird_new(uv_loop_t *loop, struct bird_apply *bird, uint64_t poll_ms,
                                      void (*on_answered)(void *ctx), void *ctx)
{
	struct metrics_bird *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->bird = bird;
	b->on_answered = on_answered;
	b->ctx = ctx;
	uv_timer_init(loop, &b->poll);
	b->poll.data = b;
	b->poll_ms = poll_ms;
	return b;
}

static void on_closed(uv_handle_t *handle)
{
	struct metrics_bird *b = handle->data;

	bird_protos_free(&b->protos);
	bird_bfd_free(&b->bfd);
	free(b->peers);
	free(b);
}

void metrics_bird_free(struct metrics_bird *b)
{
	if (b)
		uv_close((uv_handle_t *)&b->poll, on_closed);
}
