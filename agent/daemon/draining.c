// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/draining.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weft/cleanup.h"
#include "weft/file.h"
#include "weft/keyhash.h"
#include "weft/log.h"

#define FILE_MAX  ((size_t)128 << 10)
#define FROM_NODE (DRAIN_ANNOTATION | DRAIN_CORDON | DRAIN_EXCLUDED | DRAIN_AUTOSCALER)
#define ALL_COUNT 6

struct draining {
	struct draining_options o;
	char path[PATH_MAX];
	struct drain *drain;
	uv_timer_t timer;
	enum bgp_drain told; /* in the log */
	bool seen_self;      /* since the start */
	bool unsaved;        /* the file is older than what is in force */
	bool stopping;
	char fault[WEFT_ERR_TEXT];
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- the file --- */

static void load(struct draining *d)
{
	weft_autofree char *text = NULL;
	struct weft_err err = WEFT_ERR_INIT;
	size_t len;
	int r = weft_file_read(d->path, FILE_MAX, &text, &len, &err);

	if (r == -ENOENT)
		return;
	if (r == 0)
		r = drain_load(d->drain, text, len, now_ms(), &err);
	if (r < 0)
		log_error("%s: %s; nothing is drained by command", d->path, err.text);
}

static void save(struct draining *d)
{
	weft_auto(weft_buf_free) struct weft_buf text = {0};
	struct weft_err err = WEFT_ERR_INIT;

	if (!d->unsaved)
		return;
	drain_save(d->drain, &text);
	if (weft_file_replace(d->path, weft_buf_text(&text), text.len, 0600, &err) < 0) {
		if (strcmp(d->fault, err.text))
			log_error("%s: %s; a restart of weftd forgets what is drained now", d->path,
			          err.text);
		snprintf(d->fault, sizeof(d->fault), "%s", err.text);
		return;
	}
	d->fault[0] = '\0';
	d->unsaved = false;
}

/* --- turns --- */

static const struct weft_bgpconfig *config(const struct draining *d)
{
	const struct weft_object *obj = cluster_get(d->o.cluster, WEFT_BGPCONFIG, "default");

	return obj ? &obj->bgpconfig : NULL;
}

static void take_self(struct draining *d, uint64_t now)
{
	const struct weft_object *self = cluster_self(d->o.cluster);
	uint64_t wait = d->seen_self ? drain_wait_of(config(d)) : 0;

	if (!self)
		return; /* gone for a moment: what it said stays */
	d->unsaved |= drain_node(d->drain, FROM_NODE, drain_reasons_of(self, config(d)), wait, now);
	d->seen_self = true;
}

void draining_reasons(const struct draining *d, struct weft_buf *out)
{
	unsigned reasons = drain_state(d->drain).reasons;

	for (int i = 0; i < ALL_COUNT; i++)
		if (reasons & 1u << i)
			weft_buf_printf(out, "%s%s", out->len ? ", " : "", drain_reason_text(1u << i));
}

static void tell(struct draining *d)
{
	weft_auto(weft_buf_free) struct weft_buf why = {0};
	struct drain_state s = drain_state(d->drain);

	if (s.stage == d->told)
		return;
	d->told = s.stage;
	draining_reasons(d, &why);
	if (s.stage == BGP_DRAIN_NONE)
		log_info("the drain is over: everything is announced as before");
	else if (s.stage == BGP_DRAIN_LAST_RESORT)
		log_info("draining (%s): announced as a last resort, VIPs are withdrawn in %llu s",
		         weft_buf_text(&why), (unsigned long long)((s.at - s.since) / 1000));
	else
		log_info("drained (%s): no VIP is announced, pod blocks are", weft_buf_text(&why));
}

static void on_timer(uv_timer_t *t)
{
	struct draining *d = t->data;

	d->o.on_wake(d->o.ctx);
}

static uint64_t left(uint64_t at, uint64_t now)
{
	return at > now ? at - now : 1;
}

static void arm(struct draining *d, uint64_t now)
{
	uint64_t at = drain_deadline(d->drain), in = at == DRAIN_NEVER ? UINT64_MAX : left(at, now);

	if (in == UINT64_MAX)
		uv_timer_stop(&d->timer);
	else
		uv_timer_start(&d->timer, on_timer, in, 0);
}

void draining_turn(struct draining *d)
{
	uint64_t now = now_ms();

	take_self(d, now);
	if (drain_turn(d->drain, now))
		d->o.on_change(d->o.ctx);
	tell(d);
	save(d);
	arm(d, now);
}

int draining_new(const struct draining_options *o, struct draining **out, struct weft_err *err)
{
	struct draining *d = must_alloc(1, sizeof(*d));

	d->o = *o;
	d->drain = drain_new();
	uv_timer_init(o->loop, &d->timer);
	d->timer.data = d;
	*out = d;
	if ((size_t)snprintf(d->path, sizeof(d->path), "%s/drain", o->state_dir) >= sizeof(d->path))
		return weft_err_set(err, ENAMETOOLONG, "the path of the state folder is too long");
	load(d);
	return 0;
}

static void on_closed(uv_handle_t *h)
{
	struct draining *d = h->data;

	drain_free(d->drain);
	free(d);
}

void draining_free(struct draining *d)
{
	if (d)
		uv_close((uv_handle_t *)&d->timer, on_closed);
}

/* --- stopping --- */

bool draining_stop(struct draining *d)
{
	if (d->stopping)
		return false;
	d->stopping = true;
	drain_node(d->drain, DRAIN_STOPPING, DRAIN_STOPPING, drain_wait_of(config(d)), now_ms());
	d->o.on_wake(d->o.ctx);
	return true;
}

bool draining_stopped(const struct draining *d)
{
	return d->stopping && drain_state(d->drain).stage == BGP_DRAIN_WITHDRAWN;
}

struct drain_state draining_state(const struct draining *d)
{
	return drain_state(d->drain);
}

const struct bgp_peer_drain *draining_peers(const struct draining *d, size_t *n)
{
	return drain_peers(d->drain, n);
}

/* --- weftctl --- */

static void add_stage(cJSON *item, const struct drain_state *s, uint64_t now)
{
	char stamp[32] = "";
	time_t at = (time_t)(s->since / 1000);
	struct tm tm;

	cJSON_AddStringToObject(item, "stage",
	                        drain_begins(s) ? "beginning"
	                        : drain_ends(s) ? "ending"
	                                        : drain_stage_name(s->stage));
	if (s->stage == BGP_DRAIN_NONE && !s->reasons)
		return;
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &tm));
	cJSON_AddStringToObject(item, "since", stamp);
	if (s->stage != BGP_DRAIN_WITHDRAWN && s->reasons)
		cJSON_AddNumberToObject(item, "withdrawnIn",
		                        s->at > now ? (double)((s->at - now + 999) / 1000) : 0);
}

