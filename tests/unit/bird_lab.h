// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Real BIRDs in network namespaces of the test's own, on one bridge, for what only two ends can tell.
 *
 * Each end is a process that holds a namespace, and a BIRD in it. Everything goes when the test's process does.
 */
#ifndef TESTS_UNIT_BIRD_LAB_H
#define TESTS_UNIT_BIRD_LAB_H

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/bird/conf.h"
#include "weft/file.h"

#define LAB_ENDS  4
#define LAB_LIMIT 200 /* polls of 100 ms */

struct lab_end {
	pid_t holder, bird;
	char conf[64], sock[64];
};

struct lab {
	char dir[32], custom[64];
	struct tmpl *tmpl;
	struct lab_end ends[LAB_ENDS];
	char said[1 << 20]; /* of the last command */
};

/* Run a command in an end's namespace; its output is in lab->said. */
__attribute__((format(printf, 3, 4))) static inline int lab_run(struct lab *lab, int end, const char *fmt,
                                                                ...)
{
	char command[1024];
	size_t n = (size_t)snprintf(command, sizeof(command), "exec 2>&1; nsenter -t %d -n -- ",
	                            lab->ends[end].holder);
	va_list ap;
	FILE *out;

	va_start(ap, fmt);
	vsnprintf(command + n, sizeof(command) - n, fmt, ap);
	va_end(ap);
	out = popen(command, "r");
	if (!out)
		return -1;
	n = fread(lab->said, 1, sizeof(lab->said) - 1, out);
	lab->said[n] = '\0';
	return pclose(out);
}

static inline void lab_must(struct lab *lab, int end, const char *command)
{
	if (lab_run(lab, end, "%s", command))
		fail_msg("%s: %s", command, lab->said);
}

static inline const char *lab_birdc(struct lab *lab, int end, const char *command)
{
	lab_run(lab, end, "birdc -s %s '%s'", lab->ends[end].sock, command);
	return lab->said;
}

static inline int lab_hold(struct lab_end *e)
{
	int ready[2];
	char byte;

	if (pipe(ready) < 0)
		return -1;
	e->holder = fork();
	if (e->holder == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) == 0 && write(ready[1], "x", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		return -1;
	return close(ready[0]);
}

/* The ends' devices are called lan; end 0 has the bridge. */
static inline int lab_up(struct lab *lab, int ends)
{
	struct weft_err err = WEFT_ERR_INIT;
	char dir[sizeof(lab->dir)];

	*lab = (struct lab){.dir = "/tmp/weft-pair-XXXXXX"};
	if (!mkdtemp(lab->dir) || chmod(lab->dir, 0755) < 0)
		return -1;
	memcpy(dir, lab->dir, sizeof(dir)); /* the compiler can't see that the parts of lab do not overlap */
	snprintf(lab->custom, sizeof(lab->custom), "%s/custom", dir);
	if (mkdir(lab->custom, 0755) < 0)
		return -1;
	for (int i = 0; i < ends; i++) {
		struct lab_end *e = &lab->ends[i];

		snprintf(e->conf, sizeof(e->conf), "%s/%d.conf", dir, i);
		snprintf(e->sock, sizeof(e->sock), "%s/%d.ctl", dir, i);
		if (lab_hold(e) < 0)
			return -1;
		lab_must(lab, i, "ip link set lo up");
		if (i == 0) {
			lab_must(lab, 0, "ip link add lan type bridge");
			lab_must(lab, 0, "ip link set lan up");
			continue;
		}
		lab_run(lab, 0, "ip link add port%d type veth peer name lan netns %d", i, e->holder);
		lab_run(lab, 0, "ip link set port%d master lan up", i);
		lab_must(lab, i, "ip link set lan up");
	}
	return bird_conf_load("bird-templates", &lab->tmpl, &err);
}

static inline void lab_write(struct lab *lab, int end, const char *text)
{
	struct weft_err err = WEFT_ERR_INIT;

	if (weft_file_replace(lab->ends[end].conf, text, strlen(text), 0644, &err) < 0)
		fail_msg("%s", err.text);
}

/* WEFT_TEST_BIRD: another one than Debian's. */
static inline const char *lab_binary(void)
{
	const char *other = getenv("WEFT_TEST_BIRD");

	return other ? other : "/usr/sbin/bird";
}

static inline void lab_bird(struct lab *lab, int end)
{
	struct lab_end *e = &lab->ends[end];
	char holder[16];

	snprintf(holder, sizeof(holder), "%d", e->holder);
	e->bird = fork();
	if (e->bird == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(126);
		execlp("nsenter", "nsenter", "-t", holder, "-n", "--", lab_binary(), "-f", "-c", e->conf,
		       "-s", e->sock, (char *)NULL);
		_exit(127);
	}
}

/* Poll until the answer has (or, with `want` false, lacks) a text. */
static inline void lab_wait(struct lab *lab, int end, const char *command, const char *text, bool want)
{
	for (int i = 0; i < LAB_LIMIT; i++) {
		if ((strstr(lab_birdc(lab, end, command), text) != NULL) == want)
			return;
		poll(NULL, 0, 100);
	}
	fail_msg("%s: %s\"%s\" was expected in: %s", command, want ? "" : "no ", text, lab->said);
}

static inline int lab_down(struct lab *lab)
{
	char command[64];

	for (int i = 0; i < LAB_ENDS; i++) {
		const pid_t pids[] = {lab->ends[i].bird, lab->ends[i].holder};

		for (int k = 0; k < 2; k++) {
			if (pids[k] <= 0)
				continue;
			kill(pids[k], SIGKILL);
			waitpid(pids[k], NULL, 0);
		}
	}
	tmpl_free(lab->tmpl);
	snprintf(command, sizeof(command), "rm -rf %s", lab->dir);
	return system(command);
}

#endif
