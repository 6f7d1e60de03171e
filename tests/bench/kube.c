// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What reading from the API server costs.
 *
 *	kube decode FILE ROUNDS
 *		FILE is a LIST of EndpointSlices. It is cut, parsed and decoded as the Kubernetes source does it
 *		(pieces of 16 KiB), and parsed as a whole by cJSON, in turn. Told, in processor time, the best
 *		of each: decode BYTES NANOSECONDS NANOSECONDS-OF-CJSON
 *
 *	kube agents KUBECONFIG NUMBER CALM SECONDS ROLE
 *		So many whole sources (each its own client and connections) follow one server; ROLE controller:
 *		they stand for it too. Once all have read everything: "synced"; after CALM seconds "counting";
 *		then so many seconds. Told, of those seconds and of all agents: agents REQUESTS BYTES-IN EVENTS
 *		FAILURES
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "agent/kube/kubernetes.h"
#include "agent/kube/split.h"
#include "agent/kube/tree.h"
#include "agent/source/decode.h"
#include "tests/bench/count.h"
#include "weft/log.h"

#define PIECE ((size_t)16 << 10) /* as libcurl hands it over */

static void die(const char *what, const char *why)
{
	fprintf(stderr, "kube: %s: %s\n", what, why);
	exit(1);
}

/* --- decode --- */

struct text {
	char *data;
	size_t len;
};

static struct text read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	struct text t = {0};

	if (!f || fseek(f, 0, SEEK_END))
		die(path, "can't be read");
	t.len = (size_t)ftell(f);
	rewind(f);
	t.data = malloc(t.len + 1);
	if (!t.data || fread(t.data, 1, t.len, f) != t.len)
		die(path, "can't be read");
	t.data[t.len] = '\0';
	fclose(f);
	return t;
}

static int take_item(void *ctx, char *text, size_t len)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_decoded got;
	struct kube_tree tree;
	size_t *objects = ctx;

	kube_tree_parse(&tree, text, len);
	if (!tree.root || weft_decode_as(WEFT_ENDPOINTSLICE, tree.root, &got, &err))
		die("an item", tree.root ? err.text : "no JSON");
	weft_object_free(got.obj);
	kube_tree_free(&tree, false);
	(*objects)++;
	return 0;
}

static size_t decode_all(const struct text *t)
{
	size_t objects = 0;
	struct kube_split *s = kube_split_new(KUBE_LIST, take_item, &objects);
	struct weft_err err = WEFT_ERR_INIT;

	for (size_t at = 0; at < t->len; at += PIECE)
		if (kube_split_feed(s, t->data + at, t->len - at < PIECE ? t->len - at : PIECE, &err))
			die("split", err.text);
	if (kube_split_end(s, &err))
		die("split", err.text);
	kube_split_free(s);
	return objects;
}

static uint64_t less(uint64_t best, uint64_t now)
{
	return !best || now < best ? now : best;
}

static void decode(const char *path, unsigned rounds)
{
	struct text t = read_file(path);
	uint64_t weft = 0, rival = 0, from;
	size_t objects = 0;
	cJSON *json;

	for (unsigned i = 0; i < rounds; i++) {
		from = count_nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
		objects = decode_all(&t);
		weft = less(weft, count_nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - from);
		from = count_nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
		json = cJSON_ParseWithLength(t.data, t.len);
		rival = less(rival, count_nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - from);
		if ((size_t)cJSON_GetArraySize(cJSON_GetObjectItem(json, "items")) != objects)
			die(path, "not all items were decoded");
		cJSON_Delete(json);
	}
	printf("decode %zu %llu %llu\n", t.len, (unsigned long long)weft, (unsigned long long)rival);
	free(t.data);
}

/* --- agents --- */

struct agent {
	struct weft_source *source;
	uint64_t events;
	bool synced;
};

struct sums {
	uint64_t requests, bytes, events, failures;
};

static void on_event(void *ctx, const struct weft_event *ev)
{
	struct agent *a = ctx;

	a->events++;
	if (ev->type == WEFT_EV_SYNCED)
		a->synced = true;
	if (ev->type == WEFT_EV_UPSERT)
		weft_object_free(ev->obj);
}

