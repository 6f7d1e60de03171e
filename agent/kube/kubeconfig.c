// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kubeconfig files, as client-go's clientcmd reads them (v1 Config).
 *
 *	context NAME --cluster--> clusters[NAME].cluster	server, CA, tls-server-name
 *	             --user-----> users[NAME].user		client certificate and key, token
 *
 * The file's text and tree hold keys: both are wiped when the context has been read. What would change whom
 * we are or whom we trust, and is not supported, is an error; all else unknown is passed over, as by
 * kubectl.
 */
#include "agent/kube/kubeconfig.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/source/fields.h"
#include "agent/source/yaml.h"
#include "weft/cleanup.h"
#include "weft/object.h"

#define FILES_MAX 16
#define NAME_MAX_ 256

struct file {
	char *path;
	struct weft_yaml yaml;
};

struct reader {
	struct file files[FILES_MAX];
	size_t n;
	struct weft_err *err;
};

/* A mapping of one file and how messages name it: "users[admin].user". */
struct place {
	struct file *file;
	const cJSON *object;
	char name[NAME_MAX_];
};

static struct weft_yaml_doc *doc_of(const struct file *f)
{
	return &f->yaml.docs[0];
}

/* FILE:LINE: PLACE.KEY: text */
__attribute__((format(printf, 5, 6))) static int fail(struct reader *r, const struct place *p,
                                                      const cJSON *at, const char *key, const char *fmt, ...)
{
	char text[WEFT_ERR_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return weft_err_set(r->err, EINVAL, "%s:%u: %s%s%s: %s", p->file->path,
	                    weft_yaml_line(doc_of(p->file), at ? at : p->object), p->name,
	                    *p->name ? "." : "", key, text);
}

static bool absent(const cJSON *v)
{
	return !v || cJSON_IsNull(v) || (cJSON_IsString(v) && !*v->valuestring);
}

/* *out is NULL when it is absent or empty. */
static int get_text(struct reader *r, const struct place *p, const char *key, const cJSON **node,
                    const char **out)
{
	*node = cJSON_GetObjectItemCaseSensitive(p->object, key);
	*out = NULL;
	if (absent(*node))
		return 0;
	if (!cJSON_IsString(*node))
		return fail(r, p, *node, key, "must be a text, not %s", weft_json_type(*node));
	*out = (*node)->valuestring;
	return 0;
}

/* Credentials */

/* Relative to the folder of the file that names it. */
static char *path_beside(const char *config, const char *path)
{
	const char *slash = strrchr(config, '/');
	char *out;

	if (*path == '/' || !slash)
		return strdup(path);
	return asprintf(&out, "%.*s/%s", (int)(slash - config), config, path) < 0 ? NULL : out;
}

static int take_file(struct reader *r, const struct place *p, const char *key, enum kube_secret kind,
                     struct kube_credential *out)
{
	struct weft_err problem = WEFT_ERR_INIT;
	const cJSON *node;
	const char *path;
	int ret = get_text(r, p, key, &node, &path);

	if (ret < 0 || !path)
		return ret;
	out->file = path_beside(p->file->path, path);
	if (!out->file)
		return weft_err_errno(r->err, ENOMEM, "%s", p->file->path);
	if (kube_credential_check(out, kind, &problem) < 0)
		return fail(r, p, node, key, "%s", problem.text);
	return 0;
}

static int take_inline(struct reader *r, const struct place *p, const char *key, const cJSON *node,
                       enum kube_secret kind, struct kube_credential *out)
{
	const char *problem = kube_secret_problem(kind, out->text, out->len);

	return problem ? fail(r, p, node, key, "%s", problem) : 0;
}

static int take_base64(struct reader *r, const struct place *p, const char *key, enum kube_secret kind,
                       struct kube_credential *out)
{
	const cJSON *node;
	const char *text, *end;
	size_t len;
	int ret = get_text(r, p, key, &node, &text);

	if (ret < 0 || !text)
		return ret;
	len = strlen(text);
	out->text = sodium_malloc(len + 1);
	if (!out->text)
		return weft_err_errno(r->err, ENOMEM, "%s", p->file->path);
	if (sodium_base642bin((unsigned char *)out->text, len, text, len, "\r\n", &out->len, &end,
	                      sodium_base64_VARIANT_ORIGINAL) < 0 ||
	    *end)
		return fail(r, p, node, key, "is not base64");
	out->text[out->len] = '\0';
	return take_inline(r, p, key, node, kind, out);
}

/* KEY-data wins over KEY, as in client-go. */
static int take_pem(struct reader *r, const struct place *p, const char *key, const char *data_key,
                    enum kube_secret kind, struct kube_credential *out)
{
	int ret = take_base64(r, p, data_key, kind, out);

	return ret < 0 || out->text ? ret : take_file(r, p, key, kind, out);
}

/* tokenFile wins over token: it is what is kept fresh. */
static int take_token(struct reader *r, const struct place *p, struct kube_credential *out)
{
	const cJSON *node;
	const char *text;
	int ret = take_file(r, p, "tokenFile", KUBE_SECRET_TOKEN, out);

	if (ret < 0 || out->file)
		return ret;
	ret = get_text(r, p, "token", &node, &text);
	if (ret < 0 || !text)
		return ret;
	out->len = strlen(text);
	out->text = sodium_malloc(out->len + 1);
	if (!out->text)
		return weft_err_errno(r->err, ENOMEM, "%s", p->file->path);
	memcpy(out->text, text, out->len + 1);
	return take_inline(r, p, "token", node, KUBE_SECRET_TOKEN, out);
}

static int has_pair(struct reader *r, const struct place *p, const struct kube_access *a)
{
	bool cert = a->cert.file || a->cert.text, key = a->key.file || a->key.text;

	if (cert && !key)
		return fail(r, p, NULL, "client-key", "is missing; client-certificate needs it");
	if (key && !cert)
		return fail(r, p, NULL, "client-certificate",
		            "is missing; client-key is of no use without it");
	return 0;
}

/* Users and clusters */

struct refused {
	const char *key, *why;
};

static const struct refused refused_of_user[] = {
        {"exec", "weft runs no credential plugins; use a client certificate, token or tokenFile"},
        {"auth-provider", "weft has no auth providers; use a client certificate, token or tokenFile"},
        {"username", "the API server has no passwords; use a client certificate, token or tokenFile"},
        {"password", "the API server has no passwords; use a client certificate, token or tokenFile"},
        {"as", "weft does not impersonate; give it a user of its own"},
        {"as-uid", "weft does not impersonate; give it a user of its own"},
        {"as-groups", "weft does not impersonate; give it a user of its own"},
        {"as-user-extra", "weft does not impersonate; give it a user of its own"},
        {NULL, NULL},
};

static const struct refused refused_of_cluster[] = {
        {"insecure-skip-tls-verify", "weft always verifies the server; give certificate-authority"},
        {"proxy-url", "weft speaks to the API server directly"},
        {NULL, NULL},
};

static int refuse(struct reader *r, const struct place *p, const struct refused *list)
{
	for (; list->key; list++) {
		const cJSON *v = cJSON_GetObjectItemCaseSensitive(p->object, list->key);

		if (!absent(v) && !cJSON_IsFalse(v))
			return fail(r, p, v, list->key, "%s", list->why);
	}
	return 0;
}

static int read_user(struct reader *r, const struct place *p, struct kube_access *out)
{
	int ret = refuse(r, p, refused_of_user);

	if (ret == 0)
		ret = take_pem(r, p, "client-certificate", "client-certificate-data", KUBE_SECRET_CERTIFICATE,
		               &out->cert);
	if (ret == 0)
		ret = take_pem(r, p, "client-key", "client-key-data", KUBE_SECRET_KEY, &out->key);
	if (ret == 0)
		ret = take_token(r, p, &out->token);
	return ret < 0 ? ret : has_pair(r, p, out);
}

static int read_server(struct reader *r, const struct place *p, struct kube_access *out)
{
	struct weft_err problem = WEFT_ERR_INIT;
	const cJSON *node;
	const char *url;
	int ret = get_text(r, p, "server", &node, &url);

	if (ret < 0)
		return ret;
	if (!url)
		return fail(r, p, NULL, "server", "is missing");
	if (kube_server_check(url, &problem) < 0)
		return fail(r, p, node, "server", "%s", problem.text);
	out->servers[0] = kube_server_copy(url);
	if (!out->servers[0])
		return weft_err_errno(r->err, ENOMEM, "%s", p->file->path);
	out->n_servers = 1;
	return 0;
}

static int read_tls_name(struct reader *r, const struct place *p, struct kube_access *out)
{
	struct weft_err problem = WEFT_ERR_INIT;
	weft_autofree char *url = NULL;
	const cJSON *node;
	const char *name;
	int ret = get_text(r, p, "tls-server-name", &node, &name);

	if (ret < 0 || !name)
		return ret;
	out->tls_server_name = strdup(name);
	if (!out->tls_server_name || asprintf(&url, "https://%s:443", name) < 0)
		return weft_err_errno(r->err, ENOMEM, "%s", p->file->path);
	if (strpbrk(name, ":/[]") || kube_server_check(url, &problem) < 0)
		return fail(r, p, node, "tls-server-name", "\"%s\" is not the name of a host", name);
	return 0;
}

static int read_cluster(struct reader *r, const struct place *p, bool server_wanted, struct kube_access *out)
{
	int ret = refuse(r, p, refused_of_cluster);

	if (ret == 0 && server_wanted)
		ret = read_server(r, p, out);
	if (ret == 0)
		ret = read_tls_name(r, p, out);
	if (ret == 0)
		ret = take_pem(r, p, "certificate-authority", "certificate-authority-data",
		               KUBE_SECRET_CERTIFICATE, &out->ca);
	return ret;
}

/* Looking up by name */

static const cJSON *list_of(struct reader *r, struct file *f, const char *list)
{
	struct place top = {.file = f, .object = doc_of(f)->root};
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(top.object, list);

	if (!v || cJSON_IsNull(v) || cJSON_IsArray(v))
		return v;
	fail(r, &top, v, list, "must be a list, not %s", weft_json_type(v));
	return NULL;
}

static const cJSON *in_list(const cJSON *list, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, list) {
		const cJSON *n = cJSON_GetObjectItemCaseSensitive(item, "name");

		if (cJSON_IsString(n) && !strcmp(n->valuestring, name))
			return item;
	}
	return NULL;
}

