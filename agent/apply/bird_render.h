// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A BGP model as the text of bird.conf, and the files with passwords that this text includes.
 */
#ifndef AGENT_APPLY_BIRD_RENDER_H
#define AGENT_APPLY_BIRD_RENDER_H

#include <sys/types.h>

#include "agent/bird/conf.h"

struct bird_render { /* borrowed */
	const struct tmpl *tmpl;
	const char *node, *custom_dir, *secrets_dir;
	const char *
	        current; /* text of the bird.conf in force: the password files that it includes stay as they are */
	gid_t gid;
};

/* Writes the password files that are missing. */
int bird_render(const struct bird_render *b, const struct bgp_model *m, struct weft_buf *out,
                struct weft_err *err);

/* Writes nothing: every password file is PROTOCOL-a.conf. */
int bird_render_preview(const struct bird_render *b, const struct bgp_model *m, struct weft_buf *out,
                        struct weft_err *err);

#endif
