// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "weft/cleanup.h"
#include "weft/file.h"

int weftd_lock(const char *state_dir, struct weft_err *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[PATH_MAX];
	int r = weft_mkdirs(state_dir, 0750, err);

	if (r < 0)
		return weft_err_wrap(err, "stateDir");
	snprintf(path, sizeof(path), "%s/" WEFTD_LOCK, state_dir);
	weft_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return weft_err_errno(err, errno, "can't open %s", path);
	/* A process lock, not flock(): F_GETLK can name the holder. */
	if (fcntl(fd, F_SETLK, &lock) == 0)
		return WEFT_TAKE_FD(fd);
	if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		return weft_err_set(err, EBUSY, "weftd runs already with this state folder (%s), pid %d",
		                    state_dir, (int)lock.l_pid);
	return weft_err_set(err, EBUSY, "weftd runs already with this state folder (%s)", state_dir);
}
