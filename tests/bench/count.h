// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * User instructions of this thread between count_start() and count_stop(): by the processor's counter where
 * there is one, else by single steps (x86's trap flag; an instruction with a repeat prefix is one), else
 * nanoseconds of processor time. Exact but for the counter's own few instructions, and slow by single steps:
 * for single events. One thread, one count at a time.
 */
#ifndef TESTS_BENCH_COUNT_H
#define TESTS_BENCH_COUNT_H

#include <linux/perf_event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum count_how { COUNT_UNKNOWN, COUNT_PERF, COUNT_STEPS, COUNT_TIME };

static struct {
	enum count_how how;
	int fd;
	uint64_t start;
	volatile uint64_t steps;
	volatile uintptr_t at;
} count_state;

static inline uint64_t count_nanoseconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#ifdef __x86_64__
#define COUNT_TRAP_FLAG 0x100u

static inline void count_on_step(int signum, siginfo_t *info, void *context)
{
	const ucontext_t *c = context;
	uintptr_t at = (uintptr_t)c->uc_mcontext.gregs[REG_RIP];

	(void)signum;
	(void)info;
	if (at != count_state.at)
		count_state.steps++;
	count_state.at = at;
}

static inline enum count_how count_by_steps(void)
{
	struct sigaction action = {.sa_sigaction = count_on_step, .sa_flags = SA_SIGINFO | SA_RESTART};

	return sigaction(SIGTRAP, &action, NULL) ? COUNT_TIME : COUNT_STEPS;
}

static inline void count_stepping(bool on)
{
	unsigned long long flags = __builtin_ia32_readeflags_u64();

	__builtin_ia32_writeeflags_u64(on ? flags | COUNT_TRAP_FLAG
	                                  : flags & ~(unsigned long long)COUNT_TRAP_FLAG);
}
#else
static inline enum count_how count_by_steps(void)
{
	return COUNT_TIME;
}

static inline void count_stepping(bool on)
{
	(void)on;
}
#endif

static inline void count_open(void)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_HARDWARE,
	                               .size = sizeof(attr),
	                               .config = PERF_COUNT_HW_INSTRUCTIONS,
	                               .exclude_kernel = 1,
	                               .exclude_hv = 1};

	count_state.fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	count_state.how = count_state.fd >= 0 ? COUNT_PERF : count_by_steps();
}

static inline const char *count_unit(void)
{
	if (count_state.how == COUNT_UNKNOWN)
		count_open();
	return count_state.how == COUNT_TIME ? "ns of CPU time" : "instructions";
}

static inline uint64_t count_now(void)
{
	uint64_t n = 0;

	if (count_state.how == COUNT_STEPS)
		return count_state.steps;
	if (count_state.how == COUNT_TIME)
		return count_nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
	if (read(count_state.fd, &n, sizeof(n)) != sizeof(n))
		abort();
	return n;
}

static inline void count_start(void)
{
	count_unit();
	count_state.start = count_now();
	if (count_state.how == COUNT_STEPS)
		count_stepping(true);
}

static inline uint64_t count_stop(void)
{
	if (count_state.how == COUNT_STEPS)
		count_stepping(false);
	return count_now() - count_state.start;
}

#endif
