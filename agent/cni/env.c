// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cni/env.h"
#include "weft/cleanup.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ASCII only, whatever the locale. */
static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

int cni_check_id(const char *what, const char *id, enum cni_code code, struct weft_err *err)
{
	size_t len = strlen(id);

	if (len == 0)
		return cni_fail(err, code, "%s is empty", what);
	if (len > CNI_ID_MAX)
		return cni_fail(err, code, "%s has %zu characters, more than the %d allowed", what, len,
		                CNI_ID_MAX);
	if (!is_alnum(id[0]))
		return cni_fail(err, code, "%s \"%s\" must begin with a letter or a digit", what, id);
	for (const char *p = id; *p; p++)
		if (!is_alnum(*p) && !strchr("_.-", *p))
			return cni_fail(err, code,
			                "%s \"%s\" may have only letters, digits, '_', '.' and '-'", what,
			                id);
	return 0;
}

/* The kernel's rules (dev_valid_name), and no '%': "eth%d" would let the kernel choose the name. */
int cni_check_ifname(const char *what, const char *name, enum cni_code code, struct weft_err *err)
{
	size_t len = strlen(name);

	if (len == 0)
		return cni_fail(err, code, "%s is empty", what);
	if (len >= IFNAMSIZ)
		return cni_fail(err, code, "%s \"%.64s\" has more than %d characters", what, name,
		                IFNAMSIZ - 1);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return cni_fail(err, code, "%s \"%s\" is not an interface name", what, name);
	for (const char *p = name; *p; p++)
		if (*p <= ' ' || *p >= 0x7f || strchr("/:%", *p))
			return cni_fail(err, code,
			                "%s \"%s\" may have only printable ASCII, no space, '/', ':' or '%%'",
			                what, name);
	return 0;
}

static int read_command(enum cni_command *command, struct weft_err *err)
{
	static const char *const names[] = {
	        [CNI_ADD] = "ADD",       [CNI_DEL] = "DEL", [CNI_CHECK] = "CHECK",
	        [CNI_STATUS] = "STATUS", [CNI_GC] = "GC",   [CNI_VERSION] = "VERSION",
	};
	const char *value = getenv("CNI_COMMAND");

	if (!value || !*value)
		return cni_fail(err, CNI_E_ENV, "CNI_COMMAND is not set");
	for (size_t i = 0; i < WEFT_ARRAY_LEN(names); i++) {
		if (strcmp(value, names[i]) == 0) {
			*command = (enum cni_command)i;
			return 0;
		}
	}
	return cni_fail(err, CNI_E_ENV,
	                "CNI_COMMAND is \"%.64s\"; it must be ADD, DEL, CHECK, STATUS, GC or VERSION", value);
}

static int check_netns(const char *path, struct weft_err *err)
{
	if (strlen(path) >= PATH_MAX)
		return cni_fail(err, CNI_E_ENV, "CNI_NETNS is longer than a path can be");
	if (path[0] != '/')
		return cni_fail(err, CNI_E_ENV, "CNI_NETNS \"%.256s\" is not an absolute path", path);
	for (const char *p = path; *p; p++)
		if (*p < ' ' || *p >= 0x7f)
			return cni_fail(err, CNI_E_ENV, "CNI_NETNS \"%.256s\" has unprintable characters",
			                path);
	return 0;
}

static int read_wanted(const char *value, size_t len, struct weft_addr *wanted, struct weft_err *err)
{
	char text[WEFT_PREFIX_STR] = "";
	struct weft_err why = WEFT_ERR_INIT;

	if (len < sizeof(text))
		memcpy(text, value, len);
	text[strcspn(text, "/")] =
	        '\0'; /* a prefix length is allowed and means nothing: pods have /32, /128 */
	if (weft_addr_parse(text, wanted, &why) < 0)
		return cni_fail(err, CNI_E_ENV, "CNI_ARGS: IP=%.*s is not an address",
		                (int)(len < 64 ? len : 64), value);
	return 0;
}

/* KEY=VALUE;KEY=VALUE. Keys that are not ours belong to other plugins of the chain. */
static int read_args(const char *args, struct weft_addr *wanted, struct weft_err *err)
{
	if (strlen(args) > CNI_ARGS_MAX)
		return cni_fail(err, CNI_E_ENV, "CNI_ARGS is longer than %d characters", CNI_ARGS_MAX);
	while (*args) {
		size_t len = strcspn(args, ";");
		size_t key = strcspn(args, "=;");

		if (len > 0 && (key == 0 || key >= len))
			return cni_fail(err, CNI_E_ENV, "CNI_ARGS: \"%.*s\" is not KEY=VALUE",
			                (int)(len < 64 ? len : 64), args);
		if (key == 2 && strncmp(args, "IP", 2) == 0) {
			int r = read_wanted(args + 3, len - 3, wanted, err);
			if (r)
				return r;
		}
		args += len + (args[len] == ';');
	}
	return 0;
}

static int read_attachment(struct cni_env *env, struct weft_err *err)
{
	const char *args = getenv("CNI_ARGS");
	int r;

	env->container_id = getenv("CNI_CONTAINERID");
	env->ifname = getenv("CNI_IFNAME");
	env->netns = getenv("CNI_NETNS");
	if (env->netns && !*env->netns)
		env->netns = NULL;
	if (!env->container_id)
		return cni_fail(err, CNI_E_ENV, "CNI_CONTAINERID is not set");
	if (!env->ifname)
		return cni_fail(err, CNI_E_ENV, "CNI_IFNAME is not set");
	if (!env->netns && env->command != CNI_DEL)
		return cni_fail(err, CNI_E_ENV, "CNI_NETNS is not set");
	r = cni_check_id("CNI_CONTAINERID", env->container_id, CNI_E_ENV, err);
	if (!r)
		r = cni_check_ifname("CNI_IFNAME", env->ifname, CNI_E_ENV, err);
	/* DEL never opens the namespace, so nothing there can be wrong enough to refuse the clean-up. */
	if (!r && env->netns && env->command != CNI_DEL)
		r = check_netns(env->netns, err);
	if (!r && args && env->command == CNI_ADD)
		r = read_args(args, &env->wanted, err);
	return r;
}

int cni_env_read(struct cni_env *env, struct weft_err *err)
{
	int r;

	*env = (struct cni_env){0};
	r = read_command(&env->command, err);
	if (!r && (env->command == CNI_ADD || env->command == CNI_DEL || env->command == CNI_CHECK))
		r = read_attachment(env, err);
	return r;
}
