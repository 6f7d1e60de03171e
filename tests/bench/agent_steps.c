// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counts the user instructions that a running process executes for one event, by single steps: no counter of
 * the processor is needed (an emulated one has none) and the process runs at full speed before and after.
 *
 *	agent_steps PID QUIET_MS
 *
 * Stops the main thread, says "stopped", and reads a line, before which the caller makes the event happen.
 * Then steps until the thread has slept for QUIET_MS, says the number of instructions, and lets it run. An
 * instruction with a repeat prefix is one. Other threads run freely and are not counted.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>

static volatile sig_atomic_t ticks;

static void on_tick(int signum)
{
	(void)signum;
	ticks++;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void stop(pid_t pid)
{
	int status;

	if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
		die("interrupt");
	while (waitpid(pid, &status, __WALL) < 0)
		if (errno != EINTR)
			die("waiting for the stop");
}

/* Two ticks without a step: it sleeps. */
static void tick_every(long ms)
{
	struct sigaction action = {.sa_handler = on_tick}; /* no SA_RESTART: waitpid must return */
	struct itimerval every = {.it_interval = {ms / 1000, ms % 1000 * 1000}};

	every.it_value = every.it_interval;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

/* One step; false when the thread sleeps. *deliver is the signal it gets, then the one it has stopped for. */
static bool step(pid_t pid, int *deliver)
{
	int status;

	if (ptrace(PTRACE_SINGLESTEP, pid, 0, *deliver) < 0)
		die("step");
	ticks = 0;
	while (waitpid(pid, &status, __WALL) < 0) {
		if (errno != EINTR)
			die("waiting for a step");
		if (ticks >= 2)
			return false;
	}
	if (!WIFSTOPPED(status)) {
		fprintf(stderr, "the process ended\n");
		exit(1);
	}
	*deliver = status >> 16 || WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
	return true;
}

/* Where the thread is; elsewhere than on x86 every step is an instruction. */
static long position(pid_t pid, long former)
{
#ifdef __x86_64__
	(void)former;
	return ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user_regs_struct, rip), 0);
#else
	(void)pid;
	return former + 1;
#endif
}

/*
 * Interrupting a step leaves the SIGTRAP of that step pending, and it would kill the process once we are
 * gone: the thread goes on until it stops for that signal, which is then taken from it.
 */
static void release(pid_t pid)
{
	int status = 0;

	stop(pid);
	if (ptrace(PTRACE_CONT, pid, 0, 0) < 0)
		die("continue");
	ticks = 0;
	while (waitpid(pid, &status, __WALL) < 0 && ticks < 2)
		;
	if (!WIFSTOPPED(status))
		stop(pid);
	if (ptrace(PTRACE_DETACH, pid, 0, 0) < 0)
		die("detach");
}

int main(int argc, char **argv)
{
	pid_t pid = argc == 3 ? atoi(argv[1]) : 0;
	unsigned long count = 0;
	long at, former = 0;
	int deliver = 0;

	if (pid <= 0 || atol(argv[2]) <= 0) {
		fprintf(stderr, "usage: agent_steps PID QUIET_MS\n");
		return 2;
	}
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0)
		die("seize");
	stop(pid);
	printf("stopped\n");
	fflush(stdout);
	if (getchar() == EOF)
		return 1;
	tick_every(atol(argv[2]) / 2);
	while (step(pid, &deliver)) {
		at = position(pid, former);
		count += at != former;
		former = at;
	}
	release(pid);
	printf("%lu\n", count);
	return 0;
}
