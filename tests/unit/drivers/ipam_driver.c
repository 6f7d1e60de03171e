// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The allocator as a program, one operation per run, for tests that need a process to kill or to race:
 *
 *	ipam_driver DIR add CIDR POOL		ipam_driver DIR alloc ID IFNAME 4|6|46
 *	ipam_driver DIR remove CIDR		ipam_driver DIR release ID IFNAME
 *	ipam_driver DIR list			ipam_driver DIR gc [ID IFNAME]...
 *
 * alloc prints the addresses; release and gc the number released; list a line "ADDRESS STATE ID IFNAME" for
 * each address that is neither free nor reserved. There is no cooldown. Exit status 1 and the error on stderr
 * when the operation fails.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipam/host.h"
#include "weft/cleanup.h"

static int run_block(struct weft_ipam *ipam, int argc, char **argv, struct weft_err *err)
{
	struct weft_prefix cidr;
	int r = argc > 1 ? weft_prefix_parse(argv[1], &cidr, err) : weft_err_set(err, 0, "usage");

	if (r < 0)
		return r;
	if (!strcmp(argv[0], "add") && argc == 3)
		return weft_ipam_add_block(ipam, &cidr, argv[2], err);
	return weft_ipam_remove_block(ipam, &cidr, err);
}

static int run_alloc(struct weft_ipam *ipam, char **argv, struct weft_err *err)
{
	struct weft_ipam_request req = {.owner = {argv[1], argv[2], NULL}};
	struct weft_ipam_result got;
	char text[WEFT_ADDR_STR];
	int r;

	req.families = (strchr(argv[3], '4') ? WEFT_IPAM_V4 : 0) | (strchr(argv[3], '6') ? WEFT_IPAM_V6 : 0);
	r = weft_ipam_alloc(ipam, &req, &got, err);
	for (int family = 0; r == 0 && family < 2; family++)
		if (weft_addr_is_set(&got.addr[family]))
			puts(weft_addr_str(&got.addr[family], text));
	return r;
}

static int run_gc(struct weft_ipam *ipam, int argc, char **argv, struct weft_err *err)
{
	struct weft_ipam_owner valid[16];
	size_t n = 0;

	for (int i = 1; i + 1 < argc && n < WEFT_ARRAY_LEN(valid); i += 2)
		valid[n++] = (struct weft_ipam_owner){argv[i], argv[i + 1], NULL};
	return weft_ipam_gc(ipam, valid, n, NULL, NULL, err);
}

static int run_list(struct weft_ipam *ipam, struct weft_err *err)
{
	static const char *const name[] = {"free", "used", "reserved", "corrupt"};
	struct weft_ipam_block *blocks;
	char text[WEFT_ADDR_STR];
	size_t n;
	int r = weft_ipam_list(ipam, &blocks, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < blocks[i].n; k++) {
			const struct weft_ipam_entry *e = &blocks[i].entries[k];

			if (e->state == WEFT_IPAM_USED || e->state == WEFT_IPAM_CORRUPT)
				printf("%s %s %s %s\n", weft_addr_str(&e->addr, text), name[e->state],
				       e->container_id, e->ifname);
		}
	}
	weft_ipam_blocks_free(blocks, n);
	return 0;
}

static int run(struct weft_ipam *ipam, int argc, char **argv, struct weft_err *err)
{
	int r;

	if (!strcmp(argv[0], "add") || !strcmp(argv[0], "remove"))
		return run_block(ipam, argc, argv, err);
	if (!strcmp(argv[0], "alloc") && argc == 4)
		return run_alloc(ipam, argv, err);
	if (!strcmp(argv[0], "list"))
		return run_list(ipam, err);
	if (!strcmp(argv[0], "release") && argc == 3)
		r = weft_ipam_release(ipam, &(struct weft_ipam_owner){argv[1], argv[2], NULL}, err);
	else if (!strcmp(argv[0], "gc"))
		r = run_gc(ipam, argc, argv, err);
	else
		return weft_err_set(err, 0, "usage: see the head of ipam_driver.c");
	if (r >= 0)
		printf("%d\n", r);
	return r;
}

int main(int argc, char **argv)
{
	static const struct weft_ipam_options no_cooldown = {.cooldown_ms = 0};
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_ipam *ipam;
	int r;

	if (argc < 3) {
		fprintf(stderr, "usage: ipam_driver DIR OPERATION [ARGUMENT]...\n");
		return 2;
	}
	r = weft_ipam_open(argv[1], &no_cooldown, &ipam, &err);
	if (r == 0) {
		r = run(ipam, argc - 2, argv + 2, &err);
		weft_ipam_close(ipam);
	}
	if (r < 0)
		fprintf(stderr, "%s\n", err.text);
	return r < 0;
}
