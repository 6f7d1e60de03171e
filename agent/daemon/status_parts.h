// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Parts of `weftctl status` that an agent and a controller without a node both have.
 */
#ifndef AGENT_DAEMON_STATUS_PARTS_H
#define AGENT_DAEMON_STATUS_PARTS_H

#include <cjson/cJSON.h>

#include "weft/source.h"

#include "agent/daemon/controller.h"
#include "agent/state/cluster.h"

/* Append {"object":..,"where":..,"text":..} to the list; where "" = none. */
void status_problem(cJSON *list, const char *object, const char *where, const char *text);

/* A cluster_report_fn; ctx is the list. */
void status_cluster_problem(void *ctx, const char *where, const char *text);

/* root.datastore, with the number of objects of each kind; what it can't see goes to problems. */
void status_datastore(struct weft_source *source, const struct cluster *cluster, cJSON *root,
                      cJSON *problems);

/* root.controller; of whoever leads, also the Services that wait for an IP, or have one that the pools do not
 * say any more. */
void status_controller(const struct controller *c, cJSON *root, cJSON *problems);

#endif
