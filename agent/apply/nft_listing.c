// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads what `nft list` prints: nft_private.h.
 *
 * One listing is one consistent view of rules and elements. Of a table, the elements of our sets are taken
 * out, line by line:
 *
 *	table inet weft {
 *		set vip4 {
 *			type ipv4_addr
 *			elements = { 10.96.0.10, 10.96.0.11,
 *				     10.96.0.12 }
 *		}
 *
 * and the rest, which is text that the kernel's objects alone decide, stays. Somebody else may have written
 * anything into the table: what is not understood is said to be altered, and the table is made anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/apply/nft_private.h"

#define NO_SET NFT_SETS

/* The next of the parts that " . " or " : " separate; NULL at the end. */
static char *next_part(char **at)
{
	char *start = *at, *sep = start;

	if (!start)
		return NULL;
	for (; *sep; sep++)
		if (sep[0] == ' ' && (sep[1] == '.' || sep[1] == ':') && sep[2] == ' ')
			break;
	*at = *sep ? sep + 3 : NULL;
	*sep = '\0';
	return start;
}

static bool number(const char *text, unsigned long max, unsigned long *out)
{
	char *stop = NULL;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	*out = strtoul(text, &stop, strncmp(text, "0x", 2) ? 10 : 16);
	return !errno && stop != text && *stop == '\0' && *out <= max;
}

static bool address(const char *text, unsigned set, struct weft_addr *out)
{
	return text && weft_addr_parse(text, out, NULL) == 0 && out->family == (set % 2 ? AF_INET6 : AF_INET);
}

static bool prefix(const char *text, unsigned set, struct weft_prefix *out)
{
	if (!text)
		return false;
	if (strchr(text, '/'))
		return weft_prefix_parse(text, out, NULL) == 0 &&
		       out->addr.family == (set % 2 ? AF_INET6 : AF_INET);
	if (!address(text, set, &out->addr))
		return false;
	*out = weft_prefix_host(&out->addr);
	return true;
}

static bool parse_element(char *text, unsigned set, struct svc_element *e)
{
	unsigned fields = nft_kinds[set / 2].fields;
	unsigned long proto = 0, port = 0, mark = 0;
	struct weft_addr same;

	memset(e, 0, sizeof(*e));
	e->set = (uint8_t)(set / 2);
	if (!address(next_part(&text), set, &e->addr))
		return false;
	if ((fields & NFT_PORT) &&
	    (!number(next_part(&text), UINT8_MAX, &proto) || !number(next_part(&text), UINT16_MAX, &port)))
		return false;
	if ((fields & NFT_SOURCE) && !prefix(next_part(&text), set, &e->source))
		return false;
	if ((fields & NFT_ITSELF) &&
	    (!address(next_part(&text), set, &same) || weft_addr_cmp(&same, &e->addr) != 0))
		return false;
	if ((fields & NFT_MARK) && !number(next_part(&text), UINT32_MAX, &mark))
		return false;
	e->proto = (uint8_t)proto;
	e->port = (uint16_t)port;
	e->mark = (uint32_t)mark;
	return text == NULL;
}

/* Reads from behind the brace; returns where its line ends. NULL: an element is not ours. */
static char *parse_elements(char *at, unsigned set, struct nft_elements *els, bool first)
{
	struct svc_element e;
	char stop = ',';

	while (stop == ',') {
		char *start = at + strspn(at, " \t\n");

		at = start + strcspn(start, ",}");
		stop = *at;
		if (!stop)
			return NULL;
		*at++ = '\0';
		if (stop == '}' && at[-2] == ' ')
			at[-2] = '\0';
		if (!parse_element(start, set, &e))
			return NULL;
		nft_elements_found(els, &e, first);
	}
	return *at == '\n' ? at + 1 : NULL;
}

/* "\tset vip4 {" */
static unsigned set_named(const char *line)
{
	char name[32];

	if (strncmp(line, "\tset ", 5) != 0 && strncmp(line, "\tmap ", 5) != 0)
		return NO_SET;
	for (unsigned set = 0; set < NFT_SETS; set++) {
		int len = snprintf(name, sizeof(name), "%s%c {\n", nft_kinds[set / 2].name,
		                   set % 2 ? '6' : '4');

		if (!strncmp(line + 5, name, (size_t)len) && nft_set_exists(set, true))
			return set;
	}
	return NO_SET;
}

bool nft_listing_read(char *text, struct nft_elements *els, bool first)
{
	static const char head[] = "\t\telements = {";
	char *in = text, *out = text;
	unsigned set = NO_SET;

	while (*in) {
		size_t len = strcspn(in, "\n");

		len += in[len] == '\n';
		if (set == NO_SET || !strncmp(in, "\t}", 2))
			set = set_named(in);
		if (set != NO_SET && !strncmp(in, head, sizeof(head) - 1)) {
			in = parse_elements(in + sizeof(head) - 1, set, els, first);
			if (!in)
				return false;
			continue;
		}
		memmove(out, in, len);
		out += len;
		in += len;
	}
	*out = '\0';
	return true;
}

/* "table inet filter {": ours and those of families whose input hook is not the host's are no answer. */
static bool foreign_table(const char *line, char table[64])
{
	static const char *const of[] = {"table inet ", "table ip ", "table ip6 "};

	for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++)
		if (!strncmp(line, of[i], strlen(of[i]))) {
			snprintf(table, 64, "%.*s", (int)strcspn(line + 6, "{") - 1, line + 6);
			return strcmp(table, NFT_TABLE) != 0;
		}
	return false;
}

bool nft_listing_input_drop(char *text, char table[64], char chain[64])
{
	bool foreign = false;
	char *save = NULL;

	chain[0] = '\0';
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!strncmp(line, "table ", 6))
			foreign = foreign_table(line, table);
		else if (!strncmp(line, "\tchain ", 7))
			snprintf(chain, 64, "%.*s", (int)strcspn(line + 7, " "), line + 7);
		else if (foreign && strstr(line, "type filter hook input ") && strstr(line, "policy drop;"))
			return true;
	}
	return false;
}
