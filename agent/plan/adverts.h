// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Classes of announcement: which BGPAdvertisements a prefix has, as one number.
 *
 * A prefix in kernel table 179 says by its metric how it is to be announced. A class is a type and the set of
 * BGPAdvertisements that choose a prefix of that type; the peers' export filters in bird.conf have one branch for
 * each class. So a Service that begins or ceases to match changes one route's metric and no configuration, an edited
 * BGPAdvertisement changes filters and no route, and only a set that was never seen before changes both, filter first.
 *
 *	100, 200, 201, 202   no BGPAdvertisement: plainly to every peer, if BGPConfig's `announce` has the type
 *	1000 ... 9999        a set, numbered when it is first seen
 *
 * The book keeps a number as long as a route uses it, and over a restart: its text goes to stateDir/adverts. A set
 * that nobody uses is forgotten by adverts_collect().
 */
#ifndef AGENT_PLAN_ADVERTS_H
#define AGENT_PLAN_ADVERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/state/cluster.h"
#include "weft/err.h"
#include "weft/object.h"

#define ADVERT_METRIC_FIRST 1000
#define ADVERT_METRIC_LAST  9999

struct advert_class {
	uint32_t metric;          /* of its routes in table 179 */
	unsigned type;            /* one WEFT_ADVERT_* */
	const char *const *names; /* BGPAdvertisements, sorted; none: announced plainly */
	size_t n_names;
};

struct adverts;

struct adverts *adverts_new(void); /* aborts when memory ends */
void adverts_free(struct adverts *a);

/* What is asked about: a block or an address of a Service. */
struct advert_subject {
	unsigned type;                   /* one WEFT_ADVERT_* */
	const struct weft_meta *service; /* NULL for a block */
	const struct weft_meta *ns;      /* its Namespace, NULL = unknown: only empty selectors match */
	const char *pool;                /* NULL = none */
};

/*
 * The class of a subject on this node now; a new set gets a number. 0: not announced (no BGPAdvertisement, and
 * `announce` has not its type; or no number is left). Every answer other than 0 takes one use of the class:
 * adverts_release() gives it back.
 */
uint32_t adverts_class(struct adverts *a, const struct cluster *c, const struct advert_subject *s);
void adverts_release(struct adverts *a, uint32_t metric);

/* All classes in use or not yet collected, the four plain ones first, by metric. Borrowed until the next call. */
const struct advert_class *adverts_classes(const struct adverts *a, size_t *n);
const struct advert_class *adverts_find(const struct adverts *a, uint32_t metric);

/* Forget sets without use. True: there were some. */
bool adverts_collect(struct adverts *a);

/* Grows with every new set and every collection: BIRD has to learn of it. */
uint64_t adverts_version(const struct adverts *a);

/* The book as text, one set on a line, and back; a damaged text is refused as a whole, and the book stays empty. */
char *adverts_save(const struct adverts *a); /* malloc'd */
int adverts_load(struct adverts *a, const char *text, size_t len, struct weft_err *err);

#endif
