// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kernel/legacy_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include "weft/cleanup.h"

#define TABLE     "filter"
#define NAMES_MAX 1024
#define BYTES_MAX ((size_t)64 << 20) /* of all entries */
#define TRIES     3                  /* the table may be replaced between the two questions */

/* Both families have the same, but for the length of an address in an entry. */
_Static_assert(sizeof(struct ipt_getinfo) == sizeof(struct ip6t_getinfo) &&
                       sizeof(struct ipt_get_entries) == sizeof(struct ip6t_get_entries) &&
                       (int)IPT_SO_GET_INFO == (int)IP6T_SO_GET_INFO &&
                       (int)IPT_SO_GET_ENTRIES == (int)IP6T_SO_GET_ENTRIES,
               "the questions of ip_tables and ip6_tables");

bool legacy_filter_listed(const char *names)
{
	size_t len;

	for (; *names; names += len + (names[len] == '\n')) {
		len = strcspn(names, "\n");
		if (len == strlen(TABLE) && !memcmp(names, TABLE, len))
			return true;
	}
	return false;
}

int legacy_filter_policy(uint8_t family, const void *entries, size_t size, size_t underflow)
{
	bool v6 = family == AF_INET6;
	size_t head = v6 ? sizeof(struct ip6t_entry) : sizeof(struct ipt_entry);
	size_t at =
	        v6 ? offsetof(struct ip6t_entry, target_offset) : offsetof(struct ipt_entry, target_offset);
	struct xt_standard_target target;
	uint16_t offset;

	if (underflow > size || size - underflow < head)
		return -EBADMSG;
	memcpy(&offset, (const char *)entries + underflow + at, sizeof(offset));
	if (offset < head || size - underflow < sizeof(target) || offset > size - underflow - sizeof(target))
		return -EBADMSG;
	memcpy(&target, (const char *)entries + underflow + offset, sizeof(target));
	if (target.target.u.user.name[0]) /* a policy is a standard target, which has no name */
		return -EBADMSG;
	return target.verdict == -NF_DROP - 1;
}

static int ask(int fd, uint8_t family, int what, void *reply, size_t size)
{
	socklen_t len = (socklen_t)size;

	if (getsockopt(fd, family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP, what, reply, &len) < 0)
		return -errno;
	return len == size ? 0 : -EBADMSG;
}

/* -EAGAIN: it was replaced meanwhile. */
static int read_policy(int fd, uint8_t family)
{
	weft_autofree struct ipt_get_entries *all = NULL;
	struct ipt_getinfo info = {.name = TABLE};
	int r = ask(fd, family, IPT_SO_GET_INFO, &info, sizeof(info));

	if (r < 0)
		return r;
	if (!(info.valid_hooks & (1u << NF_INET_LOCAL_IN)) || info.size > BYTES_MAX)
		return -EBADMSG;
	all = calloc(1, sizeof(*all) + info.size);
	if (!all)
		return -ENOMEM;
	strcpy(all->name, TABLE);
	all->size = info.size;
	r = ask(fd, family, IPT_SO_GET_ENTRIES, all, sizeof(*all) + info.size);
	return r < 0 ? r
	             : legacy_filter_policy(family, all->entrytable, info.size,
	                                    info.underflow[NF_INET_LOCAL_IN]);
}

/* A few lines, which the kernel hands out in one piece. No such file: a kernel without x_tables. */
static int exists(uint8_t family)
{
	weft_autoclose int fd =
	        open(family == AF_INET6 ? "/proc/net/ip6_tables_names" : "/proc/net/ip_tables_names",
	             O_RDONLY | O_CLOEXEC);
	char names[NAMES_MAX];
	ssize_t n = fd < 0 ? -1 : read(fd, names, sizeof(names) - 1);

	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	names[n] = '\0';
	return legacy_filter_listed(names);
}

int legacy_filter_drops(uint8_t family, struct weft_err *err)
{
	weft_autoclose int fd = -1;
	int r = exists(family);

	if (r <= 0)
		return r < 0 ? weft_err_errno(err, r, "the list of iptables-legacy's tables") : 0;
	r = -EAGAIN;
	fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno == EAFNOSUPPORT ? 0 : weft_err_errno(err, errno, "a socket for iptables-legacy");
	for (int i = 0; i < TRIES && r == -EAGAIN; i++)
		r = read_policy(fd, family);
	if (r == -ENOENT)
		return 0; /* removed meanwhile */
	return r < 0 ? weft_err_errno(err, r, "reading the table " TABLE " of ip%stables-legacy",
	                              family == AF_INET6 ? "6" : "")
	             : r;
}
