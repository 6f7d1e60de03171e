// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/apply/bird.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/buf.h"
#include "weft/cleanup.h"
#include "weft/file.h"
#include "weft/log.h"

#include "agent/apply/bird_check.h"
#include "agent/apply/bird_render.h"
#include "agent/apply/bird_secrets.h"
#include "agent/apply/bird_stages.h"
#include "agent/bird/conf.h"

#define CONF_MAX       ((size_t)8 << 20)
#define POLL_MS        200
#define AGAIN_MS       5000 /* after a failure that time may heal */
#define STALE_AGAIN_MS 1000
#define ROLL_MS        500 /* how often sessions are looked at while one after the other restarts */

/* What the one change in progress waits for. */
enum step { IDLE, ASKING, CHECKING, LOADING };

struct bird_apply {
	uv_loop_t *loop;
	char *node, *conf, *fresh, *custom_dir, *secrets_dir, *binary;
	gid_t gid;
	struct tmpl *tmpl;
	struct bird_ctl *ctl;
	struct bird_check *check;

	char *current; /* text of bird.conf on disk, "" = no file */
	char *former;  /* what `current` replaced, until BIRD has accepted it */
	char *wanted;  /* text to converge to; NULL = nothing new */
	char *refused; /* text that was refused: not tried again */
	char *last;    /* `wanted` and `current` are stages towards this; NULL = they are no stages */
	struct bird_stage stage;
	bool whole; /* no stages: BIRD has answered, or would take none */
	uint8_t key[32], fingerprint[BGP_FINGERPRINT];
	bool have_fingerprint;

	enum step step;
	bool loaded; /* the BIRD that is there now has read `current` */
	uint64_t loads, refusals;
	char error[WEFT_ERR_TEXT], down[WEFT_ERR_TEXT];
	uv_timer_t poll, stale, again, roll;
	int closing;
	uint64_t stale_ms;
	int (*on_stale)(void *ctx);
	void (*on_again)(void *ctx);
	void (*on_config)(void *ctx);
	void *ctx;
};

static void advance(struct bird_apply *b);

static void tell(const struct bird_apply *b)
{
	if (b->on_config && !b->closing)
		b->on_config(b->ctx);
}

static void set_text(char **slot, char *text)
{
	free(*slot);
	*slot = text;
}

static void refuse(struct bird_apply *b, const char *text, const char *why)
{
	char said[WEFT_ERR_TEXT];

	b->refusals++;
	snprintf(said, sizeof(said), "%s", b->error);
	set_text(&b->refused, strdup(text));
	snprintf(b->error, sizeof(b->error), "%s", why);
	weft_text_clean(b->error);
	if (strcmp(said, b->error)) /* else it is the same once more */
		log_error("BIRD configuration: %s", b->error);
	tell(b);
}

/* Has the session that restarts come back? on_sessions() sees. */
static void on_roll(uv_timer_t *t)
{
	struct bird_apply *b = t->data;

	if (!b->last)
		return;
	if (b->step != IDLE || b->wanted || (!b->loaded && bird_ctl_version(b->ctl))) {
		uv_timer_start(t, on_roll, ROLL_MS, 0);
		return;
	}
	b->wanted = WEFT_TAKE_PTR(b->last);
	b->whole = false;
	advance(b);
}

static void on_again_timer(uv_timer_t *t)
{
	struct bird_apply *b = t->data;

	if (!b->have_fingerprint && b->on_again)
		b->on_again(b->ctx);
	advance(b);
}

/* Not the text's fault: the disk, a process that can't be started, a BIRD that is busy. */
static void try_again(struct bird_apply *b)
{
	uv_timer_start(&b->again, on_again_timer, AGAIN_MS, 0);
}

static int write_conf(struct bird_apply *b, const char *text, struct weft_err *err)
{
	int r = weft_file_replace(b->conf, text, strlen(text), 0640, err);

	if (r == 0 && b->gid != (gid_t)-1 && chown(b->conf, (uid_t)-1, b->gid) < 0)
		log_warning("can't give %s to BIRD's group: %s", b->conf, strerror(errno));
	return r;
}

/* The text passed its check, or there was nobody to check it. */
static void install(struct bird_apply *b, char *text)
{
	struct weft_err err = WEFT_ERR_INIT;

	if (write_conf(b, text, &err) < 0) {
		refuse(b, text, err.text);
		b->have_fingerprint = false;
		try_again(b);
		free(text);
		return;
	}
	set_text(&b->former, b->current);
	b->current = text;
	b->loaded = false;
	b->error[0] = '\0';
	log_info("BIRD configuration written to %s", b->conf);
	tell(b);
}

