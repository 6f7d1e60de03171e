// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where to listen: ":PORT", "IPV4:PORT", "[IPV6]:PORT", or "" for nowhere; and the section `metrics`.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/config/config_int.h"
#include "weft/cleanup.h"

bool config_port(const char *text, size_t len, uint16_t *out)
{
	unsigned long port;

	if (len == 0 || len > 5 || strspn(text, "0123456789") < len)
		return false;
	port = strtoul(text, NULL, 10);
	*out = (uint16_t)port;
	return port >= 1 && port <= 65535;
}

/* The part before the last colon. */
static bool parse_host(const char *text, size_t len, struct weft_addr *out)
{
	char host[WEFT_ADDR_STR];
	bool brackets = len >= 2 && text[0] == '[' && text[len - 1] == ']';

	*out = (struct weft_addr){0};
	if (len == 0)
		return true;
	if (brackets) {
		text++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	return weft_addr_parse(host, out, NULL) == 0 && brackets == (out->family == AF_INET6);
}

static bool unspecified(const struct weft_addr *a)
{
	static const uint8_t zero[16] = {0};

	return !memcmp(a->bytes, zero, sizeof(zero));
}

int config_listen(struct weft_decode_ctx *ctx, const cJSON *v, unsigned usual, struct weft_addr *addr,
                  uint16_t *port)
{
	const char *text = weft_decode_text(ctx, v, 64), *colon;
	struct weft_addr a = {0};
	uint16_t p = 0;

	if (!text)
		return ctx->err.code;
	colon = strrchr(text, ':');
	if (*text && (!colon || !parse_host(text, (size_t)(colon - text), &a) ||
	              !config_port(colon + 1, strlen(colon + 1), &p)))
		return weft_decode_fail(
		        ctx, v,
		        "\"%s\" is not an address to listen on such as :%u or 10.0.0.1:%u or [fd00::1]:%u",
		        text, usual, usual, usual);
	/* 0.0.0.0 is all addresses, which is one socket for both families here. */
	if (unspecified(&a))
		a.family = AF_UNSPEC;
	*addr = a;
	*port = p;
	return 0;
}

void config_dump_listen(struct weft_buf *out, const char *key, const struct weft_addr *addr, uint16_t port)
{
	const char *mark = addr->family == AF_INET6 ? "[]" : "";
	char text[WEFT_ADDR_STR];

	if (!port) {
		weft_buf_printf(out, "  %s: \"\"\n", key);
		return;
	}
	weft_buf_printf(out, "  %s: \"%.1s%s%s:%u\"\n", key, mark, weft_addr_str(addr, text),
	                *mark ? mark + 1 : "", port);
}

static int field_metrics_listen(struct weft_decode_ctx *ctx, const struct weft_field *f, const cJSON *v,
                                void *out)
{
	struct weft_config_metrics *m = out;

	(void)f;
	return config_listen(ctx, v, 9179, &m->addr, &m->port);
}

static const struct weft_field metrics_fields[] = {
        {"listen", field_metrics_listen, AT(metrics), 0, NULL},
};
const struct weft_field_table config_metrics_table = {.fields = metrics_fields,
                                                      .n = WEFT_ARRAY_LEN(metrics_fields)};

void config_metrics_dump(const struct weft_config_metrics *m, struct weft_buf *out)
{
	weft_buf_str(out, "metrics:\n");
	config_dump_listen(out, "listen", &m->addr, m->port);
}
