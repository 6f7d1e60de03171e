// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The BGP model as BIRD configuration text: model -> template data -> bird.conf.
 *
 * Pure but for reading the template files once. The same model gives the same text. Passwords are not in it:
 * a peer that has one names a file to include, see bird_conf_params.
 */
#ifndef WEFT_BIRD_CONF_H
#define WEFT_BIRD_CONF_H

#include "weft/buf.h"
#include "weft/err.h"

#include "agent/bird/tmpl.h"
#include "agent/plan/bgp.h"

struct bird_conf_params {
	const char *node;       /* for the heading */
	const char *custom_dir; /* users' snippets are included from here */
	/* The file with `password "...";` for a peer that has a password; NULL = none. Borrowed during the
	 * render. */
	const char *(*secret_path)(void *ctx, const struct bgp_peer *peer);
	void *ctx;
};

/* Compile DIR/bird.conf with its partials DIR/NAME.conf. Release with tmpl_free(). */
int bird_conf_load(const char *dir, struct tmpl **out, struct weft_err *err);

/* Peers that the model refuses (peer->reason) are left out. On failure `out` is as it was. */
int bird_conf_render(const struct tmpl *t, const struct bgp_model *m, const struct bird_conf_params *params,
                     struct weft_buf *out, struct weft_err *err);

#endif
