// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/apply/bird_stages.h"

#include <stdio.h>
#include <string.h>

#include "weft/buf.h"
#include "weft/cleanup.h"

#define HEAD "\nprotocol bgp "
#define TAIL "\n}\n"

/* One session's protocol in a text: [start, start + len), without the newline before it. */
struct section {
	char name[BGP_PROTOCOL_NAME_MAX + 1];
	const char *start;
	size_t len;
};

/* The first section at or after `from`. */
static bool next_section(const char *from, struct section *out)
{
	const char *head = strstr(from, HEAD), *name = head ? head + strlen(HEAD) : NULL;
	const char *tail = name ? strstr(name, TAIL) : NULL;
	size_t len = name ? strcspn(name, " \n") : 0;

	if (!tail || !len || len > BGP_PROTOCOL_NAME_MAX)
		return false;
	snprintf(out->name, sizeof(out->name), "%.*s", (int)len, name);
	out->start = head + 1;
	out->len = (size_t)(tail + strlen(TAIL) - out->start);
	return true;
}

static bool find_section(const char *text, const char *name, struct section *out)
{
	for (const char *at = text; next_section(at, out); at = out->start + out->len - 1)
		if (!strcmp(out->name, name))
			return true;
	return false;
}

/* What BIRD changes under a running session. */
static bool is_soft(const char *line)
{
	static const char *const soft[] = {
	        "description ",   "import filter ", "import limit ", "receive limit ",
	        "export filter ", "next hop ",      "bfd "};

	line += strspn(line, "\t");
	for (size_t i = 0; i < WEFT_ARRAY_LEN(soft); i++)
		if (!strncmp(line, soft[i], strlen(soft[i])))
			return true;
	return false;
}

/* The next line of [*at, end) that is not soft; its length, with the newline. */
static size_t hard_line(const char **at, const char *end)
{
	while (*at < end) {
		size_t len = strcspn(*at, "\n") + 1;

		if (!is_soft(*at))
			return len;
		*at += len;
	}
	return 0;
}

static bool restarts(const struct section *a, const struct section *b)
{
	const char *x = a->start, *y = b->start;

	for (;;) {
		size_t n = hard_line(&x, a->start + a->len), m = hard_line(&y, b->start + b->len);

		if (n != m || memcmp(x, y, n) != 0)
			return true;
		if (!n)
			return false;
		x += n;
		y += m;
	}
}

bool bird_stage_asks(const struct bird_stage *s, const char *current, const char *wanted)
{
	struct section w, c;
	size_t n = 0;

	for (const char *at = wanted; next_section(at, &w); at = w.start + w.len - 1)
		if (find_section(current, w.name, &c) && restarts(&c, &w))
			n++;
	return n > 1 || (n == 1 && s->session[0]);
}

static bool established(const struct bird_protos *protos, const char *session)
{
	const struct bird_proto *p = bird_protos_find(protos, session);

	return p && !strcmp(p->bgp_state, "Established");
}

/* Until the one that was restarted is back, or had its time, no other one is. */
static bool may_restart(struct bird_stage *s, const struct bird_protos *protos, const char *session,
                        uint64_t now)
{
	if (!established(protos, session))
		return true;
	if (s->session[0])
		return false;
	snprintf(s->session, sizeof(s->session), "%s", session);
	s->until = now + BIRD_STAGE_LIMIT_MS;
	return true;
}

char *bird_stage_next(struct bird_stage *s, const char *current, const char *wanted,
                      const struct bird_protos *protos, uint64_t now)
{
	weft_auto(weft_buf_free) struct weft_buf out = {0};
	const char *done = wanted;
	struct section w, c;
	bool holds = false;

	if (s->session[0] && (now >= s->until || established(protos, s->session)))
		s->session[0] = '\0';
	for (const char *at = wanted; next_section(at, &w); at = w.start + w.len - 1) {
		if (!find_section(current, w.name, &c) || !restarts(&c, &w) ||
		    may_restart(s, protos, w.name, now))
			continue;
		weft_buf_add(&out, done, (size_t)(w.start - done));
		weft_buf_add(&out, c.start, c.len);
		done = w.start + w.len;
		holds = true;
	}
	weft_buf_add(&out, done, strlen(done));
	return holds ? weft_buf_take(&out) : NULL;
}
