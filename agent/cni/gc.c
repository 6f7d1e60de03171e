// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * GC: remove what belongs to no attachment of the runtime's list.
 *
 * First devices, then addresses. A device is stale when its name is none that the list gives, and its alias
 * names this network; or it has no alias yet (its ADD was killed) and our address state knows it. Devices of
 * another network stay, and so do their addresses, should two networks share a state folder.
 */
#include "agent/cni/ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cni/attach.h"
#include "agent/cni/request.h"
#include "agent/cni/store.h"
#include "weft/cleanup.h"

struct device {
	char name[IFNAMSIZ];
	char alias[LINKCONF_ALIAS_MAX];
	char *id, *ifname; /* inside alias, split there; NULL without a usable alias */
};

struct collector {
	const struct cni_conf *conf;
	struct cni_attachment *valid; /* sorted by host_dev */
	size_t n_valid;
	struct device *devices; /* of pods, all networks */
	size_t n_devices, cap;
	struct weft_ipam_owner *owners; /* valid ones, and those of other networks' devices */
	size_t n_owners;
};

static int by_host_dev(const void *a, const void *b)
{
	const struct cni_attachment *x = a, *y = b;

	return strcmp(x->host_dev, y->host_dev);
}

static int read_valid(struct collector *c, struct weft_err *err)
{
	size_t n = json_array_size(c->conf->valid), i;
	json_t *item;

	c->valid = calloc(n + 1, sizeof(*c->valid));
	if (!c->valid)
		return cni_fail(err, CNI_E_IO, "out of memory for %zu attachments", n);
	json_array_foreach(c->conf->valid, i, item)
	{
		const char *id = json_string_value(json_object_get(item, "containerID"));
		const char *ifname = json_string_value(json_object_get(item, "ifname"));

		cni_attachment_init(&c->valid[c->n_valid++], c->conf->network, id, ifname);
	}
	qsort(c->valid, c->n_valid, sizeof(*c->valid), by_host_dev);
	return 0;
}

static bool is_valid(const struct collector *c, const char *host_dev)
{
	struct cni_attachment key = {0};

	strcpy(key.host_dev, host_dev);
	return bsearch(&key, c->valid, c->n_valid, sizeof(key), by_host_dev) != NULL;
}

static void dump_restart(void *ctx)
{
	((struct collector *)ctx)->n_devices = 0;
}

static int dump_link(void *ctx, const struct nlmsghdr *nlh)
{
	struct collector *c = ctx;
	struct link_info link;
	struct linkconf_info conf;
	struct device *d;

	if (link_msg_parse(nlh, &link) || linkconf_msg_parse(nlh, &conf) || !cni_is_pod_dev(link.name) ||
	    strcmp(link.kind, "veth") != 0)
		return 0;
	if (c->n_devices == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 64;
		struct device *more = realloc(c->devices, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		c->devices = more;
		c->cap = cap;
	}
	d = &c->devices[c->n_devices++];
	*d = (struct device){0};
	strcpy(d->name, link.name);
	strcpy(d->alias, conf.alias);
	return 0;
}

static int read_devices(struct collector *c, struct netlink *nl, struct weft_err *err)
{
	struct netlink_sink sink = {.restart = dump_restart, .msg = dump_link, .ctx = c};
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();

	if (!msg || link_msg_dump(msg))
		return cni_fail(err, CNI_E_IO, "out of memory for a list of devices");
	return netlink_dump(nl, msg, &sink, err) ? CNI_E_NETWORK : 0;
}

/* "weft:NETWORK/ID/IFNAME": split in place. Returns the network, NULL when it isn't like that. */
static const char *split_alias(struct device *d)
{
	char *id, *ifname;

	if (strncmp(d->alias, "weft:", 5) != 0 || !(id = strchr(d->alias, '/')) ||
	    !(ifname = strchr(id + 1, '/')))
		return NULL;
	*id = *ifname = '\0';
	d->id = id + 1;
	d->ifname = ifname + 1;
	return d->alias + 5;
}

/* Does the address state know this device? */
static bool is_recorded(const struct weft_ipam_block *blocks, size_t n, const char *host_dev)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < blocks[i].n; j++)
			if (blocks[i].entries[j].state == WEFT_IPAM_USED &&
			    strcmp(blocks[i].entries[j].host_dev, host_dev) == 0)
				return true;
	return false;
}

static int remove_stale(const struct device *d, struct netlink *nl, struct weft_err *err)
{
	struct cni_attachment a = {.container_id = d->id ? d->id : "", .pod_dev = d->ifname ? d->ifname : ""};

	strcpy(a.host_dev, d->name);
	return cni_attach_remove(nl, &a, err);
}

/* Goes on after a failure, as the specification wants it; the first one is told. */
static int collect(struct collector *c, struct netlink *nl, struct weft_ipam *ipam, struct weft_err *err)
{
	struct weft_ipam_block *blocks = NULL;
	size_t n = 0;
	int first = weft_ipam_list(ipam, &blocks, &n, err) < 0 ? CNI_E_IPAM : 0;

	c->owners = calloc(c->n_valid + c->n_devices + 1, sizeof(*c->owners));
	if (!c->owners) {
		weft_ipam_blocks_free(blocks, n);
		return cni_fail(err, CNI_E_IO, "out of memory for the owners");
	}
	for (size_t i = 0; i < c->n_valid; i++)
		c->owners[c->n_owners++] = cni_store_owner(&c->valid[i]);
	for (size_t i = 0; i < c->n_devices; i++) {
		struct device *d = &c->devices[i];
		bool recorded = !d->alias[0] && is_recorded(blocks, n, d->name);
		const char *network = split_alias(d);
		int r = 0;

		if (is_valid(c, d->name))
			continue;
		if (recorded || (network && strcmp(network, c->conf->network) == 0))
			r = remove_stale(d, nl, first ? NULL : err);
		/* An address whose device is still there is not free. */
		if (d->id && (r || strcmp(network, c->conf->network) != 0))
			c->owners[c->n_owners++] =
			        (struct weft_ipam_owner){.container_id = d->id, .ifname = d->ifname};
		first = first ? first : r;
	}
	weft_ipam_blocks_free(blocks, n);
	if (weft_ipam_gc(ipam, c->owners, c->n_owners, NULL, NULL, first ? NULL : err) < 0 && !first)
		first = CNI_E_IPAM;
	return first;
}

int cni_gc(const struct cni_conf *conf, struct weft_err *err)
{
	struct collector c = {.conf = conf};
	struct weft_ipam *ipam = NULL;
	struct netlink *nl = netlink_open(err);
	int r = nl ? cni_store_open(conf, &ipam, err) : CNI_E_NETWORK;

	if (!r)
		r = read_valid(&c, err);
	if (!r)
		r = read_devices(&c, nl, err);
	if (!r)
		r = collect(&c, nl, ipam, err);
	free(c.owners);
	free(c.devices);
	free(c.valid);
	if (ipam)
		weft_ipam_close(ipam);
	netlink_close(nl);
	return r;
}
