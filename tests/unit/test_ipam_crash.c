// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Allocation under damage and concurrency: every byte of a record, of a header, short files; many processes
 * at once, also while they are killed. The kill at every system call is tests/extra/ipam-kill.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "ipam/host.h"
#include "ipam/record.h"
#include "tests/unit/tmpdir.h"
#include "weft/cleanup.h"

struct fixture {
	char dir[TMPDIR_SIZE];
	struct weft_ipam *ipam;
	struct weft_err err;
	struct weft_ipam_result got;
};

static int setup(void **state)
{
	static const struct weft_ipam_options opt = {.cooldown_ms = 0};
	struct fixture *f = calloc(1, sizeof(*f));

	tmpdir_make(f->dir);
	assert_int_equal(weft_ipam_open(f->dir, &opt, &f->ipam, &f->err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	tmpdir_remove(f->dir);
	weft_ipam_close(f->ipam);
	free(f);
	return 0;
}

static void add(struct fixture *f, const char *cidr, const char *pool)
{
	struct weft_prefix p;

	assert_int_equal(weft_prefix_parse(cidr, &p, NULL), 0);
	if (weft_ipam_add_block(f->ipam, &p, pool, &f->err) < 0)
		fail_msg("%s", f->err.text);
}

static int alloc(struct fixture *f, const char *id, unsigned families)
{
	struct weft_ipam_request req = {.families = families, .owner = {id, "eth0", NULL}};

	return weft_ipam_alloc(f->ipam, &req, &f->got, &f->err);
}

static struct weft_ipam_counts counts(struct fixture *f, const char *name)
{
	struct weft_ipam_block b;

	assert_int_equal(weft_ipam_read(f->ipam, name, &b, &f->err), 0);
	struct weft_ipam_counts c = b.counts;
	weft_ipam_block_clear(&b);
	return c;
}

static int open_file(struct fixture *f, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	return fd;
}

static void flip(int fd, off_t at)
{
	char c;

	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
}

static void the_file_is_text_in_fixed_columns(void **state)
{
	struct fixture *f = *state;
	struct weft_ipam_request req = {.families = 1, .owner = {"a", "eth0", "weft0123456789a"}};
	char data[WEFT_IPAM_HEADER + 2 * WEFT_IPAM_RECORD + 1];

	add(f, "10.244.1.0/31", "default");
	assert_int_equal(weft_ipam_alloc(f->ipam, &req, &f->got, &f->err), 0);
	weft_autoclose int fd = open_file(f, "10.244.1.0-31");
	assert_int_equal(read(fd, data, sizeof(data)), sizeof(data) - 1);
	data[sizeof(data) - 1] = '\0';
	assert_memory_equal(data, "weft-ipam 1 10.244.1.0/31 ", 26);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(data[WEFT_IPAM_HEADER + (i + 1) * WEFT_IPAM_RECORD - 1], '\n');
	char addr[40], st[9], seq[13], when[15], host[16], ifname[16], id[73], sum[17];
	assert_int_equal(sscanf(data + WEFT_IPAM_HEADER, "%39s %8s %12s %14s %15s %15s %72s %16s\n", addr, st,
	                        seq, when, host, ifname, id, sum),
	                 8);
	assert_string_equal(addr, "10.244.1.0");
	assert_string_equal(st, "used");
	assert_string_equal(host, "weft0123456789a");
	assert_string_equal(id, "a");
}

static void every_damaged_byte_of_a_record_is_noticed(void **state)
{
	struct fixture *f = *state;

	add(f, "10.244.1.0/31", "default");
	assert_int_equal(alloc(f, "a", 1), 0);
	weft_autoclose int fd = open_file(f, "10.244.1.0-31");
	for (int record = 0; record < 2; record++) {
		for (int i = 0; i < WEFT_IPAM_RECORD; i++) {
			off_t at = WEFT_IPAM_HEADER + record * WEFT_IPAM_RECORD + i;

			flip(fd, at);
			if (counts(f, "10.244.1.0-31").corrupt != 1)
				fail_msg("byte %d of record %d", i, record);
			if (alloc(f, "b", 1) == 0 && record == 1)
				fail_msg("byte %d: a damaged record was handed out", i);
			weft_ipam_release(f->ipam, &(struct weft_ipam_owner){"b", "eth0", NULL}, NULL);
			flip(fd, at);
			assert_int_equal(counts(f, "10.244.1.0-31").corrupt, 0);
		}
	}
}

/* A record with a right checksum and wrong content: another address, or names that could not have been
 * stored. */
static void a_sealed_record_is_still_validated(void **state)
{
	struct fixture *f = *state;
	struct weft_ipam_entry e = {.state = WEFT_IPAM_USED, .container_id = "a", .ifname = "eth0"};
	char line[WEFT_IPAM_RECORD];
	struct weft_ipam_entry bad[4] = {e, e, e, e};

	add(f, "10.244.1.0/32", "default");
	assert_int_equal(weft_addr_parse("10.244.1.0", &e.addr, NULL), 0);
	for (int i = 0; i < 4; i++)
		bad[i].addr = e.addr;
	bad[0].addr.bytes[3]++;
	strcpy(bad[1].ifname, "a/b");
	strcpy(bad[2].container_id, "-x");
	strcpy(bad[3].host_dev, "a:b");
	weft_autoclose int fd = open_file(f, "10.244.1.0-32");
	for (int i = 0; i < 4; i++) {
		weft_ipam_record_encode(&bad[i], line);
		assert_int_equal(pwrite(fd, line, sizeof(line), WEFT_IPAM_HEADER), sizeof(line));
		assert_int_equal(counts(f, "10.244.1.0-32").corrupt, 1);
	}
	weft_ipam_record_encode(&e, line);
	assert_int_equal(pwrite(fd, line, sizeof(line), WEFT_IPAM_HEADER), sizeof(line));
	assert_int_equal(counts(f, "10.244.1.0-32").used, 1);
}

static bool only_first_in_use(void *ctx, const struct weft_addr *addr)
{
	(void)ctx;
	return addr->bytes[weft_addr_size(addr->family) - 1] == 0;
}

static void gc_repairs_damaged_records_that_nobody_can_own(void **state)
{
	struct fixture *f = *state;
	const struct weft_ipam_owner valid[] = {{"a", "eth0", NULL}, {"b", "eth0", NULL}};
	struct weft_prefix block;

	add(f, "10.244.1.0/30", "default");
	add(f, "fd00::40/122", "six");
	assert_int_equal(alloc(f, "a", 1), 0);
	assert_int_equal(alloc(f, "b", 1), 0);
	weft_autoclose int fd = open_file(f, "10.244.1.0-30");
	weft_autoclose int fd6 = open_file(f, "fd00--40-122");
	flip(fd, WEFT_IPAM_HEADER + 5);                          /* a's */
	flip(fd, WEFT_IPAM_HEADER + 3 * WEFT_IPAM_RECORD + 100); /* nobody's */
	/* a has no readable address: either may be its. */
	assert_int_equal(weft_ipam_gc(f->ipam, valid, 2, NULL, NULL, &f->err), 0);
	assert_int_equal(counts(f, "10.244.1.0-30").corrupt, 2);
	assert_int_equal(weft_prefix_parse("10.244.1.0/30", &block, NULL), 0);
	assert_int_equal(weft_ipam_remove_block(f->ipam, &block, &f->err), -EBUSY);
	assert_int_equal(weft_ipam_gc(f->ipam, valid, 2, only_first_in_use, NULL, &f->err), 1);
	assert_int_equal(counts(f, "10.244.1.0-30").corrupt, 1);
	/* Only b is left, and b has its address. */
	assert_int_equal(weft_ipam_gc(f->ipam, &valid[1], 1, NULL, NULL, &f->err), 1);
	assert_int_equal(counts(f, "10.244.1.0-30").corrupt, 0);
	assert_int_equal(counts(f, "10.244.1.0-30").used, 1);
	/* The anycast address comes back as reserved, not as free. */
	flip(fd6, WEFT_IPAM_HEADER);
	assert_int_equal(counts(f, "fd00--40-122").reserved, 0);
	assert_int_equal(
	        weft_ipam_release_address(f->ipam, &(struct weft_addr){AF_INET6, {0xfd, [15] = 0x40}}, NULL),
	        1);
	assert_int_equal(counts(f, "fd00--40-122").reserved, 1);
}

static void a_damaged_header_stops_allocation_only(void **state)
{
	struct fixture *f = *state;
	struct weft_ipam_block b;

	add(f, "10.244.1.0/31", "default");
	assert_int_equal(alloc(f, "a", 1), 0);
	weft_autoclose int fd = open_file(f, "10.244.1.0-31");
	for (int i = 0; i < WEFT_IPAM_HEADER; i++) {
		flip(fd, i);
		assert_int_equal(weft_ipam_read(f->ipam, "10.244.1.0-31", &b, &f->err), 0);
		assert_string_equal(b.pool, "");
		weft_ipam_block_clear(&b);
		if (i % 64 == 0) {
			assert_int_equal(alloc(f, "a", 1), 0); /* what it has */
			assert_int_equal(alloc(f, "b", 1), -ENOSPC);
		}
		flip(fd, i);
	}
	flip(fd, 3);
	add(f, "10.244.1.0/31", "default");
	assert_int_equal(alloc(f, "b", 1), 0);
	assert_int_equal(counts(f, "10.244.1.0-31").used, 2);
}

static void a_short_file_has_damaged_records(void **state)
{
	struct fixture *f = *state;

	add(f, "10.244.1.0/30", "default");
	assert_int_equal(alloc(f, "a", 1), 0);
	weft_autoclose int fd = open_file(f, "10.244.1.0-30");
	assert_int_equal(ftruncate(fd, WEFT_IPAM_HEADER + 2 * WEFT_IPAM_RECORD + 17), 0);
	assert_int_equal(counts(f, "10.244.1.0-30").corrupt, 2);
	assert_int_equal(alloc(f, "b", 1), 0);
	assert_int_equal(alloc(f, "c", 1), -ENOSPC);
	assert_non_null(strstr(f->err.text, "2 with damaged records"));
	assert_int_equal(weft_ipam_gc(f->ipam, NULL, 0, NULL, NULL, &f->err), 4);
	assert_int_equal(counts(f, "10.244.1.0-30").free, 4);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(counts(f, "10.244.1.0-30").corrupt, 4);
	assert_int_equal(alloc(f, "c", 1), -ENOSPC);
}

/*
 * Many processes. claim[] says, outside of the allocator, which process believes to hold which address: taken
 * after alloc, given up before release. Two claims of one address are a double allocation.
 */
#define PROCESSES 16
#define ADDRESSES 32 /* 12 IPv4, then 15 IPv6 of a /124 */

struct shared {
	atomic_int claim[2][ADDRESSES];
	atomic_int duplicates, errors, allocs, full;
};

static atomic_int *claim_of(struct shared *s, const struct weft_addr *a)
{
	int family = a->family == AF_INET6;

	return &s->claim[family][a->bytes[weft_addr_size(a->family) - 1] % ADDRESSES];
}

static void one_round(struct fixture *f, struct shared *s, int slot, unsigned families)
{
	char id[16];
	int r;

	snprintf(id, sizeof(id), "c%d", slot);
	r = alloc(f, id, families);
	if (r == -ENOSPC) {
		s->full++;
		return;
	}
	if (r < 0) {
		s->errors++;
		return;
	}
	s->allocs++;
	for (int family = 0; family < 2; family++) {
		int nobody = 0;

		if (weft_addr_is_set(&f->got.addr[family]) &&
		    !atomic_compare_exchange_strong(claim_of(s, &f->got.addr[family]), &nobody, slot))
			s->duplicates++;
	}
	sched_yield();
	for (int family = 0; family < 2; family++)
		if (weft_addr_is_set(&f->got.addr[family]))
			*claim_of(s, &f->got.addr[family]) = 0;
	if (weft_ipam_release(f->ipam, &(struct weft_ipam_owner){id, "eth0", NULL}, &f->err) < 1)
		s->errors++;
}

static pid_t start(struct fixture *f, struct shared *s, int slot, int rounds)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when an assertion ends the test */
	for (int i = 0; i < rounds; i++)
		one_round(f, s, slot, 1 + (unsigned)(i + slot) % 3);
	_exit(0);
}

static struct shared *share(struct fixture *f)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(s != MAP_FAILED);
	add(f, "10.244.1.0/29", "default");
	add(f, "10.244.1.8/30", "default");
	add(f, "fd00::20/124", "six");
	return s;
}

