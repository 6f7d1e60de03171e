// SPDX-License-Identifier: GPL-2.0-or-later
/* ADD and DEL: ops.h tells the order of their steps. */
#include "agent/cni/ops.h"

#include <stdlib.h>

#include "agent/cni/result.h"
#include "agent/cni/store.h"
#include "weft/cleanup.h"

static int remove_device(const struct cni_attachment *a, struct weft_err *err)
{
	struct netlink *host = netlink_open(err);
	int r = host ? cni_attach_remove(host, a, err) : CNI_E_NETWORK;

	netlink_close(host);
	return r;
}

static int release(struct weft_ipam *ipam, const struct cni_attachment *a, struct weft_err *err)
{
	struct weft_ipam_owner owner = cni_store_owner(a);

	return weft_ipam_release(ipam, &owner, err) < 0 ? CNI_E_IPAM : 0;
}

/* Wanted addresses: capability and args before CNI_ARGS. */
static int choose_wanted(const struct cni_env *env, const struct cni_conf *conf, struct weft_addr wanted[2],
                         struct weft_err *err)
{
	bool has[2] = {false, false};

	wanted[0] = conf->wanted[0];
	wanted[1] = conf->wanted[1];
	if (!weft_addr_is_set(&wanted[0]) && !weft_addr_is_set(&wanted[1]) && weft_addr_is_set(&env->wanted))
		wanted[env->wanted.family == AF_INET6] = env->wanted;
	for (size_t i = 0; i < conf->n_families; i++)
		has[conf->families[i] == AF_INET6] = true;
	for (int i = 0; i < 2; i++)
		if (weft_addr_is_set(&wanted[i]) && !has[i])
			return cni_fail(err, CNI_E_CONFIG,
			                "an IPv%d address is asked for, but \"families\" doesn't hold \"%d\"",
			                i ? 6 : 4, i ? 6 : 4);
	return 0;
}

static int attach(const struct cni_env *env, const struct cni_conf *conf, const struct cni_spaces *spaces,
                  struct cni_attachment *a, char **result, struct weft_err *err)
{
	int r = cni_attach_make(a, spaces, err);

	if (r)
		return r;
	*result = cni_result_text(conf, a, env->netns);
	return *result ? 0 : cni_fail(err, CNI_E_IO, "out of memory for the result");
}

static int reserve_and_attach(const struct cni_env *env, const struct cni_conf *conf,
                              const struct cni_spaces *spaces, struct weft_ipam *ipam, char **result,
                              struct weft_err *err)
{
	struct cni_attachment a;
	struct weft_addr wanted[2];
	int r = choose_wanted(env, conf, wanted, err);

	if (r)
		return r;
	cni_attachment_init(&a, conf->network, env->container_id, env->ifname);
	a.mtu = conf->mtu;
	r = cni_store_reserve(ipam, conf, wanted, &a, err);
	if (r)
		return r;
	r = attach(env, conf, spaces, &a, result, err);
	if (r && remove_device(&a, NULL) == 0)
		release(ipam, &a, NULL); /* the first error is the one to tell; DEL follows and tries again */
	return r;
}

int cni_add(const struct cni_env *env, const struct cni_conf *conf, char **result, struct weft_err *err)
{
	struct cni_spaces spaces;
	struct weft_ipam *ipam = NULL;
	int r = cni_spaces_open(&spaces, env->netns, err);

	if (!r)
		r = cni_store_open(conf, &ipam, err);
	if (!r)
		r = reserve_and_attach(env, conf, &spaces, ipam, result, err);
	if (ipam)
		weft_ipam_close(ipam);
	cni_spaces_close(&spaces);
	return r;
}

int cni_del(const struct cni_env *env, const struct cni_conf *conf, struct weft_err *err)
{
	struct cni_attachment a;
	struct weft_ipam *ipam = NULL;
	int r;

	cni_attachment_init(&a, conf->network, env->container_id, env->ifname);
	r = remove_device(&a, err);
	if (!r)
		r = cni_store_open(conf, &ipam, err);
	if (!r)
		r = release(ipam, &a, err);
	if (ipam)
		weft_ipam_close(ipam);
	return r;
}
