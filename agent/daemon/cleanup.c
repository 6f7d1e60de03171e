// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/cleanup.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "weft/cleanup.h"
#include "weft/log.h"
#include "weft/marks.h"

#include "agent/apply/fib.h"
#include "agent/apply/foreign.h"
#include "agent/apply/ipvs.h"
#include "agent/apply/link.h"
#include "agent/apply/nft.h"
#include "agent/apply/sysctl.h"
#include "agent/apply/tunnel.h"
#include "agent/bird/ctl.h"
#include "agent/daemon/datastore.h"
#include "agent/daemon/lock.h"
#include "agent/kernel/link_msg.h"
#include "agent/kernel/netlink.h"

struct job {
	const struct weft_config *cfg;
	struct netlink *nl;
	struct weft_err first;
};

static void check(struct job *j, const char *what, int r, const struct weft_err *err)
{
	if (r >= 0)
		return;
	log_error("cleanup: %s: %s", what, err->text);
	if (!j->first.code)
		j->first = *err;
}

static void remove_file(struct job *j, const char *dir, const char *name)
{
	char path[WEFT_PATH_MAX + 300];
	struct weft_err err = WEFT_ERR_INIT;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (unlink(path) == 0)
		printf("removed %s\n", path);
	else if (errno != ENOENT)
		check(j, path, weft_err_errno(&err, errno, "can't remove"), &err);
}

/* All files in a folder of ours, then the folder. Folders inside are not ours: then it stays. */
static void remove_folder(struct job *j, const char *dir, const char *name)
{
	char path[WEFT_PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s%s%s", dir, name[0] ? "/" : "", name);
	weft_autoclosedir DIR *d = opendir(path);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_type == DT_REG || e->d_type == DT_LNK || e->d_type == DT_SOCK)
			remove_file(j, path, e->d_name);
	rmdir(path);
}

/* veth ends named by weft-cni: its own name format, so that nobody else's device can match. */
static bool is_pod_device(const struct link_info *link)
{
	size_t prefix = strlen(WEFT_DEV_PREFIX);

	return !strcmp(link->kind, "veth") && !strncmp(link->name, WEFT_DEV_PREFIX, prefix) &&
	       strlen(link->name) == prefix + 11 && strspn(link->name + prefix, "0123456789abcdef") == 11;
}

static int take_pod_device(void *ctx, const struct nlmsghdr *nlh)
{
	struct netlink_batch *b = ctx;
	struct link_info link;

	if (link_msg_parse(nlh, &link) < 0 || !is_pod_device(&link))
		return 0;
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	if (!msg || link_msg_del(msg, link.index) < 0)
		return -ENOMEM;
	return netlink_batch_add(b, msg) == -ENOSPC ? -ENOSPC : 0;
}

static void restart(void *ctx)
{
	netlink_batch_reset(ctx);
}

/* A batch at a time, until a dump finds none: the devices vanish while we read. */
static int remove_pod_devices(struct job *j, size_t *removed, struct weft_err *err)
{
	struct netlink_batch *b = netlink_batch_new();
	struct netlink_sink sink = {.restart = restart, .msg = take_pod_device, .ctx = b};
	int r = b ? 0 : weft_err_errno(err, ENOMEM, "pod devices");

	while (r == 0) {
		weft_auto(netlink_msg_cleanup) struct nl_msg *req = netlink_msg_new();
		netlink_batch_reset(b);
		r = req ? link_msg_dump(req) : -ENOMEM;
		if (r == 0)
			r = netlink_dump(j->nl, req, &sink, err);
		if (r < 0 && r != -ENOSPC)
			break;
		if (netlink_batch_count(b) == 0)
			break;
		r = netlink_send(j->nl, b, err);
		*removed += netlink_batch_count(b);
	}
	netlink_batch_free(b);
	return r;
}

/* What a BIRD that was killed, or that persists its routes, has left. One that runs owns its routes. */
static void clean_bird_routes(struct job *j)
{
	struct weft_err err = WEFT_ERR_INIT;
	size_t n = 0;

	if (!bird_ctl_deserted(j->cfg->bird.socket)) {
		printf("BIRD runs: its routes stay until it is stopped\n");
		return;
	}
	check(j, "BIRD's routes",
	      foreign_routes_flush(j->nl, RTPROT_BIRD, RT_TABLE_MAIN, WEFT_METRIC_BIRD, &n, &err), &err);
	printf("removed %zu routes of a BIRD that is gone\n", n);
}

