// SPDX-License-Identifier: GPL-2.0-or-later
/* Entries of the IPVS reconciler and what is wanted of them: ipvs.h, ipvs_private.h. */
#include "agent/apply/ipvs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "agent/apply/ipvs_private.h"
#include "weft/cleanup.h"

static unsigned hash_of(const struct ipvs *i, const struct svc_virtual_key *key)
{
	unsigned char out[crypto_shorthash_BYTES];
	unsigned value;

	crypto_shorthash(out, (const unsigned char *)key, sizeof(*key), i->hash_key);
	memcpy(&value, out, sizeof(value));
	return value;
}

static struct ipvs_entry *find(const struct ipvs *i, const struct svc_virtual_key *key, unsigned hash)
{
	struct ipvs_entry *e;

	HASH_FIND_BYHASHVALUE(hh, i->entries, key, sizeof(*key), hash, e);
	return e;
}

struct ipvs_entry *ipvs_find(const struct ipvs *i, const struct svc_virtual_key *key)
{
	return find(i, key, hash_of(i, key));
}

struct ipvs_entry *ipvs_entry_make(struct ipvs *i, const struct svc_virtual_key *key)
{
	unsigned hash = hash_of(i, key);
	struct ipvs_entry *e = find(i, key, hash);

	if (e)
		return e;
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->key = *key;
	HASH_ADD_BYHASHVALUE(hh, i->entries, key, sizeof(e->key), hash, e);
	return e;
}

void ipvs_place(struct ipvs *i, struct ipvs_entry *e, enum ipvs_place place)
{
	if (e->place == place)
		return;
	if (e->place != IPVS_IDLE)
		DL_DELETE(i->list[e->place], e);
	if (place != IPVS_IDLE)
		DL_APPEND(i->list[place], e);
	e->place = place;
}

static void clear_fault(struct ipvs_entry *e)
{
	free(e->fault);
	e->fault = NULL;
	e->reread_once = false;
}

static void drop_entry(struct ipvs *i, struct ipvs_entry *e)
{
	ipvs_place(i, e, IPVS_IDLE);
	HASH_DEL(i->entries, e);
	clear_fault(e);
	free(e->dests);
	free(e);
}

bool ipvs_is_ours(struct ipvs *i, struct ipvs_entry *e)
{
	if (!e->ours)
		e->ours = i->owns(i->ctx, &e->key);
	return e->ours;
}

static void settle_unwanted(struct ipvs *i, struct ipvs_entry *e)
{
	if (!e->running || !ipvs_is_ours(i, e))
		drop_entry(i, e);
	else
		ipvs_place(i, e, i->swept || e->spoken_of ? IPVS_DEL : IPVS_IDLE);
}

bool ipvs_shape_right(const struct ipvs_entry *e)
{
	return e->running && !e->odd && memcmp(&e->run, &e->want, sizeof(e->run)) == 0;
}

/* Destinations that are neither wanted nor running any more go. */
static void compact(struct ipvs_entry *e)
{
	size_t k = 0;

	for (size_t n = 0; n < e->n; n++) {
		if (e->dests[n].flags & (DEST_WANTED | DEST_RUNS))
			e->dests[k++] = e->dests[n];
	}
	e->n = k;
}

static enum ipvs_place place_of(const struct ipvs_entry *e)
{
	enum ipvs_place place = IPVS_IDLE;

	if (!ipvs_shape_right(e))
		return IPVS_GROW;
	for (size_t k = 0; k < e->n; k++) {
		enum ipvs_todo todo = ipvs_todo(&e->dests[k]);

		if (todo == TODO_ADD || todo == TODO_EDIT)
			return IPVS_GROW;
		if (todo != TODO_NOTHING)
			place = IPVS_SHRINK;
	}
	return place;
}

void ipvs_wake(struct ipvs *i, struct ipvs_entry *e)
{
	ipvs_place(i, e, e->wanted ? place_of(e) : IPVS_DEL);
}

void ipvs_settle(struct ipvs *i, struct ipvs_entry *e)
{
	enum ipvs_place place;

	compact(e);
	if (!e->wanted) {
		settle_unwanted(i, e);
		return;
	}
	place = place_of(e);
	if (place == IPVS_IDLE)
		clear_fault(e);
	ipvs_place(i, e, place);
}

void ipvs_set_running(struct ipvs_entry *e, const struct ipvs_msg_service *s)
{
	memset(&e->run, 0, sizeof(e->run));
	memcpy(e->run.scheduler, s->scheduler, sizeof(e->run.scheduler));
	e->run.sched_flags = s->sched_flags;
	e->run.persistence_s = s->persistence_s;
	e->odd = s->odd;
	e->running = true;
}

