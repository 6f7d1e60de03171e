// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the ports of a Service and of an EndpointSlice have in common.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "agent/source/kinds.h"
#include "weft/cleanup.h"

#define PORT_NAME_MAX 63

int weft_field_port_name(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	const char *text = weft_decode_text(ctx, v, PORT_NAME_MAX);

	(void)f;
	if (!text)
		return ctx->err.code;
	if (*text && (!weft_name_valid(text) || strchr(text, '.')))
		return weft_decode_fail(
		        ctx, v, "\"%s\" is not the name of a port (lower case letters, digits and '-')",
		        text);
	return weft_decode_copy(ctx, v, text, out);
}

int weft_field_protocol(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v, void *out)
{
	static const char *const names[] = {"TCP", "UDP", "SCTP", NULL};
	static const uint8_t numbers[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
	static const struct weft_enum protocols = {names};
	const struct weft_field choice = {.key = f->key, .arg = &protocols};
	int i = 0, r = weft_field_choice(ctx, &choice, v, &i);

	if (r == 0)
		*(uint8_t *)out = numbers[i];
	return r;
}

static int by_name(const void *x, const void *y)
{
	const struct weft_service_port *const *a = x, *const *b = y;

	return strcmp((*a)->name, (*b)->name);
}

static int by_number(const void *x, const void *y)
{
	const struct weft_service_port *const *a = x, *const *b = y;

	if ((*a)->protocol != (*b)->protocol)
		return (*a)->protocol < (*b)->protocol ? -1 : 1;
	return (*a)->port < (*b)->port ? -1 : (*a)->port > (*b)->port;
}

int weft_check_ports(struct weft_decode_ctx *ctx, const cJSON *at, const struct weft_service_port *ports,
                     size_t n, bool numbers)
{
	weft_autofree const struct weft_service_port **order = NULL;
	int r = weft_decode_array(ctx, at, n, sizeof(*order), (void **)&order);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		order[i] = &ports[i];
	qsort(order, n, sizeof(*order), by_name);
	for (size_t i = 1; i < n; i++)
		if (!by_name(&order[i - 1], &order[i]))
			return weft_decode_fail(ctx, at, "two ports have the name \"%s\"", order[i]->name);
	if (!numbers)
		return 0;
	qsort(order, n, sizeof(*order), by_number);
	for (size_t i = 1; i < n; i++)
		if (!by_number(&order[i - 1], &order[i]))
			return weft_decode_fail(ctx, at, "port %u appears twice for one protocol",
			                        order[i]->port);
	return 0;
}
