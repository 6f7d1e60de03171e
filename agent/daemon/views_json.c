// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/views.h"

void view_addr(cJSON *to, const char *name, const struct weft_addr *a)
{
	char text[WEFT_ADDR_STR];

	if (weft_addr_is_set(a))
		cJSON_AddStringToObject(to, name, weft_addr_str(a, text));
}

void view_prefix(cJSON *to, const char *name, const struct weft_prefix *p)
{
	char text[WEFT_PREFIX_STR];

	cJSON_AddStringToObject(to, name, weft_prefix_str(p, text));
}
