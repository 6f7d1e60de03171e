// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What libcurl brings of an answer, and what it amounts to.
 *
 *	header lines --> status, Retry-After, Date	all of it at most HEADER_MAX
 *	a 2xx header --> on_open
 *	2xx data ------> on_data, or the buffer		the buffer at most max_body
 *	other data ----> the buffer --> status.c
 *
 * libcurl's codes: a header or an encoding that is none of HTTP's is KUBE_NONSENSE, all other trouble
 * KUBE_NO_ANSWER; so is a stream that breaks off. libcurl takes the end of a connection without TLS's goodbye
 * for a normal one (SSL_OP_IGNORE_UNEXPECTED_EOF): where only that ends an answer, a cut can't be told.
 */
#include "agent/kube/client_private.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "agent/kube/status.h"

#define HEADER_MAX ((size_t)256 << 10)

static void heard(struct kube_call *c, size_t len)
{
	struct kube *k = c->kube;

	c->heard_ms = k->health.last_answer_ms = uv_now(k->loop);
	c->last_chance = false;
	k->health.bytes_in += len;
}

static size_t refuse(struct kube_call *c, const char *why)
{
	c->refusal = why;
	return CURL_WRITEFUNC_ERROR;
}

static bool is_header(const char *line, size_t len, const char *name)
{
	size_t n = strlen(name);

	return len > n && strncasecmp(line, name, n) == 0;
}

static void take_header(const char *line, size_t len, const char *name, char *to, size_t size)
{
	size_t n = strlen(name);

	if (!is_header(line, len, name))
		return;
	for (line += n, len -= n; len && strchr(" \t", *line); len--)
		line++;
	while (len && strchr(" \t\r\n", line[len - 1]))
		len--;
	if (len < size)
		snprintf(to, size, "%.*s", (int)len, line);
}

/* The header ends. 1xx are followed by another. */
static void end_header(struct kube_call *c)
{
	bool again = c->status != 0; /* trailers */
	long code = 0;

	c->kube->curl->easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &code);
	if (code < 200)
		return;
	c->status = (int)code;
	c->kube->health.error[0] = '\0';
	if (!again && code < KUBE_CODES)
		c->kube->health.answers[code]++;
	if (again || code >= 300 || !c->on_open || c->cancelled || c->kube->dead)
		return;
	c->kube->in_data = true;
	c->on_open(c->ctx);
	c->kube->in_data = false;
}

size_t kube_answer_header(char *data, size_t one, size_t len, void *call)
{
	struct kube_call *c = call;

	(void)one; /* always 1 */
	heard(c, len);
	c->header_len += len;
	if (c->header_len > HEADER_MAX)
		return refuse(c, "the answer's header is too large");
	if (len >= 5 && !memcmp(data, "HTTP/", 5)) {
		c->status = 0;
		c->retry_after[0] = c->date[0] = '\0';
		c->framed = len >= 6 && data[5] != '1';
	}
	c->framed |= is_header(data, len, "Content-Length:") || is_header(data, len, "Transfer-Encoding:");
	take_header(data, len, "Retry-After:", c->retry_after, sizeof(c->retry_after));
	take_header(data, len, "Date:", c->date, sizeof(c->date));
	if (len <= 2 && (*data == '\r' || *data == '\n'))
		end_header(c);
	return len;
}

/* Not realloc(): it may leave a secret behind. */
static bool grow(struct kube_call *c, size_t need)
{
	struct kube_buffer *b = &c->in;
	size_t cap = b->cap ? b->cap : 4096;
	char *data;

	while (cap < need)
		cap *= 2;
	data = malloc(cap);
	if (!data)
		return false;
	if (b->data)
		memcpy(data, b->data, b->len);
	kube_answer_drop(c);
	b->data = data;
	b->cap = cap;
	return true;
}

static size_t collect(struct kube_call *c, const char *data, size_t len)
{
	struct kube_buffer *b = &c->in;

	if (len > c->max_body || b->len > c->max_body - len)
		return refuse(c, "the answer is too large");
	if (b->len + len + 1 > b->cap && !grow(c, b->len + len + 1))
		return refuse(c, "no memory is left for the answer");
	memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
	return len;
}

