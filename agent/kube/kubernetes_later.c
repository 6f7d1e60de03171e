// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What has to be done later, in one list on one timer: pauses before a request is made again, and what can't
 * be done inside a callback. Few at a time, so a list will do.
 */
#include <utlist.h>

#include "agent/kube/kubernetes_priv.h"

static void on_timer(uv_timer_t *timer);

static void wake_at(struct kubernetes *k, uint64_t due)
{
	uint64_t now = uv_now(k->loop);

	if (uv_is_closing((uv_handle_t *)&k->timer))
		return;
	k->timer_due = due;
	uv_timer_start(&k->timer, on_timer, due > now ? due - now : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct kubernetes *k = timer->data;
	uint64_t now = uv_now(k->loop), due = UINT64_MAX;
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
	} while (l);
	DL_FOREACH (k->laters, l)
		if (l->due < due)
			due = l->due;
	if (due != UINT64_MAX)
		wake_at(k, due);
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
	if (!uv_is_active((uv_handle_t *)&k->timer) || l->due < k->timer_due)
		wake_at(k, l->due);
}

/* The timer may still go off for it, and find nothing to do. */
void kubernetes_not_later(struct kubernetes *k, struct kubernetes_later *l)
{
	if (l->armed)
		DL_DELETE(k->laters, l);
	l->armed = false;
}
