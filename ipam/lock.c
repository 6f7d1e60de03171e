// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * flock with a time-out. Who holds it is looked up in /proc/locks when the wait is over, so that taking the
 * lock costs no write.
 */
#include "ipam/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "weft/cleanup.h"

#define FIRST_SLEEP_US 200
#define LAST_SLEEP_US  10000

static uint64_t monotonic_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* A line of /proc/locks: "1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF"; waiters have "->" (proc(5)). */
static int holder_pid(ino_t inode)
{
	weft_autofclose FILE *f = fopen("/proc/locks", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		unsigned long long ino;
		int pid;

		if (sscanf(line, "%*d: FLOCK %*s %*s %d %*x:%*x:%llu", &pid, &ino) == 2 && ino == inode)
			return pid;
	}
	return 0;
}

static int timed_out(const char *path, int fd, unsigned timeout_ms, struct weft_err *err)
{
	char proc[64], name[32] = "";
	struct stat st;
	int pid = fstat(fd, &st) == 0 ? holder_pid(st.st_ino) : 0;

	if (pid <= 0)
		return weft_err_set(err, ETIMEDOUT,
		                    "%s is still locked after %u ms by a process that can't be seen "
		                    "from here",
		                    path, timeout_ms);
	snprintf(proc, sizeof(proc), "/proc/%d/comm", pid);
	weft_autofclose FILE *f = fopen(proc, "re");
	if (f && fgets(name, sizeof(name), f))
		name[strcspn(name, "\n")] = '\0';
	return weft_err_set(err, ETIMEDOUT, "%s is still locked after %u ms by %s (process %d)", path,
	                    timeout_ms, name[0] ? name : "a process that just ended", pid);
}

int weft_lock_take(const char *path, enum weft_lock_mode mode, unsigned timeout_ms, struct weft_err *err)
{
	int op = (mode == WEFT_LOCK_SHARED ? LOCK_SH : LOCK_EX) | LOCK_NB;
	uint64_t end = monotonic_us() + (uint64_t)timeout_ms * 1000;
	unsigned sleep_us = FIRST_SLEEP_US;
	weft_autoclose int fd = open(path, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return weft_err_errno(err, errno, "can't open the lock file %s", path);
	while (flock(fd, op) < 0) {
		struct timespec pause = {.tv_nsec = (long)sleep_us * 1000};

		if (errno != EWOULDBLOCK && errno != EINTR)
			return weft_err_errno(err, errno, "can't lock %s", path);
		if (monotonic_us() >= end)
			return timed_out(path, fd, timeout_ms, err);
		nanosleep(&pause, NULL);
		sleep_us = sleep_us * 2 < LAST_SLEEP_US ? sleep_us * 2 : LAST_SLEEP_US;
	}
	return WEFT_TAKE_FD(fd);
}