size_t kube_answer_data(char *data, size_t one, size_t len, void *call)
{
	struct kube_call *c = call;
	int r;

	(void)one;
	if (c->cancelled || c->kube->dead)
		return CURL_WRITEFUNC_ERROR;
	heard(c, len);
	if (c->status < 200 || c->status >= 300 || !c->on_data)
		return collect(c, data, len);
	c->kube->in_data = true;
	r = c->on_data(c->ctx, data, len);
	c->kube->in_data = false;
	if (c->cancelled || c->kube->dead)
		return CURL_WRITEFUNC_ERROR;
	return r == 0 ? len : refuse(c, "the answer is not what was asked for");
}

void kube_answer_drop(struct kube_call *c)
{
	if (c->secret && c->in.data)
		sodium_memzero(c->in.data, c->in.cap);
	free(c->in.data);
	c->in.data = NULL;
}

static int errno_of(enum kube_result r)
{
	static const int codes[] = {
	        [KUBE_NOT_FOUND] = ENOENT,    [KUBE_ALREADY_EXISTS] = EEXIST,  [KUBE_CONFLICT] = EAGAIN,
	        [KUBE_EXPIRED] = ESTALE,      [KUBE_TOO_NEW] = EAGAIN,         [KUBE_THROTTLED] = EBUSY,
	        [KUBE_UNAUTHORIZED] = EACCES, [KUBE_FORBIDDEN] = EACCES,       [KUBE_REFUSED] = EINVAL,
	        [KUBE_SERVER_ERROR] = EIO,    [KUBE_NO_ANSWER] = EHOSTUNREACH, [KUBE_NONSENSE] = EBADMSG,
	};

	return codes[r];
}

static enum kube_result result_of(const struct kube_call *c, CURLcode code)
{
	if (c->refusal)
		return KUBE_NONSENSE;
	switch (code) {
	case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9 */
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
		return KUBE_NONSENSE;
	default:
		return KUBE_NO_ANSWER;
	}
}

static void say(struct kube_call *c, enum kube_result r, const char *what)
{
	const struct kube_access *a = &c->kube->access;

	weft_err_set(&c->err, errno_of(r), "%s %.200s at %s: %s", c->method, c->path, a->servers[c->server],
	             what);
}

/* An end that libcurl takes for a good one. */
static CURLcode check_end(struct kube_call *c, CURLcode code)
{
	if (code != CURLE_OK || c->doomed)
		return code;
	if (c->status == 0)
		return CURLE_GOT_NOTHING;
	if (c->status < 300 && c->status != 204 && !c->framed) {
		c->refusal = "the answer has no length";
		return CURLE_WEIRD_SERVER_REPLY;
	}
	return CURLE_OK;
}

/* libcurl gave up, or we did. */
static void make_failure(struct kube_call *c, CURLcode code, struct kube_answer *out)
{
	const char *why = c->curl_error;

	out->result = result_of(c, code);
	if (c->refusal)
		why = c->refusal;
	else if (!*why)
		why = c->kube->curl->easy_strerror(code);
	say(c, out->result, why);
}

/* What a request with secrets was told may quote them: only the reason is kept. */
static void make_status(struct kube_call *c, struct kube_answer *out)
{
	struct kube_status s;
	char text[sizeof(s.reason) + sizeof(s.text) + 32];

	kube_status_answer(c->status, c->in.data ? c->in.data : "", c->in.len, &s);
	out->result = s.result;
	out->retry_after_ms = s.retry_after_ms;
	if (c->retry_after[0])
		out->retry_after_ms =
		        kube_retry_after(c->retry_after, c->date[0] ? c->date : NULL, time(NULL));
	if (s.result == KUBE_OK)
		return;
	snprintf(text, sizeof(text), "%d %s%s%s", c->status, s.reason, *s.text && !c->secret ? ": " : "",
	         c->secret ? "" : s.text);
	say(c, s.result, text);
}

void kube_answer_make(struct kube_call *c, CURLcode code, struct kube_answer *out)
{
	bool whole;

	code = check_end(c, code);
	whole = code == CURLE_OK && !c->doomed;
	*out = (struct kube_answer){.status = c->status};
	if (whole)
		make_status(c, out);
	else
		make_failure(c, code, out);
	if (whole && (!c->on_data || out->result != KUBE_OK)) {
		out->body = c->in.data ? c->in.data : "";
		out->len = c->in.len;
	}
	out->err = out->result == KUBE_OK ? NULL : &c->err;
}
