// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The credentials as they are now, of a kube_access whose files rotate. Inside agent/kube.
 */
#ifndef AGENT_KUBE_CREDENTIALS_H
#define AGENT_KUBE_CREDENTIALS_H

#include <sys/stat.h>

#include "agent/kube/access.h"

/* Sodium memory, NUL-terminated; text NULL = none. */
struct kube_secret_text {
	char *text;
	size_t len;
};

/* What one reading of the files gave. libcurl works on its memory, so each transfer holds a reference. */
struct kube_identity {
	unsigned refs;
	struct kube_secret_text ca, cert, key;
	struct kube_secret_text authorization; /* "Authorization: Bearer ..." */
};

#define KUBE_CREDENTIALS 4

/* Zero and the access is how it begins. */
struct kube_credentials {
	const struct kube_access *access;
	struct kube_seen {
		dev_t dev;
		ino_t ino;
		off_t size;
		struct timespec mtime, ctime;
	} seen[KUBE_CREDENTIALS];
	struct kube_identity *now;
	bool stale;                  /* read them again in any case */
	char trouble[WEFT_ERR_TEXT]; /* of the last reading, "" = none */
};

/*
 * Read what changed. *tls_changed: CA, certificate or key are others than before. While files can't be read
 * the former content stays in use, and the log says so once; an error only when there is none.
 */
int kube_credentials_refresh(struct kube_credentials *c, bool *tls_changed, struct weft_err *err);
void kube_credentials_free(struct kube_credentials *c);

struct kube_identity *kube_identity_ref(struct kube_identity *i);
void kube_identity_unref(struct kube_identity *i); /* may be NULL */

#endif
