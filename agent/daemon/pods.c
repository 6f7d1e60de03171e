// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/pods.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <uthash.h>

#include "weft/cleanup.h"
#include "weft/log.h"

#include "agent/plan/routes.h"

/* What we last planned for a block: the device of each address, "" = no route. Names are ours, so plain
 * uthash. */
struct seen {
	char name[WEFT_PREFIX_STR];
	bool alive; /* found by the present rescan */
	struct weft_addr first;
	size_t n;
	char (*dev)[IFNAMSIZ];
	UT_hash_handle hh;
};

struct pods {
	struct pods_options o;
	char *dir;
	int fd;
	uv_poll_t poll;
	struct seen *blocks;
};

static void plan_address(struct pods *p, const struct weft_addr *addr, const char *dev)
{
	char owner[WANTED_OWNER_MAX], text[WEFT_ADDR_STR];
	struct weft_err err = WEFT_ERR_INIT;
	struct weft_route route;

	snprintf(owner, sizeof(owner), "pod/%s", weft_addr_str(addr, text));
	if (dev[0])
		routes_pod(addr, dev, &route);
	if (wanted_set(p->o.wanted, owner, &route, dev[0] ? 1 : 0, &err) < 0)
		log_warning("route of pod address %s: %s", text, err.text);
}

static void forget(struct pods *p, struct seen *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct weft_addr addr = weft_addr_add(&s->first, i);
		if (s->dev[i][0])
			plan_address(p, &addr, "");
	}
	HASH_DEL(p->blocks, s);
	free(s->dev);
	free(s);
}

static struct seen *remember(struct pods *p, const char *name, const struct weft_ipam_block *block)
{
	struct seen *s = calloc(1, sizeof(*s));

	if (s)
		s->dev = calloc(block->n + 1, sizeof(*s->dev));
	if (!s || !s->dev)
		abort(); /* a restart adopts everything; half a table does not heal */
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->first = block->cidr.addr;
	s->n = block->n;
	HASH_ADD_STR(p->blocks, name, s);
	return s;
}

static void take_block(struct pods *p, const char *name, const struct weft_ipam_block *block)
{
	struct seen *s;

	HASH_FIND_STR(p->blocks, name, s);
	if (!s)
		s = remember(p, name, block);
	s->alive = true;
	for (size_t i = 0; i < s->n && i < block->n; i++) {
		const struct weft_ipam_entry *e = &block->entries[i];
		const char *dev = e->state == WEFT_IPAM_USED ? e->host_dev : "";

		/* A record that can't be read says nothing: what we knew stays. */
		if (e->state == WEFT_IPAM_CORRUPT || !strcmp(dev, s->dev[i]))
			continue;
		snprintf(s->dev[i], IFNAMSIZ, "%s", dev);
		plan_address(p, &e->addr, dev);
	}
}

static void read_block(struct pods *p, const char *name)
{
	struct weft_ipam_block block = {0};
	struct weft_err err = WEFT_ERR_INIT;
	int r = weft_ipam_read(p->o.ipam, name, &block, &err);
	struct seen *s;

	if (r == 0) {
		take_block(p, name, &block);
		weft_ipam_block_clear(&block);
	} else if (r == -ENOENT) {
		HASH_FIND_STR(p->blocks, name, s);
		if (s)
			forget(p, s);
	} else if (r != -EINVAL) {
		log_warning("pod addresses of block %s: %s", name, err.text);
	}
}

void pods_rescan(struct pods *p)
{
	weft_autoclosedir DIR *d = opendir(p->dir);
	struct weft_prefix cidr;
	struct seen *s, *tmp;

	if (!d) {
		log_warning("can't read %s: %s", p->dir, strerror(errno));
		return;
	}
	HASH_ITER (hh, p->blocks, s, tmp)
		s->alive = false;
	for (struct dirent *e; (e = readdir(d));)
		if (weft_ipam_block_cidr(e->d_name, &cidr) == 0)
			read_block(p, e->d_name);
	HASH_ITER (hh, p->blocks, s, tmp)
		if (!s->alive)
			read_block(p, s->name); /* its file is gone: forgets it */
}

bool pods_know(const struct pods *p, const struct weft_prefix *cidr)
{
	char name[WEFT_PREFIX_STR];
	const struct seen *s;

	HASH_FIND_STR(p->blocks, weft_block_name(cidr, name), s);
	return s != NULL;
}

static void on_inotify(uv_poll_t *poll, int status, int events)
{
	struct pods *p = poll->data;
	char buf[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	char last[NAME_MAX + 1] = "";
	struct weft_prefix cidr;
	ssize_t n;

	(void)events;
	if (status < 0)
		return;
	while ((n = read(p->fd, buf, sizeof(buf))) > 0) {
		const struct inotify_event *e;
		for (char *at = buf; at < buf + n; at += sizeof(*e) + e->len) {
			e = (const struct inotify_event *)at;
			if (e->mask & IN_Q_OVERFLOW)
				pods_rescan(p);
			/* Runs of events for one block need one read, after the last of them. */
			if (!e->len || weft_ipam_block_cidr(e->name, &cidr) < 0 || !strcmp(last, e->name))
				continue;
			if (last[0])
				read_block(p, last);
			snprintf(last, sizeof(last), "%s", e->name);
		}
	}
	if (last[0])
		read_block(p, last);
	p->o.on_change(p->o.ctx);
}

int pods_new(const struct pods_options *o, struct pods **out, struct weft_err *err)
{
	struct pods *p = calloc(1, sizeof(*p));

	if (p)
		p->dir = strdup(o->dir);
	if (!p || !p->dir) {
		free(p);
		return weft_err_errno(err, ENOMEM, "pods");
	}
	p->o = *o;
	p->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (p->fd < 0 ||
	    inotify_add_watch(p->fd, p->dir, IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_TO) < 0) {
		int r = weft_err_errno(err, errno,
		                       "can't watch %s (see fs.inotify.max_user_instances and _watches)",
		                       p->dir);
		if (p->fd >= 0)
			close(p->fd);
		free(p->dir);
		free(p);
		return r;
	}
	uv_poll_init(o->loop, &p->poll, p->fd);
	p->poll.data = p;
	uv_poll_start(&p->poll, UV_READABLE, on_inotify);
	pods_rescan(p);
	*out = p;
	return 0;
}

static void on_closed(uv_handle_t *h)
{
	struct pods *p = h->data;
	struct seen *s, *tmp;

	close(p->fd);
	HASH_ITER (hh, p->blocks, s, tmp) {
		HASH_DEL(p->blocks, s);
		free(s->dev);
		free(s);
	}
	free(p->dir);
	free(p);
}

void pods_free(struct pods *p)
{
	if (p)
		uv_close((uv_handle_t *)&p->poll, on_closed);
}
