// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What BIRD's replies mean: pure functions from a framed reply (reply.h) to structs.
 *
 * Tables are read by their headings and details by their labels, never by fixed columns, so that widths and
 * additional columns don't matter; what is unknown is passed over. Valid for 2.0 to 3.3. Set
 * `timeformat protocol "%Y-%m-%dT%H:%M:%S"` in the configuration: times are handed on as the text they are
 * (also "date time" in two words).
 *
 * Ownership: every array and text in a result belongs to it and goes with its _free(). Texts are never NULL:
 * "" is what BIRD did not say. All functions return 0 or a negative errno: those of bird_reply_check() for a
 * reply that is an error, -EPROTO for one that does not have the expected form, -ENOMEM.
 */
#ifndef WEFT_BIRD_SHOW_H
#define WEFT_BIRD_SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/addr.h"
#include "weft/err.h"

#include "agent/bird/reply.h"

/* show protocols [all] */

/* What happened to the routes of a channel since it came up. */
enum bird_change { BIRD_IMPORT_UPDATES, BIRD_IMPORT_WITHDRAWS, BIRD_EXPORT_UPDATES, BIRD_EXPORT_WITHDRAWS };
enum bird_outcome { BIRD_RECEIVED, BIRD_REJECTED, BIRD_FILTERED, BIRD_IGNORED, BIRD_ACCEPTED };
#define BIRD_CHANGES  4
#define BIRD_OUTCOMES 5

struct bird_changes {
	bool given[BIRD_OUTCOMES]; /* BIRD counts it: not "---" */
	uint32_t count[BIRD_OUTCOMES];
};

struct bird_channel {
	const char *name;         /* ipv4, ipv6 */
	const char *state;        /* DOWN, START, UP, STOP ... */
	const char *import_state; /* 3.x only */
	const char *export_state; /* 3.x only */
	const char *table;
	const char *input_filter;
	const char *output_filter;
	bool has_routes; /* the counters below were given: the channel is up */
	uint32_t imported;
	uint32_t filtered;
	bool has_filtered; /* BIRD keeps and counts what the input filter refuses (import keep filtered) */
	uint32_t exported;
	uint32_t preferred;
	uint32_t import_limit; /* routes, 0 = none */
	bool import_limit_hit;
	struct bird_changes changes[BIRD_CHANGES];
};

struct bird_proto {
	const char *name;
	const char *proto; /* BGP, Kernel, Device, BFD ... */
	const char *table; /* "---" = none or several */
	const char *state; /* start, up, stop, flush, down */
	const char *since;
	const char *info;
	/* BGP, from info, and from the details where they were asked for */
	const char *bgp_state;  /* Down, Idle, Connect, Active, OpenSent, OpenConfirm, Established, Close,
	                           Passive */
	const char *last_error; /* also "Received: Administrative shutdown: ..." with the peer's words */
	/* details: only from `show protocols all` */
	const char *description;
	const char *message;            /* the peer's shutdown message */
	const char *router_id;          /* of the protocol, if set */
	const char *neighbor;           /* address, with %interface when link-local; or a range */
	struct weft_addr neighbor_addr; /* AF_UNSPEC for a range */
	const char *neighbor_id;
	const char *source_address;
	uint32_t neighbor_as;
	uint32_t local_as;
	uint32_t hold_time;      /* seconds, negotiated; 0 = not up, or none */
	uint32_t hold_left;      /* milliseconds */
	uint32_t keepalive_time; /* seconds */
	const struct bird_channel *channels;
	size_t channel_count;
};

struct bird_protos {
	struct bird_proto *list; /* in BIRD's order, which is not stable between versions */
	size_t count;
	struct bird_channel *channels; /* of all protocols */
	size_t channel_count;
	char *text;
};

int bird_show_protocols(const struct bird_reply *r, struct bird_protos *out, struct weft_err *err);
void bird_protos_free(struct bird_protos *p);
const struct bird_proto *bird_protos_find(const struct bird_protos *p, const char *name);
bool bird_proto_established(const struct bird_proto *p);

/* configure, configure check, configure confirm, configure undo, configure status */

enum bird_configure_result {
	BIRD_CONF_RECONFIGURED, /* 0003 */
	BIRD_CONF_IN_PROGRESS,  /* 0004: ask `configure status` until it is RECONFIGURED (3.x answers so
	                           always) */
	BIRD_CONF_QUEUED,       /* 0005: behind one that is in progress */
	BIRD_CONF_UNDONE,       /* 0021 with 0003 or 0017, undo is complete */
	BIRD_CONF_CONFIRMED,    /* 0018 */
	BIRD_CONF_NOTHING,      /* 0019: nothing to undo or confirm */
	BIRD_CONF_CHECKED,      /* 0020: `configure check` found no error */
	BIRD_CONF_SHUTDOWN,     /* 0006: ignored, the daemon is going down */
	BIRD_CONF_ERROR,        /* 8xxx, 9xxx: the daemon goes on with what it had */
};

struct bird_configure {
	enum bird_configure_result result;
	bool undo_scheduled; /* 0022: undoes itself unless confirmed */
	unsigned code;       /* of the line that decided */
	/* ERROR: */
	char file[256]; /* "" when BIRD named no place */
	unsigned line;
	unsigned column;
	char message[512]; /* without the place */
};

/* Returns 0 also for BIRD_CONF_ERROR: the refusal is the result, not a failure to read it. */
int bird_configure_result(const struct bird_reply *r, struct bird_configure *out, struct weft_err *err);
const char *bird_configure_name(enum bird_configure_result result);

/* show status; the version also from the welcome */

struct bird_version {
	unsigned major, minor, patch;
	char text[64]; /* as BIRD gave it */
};

enum bird_daemon_state { BIRD_DAEMON_UP, BIRD_DAEMON_RECONFIGURING, BIRD_DAEMON_SHUTDOWN };

struct bird_status {
	struct bird_version version;
	enum bird_daemon_state state;
	struct weft_addr router_id;
	char hostname[256];
	char server_time[64];
	char last_reboot[64];
	char last_reconfiguration[64];
	bool graceful_recovery; /* graceful restart recovery is in progress */
};

int bird_welcome(const struct bird_reply *r, struct bird_version *out, struct weft_err *err);
int bird_show_status(const struct bird_reply *r, struct bird_status *out, struct weft_err *err);

/* show bfd sessions; none also when there is no BFD protocol, which BIRD calls an error */

struct bird_bfd_session {
	const char *proto; /* the BFD protocol's name */
	struct weft_addr addr;
	const char *interface; /* "---" = multihop */
	const char *state;     /* AdminDown, Down, Init, Up */
	const char *since;
	uint32_t interval; /* milliseconds */
	uint32_t timeout;  /* milliseconds */
};

struct bird_bfd {
	struct bird_bfd_session *list;
	size_t count;
	char *text;
};

int bird_show_bfd(const struct bird_reply *r, struct bird_bfd *out, struct weft_err *err);
void bird_bfd_free(struct bird_bfd *b);

/* show route count */

struct bird_table_count {
	const char *table;
	uint64_t shown; /* routes that match the command */
	uint64_t routes;
	uint64_t networks;
};

struct bird_route_count {
	struct bird_table_count *list;
	size_t count;
	struct bird_table_count total; /* table "" */
	char *text;
};

int bird_show_route_count(const struct bird_reply *r, struct bird_route_count *out, struct weft_err *err);
void bird_route_count_free(struct bird_route_count *c);

#endif
