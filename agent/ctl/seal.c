// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `seal`: makes key pairs, and seals a value for a folder of manifests. It asks no daemon.
 *
 * The value comes from standard input, never from the command line, which everybody on the machine can read; on a
 * terminal it is not shown. Only the public key is needed to seal, so this can be done anywhere.
 */
#include "agent/ctl/ctl.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "weft/cleanup.h"
#include "weft/file.h"
#include "weft/object.h"
#include "weft/seal.h"

#define NAMESPACE "kube-system" /* of a Secret without one, as in manifests */

static const char *option(const cJSON *args, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(args, name));
}

static enum ctl_exit fail(enum ctl_exit code, const char *text)
{
	fprintf(stderr, "weftctl: %s\n", text);
	return code;
}

static enum ctl_exit print(const char *text)
{
	if (fputs(text, stdout) < 0 || fflush(stdout) != 0)
		return fail(CTL_FAILED, "can't write the output");
	return CTL_OK;
}

static enum ctl_exit new_key(const char *path)
{
	char secret[WEFT_SEAL_TEXT], public[WEFT_SEAL_TEXT];
	struct weft_err err = WEFT_ERR_INIT;
	int r = weft_seal_new(secret, public, &err);

	if (r == 0)
		r = weft_file_create(path, secret, strlen(secret), 0600, &err);
	sodium_memzero(secret, sizeof(secret));
	if (r == -EEXIST)
		weft_err_set(&err, r, "%s exists, and is not overwritten", path);
	return r < 0 ? fail(CTL_FAILED, err.text) : print(public);
}

/* Read up to size bytes; -1: it failed, or there are more. */
static ssize_t read_all(char *value, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(STDIN_FILENO, value + len, size - len)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || (len += (size_t)n) == size)
			return -1;
	}
	return (ssize_t)len;
}

/* One line, unseen. */
static ssize_t read_terminal(char *value, size_t size)
{
	struct termios before, silent;
	ssize_t n;

	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return -1;
	silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ISIG); /* a signal would leave the terminal silent */
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	fputs("value: ", stderr);
	n = read(STDIN_FILENO, value, size);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	return n;
}

/* The value, without the newline that editors and echo add. */
static ssize_t read_value(char *value, size_t size)
{
	bool terminal = isatty(STDIN_FILENO);
	ssize_t n = terminal ? read_terminal(value, size) : read_all(value, size);

	if (n > 0 && value[n - 1] == '\n') {
		n--;
		if (!terminal)
			fputs("weftctl: the newline at the end is not sealed\n", stderr);
	}
	return n;
}

static int parse_place(const char *secret, const char *item, char out[WEFT_SEAL_PLACE_MAX],
                       struct weft_err *err)
{
	const char *slash = strchr(secret, '/');
	size_t len = slash ? (size_t)(slash - secret) : 0;
	char namespace[WEFT_NAME_MAX + 2] = NAMESPACE;

	if (slash) /* one byte too long is too long */
		snprintf(namespace, sizeof(namespace), "%.*s",
		         (int)(len < sizeof(namespace) ? len : sizeof(namespace)), secret);
	return weft_seal_place(namespace, slash ? slash + 1 : secret, item, out, err);
}

static enum ctl_exit seal_value(const uint8_t public[WEFT_SEAL_PUBLIC], const char *place)
{
	char *value = sodium_malloc(WEFT_SEAL_VALUE_MAX + 1);
	weft_auto(weft_buf_free) struct weft_buf out = {0};
	struct weft_err err = WEFT_ERR_INIT;
	ssize_t n;
	int r;

	if (!value)
		return fail(CTL_FAILED, "out of memory");
	n = read_value(value, WEFT_SEAL_VALUE_MAX + 1);
	r = n < 0 ? weft_err_set(&err, EINVAL, "can't read a value of at most %zu bytes from standard input",
	                         WEFT_SEAL_VALUE_MAX)
	          : weft_seal(public, place, value, (size_t)n, &out, &err);
	sodium_free(value);
	weft_buf_char(&out, '\n');
	return r < 0 ? fail(CTL_FAILED, err.text) : print(weft_buf_text(&out));
}

enum ctl_exit ctl_seal(const cJSON *args)
{
	const char *file = option(args, "new-key"), *key = option(args, "key");
	const char *secret = option(args, "secret"), *item = option(args, "item");
	uint8_t public[WEFT_SEAL_PUBLIC];
	char place[WEFT_SEAL_PLACE_MAX];
	struct weft_err err = WEFT_ERR_INIT;

	if (sodium_init() < 0)
		return fail(CTL_FAILED, "libsodium can't start");
	if (file && !key && !secret && !item)
		return new_key(file);
	if (file || !key || !secret || !item)
		return fail(CTL_USAGE, "`seal` needs --new-key FILE, or --key, --secret and --item; try "
		                       "`weftctl seal --help`");
	if (weft_seal_public_parse(key, public, &err) < 0 || parse_place(secret, item, place, &err) < 0)
		return fail(CTL_USAGE, err.text);
	return seal_value(public, place);
}
