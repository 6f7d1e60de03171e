// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The queries of a watcher, as client-go's reflector has them.
 *
 * A listing is asked as of the version that is known, or of the server's cache ("0") at the first time, so
 * that thousands of agents cost etcd nothing; a limit would make the server read etcd for a version. Only
 * when it refused (410, or 504 ResourceVersionTooLarge after etcd was set back), the newest state is asked
 * for, page by page. What was seen is never older than what was seen before.
 */
#include "agent/kube/watch_private.h"

#include <ctype.h>
#include <string.h>

#include "weft/buf.h"
#include "weft/keyhash.h"

#define PAGE 500

/* name=value, the value percent-encoded: versions and tokens are opaque. */
static void add(struct weft_buf *b, const char *name, const char *value)
{
	weft_buf_printf(b, "%s=", name);
	for (; *value; value++) {
		if (isalnum((unsigned char)*value) || strchr("-._~", *value))
			weft_buf_char(b, *value);
		else
			weft_buf_printf(b, "%%%02X", (unsigned char)*value);
	}
}

static void add_page(const struct kube_watch *w, struct weft_buf *b)
{
	const char *version = w->newest ? "" : w->version ? w->version : "0";

	if (!w->in_one && (w->more || !*version || !strcmp(version, "0")))
		weft_buf_printf(b, "limit=%u&", w->o.page ? w->o.page : PAGE);
	if (w->more)
		add(b, "continue", w->more);
	else
		add(b, "resourceVersion", version);
}

static void add_stream(const struct kube_watch *w, struct weft_buf *b, unsigned seconds)
{
	weft_buf_printf(b, "watch=1&allowWatchBookmarks=true&timeoutSeconds=%u&", seconds);
	if (w->step == STEP_INITIAL)
		weft_buf_str(b, "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&");
	add(b, "resourceVersion", w->version && !w->newest ? w->version : "");
}

char *watch_path(const struct kube_watch *w, unsigned seconds)
{
	struct weft_buf b = {0};
	char *path;

	weft_buf_printf(&b, "%s?", w->o.path);
	if (w->o.selector)
		weft_buf_printf(&b, "%s&", w->o.selector);
	if (w->step == STEP_PAGES)
		add_page(w, &b);
	else
		add_stream(w, &b, seconds);
	path = weft_buf_take(&b);
	return path ? path : must_strdup("");
}
