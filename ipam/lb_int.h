// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inside the LoadBalancer IP assignment. Nobody else includes this.
 *
 *	lb.c          what goes in and what comes out (lb.h)
 *	lb_service.c  Services as they are kept: what they ask for, whom they may share with
 *	lb_pool.c     pools: ranges, selectors, figures
 *	lb_addr.c     which address has which owners; runs of used addresses
 *	lb_decide.c   one Service's answer, and who has to be asked again after it
 *	lb_text.c     the sentences
 *
 * A change makes Services dirty; settling decides them one by one in that order. A Service that can't have
 * what it should waits, in the order of arrival; an address that changed hands is offered to those who wait.
 */
#ifndef WEFT_IPAM_LB_INT_H
#define WEFT_IPAM_LB_INT_H

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* There is no way back from half an index: an allocation that fails ends the process. */
#define uthash_fatal(msg) abort()
#include <uthash.h>
#include <utlist.h>

#include "ipam/lb.h"

/* Keyed: whoever may name objects could put them all in one bucket of uthash's own function. */
struct lb_hash {
	unsigned char key[crypto_shorthash_KEYBYTES];
};
uint64_t lb_hash(const struct lb_hash *h, const void *data, size_t len);

void *lb_alloc(size_t n, size_t size); /* zeroed, never NULL */
void *lb_grow(void *p, size_t n, size_t size);
char *lb_strdup(const char *text);

#define LB_FIND(lb, head, data, len, out) \
	HASH_FIND_BYHASHVALUE(hh, head, data, (unsigned)(len), (unsigned)lb_hash(&(lb)->hash, data, len), out)
#define LB_ADD(lb, head, data, len, item)                            \
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, head, data, (unsigned)(len), \
	                            (unsigned)lb_hash(&(lb)->hash, data, len), item)

enum { LB_V4, LB_V6, LB_FAMILIES };

static inline int lb_index(const struct weft_addr *a)
{
	return a->family == AF_INET6 ? LB_V6 : LB_V4;
}

/* Used addresses as sorted runs, as long as they go: the lowest free one is found without a walk. */
struct lb_runs {
	struct weft_range *list;
	size_t n, cap;
};

void lb_runs_add(struct lb_runs *r, const struct weft_addr *a); /* not in it */
void lb_runs_del(struct lb_runs *r, const struct weft_addr *a); /* in it */
/* The first run that ends at a or behind it; r->n if there is none. */
size_t lb_runs_from(const struct lb_runs *r, const struct weft_addr *a);
/* The lowest address in from..last that is in no run. */
bool lb_runs_gap(const struct lb_runs *r, const struct weft_addr *from, const struct weft_addr *last,
                 struct weft_addr *out);

struct lb_svc;

struct lb_addr {
	UT_hash_handle hh;
	struct weft_addr addr;
	struct lb_svc **owners; /* by key */
	size_t n_owners;
	uint64_t seen; /* the search that looked at it last */
};

struct lb_ns {
	UT_hash_handle hh;
	char *name;
	struct weft_label *labels; /* with kubernetes.io/metadata.name */
	size_t n_labels;
	bool exists;
	struct lb_svc *services;
};

struct lb_share { /* Services with one sharing key */
	UT_hash_handle hh;
	char *key;
	struct lb_svc *services;
};

/* What a Service asks for by name. */
struct lb_request {
	struct weft_addr ip[LB_FAMILIES];
	char *pool, *share;
	const char *bad; /* reason why it can't be understood; then text says more */
	char *text;
};

struct lb_svc {
	UT_hash_handle hh;
	char *key;
	struct lb_ns *ns;
	struct lb_svc *ns_prev, *ns_next;
	struct lb_share *share;
	struct lb_svc *share_prev, *share_next;

	bool ours, deleting;
	bool want[LB_FAMILIES];
	enum weft_family_policy families;
	struct weft_label *labels, *selector;
	size_t n_labels, n_selector;
	struct weft_service_port *ports; /* without names */
	size_t n_ports;
	bool local; /* externalTrafficPolicy */
	struct lb_request req;
	struct weft_addr status[LB_FAMILIES]; /* what its status said before lb_ready() */

	struct weft_addr held[LB_FAMILIES];
	struct weft_addr before[LB_FAMILIES]; /* what it held before it asked for this one */
	char *given[LB_FAMILIES];             /* the pool that had the address when it was given */
	bool other_pool;                      /* it named another pool since: it is to move there */

	enum lb_state state;
	const char *reason;
	char *message;
	bool conflict;

	uint64_t hash; /* of the answer */
	bool told;     /* the answer with this hash was */
	uint64_t told_hash;

