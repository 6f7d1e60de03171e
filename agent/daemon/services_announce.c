// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a VIP is announced as. Each Service that has it brings what its BGPAdvertisements say: prefixes (the address
 * itself, an aggregate) with a class. The announcer joins what stands behind one prefix, so that a VIP that several
 * Services have is announced by all the BGPAdvertisements that choose any of them.
 *
 * When only the class changes, the announcer sees to it that nothing is withdrawn. When the prefixes change too (an
 * aggregate instead of the address), the former ones stay until BIRD's filters know the classes of all the new ones.
 */
#include "agent/daemon/services_private.h"

static void choose(struct serving *s, struct adverts *book, const struct weft_meta *meta,
                   const struct svc_vip *want, struct advert_choices *out)
{
	struct advert_subject subject;

	*out = (struct advert_choices){0};
	if (!want->route && want->kind == SVC_VIP_CLUSTER)
		return; /* its service CIDR is announced as a whole */
	subject = svc_subject(&s->env, meta, want);
	adverts_choose(book, s->o.cluster, &subject, out);
}

void announce_choose(struct serving *s, struct vip_user *u, const struct weft_meta *meta,
                     const struct svc_vip *want)
{
	struct adverts *book = announcer_book(s->o.announcer);
	struct advert_choices old = u->choices;

	choose(s, book, meta, want, &u->choices);
	adverts_choices_release(book, &old);
}

size_t serving_preview_vip(struct serving *s, const struct weft_meta *service, const struct svc_vip *vip,
                           struct announcer *to, struct weft_prefix said[ADVERT_CHOICES])
{
	struct advert_choices choices;
	size_t n;

	if (!vip->advertise || !env_can_serve(s, vip->addr.family))
		return 0;
	choose(s, announcer_book(to), service, vip, &choices);
	n = choices.n;
	for (size_t i = 0; i < n; i++) {
		announcer_add(to, &choices.list[i], vip->weight);
		said[i] = choices.list[i].prefix;
	}
	adverts_choices_release(announcer_book(to), &choices);
	return n;
}

void announce_forget(struct serving *s, struct vip_user *u)
{
	adverts_choices_release(announcer_book(s->o.announcer), &u->choices);
}

/* The best of what it is to Services that announce it: what two of them share is announced as the LoadBalancer IP
 * that it is. */
static bool is_better(const struct vip_user *a, const struct vip_user *b)
{
	static const unsigned rank[] = {[SVC_VIP_LB] = 0, [SVC_VIP_EXTERNAL] = 1, [SVC_VIP_CLUSTER] = 2};

	return !b || rank[a->kind] < rank[b->kind];
}

static const struct vip_user *speaker(const struct serving *s, const struct vip *v)
{
	const struct vip_user *best = NULL;

	for (const struct vip_user *u = v->users; u && env_can_serve(s, v->addr.family); u = u->next)
		if (u->advertise && u->choices.n && is_better(u, best))
			best = u;
	return best;
}

bool announce_wanted(const struct serving *s, const struct vip *v)
{
	return speaker(s, v);
}

/* What the announcer should be told; free it. */
static struct vip_said *list(const struct serving *s, const struct vip *v, size_t *n)
{
	const struct vip_user *best = speaker(s, v);
	struct vip_said *said = NULL;

	*n = 0;
	for (const struct vip_user *u = best ? v->users : NULL; u; u = u->next) {
		if (!u->advertise || u->kind != best->kind)
			continue;
		for (size_t i = 0; i < u->choices.n; i++) {
			said = must_grow(said, *n + 1, sizeof(*said));
			said[*n].choice = u->choices.list[i];
			said[(*n)++].weight = u->choices.list[i].weight ? u->weight : 0;
		}
	}
	return said;
}

static bool same_prefix(const struct vip_said *a, const struct vip_said *b)
{
	return !weft_prefix_cmp(&a->choice.prefix, &b->choice.prefix);
}

static bool same(const struct vip_said *a, const struct vip_said *b)
{
	return same_prefix(a, b) && a->choice.metric == b->choice.metric &&
	       a->choice.weight == b->choice.weight && a->weight == b->weight;
}

static bool differs(const struct vip *v, const struct vip_said *said, size_t n,
                    bool (*is_same)(const struct vip_said *, const struct vip_said *))
{
	bool other = n != v->n_said;

	for (size_t i = 0; i < n && !other; i++)
		other = !is_same(&v->said[i], &said[i]);
	return other;
}

bool announce_differs(const struct serving *s, const struct vip *v)
{
	size_t n;
	struct vip_said *said = list(s, v, &n);
	bool other = differs(v, said, n, same);

	free(said);
	return other;
}

static bool all_open(const struct serving *s, const struct vip_said *said, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!announcer_open(s->o.announcer, &said[i].choice))
			return false;
	return true;
}

static void tell(struct serving *s, struct vip *v, struct vip_said *said, size_t n)
{
	for (size_t i = 0; i < n; i++)
		announcer_add(s->o.announcer, &said[i].choice, said[i].weight);
	for (size_t i = 0; i < v->n_said; i++)
		announcer_drop(s->o.announcer, &v->said[i].choice, v->said[i].weight);
	s->n_announced += n != 0;
	s->n_announced -= v->n_said != 0;
	free(v->said);
	v->said = said;
	v->n_said = n;
}

static void set_gated(struct serving *s, struct vip *v, bool gated)
{
	if (v->gated == gated)
		return;
	v->gated = gated;
	if (gated)
		DL_APPEND2(s->gated, v, gated_prev, gated_next);
	else
		DL_DELETE2(s->gated, v, gated_prev, gated_next);
}

bool announce_say(struct serving *s, struct vip *v)
{
	size_t n;
	struct vip_said *said = list(s, v, &n);
	bool moves = v->n_said && differs(v, said, n, same_prefix);

	set_gated(s, v, moves && !all_open(s, said, n));
	if (v->gated) {
		free(said);
		return false;
	}
	tell(s, v, said, n);
	return true;
}

void announce_end(struct serving *s, struct vip *v)
{
	set_gated(s, v, false);
	tell(s, v, NULL, 0);
}

void announce_retry(struct serving *s)
{
	struct vip *v;

	DL_FOREACH2(s->gated, v, gated_next)
	vips_wait_for(s, v, true);
}
