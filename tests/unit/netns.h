// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A fresh network namespace for the test process, with /proc/sys of it. Needs root; without it the test
 * fails, because it would not have tested anything.
 */
#ifndef WEFT_TESTS_NETNS_H
#define WEFT_TESTS_NETNS_H

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static inline void netns_enter(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS)) {
		fprintf(stderr, "this test makes a network namespace and must run as root: unshare: %m\n");
		exit(1);
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("sysfs", "/sys", "sysfs", 0, NULL))
		fprintf(stderr, "mounts of the namespace: %m\n");
}

/* Run a command line of ours; what it prints goes to out (may be NULL). Returns its exit status. */
static inline int netns_run(const char *command, char *out, size_t size)
{
	FILE *p = popen(command, "r");
	size_t n = 0;

	if (!p)
		return -1;
	if (out) {
		n = fread(out, 1, size - 1, p);
		out[n] = '\0';
	}
	while (fgetc(p) != EOF)
		;
	return WEXITSTATUS(pclose(p));
}

/*
 * A fresh namespace with lo, and eth0 that is up (its peer is `far`) with these addresses: lines of ip(8)'s
 * batch language. One process for all: in an emulated machine a process costs more than the test.
 */
static inline int netns_underlay(const char *addresses)
{
	char command[1024];

	netns_enter();
	snprintf(command, sizeof(command),
	         "exec ip -batch - <<END\nlink set lo up\nlink add eth0 type veth peer name far\n"
	         "link set far up\nlink set eth0 up\n%s\nEND\n",
	         addresses);
	return netns_run(command, NULL, 0);
}

#define netns_sh(command) assert_int_equal(netns_run(command, NULL, 0), 0)

#endif
