// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libcurl, loaded when it is needed.
 *
 * Debian's libcurl brings two dozen libraries, 6 MiB of resident memory that a weftd on a directory would pay
 * for nothing. So it is opened by dlopen(3) when the datastore is Kubernetes; the types are those of its
 * header.
 */
#ifndef AGENT_KUBE_CURL_H
#define AGENT_KUBE_CURL_H

#include <curl/curl.h>

#include "weft/err.h"

/* Each member has the name and the type of libcurl's function without its prefix "curl_". */
struct kube_curl {
	CURLcode (*global_init)(long flags);
	CURL *(*easy_init)(void);
	CURLcode (*easy_setopt)(CURL *easy, CURLoption option, ...);
	CURLcode (*easy_getinfo)(CURL *easy, CURLINFO info, ...);
	const char *(*easy_strerror)(CURLcode code);
	void (*easy_reset)(CURL *easy);
	void (*easy_cleanup)(CURL *easy);
	CURLcode (*easy_pause)(CURL *easy, int mask);
	CURLM *(*multi_init)(void);
	CURLMcode (*multi_setopt)(CURLM *multi, CURLMoption option, ...);
	CURLMcode (*multi_add_handle)(CURLM *multi, CURL *easy);
	CURLMcode (*multi_remove_handle)(CURLM *multi, CURL *easy);
	CURLMcode (*multi_socket_action)(CURLM *multi, curl_socket_t s, int events, int *running);
	CURLMcode (*multi_assign)(CURLM *multi, curl_socket_t s, void *sockp);
	CURLMsg *(*multi_info_read)(CURLM *multi, int *left);
	const char *(*multi_strerror)(CURLMcode code);
	CURLMcode (*multi_cleanup)(CURLM *multi);
	struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
	void (*slist_free_all)(struct curl_slist *list);
	curl_version_info_data *(*version_info)(CURLversion age);
};

/* Loaded and initialised once per process; NULL with what to install. Never unloaded. */
const struct kube_curl *kube_curl(struct weft_err *err);

#endif
