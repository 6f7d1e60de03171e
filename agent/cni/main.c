// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * weft-cni: the CNI plugin. Environment and stdin in, one JSON object on stdout, nothing else there.
 *
 * env.c and conf.c turn the runtime's hostile input into checked structs; add.c, check.c and gc.c are the
 * commands; attach.c and inspect.c are the kernel, store.c the addresses, claim.c the daemon's socket;
 * result.c makes the answers.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cni/conf.h"
#include "agent/cni/env.h"
#include "agent/cni/ops.h"
#include "agent/cni/result.h"
#include "weft/cleanup.h"

static const char about[] =
        "weft-cni " WEFT_VERSION ": CNI plugin of weft. A container runtime runs it, not a person.\n"
        "\n"
        "It gives a pod an address of this node's blocks and a veth pair routed by the host.\n"
        "CNI specification 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0.\n"
        "\n"
        "  CNI_COMMAND       ADD, DEL, CHECK, STATUS, GC or VERSION\n"
        "  CNI_CONTAINERID   ADD, DEL, CHECK: the container\n"
        "  CNI_NETNS         ADD, CHECK: path of its network namespace\n"
        "  CNI_IFNAME        ADD, DEL, CHECK: name of the interface in it\n"
        "  stdin             the network configuration, JSON; keys of weft-cni:\n"
        "                    cooldownMs, stateDir (" CNI_DEFAULT_STATE_DIR "), socket (" CNI_DEFAULT_SOCKET
        "),\n"
        "                    mtu (0: the kernel's default), families ([\"4\"])\n"
        "\n"
        "weftd writes this configuration to /etc/cni/net.d/10-weft.conflist.\n"
        "  weft-cni --version   print the version\n"
        "  weft-cni --help      print this\n";

/* All of stdin, NUL-terminated; one byte more than allowed is read so that too much can be told. */
static int read_stdin(char **text, size_t *len, struct weft_err *err)
{
	size_t cap = 16384;
	weft_autofree char *data = malloc(cap + 1);
	size_t used = 0;

	while (data) {
		ssize_t n = read(STDIN_FILENO, data + used, cap - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cni_fail(err, CNI_E_IO, "can't read the network configuration from stdin: %m");
		used += (size_t)n;
		if (n == 0 || used > CNI_CONF_MAX) {
			data[used] = '\0';
			*text = WEFT_TAKE_PTR(data);
			*len = used;
			return 0;
		}
		if (used == cap) {
			char *more = realloc(data, cap * 2 + 1);

			if (!more)
				break;
			data = more;
			cap *= 2;
		}
	}
	return cni_fail(err, CNI_E_IO, "out of memory for the network configuration");
}

static int write_line(const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return write(STDOUT_FILENO, "\n", 1) == 1 ? 0 : -EIO;
}

static int print_error(const char *version, int code, const struct weft_err *err)
{
	weft_autofree char *text = cni_error_text(version, code, err);

	/* Memory is short: say at least which error it was. */
	write_line(text ? text : "{\"cniVersion\":\"1.1.0\",\"code\":5,\"msg\":\"out of memory\"}");
	return EXIT_FAILURE;
}

static int run_version(const char *input, size_t len, struct weft_err *err)
{
	json_t *json = json_loadb(input, len, 0, NULL);
	weft_autofree char *text = NULL;

	if (len > 0 && !json_is_object(json)) {
		json_decref(json);
		return cni_fail(err, CNI_E_DECODE, "stdin is not a JSON object");
	}
	text = cni_versions_text(cni_conf_version_text(json));
	json_decref(json);
	if (!text || write_line(text) < 0)
		return cni_fail(err, CNI_E_IO, "can't write to stdout");
	return 0;
}

static int run_command(const struct cni_env *env, const struct cni_conf *conf, struct weft_err *err)
{
	weft_autofree char *result = NULL;
	int r;

	switch (env->command) {
	case CNI_ADD:
		r = cni_add(env, conf, &result, err);
		/* Nobody learnt of the attachment: the runtime will take it as failed. */
		if (!r && write_line(result) < 0) {
			cni_del(env, conf, NULL);
			r = cni_fail(err, CNI_E_IO, "can't write the result to stdout");
		}
		return r;
	case CNI_DEL:
		return cni_del(env, conf, err);
	case CNI_CHECK:
		return cni_check(env, conf, err);
	case CNI_STATUS:
		return cni_status(conf, err);
	case CNI_GC:
		return cni_gc(conf, err);
	case CNI_VERSION:
		break;
	}
	return cni_fail(err, CNI_E_ENV, "CNI_COMMAND is not handled");
}

static int run(struct weft_err *err)
{
	struct cni_env env;
	struct cni_conf conf = {0};
	weft_autofree char *input = NULL;
	const char *version = cni_version_text(CNI_V110);
	size_t len = 0;
	int r = cni_env_read(&env, err);

	if (!r)
		r = read_stdin(&input, &len, err);
	if (!r && env.command == CNI_VERSION) {
		r = run_version(input, len, err);
	} else if (!r) {
		r = cni_conf_decode(input, len, env.command, &conf, err);
		version = cni_version_text(conf.version);
		if (!r)
			r = run_command(&env, &conf, err);
		cni_conf_free(&conf);
	}
	return r ? print_error(version, r, err) : EXIT_SUCCESS;
}

/* A runtime that forgot CNI_COMMAND gets an error object; a person gets an explanation. */
static bool run_by_hand(void)
{
	return !getenv("CNI_COMMAND") && !getenv("CNI_CONTAINERID") && !getenv("CNI_NETNS") &&
	       !getenv("CNI_IFNAME");
}

int main(int argc, char **argv)
{
	struct weft_err err = WEFT_ERR_INIT;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("weft-cni " WEFT_VERSION);
		return EXIT_SUCCESS;
	}
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(about, stdout);
		return EXIT_SUCCESS;
	}
	if (argc > 1 || run_by_hand()) {
		fputs(about, stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	return run(&err);
}
