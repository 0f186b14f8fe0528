/* SPDX-License-Identifier: MIT */
#include "object/command.h"

#include "object/type.h"

#include "object/number.h"

int ipc_command(const struct ipc_type *t, const char *s, size_t len, struct ipc_cmd *ret)
{
	*ret = (struct ipc_cmd){ .text = s, .text_len = len };
	if (len && s[len - 1] == '\n')
		ret->text_len--;
	text_trim(&s, &len);
	return t->parse ? t->parse(s, len, ret) : -EINVAL;
}

int command_count(const char *s, size_t len, enum ipc_verb verb, struct ipc_cmd *ret)
{
	uint64_t n = 1;
	int r = len ? number_count(s, len, &n) : 0;

	if (r == 0 && n >= INT64_MAX)
		r = -ERANGE;
	*ret = (struct ipc_cmd){ .verb = verb, .n = (int64_t)n };
	return r;
}
