/* SPDX-License-Identifier: MIT */
/* The .ctl files of values and arrays. */
#include "ctl/rows.h"
#include "object/number.h"
#include "state/array.h"
#include "wait/monitor.h"

static void show_code(uint32_t code, FILE *f)
{
	if (code)
		fprintf(f, "%c\n", (int)code);
	else
		fprintf(f, "text\n");
}

static void show_value_typecode(struct object *ob, FILE *f)
{
	show_code(B(ob).value.typecode, f);
}

static int store_value_typecode(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	if (len == 4 && !memcmp(s, "text", 4))
		return ipc_value_typecode(&ob->o, unique, 0);
	if (len != 1 || !number_size((uint32_t)*s))
		return -EINVAL;
	return ipc_value_typecode(&ob->o, unique, (uint32_t)*s);
}

static void show_array_typecode(struct object *ob, FILE *f)
{
	show_code(B(ob).array.typecode, f);
}

static int store_array_typecode(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	if (len != 1 || !number_size((uint32_t)*s))
		return -EINVAL;
	ipc_setting32(&ob->o, &B(ob).array.typecode, (uint32_t)*s);
	return 0;
}

const struct ctl_file ctl_value[] = {
	CTL_COMMON,
	SETTING(37, "lock", show_lock, store_lock),
	SETTING(38, "typecode", show_value_typecode, store_value_typecode),
	TAKES(39, "changed", HANDLE_CHANGED),
	CTL_TAKE,
	CTL_END,
};

const struct ctl_file ctl_array[] = {
	CTL_COMMON,
	SETTING(37, "lock", show_lock, store_lock),
	SETTING(40, "typecode", show_array_typecode, store_array_typecode),
	SETTING(41, "length", show_length, store_length),
	{ .id = 42,
	  .name = "items",
	  .access = CTL_DATA,
	  .unlocked = true,
	  .show = show_items,
	  .store = store_items },
	LINK(43, "data"),
	CTL_TAKE,
	CTL_END,
};
