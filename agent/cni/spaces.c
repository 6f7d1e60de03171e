// SPDX-License-Identifier: GPL-2.0-or-later
/* The two network namespaces of an attachment: attach.h. */
#include "agent/cni/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* O_NONBLOCK: the path may be anything, a FIFO would wait for ever. */
static int open_namespace(const char *path, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && fstat(fd, st) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

int cni_spaces_open(struct cni_spaces *s, const char *pod_path, struct weft_err *err)
{
	struct stat host, pod;

	*s = CNI_SPACES_INIT;
	s->host = open_namespace("/proc/self/ns/net", &host);
	if (s->host < 0)
		return cni_fail(err, CNI_E_IO, "can't open /proc/self/ns/net: %m");
	s->pod = open_namespace(pod_path, &pod);
	if (s->pod < 0 && (errno == ENOENT || errno == ENOTDIR))
		return cni_fail(err, CNI_E_CONTAINER, "there is no network namespace %.256s", pod_path);
	if (s->pod < 0)
		return cni_fail(err, CNI_E_ENV, "can't open CNI_NETNS %.256s: %m", pod_path);
	if (ioctl(s->pod, NS_GET_NSTYPE) != CLONE_NEWNET)
		return cni_fail(err, CNI_E_ENV, "CNI_NETNS %.256s is not a network namespace", pod_path);
	if (host.st_dev == pod.st_dev && host.st_ino == pod.st_ino)
		return cni_fail(err, CNI_E_ENV,
		                "CNI_NETNS %.256s is the host's own network namespace: a pod needs another",
		                pod_path);
	return 0;
}

void cni_spaces_close(struct cni_spaces *s)
{
	if (s->host >= 0)
		close(s->host);
	if (s->pod >= 0)
		close(s->pod);
	*s = CNI_SPACES_INIT;
}

int cni_space_enter(int space, const char *which, struct weft_err *err)
{
	if (setns(space, CLONE_NEWNET) < 0)
		return weft_err_errno(err, errno, "can't enter the network namespace of %s", which);
	return 0;
}

struct netlink *cni_netlink_in(const struct cni_spaces *s, struct weft_err *err)
{
	struct netlink *nl;

	if (cni_space_enter(s->pod, "the pod", err))
		return NULL;
	nl = netlink_open(err);
	if (cni_space_enter(s->host, "the host", err)) {
		netlink_close(nl);
		return NULL;
	}
	return nl;
}
