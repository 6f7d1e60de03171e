// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table `filter` of iptables-legacy (x_tables), which nftables does not show: does its chain INPUT drop what no
 * rule accepts?
 *
 * It is read by getsockopt(), as iptables does (linux/netfilter_ipv4/ip_tables.h), but only where it exists:
 * asking for one that does not would load the module that makes it. In the network namespace we are in.
 */
#ifndef WEFT_KERNEL_LEGACY_FILTER_H
#define WEFT_KERNEL_LEGACY_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/* 1: its policy is DROP; 0: it is not, or there is no such table; a negative errno: it can't be read. */
int legacy_filter_drops(uint8_t family, struct weft_err *err);

/* Does this list say so ("filter" on a line of its own, as in /proc/net/ip_tables_names)? */
bool legacy_filter_listed(const char *names);

/* The policy of a chain: the verdict of the entry at `underflow` of the table's entries. 1: DROP; 0: another one;
 * -EBADMSG: there is no such entry in them. */
int legacy_filter_policy(uint8_t family, const void *entries, size_t size, size_t underflow);

#endif