static void on_lead(void *ctx, bool leading)
{
	(void)ctx;
	(void)leading;
}

static void agent_start(uv_loop_t *loop, const struct kube_access *access, struct agent *a, unsigned i,
                        bool controller)
{
	static const char *const secrets[] = {"weft-bgp"};
	struct weft_err err = WEFT_ERR_INIT;
	char name[32];
	struct kubernetes_options o = {.access = access,
	                               .node = name,
	                               .namespace = "kube-system",
	                               .secrets = secrets,
	                               .n_secrets = 1,
	                               .services = true,
	                               .controller = controller,
	                               .on_nodes = true,
	                               .patience_ms = 600000};

	snprintf(name, sizeof(name), "node-%05u", i);
	if (kubernetes_new(loop, &o, &a->source, &err) ||
	    a->source->ops->start(a->source, on_event, a, &err) ||
	    (controller && a->source->ops->stand(a->source, "controller", name, on_lead, a, &err)))
		die("an agent", err.text);
}

static double number(const cJSON *json, const char *name)
{
	return cJSON_GetNumberValue(cJSON_GetObjectItem(json, name));
}

static struct sums add_up(const struct agent *agents, unsigned n)
{
	struct sums sum = {0};

	for (unsigned i = 0; i < n; i++) {
		cJSON *json = agents[i].source->ops->describe(agents[i].source);

		sum.requests += (uint64_t)number(json, "requests");
		sum.bytes += (uint64_t)number(json, "bytesIn");
		sum.failures += (uint64_t)number(json, "failures");
		sum.events += agents[i].events;
		cJSON_Delete(json);
	}
	return sum;
}

static void on_time(uv_timer_t *t)
{
	*(bool *)t->data = true;
}

static void run_for(uv_loop_t *loop, uint64_t seconds)
{
	uv_timer_t timer;
	bool over = false;

	uv_timer_init(loop, &timer);
	timer.data = &over;
	uv_timer_start(&timer, on_time, seconds * 1000, 0);
	while (!over)
		uv_run(loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(loop, UV_RUN_NOWAIT);
}

static void follow(const char *kubeconfig, unsigned n, const char *calm, unsigned seconds, bool controller)
{
	struct agent *agents = calloc(n, sizeof(*agents));
	struct weft_err err = WEFT_ERR_INIT;
	struct kube_access access;
	struct sums from, to;
	struct rlimit files;
	uv_loop_t loop;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	uv_loop_init(&loop);
	if (kube_access_load(&(struct kube_access_options){.kubeconfig = kubeconfig}, &access, &err))
		die(kubeconfig, err.text);
	for (unsigned i = 0; i < n; i++) /* one after the other, as nodes come */
		for (agent_start(&loop, &access, &agents[i], i, controller); !agents[i].synced;)
			uv_run(&loop, UV_RUN_ONCE);
	printf("synced\n");
	fflush(stdout);
	run_for(&loop, (unsigned)atoi(calm));
	printf("counting\n");
	fflush(stdout);
	from = add_up(agents, n);
	run_for(&loop, seconds);
	to = add_up(agents, n);
	printf("agents %llu %llu %llu %llu\n", (unsigned long long)(to.requests - from.requests),
	       (unsigned long long)(to.bytes - from.bytes), (unsigned long long)(to.events - from.events),
	       (unsigned long long)(to.failures - from.failures));
	for (unsigned i = 0; i < n; i++)
		agents[i].source->ops->free(agents[i].source);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	kube_access_free(&access);
	free(agents);
}

int main(int argc, char **argv)
{
	weft_log_init(WEFT_LOG_ERROR);
	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && !strcmp(argv[1], "decode"))
		decode(argv[2], (unsigned)atoi(argv[3]));
	else if (argc == 7 && !strcmp(argv[1], "agents"))
		follow(argv[2], (unsigned)atoi(argv[3]), argv[4], (unsigned)atoi(argv[5]),
		       !strcmp(argv[6], "controller"));
	else
		die("usage",
		    "kube decode FILE ROUNDS | kube agents KUBECONFIG NUMBER CALM SECONDS node|controller");
	return 0;
}
