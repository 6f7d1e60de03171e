// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Scope-bound release of resources, so that every early return is safe.
 *
 *	weft_autofree char *text = NULL;	freed when the scope ends
 *	weft_autoclose int fd = -1;		closed when the scope ends
 *	return WEFT_TAKE_PTR(text);		ownership leaves the scope
 */
#ifndef WEFT_CLEANUP_H
#define WEFT_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <dirent.h>

static inline void weft_cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void weft_cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void weft_cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void weft_cleanup_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define weft_autofree     __attribute__((cleanup(weft_cleanup_free)))
#define weft_autoclose    __attribute__((cleanup(weft_cleanup_close)))
#define weft_autofclose   __attribute__((cleanup(weft_cleanup_fclose)))
#define weft_autoclosedir __attribute__((cleanup(weft_cleanup_closedir)))
#define weft_auto(fn)     __attribute__((cleanup(fn)))

#define WEFT_TAKE_PTR(p)                  \
	({                                \
		__typeof__(p) taken_ = p; \
		p = NULL;                 \
		taken_;                   \
	})
#define WEFT_TAKE_FD(fd)         \
	({                       \
		int taken_ = fd; \
		fd = -1;         \
		taken_;          \
	})

#define WEFT_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
