// SPDX-License-Identifier: GPL-2.0-or-later
/* A record of an allocation file with any bytes changed is never taken for a record: nobody's address is
 * given out. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ipam/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weft_addr addr = {.family = AF_INET, .bytes = {10, 0, 0, 5}};
	struct weft_ipam_entry entry = {.addr = addr,
	                                .state = WEFT_IPAM_USED,
	                                .seq = 7,
	                                .released_ms = 1000,
	                                .container_id = "abc",
	                                .ifname = "eth0",
	                                .host_dev = "weft0123456789a"};
	char whole[WEFT_IPAM_RECORD], changed[WEFT_IPAM_RECORD];

	weft_ipam_record_encode(&entry, whole);
	memcpy(changed, whole, sizeof(changed));
	for (size_t i = 0; i + 1 < size; i += 2)
		changed[data[i]] = (char)(changed[data[i]] ^ data[i + 1]);
	weft_ipam_record_decode(changed, &addr, &entry);
	if (memcmp(changed, whole, sizeof(whole)) ? entry.state != WEFT_IPAM_CORRUPT
	                                          : entry.state != WEFT_IPAM_USED)
		abort();
	return 0;
}
