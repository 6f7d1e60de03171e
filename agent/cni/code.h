// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CNI error codes (CNI specification 1.1, section 5, "Error").
 *
 * A function of agent/cni that can fail the whole command returns 0 or one of these (positive) codes and
 * fills the error text; main prints both as the specification's error object.
 */
#ifndef WEFT_CNI_CODE_H
#define WEFT_CNI_CODE_H

#include "weft/err.h"

enum cni_code {
	CNI_OK = 0,
	CNI_E_VERSION = 1,      /* incompatible CNI version */
	CNI_E_FIELD = 2,        /* unsupported field in the network configuration */
	CNI_E_CONTAINER = 3,    /* container unknown or gone: no clean-up needed */
	CNI_E_ENV = 4,          /* invalid environment variable */
	CNI_E_IO = 5,           /* input or output failed */
	CNI_E_DECODE = 6,       /* not JSON */
	CNI_E_CONFIG = 7,       /* invalid network configuration */
	CNI_E_AGAIN = 11,       /* try again later */
	CNI_E_UNAVAILABLE = 50, /* STATUS: ADD can't be served */
	CNI_E_LIMITED = 51,     /* STATUS: the same, and existing pods may be cut off */
	CNI_E_NETWORK = 100,    /* ours: the kernel refused a device, address or route */
	CNI_E_IPAM = 101,       /* ours: the address state on disk can't be used */
	CNI_E_CHECK = 102,      /* ours: CHECK found a difference */
};

/* The short `msg` of a code. */
const char *cni_code_msg(int code);

/* Describe a failure and return its code: `return cni_fail(err, CNI_E_ENV, "...")`. */
int cni_fail(struct weft_err *err, enum cni_code code, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

#endif
