// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kube/curl.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "weft/cleanup.h"

#define LIBRARY "libcurl.so.4"
#define OLDEST  0x075700 /* 7.87: CURLOPT_QUICK_EXIT */

#define MEMBER(name)                                            \
	{                                                       \
		"curl_" #name, offsetof(struct kube_curl, name) \
	}

static const struct {
	const char *symbol;
	size_t offset;
} members[] = {
        MEMBER(global_init),    MEMBER(easy_init),           MEMBER(easy_setopt),
        MEMBER(easy_getinfo),   MEMBER(easy_strerror),       MEMBER(easy_reset),
        MEMBER(easy_cleanup),   MEMBER(easy_pause),          MEMBER(multi_init),
        MEMBER(multi_setopt),   MEMBER(multi_add_handle),    MEMBER(multi_remove_handle),
        MEMBER(multi_assign),   MEMBER(multi_socket_action), MEMBER(multi_info_read),
        MEMBER(multi_cleanup),  MEMBER(multi_strerror),      MEMBER(slist_append),
        MEMBER(slist_free_all), MEMBER(version_info),
};
_Static_assert(WEFT_ARRAY_LEN(members) * sizeof(void (*)(void)) == sizeof(struct kube_curl),
               "each member of struct kube_curl is looked up");

static int look_up(void *library, struct kube_curl *out, struct weft_err *err)
{
	for (size_t i = 0; i < WEFT_ARRAY_LEN(members); i++) {
		void *symbol = dlsym(library, members[i].symbol);

		if (!symbol)
			return weft_err_set(err, ENOSYS, LIBRARY " has no %s", members[i].symbol);
		*(void **)((char *)out + members[i].offset) = symbol; /* POSIX, dlsym() */
	}
	return 0;
}

/* Names are looked up in a thread (AsynchDNS), so that the loop never waits for a DNS server. */
static int check(const struct kube_curl *curl, struct weft_err *err)
{
	const curl_version_info_data *v = curl->version_info(CURLVERSION_NOW);

	if (v->version_num < OLDEST)
		return weft_err_set(err, ENOSYS, LIBRARY " is %s, 7.87 or newer is needed", v->version);
	if (!(v->features & CURL_VERSION_SSL) || !(v->features & CURL_VERSION_ASYNCHDNS))
		return weft_err_set(err, ENOSYS, LIBRARY " %s was built without TLS or asynchronous DNS",
		                    v->version);
	if (curl->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return weft_err_set(err, EIO, LIBRARY " can't start");
	return 0;
}

const struct kube_curl *kube_curl(struct weft_err *err)
{
	static struct kube_curl curl;
	static bool ready;
	void *library;

	if (ready)
		return &curl;
	library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		weft_err_set(err, ENOENT,
		             "the Kubernetes datastore needs " LIBRARY " (Debian package libcurl4): %s",
		             dlerror());
		return NULL;
	}
	ready = look_up(library, &curl, err) == 0 && check(&curl, err) == 0;
	if (!ready)
		dlclose(library);
	return ready ? &curl : NULL;
}
