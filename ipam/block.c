// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading and writing block files; the argument why they survive crashes is in block.h.
 */
#include "ipam/block.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ipam/pool.h"
#include "ipam/record.h"
#include "weft/cleanup.h"
#include "weft/file.h"
#include "weft/object.h"

int weft_ipam_block_cidr(const char *name, struct weft_prefix *out)
{
	char text[WEFT_PREFIX_STR], back[WEFT_PREFIX_STR];
	struct weft_prefix cidr;
	size_t len = strnlen(name, sizeof(text));
	char *last;

	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, name, len + 1);
	last = strrchr(text, '-');
	if (!last)
		return -EINVAL;
	for (char *p = text; *p; p++)
		*p = *p == '-' ? ':' : *p;
	*last = '/';
	if (weft_prefix_parse(text, &cidr, NULL) < 0 || strcmp(weft_block_name(&cidr, back), name))
		return -EINVAL;
	*out = cidr;
	return 0;
}

int weft_block_size(const struct weft_prefix *cidr, struct weft_err *err)
{
	char text[WEFT_PREFIX_STR];
	unsigned bits = weft_addr_bits(cidr->addr.family);

	if (bits == 0 || cidr->len > bits || bits - cidr->len > 12)
		return weft_err_set(err, EINVAL, "block %s has more than %d addresses",
		                    weft_prefix_str(cidr, text), WEFT_BLOCK_RECORDS);
	return 1 << (bits - cidr->len);
}

static off_t record_at(size_t index)
{
	return (off_t)(WEFT_IPAM_HEADER + index * WEFT_IPAM_RECORD);
}

/* Read up to size bytes; what the file does not have stays zero, which no checksum matches. */
static int read_all(int fd, char *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, data + done, size - done, (off_t)done);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0;
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}

static int decode_file(const char *data, struct weft_ipam_block *b, struct weft_err *err)
{
	char pool[WEFT_IPAM_POOL_STR];

	weft_ipam_header_decode(data, &b->cidr, pool, &b->retired);
	b->pool = strdup(pool);
	b->entries = calloc(b->n, sizeof(*b->entries));
	if (!b->pool || !b->entries)
		return weft_err_errno(err, ENOMEM, "can't load a block of %zu addresses", b->n);
	for (size_t i = 0; i < b->n; i++) {
		struct weft_addr addr = weft_addr_add(&b->cidr.addr, i);

		weft_ipam_record_decode(data + record_at(i), &addr, &b->entries[i]);
	}
	return 0;
}

