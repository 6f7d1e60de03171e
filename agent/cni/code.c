// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cni/code.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

const char *cni_code_msg(int code)
{
	switch ((enum cni_code)code) {
	case CNI_OK:
		return "success";
	case CNI_E_VERSION:
		return "incompatible CNI version";
	case CNI_E_FIELD:
		return "unsupported field in network configuration";
	case CNI_E_CONTAINER:
		return "container unknown or does not exist";
	case CNI_E_ENV:
		return "invalid environment variables";
	case CNI_E_IO:
		return "I/O failure";
	case CNI_E_DECODE:
		return "failed to decode content";
	case CNI_E_CONFIG:
		return "invalid network configuration";
	case CNI_E_AGAIN:
		return "try again later";
	case CNI_E_UNAVAILABLE:
		return "the plugin is not available";
	case CNI_E_LIMITED:
		return "the plugin is not available, existing containers may have limited connectivity";
	case CNI_E_NETWORK:
		return "failed to set up the pod's interface";
	case CNI_E_IPAM:
		return "failed to use the address state";
	case CNI_E_CHECK:
		return "the attachment is not as expected";
	}
	return "unknown error";
}

int cni_fail(struct weft_err *err, enum cni_code code, const char *fmt, ...)
{
	char text[WEFT_ERR_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	weft_err_set(err, EINVAL, "%s", text);
	return code;
}
