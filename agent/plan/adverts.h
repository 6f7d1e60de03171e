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
 * The book keeps a number as long as somebody uses it, and over a restart: its text goes to stateDir/adverts. A set
 * that nobody uses is forgotten by adverts_collect(), or when its number is needed.
 *
 *	adverts.c         the book: sets, numbers, uses, text
 *	adverts_choose.c  which BGPAdvertisements choose a prefix; aggregation
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
#define ADVERT_PLAIN        4 /* classes without BGPAdvertisement */

struct advert_class {
	uint32_t metric;          /* of its routes in table 179 */
	unsigned type;            /* one WEFT_ADVERT_* */
	const char *const *names; /* BGPAdvertisements, sorted; none: announced plainly */
	size_t n_names;
	uint64_t since; /* the version that had it first: BIRD's filters must be as new */
};

struct adverts;

struct adverts *adverts_new(void); /* aborts when memory ends */
void adverts_free(struct adverts *a);

/*
 * The class of exactly this set: sorted names, no duplicates, 0 for the plain one. A new set gets the lowest free
 * number, if need be that of a set without use. 0: no number is left. Takes one use, which adverts_release() gives
 * back; so do adverts_hold() (one more of a class that is there) and adverts_union() (of n > 0 classes of one
 * type; without a number for the union it is the lowest of them).
 */
uint32_t adverts_take(struct adverts *a, unsigned type, const char *const *names, size_t n);
uint32_t adverts_hold(struct adverts *a, uint32_t metric);
uint32_t adverts_union(struct adverts *a, const uint32_t *metrics, size_t n);
void adverts_release(struct adverts *a, uint32_t metric);

/*
 * A number that is in table 179 though the book does not know it (its file was lost): it is announced plainly, and
 * not given to a set, until what has it has its class again and adverts_collect() forgets it.
 */
void adverts_keep(struct adverts *a, uint32_t metric, unsigned type);

/* All classes in use or not yet collected, the four plain ones first, by metric. Borrowed until the next call. */
const struct advert_class *adverts_classes(const struct adverts *a, size_t *n);
const struct advert_class *adverts_find(const struct adverts *a, uint32_t metric);

/* Is there a set that has this BGPAdvertisement? */
bool adverts_name(const struct adverts *a, const char *name);

/* Forget sets without use. True: there were some. */
bool adverts_collect(struct adverts *a);

/* Grows with every new set and every collection: BIRD has to learn of it. */
uint64_t adverts_version(const struct adverts *a);

/* The book as text, one set on a line, and back; a damaged text is refused as a whole, and the book stays empty. */
char *adverts_save(const struct adverts *a); /* malloc'd */
int adverts_load(struct adverts *a, const char *text, size_t len, struct weft_err *err);

/* The same sets with the same numbers, unused, for an empty book. */
void adverts_copy(struct adverts *to, const struct adverts *from);

/* --- choosing --- */

/* What is asked about: a block, an address of a Service, or a service CIDR. */
struct advert_subject {
	unsigned type; /* one WEFT_ADVERT_* */
	struct weft_prefix prefix;
	const struct weft_meta *service; /* NULL for a block and a service CIDR: only empty selectors match */
	const struct weft_meta *ns;      /* its Namespace, NULL = unknown: only empty selectors match */
	const struct weft_object *pool;  /* IPPool that it is of, NULL = none */
	bool local; /* it draws traffic for this node's endpoints: never aggregated, may carry a weight */
};

/* Does it choose the subject, on a node that it selects? */
bool advert_chooses(const struct weft_bgpadvertisement *b, const struct advert_subject *s);

/* WEFT_ADVERT_* that BGPConfig announces without any BGPAdvertisement; as it is written in BGPConfig. */
unsigned adverts_announced(const struct cluster *c);
const char *advert_type_name(unsigned type);

/* The IPPool (use: LoadBalancer) that has this address, NULL = none. */
const struct weft_object *adverts_pool_of(const struct cluster *c, const struct weft_addr *addr);

/* What is asked about a block of pods, in force or not. */
struct advert_subject adverts_of_block(const struct cluster *c, const struct weft_prefix *cidr);

/* One prefix of table 179. */
struct advert_choice {
	struct weft_prefix prefix; /* the subject's own, or an aggregate that has it */
	uint32_t metric;
	bool weight; /* of some BGPAdvertisement of the class: the route carries the weight */
};

#define ADVERT_CHOICES 4

struct advert_choices {
	struct advert_choice list[ADVERT_CHOICES];
	size_t n;
	const char *
	        why_single; /* why an aggregation that was asked for is not done, a constant sentence; or NULL */
};

/*
 * How the subject is to be announced by this node now: one prefix for each aggregation length that the
 * BGPAdvertisements choosing it ask for, in the class of those that ask for it. n = 0: not at all (no
 * BGPAdvertisement, and `announce` has not its type; or no number is left). Takes a use of each class.
 */
void adverts_choose(struct adverts *a, const struct cluster *c, const struct advert_subject *s,
                    struct advert_choices *out);
void adverts_choices_release(struct adverts *a, struct advert_choices *choices);

/* The same without aggregation: one class, 0 = not announced. */
uint32_t adverts_class(struct adverts *a, const struct cluster *c, const struct advert_subject *s);

#endif
