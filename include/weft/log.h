// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Log lines to stderr: "<time> <level> <text>", or with the journal's <N> priority prefix and no
 * time when stderr is the journal (JOURNAL_STREAM is set). Control characters are replaced; a line is
 * at most 2 KiB. Secrets never come here. Each failure is logged once, where it is handled.
 */
#ifndef WEFT_LOG_H
#define WEFT_LOG_H

enum weft_log_level { WEFT_LOG_ERROR, WEFT_LOG_WARNING, WEFT_LOG_INFO, WEFT_LOG_DEBUG };

/* Process-wide, set once by main before anything else runs. Default: INFO. */
void weft_log_init(enum weft_log_level level);

/* "error", "warning", "info", "debug" -> level; -1 for anything else. */
int weft_log_level_parse(const char *name);

void weft_log(enum weft_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   weft_log(WEFT_LOG_ERROR, __VA_ARGS__)
#define log_warning(...) weft_log(WEFT_LOG_WARNING, __VA_ARGS__)
#define log_info(...)    weft_log(WEFT_LOG_INFO, __VA_ARGS__)
#define log_debug(...)   weft_log(WEFT_LOG_DEBUG, __VA_ARGS__)

#endif
