// SPDX-License-Identifier: GPL-2.0-or-later
/* A temporary folder of a test. */
#ifndef TESTS_UNIT_TMPDIR_H
#define TESTS_UNIT_TMPDIR_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define TMPDIR_SIZE 64

static inline void tmpdir_make(char path[TMPDIR_SIZE])
{
	snprintf(path, TMPDIR_SIZE, "/tmp/weft-test-XXXXXX");
	assert_non_null(mkdtemp(path));
}

static inline int tmpdir_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* With all that is in it; links are not followed. */
static inline void tmpdir_remove(const char *path)
{
	assert_int_equal(nftw(path, tmpdir_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
