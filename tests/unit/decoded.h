// SPDX-License-Identifier: GPL-2.0-or-later
/* Texts of Services and EndpointSlices, decoded. */
#ifndef TESTS_UNIT_DECODED_H
#define TESTS_UNIT_DECODED_H

#include <string.h>

#include "agent/source/decode.h"
#include "agent/source/yaml.h"
#include "weft/cleanup.h"

#define META(kind, api) "apiVersion: " api "\nkind: " kind "\nmetadata: {name: s, namespace: n}\n"
#define SERVICE(rest)   META("Service", "v1") rest "\n"
#define SPEC(rest)      SERVICE("spec: {ports: [{port: 80}], " rest "}")
#define SLICE(rest)     META("EndpointSlice", "discovery.k8s.io/v1") rest "\n"
#define V4(endpoints)   SLICE("addressType: IPv4\nendpoints: [" endpoints "]")

static inline struct weft_object *decode(const char *text, struct weft_err *err)
{
	weft_auto(weft_yaml_free) struct weft_yaml yaml = {0};
	struct weft_decoded got;

	assert_int_equal(weft_yaml_parse(text, strlen(text), false, &yaml, NULL), 0);
	assert_int_equal(yaml.docs[0].err.code, 0);
	weft_decode(yaml.docs[0].root, &got, err);
	return got.obj;
}

static inline struct weft_object *good(const char *text)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_object *obj = decode(text, &err);

	if (!obj)
		fail_msg("%s\n%s", text, err.text);
	return obj;
}

static inline void expect_addr(const struct weft_addr *a, const char *want)
{
	char text[WEFT_ADDR_STR];

	assert_string_equal(weft_addr_str(a, text), want);
}

static inline void expect_prefix(const struct weft_prefix *p, const char *want)
{
	char text[WEFT_PREFIX_STR];

	assert_string_equal(weft_prefix_str(p, text), want);
}

#endif