/* {name: NAME, MEMBER: {...}} in the first file that has it. 1 = found, 0 = not. */
static int find(struct reader *r, const char *list, const char *member, const char *name, struct place *out)
{
	for (size_t i = 0; i < r->n; i++) {
		const cJSON *all = list_of(r, &r->files[i], list), *item = in_list(all, name);

		if (r->err->code)
			return r->err->code;
		if (!item)
			continue;
		out->file = &r->files[i];
		out->object = item;
		snprintf(out->name, sizeof(out->name), "%s[%.100s]", list, name);
		item = cJSON_GetObjectItemCaseSensitive(item, member);
		if (!cJSON_IsObject(item))
			return fail(r, out, item, member, "must be a mapping, not %s",
			            item ? weft_json_type(item) : "missing");
		out->object = item;
		snprintf(out->name, sizeof(out->name), "%s[%.100s].%s", list, name, member);
		return 1;
	}
	return 0;
}

/* What a context refers to: 1 = found, 0 = it refers to nothing. */
static int follow(struct reader *r, const struct place *context, const char *key, const char *list,
                  struct place *out)
{
	const cJSON *node;
	const char *name;
	int ret = get_text(r, context, key, &node, &name);

	if (ret < 0 || !name)
		return ret;
	ret = find(r, list, key, name, out);
	return ret ? ret : fail(r, context, node, key, "there is no \"%.100s\" in %s", name, list);
}

