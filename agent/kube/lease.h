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
	        *identity;          /* copied; identity is unique per process life: NODE_RANDOM */
	unsigned duration_s;        /* 0 = 15 */
	uint64_t renew_deadline_ms; /* 0 = 10000 */
	uint64_t retry_ms;          /* 0 = 2000, times 1 to 1.2 */
	void (*on_change)(void *ctx, bool leading);
	void *ctx;
};

struct kube_lease *kube_lease_new(const struct kube_lease_options *o);
bool kube_lease_leading(const struct kube_lease *l);
const char *kube_lease_holder(const struct kube_lease *l);  /* as last seen, "" = nobody */
const char *kube_lease_trouble(const struct kube_lease *l); /* "" = none */
void kube_lease_free(struct kube_lease *l);

#endif
