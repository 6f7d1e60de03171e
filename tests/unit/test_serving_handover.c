// SPDX-License-Identifier: GPL-2.0-or-later
/* Hand-over in IPVS: who gets connections of other nodes, and that those which were handed over go on: when another
 * node is the next one, when nothing is handed over any more, and after a restart. */
#include "tests/unit/serving_bed.h"

#define TWO   "10.1.2.2"
#define THREE "10.1.3.3"

/* The hand-over's service of a family in the kernel, NULL = none. */
static struct fake_service *handing(struct bed *b, uint8_t family)
{
	for (size_t i = 0; i < b->ipvs_kernel.size; i++) {
		struct fake_service *s = &b->ipvs_kernel.service[i];

		if (s->used && s->s.key.fwmark && s->s.key.addr.family == family)
			return s;
	}
	return NULL;
}

/* As "10.1.2.2 w1, 10.1.3.3 w0", of both families alike. */
static void hands_to(struct bed *b, const char *text)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};

	for (size_t f = 0; f < 2; f++) {
		struct fake_service *s = handing(b, families[f]);
		weft_auto(weft_buf_free) struct weft_buf got = {0};
		char ip[WEFT_ADDR_STR];

		for (size_t i = 0; s && i < s->n; i++) {
			assert_true(s->dest[i].tunnel);
			weft_buf_printf(&got, "%s%s w%u", i ? ", " : "", weft_addr_str(&s->dest[i].addr, ip),
			                s->dest[i].weight);
		}
		assert_string_equal(s ? weft_buf_text(&got) : "none", text);
	}
}

static void has_connections(struct bed *b, const char *to, uint8_t family, uint32_t n)
{
	struct fake_service *s = handing(b, family);
	struct weft_addr a = addr(to);

	for (size_t i = 0; i < s->n; i++)
		if (!weft_addr_cmp(&s->dest[i].addr, &a))
			s->dest[i].active = n;
}

static void hand_to(struct bed *b, const char *next)
{
	struct handover_targets t = {.next = addr(next), .left = next ? 2 : 0, .drop = next != NULL};

	serving_handover(b->serving, &t);
	turn(b);
}

static void audited(struct bed *b)
{
	serving_handover_audit(b->serving);
	turn(b);
}

static void begin(struct bed *b)
{
	turn(b); /* as the daemon: IPVS is read, and then looked at */
	audited(b);
}

static void what_was_handed_over_goes_on(void **state)
{
	struct bed *b = *state;

	begin(b);
	hands_to(b, "none");
	hand_to(b, TWO);
	hands_to(b, TWO " w1");
	has_connections(b, TWO, AF_INET6, 3);
	hand_to(b, THREE);
	hands_to(b, TWO " w0, " THREE " w1");
	audited(b);
	hands_to(b, TWO " w0, " THREE " w1");
	has_connections(b, THREE, AF_INET, 1);
	hand_to(b, NULL);
	hands_to(b, TWO " w0, " THREE " w0");
	has_connections(b, TWO, AF_INET6, 0);
	audited(b);
	hands_to(b, THREE " w0");
	hand_to(b, THREE);
	hands_to(b, THREE " w1");
	hand_to(b, NULL);
	has_connections(b, THREE, AF_INET, 0);
	audited(b);
	hands_to(b, "none");
}

static void a_restart_knows_what_was_handed_over(void **state)
{
	struct bed *b = *state;

	begin(b);
	hand_to(b, TWO);
	has_connections(b, TWO, AF_INET, 1);
	new_life(b);
	begin(b);
	sweep(b);
	hands_to(b, TWO " w0");
	has_connections(b, TWO, AF_INET, 0);
	new_life(b);
	begin(b);
	sweep(b);
	hands_to(b, "none");
}

/* What can't be read is not taken for nothing. */
static void an_audit_that_fails_keeps_all(void **state)
{
	struct bed *b = *state;

	begin(b);
	hand_to(b, TWO);
	hand_to(b, NULL);
	b->ipvs_kernel.dump_error = -EINTR;
	serving_handover_audit(b->serving);
	b->ipvs_kernel.dump_error = 0;
	turn(b);
	hands_to(b, TWO " w0");
	audited(b);
	hands_to(b, "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(what_was_handed_over_goes_on),
	        TEST(a_restart_knows_what_was_handed_over),
	        TEST(an_audit_that_fails_keeps_all),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