static int read_context(struct reader *r, const struct place *context, bool server_wanted,
                        struct kube_access *out)
{
	struct place cluster, user;
	const cJSON *node;
	const char *namespace = NULL;
	int ret = follow(r, context, "cluster", "clusters", &cluster);

	if (ret == 0)
		ret = fail(r, context, NULL, "cluster", "is missing");
	if (ret > 0)
		ret = read_cluster(r, &cluster, server_wanted, out);
	if (ret == 0)
		ret = follow(r, context, "user", "users", &user);
	if (ret > 0)
		ret = read_user(r, &user, out);
	if (ret == 0)
		ret = get_text(r, context, "namespace", &node, &namespace);
	if (ret < 0 || !namespace)
		return ret;
	if (!weft_name_valid(namespace))
		return fail(r, context, node, "namespace", "\"%.100s\" is not a valid name", namespace);
	out->namespace = strdup(namespace);
	return out->namespace ? 0 : weft_err_errno(r->err, ENOMEM, "%s", context->file->path);
}

/* The first file that says so; "" when none does. */
static int current_context(struct reader *r, const char **out)
{
	*out = NULL;
	for (size_t i = 0; i < r->n && !*out; i++) {
		struct place top = {.file = &r->files[i], .object = doc_of(&r->files[i])->root};
		const cJSON *node;
		int ret = get_text(r, &top, "current-context", &node, out);

		if (ret < 0)
			return ret;
	}
	if (*out)
		return 0;
	return weft_err_set(r->err, EINVAL, "%s:1: current-context: is missing, and no context was named",
	                    r->files[0].path);
}

