// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/scalar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

static bool one_of(const char *text, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(text, *names))
			return true;
	return false;
}

static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
static const char *const trues[] = {"true", "True", "TRUE", NULL};
static const char *const falses[] = {"false", "False", "FALSE", NULL};
static const char *const infinities[] = {".inf", ".Inf", ".INF", NULL};
static const char *const nans[] = {".nan", ".NaN", ".NAN", NULL};

static size_t digits(const char *text)
{
	return strspn(text, "0123456789");
}

static bool is_int(const char *text)
{
	text += *text == '-' || *text == '+';
	return digits(text) > 0 && !text[digits(text)];
}

/* 0o17 and 0x1f; the value is in out. */
static bool is_based(const char *text, double *out)
{
	bool octal = !strncmp(text, "0o", 2);

	if (!octal && strncmp(text, "0x", 2))
		return false;
	text += 2;
	if (!*text || text[strspn(text, octal ? "01234567" : "0123456789abcdefABCDEF")])
		return false;
	*out = 0;
	for (; *text; text++) {
		char c = *text;
		int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
		*out = *out * (octal ? 8 : 16) + digit;
	}
	return true;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_float(const char *text)
{
	size_t whole, part = 0;

	text += *text == '-' || *text == '+';
	whole = digits(text);
	text += whole;
	if (*text == '.') {
		part = digits(text + 1);
		text += 1 + part;
	}
	if (whole + part == 0)
		return false;
	if (*text == 'e' || *text == 'E') {
		text++;
		text += *text == '-' || *text == '+';
		if (digits(text) == 0)
			return false;
		text += digits(text);
	}
	return !*text;
}

static bool is_number(const char *text, double *out)
{
	const char *unsigned_text = text + (*text == '-' || *text == '+');

	if (is_based(text, out))
		return true;
	if (is_int(text) || is_float(text)) {
		*out = strtod(text, NULL); /* the process keeps the C locale */
		return true;
	}
	if (one_of(unsigned_text, infinities)) {
		*out = *text == '-' ? -HUGE_VAL : HUGE_VAL;
		return true;
	}
	if (one_of(text, nans)) {
		*out = (double)NAN;
		return true;
	}
	return false;
}

static cJSON *resolve(const char *text)
{
	double number;

	if (one_of(text, nulls))
		return cJSON_CreateNull();
	if (one_of(text, trues))
		return cJSON_CreateTrue();
	if (one_of(text, falses))
		return cJSON_CreateFalse();
	return is_number(text, &number) ? cJSON_CreateNumber(number) : cJSON_CreateString(text);
}

static bool fits_tag(const char *text, const char *tag, const char **problem)
{
	double number;

	*problem = "a value does not fit its tag";
	if (!strcmp(tag, YAML_INT_TAG))
		return is_int(text) || is_based(text, &number);
	if (!strcmp(tag, YAML_FLOAT_TAG))
		return is_number(text, &number);
	if (!strcmp(tag, YAML_BOOL_TAG))
		return one_of(text, trues) || one_of(text, falses);
	if (!strcmp(tag, YAML_NULL_TAG))
		return one_of(text, nulls);
	*problem = "a tag is not supported; use !!str, !!int, !!float, !!bool or !!null";
	return false;
}

cJSON *weft_scalar(const char *text, const char *tag, bool plain, const char **problem)
{
	const char *unfit = NULL;

	if (tag && strcmp(tag, YAML_STR_TAG) && strcmp(tag, "!")) {
		if (fits_tag(text, tag, &unfit))
			return resolve(text);
		*problem = unfit;
		return NULL;
	}
	return plain && !tag ? resolve(text) : cJSON_CreateString(text);
}
