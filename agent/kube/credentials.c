// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stat(2) before each call tells whether a file was replaced; a kubelet turns a symbolic link, which changes
 * the inode. All four are read when one changed, so that a certificate and its key are of one reading.
 */
#include "agent/kube/credentials.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kube/kubeconfig.h"
#include "weft/log.h"

#define BEARER "Authorization: Bearer "

static void free_text(struct kube_secret_text *t)
{
	sodium_free(t->text); /* wipes it */
	*t = (struct kube_secret_text){0};
}

struct kube_identity *kube_identity_ref(struct kube_identity *i)
{
	i->refs++;
	return i;
}

void kube_identity_unref(struct kube_identity *i)
{
	if (!i || --i->refs)
		return;
	free_text(&i->ca);
	free_text(&i->cert);
	free_text(&i->key);
	free_text(&i->authorization);
	free(i);
}

void kube_credentials_free(struct kube_credentials *c)
{
	kube_identity_unref(c->now);
	*c = (struct kube_credentials){0};
}

static bool note_file(const struct kube_credential *c, struct kube_seen *seen)
{
	struct kube_seen now;
	struct stat st;
	bool changed;

	memset(&now, 0, sizeof(now));
	if (c->file && stat(c->file, &st) == 0) {
		now.dev = st.st_dev;
		now.ino = st.st_ino;
		now.size = st.st_size;
		now.mtime = st.st_mtim;
		now.ctime = st.st_ctim;
	}
	changed = memcmp(&now, seen, sizeof(now)) != 0;
	*seen = now;
	return changed;
}

static bool note_files(struct kube_credentials *c)
{
	const struct kube_credential *const all[KUBE_CREDENTIALS] = {&c->access->ca, &c->access->cert,
	                                                             &c->access->key, &c->access->token};
	bool changed = false;

	for (size_t i = 0; i < KUBE_CREDENTIALS; i++)
		changed |= note_file(all[i], &c->seen[i]);
	return changed;
}

static int read_text(const struct kube_credential *c, enum kube_secret kind, struct kube_secret_text *out,
                     struct weft_err *err)
{
	const char *problem;

	if (!c->file && !c->text)
		return 0;
	out->text = kube_credential_read(c, &out->len, err);
	if (!out->text)
		return err->code;
	problem = kube_secret_problem(kind, out->text, out->len);
	if (problem)
		return weft_err_set(err, EINVAL, "%s: %s", c->file ? c->file : "the kubeconfig", problem);
	return 0;
}

static int read_token(const struct kube_credential *c, struct kube_secret_text *out, struct weft_err *err)
{
	struct kube_secret_text token = {0};
	const char *text;
	int r = read_text(c, KUBE_SECRET_TOKEN, &token, err);

	if (r == 0 && token.text) {
		text = kube_token_trim(token.text, &token.len);
		out->len = strlen(BEARER) + token.len;
		out->text = sodium_malloc(out->len + 1);
		if (!out->text)
			r = weft_err_errno(err, ENOMEM, "the token");
		else {
			memcpy(out->text, BEARER, strlen(BEARER));
			memcpy(out->text + strlen(BEARER), text, token.len);
			out->text[out->len] = '\0';
		}
	}
	free_text(&token);
	return r;
}

static struct kube_identity *read_all(const struct kube_access *a, struct weft_err *err)
{
	struct kube_identity *i = calloc(1, sizeof(*i));

	if (!i) {
		weft_err_errno(err, ENOMEM, "credentials");
		return NULL;
	}
	i->refs = 1;
	if (read_text(&a->ca, KUBE_SECRET_CERTIFICATE, &i->ca, err) == 0 &&
	    read_text(&a->cert, KUBE_SECRET_CERTIFICATE, &i->cert, err) == 0 &&
	    read_text(&a->key, KUBE_SECRET_KEY, &i->key, err) == 0 &&
	    read_token(&a->token, &i->authorization, err) == 0)
		return i;
	kube_identity_unref(i);
	return NULL;
}

static bool same(const struct kube_secret_text *a, const struct kube_secret_text *b)
{
	return a->len == b->len && (a->len == 0 || sodium_memcmp(a->text, b->text, a->len) == 0);
}

/* The former content stays in use. */
static int keep(struct kube_credentials *c, const struct weft_err *problem, struct weft_err *err)
{
	if (!c->now)
		return weft_err_set(err, problem->code, "%s", problem->text);
	if (strcmp(c->trouble, problem->text) != 0)
		log_warning("credentials of the API server: %s; what was read before stays in use",
		            problem->text);
	memcpy(c->trouble, problem->text, sizeof(c->trouble));
	return 0;
}

int kube_credentials_refresh(struct kube_credentials *c, bool *tls_changed, struct weft_err *err)
{
	struct weft_err problem = WEFT_ERR_INIT;
	bool changed = note_files(c);
	struct kube_identity *fresh;

	*tls_changed = false;
	if (c->now && !changed && !c->stale)
		return 0;
	c->stale = false;
	fresh = read_all(c->access, &problem);
	if (!fresh)
		return keep(c, &problem, err);
	c->trouble[0] = '\0';
	if (c->now)
		*tls_changed = !same(&fresh->ca, &c->now->ca) || !same(&fresh->cert, &c->now->cert) ||
		               !same(&fresh->key, &c->now->key);
	kube_identity_unref(c->now);
	c->now = fresh;
	return 0;
}
