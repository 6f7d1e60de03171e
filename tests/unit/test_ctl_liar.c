// SPDX-License-Identifier: GPL-2.0-or-later
/* weftctl against daemons that the test plays: what it asks them, and what it makes of broken answers. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/ctl/ctl.h"
#include "tests/unit/ctl_program.h"
#include "weft/cleanup.h"

/* A daemon that answers one connection with these bytes; NULL: never answers. */
struct liar {
	int fd;
	const char *reply;
	char request[256]; /* what it was asked */
};

static void *lie(void *arg)
{
	struct liar *l = arg;
	int fd = accept(l->fd, NULL, NULL);

	(void)!read(fd, l->request, sizeof(l->request) - 1);
	if (l->reply)
		(void)!send(fd, l->reply, strlen(l->reply), MSG_NOSIGNAL);
	else
		(void)!read(fd, l->request, 1); /* until weftctl hangs up */
	close(fd);
	return NULL;
}

/* args: what to ask; request: what arrived (may be NULL). */
static struct outcome ask_liar(const char *reply, const char *const *args, char *request)
{
	char dir[] = "/tmp/weft-liar-XXXXXX";
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct liar l = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), .reply = reply};
	const char *argv[12] = {"--socket", sa.sun_path};
	struct outcome o;
	pthread_t thread;

	assert_non_null(mkdtemp(dir));
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/s", dir);
	assert_int_equal(bind(l.fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(l.fd, 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, lie, &l), 0);
	for (size_t i = 0; args[i]; i++)
		argv[i + 2] = args[i];
	o = run_on(0, argv);
	pthread_join(thread, NULL);
	close(l.fd);
	unlink(sa.sun_path);
	rmdir(dir);
	if (request)
		memcpy(request, l.request, sizeof(l.request));
	return o;
}

static void arguments_reach_the_daemon(void **state)
{
	static const struct {
		const char *args[4], *request;
	} cases[] = {
	        {{"nodes", "x"}, "{\"cmd\":\"nodes\"}\n"},
	        {{"services"}, "{\"cmd\":\"services\"}\n"},
	        {{"services", "a/*"}, "{\"cmd\":\"services\"}\n"},
	        {{"services", "a/b\"\n"}, "{\"cmd\":\"services\",\"args\":{\"service\":\"a/b\\\"\\n\"}}\n"},
	        {{"trace", "node", "10.0.0.1"},
	         "{\"cmd\":\"trace\",\"args\":{\"dst\":\"10.0.0.1\",\"src\":\"node\"}}\n"},
	        {{"trace", "fd00::0:1", "[FD00::2]:80"},
	         "{\"cmd\":\"trace\",\"args\":{\"dst\":\"fd00::2\",\"port\":80,\"protocol\":\"TCP\",\"src\":\"fd00::1\"}}\n"},
	        {{"trace", "10.0.0.9", "10.0.0.1:65535/sctp"},
	         "{\"cmd\":\"trace\",\"args\":{\"dst\":\"10.0.0.1\",\"port\":65535,\"protocol\":\"SCTP\","
	         "\"src\":\"10.0.0.9\"}}\n"},
	        {{"trace", "node", "fd00::1:80"},
	         "{\"cmd\":\"trace\",\"args\":{\"dst\":\"fd00::1:80\",\"src\":\"node\"}}\n"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		char request[256];

		ask_liar("{}\n", cases[i].args, request);
		assert_string_equal(request, cases[i].request);
	}
}

static void broken_daemons_are_reported(void **state)
{
	static const struct {
		const char *reply;
		int code;
		const char *says;
	} cases[] = {
	        {"", 3, "without an answer"},
	        {"{\"ok\":true,\"resu", 3, "in the middle of its answer"},
	        {"{\"ok\":true,\"resu\n", 1, "makes no sense"},
	        {"\n", 1, "makes no sense"},
	        {"[]\n", 1, "makes no sense"},
	        {"{\"ok\":true}\n", 1, "makes no sense"},
	        {"{\"ok\":false}\n", 1, "makes no sense"},
	        {"{\"ok\":\"yes\",\"result\":[]}\n", 1, "makes no sense"},
	        {"{\"ok\":false,\"error\":\"\xc2\x9b"
	         "2J\xff\"}\n",
	         1, "weftctl: ?2J?\n"},
	        {NULL, 3, "no answer from weftd within 0.3 s"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_LEN(cases); i++) {
		const char *const args[] = {"--timeout", cases[i].reply ? "10" : "0.3", "nodes", NULL};
		struct outcome o = ask_liar(cases[i].reply, args, NULL);

		assert_says(&o, cases[i].code, cases[i].says);
	}
}
int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(arguments_reach_the_daemon),
	        cmocka_unit_test(broken_daemons_are_reported),
	};

	if (find_build() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
