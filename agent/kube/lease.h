// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Leader election by a coordination.k8s.io/v1 Lease, as client-go does it (tools/leaderelection): whoever is
 * written in it holds the role as long as it renews; others take it once they have seen no change for
 * leaseDurationSeconds by their own monotonic clock (the times in the object are for people). Each write
 * carries the resourceVersion it was read with, so that of two one fails (409).
 *
 * Holder: renews every retry_ms; when no renewal worked for renew_deadline_ms the role is given up at once
 * (on_change(false)), before the others' wait of duration_s is over. kube_lease_free() of a holder releases
 * it (holderIdentity "") without waiting for the answer. MicroTime needs exactly six fractional digits.
 *
 * Others look every retry_ms, as client-go does, while they are few. One of n who knows that the holder
 * renewed a moment ago looks again after n seconds, or a minute, on average, and then every retry_ms until it knows that
 * once more or the Lease has run out. All together they look once or twice a second, or, if there are more
 * than 60, each about twice a minute. In a crowd somebody is always looking closely, so a dead holder's role is
 * taken when its Lease has run out; who is alone among many nodes takes it within a minute and a half.
 *
 * Unlike client-go, who has seen a holder does not take a Lease that vanished for free: it waits as if it
 * were still there.
 */
#ifndef AGENT_KUBE_LEASE_H
#define AGENT_KUBE_LEASE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "agent/kube/client.h"

struct kube_lease;

struct kube_lease_options {
	struct kube *client;
	uv_loop_t *loop;
	const char *namespace, *name,
	        *identity;           /* copied; identity is unique per process life: NODE_RANDOM */
	unsigned duration_s;         /* 0 = 15 */
	uint64_t renew_deadline_ms;  /* 0 = 10000 */
	uint64_t retry_ms;           /* 0 = 2000, times 1 to 1.2 */
	size_t (*rivals)(void *ctx); /* how many stand for it, about; NULL = few */
	void (*on_change)(void *ctx, bool leading);
	void *ctx;
};

struct kube_lease *kube_lease_new(const struct kube_lease_options *o);
bool kube_lease_leading(const struct kube_lease *l);
const char *kube_lease_holder(const struct kube_lease *l);  /* as last seen, "" = nobody */
const char *kube_lease_trouble(const struct kube_lease *l); /* "" = none */
void kube_lease_free(struct kube_lease *l);

#endif