cJSON *draining_view(const struct draining *d)
{
	struct drain_state s = drain_state(d->drain);
	cJSON *root = cJSON_CreateObject(), *list;
	const struct bgp_peer_drain *peers;
	uint64_t now = now_ms();
	size_t n;

	add_stage(root, &s, now);
	list = cJSON_AddArrayToObject(root, "reasons");
	for (int i = 0; i < ALL_COUNT; i++)
		if (s.reasons & 1u << i)
			cJSON_AddItemToArray(list, cJSON_CreateString(drain_reason_text(1u << i)));
	list = cJSON_AddArrayToObject(root, "peers");
	peers = drain_peers(d->drain, &n);
	for (size_t i = 0; i < n; i++) {
		cJSON *item = cJSON_CreateObject();

		cJSON_AddStringToObject(item, "name", peers[i].peer);
		if (drain_peer_state(d->drain, peers[i].peer, &s))
			add_stage(item, &s, now);
		cJSON_AddItemToArray(list, item);
	}
	return root;
}

static int read_wait(const struct draining *d, const cJSON *args, uint64_t *ms, struct weft_err *err)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(args, "waitSeconds");

	*ms = drain_wait_of(config(d));
	if (!v)
		return 0;
	if (!cJSON_IsNumber(v) || !(v->valuedouble >= 0 && v->valuedouble <= (double)DRAIN_WAIT_MAX / 1000))
		return weft_err_set(err, EINVAL, "waitSeconds must be a number from 0 to %llu",
		                    (unsigned long long)(DRAIN_WAIT_MAX / 1000));
	*ms = (uint64_t)(v->valuedouble * 1000);
	return 0;
}

static int command(struct draining *d, const cJSON *request, bool on, cJSON **result, struct weft_err *err)
{
	const cJSON *args = cJSON_GetObjectItemCaseSensitive(request, "args");
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(args, "peer");
	const char *peer = cJSON_GetStringValue(v);
	uint64_t wait;
	int r = read_wait(d, args, &wait, err);

	if (r < 0)
		return r;
	if (v && !peer)
		return weft_err_set(err, EINVAL, "peer must be the name of a BGPPeer");
	if (peer && on && !cluster_get(d->o.cluster, WEFT_BGPPEER, peer))
		return weft_err_set(err, ENOENT, "there is no BGPPeer \"%.80s\"", peer);
	if (peer)
		r = drain_peer(d->drain, peer, on, wait, now_ms(), err);
	else
		r = drain_node(d->drain, DRAIN_COMMAND, on ? DRAIN_COMMAND : 0, wait, now_ms());
	if (r < 0)
		return r;
	if (r > 0) {
		d->unsaved = true;
		d->o.on_change(d->o.ctx);
	}
	draining_turn(d);
	*result = draining_view(d);
	return 0;
}

static int on_drain(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                    struct weft_err *err)
{
	(void)req;
	return command(ctx, args, true, result, err);
}

static int on_undrain(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                      struct weft_err *err)
{
	(void)req;
	return command(ctx, args, false, result, err);
}

static int on_draining(void *ctx, struct serve_request *req, const cJSON *args, cJSON **result,
                       struct weft_err *err)
{
	(void)req;
	(void)args;
	(void)err;
	*result = draining_view(ctx);
	return 0;
}

int draining_register(struct draining *d, struct serve_server *server)
{
	int r = serve_register(server, "drain", on_drain, d, "announce as a last resort, then withdraw VIPs");

	if (r == 0)
		r = serve_register(server, "undrain", on_undrain, d, "announce everything as before");
	return r == 0 ? serve_register(server, "draining", on_draining, d, "what is drained") : r;
}
