// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz the reader of nft's listings: anybody who may administer the host can put anything into the table, or
 * name tables and chains as he likes.
 *
 * What must hold besides memory safety: what is left of the text is not longer, and every element that was
 * taken out is written so that it is read as the same element.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/apply/nft_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool what)
{
	if (!what)
		abort();
}

static char *text_of(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	require(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

static size_t present(const struct nft_elements *els)
{
	size_t n = 0;

	for (const struct nft_element *p = els->all; p; p = p->hh.next)
		n += p->present;
	return n;
}

/* Written as sets and read again: nothing is lost, and nothing but the sets' heads is left. */
static void again(const struct nft_elements *els)
{
	struct nft_elements copy;
	struct weft_buf b = {0};
	char *text;

	nft_text_sets(&b, true, els);
	text = weft_buf_take(&b);
	nft_elements_init(&copy);
	nft_elements_services(&copy, true);
	nft_elements_read_begin(&copy);
	require(nft_listing_read(text, &copy, true));
	nft_elements_read_end(&copy);
	for (const struct nft_element *p = els->all; p; p = p->hh.next) {
		const struct nft_element *q = nft_elements_find(&copy, &p->e);

		require(!nft_element_target(els, p) || (q && q->present && q->e.mark == p->e.mark));
	}
	require(present(&copy) <= present(els));
	nft_elements_free(&copy);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char table[64], chain[64], *text = text_of(data, size), *chains = text_of(data, size);
	struct nft_elements els;

	nft_elements_init(&els);
	nft_elements_services(&els, true);
	nft_elements_read_begin(&els);
	if (nft_listing_read(text, &els, true)) {
		nft_elements_read_end(&els);
		require(strlen(text) <= size);
		again(&els);
	}
	(void)nft_listing_input_drop(chains, table, chain);
	nft_elements_free(&els);
	free(text);
	free(chains);
	return 0;
}
