// SPDX-License-Identifier: GPL-2.0-or-later
/* What split.c (the grammar of what matters) and split_pass.c (all else) share. */
#ifndef AGENT_KUBE_SPLIT_PRIVATE_H
#define AGENT_KUBE_SPLIT_PRIVATE_H

#include <stdint.h>

#include "agent/kube/split.h"

#define MAX_FRAMES 5

enum frame { TOP, ENVELOPE, LIST_META, ITEMS, EVENT, OBJECT, META };

/* What structure() waits for. */
enum want { VALUE, VALUE_OR_END, NAME, NAME_OR_END, COLON, NEXT, NOTHING };

/* Who takes the next byte. */
enum reader { STRUCTURE, STRING, SCALAR, SKIP };

enum name { OTHER, N_METADATA, N_ITEMS, N_VERSION, N_CONTINUE, N_TYPE, N_OBJECT, N_MANAGED_FIELDS };

struct kube_split {
	enum kube_shape shape;
	kube_split_fn fn;
	void *ctx;

	char *buf;
	size_t len, cap;
	bool copying;
	uint64_t before; /* bytes of earlier feeds */
	uint64_t handed; /* bytes up to the last object that was handed over */

	enum reader reader;
	enum want want;
	enum frame frames[MAX_FRAMES];
	unsigned n_frames;
	enum name name; /* of the member whose value comes or is read */
	bool is_name;   /* STRING */
	bool escaped;   /* STRING, SKIP: the last byte was a backslash */
	bool in_string; /* SKIP */
	unsigned nest;  /* SKIP: brackets that are open, */
	uint64_t kinds; /* the innermost in the lowest bit, 1 = a brace */
	size_t scalar_len;
	bool is_null;

	bool has_items;
	char *version, *more;
	size_t string_at; /* STRING: where its quote is in buf */
	bool has_type, has_object;
	size_t type_at, type_len, object_at, object_len;
	size_t open_at, comma_at; /* META: lengths after its brace, before its last comma */
	bool has_member;          /* META: one that stays */
	bool dropping;            /* META: the value is managedFields' */
};

struct feed {
	const char *p, *end, *run;
	const char *begin;
	struct weft_err *err;
};

uint64_t kube_split_position(const struct kube_split *s, const struct feed *f);

/* Says at which byte. Returns the negative errno. */
int kube_split_fail(const struct kube_split *s, const struct feed *f, int code, const char *what);

/* The rest of a string. 1: f->p is behind its quote; 0: the feed is over first. */
int kube_split_pass_string(struct kube_split *s, struct feed *f);

/* The rest of a string, array or object. 1: f->p is behind it; 0: the feed is over first. */
int kube_split_pass(struct kube_split *s, struct feed *f);

#endif
