// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Encoding and decoding of block file lines. The columns below are the format; both directions use them.
 */
#include "ipam/record.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "weft/cleanup.h"

#define SUM_DIGITS 16
#define ID_PLAIN   64 /* longest container ID stored as it is */
#define ID_HASHED  "blake2b:"
#define MAGIC      "weft-ipam 1"
#define RETIRED    "retired"

struct column {
	size_t at, width;
};

static const struct column col_addr = {0, 39}, col_state = {40, 8}, col_seq = {49, 12}, col_time = {62, 14},
                           col_host = {77, 15}, col_if = {93, 15}, col_id = {109, 72};
static const struct column col_magic = {0, 11}, col_cidr = {12, 49}, col_pool = {62, 253},
                           col_mode = {316, 7};

static const char *const state_names[] = {"free", "used", "reserved"};

static void put(char *line, struct column c, const char *text)
{
	size_t len = strlen(text);

	memcpy(line + c.at, text, len < c.width ? len : c.width);
}

/* The column's text without the padding; out has width + 1 bytes. */
static void get(const char *line, struct column c, char *out)
{
	size_t start = c.at, end = c.at + c.width;

	while (end > start && line[end - 1] == ' ')
		end--;
	while (start < end && line[start] == ' ')
		start++;
	memcpy(out, line + start, end - start);
	out[end - start] = '\0';
}

static void checksum(const char *line, size_t size, char out[SUM_DIGITS + 1])
{
	static const unsigned char key[crypto_shorthash_KEYBYTES] = "weft ipam line";
	unsigned char sum[crypto_shorthash_BYTES];

	crypto_shorthash(sum, (const unsigned char *)line, size - SUM_DIGITS - 1, key);
	sodium_bin2hex(out, SUM_DIGITS + 1, sum, sizeof(sum));
}

static void seal(char *line, size_t size)
{
	char sum[SUM_DIGITS + 1];

	checksum(line, size, sum);
	memcpy(line + size - SUM_DIGITS - 1, sum, SUM_DIGITS);
	line[size - 1] = '\n';
}

static bool sealed(const char *line, size_t size)
{
	char sum[SUM_DIGITS + 1];

	checksum(line, size, sum);
	return line[size - 1] == '\n' && !memcmp(line + size - SUM_DIGITS - 1, sum, SUM_DIGITS);
}

bool weft_ipam_id_valid(const char *id)
{
	if (!id || !isalnum((unsigned char)id[0]) || strnlen(id, 4097) > 4096)
		return false;
	return id[strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")] == '\0';
}

bool weft_ipam_ifname_valid(const char *ifname)
{
	if (!ifname || !ifname[0] || strnlen(ifname, 16) > 15 || !strcmp(ifname, ".") ||
	    !strcmp(ifname, ".."))
		return false;
	for (const char *p = ifname; *p; p++)
		if (*p <= ' ' || *p > '~' || *p == '/' || *p == ':')
			return false;
	return true;
}

bool weft_ipam_pool_valid(const char *pool)
{
	if (!pool || !isalnum((unsigned char)pool[0]) ||
	    strnlen(pool, WEFT_IPAM_POOL_STR) >= WEFT_IPAM_POOL_STR)
		return false;
	return pool[strspn(pool, "abcdefghijklmnopqrstuvwxyz0123456789.-")] == '\0';
}

void weft_ipam_id_store(const char *id, char out[WEFT_IPAM_ID_STR])
{
	unsigned char sum[crypto_generichash_BYTES];
	size_t len = strlen(id);

	if (len <= ID_PLAIN) {
		memcpy(out, id, len + 1);
		return;
	}
	crypto_generichash(sum, sizeof(sum), (const unsigned char *)id, len, NULL, 0);
	memcpy(out, ID_HASHED, strlen(ID_HASHED));
	sodium_bin2hex(out + strlen(ID_HASHED), 2 * sizeof(sum) + 1, sum, sizeof(sum));
}

static bool stored_id_valid(const char *id)
{
	size_t prefix = strlen(ID_HASHED);

	if (strncmp(id, ID_HASHED, prefix))
		return weft_ipam_id_valid(id) && strlen(id) <= ID_PLAIN;
	return strlen(id) == prefix + 64 && strspn(id + prefix, "0123456789abcdef") == 64;
}

void weft_ipam_record_encode(const struct weft_ipam_entry *e, char out[WEFT_IPAM_RECORD])
{
	uint64_t seq = e->seq < WEFT_IPAM_SEQ_MAX ? e->seq : WEFT_IPAM_SEQ_MAX;
	uint64_t ms = e->released_ms < WEFT_IPAM_TIME_MAX ? e->released_ms : WEFT_IPAM_TIME_MAX;
	bool used = e->state == WEFT_IPAM_USED;
	char text[WEFT_ADDR_STR];

	memset(out, ' ', WEFT_IPAM_RECORD);
	put(out, col_addr, weft_addr_str(&e->addr, text));
	put(out, col_state, state_names[e->state]);
	snprintf(text, sizeof(text), "%*llu", (int)col_seq.width, (unsigned long long)seq);
	put(out, col_seq, text);
	snprintf(text, sizeof(text), "%10llu.%03u", (unsigned long long)(ms / 1000), (unsigned)(ms % 1000));
	put(out, col_time, text);
	put(out, col_host, used && e->host_dev[0] ? e->host_dev : "-");
	put(out, col_if, used ? e->ifname : "-");
	put(out, col_id, used ? e->container_id : "-");
	seal(out, WEFT_IPAM_RECORD);
}

static bool number(const char *text, uint64_t *out)
{
	*out = 0;
	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		*out = *out * 10 + (uint64_t)(*text - '0');
	}
	return true;
}

