// SPDX-License-Identifier: GPL-2.0-or-later
/* CHECK and STATUS: they change nothing in the kernel. */
#include "agent/cni/ops.h"
#include "agent/cni/result.h"
#include "agent/cni/store.h"

static int check_with(const struct cni_env *env, const struct cni_conf *conf, struct weft_ipam *ipam,
                      const struct cni_spaces *spaces, struct weft_err *err)
{
	struct cni_attachment a;
	bool default_route[2];
	int r;

	cni_attachment_init(&a, conf->network, env->container_id, env->ifname);
	r = cni_store_find(ipam, conf, &a, err);
	if (!r && a.n_addrs == 0)
		r = cni_fail(err, CNI_E_CHECK, "no address is reserved for container %s, %s",
		             env->container_id, env->ifname);
	if (!r)
		r = cni_result_check(conf->prev_result, &a, env->netns, default_route, err);
	return r ? r : cni_attach_check(&a, spaces, default_route, err);
}

int cni_check(const struct cni_env *env, const struct cni_conf *conf, struct weft_err *err)
{
	struct cni_spaces spaces;
	struct weft_ipam *ipam = NULL;
	int r = cni_spaces_open(&spaces, env->netns, err);

	if (!r)
		r = cni_store_open(conf, &ipam, err);
	if (!r)
		r = check_with(env, conf, ipam, &spaces, err);
	if (ipam)
		weft_ipam_close(ipam);
	cni_spaces_close(&spaces);
	return r;
}

int cni_status(const struct cni_conf *conf, struct weft_err *err)
{
	struct weft_ipam *ipam = NULL;
	int r;

	if (cni_store_open(conf, &ipam, err))
		return CNI_E_UNAVAILABLE;
	r = cni_store_room(ipam, conf, err);
	weft_ipam_close(ipam);
	return r;
}
