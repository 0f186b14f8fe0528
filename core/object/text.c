/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#include "object/number.h"
#include "object/type.h"

static bool is(const char *s, size_t len, const char *word)
{
	return len == strlen(word) && !memcmp(s, word, len);
}

void text_trim(const char **s, size_t *len)
{
	while (*len && strchr(" \t\r\n", (*s)[*len - 1]) && (*s)[*len - 1])
		--*len;
	while (*len && strchr(" \t", **s) && **s) {
		++*s;
		--*len;
	}
}

int text_limit(const char *s, size_t len, int64_t *ret)
{
	if (!is(s, len, "inf"))
		return number_seconds(s, len, ret);
	*ret = INT64_MAX;
	return 0;
}

int text_size(const char *s, uint64_t whole, uint64_t *ret)
{
	size_t len = strlen(s);
	unsigned int shift = 0;
	uint64_t n;

	if (len && s[len - 1] == '%') {
		if (!whole || number_count(s, len - 1, &n) < 0 || n > 100)
			return -EINVAL;
		*ret = whole / 100 * n;
		return 0;
	}
	if (len && (s[len - 1] == 'B' || s[len - 1] == 'b'))
		len--;
	if (len && (s[len - 1] == 'i') && len > 1)
		len--;
	switch (len ? s[len - 1] : 0) {
	case 'T': case 't':
		shift += 10;
		/* fall through */
	case 'G': case 'g':
		shift += 10;
		/* fall through */
	case 'M': case 'm':
		shift += 10;
		/* fall through */
	case 'K': case 'k':
		shift += 10;
		len--;
		break;
	default:
		break;
	}
	if (number_count(s, len, &n) < 0 || n > UINT64_MAX >> shift)
		return -EINVAL;
	*ret = n << shift;
	return 0;
}

static int count(const char *s, size_t len, enum ipc_verb verb, struct ipc_cmd *ret)
{
	uint64_t n = 1;
	int r = len ? number_count(s, len, &n) : 0;

	if (r == 0 && n >= INT64_MAX)
		r = -ERANGE;
	ret->verb = verb;
	ret->n = (int64_t)n;
	return r;
}

static int value_command(const char *s, size_t len, const char *all, size_t all_len,
			 struct ipc_cmd *ret)
{
	*ret = (struct ipc_cmd){ .verb = CMD_TEXT, .text = all, .text_len = all_len };
	if (len >= 2 && s[1] == '=' && (s[0] == '+' || s[0] == '-')) {
		const char *t = s + 2;
		size_t n = len - 2;

		text_trim(&t, &n);
		*ret = (struct ipc_cmd){ .verb = CMD_PLUS, .text = t, .text_len = n,
					 .n = s[0] == '-' ? -1 : 1 };
		return n ? 0 : -EINVAL;
	}
	if (len > 4 && !memcmp(s, "cas ", 4)) {
		const char *p = s + 4, *end = s + len, *q;

		while (p < end && *p == ' ')
			p++;
		q = memchr(p, ' ', (size_t)(end - p));
		if (!q)
			return -EINVAL;
		ret->verb = CMD_CAS;
		ret->old = p;
		ret->old_len = (size_t)(q - p);
		while (q < end && *q == ' ')
			q++;
		ret->text = q;
		ret->text_len = (size_t)(end - q);
		return ret->text_len && !memchr(q, ' ', ret->text_len) ? 0 : -EINVAL;
	}
	return is(s, len, "cas") ? -EINVAL : 0;
}

int text_command(uint32_t type, const char *s, size_t len, struct ipc_cmd *ret)
{
	const char *all = s;
	size_t all_len = len;

	if (all_len && all[all_len - 1] == '\n')
		all_len--;
	text_trim(&s, &len);
	*ret = (struct ipc_cmd){ 0 };
	switch (type) {
	case IPC_EVENT:
		if (is(s, len, "1") || is(s, len, "set"))
			ret->verb = CMD_SET;
		else if (is(s, len, "0") || is(s, len, "clear"))
			ret->verb = CMD_CLEAR;
		else
			return -EINVAL;
		return 0;
	case IPC_SEM:
		return count(s, len, CMD_ADD, ret);
	case IPC_LOCK:
	case IPC_RLOCK:
		if (is(s, len, "release"))
			len = 0;
		return count(s, len, CMD_ADD, ret);
	case IPC_COND:
		if (!is(s, len, "all"))
			return count(s, len, CMD_NOTIFY, ret);
		ret->verb = CMD_NOTIFY;
		ret->n = CMD_ALL;
		return 0;
	case IPC_BARRIER:
		if (is(s, len, "reset"))
			ret->verb = CMD_RESET;
		else if (is(s, len, "abort"))
			ret->verb = CMD_ABORT;
		else
			return len ? count(s, len, CMD_PARTIES, ret) : -EINVAL;
		return 0;
	case IPC_VALUE:
		return value_command(s, len, all, all_len, ret);
	default:
		return -EINVAL;
	}
}
