// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/datastore.h"

#include "agent/kube/access.h"
#include "agent/kube/kubernetes.h"
#include "agent/source/directory.h"
#include "agent/source/podcidrs.h"
#include "weft/cleanup.h"

#define LEAVE_MS 10000

_Static_assert(WEFT_SERVERS_MAX <= KUBE_SERVERS, "each server of the configuration can be tried");

/* What pointers of struct kubernetes_options point to. */
struct kubernetes_names {
	struct kube_access access;
	const char *secrets[WEFT_SECRETS_MAX];
};

static int load_access(const struct weft_config_datastore *d, struct kube_access *out, struct weft_err *err)
{
	const char *servers[WEFT_SERVERS_MAX];
	struct kube_access_options o = {.kubeconfig = *d->kubeconfig ? d->kubeconfig : NULL,
	                                .context = *d->context ? d->context : NULL,
	                                .servers = servers,
	                                .n_servers = d->n_servers};

	for (size_t i = 0; i < d->n_servers; i++)
		servers[i] = d->servers[i];
	return kube_access_load(&o, out, err);
}

static int fill(const struct weft_config *cfg, struct kubernetes_names *names, struct kubernetes_options *o,
                struct weft_err *err)
{
	const struct weft_config_datastore *d = &cfg->datastore;

	for (size_t i = 0; i < d->n_secrets; i++)
		names->secrets[i] = d->secrets[i];
	*o = (struct kubernetes_options){.access = &names->access,
	                                 .state_dir = cfg->state_dir,
	                                 .node = cfg->node_name,
	                                 .namespace = d->namespace,
	                                 .secrets = names->secrets,
	                                 .n_secrets = d->n_secrets,
	                                 .own_node = d->own_node,
	                                 .services = cfg->services.enabled,
	                                 .controller =
	                                         cfg->services.enabled && cfg->roles & WEFT_ROLE_CONTROLLER,
	                                 .on_nodes = cfg->roles & WEFT_ROLE_NODE};
	return load_access(d, &names->access, err);
}

static int open_kubernetes(uv_loop_t *loop, const struct weft_config *cfg, struct weft_source **out,
                           struct weft_err *err)
{
	struct kubernetes_names names;
	struct kubernetes_options o;
	int r = fill(cfg, &names, &o, err);

	if (r < 0)
		return r;
	r = kubernetes_new(loop, &o, out, err);
	kube_access_free(&names.access);
	return r;
}

static int load_seal_keys(const struct weft_config_datastore *d, struct weft_seal_keys **out,
                          struct weft_err *err)
{
	struct weft_err why = WEFT_ERR_INIT;
	int r = *d->seal_key ? weft_seal_keys_load(d->seal_key, out, &why) : 0;

	return r < 0 ? weft_err_set(err, r, "datastore.sealKey: %s", why.text) : 0;
}

static int open_kind(uv_loop_t *loop, const struct weft_config *cfg, struct weft_source **out,
                     struct weft_err *err)
{
	struct weft_seal_keys *keys = NULL;
	int r;

	if (cfg->datastore.kind == WEFT_DATASTORE_KUBERNETES)
		return open_kubernetes(loop, cfg, out, err);
	r = load_seal_keys(&cfg->datastore, &keys, err);
	if (r == 0)
		r = weft_directory_new(loop, cfg->datastore.path, out, err);
	if (r < 0) {
		weft_seal_keys_free(keys);
		return r;
	}
	weft_directory_rescan(*out, cfg->datastore.rescan_ms);
	weft_directory_seal_keys(*out, keys);
	return 0;
}

int datastore_open(uv_loop_t *loop, const struct weft_config *cfg, struct weft_source **out,
                   struct weft_err *err)
{
	int r = open_kind(loop, cfg, out, err);

	if (r == 0 && cfg->ipam.mode == WEFT_IPAM_NODE)
		*out = weft_podcidrs_new(&(struct weft_podcidrs_options){.loop = loop,
		                                                         .source = *out,
		                                                         .node = cfg->node_name,
		                                                         .clusters = cfg->ipam.clusters.cidr,
		                                                         .n_clusters = cfg->ipam.clusters.n,
		                                                         .tunnel = cfg->ipam.tunnel});
	return r;
}

int datastore_check(const struct weft_config *cfg, struct weft_err *err)
{
	struct weft_seal_keys *keys = NULL;
	struct kube_access access;
	int r;

	if (cfg->datastore.kind != WEFT_DATASTORE_KUBERNETES) {
		r = load_seal_keys(&cfg->datastore, &keys, err);
		weft_seal_keys_free(keys);
		return r;
	}
	r = load_access(&cfg->datastore, &access, err);
	if (r == 0)
		kube_access_free(&access);
	return r;
}

int datastore_leave(const struct weft_config *cfg, struct weft_err *err)
{
	struct kubernetes_names names;
	struct kubernetes_options o;
	int r;

	if (cfg->datastore.kind != WEFT_DATASTORE_KUBERNETES)
		return 0;
	r = fill(cfg, &names, &o, err);
	if (r < 0)
		return r;
	r = kubernetes_leave(&o, LEAVE_MS, err);
	kube_access_free(&names.access);
	return r;
}