static void expect_nothing_left(struct fixture *f, struct shared *s)
{
	struct weft_ipam_block *blocks;
	size_t n;

	assert_int_equal(s->duplicates, 0);
	assert_int_equal(s->errors, 0);
	assert_true(s->allocs > 100);
	assert_int_equal(weft_ipam_list(f->ipam, &blocks, &n, &f->err), 0);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(blocks[i].counts.used, 0);
		assert_int_equal(blocks[i].counts.corrupt, 0);
	}
	weft_ipam_blocks_free(blocks, n);
}

static void parallel_processes_never_share_an_address(void **state)
{
	struct fixture *f = *state;
	struct shared *s = share(f);

	for (int slot = 1; slot <= PROCESSES; slot++)
		assert_true(start(f, s, slot, 100) > 0);
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(s->allocs + s->full, PROCESSES * 100);
	expect_nothing_left(f, s);
	munmap(s, sizeof(*s));
}

/* What the dead process claimed is its address still; then do for it what a runtime does: DEL. */
static void bury(struct fixture *f, struct shared *s, int slot)
{
	struct weft_ipam_owner owner = {.ifname = "eth0"};
	char id[16];

	snprintf(id, sizeof(id), "c%d", slot);
	owner.container_id = id;
	assert_int_equal(weft_ipam_find(f->ipam, &owner, &f->got, &f->err), 0);
	for (int family = 0; family < 2; family++) {
		for (int i = 0; i < ADDRESSES; i++) {
			if (s->claim[family][i] != slot)
				continue;
			assert_true(weft_addr_is_set(&f->got.addr[family]));
			assert_ptr_equal(claim_of(s, &f->got.addr[family]), &s->claim[family][i]);
			s->claim[family][i] = 0;
		}
	}
	assert_true(weft_ipam_release(f->ipam, &owner, &f->err) >= 0);
}

