// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cni/store.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/cni/claim.h"

/* Each round needs a block that others emptied between weftd's answer and our attempt. */
#define CLAIM_ROUNDS 4

int cni_store_open(const struct cni_conf *conf, struct weft_ipam **out, struct weft_err *err)
{
	struct weft_ipam_options options = {.cooldown_ms = conf->cooldown_ms};
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s/ipam", conf->state_dir);
	return weft_ipam_open(dir, &options, out, err) < 0 ? CNI_E_IPAM : 0;
}

struct weft_ipam_owner cni_store_owner(const struct cni_attachment *a)
{
	return (struct weft_ipam_owner){
	        .container_id = a->container_id, .ifname = a->pod_dev, .host_dev = a->host_dev};
}

static void take_addresses(const struct cni_conf *conf, const struct weft_ipam_result *found,
                           struct cni_attachment *a)
{
	a->n_addrs = 0;
	for (size_t i = 0; i < conf->n_families; i++) {
		const struct weft_addr *addr = &found->addr[conf->families[i] == AF_INET6];

		if (weft_addr_is_set(addr))
			a->addrs[a->n_addrs++] = *addr;
	}
}

static unsigned family_bits(const struct cni_conf *conf)
{
	unsigned bits = 0;

	for (size_t i = 0; i < conf->n_families; i++)
		bits |= conf->families[i] == AF_INET ? WEFT_IPAM_V4 : WEFT_IPAM_V6;
	return bits;
}

/* err says what is short; it is put before the reason why nothing could be claimed. */
static int claim_missing(const struct cni_conf *conf, unsigned missing, uint64_t deadline,
                         struct weft_err *err)
{
	char shortage[WEFT_ERR_TEXT];
	struct weft_err why = WEFT_ERR_INIT;
	int r = 0;

	if (missing & WEFT_IPAM_V4)
		r = cni_claim(conf->socket, AF_INET, deadline, &why);
	if (!r && (missing & WEFT_IPAM_V6))
		r = cni_claim(conf->socket, AF_INET6, deadline, &why);
	if (r) {
		memcpy(shortage, err->text, sizeof(shortage));
		*err = why;
		weft_err_wrap(err, "%s", shortage);
	}
	return r;
}

/* The codes of a failed allocation: what time can heal is "try again later". */
static int alloc_code(int r)
{
	switch (-r) {
	case ENOSPC:
	case EAGAIN:
	case EADDRINUSE:
	case ETIMEDOUT:
		return CNI_E_AGAIN;
	default:
		return CNI_E_IPAM;
	}
}

int cni_store_reserve(struct weft_ipam *ipam, const struct cni_conf *conf, const struct weft_addr wanted[2],
                      struct cni_attachment *a, struct weft_err *err)
{
	struct weft_ipam_request request = {
	        .families = family_bits(conf),
	        .owner = cni_store_owner(a),
	        .want = {wanted[0], wanted[1]},
	};
	struct weft_ipam_result found = {0};
	uint64_t deadline = 0;
	int r = 0;

	for (int round = 0; round <= CLAIM_ROUNDS; round++) {
		struct weft_err why = WEFT_ERR_INIT;

		r = weft_ipam_alloc(ipam, &request, &found, &why);
		if (r == 0) {
			take_addresses(conf, &found, a);
			return 0;
		}
		*err = why;
		if (r != -ENOSPC || round == CLAIM_ROUNDS)
			break;
		if (!deadline)
			deadline = cni_now_ms() + CNI_CLAIM_MS;
		if (claim_missing(conf, found.missing, deadline, err))
			return CNI_E_AGAIN;
	}
	return alloc_code(r);
}

static unsigned families_without_room(const struct weft_ipam_block *blocks, size_t n)
{
	unsigned missing = WEFT_IPAM_V4 | WEFT_IPAM_V6;

	for (size_t i = 0; i < n; i++)
		if (blocks[i].counts.free)
			missing &= ~(blocks[i].cidr.addr.family == AF_INET ? WEFT_IPAM_V4 : WEFT_IPAM_V6);
	return missing;
}

int cni_store_room(struct weft_ipam *ipam, const struct cni_conf *conf, struct weft_err *err)
{
	struct weft_ipam_block *blocks = NULL;
	size_t n = 0;
	unsigned missing;

	if (weft_ipam_list(ipam, &blocks, &n, err) < 0)
		return CNI_E_UNAVAILABLE;
	missing = families_without_room(blocks, n) & family_bits(conf);
	weft_ipam_blocks_free(blocks, n);
	if (!missing)
		return 0;
	cni_fail(err, CNI_E_UNAVAILABLE, "no block of this node has a free %s address",
	         missing & WEFT_IPAM_V4 ? "IPv4" : "IPv6");
	if (claim_missing(conf, missing, cni_now_ms() + CNI_CLAIM_MS, err) == 0)
		return 0;
	return err->code == -ENOTCONN ? CNI_E_LIMITED : CNI_E_UNAVAILABLE;
}

int cni_store_find(struct weft_ipam *ipam, const struct cni_conf *conf, struct cni_attachment *a,
                   struct weft_err *err)
{
	struct weft_ipam_owner owner = cni_store_owner(a);
	struct weft_ipam_result found = {0};

	if (weft_ipam_find(ipam, &owner, &found, err) < 0)
		return CNI_E_IPAM;
	take_addresses(conf, &found, a);
	return 0;
}
