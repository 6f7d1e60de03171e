// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * BIRD's configuration as a resource: want a model, converge to it, tell where it stands.
 *
 * A change goes through these steps, one change at a time; what is wanted meanwhile waits for the end:
 *
 *	render -> same as the file? -> done
 *	       -> STAGE   if more than one established session would restart: one at a time, bird_stages.h
 *	       -> CHECK   bird.conf.new, by `bird -p` in a process of its own: a bad text can kill a BIRD
 *	       -> WRITE   rename over bird.conf
 *	       -> LOAD    `configure` through the control socket; each BIRD that appears is told once
 *
 * Refused at CHECK: bird.conf is untouched. Refused at LOAD: the former text is put back. Either way the
 * reason is kept for status, and the same model is not tried again until it changes. A CHECK that was killed
 * says nothing about the text, and is tried again.
 *
 * Files below config_dir: bird.conf (0640), secrets/PROTOCOL-a.conf or -b.conf (0640, one password each; two
 * names so that a new password never changes what the running configuration includes), custom/ (the user's,
 * only made). They get the group of the user that BIRD runs as, if it exists ("bird").
 *
 * BIRD may be absent, late or restart at any time: that is state, not an error. When it has been gone for
 * stale_ms, on_stale is called: its routes are then removed by whoever owns that decision.
 */
#ifndef WEFT_APPLY_BIRD_H
#define WEFT_APPLY_BIRD_H

#include <cjson/cJSON.h>
#include <uv.h>

#include "weft/buf.h"
#include "weft/err.h"

#include "agent/bird/ctl.h"
#include "agent/plan/bgp.h"

struct bird_apply;

struct bird_apply_options {
	uv_loop_t *loop;
	const char *node, *config_dir, *socket, *templates, *binary; /* copied */
	uint64_t stale_ms;
	int (*on_stale)(void *ctx);   /* negative: it failed, call it again */
	void (*on_again)(void *ctx);  /* the disk failed a while ago: call bird_apply_want() */
	void (*on_config)(void *ctx); /* it was written, loaded or refused, or BIRD is away; may be NULL */
	void *ctx;
};

/* Makes the folders, reads the templates, begins to connect. */
int bird_apply_new(const struct bird_apply_options *o, struct bird_apply **out, struct weft_err *err);
void bird_apply_free(struct bird_apply *b);

/* Cheap when the model is the one already wanted. The model is not kept. After a failure of the disk on_again
 * asks for the next call. */
void bird_apply_want(struct bird_apply *b, const struct bgp_model *m);

/* The text that bird_apply_want() would write, without writing anything: passwords' files are named PROTOCOL-a.conf. */
int bird_apply_preview(const struct bird_apply *b, const struct bgp_model *m, struct weft_buf *out,
                       struct weft_err *err);

/* Ask BIRD for its protocols; fn gets them (borrowed) or the reason why not. */
typedef void (*bird_protocols_fn)(void *ctx, const struct bird_protos *protos, const struct weft_err *err);
void bird_apply_protocols(struct bird_apply *b, bird_protocols_fn fn, void *ctx);

/* Ask BIRD anything: one line without the newline. fn as bird_ctl_command() says; -ECANCELED at the end. */
void bird_apply_ask(struct bird_apply *b, const char *command, bird_reply_fn fn, void *ctx);

/* Of the BIRD that is there; NULL = none is. */
const struct bird_version *bird_apply_version(const struct bird_apply *b);

enum bird_config_state {
	BIRD_CONFIG_NONE,
	BIRD_CONFIG_PENDING,
	BIRD_CONFIG_WRITTEN,
	BIRD_CONFIG_LOADED,
	BIRD_CONFIG_REFUSED
};

struct bird_apply_status {
	bool up;
	const char *version; /* "" when not up */
	enum bird_config_state config;
	const char *error;        /* "" = none: what was refused, or why BIRD can't be reached */
	uint64_t loads, refusals; /* since the start */
};

void bird_apply_status(const struct bird_apply *b, struct bird_apply_status *out);
const char *bird_config_state_name(enum bird_config_state s);

#endif