static void killed_processes_leak_nothing(void **state)
{
	struct fixture *f = *state;
	struct shared *s = share(f);
	pid_t pids[PROCESSES + 1];
	unsigned seed = 42;

	for (int slot = 1; slot <= PROCESSES; slot++)
		pids[slot] = start(f, s, slot, 1000000);
	for (int kills = 0; kills < 200; kills++) {
		struct timespec pause = {.tv_nsec = 1000000 + rand_r(&seed) % 3000000};
		int slot = 1 + rand_r(&seed) % PROCESSES;

		nanosleep(&pause, NULL);
		kill(pids[slot], SIGKILL);
		waitpid(pids[slot], NULL, 0);
		bury(f, s, slot);
		pids[slot] = start(f, s, slot, 1000000);
	}
	for (int slot = 1; slot <= PROCESSES; slot++) {
		kill(pids[slot], SIGKILL);
		waitpid(pids[slot], NULL, 0);
		bury(f, s, slot);
	}
	expect_nothing_left(f, s);
	munmap(s, sizeof(*s));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(the_file_is_text_in_fixed_columns),
	        TEST(every_damaged_byte_of_a_record_is_noticed),
	        TEST(a_sealed_record_is_still_validated),
	        TEST(gc_repairs_damaged_records_that_nobody_can_own),
	        TEST(a_damaged_header_stops_allocation_only),
	        TEST(a_short_file_has_damaged_records),
	        TEST(parallel_processes_never_share_an_address),
	        TEST(killed_processes_leak_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