void ipvs_set_absent(struct ipvs_entry *e)
{
	e->running = false;
	e->odd = false;
	for (size_t k = 0; k < e->n; k++) {
		e->dests[k].flags &= DEST_WANTED | DEST_KEEP;
		e->dests[k].run = 0;
	}
}

static void take_dests(struct ipvs_entry *e, struct ipvs_dest *dests, size_t n)
{
	free(e->dests);
	e->dests = dests;
	e->n = n;
}

int ipvs_set_dests(struct ipvs_entry *e, const struct ipvs_dest *running, size_t n)
{
	struct ipvs_dest *merged = ipvs_dests_merge(e->dests, e->n, running, n, &n);

	if (!merged)
		return -ENOMEM;
	take_dests(e, merged, n);
	return 0;
}

/* The destinations of a plan, sorted. NULL: no memory. */
static struct ipvs_dest *dests_of(const struct svc_dest *dests, size_t *n)
{
	struct ipvs_dest *d = calloc(*n ? *n : 1, sizeof(*d));

	if (!d)
		return NULL;
	for (size_t k = 0; k < *n; k++) {
		d[k].addr = dests[k].addr;
		d[k].port = dests[k].port;
		d[k].flags = (uint8_t)(DEST_WANTED | (dests[k].keep_only ? DEST_KEEP : 0) |
		                       (dests[k].tunnel ? DEST_TUNNEL : 0));
		d[k].want = dests[k].keep_only ? 0 : dests[k].weight;
	}
	*n = ipvs_dests_sort(d, *n);
	return d;
}

/* Together with those that run, if any do. Takes `want`. */
static struct ipvs_dest *beside_running(const struct ipvs_entry *e, struct ipvs_dest *want, size_t *n)
{
	struct ipvs_dest *merged;

	if (!want || !e->n)
		return want;
	merged = ipvs_dests_merge(want, *n, e->dests, e->n, n);
	free(want);
	return merged;
}

static struct ipvs_shape shape_of(const struct svc_virtual *v)
{
	struct ipvs_shape s;

	memset(&s, 0, sizeof(s));
	memcpy(s.scheduler, v->scheduler, strnlen(v->scheduler, sizeof(s.scheduler) - 1));
	s.sched_flags = v->sched_flags;
	s.persistence_s = v->persistence_s;
	return s;
}

static size_t count_wanted(const struct ipvs_entry *e)
{
	size_t n = 0;

	for (size_t k = 0; k < e->n; k++)
		n += e->dests[k].flags & DEST_WANTED ? 1 : 0;
	return n;
}

/* Is it what was wanted before? Then a refusal's backoff goes on. */
static bool same(const struct ipvs_entry *e, const struct ipvs_shape *shape, const struct ipvs_dest *dests,
                 size_t n)
{
	return e->wanted && n == e->n && memcmp(&e->want, shape, sizeof(*shape)) == 0 &&
	       (n == 0 || memcmp(e->dests, dests, n * sizeof(*dests)) == 0);
}

int ipvs_want(struct ipvs *i, const struct svc_virtual *v, const struct svc_dest *dests, size_t n,
              struct weft_err *err)
{
	struct ipvs_entry *e = ipvs_entry_make(i, &v->key);
	struct ipvs_dest *want = e ? dests_of(dests, &n) : NULL, *merged;
	struct ipvs_shape shape = shape_of(v);
	size_t n_want = n;

	merged = beside_running(e, want, &n);
	if (!merged) {
		if (e && !e->wanted && !e->running)
			drop_entry(i, e);
		return weft_err_errno(err, ENOMEM, "a virtual service");
	}
	if (same(e, &shape, merged, n)) {
		free(merged);
		return 0;
	}
	i->wanted_dests += n_want - (e->wanted ? count_wanted(e) : 0);
	i->wanted += e->wanted ? 0 : 1;
	e->wanted = e->spoken_of = true;
	e->want = shape;
	take_dests(e, merged, n);
	clear_fault(e);
	ipvs_settle(i, e);
	return 0;
}

void ipvs_unwant(struct ipvs *i, const struct svc_virtual_key *key)
{
	struct ipvs_entry *e = ipvs_find(i, key);

	if (!e || !e->wanted)
		return;
	i->wanted--;
	i->wanted_dests -= count_wanted(e);
	e->wanted = false;
	for (size_t k = 0; k < e->n; k++) {
		e->dests[k].flags &= DEST_FACT;
		e->dests[k].want = 0;
	}
	clear_fault(e);
	ipvs_settle(i, e);
}

