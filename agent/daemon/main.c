// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * weftd: the command line.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "weft/buf.h"
#include "weft/cleanup.h"
#include "weft/log.h"

#include "agent/config/config.h"
#include "agent/daemon/agent.h"
#include "agent/daemon/cleanup.h"
#include "agent/daemon/controlling.h"
#include "agent/daemon/datastore.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char usage[] =
        "Usage: weftd [--config FILE]                 run the agent in the foreground\n"
        "       weftd check-config [--config FILE]    check the file, print what is in force\n"
        "       weftd cleanup [--config FILE]         take back all that weft made on this node\n"
        "       weftd version\n"
        "\n"
        "weftd routes the pods of this node: it keeps kernel routes, tunnels, nftables and BIRD's configuration in step\n"
        "with the cluster's objects. It stops on SIGTERM and leaves the dataplane as it is; started again, it adopts\n"
        "what is there.\n"
        "\n"
        "Options:\n"
        "  -c, --config FILE   configuration (default " WEFT_CONFIG_DEFAULT ")\n"
        "  -h, --help          this text\n"
        "  -V, --version       print the version\n"
        "\n"
        "Examples:\n"
        "  weftd --config /etc/weft/weft.yaml\n"
        "  weftd check-config                   # exit status 0: the file is good\n"
        "  systemctl stop weftd && weftd cleanup\n"
        "\n"
        "Exit status: 0 done, 1 failed (the reason is on standard error), 2 wrong usage.\n"
        "Look into a running agent with weftctl.\n";

static void report(void *ctx, const char *text)
{
	(void)ctx;
	fprintf(stderr, "%s\n", text);
}

static int load(const char *path, struct weft_config *cfg)
{
	struct weft_err err = WEFT_ERR_INIT;
	int r = weft_config_load(path, cfg, report, NULL, &err);

	/* Errors of single keys have been reported; one that concerns the whole file has not. */
	if (r < 0 && strncmp(err.text, path, strlen(path)))
		fprintf(stderr, "%s\n", err.text);
	return r;
}

static int check_config(const struct weft_config *cfg)
{
	weft_auto(weft_buf_free) struct weft_buf text = {0};
	struct weft_err err = WEFT_ERR_INIT;

	if (datastore_check(cfg, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return EXIT_FAILED;
	}
	weft_config_dump(cfg, &text);
	fputs(weft_buf_text(&text), stdout);
	return EXIT_SUCCESS;
}

static int cleanup(const struct weft_config *cfg)
{
	struct weft_err err = WEFT_ERR_INIT;

	if (cleanup_run(cfg, &err) == 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "weftd cleanup: %s\n", err.text);
	return EXIT_FAILED;
}

static int run_agent(const struct weft_config *cfg, uv_loop_t *loop, struct weft_err *err)
{
	static struct agent agent; /* large; main's own */
	int r = agent_open(&agent, cfg, loop, err);

	if (r < 0)
		log_error("can't start: %s", err->text);
	else
		uv_run(loop, UV_RUN_DEFAULT);
	agent_close(&agent);
	uv_run(loop, UV_RUN_DEFAULT);
	return r;
}

static int run_controller(const struct weft_config *cfg, uv_loop_t *loop, struct weft_err *err)
{
	struct controlling *c = NULL;
	int r = controlling_open(cfg, loop, &c, err);

	if (r < 0) {
		log_error("can't start: %s", err->text);
	} else {
		uv_run(loop, UV_RUN_DEFAULT);
		controlling_close(c);
	}
	uv_run(loop, UV_RUN_DEFAULT);
	controlling_free(c);
	return r;
}

static int run(const struct weft_config *cfg)
{
	struct weft_err err = WEFT_ERR_INIT;
	uv_loop_t loop;
	int r;

	weft_log_init(cfg->log_level);
	signal(SIGPIPE, SIG_IGN);
	umask(022); /* BIRD and the container runtime read what the file modes let them */
	uv_loop_init(&loop);
	log_info("weftd %s on node %s", WEFT_VERSION, cfg->node_name);
	r = cfg->roles & WEFT_ROLE_NODE ? run_agent(cfg, &loop, &err) : run_controller(cfg, &loop, &err);
	uv_loop_close(&loop);
	return r < 0 ? EXIT_FAILED : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
	                                        {"help", no_argument, NULL, 'h'},
	                                        {"version", no_argument, NULL, 'V'},
	                                        {NULL, 0, NULL, 0}};
	const char *path = WEFT_CONFIG_DEFAULT, *command = "run";
	static struct weft_config cfg;
	int c;

	while ((c = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		}
		if (c == '?')
			return EXIT_USAGE;
		if (c == 'V')
			command = "version";
		if (c == 'c')
			path = optarg;
	}
	if (optind < argc)
		command = argv[optind++];
	if (optind < argc) {
		fprintf(stderr, "weftd: unexpected argument \"%s\"; see weftd --help\n", argv[optind]);
		return EXIT_USAGE;
	}
	if (!strcmp(command, "version")) {
		printf("weftd %s\n", WEFT_VERSION);
		return EXIT_SUCCESS;
	}
	if (strcmp(command, "run") && strcmp(command, "check-config") && strcmp(command, "cleanup")) {
		fprintf(stderr, "weftd: unknown command \"%s\"; see weftd --help\n", command);
		return EXIT_USAGE;
	}
	if (sodium_init() < 0) {
		fprintf(stderr, "weftd: libsodium can't start\n");
		return EXIT_FAILED;
	}
	if (load(path, &cfg) < 0)
		return EXIT_FAILED;
	if (!strcmp(command, "check-config"))
		return check_config(&cfg);
	return !strcmp(command, "cleanup") ? cleanup(&cfg) : run(&cfg);
}