static int open_block(const char *path, bool writable, struct weft_err *err)
{
	struct stat st;
	int flags = (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	weft_autoclose int fd = open(path, flags);

	if (fd < 0)
		return weft_err_errno(err, errno, "can't open the block file %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return weft_err_set(err, EINVAL, "%s is not a regular file; remove it", path);
	return WEFT_TAKE_FD(fd);
}

int weft_block_load(const char *dir, const char *name, bool writable, struct weft_block_file *out,
                    struct weft_err *err)
{
	weft_auto(weft_block_unload) struct weft_block_file f = {.fd = -1};
	weft_autofree char *data = NULL;
	char path[PATH_MAX];
	int r;

	r = weft_ipam_block_cidr(name, &f.block.cidr);
	if (r < 0)
		return weft_err_set(err, EINVAL, "\"%.60s\" is not the name of a block", name);
	r = weft_block_size(&f.block.cidr, err);
	if (r < 0)
		return r;
	f.block.n = (size_t)r;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f.fd = open_block(path, writable, err);
	if (f.fd < 0)
		return f.fd;
	data = calloc(1, (size_t)record_at(f.block.n));
	r = data ? read_all(f.fd, data, (size_t)record_at(f.block.n)) : -ENOMEM;
	if (r < 0)
		return weft_err_errno(err, r, "can't read the block file %s", path);
	r = decode_file(data, &f.block, err);
	if (r < 0)
		return r;
	if (!writable) {
		close(f.fd);
		f.fd = -1;
	}
	*out = f;
	f = (struct weft_block_file){.fd = -1};
	return 0;
}

void weft_ipam_block_clear(struct weft_ipam_block *block)
{
	free(block->pool);
	free(block->entries);
	*block = (struct weft_ipam_block){0};
}

void weft_block_unload(struct weft_block_file *f)
{
	weft_ipam_block_clear(&f->block);
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

static int write_line(const struct weft_block_file *f, const void *line, size_t size, off_t at,
                      struct weft_err *err)
{
	char text[WEFT_PREFIX_STR];
	ssize_t n;

	do
		n = pwrite(f->fd, line, size, at);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)size)
		return 0;
	return weft_err_errno(err, n < 0 ? errno : EIO, "can't write to the file of block %s",
	                      weft_prefix_str(&f->block.cidr, text));
}

static bool is_node(const struct weft_ipam_entry *e)
{
	return e->state == WEFT_IPAM_USED && !strcmp(e->container_id, WEFT_IPAM_NODE_ID);
}

int weft_block_write(struct weft_block_file *f, const struct weft_ipam_entry *e, struct weft_err *err)
{
	alignas(WEFT_IPAM_RECORD) char line[WEFT_IPAM_RECORD];
	struct weft_ipam_entry *old = weft_block_entry(&f->block, &e->addr);
	size_t index = (size_t)(old - f->block.entries);
	int r;

	weft_ipam_record_encode(e, line);
	r = write_line(f, line, sizeof(line), record_at(index), err);
	if (r == 0 && (is_node(old) || is_node(e)) && fdatasync(f->fd) < 0)
		r = weft_err_errno(err, errno, "can't sync the record of the node's own address");
	if (r < 0) {
		if (old->state != WEFT_IPAM_CORRUPT) {
			weft_ipam_record_encode(old, line);
			write_line(f, line, sizeof(line), record_at(index), NULL);
		}
		return r;
	}
	*old = *e;
	return 0;
}

int weft_block_write_header(struct weft_block_file *f, const char *pool, bool retired, struct weft_err *err)
{
	alignas(WEFT_IPAM_HEADER) char line[WEFT_IPAM_HEADER];

	weft_ipam_header_encode(&f->block.cidr, pool, retired, line);
	return write_line(f, line, sizeof(line), 0, err);
}

/* RFC 4291 2.6.1: the lowest address of a subnet is its routers' anycast; RFC 6164 lifts that for a /127. */
enum weft_ipam_state weft_block_free_state(const struct weft_prefix *cidr, const struct weft_addr *addr)
{
	bool first = !weft_addr_cmp(&cidr->addr, addr);
	bool anycast = first && addr->family == AF_INET6 && cidr->len < 127;

	return anycast ? WEFT_IPAM_RESERVED : WEFT_IPAM_FREE;
}

int weft_block_create(const char *dir, const struct weft_prefix *cidr, const char *pool, struct weft_err *err)
{
	char path[PATH_MAX], name[WEFT_PREFIX_STR];
	weft_autofree char *data = NULL;
	int n = weft_block_size(cidr, err);

	if (n < 0)
		return n;
	data = malloc((size_t)record_at((size_t)n));
	if (!data)
		return weft_err_errno(err, ENOMEM, "can't make a block of %d addresses", n);
	weft_ipam_header_encode(cidr, pool, false, data);
	for (size_t i = 0; i < (size_t)n; i++) {
		struct weft_ipam_entry e = {.addr = weft_addr_add(&cidr->addr, i)};

		e.state = weft_block_free_state(cidr, &e.addr);
		weft_ipam_record_encode(&e, data + record_at(i));
	}
	snprintf(path, sizeof(path), "%s/%s", dir, weft_block_name(cidr, name));
	return weft_file_create(path, data, (size_t)record_at((size_t)n), 0600, err);
}

struct weft_ipam_entry *weft_block_entry(const struct weft_ipam_block *block, const struct weft_addr *addr)
{
	if (!weft_prefix_contains(&block->cidr, addr))
		return NULL;
	return &block->entries[weft_addr_diff(&block->cidr.addr, addr)];
}

bool weft_entry_cooling(const struct weft_ipam_entry *e, uint64_t now_ms, uint64_t cooldown_ms)
{
	if (e->state != WEFT_IPAM_FREE || e->seq == 0 || cooldown_ms == 0)
		return false;
	return e->released_ms > now_ms || now_ms - e->released_ms < cooldown_ms;
}

void weft_block_count(struct weft_ipam_block *block, uint64_t now_ms, uint64_t cooldown_ms)
{
	struct weft_ipam_counts c = {0};

	for (size_t i = 0; i < block->n; i++) {
		const struct weft_ipam_entry *e = &block->entries[i];

		c.used += e->state == WEFT_IPAM_USED;
		c.node += is_node(e);
		c.reserved += e->state == WEFT_IPAM_RESERVED;
		c.corrupt += e->state == WEFT_IPAM_CORRUPT;
		if (weft_entry_cooling(e, now_ms, cooldown_ms))
			c.cooling++;
		else
			c.free += e->state == WEFT_IPAM_FREE && block->pool[0] && !block->retired;
	}
	block->counts = c;
}