static void on_checked(void *ctx, int result, const char *text)
{
	struct bird_apply *b = ctx;
	char *candidate = WEFT_TAKE_PTR(b->wanted);
	char why[WEFT_ERR_TEXT];

	b->check = NULL;
	b->step = IDLE;
	unlink(b->fresh);
	if (b->last && result != 0 && result != -ENOENT) { /* the stage was: try the whole */
		free(candidate);
		b->wanted = WEFT_TAKE_PTR(b->last);
		b->whole = true;
		advance(b);
		return;
	}
	if (result == 0 || result == -ENOENT) {
		if (result == -ENOENT)
			log_debug("no %s here: the configuration goes to BIRD unchecked", b->binary);
		install(b, candidate);
	} else {
		snprintf(why, sizeof(why), "%s by %s -p, the former one stays: %.500s",
		         result == -ETIMEDOUT ? "not checked" : "refused", b->binary, text);
		refuse(b, candidate, why);
		free(candidate);
	}
	if (result == -ETIMEDOUT) { /* a busy machine */
		b->have_fingerprint = false;
		try_again(b);
	}
	advance(b);
}

/* --- stages --- */

static void on_sessions(void *ctx, const struct bird_reply *reply, const struct weft_err *err)
{
	struct bird_apply *b = ctx;
	struct bird_protos protos = {0};
	char *next = NULL;

	(void)err;
	b->step = IDLE;
	if (b->closing || !b->wanted)
		return;
	b->whole = true;
	if (reply && bird_show_protocols(reply, &protos, NULL) == 0)
		next = bird_stage_next(&b->stage, b->current, b->wanted, &protos, uv_now(b->loop));
	bird_protos_free(&protos);
	if (next) {
		set_text(&b->last, WEFT_TAKE_PTR(b->wanted));
		b->wanted = next;
		uv_timer_start(&b->roll, on_roll, ROLL_MS, 0);
		if (strcmp(next, b->current))
			log_info("BIRD's sessions restart one after the other: %s is next", b->stage.session);
	}
	advance(b);
}

/* Several sessions would restart: first those that are down anyway, then one at a time. */
static bool asks_for_sessions(struct bird_apply *b)
{
	if (b->whole || !bird_ctl_version(b->ctl) || !bird_stage_asks(&b->stage, b->current, b->wanted))
		return false;
	b->step = ASKING;
	bird_ctl_command(b->ctl, "show protocols all", on_sessions, b);
	return true;
}

static void start_check(struct bird_apply *b)
{
	struct weft_err err = WEFT_ERR_INIT;
	int r;

	if (!strcmp(b->wanted, b->current) || (b->refused && !strcmp(b->wanted, b->refused))) {
		set_text(&b->wanted, NULL);
		advance(b);
		return;
	}
	r = weft_file_replace(b->fresh, b->wanted, strlen(b->wanted), 0640, &err);
	if (r == 0)
		r = bird_check_start(b->loop, b->binary, b->fresh, on_checked, b, &b->check, &err);
	if (r < 0) {
		refuse(b, b->wanted, err.text);
		set_text(&b->wanted, NULL);
		b->have_fingerprint = false;
		try_again(b);
		return;
	}
	b->step = CHECKING;
}

/* --- LOAD --- */

static void loaded(struct bird_apply *b)
{
	b->loads++;
	b->step = IDLE;
	b->loaded = true;
	b->error[0] = '\0';
	set_text(&b->former, NULL);
	if (!b->wanted && !b->last) /* else their files are there already */
		bird_secrets_sweep(b->secrets_dir, b->current);
	log_info("BIRD has loaded its configuration");
	tell(b);
	advance(b);
}

static void load_refused(struct bird_apply *b, const struct bird_configure *result)
{
	struct weft_err err = WEFT_ERR_INIT;
	char why[WEFT_ERR_TEXT];

	b->step = IDLE;
	snprintf(why, sizeof(why), "refused by BIRD%s: %s (%s line %u)",
	         b->former ? ", the former one is back" : "", result->message, result->file, result->line);
	refuse(b, b->current, why);
	b->loaded = true; /* it runs with the former one: nothing to tell it */
	set_text(&b->last, NULL);
	if (!b->former)
		return;
	if (write_conf(b, b->former, &err) < 0)
		log_error("can't put the former BIRD configuration back: %s", err.text);
	set_text(&b->current, WEFT_TAKE_PTR(b->former));
}