void ipvs_sweep(struct ipvs *i)
{
	struct ipvs_entry *e, *tmp;

	if (i->swept)
		return;
	i->swept = true;
	HASH_ITER (hh, i->entries, e, tmp) {
		if (!e->wanted)
			ipvs_settle(i, e);
	}
}

struct ipvs_msg_key ipvs_to_msg(const struct svc_virtual_key *key)
{
	return (struct ipvs_msg_key){
	        .addr = key->addr, .proto = key->proto, .port = key->port, .fwmark = key->fwmark};
}

struct svc_virtual_key ipvs_from_msg(const struct ipvs_msg_key *key)
{
	struct svc_virtual_key k;

	memset(&k, 0, sizeof(k));
	k.addr = key->addr;
	k.proto = key->proto;
	k.port = key->port;
	k.fwmark = key->fwmark;
	return k;
}

struct ipvs *ipvs_new_on(struct netlink *nl, uint16_t family_id, ipvs_owns_fn owns, void *ctx)
{
	struct ipvs *i = sodium_init() < 0 ? NULL : calloc(1, sizeof(*i));

	if (!i)
		return NULL;
	crypto_shorthash_keygen(i->hash_key);
	i->nl = nl;
	i->family = family_id;
	i->owns = owns;
	i->ctx = ctx;
	i->next_retry = IPVS_NEVER;
	i->batch = netlink_batch_new();
	i->msg = netlink_msg_new();
	if (!i->batch || !i->msg) {
		ipvs_free(i);
		return NULL;
	}
	return i;
}

void ipvs_free(struct ipvs *i)
{
	struct ipvs_entry *e, *tmp;

	if (!i)
		return;
	HASH_ITER (hh, i->entries, e, tmp)
		drop_entry(i, e);
	netlink_batch_free(i->batch);
	nlmsg_free(i->msg);
	if (i->own_nl)
		netlink_close(i->nl);
	free(i);
}

bool ipvs_available(const struct ipvs *i, struct weft_err *err)
{
	if (i->family)
		return true;
	weft_err_set(err, ENOENT, "the kernel has no IPVS: modprobe ip_vs");
	return false;
}

bool ipvs_unsure(const struct ipvs *i)
{
	return i->need_resync;
}

size_t ipvs_wanted(const struct ipvs *i)
{
	return i->wanted;
}

const char *ipvs_state_name(enum ipvs_state state)
{
	static const char *const names[] = {"installed", "pending", "not ready", "failed", "stale"};

	return names[state];
}

static enum ipvs_state state_of(const struct ipvs *i, const struct ipvs_entry *e)
{
	if (!e || !e->wanted)
		return IPVS_STALE;
	if (!i->family)
		return IPVS_NOT_READY;
	if (e->place == IPVS_IDLE)
		return IPVS_INSTALLED;
	return e->fault ? IPVS_FAILED : IPVS_PENDING;
}

enum ipvs_state ipvs_state_of(const struct ipvs *i, const struct svc_virtual_key *key, const char **text)
{
	const struct ipvs_entry *e = ipvs_find(i, key);

	if (text)
		*text = e && e->wanted && !i->family ? "the kernel has no IPVS: modprobe ip_vs"
		        : e && e->fault              ? e->fault->text
		                                     : "";
	return state_of(i, e);
}

bool ipvs_installed(const struct ipvs *i, const struct svc_virtual_key *key)
{
	return state_of(i, ipvs_find(i, key)) == IPVS_INSTALLED;
}

struct ipvs_tally ipvs_tally(const struct ipvs *i)
{
	static const enum ipvs_place unsettled[] = {IPVS_GROW, IPVS_SHRINK, IPVS_FAULTY};
	struct ipvs_tally t = {
	        .dests = i->wanted_dests, .writes = i->writes, .resyncs = i->resyncs, .repairs = i->repairs};
	const struct ipvs_entry *e;

	if (!i->family) {
		t.count[IPVS_NOT_READY] = i->wanted;
		return t;
	}
	t.count[IPVS_INSTALLED] = i->wanted;
	for (size_t k = 0; k < WEFT_ARRAY_LEN(unsettled); k++)
		DL_FOREACH (i->list[unsettled[k]], e) {
			t.count[IPVS_INSTALLED] -= e->wanted;
			t.count[state_of(i, e)] += e->wanted;
		}
	return t;
}

struct ipvs_stats ipvs_stats(const struct ipvs *i)
{
	struct ipvs_stats s = {
	        .services = i->wanted, .dests = i->wanted_dests, .writes = i->writes, .resyncs = i->resyncs};
	const struct ipvs_entry *e, *tmp;

	HASH_ITER (hh, i->entries, e, tmp)
		s.count[state_of(i, e)]++;
	return s;
}
