// SPDX-License-Identifier: GPL-2.0-or-later
#include "weft/log.h"
#include "weft/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const int journal_priority[] = {3, 4, 6, 7};

/* Written once by weft_log_init() at start-up: the one process-wide setting. */
static enum weft_log_level max_level = WEFT_LOG_INFO;
static int to_journal;

void weft_log_init(enum weft_log_level level)
{
	max_level = level;
	to_journal = getenv("JOURNAL_STREAM") != NULL;
}

int weft_log_level_parse(const char *name)
{
	for (int i = 0; i < 4; i++)
		if (!strcmp(name, level_names[i]))
			return i;
	return -1;
}

static int prefix(char *line, size_t size, enum weft_log_level level)
{
	struct timespec now;
	struct tm tm;
	char stamp[32];

	if (to_journal)
		return snprintf(line, size, "<%d>", journal_priority[level]);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	return snprintf(line, size, "%s.%03ldZ %-7s ", stamp, now.tv_nsec / 1000000, level_names[level]);
}

void weft_log(enum weft_log_level level, const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	int n;

	if (level > max_level)
		return;
	n = prefix(line, sizeof(line), level);
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	weft_text_clean(line);
	n = (int)strlen(line);
	line[n] = '\n';
	/* One write per line keeps lines of several processes whole; a closed stderr must not stop us. */
	ssize_t ignored = write(STDERR_FILENO, line, (size_t)n + 1);
	(void)ignored;
}
