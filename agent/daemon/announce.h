// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The announcer: what is in kernel table 179, prefix by prefix, in which class (agent/plan/adverts.h).
 *
 *	VIPs (services_announce.c), own blocks, service CIDRs --add, drop--> prefix: who stands behind it
 *	    --announcer_settle()--> one route, metric = the union of their classes
 *	BIRD has loaded filters of version N --announcer_known()--> classes up to N may be used
 *
 * A prefix is announced as long as one stands behind it: an aggregate for all the VIPs in it, a shared VIP for each
 * of its Services. Cost of a change: that prefix, whatever else there is.
 *
 * The gate. BIRD does not learn a metric that its filters have no branch for: a route that moved there would be
 * withdrawn. So a prefix keeps the class it has (or waits, if it has none) until BIRD has loaded filters that know
 * the new one; when BIRD refuses its configuration, that is how it stays. What is in the kernel already (from an
 * earlier life) needs no gate. The new route is wanted before the old one is given up, and the kernel gets them in
 * that order: BIRD sees the prefix change its class, not vanish.
 *
 * The book of classes is kept in a file: it is written before a new number is used.
 */
#ifndef AGENT_DAEMON_ANNOUNCE_H
#define AGENT_DAEMON_ANNOUNCE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/apply/fib.h"
#include "agent/plan/adverts.h"
#include "agent/plan/wanted.h"
#include "agent/state/cluster.h"

struct announcer;

struct announcer_options { /* borrowed, and outlive it */
	const struct cluster *cluster;
	struct wanted *wanted;
	const struct fib *fib;
	const char *path; /* of the book's file, copied; NULL = none */
};

/* Reads the file. One that is missing or damaged is told in the log; numbers that table 179 has, as far as fib has
 * read it, are kept then. */
struct announcer *announcer_new(const struct announcer_options *o);
void announcer_free(struct announcer *an); /* leaves the kernel as it is */

/* For a plan of what would be: nothing is announced yet, numbers are as here, every class may be used, and no file is
 * written. */
struct announcer *announcer_ahead(const struct announcer *an, struct wanted *wanted);

struct adverts *announcer_book(const struct announcer *an);

/* One more, or one less, that stands behind a prefix, in this class and with this weight (0 = it has none). */
void announcer_add(struct announcer *an, const struct advert_choice *choice, uint32_t weight);
void announcer_drop(struct announcer *an, const struct advert_choice *choice, uint32_t weight);

/* The one that stands behind a block or a service CIDR: as this subject, NULL = nobody. Without our Node nothing that
 * stands changes its class. */
void announcer_put(struct announcer *an, const struct weft_prefix *prefix,
                   const struct advert_subject *subject);

/* Want what follows from all that. True: something is withdrawn. */
bool announcer_settle(struct announcer *an);

/* May routes of this class be used? */
bool announcer_open(const struct announcer *an, const struct advert_choice *choice);
/* BIRD's filters are of this version of the book. True: something that waited for it may go on. */
bool announcer_known(struct announcer *an, uint64_t version);
/* Does something wait for BIRD? Left-overs of an earlier life must stay as long. */
bool announcer_waits(const struct announcer *an);

/* Forget classes that nobody uses, once everything has been planned. Changes adverts_version(). */
void announcer_collect(struct announcer *an);
/* Write the book if it changed. What fails is told in the log, and tried again with the next change. */
void announcer_save(struct announcer *an);

struct announced {
	uint32_t metric; /* wanted in table 179; 0 = it waits */
	uint32_t class;  /* where it belongs */
	uint32_t weight; /* 0 = none */
	size_t backers;
};

/* False: nobody stands behind this prefix. */
bool announcer_find(const struct announcer *an, const struct weft_prefix *prefix, struct announced *out);

#endif