/* Files */

static int check_file(struct reader *r, struct file *f)
{
	struct place top = {.file = f};
	struct weft_yaml_doc *doc;

	if (f->yaml.n_docs == 0)
		return weft_err_set(r->err, EINVAL, "%s:1: the file is empty", f->path);
	doc = doc_of(f);
	if (doc->err.code)
		return weft_err_set(r->err, doc->err.code, "%s:%u: %s", f->path, doc->line, doc->err.text);
	if (f->yaml.n_docs > 1)
		return weft_err_set(r->err, EINVAL, "%s:%u: a kubeconfig is one document, here is a second",
		                    f->path, f->yaml.docs[1].line);
	top.object = doc->root;
	if (!cJSON_IsObject(doc->root))
		return weft_err_set(r->err, EINVAL, "%s:%u: must be a mapping, not %s", f->path, doc->line,
		                    weft_json_type(doc->root));
	const cJSON *kind = cJSON_GetObjectItemCaseSensitive(doc->root, "kind");
	if (!absent(kind) && (!cJSON_IsString(kind) || strcmp(kind->valuestring, "Config") != 0))
		return fail(r, &top, kind, "kind", "is not Config; is this file a kubeconfig?");
	return 0;
}

/* Hands over path. -ENOENT: there is no such file. */
static int add_file(struct reader *r, char *path)
{
	struct kube_credential whole = {.file = path};
	struct file *f = &r->files[r->n];
	size_t len;
	char *text = kube_credential_read(&whole, &len, r->err);
	int ret;

	if (!text) {
		free(path);
		return r->err->code;
	}
	r->n++;
	f->path = path;
	ret = weft_yaml_parse(text, len, text[strspn(text, " \t\r\n")] == '{', &f->yaml, r->err);
	sodium_free(text);
	if (ret < 0) {
		weft_err_wrap(r->err, "%s:1", path);
		return ret;
	}
	return check_file(r, f);
}

static int add_files(struct reader *r, const char *files)
{
	while (*files) {
		size_t len = strcspn(files, ":");
		char *path = strndup(files, len);
		int ret;

		if (!path || r->n == FILES_MAX) {
			free(path);
			return weft_err_set(r->err, E2BIG, "more than %d kubeconfig files", FILES_MAX);
		}
		files += len + (files[len] == ':');
		if (len == 0) {
			free(path);
			continue;
		}
		ret = add_file(r, path);
		if (ret < 0 && (ret != -ENOENT || (!*files && r->n == 0)))
			return ret;
		*r->err = WEFT_ERR_INIT;
	}
	return r->n ? 0 : weft_err_set(r->err, ENOENT, "no kubeconfig is named");
}

static int load(struct reader *r, const char *files, const char *context, bool server_wanted,
                struct kube_access *out)
{
	struct place place;
	int ret = add_files(r, files);

	if (ret == 0 && !context)
		ret = current_context(r, &context);
	if (ret < 0)
		return ret;
	ret = find(r, "contexts", "context", context, &place);
	if (ret == 0)
		return weft_err_set(r->err, ENOENT, "%s:1: contexts: there is no \"%.100s\"",
		                    r->files[0].path, context);
	if (ret > 0)
		ret = read_context(r, &place, server_wanted, out);
	if (ret == 0 && asprintf(&out->origin, "kubeconfig %s, context %s", files, context) < 0) {
		out->origin = NULL;
		ret = weft_err_errno(r->err, ENOMEM, "%s", files);
	}
	return ret;
}

int kubeconfig_load(const char *files, const char *context, bool server_wanted, struct kube_access *out,
                    struct weft_err *err)
{
	struct reader r = {.err = err};
	int ret;

	ret = load(&r, files, context && *context ? context : NULL, server_wanted, out);
	for (size_t i = 0; i < r.n; i++) {
		weft_yaml_free(&r.files[i].yaml);
		free(r.files[i].path);
	}
	return ret;
}