static void on_configured(void *ctx, const struct bird_reply *reply, const struct weft_err *err)
{
	struct bird_apply *b = ctx;
	struct weft_err perr = WEFT_ERR_INIT;
	struct bird_configure result;

	if (!reply || bird_configure_result(reply, &result, &perr) < 0) {
		b->step = IDLE;
		snprintf(b->error, sizeof(b->error), "BIRD could not be told: %s",
		         reply ? perr.text : err->text);
		if (!b->closing)
			try_again(b);
		return;
	}
	switch (result.result) {
	case BIRD_CONF_RECONFIGURED:
		loaded(b);
		break;
	case BIRD_CONF_IN_PROGRESS:
	case BIRD_CONF_QUEUED:
		uv_timer_again(&b->poll);
		break;
	case BIRD_CONF_ERROR:
		load_refused(b, &result);
		advance(b);
		break;
	default:
		b->step = IDLE;
		snprintf(b->error, sizeof(b->error), "BIRD answered \"%s\" to configure",
		         bird_configure_name(result.result));
		try_again(b);
	}
}

static void on_poll(uv_timer_t *t)
{
	struct bird_apply *b = t->data;

	uv_timer_stop(t);
	bird_ctl_command(b->ctl, "configure status", on_configured, b);
}

static void advance(struct bird_apply *b)
{
	if (b->step != IDLE || b->closing)
		return;
	if (b->wanted) {
		if (!asks_for_sessions(b))
			start_check(b);
	} else if (!b->loaded && b->current[0] && bird_ctl_version(b->ctl)) {
		b->step = LOADING;
		bird_ctl_command(b->ctl, "configure", on_configured, b);
	}
}

static void on_stale_timer(uv_timer_t *t)
{
	struct bird_apply *b = t->data;

	if (b->on_stale(b->ctx) < 0)
		uv_timer_start(&b->stale, on_stale_timer, STALE_AGAIN_MS, 0);
}

static void on_state(void *ctx, const struct bird_version *version, const struct weft_err *err)
{
	struct bird_apply *b = ctx;

	b->loaded = false;
	if (version) {
		log_info("BIRD %s is there", version->text);
		b->down[0] = '\0';
		uv_timer_stop(&b->stale);
		advance(b);
	} else {
		log_info("BIRD is away: %s", err->text);
		snprintf(b->down, sizeof(b->down), "%s", err->text);
		if (b->step == LOADING)
			b->step = IDLE;
		uv_timer_stop(&b->poll);
		uv_timer_start(&b->stale, on_stale_timer, b->stale_ms, 0);
		tell(b);
	}
}

/* --- want --- */

static struct bird_render rendering(const struct bird_apply *b)
{
	return (struct bird_render){.tmpl = b->tmpl,
	                            .node = b->node,
	                            .custom_dir = b->custom_dir,
	                            .secrets_dir = b->secrets_dir,
	                            .current = b->current,
	                            .gid = b->gid};
}

int bird_apply_preview(const struct bird_apply *b, const struct bgp_model *m, struct weft_buf *out,
                       struct weft_err *err)
{
	struct bird_render r = rendering(b);

	return bird_render_preview(&r, m, out, err);
}

void bird_apply_want(struct bird_apply *b, const struct bgp_model *m)
{
	weft_auto(weft_buf_free) struct weft_buf text = {.max = CONF_MAX};
	struct bird_render r = rendering(b);
	struct weft_err err = WEFT_ERR_INIT;
	uint8_t fingerprint[BGP_FINGERPRINT];

	bgp_fingerprint(m, b->key, fingerprint);
	if (b->have_fingerprint && !memcmp(fingerprint, b->fingerprint, sizeof(fingerprint)))
		return;
	memcpy(b->fingerprint, fingerprint, sizeof(fingerprint));
	b->have_fingerprint = true;
	if (bird_render(&r, m, &text, &err) < 0 || text.failed) {
		refuse(b, "", text.failed ? "the configuration is too large" : err.text);
		b->have_fingerprint = false; /* a full disk may have room at the next try */
		try_again(b);
		return;
	}
	if (b->step == CHECKING) {
		bird_check_cancel(b->check);
		b->check = NULL;
		b->step = IDLE;
	}
	set_text(&b->wanted, weft_buf_take(&text));
	set_text(&b->refused, NULL);
	set_text(&b->last, NULL);
	b->whole = false;
	advance(b);
}

/* --- status --- */

struct query {
	bird_protocols_fn fn;
	void *ctx;
};

static void on_protocols(void *ctx, const struct bird_reply *reply, const struct weft_err *err)
{
	struct query *q = ctx;
	struct bird_protos protos = {0};
	struct weft_err perr = WEFT_ERR_INIT;

	if (reply && bird_show_protocols(reply, &protos, &perr) < 0)
		q->fn(q->ctx, NULL, &perr);
	else
		q->fn(q->ctx, reply ? &protos : NULL, err);
	bird_protos_free(&protos);
	free(q);
}

