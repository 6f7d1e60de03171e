// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The reader of the last known state, twice:
 *
 * - a good file with any bytes changed, and any end: what is read is what was true after some change;
 * - records of any content under good checksums, as a later version or a mistake could write them: read, or
 *   cut off, but never more than the limits allow.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/kube/lastknown.h"
#include "agent/kube/lastknown_int.h"
#include "weft/log.h"

#define STEPS 6

static char dir[64], path[96];
static uint8_t good[4096];
static size_t good_len, sizes[STEPS + 1];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A disk need not be waited for. */
int fsync(int fd)
{
	return fd < 0 ? -1 : 0;
}

static void require(int ok)
{
	if (!ok)
		abort();
}

static size_t read_back(void)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, good, sizeof(good));

	close(fd);
	require(n > 0);
	return (size_t)n;
}

static void clean_up(void)
{
	static const char *const names[] = {LK_FILE, LK_ASIDE, LK_FILE_NEW, LK_KEY_FILE};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char each[128];

		snprintf(each, sizeof(each), "%s/%s", dir, names[i]);
		unlink(each);
	}
	rmdir(dir);
}

/* After step N there are objects 1 to N, each with its number as text. */
static void begin(void)
{
	struct lastknown *l;

	weft_log_init(WEFT_LOG_ERROR);
	snprintf(dir, sizeof(dir), "%s/weft-fuzz-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	require(mkdtemp(dir) != NULL);
	atexit(clean_up);
	snprintf(path, sizeof(path), "%s/" LK_FILE, dir);
	require(lastknown_open(dir, "a", &l, NULL) == 0);
	sizes[0] = read_back();
	for (int i = 1; i <= STEPS; i++) {
		char text[2] = {(char)('0' + i), '\0'};

		lastknown_put(l, i % 2 ? WEFT_NODE : WEFT_SECRET, text, text, 1);
		sizes[i] = good_len = read_back();
	}
	lastknown_close(l);
}

static void write_file(const uint8_t *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	require(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

static void check(void *ctx, enum weft_kind kind, const char *key, const char *text, size_t len)
{
	unsigned *seen = ctx;

	require(len == 1 && !strcmp(key, text) && text[0] > '0' && text[0] <= '0' + STEPS);
	require(kind == ((text[0] - '0') % 2 ? WEFT_NODE : WEFT_SECRET));
	*seen |= 1u << (text[0] - '1');
}

static void measure(void *ctx, enum weft_kind kind, const char *key, const char *text, size_t len)
{
	require(kind < WEFT_KIND_COUNT && strlen(key) > 0 && strlen(key) < WEFT_KEY_MAX && text[len] == '\0');
	++*(size_t *)ctx;
}

static void changed_bytes(const uint8_t *data, size_t size)
{
	uint8_t copy[sizeof(good)];
	size_t len = size ? (size_t)data[0] * 16 : good_len, first = len < good_len ? len : good_len,
	       steps = 0;
	struct lastknown *l;
	unsigned seen = 0;

	memcpy(copy, good, sizeof(copy));
	for (size_t i = 1; i + 2 < size; i += 3) {
		size_t at = (size_t)(data[i] | data[i + 1] << 8) % good_len;

		copy[at] ^= data[i + 2];
	}
	while (first && memcmp(copy, good, first))
		first--;
	write_file(copy, len < sizeof(copy) ? len : sizeof(copy));
	require(lastknown_open(dir, "a", &l, NULL) == 0);
	lastknown_each(l, check, &seen);
	while (steps < STEPS && sizes[steps + 1] <= first)
		steps++;
	require(seen == (first < sizes[0] ? 0 : (1u << steps) - 1));
	lastknown_close(l);
}

static void any_records(const uint8_t *data, size_t size)
{
	static uint8_t file[1 << 16];
	uint8_t id[LK_ID];
	struct lastknown *l;
	size_t at = LK_HEAD, n = 0;

	memcpy(file, good, LK_HEAD);
	require(lk_head_decode(good, LK_HEAD, "a", id, NULL) == 0);
	while (size > 4 && at + 512 < sizeof(file)) {
		size_t key_len = data[1] < size - 4 ? data[1] : size - 4;
		size_t len = data[2] < size - 4 - key_len ? data[2] : size - 4 - key_len;
		struct lk_record r = {.op = (enum lk_op)(data[0] % 5),
		                      .kind = (enum weft_kind)(data[3] % WEFT_KIND_COUNT),
		                      .key = (const char *)data + 4,
		                      .key_len = key_len,
		                      .text = (const char *)data + 4 + key_len,
		                      .len = len};

		lk_record_encode(id, at, &r, file + at);
		memcpy(file + at + LK_RECORD, data + 4, key_len + len);
		at += LK_RECORD + key_len + len;
		data += 4 + key_len + len;
		size -= 4 + key_len + len;
	}
	write_file(file, at);
	require(lastknown_open(dir, "a", &l, NULL) == 0);
	lastknown_each(l, measure, &n);
	require(n == lastknown_count(l));
	lastknown_put(l, WEFT_NODE, "n1", "{}", 2);
	lastknown_close(l);
	require(lastknown_open(dir, "a", &l, NULL) == 0);
	require(lastknown_count(l) > 0);
	lastknown_close(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!good_len)
		begin();
	if (size && data[0] % 2)
		any_records(data + 1, size - 1);
	else if (size)
		changed_bytes(data + 1, size - 1);
	return 0;
}