static bool decode_numbers(const char *in, struct weft_ipam_entry *e)
{
	char text[16], *dot;
	uint64_t sec, ms;

	get(in, col_seq, text);
	if (!number(text, &e->seq))
		return false;
	get(in, col_time, text);
	dot = strchr(text, '.');
	if (!dot)
		return false;
	*dot = '\0';
	if (strlen(dot + 1) != 3 || !number(text, &sec) || !number(dot + 1, &ms))
		return false;
	e->released_ms = sec * 1000 + ms;
	return true;
}

static bool decode_state(const char *in, enum weft_ipam_state *out)
{
	char text[9];

	get(in, col_state, text);
	for (size_t i = 0; i < WEFT_ARRAY_LEN(state_names); i++) {
		if (!strcmp(text, state_names[i])) {
			*out = (enum weft_ipam_state)i;
			return true;
		}
	}
	return false;
}

static bool decode(const char *in, struct weft_ipam_entry *e)
{
	char text[40];
	struct weft_addr addr;

	if (!sealed(in, WEFT_IPAM_RECORD))
		return false;
	get(in, col_addr, text);
	if (weft_addr_parse(text, &addr, NULL) < 0 || weft_addr_cmp(&addr, &e->addr))
		return false;
	if (!decode_state(in, &e->state) || !decode_numbers(in, e))
		return false;
	if (e->state != WEFT_IPAM_USED)
		return true;
	get(in, col_host, e->host_dev);
	if (!strcmp(e->host_dev, "-"))
		e->host_dev[0] = '\0';
	get(in, col_if, e->ifname);
	get(in, col_id, e->container_id);
	return (!e->host_dev[0] || weft_ipam_ifname_valid(e->host_dev)) &&
	       weft_ipam_ifname_valid(e->ifname) && stored_id_valid(e->container_id);
}

void weft_ipam_record_decode(const char in[WEFT_IPAM_RECORD], const struct weft_addr *addr,
                             struct weft_ipam_entry *e)
{
	*e = (struct weft_ipam_entry){.addr = *addr};
	if (!decode(in, e))
		*e = (struct weft_ipam_entry){.addr = *addr, .state = WEFT_IPAM_CORRUPT};
}

void weft_ipam_header_encode(const struct weft_prefix *cidr, const char *pool, bool retired,
                             char out[WEFT_IPAM_HEADER])
{
	char text[WEFT_PREFIX_STR];

	memset(out, ' ', WEFT_IPAM_HEADER);
	put(out, col_magic, MAGIC);
	put(out, col_cidr, weft_prefix_str(cidr, text));
	put(out, col_pool, pool);
	put(out, col_mode, retired ? RETIRED : "");
	seal(out, WEFT_IPAM_HEADER);
}

bool weft_ipam_header_decode(const char in[WEFT_IPAM_HEADER], const struct weft_prefix *cidr,
                             char pool[WEFT_IPAM_POOL_STR], bool *retired)
{
	char text[WEFT_PREFIX_STR], want[WEFT_PREFIX_STR];

	pool[0] = '\0';
	*retired = false;
	if (!sealed(in, WEFT_IPAM_HEADER) || memcmp(in, MAGIC, strlen(MAGIC)))
		return false;
	get(in, col_cidr, text);
	if (strcmp(text, weft_prefix_str(cidr, want)))
		return false;
	get(in, col_pool, pool);
	*retired = !memcmp(in + col_mode.at, RETIRED, col_mode.width);
	if (!weft_ipam_pool_valid(pool))
		pool[0] = '\0';
	return pool[0] != '\0';
}
