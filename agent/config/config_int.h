// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Shared by the files of agent/config.
 */
#ifndef AGENT_CONFIG_CONFIG_INT_H
#define AGENT_CONFIG_CONFIG_INT_H

#include "agent/config/config.h"
#include "agent/source/fields.h"

#define SECOND_MS ((uint64_t)1000)
#define HOUR_MS   (3600 * SECOND_MS)

#define AT(member) offsetof(struct weft_config, member)

/* arg: limits in milliseconds. */
int config_field_duration(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out);

/* arg: the room in out, with the NUL, as a struct weft_limits.max. */
int config_field_path(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out);

/* The section `datastore`; out is the whole struct. */
int config_field_datastore(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                           void *out);
void config_datastore_dump(const struct weft_config_datastore *d, struct weft_buf *out);

/* The largest unit that leaves no rest. */
const char *config_duration_str(uint64_t ms, char buf[32]);

/* At most WEFT_CONFIG_CIDRS, into a struct weft_config_cidrs. */
int config_field_cidrs(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out);
void config_dump_cidrs(struct weft_buf *out, const char *key, const struct weft_config_cidrs *cidrs);

/* The section `ipam`; out is the whole struct. */
int config_field_ipam(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out);
void config_ipam_dump(const struct weft_config_ipam *i, struct weft_buf *out);

/* The section `services`; offsets count from the whole struct's start. */
extern const struct weft_field_table config_services_table;
void config_services_dump(const struct weft_config_services *s, struct weft_buf *out);

/*
 * ":PORT", "IPV4:PORT", "[IPV6]:PORT" or "" (port 0: nowhere); 0.0.0.0 and [::] are all addresses, AF_UNSPEC.
 * usual: the port that the error's examples have.
 */
int config_listen(struct weft_decode_ctx *ctx, const cJSON *v, unsigned usual, struct weft_addr *addr,
                  uint16_t *port);
bool config_port(const char *text, size_t len, uint16_t *out);
void config_dump_listen(struct weft_buf *out, const char *key, const struct weft_addr *addr, uint16_t port);

/* The section `metrics`; as above. */
extern const struct weft_field_table config_metrics_table;
void config_metrics_dump(const struct weft_config_metrics *m, struct weft_buf *out);

#endif
