// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TCP for bench_traffic: a stream as fast as it goes, or connections one after the other.
 *
 *	traffic serve PORT                     until it is killed; says "serving"
 *	traffic stream ADDRESS PORT SECONDS    says "stream N", bytes per second that the server confirms
 *	traffic connect ADDRESS PORT SECONDS   says "connect N", connections per second
 *
 * A connection asks for one byte and is reset, so that no TIME_WAIT uses up the ports.
 *
 * A client's first byte says what it wants: 's' stream, 'c' one byte back. At the end of a stream the server
 * answers with the number of bytes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (256 << 10)

static char buffer[CHUNK];

static void die(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct sockaddr_in address_of(const char *text, const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};

	if (inet_pton(AF_INET, text, &a.sin_addr) != 1) {
		errno = EINVAL;
		die(text);
	}
	return a;
}

/* In a process of its own, so that a stream and connections can be served side by side. */
static void take_stream(int s)
{
	uint64_t total = 0;
	ssize_t n;

	while ((n = recv(s, buffer, sizeof(buffer), MSG_TRUNC)) > 0)
		total += (uint64_t)n;
	if (send(s, &total, sizeof(total), MSG_NOSIGNAL) < 0)
		die("answer");
}

static void serve_one(int s)
{
	char wish = 0;

	if (recv(s, &wish, 1, 0) == 1 && wish == 'c') {
		(void)send(s, &wish, 1, MSG_NOSIGNAL);
		(void)recv(s, &wish, 1, 0); /* the client ends it */
	} else if (wish == 's' && fork() == 0) {
		take_stream(s);
		exit(0);
	}
	close(s);
}

static void serve(const char *port)
{
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	struct sockaddr_in a = address_of("0.0.0.0", port);

	signal(SIGCHLD, SIG_IGN);
	if (setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(s, (struct sockaddr *)&a, sizeof(a)) || listen(s, 4096))
		die("serve");
	printf("serving\n");
	fflush(stdout);
	for (;;) {
		int client = accept(s, NULL, NULL);

		if (client >= 0)
			serve_one(client);
	}
}

static int connected(const struct sockaddr_in *to)
{
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = {.tv_sec = 10};

	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(s, (const struct sockaddr *)to, sizeof(*to)))
		die("connect");
	return s;
}

static void stream(const struct sockaddr_in *to, double limit)
{
	int s = connected(to);
	uint64_t total = 0;
	double start;

	if (send(s, "s", 1, 0) != 1)
		die("stream");
	start = now();
	while (now() - start < limit)
		if (send(s, buffer, sizeof(buffer), 0) < 0)
			die("stream");
	shutdown(s, SHUT_WR);
	if (recv(s, &total, sizeof(total), MSG_WAITALL) != sizeof(total))
		die("the server's answer");
	printf("stream %.0f\n", (double)total / (now() - start));
	close(s);
}

static void connections(const struct sockaddr_in *to, double limit)
{
	const struct linger reset = {.l_onoff = 1};
	double start = now();
	unsigned long count = 0;
	char byte;

	for (; now() - start < limit; count++) {
		int s = connected(to);

		if (send(s, "c", 1, 0) != 1 || recv(s, &byte, 1, 0) != 1)
			die("one byte");
		setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(s);
	}
	printf("connect %.1f\n", (double)count / (now() - start));
}

int main(int argc, char **argv)
{
	struct sockaddr_in to;

	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		serve(argv[2]);
	if (argc != 5 || (strcmp(argv[1], "stream") && strcmp(argv[1], "connect"))) {
		fprintf(stderr, "usage: traffic serve PORT | traffic stream|connect ADDRESS PORT SECONDS\n");
		return 2;
	}
	to = address_of(argv[2], argv[3]);
	if (strcmp(argv[1], "stream") == 0)
		stream(&to, atof(argv[4]));
	else
		connections(&to, atof(argv[4]));
	return 0;
}
