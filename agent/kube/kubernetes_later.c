// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What has to be done later, in one list on one timer: pauses before a request is made again, and what can't
 * be done inside a callback. Few at a time, so a list will do.
 */
#include <utlist.h>

#include "agent/kube/kubernetes_priv.h"

static void arm(struct kubernetes *k);

static void on_timer(uv_timer_t *timer)
{
	struct kubernetes *k = timer->data;
	uint64_t now = uv_now(k->loop);
	struct kubernetes_later *l;

	/* What is called may add to the list and take from it. */
	do {
		DL_FOREACH (k->laters, l)
			if (l->due <= now)
				break;
		if (l) {
			kubernetes_not_later(k, l);
			l->fn(l->ctx);
		}
	} while (l && !k->closing);
	arm(k);
}

static void arm(struct kubernetes *k)
{
	uint64_t now = uv_now(k->loop), due = UINT64_MAX;
	const struct kubernetes_later *l;

	if (uv_is_closing((uv_handle_t *)&k->timer))
		return;
	DL_FOREACH (k->laters, l)
		if (l->due < due)
			due = l->due;
	if (due == UINT64_MAX)
		uv_timer_stop(&k->timer);
	else
		uv_timer_start(&k->timer, on_timer, due > now ? due - now : 0, 0);
}

void kubernetes_later(struct kubernetes *k, struct kubernetes_later *l, uint64_t ms, void (*fn)(void *ctx),
                      void *ctx)
{
	kubernetes_not_later(k, l);
	l->due = uv_now(k->loop) + ms;
	l->fn = fn;
	l->ctx = ctx;
	l->armed = true;
	DL_APPEND(k->laters, l);
	arm(k);
}

void kubernetes_not_later(struct kubernetes *k, struct kubernetes_later *l)
{
	if (l->armed)
		DL_DELETE(k->laters, l);
	l->armed = false;
}
