// SPDX-License-Identifier: GPL-2.0-or-later
/* What the tests of the table inet weft share: addresses, elements, and the table as nft(8) shows it. */
#ifndef WEFT_TESTS_NFT_FIXTURE_H
#define WEFT_TESTS_NFT_FIXTURE_H

#include <netinet/in.h>
#include <string.h>

#include "agent/apply/nft.h"
#include "agent/kernel/nft_watch.h"
#include "tests/unit/netns.h"

static uint64_t now = 1000000;

static inline struct weft_addr addr(const char *text)
{
	struct weft_addr a;

	assert_int_equal(weft_addr_parse(text, &a, NULL), 0);
	return a;
}

static inline struct weft_prefix prefix(const char *text)
{
	struct weft_prefix p;

	assert_int_equal(weft_prefix_parse(text, &p, NULL), 0);
	return p;
}

/* TCP, where the set has ports. */
static inline struct svc_element element(enum svc_set set, const char *a, uint16_t port)
{
	struct svc_element e;

	memset(&e, 0, sizeof(e));
	e.set = (uint8_t)set;
	e.addr = addr(a);
	e.proto = port ? IPPROTO_TCP : 0;
	e.port = port;
	return e;
}

static inline struct svc_element etpl(const char *a, uint16_t port, uint32_t mark)
{
	struct svc_element e = element(SVC_SET_ETPL, a, port);

	e.mark = mark;
	return e;
}

static inline struct svc_element range(const char *a, uint16_t port, const char *source)
{
	struct svc_element e = element(SVC_SET_SOURCE, a, port);

	e.source = prefix(source);
	return e;
}

static inline void want(struct nft *n, struct svc_element e)
{
	nft_want_element(n, &e);
}

static inline void unwant(struct nft *n, struct svc_element e)
{
	nft_unwant_element(n, &e);
}

static inline void apply(struct nft *n)
{
	struct weft_err err = WEFT_ERR_INIT;

	now += 1000;
	if (nft_apply(n, now, &err))
		fail_msg("%s", err.text);
}

static inline void shows(const char *command, const char *part, bool expected)
{
	static char out[256 * 1024];

	netns_run(command, out, sizeof(out));
	if ((strstr(out, part) != NULL) != expected)
		fail_msg("%s: %s \"%s\" in:\n%s", command, expected ? "missing" : "unexpected", part, out);
}

static inline void set_shows(const char *set, const char *part, bool expected)
{
	char command[128];

	snprintf(command, sizeof(command), "nft -n list set inet weft %s 2>&1", set);
	if (!strncmp(set, "etpl", 4))
		snprintf(command, sizeof(command), "nft -n list map inet weft %s 2>&1", set);
	shows(command, part, expected);
}

#endif
