// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One call -> the options of a libcurl easy handle.
 *
 * Nothing of the environment counts: no proxy (an API server behind one would be reached by a path that
 * breaks with the node's own network), no .netrc, no cookies, no redirects. Keys stay in sodium memory, which
 * libcurl is told not to copy; it copies the token into its request buffers, out of our reach.
 */
#include "agent/kube/client_private.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weft/cleanup.h"

#define CONNECT_MS 10000

/* A peer that went away is noticed within USER_TIMEOUT_MS, on an idle connection KEEPALIVE_S later. */
#define KEEPALIVE_S     15
#define KEEPALIVE_GAP_S 5
#define USER_TIMEOUT_MS 30000

/* CURLOPT_SOCKOPTFUNCTION. What fails here leaves the kernel's slower defaults. */
static int on_socket_made(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	static const int on = 1, idle = KEEPALIVE_S, gap = KEEPALIVE_GAP_S, limit = USER_TIMEOUT_MS;

	(void)ctx;
	(void)purpose;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &gap, sizeof(gap));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof(limit));
	return CURL_SOCKOPT_OK;
}

/*
 * CURLOPT_PREREQFUNCTION: the connection is there, the request goes out. libcurl sends a request again when a
 * kept connection turns out to be dead; what changes something must not go out twice.
 */