void bird_apply_protocols(struct bird_apply *b, bird_protocols_fn fn, void *ctx)
{
	struct query *q = malloc(sizeof(*q));
	struct weft_err err = WEFT_ERR_INIT;

	if (!q) {
		weft_err_errno(&err, ENOMEM, "BIRD query");
		fn(ctx, NULL, &err);
		return;
	}
	*q = (struct query){fn, ctx};
	bird_ctl_command(b->ctl, "show protocols all", on_protocols, q);
}

void bird_apply_ask(struct bird_apply *b, const char *command, bird_reply_fn fn, void *ctx)
{
	bird_ctl_command(b->ctl, command, fn, ctx);
}

const struct bird_version *bird_apply_version(const struct bird_apply *b)
{
	return bird_ctl_version(b->ctl);
}

void bird_apply_status(const struct bird_apply *b, struct bird_apply_status *out)
{
	const struct bird_version *v = bird_ctl_version(b->ctl);

	out->up = v != NULL;
	out->loads = b->loads;
	out->refusals = b->refusals;
	out->version = v ? v->text : "";
	out->error = b->error[0] ? b->error : v ? "" : b->down;
	if (b->refused)
		out->config = BIRD_CONFIG_REFUSED;
	else if (b->wanted || b->last || b->step != IDLE)
		out->config = BIRD_CONFIG_PENDING;
	else if (!b->current[0])
		out->config = BIRD_CONFIG_NONE;
	else
		out->config = b->loaded ? BIRD_CONFIG_LOADED : BIRD_CONFIG_WRITTEN;
}

const char *bird_config_state_name(enum bird_config_state s)
{
	static const char *const names[] = {"none", "pending", "written", "loaded", "refused"};

	return names[s];
}

/* --- life --- */

static char *join(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

static int prepare(struct bird_apply *b, const struct bird_apply_options *o, struct weft_err *err)
{
	struct group *group = getgrnam("bird");
	int r;

	b->gid = group ? group->gr_gid : (gid_t)-1;
	b->node = strdup(o->node);
	b->binary = strdup(o->binary);
	b->conf = join(o->config_dir, "bird.conf");
	b->fresh = join(o->config_dir, "bird.conf.new");
	b->custom_dir = join(o->config_dir, "custom");
	b->secrets_dir = join(o->config_dir, "secrets");
	if (!b->node || !b->binary || !b->conf || !b->fresh || !b->custom_dir || !b->secrets_dir)
		return weft_err_errno(err, ENOMEM, "BIRD");
	r = bird_folders(o->config_dir, b->secrets_dir, b->custom_dir, b->gid, err);
	if (r < 0)
		return r;
	if (weft_file_read(b->conf, CONF_MAX, &b->current, NULL, NULL) < 0)
		b->current = strdup("");
	return bird_conf_load(o->templates, &b->tmpl, err);
}

int bird_apply_new(const struct bird_apply_options *o, struct bird_apply **out, struct weft_err *err)
{
	struct bird_apply *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return weft_err_errno(err, ENOMEM, "BIRD");
	b->loop = o->loop;
	b->stale_ms = o->stale_ms;
	b->on_stale = o->on_stale;
	b->on_again = o->on_again;
	b->on_config = o->on_config;
	b->ctx = o->ctx;
	randombytes_buf(b->key, sizeof(b->key));
	uv_timer_init(o->loop, &b->poll);
	uv_timer_init(o->loop, &b->stale);
	uv_timer_init(o->loop, &b->again);
	uv_timer_init(o->loop, &b->roll);
	b->poll.data = b->stale.data = b->again.data = b->roll.data = b;
	uv_timer_start(&b->poll, on_poll, POLL_MS, POLL_MS);
	uv_timer_stop(&b->poll);
	r = prepare(b, o, err);
	if (r == 0)
		r = bird_ctl_new(o->loop, o->socket, on_state, b, &b->ctl, err);
	if (r < 0) {
		bird_apply_free(b);
		return r;
	}
	*out = b;
	return 0;
}

static void on_closed(uv_handle_t *h)
{
	struct bird_apply *b = h->data;

	if (--b->closing)
		return;
	free(b->node);
	free(b->conf);
	free(b->fresh);
	free(b->custom_dir);
	free(b->secrets_dir);
	free(b->binary);
	free(b->current);
	free(b->former);
	free(b->wanted);
	free(b->refused);
	free(b->last);
	tmpl_free(b->tmpl);
	free(b);
}

void bird_apply_free(struct bird_apply *b)
{
	if (!b)
		return;
	b->closing = 4;
	if (b->check)
		bird_check_cancel(b->check);
	bird_ctl_free(b->ctl);
	uv_close((uv_handle_t *)&b->poll, on_closed);
	uv_close((uv_handle_t *)&b->stale, on_closed);
	uv_close((uv_handle_t *)&b->again, on_closed);
	uv_close((uv_handle_t *)&b->roll, on_closed);
}
