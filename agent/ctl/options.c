// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Options of single commands. getopt_long() has to know all of them before it meets the command, since options
 * may stand anywhere; whether one belongs to the command is judged afterwards.
 */
#include "agent/ctl/ctl.h"

#include <errno.h>
#include <string.h>

#define TABLE_MAX 64

static struct option table[TABLE_MAX + 1];
static size_t table_count;

static bool known(const char *name)
{
	for (size_t i = 0; i < table_count; i++)
		if (!strcmp(table[i].name, name))
			return true;
	return false;
}

/* Commands share options of one name, which take a value in all of them or in none. */
static void add(const char *name, bool value)
{
	if (table_count == TABLE_MAX || known(name))
		return;
	table[table_count] = (struct option){name, value ? required_argument : no_argument, NULL,
	                                     CTL_OPTION_FIRST + (int)table_count};
	table_count++;
}

const struct option *ctl_options_table(const struct option *common, size_t n)
{
	memset(table, 0, sizeof(table));
	memcpy(table, common, n * sizeof(*common));
	table_count = n;
	for (size_t i = 0; i < ctl_command_count; i++)
		for (size_t k = 0; k < ctl_commands[i].option_count; k++)
			add(ctl_commands[i].options[k].name, ctl_commands[i].options[k].value != NULL);
	return table;
}

const char *ctl_options_name(int val)
{
	size_t i = (size_t)(val - CTL_OPTION_FIRST);

	return val >= CTL_OPTION_FIRST && i < table_count ? table[i].name : "";
}

int ctl_options_add(const struct ctl_command *c, int val, const char *value, cJSON **args,
                    struct weft_err *err)
{
	const char *name = ctl_options_name(val);
	const cJSON *added;
	size_t i = 0;

	while (i < c->option_count && strcmp(c->options[i].name, name) != 0)
		i++;
	if (i == c->option_count)
		return weft_err_set(err, EINVAL, "--%s is no option of `%s`", name, c->name);
	if (!*args)
		*args = cJSON_CreateObject();
	if (cJSON_HasObjectItem(*args, name))
		return weft_err_set(err, EINVAL, "--%s is given twice", name);
	added = value ? cJSON_AddStringToObject(*args, name, value) : cJSON_AddTrueToObject(*args, name);
	return added ? 0 : weft_err_set(err, ENOMEM, "out of memory");
}
