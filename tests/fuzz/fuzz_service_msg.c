// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any bytes as the kernel's answers about IPVS and connection tracking: memory safety, and that what was
 * decoded can be encoded and decoded to the same again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kernel/ct_msg.h"
#include "agent/kernel/ipvs_msg.h"
#include "agent/kernel/netlink.h"
#include "weft/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool what)
{
	if (!what)
		abort();
}

static bool key_good(const struct ipvs_msg_key *k)
{
	return weft_addr_size(k->addr.family) && (!k->fwmark || (!k->port && !k->proto));
}

static void service(const struct nlmsghdr *h, struct nl_msg *msg)
{
	struct ipvs_msg_service s, again;

	if (ipvs_msg_service_parse(h, &s))
		return;
	require(key_good(&s.key) && strnlen(s.scheduler, sizeof(s.scheduler)) < sizeof(s.scheduler));
	netlink_msg_reset(msg);
	require(ipvs_msg_service(msg, 33, IPVS_MSG_NEW, &s) == 0);
	require(ipvs_msg_service_parse(nlmsg_hdr(msg), &again) == 0);
	again.odd = s.odd; /* is not written */
	require(memcmp(&s, &again, sizeof(s)) == 0);
}

static void dest(const struct nlmsghdr *h, struct nl_msg *msg)
{
	static const struct ipvs_msg_key key = {.addr = {.family = AF_INET}, .fwmark = 1};
	struct ipvs_msg_dest d, again;

	if (ipvs_msg_dest_parse(h, &d))
		return;
	require(weft_addr_size(d.addr.family));
	netlink_msg_reset(msg);
	require(ipvs_msg_dest(msg, 33, IPVS_MSG_NEW, &key, &d) == 0);
	require(ipvs_msg_dest_parse(nlmsg_hdr(msg), &again) == 0);
	require(weft_addr_cmp(&d.addr, &again.addr) == 0 && d.port == again.port && d.weight == again.weight);
}

static void flow(const struct nlmsghdr *h, struct nl_msg *msg)
{
	struct ct_flow f;

	if (ct_msg_parse(h, &f))
		return;
	require(weft_addr_size(f.src.addr.family) && f.reply_src.addr.family == f.src.addr.family);
	netlink_msg_reset(msg);
	require(ct_msg_delete(msg, &f) == 0);
	require(nlmsg_hdr(msg)->nlmsg_len > 60); /* never without a tuple */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	weft_auto(netlink_msg_cleanup) struct nl_msg *msg = netlink_msg_new();
	weft_autofree struct nlmsghdr *h = malloc(NLMSG_HDRLEN + size);
	struct ipvs_msg_timeouts t;

	if (!msg || !h)
		return 0;
	*h = (struct nlmsghdr){.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + size), .nlmsg_type = 0x10};
	if (size)
		memcpy((uint8_t *)h + NLMSG_HDRLEN, data, size);
	service(h, msg);
	dest(h, msg);
	flow(h, msg);
	ipvs_msg_timeouts_parse(h, &t);
	require(ipvs_msg_family_parse(h) <= UINT16_MAX);
	return 0;
}
