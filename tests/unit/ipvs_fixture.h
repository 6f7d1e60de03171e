// SPDX-License-Identifier: GPL-2.0-or-later
/* What the tests of the IPVS reconciler share: a world with a stand-in kernel, wishes, and looks at both. */
#ifndef WEFT_TESTS_IPVS_FIXTURE_H
#define WEFT_TESTS_IPVS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "agent/apply/ipvs.h"
#include "tests/unit/fake_ipvs.h"
#include "weft/log.h"

struct world {
	struct fake_ipvs kernel;
	struct ipvs *ipvs;
	uint64_t now;
	bool own_nothing;
};

/* Ours: 10.96.0.0/16, fd00::/16, marks of 0x57. */
static inline bool owns(void *ctx, const struct svc_virtual_key *key)
{
	const struct world *w = ctx;

	if (w->own_nothing)
		return false;
	if (key->fwmark)
		return key->fwmark >> 24 == 0x57;
	return key->addr.family == AF_INET ? key->addr.bytes[0] == 10 && key->addr.bytes[1] == 96
	                                   : key->addr.bytes[0] == 0xfd;
}

static inline int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	weft_log_init(WEFT_LOG_ERROR);
	fake_init(&w->kernel, 700);
	w->ipvs = ipvs_new_on(&w->kernel.base, FAKE_FAMILY, owns, w);
	w->now = 1000000;
	*state = w;
	return 0;
}

static inline int teardown(void **state)
{
	struct world *w = *state;
	struct ipvs_tally t = ipvs_tally(w->ipvs);
	struct ipvs_stats s = ipvs_stats(w->ipvs);

	/* What is counted is what a walk finds. */
	for (int i = 0; i < IPVS_STALE; i++)
		assert_int_equal(t.count[i], s.count[i]);
	ipvs_free(w->ipvs);
	free(w->kernel.service);
	free(w);
	return 0;
}

static inline void restart(struct world *w)
{
	ipvs_free(w->ipvs);
	w->ipvs = ipvs_new_on(&w->kernel.base, FAKE_FAMILY, owns, w);
	assert_int_equal(ipvs_resync(w->ipvs, w->now, NULL), 0);
	w->kernel.messages = 0;
	memset(w->kernel.log, 0, sizeof(w->kernel.log));
}

static inline struct svc_virtual virtual(unsigned n)
{
	struct svc_virtual v = {.scheduler = "rr"};

	memset(&v.key, 0, sizeof(v.key));
	v.key.addr = (struct weft_addr){AF_INET, {10, 96, (uint8_t)(n >> 8), (uint8_t)n}};
	v.key.proto = IPPROTO_TCP;
	v.key.port = 80;
	return v;
}

#define KEY(v) (&(struct svc_virtual[]){v}[0].key)

static inline struct svc_dest dest(unsigned n, uint16_t weight)
{
	return (struct svc_dest){
	        .addr = {AF_INET, {10, 244, (uint8_t)(n >> 8), (uint8_t)n}}, .port = 8080, .weight = weight};
}

static inline struct svc_dest kept(unsigned n)
{
	struct svc_dest d = dest(n, 0);

	d.keep_only = true;
	return d;
}

static inline void want(struct world *w, struct svc_virtual v, const struct svc_dest *d, size_t n)
{
	assert_int_equal(ipvs_want(w->ipvs, &v, d, n, NULL), 0);
}
#define WANT(w, v, ...)                              \
	want(w, v, (struct svc_dest[]){__VA_ARGS__}, \
	     sizeof((struct svc_dest[]){__VA_ARGS__}) / sizeof(struct svc_dest))

static inline int apply(struct world *w)
{
	struct weft_err err = WEFT_ERR_INIT;
	int rc, turns = 0;

	do {
		rc = ipvs_apply(w->ipvs, w->now, &err);
		assert_true(turns++ < 100);
	} while (rc == 1);
	assert_true((rc < 0) == (err.code < 0));
	return rc;
}

/* Apply; the kernel then got exactly these messages (letters: fake_ipvs.h). */
static inline void applies(struct world *w, const char *log)
{
	memset(w->kernel.log, 0, sizeof(w->kernel.log));
	w->kernel.messages = 0;
	assert_int_equal(apply(w), 0);
	assert_string_equal(w->kernel.log, log);
}

static inline struct fake_service *in_kernel(struct world *w, struct svc_virtual v)
{
	struct ipvs_msg_key key;

	memset(&key, 0, sizeof(key));
	key.addr = v.key.addr;
	key.proto = v.key.proto;
	key.port = v.key.port;
	key.fwmark = v.key.fwmark;
	return fake_find(&w->kernel, &key);
}

/* Weight of a destination in the kernel, -1: it has none. */
static inline int weight(struct world *w, struct svc_virtual v, unsigned n)
{
	struct svc_dest d = dest(n, 0);
	struct ipvs_msg_dest m = {.addr = d.addr, .port = d.port};
	struct ipvs_msg_dest *there = fake_dest(in_kernel(w, v), &m);

	return there ? (int)there->weight : -1;
}

static inline void put_in_kernel(struct world *w, struct svc_virtual v, const char *scheduler)
{
	struct ipvs_msg_service s;

	memset(&s, 0, sizeof(s));
	s.key.addr = v.key.addr;
	s.key.proto = v.key.proto;
	s.key.port = v.key.port;
	s.key.fwmark = v.key.fwmark;
	strcpy(s.scheduler, scheduler);
	fake_add(&w->kernel, &s);
}

static inline void put_dest(struct world *w, struct svc_virtual v, unsigned n, uint32_t in_kernel_weight,
                            bool odd)
{
	struct fake_service *s = in_kernel(w, v);
	struct svc_dest d = dest(n, 0);

	s->dest[s->n++] = (struct ipvs_msg_dest){
	        .addr = d.addr, .port = d.port, .weight = in_kernel_weight, .odd = odd};
}

static inline enum ipvs_state state_of(struct world *w, struct svc_virtual v)
{
	enum ipvs_state state = ipvs_state_of(w->ipvs, &v.key, NULL);

	assert_int_equal(ipvs_installed(w->ipvs, &v.key), state == IPVS_INSTALLED);
	return state;
}

#endif
