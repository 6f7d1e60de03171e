// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz the reading of a kubeconfig: its text is the input.
 *
 * What must hold besides memory safety: a refused file leaves nothing behind and one printable sentence; an
 * accepted one has servers that may be used, credentials that can be read, and a key with each certificate.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/kube/kubeconfig.h"

static void require(bool what)
{
	if (!what)
		abort();
}

static bool given(const struct kube_credential *c)
{
	return c->file || c->text;
}

static void check_access(struct kube_access *a)
{
	struct kube_access copy;

	require(a->n_servers == 1 && kube_server_check(a->servers[0], NULL) == 0);
	require(given(&a->cert) == given(&a->key));
	if (given(&a->token))
		require(kube_credential_check(&a->token, KUBE_SECRET_TOKEN, NULL) == 0);
	if (given(&a->ca))
		require(kube_credential_check(&a->ca, KUBE_SECRET_CERTIFICATE, NULL) == 0);
	require(a->origin != NULL);
	require(kube_access_copy(a, &copy, NULL) == 0);
	kube_access_free(&copy);
	kube_access_free(a);
}

static void check_error(const struct kube_access *a, const struct weft_err *err)
{
	require(a->n_servers == 0 && !a->origin && !a->token.text && !a->key.text);
	require(err->text[0] != '\0');
	for (const char *p = err->text; *p; p++)
		require((unsigned char)*p >= 0x20 && *p != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct kube_access a;
	char path[64];
	int fd = memfd_create("kubeconfig", MFD_CLOEXEC);

	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (kube_access_load(&(struct kube_access_options){.kubeconfig = path}, &a, &err) == 0)
		check_access(&a);
	else
		check_error(&a, &err);
	close(fd);
	return 0;
}
