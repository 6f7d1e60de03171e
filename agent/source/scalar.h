// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One YAML scalar -> one JSON value, by the core schema (YAML 1.2.2, 10.3.2).
 */
#ifndef WEFT_SOURCE_SCALAR_H
#define WEFT_SOURCE_SCALAR_H

#include <cjson/cJSON.h>
#include <stdbool.h>

/*
 * `tag` may be NULL; `plain` is true when the type may be resolved from the text (unquoted, untagged).
 * NULL with *problem set: the text does not fit its tag; NULL without: no memory.
 */
cJSON *weft_scalar(const char *text, const char *tag, bool plain, const char **problem);

#endif
