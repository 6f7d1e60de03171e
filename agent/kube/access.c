// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Servers, credentials and the in-cluster account; kubeconfig.c has the file format.
 *
 * All that names a file is read once here: a path that was mistyped is known at the start, not at the first
 * request. What was read is dropped again; credentials.c reads it when it is needed.
 */
#include "agent/kube/access.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/kube/kubeconfig.h"
#include "agent/source/fields.h"
#include "weft/addr.h"
#include "weft/cleanup.h"
#include "weft/object.h"

#define URL_MAX   512
#define PATH_SAFE "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/"

/* Servers */

static bool is_loopback(const char *host, size_t len)
{
	static const struct weft_addr one = {.family = AF_INET6, .bytes = {[15] = 1}};
	char text[WEFT_ADDR_STR];
	struct weft_addr a;

	if (len >= sizeof(text))
		return false;
	memcpy(text, host, len);
	text[len] = '\0';
	if (weft_addr_parse(text, &a, NULL) < 0)
		return false;
	return a.family == AF_INET ? a.bytes[0] == IN_LOOPBACKNET : weft_addr_cmp(&a, &one) == 0;
}

/* A DNS name or an IPv4 address, or with brackets an IPv6 address. */
static bool host_valid(const char *host, size_t len, bool brackets)
{
	char text[256];
	struct weft_addr a;

	if (len == 0 || len >= sizeof(text))
		return false;
	memcpy(text, host, len);
	text[len] = '\0';
	if (brackets)
		return weft_addr_parse(text, &a, NULL) == 0 && a.family == AF_INET6;
	for (char *p = text; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
	return weft_name_valid(text);
}

static bool port_valid(const char *text, size_t len)
{
	unsigned port = 0;

	if (len == 0 || len > 5 || strspn(text, "0123456789") != len)
		return false;
	for (size_t i = 0; i < len; i++)
		port = port * 10 + (unsigned)(text[i] - '0');
	return port > 0 && port <= UINT16_MAX;
}

int kube_server_check(const char *url, struct weft_err *err)
{
	bool tls = !strncmp(url, "https://", 8), brackets;
	const char *host, *end, *rest;

	if (strlen(url) > URL_MAX)
		return weft_err_set(err, EINVAL, "the server's URL is longer than %d bytes", URL_MAX);
	if (!tls && strncmp(url, "http://", 7) != 0)
		return weft_err_set(err, EINVAL, "\"%s\" does not begin with https://", url);
	host = url + (tls ? 8 : 7);
	brackets = *host == '[';
	end = brackets ? strchr(++host, ']') : host + strcspn(host, ":/");
	if (!end || !host_valid(host, (size_t)(end - host), brackets))
		return weft_err_set(err, EINVAL,
		                    "\"%s\" has no valid host: a name, 192.0.2.1 or [2001:db8::1]", url);
	rest = end + (brackets ? 1 : 0);
	if (*rest == ':') {
		size_t digits = strcspn(++rest, "/");

		if (!port_valid(rest, digits))
			return weft_err_set(err, EINVAL, "\"%s\" has no valid port", url);
		rest += digits;
	}
	if ((*rest && *rest != '/') || rest[strspn(rest, PATH_SAFE)])
		return weft_err_set(err, EINVAL, "\"%s\" is not https://HOST:PORT", url);
	if (!tls && !is_loopback(host, (size_t)(end - host)))
		return weft_err_set(err, EINVAL,
		                    "\"%s\": http is for loopback addresses only (kubectl proxy); use https",
		                    url);
	return 0;
}

char *kube_server_copy(const char *url)
{
	size_t len = strlen(url);

	while (len && url[len - 1] == '/')
		len--;
	return strndup(url, len);
}

static int given_servers(const struct kube_access_options *o, struct kube_access *out, struct weft_err *err)
{
	if (o->n_servers > KUBE_SERVERS)
		return weft_err_set(err, E2BIG, "servers: more than %d", KUBE_SERVERS);
	for (size_t i = 0; i < o->n_servers; i++) {
		int r = kube_server_check(o->servers[i], err);

		if (r < 0) {
			weft_err_wrap(err, "servers[%zu]", i);
			return r;
		}
		out->servers[i] = kube_server_copy(o->servers[i]);
		if (!out->servers[i])
			return weft_err_errno(err, ENOMEM, "servers");
		out->n_servers++;
	}
	return 0;
}

/* Credentials */

const char *kube_token_trim(const char *text, size_t *len)
{
	while (*len && strchr(" \t\r\n", *text)) {
		text++;
		(*len)--;
	}
	while (*len && strchr(" \t\r\n", text[*len - 1]))
		(*len)--;
	return text;
}

static const char *token_problem(const char *text, size_t len)
{
	text = kube_token_trim(text, &len);
	if (len == 0)
		return "the token is empty";
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~') /* it goes into a header line */
			return "the token holds a character that none can have";
	return NULL;
}

const char *kube_secret_problem(enum kube_secret kind, const char *text, size_t len)
{
	if (strlen(text) != len)
		return "holds a NUL byte";
	if (kind == KUBE_SECRET_TOKEN)
		return token_problem(text, len);
	if (kind == KUBE_SECRET_CERTIFICATE)
		return strstr(text, "-----BEGIN CERTIFICATE-----") ? NULL : "holds no certificate in PEM";
	if (strstr(text, "-----BEGIN ENCRYPTED PRIVATE KEY-----") || strstr(text, "Proc-Type: 4,ENCRYPTED"))
		return "the key is encrypted, and nobody is there to type the passphrase";
	return strstr(text, "PRIVATE KEY-----") ? NULL : "holds no private key in PEM";
}

static int read_all(int fd, char *to, size_t size, size_t *got)
{
	*got = 0;
	while (*got < size) {
		ssize_t n = read(fd, to + *got, size - *got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		*got += (size_t)n;
	}
	return 0;
}

/* Straight into sodium memory: weft_file_read() would leave a copy on the heap. */
static char *read_file(const char *path, size_t *len, struct weft_err *err)
{
	weft_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char *text;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0) {
		weft_err_errno(err, errno, "can't read %s", path);
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || (size_t)st.st_size > KUBE_ACCESS_FILE) {
		weft_err_set(err, EINVAL, "%s is not a regular file of at most %zu bytes", path,
		             KUBE_ACCESS_FILE);
		return NULL;
	}
	text = sodium_malloc((size_t)st.st_size + 1);
	r = text ? read_all(fd, text, (size_t)st.st_size, len) : -ENOMEM;
	if (r < 0) {
		weft_err_errno(err, r, "can't read %s", path);
		sodium_free(text);
		return NULL;
	}
	text[*len] = '\0';
	return text;
}

static char *copy_text(const struct kube_credential *c, struct weft_err *err)
{
	char *text = sodium_malloc(c->len + 1);

	if (!text)
		weft_err_errno(err, ENOMEM, "a credential");
	else
		memcpy(text, c->text, c->len + 1);
	return text;
}

char *kube_credential_read(const struct kube_credential *c, size_t *len, struct weft_err *err)
{
	*len = 0;
	if (c->file)
		return read_file(c->file, len, err);
	if (!c->text) {
		weft_err_set(err, ENOENT, "there is no such credential");
		return NULL;
	}
	*len = c->len;
	return copy_text(c, err);
}

int kube_credential_check(const struct kube_credential *c, enum kube_secret kind, struct weft_err *err)
{
	const char *problem;
	size_t len;
	char *text = kube_credential_read(c, &len, err);

	if (!text)
		return err ? err->code : -EINVAL;
	problem = kube_secret_problem(kind, text, len);
	sodium_free(text);
	if (!problem)
		return 0;
	return weft_err_set(err, EINVAL, "%s%s%s", c->file ? c->file : "", c->file ? ": " : "", problem);
}

/* In a cluster */

static int account_file(const char *folder, const char *name, enum kube_secret kind,
                        struct kube_credential *out, struct weft_err *err)
{
	int r;

	if (asprintf(&out->file, "%s/%s", folder, name) < 0) {
		out->file = NULL;
		return weft_err_errno(err, ENOMEM, "the service account");
	}
	r = kube_credential_check(out, kind, err);
	if (r < 0)
		weft_err_wrap(err, "the pod's service account");
	return r;
}

/* The namespace is a hint: an account without that file works. */
static int account_namespace(const char *folder, struct kube_access *out, struct weft_err *err)
{
	weft_autofree char *path = NULL;
	struct kube_credential c = {0};
	size_t len;
	char *text;
	int r = 0;

	if (asprintf(&path, "%s/namespace", folder) < 0)
		return weft_err_errno(err, ENOMEM, "the service account");
	c.file = path;
	text = kube_credential_read(&c, &len, NULL);
	if (text && (out->namespace = strndup(kube_token_trim(text, &len), len)) != NULL &&
	    !weft_name_valid(out->namespace))
		r = weft_err_set(err, EINVAL, "%s holds no valid name", path);
	sodium_free(text);
	return r;
}

static int in_cluster(const struct kube_access_options *o, struct kube_access *out, struct weft_err *err)
{
	const char *folder = o->service_account ? o->service_account : KUBE_SERVICE_ACCOUNT;
	int r;

	if (!out->n_servers)
		return weft_err_set(
		        err, EINVAL,
		        "servers is missing: without a kubeconfig it must name the API servers by their own "
		        "addresses (the cluster's kubernetes Service is one that weft itself programs)");
	r = account_file(folder, "token", KUBE_SECRET_TOKEN, &out->token, err);
	if (r == 0)
		r = account_file(folder, "ca.crt", KUBE_SECRET_CERTIFICATE, &out->ca, err);
	if (r == 0)
		r = account_namespace(folder, out, err);
	if (r == 0 && asprintf(&out->origin, "service account in %s", folder) < 0) {
		out->origin = NULL;
		r = weft_err_errno(err, ENOMEM, "the service account");
	}
	return r;
}

/* The whole */

int kube_access_load(const struct kube_access_options *o, struct kube_access *out, struct weft_err *err)
{
	struct weft_err problem = WEFT_ERR_INIT;
	int r;

	*out = (struct kube_access){0};
	if (sodium_init() < 0)
		return weft_err_set(err, EIO, "libsodium can't start");
	r = given_servers(o, out, &problem);
	if (r == 0)
		r = o->kubeconfig
		            ? kubeconfig_load(o->kubeconfig, o->context, out->n_servers == 0, out, &problem)
		            : in_cluster(o, out, &problem);
	if (r == 0)
		return 0;
	kube_access_free(out);
	return weft_err_set(err, r, "%s", problem.text);
}

static void free_credential(struct kube_credential *c)
{
	free(c->file);
	sodium_free(c->text);
}

void kube_access_free(struct kube_access *a)
{
	for (size_t i = 0; i < a->n_servers; i++)
		free(a->servers[i]);
	free_credential(&a->ca);
	free_credential(&a->cert);
	free_credential(&a->key);
	free_credential(&a->token);
	free(a->tls_server_name);
	free(a->namespace);
	free(a->origin);
	*a = (struct kube_access){0};
}

static bool copy_string(const char *from, char **to)
{
	*to = from ? strdup(from) : NULL;
	return !from || *to;
}

static bool copy_credential(const struct kube_credential *from, struct kube_credential *to)
{
	to->len = from->len;
	to->text = from->text ? copy_text(from, NULL) : NULL;
	return copy_string(from->file, &to->file) && (!from->text || to->text);
}

int kube_access_copy(const struct kube_access *from, struct kube_access *out, struct weft_err *err)
{
	bool ok;

	*out = (struct kube_access){.n_servers = from->n_servers};
	ok = copy_string(from->tls_server_name, &out->tls_server_name) &&
	     copy_string(from->namespace, &out->namespace) && copy_string(from->origin, &out->origin) &&
	     copy_credential(&from->ca, &out->ca) && copy_credential(&from->cert, &out->cert) &&
	     copy_credential(&from->key, &out->key) && copy_credential(&from->token, &out->token);
	for (size_t i = 0; i < from->n_servers && ok; i++)
		ok = copy_string(from->servers[i], &out->servers[i]);
	if (ok)
		return 0;
	kube_access_free(out);
	return weft_err_errno(err, ENOMEM, "the access to the API server");
}