static void clean_ipvs(struct job *j)
{
	struct weft_err err = WEFT_ERR_INIT;
	size_t n = 0;

	check(j, "IPVS", cleanup_ipvs(j->cfg, j->nl, &n, &err), &err);
	printf("removed %zu IPVS services\n", n);
}

static void restore_timeouts(struct job *j)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct ipvs *ipvs = ipvs_new(NULL, NULL, &err);
	char record[WEFT_PATH_MAX + 32];
	int r;

	snprintf(record, sizeof(record), "%s/" IPVS_TIMEOUTS, j->cfg->state_dir);
	r = ipvs ? ipvs_restore_timeouts(ipvs, record, &err) : weft_err_errno(&err, ENOMEM, "IPVS");
	check(j, "timeouts of IPVS", r, &err);
	if (r > 0)
		printf("restored the timeouts of IPVS\n");
	ipvs_free(ipvs);
}

static void clean_kernel(struct job *j)
{
	struct weft_err err = WEFT_ERR_INIT;
	struct links *links = links_new();
	char record[WEFT_PATH_MAX + 16];
	size_t n = 0;

	clean_ipvs(j); /* before the routes: they tell which VIPs are ours */
	restore_timeouts(j);
	check(j, "routes", fib_cleanup(j->nl, &n, &err), &err);
	printf("removed %zu routes\n", n);
	clean_bird_routes(j);
	n = 0;
	check(j, "pod devices", remove_pod_devices(j, &n, &err), &err);
	printf("removed %zu pod devices\n", n);
	if (links && links_resync(links, j->nl, &err) == 0)
		check(j, "tunnels", tunnel_cleanup(j->nl, links, &err), &err);
	else
		check(j, "tunnels", -EIO, &err);
	links_free(links);
	printf("removed the tunnel devices\n");
	check(j, "nftables", nft_cleanup(&err), &err);
	printf("removed the nftables table inet weft\n");
	snprintf(record, sizeof(record), "%s/sysctl.json", j->cfg->state_dir);
	check(j, "kernel settings", sysctl_cleanup(record, j->cfg->proc_sys, &err), &err);
	printf("restored the kernel settings\n");
}

/* First of all: what schedules pods must look elsewhere. Without an answer the rest is done all the same. */
static void tell_datastore(struct job *j)
{
	struct weft_err err = WEFT_ERR_INIT;
	int r;

	if (j->cfg->datastore.kind != WEFT_DATASTORE_KUBERNETES)
		return;
	r = datastore_leave(j->cfg, &err);
	check(j, "the Node's condition", r, &err);
	if (r == 0)
		printf("told the API server that this node has no network any more\n");
}

int cleanup_run(const struct weft_config *cfg, struct weft_err *err)
{
	struct job j = {.cfg = cfg};
	weft_autoclose int lock = weftd_lock(cfg->state_dir, err);

	if (lock < 0)
		return lock;
	tell_datastore(&j);
	remove_file(&j, cfg->cni.conf_dir, WEFT_CONFLIST);
	j.nl = netlink_open(err);
	if (!j.nl)
		return err->code;
	clean_kernel(&j);
	netlink_close(j.nl);
	remove_file(&j, cfg->bird.config_dir, "bird.conf");
	remove_file(&j, cfg->bird.config_dir, "bird.conf.new");
	remove_folder(&j, cfg->bird.config_dir, "secrets");
	remove_folder(&j, cfg->state_dir, "ipam");
	remove_file(&j, cfg->run_dir, "weftd.sock");
	remove_file(&j, cfg->state_dir, "nft.listing");
	remove_file(&j, cfg->state_dir, "cluster.log");
	remove_file(&j, cfg->state_dir, "cluster.log.aside");
	remove_file(&j, cfg->state_dir, "cluster.log.new");
	remove_file(&j, cfg->state_dir, "cluster.key");
	remove_file(&j, cfg->state_dir, WEFTD_LOCK);
	if (j.first.code)
		*err = j.first;
	return j.first.code;
}