static int on_sending(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
	struct kube_call *c = ctx;

	(void)ip, (void)local_ip, (void)port, (void)local_port;
	return c->attempts++ && strcmp(c->method, "GET") != 0 ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

struct setup {
	const struct kube_curl *curl;
	struct kube_call *call;
	CURLcode code; /* of the first option that failed */
};

#define SET(s, option, value)                                                                           \
	do {                                                                                            \
		if ((s)->code == CURLE_OK)                                                              \
			(s)->code = (s)->curl->easy_setopt((s)->call->easy, CURLOPT_##option, (value)); \
	} while (0)

static void add_header(struct setup *s, const char *line)
{
	struct curl_slist *list = s->curl->slist_append(s->call->headers, line);

	if (list)
		s->call->headers = list;
	else
		s->code = CURLE_OUT_OF_MEMORY;
}

static void set_headers(struct setup *s, bool tls)
{
	struct kube_call *c = s->call;
	const struct kube_secret_text *authorization = &c->identity->authorization;
	char line[256];

	add_header(s, "Accept: application/json");
	add_header(s, "Expect:"); /* no pause before a large body */
	if (c->body) {
		snprintf(line, sizeof(line), "Content-Type: %s", c->content_type);
		add_header(s, line);
	}
	/* Never in the clear: http is for `kubectl proxy`, which has its own credentials. */
	if (tls && authorization->text)
		add_header(s, authorization->text);
	SET(s, HTTPHEADER, c->headers);
}

static void set_blob(struct setup *s, CURLoption option, const struct kube_secret_text *t)
{
	struct curl_blob blob = {.data = t->text, .len = t->len, .flags = CURL_BLOB_NOCOPY};

	if (t->text && s->code == CURLE_OK)
		s->code = s->curl->easy_setopt(s->call->easy, option, &blob);
}

static void set_tls(struct setup *s)
{
	const struct kube_identity *i = s->call->identity;

	SET(s, SSL_VERIFYPEER, 1L);
	SET(s, SSL_VERIFYHOST, 2L);
	SET(s, SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (i->ca.text) /* libcurl's built-in folder would be trusted besides */
		SET(s, CAPATH, NULL);
	set_blob(s, CURLOPT_CAINFO_BLOB, &i->ca);
	set_blob(s, CURLOPT_SSLCERT_BLOB, &i->cert);
	set_blob(s, CURLOPT_SSLKEY_BLOB, &i->key);
	SET(s, KEYPASSWD, ""); /* OpenSSL would ask the terminal */
}

/*
 * tls-server-name: the URL has that name, which is asked for by SNI and looked for in the certificate, while
 * the connection is made to the server, and Host is the server's as ever.
 */
static void set_renamed(struct setup *s, const char *server, const char *tls_name)
{
	weft_autofree char *url = NULL, *to = NULL, *host = NULL;
	const char *authority = server + strlen("https://"), *port, *rest;

	rest = authority + strcspn(authority, "/");
	port = *authority == '[' ? strchr(authority, ']') + 1 : authority + strcspn(authority, ":/");
	if (asprintf(&url, "https://%s%s%s", tls_name, port, s->call->path) < 0 ||
	    asprintf(&to, "::%.*s:%.*s", (int)(port - authority), authority,
	             *port == ':' ? (int)(rest - port - 1) : 3, *port == ':' ? port + 1 : "443") < 0 ||
	    asprintf(&host, "Host: %.*s", (int)(rest - authority), authority) < 0) {
		s->code = CURLE_OUT_OF_MEMORY;
		return;
	}
	s->call->connect_to = s->curl->slist_append(NULL, to);
	add_header(s, host);
	SET(s, URL, url);
	SET(s, CONNECT_TO, s->call->connect_to);
}

static void set_url(struct setup *s, bool tls)
{
	const struct kube_access *a = &s->call->kube->access;
	const char *server = a->servers[s->call->server];
	weft_autofree char *url = NULL;

	if (tls && a->tls_server_name) {
		set_renamed(s, server, a->tls_server_name);
		return;
	}
	if (asprintf(&url, "%s%s", server, s->call->path) < 0)
		s->code = CURLE_OUT_OF_MEMORY;
	SET(s, URL, url);
}

static void set_method(struct setup *s)
{
	const struct kube_call *c = s->call;

	SET(s, HTTPGET, 1L);
	if (c->body || !strcmp(c->method, "POST") || !strcmp(c->method, "PUT") ||
	    !strcmp(c->method, "PATCH")) {
		SET(s, POSTFIELDSIZE_LARGE, (curl_off_t)c->body_len);
		SET(s, POSTFIELDS, c->body ? c->body : "");
	}
	SET(s, CUSTOMREQUEST, c->method);
}

/* A call that waits for a connection which is being made shares it where that turns out to be HTTP/2. */
static void set_connection(struct setup *s, bool tls)
{
	struct kube_call *c = s->call;

	SET(s, PROTOCOLS_STR, tls ? "https" : "http");
	SET(s, PROXY, "");
	SET(s, FOLLOWLOCATION, 0L);
	SET(s, PATH_AS_IS, 1L);
	SET(s, HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	SET(s, PIPEWAIT, 1L);
	SET(s, CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	SET(s, NOSIGNAL, 1L);   /* kube_new() sees to SIGPIPE */
	SET(s, QUICK_EXIT, 1L); /* a call that is given up does not wait for its DNS thread */
	SET(s, SOCKOPTFUNCTION, on_socket_made);
	SET(s, PREREQFUNCTION, on_sending);
	SET(s, PREREQDATA, c);
	if (c->timeout_ms != UINT64_MAX)
		SET(s, ACCEPT_ENCODING, "gzip");
}

static void set_callbacks(struct setup *s)
{
	struct kube_call *c = s->call;

	SET(s, PRIVATE, c);
	SET(s, ERRORBUFFER, c->curl_error);
	SET(s, HEADERFUNCTION, kube_answer_header);
	SET(s, HEADERDATA, c);
	SET(s, WRITEFUNCTION, kube_answer_data);
	SET(s, WRITEDATA, c);
	SET(s, USERAGENT, c->kube->user_agent);
}

bool kube_request_prepare(struct kube_call *c)
{
	struct setup s = {.curl = c->kube->curl, .call = c};
	bool tls = !strncmp(c->kube->access.servers[c->server], "https:", 6);

	c->easy = s.curl->easy_init();
	if (!c->easy)
		s.code = CURLE_OUT_OF_MEMORY;
	set_callbacks(&s);
	set_connection(&s, tls);
	set_method(&s);
	set_url(&s, tls);
	set_headers(&s, tls);
	if (tls)
		set_tls(&s);
	if (s.code != CURLE_OK)
		snprintf(c->curl_error, sizeof(c->curl_error), "libcurl: %s", s.curl->easy_strerror(s.code));
	return s.code == CURLE_OK;
}

void kube_request_drop(struct kube_call *c)
{
	const struct kube_curl *curl = c->kube->curl;

	if (c->easy)
		curl->easy_cleanup(c->easy);
	for (struct curl_slist *line = c->headers; line; line = line->next) /* the token is in one */
		sodium_memzero(line->data, strlen(line->data));
	curl->slist_free_all(c->headers);
	curl->slist_free_all(c->connect_to);
	kube_identity_unref(c->identity);
	c->easy = NULL;
	c->headers = c->connect_to = NULL;
	c->identity = NULL;
}