	bool dirty, waiting, telling;
	struct lb_svc *dirty_prev, *dirty_next;
	struct lb_svc *wait_prev, *wait_next;
	struct lb_svc *tell_prev, *tell_next;
	struct lb_svc *clash_prev, *clash_next; /* those in conflict */
};

struct lb_space { /* a pool */
	char *name;
	struct weft_range *ranges; /* sorted, apart from each other */
	size_t n_ranges;
	struct weft_selector services, namespaces;
	uint32_t priority;
	bool auto_assign, disabled, avoid_buggy;
	uint64_t capacity;
	bool dirty, told;
	struct lb_pool last; /* what was told */
};

struct lb {
	struct lb_hash hash;
	bool default_class, ready;
	struct lb_svc *services;
	struct lb_ns *namespaces;
	struct lb_share *shares;
	struct lb_addr *addrs;
	struct lb_runs used;
	uint64_t searches;

	struct lb_space **by_name, **by_rank;
	size_t n_spaces;

	size_t count[LB_STATES];
	struct lb_svc *dirty, *waiting, *telling, *clashes;
	struct weft_addr *changed; /* addresses that changed hands, for those who wait */
	size_t n_changed, cap_changed;
};

/* lb_service.c */
struct lb_svc *lb_svc_find(const struct lb *lb, const char *key);
struct lb_svc *lb_svc_need(struct lb *lb, const char *key);
void lb_svc_drop(struct lb *lb, struct lb_svc *s);
/* Take over what matters of the object. */
void lb_svc_fill(struct lb *lb, struct lb_svc *s, const struct weft_object *obj);
bool lb_may_share(const struct lb_svc *a, const struct lb_svc *b);
void lb_ns_put(struct lb *lb, const char *name, const struct weft_object *obj); /* obj NULL: it is gone */
void lb_copy_labels(const struct weft_label *from, size_t n, struct weft_label **to, size_t *n_to);
void lb_free_labels(struct weft_label *labels, size_t n);
void lb_request_read(const struct weft_object *obj, struct lb_request *out);
void lb_request_free(struct lb_request *r);

/* lb_pool.c */
struct lb_space *lb_space_find(const struct lb *lb, const char *name);
struct lb_space *lb_space_put(struct lb *lb, const struct weft_object *obj);
void lb_space_del(struct lb *lb, struct lb_space *p);
void lb_space_free(struct lb_space *p);
bool lb_space_has(const struct lb_space *p, const struct weft_addr *a);
bool lb_space_offers(const struct lb_space *p, int family);
bool lb_space_selects(const struct lb_space *p, const struct lb_svc *s);
bool lb_space_free_addr(const struct lb *lb, const struct lb_space *p, int family, struct weft_addr *out);
void lb_space_figures(const struct lb *lb, const struct lb_space *p, struct lb_pool *out);
/* Everybody who has an address of it is dirty. */
void lb_space_touch(struct lb *lb, const struct lb_space *p);

/* lb_addr.c */
struct lb_addr *lb_addr_find(const struct lb *lb, const struct weft_addr *a);
void lb_hold(struct lb *lb, struct lb_svc *s, const struct weft_addr *a, const char *pool);
void lb_release(struct lb *lb, struct lb_svc *s, int family);
/* An owner that may not have this address together with s; before: only those that come before s. */
const struct lb_svc *lb_rival(const struct lb *lb, const struct lb_svc *s, const struct weft_addr *a,
                              bool before);
/* Whom an address concerns is asked again: its other owners, and those who wait. */
void lb_addr_changed(struct lb *lb, const struct lb_svc *s, const struct weft_addr *a);

/* lb_decide.c */
void lb_adopt(struct lb *lb, struct lb_svc *s, const struct weft_addr *ingress);
void lb_mark(struct lb *lb, struct lb_svc *s);
void lb_mark_waiting(struct lb *lb);
void lb_settle(struct lb *lb);
void lb_answer(struct lb *lb, struct lb_svc *s, enum lb_state state, const char *reason, const char *message);
void lb_out_of_lists(struct lb *lb, struct lb_svc *s);

/* lb_text.c */
struct lb_problem {
	const char *reason; /* NULL: none */
	char text[sizeof(((struct lb_service *)0)->message)];
};
__attribute__((format(printf, 3, 4))) void lb_problem(struct lb_problem *p, const char *reason,
                                                      const char *fmt, ...);
const char *lb_family_name(int family);
void lb_text_assigned(const struct lb_svc *s, const struct lb *lb, char *out, size_t size);

#endif
