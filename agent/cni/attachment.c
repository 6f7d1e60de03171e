// SPDX-License-Identifier: GPL-2.0-or-later
/* The names and numbers of an attachment, without touching the kernel: attach.h. */
#include "agent/cni/attach.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "weft/marks.h"

const uint8_t cni_host_mac[6] = {0x02, 'w', 'e', 'f', 't', 0x01};

struct weft_addr cni_gateway(uint8_t family)
{
	struct weft_addr a = {0};

	weft_addr_parse(family == AF_INET ? CNI_GATEWAY4 : CNI_GATEWAY6, &a, NULL);
	return a;
}

const char *cni_mac_str(const uint8_t mac[6], char buf[CNI_MAC_STR])
{
	snprintf(buf, CNI_MAC_STR, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
	         mac[5]);
	return buf;
}

bool cni_is_pod_dev(const char *name)
{
	size_t prefix = strlen(WEFT_DEV_PREFIX);

	return strncmp(name, WEFT_DEV_PREFIX, prefix) == 0 && strlen(name) == prefix + CNI_DEV_DIGITS &&
	       strspn(name + prefix, "0123456789abcdef") == CNI_DEV_DIGITS;
}

bool cni_alias_is_foreign(const char *alias, const char *container_id, const char *ifname)
{
	const char *slash = strchr(alias, '/');
	size_t id = strlen(container_id);

	if (!alias[0])
		return false;
	return !slash || strncmp(slash + 1, container_id, id) != 0 || slash[1 + id] != '/' ||
	       strcmp(slash + 1 + id + 1, ifname) != 0;
}

void cni_attachment_init(struct cni_attachment *a, const char *network, const char *container_id,
                         const char *ifname)
{
	unsigned char hash[16];
	char key[LINKCONF_ALIAS_MAX], hex[2 * 6 + 1];

	*a = (struct cni_attachment){.container_id = container_id, .pod_dev = ifname};
	snprintf(key, sizeof(key), "%s/%s", container_id, ifname);
	snprintf(a->alias, sizeof(a->alias), "weft:%s/%s", network, key);
	crypto_generichash(hash, sizeof(hash), (const unsigned char *)key, strlen(key), NULL, 0);
	sodium_bin2hex(hex, sizeof(hex), hash, 6);
	snprintf(a->host_dev, sizeof(a->host_dev), WEFT_DEV_PREFIX "%.*s", CNI_DEV_DIGITS, hex);
	memcpy(a->pod_mac, hash + 6, 6);
	a->pod_mac[0] = (uint8_t)((a->pod_mac[0] & 0xfe) | 0x02); /* unicast, locally administered */
}
