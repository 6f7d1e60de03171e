// SPDX-License-Identifier: GPL-2.0-or-later
/* The controller on a real folder: manifests in, status files out, and a second process that takes over. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "agent/daemon/controller.h"
#include "tests/unit/directory_bed.h"
#include "weft/log.h"

#define SERVICE(name)                                                         \
	"apiVersion: v1\nkind: Service\nmetadata: {namespace: x, name: " name \
	"}\nspec: {type: LoadBalancer, "                                      \
	"clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1], ports: [{port: 80}]}\n"

struct process {
	struct weft_source *source;
	struct cluster *cluster;
	struct services *services;
	struct controller *c;
};

static void sink(void *ctx, const struct weft_event *ev)
{
	struct process *p = ctx;
	bool service = ev->kind == WEFT_SERVICE || ev->kind == WEFT_SERVICESTATUS;

	if (ev->type == WEFT_EV_INVALID && *ev->text)
		fail_msg("%s: %s", ev->where, ev->text);
	controller_on_event(p->c, ev);
	if (service && (ev->type == WEFT_EV_UPSERT || ev->type == WEFT_EV_DELETE))
		services_handle(p->services, ev);
	else
		cluster_handle(p->cluster, ev);
}

static void begin(struct bed *bed, struct process *p)
{
	struct controller_options o = {.loop = &bed->loop, .default_class = true, .identity = "me"};

	assert_int_equal(weft_directory_new(&bed->loop, bed->dir, &p->source, NULL), 0);
	o.source = p->source;
	o.cluster = p->cluster = cluster_new("me");
	o.services = p->services = services_new();
	assert_int_equal(controller_new(&o, &p->c, NULL), 0);
	assert_int_equal(p->source->ops->start(p->source, sink, p, NULL), 0);
}

static void finish(struct process *p)
{
	controller_free(p->c);
	p->source->ops->free(p->source);
	cluster_free(p->cluster);
	services_free(p->services);
}

/* Until the file has this text, or with NULL is not there. */
static void wait_file(struct bed *bed, const char *name, const char *part)
{
	char path[512];
	bool good = false;

	path_of(bed, name, path);
	bed->late = false;
	uv_update_time(&bed->loop);
	uv_timer_start(&bed->guard, on_guard, 20000, 0);
	while (!good && !bed->late) {
		weft_autofree char *text = NULL;

		uv_run(&bed->loop, UV_RUN_NOWAIT);
		usleep(1000);
		good = weft_file_read(path, 65536, &text, NULL, NULL) == 0 ? part && strstr(text, part)
		                                                           : !part;
	}
	if (!good)
		fail_msg("%s: no \"%s\"", name, part ? part : "end");
}

static void services_get_addresses_and_keep_them(void **state)
{
	struct bed *bed = *state;
	struct process first, second;
	struct services_view view;

	weft_log_init(WEFT_LOG_ERROR);
	put(bed, "pool.yaml",
	    "apiVersion: weft.dev/v1alpha1\nkind: IPPool\nmetadata: {name: p}\n"
	    "spec: {use: LoadBalancer, ranges: [10.1.0.1-10.1.0.9]}\n");
	put(bed, "b.yaml", SERVICE("b"));
	begin(bed, &first);
	wait_file(bed, "status/service.x_b.yaml", "- ip: \"10.1.0.1\"");
	put(bed, "c.yaml", SERVICE("c"));
	wait_file(bed, "status/service.x_c.yaml", "- ip: \"10.1.0.2\"");
	wait_file(bed, "status/ippool.p.yaml", "used: 2");
	begin(bed, &second);
	run_for(bed, 100);
	finish(&first);
	/* The other one leads now, with all that was assigned; x/b goes, and x/a has its address. */
	remove_name(bed, "b.yaml");
	wait_file(bed, "status/service.x_b.yaml", NULL);
	put(bed, "a.yaml", SERVICE("a"));
	wait_file(bed, "status/service.x_a.yaml", "- ip: \"10.1.0.1\"");
	wait_file(bed, "status/service.x_c.yaml", "- ip: \"10.1.0.2\"");
	assert_true(services_get(second.services, "x/c", &view));
	assert_int_equal(view.n_ingress, 1); /* and every node sees it */
	put(bed, "pool.yaml",
	    "apiVersion: weft.dev/v1alpha1\nkind: IPPool\nmetadata: {name: p}\n"
	    "spec: {use: LoadBalancer, ranges: [10.1.0.2-10.1.0.9]}\n");
	wait_file(bed, "status/service.x_a.yaml", "reason: \"Conflict\"");
	wait_file(bed, "status/service.x_a.yaml", "- ip: \"10.1.0.1\"");
	finish(&second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(services_get_addresses_and_keep_them)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
