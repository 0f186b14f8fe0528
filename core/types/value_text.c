/* SPDX-License-Identifier: MIT */
/* What is written to a value, and what it makes of the text: see value_text.h. */
#include <errno.h>
#include <string.h>

#include "object/number.h"
#include "object/text.h"
#include "types/value_text.h"

int value_normal(uint32_t code, const char *text, size_t len, char *buf, size_t *ret_len)
{
	uint64_t item = 0;
	int r = 0;

	if (code) {
		r = number_parse(code, text, len, &item);
		if (r == 0)
			*ret_len = number_print(code, &item, buf);
		return r;
	}
	if (len > IPC_VALUE_MAX)
		return -EMSGSIZE;
	memcpy(buf, text, len);
	*ret_len = len;
	return 0;
}

static bool is_zero(const char *text, size_t len)
{
	double x;

	return number_real(text, len, &x) == 0 && x == 0;
}

/* Is `old` the current value? */
static bool same(uint32_t code, const char *old, size_t old_len, const char *now, size_t len)
{
	char buf[IPC_VALUE_MAX];
	size_t n;

	if (!len)
		return !old_len || is_zero(old, old_len);
	return value_normal(code, old, old_len, buf, &n) == 0 && n == len && !memcmp(buf, now, len);
}

static int added(uint32_t code, const struct ipc_cmd *cmd, const char *now, size_t len, char *buf,
		 size_t *ret_len)
{
	const char *other = cmd->text;
	size_t other_len = cmd->text_len;
	char n_text[NUMBER_TEXT_MAX];
	bool negate = other && cmd->n < 0;
	int r;

	if (!other) {
		other_len = number_print('q', &cmd->n, n_text);
		other = n_text;
	}
	r = number_add(code, now, len, other, other_len, negate, buf);
	if (r == 0)
		*ret_len = strlen(buf);
	return r;
}

int value_made(uint32_t code, const struct ipc_cmd *cmd, const char *now, size_t len, char *buf,
	       size_t *ret_len)
{
	switch (cmd->verb) {
	case CMD_PLUS:
		return added(code, cmd, now, len, buf, ret_len);
	case CMD_CAS:
		if (!same(code, cmd->old, cmd->old_len, now, len))
			return -EAGAIN;
		/* fall through */
	case CMD_TEXT:
		return value_normal(code, cmd->text, cmd->text_len, buf, ret_len);
	default:
		return -EINVAL;
	}
}

/* "+=N", "-=N" */
static int parse_plus(const char *s, size_t len, struct ipc_cmd *ret)
{
	*ret = (struct ipc_cmd){
		.verb = CMD_PLUS, .n = s[0] == '-' ? -1 : 1, .text = s + 2, .text_len = len - 2
	};
	text_trim(&ret->text, &ret->text_len);
	return ret->text_len ? 0 : -EINVAL;
}

/* "cas OLD NEW" */
static int parse_cas(const char *s, size_t len, struct ipc_cmd *ret)
{
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

int value_parse(const char *s, size_t len, struct ipc_cmd *ret)
{
	if (len >= 2 && s[1] == '=' && (s[0] == '+' || s[0] == '-'))
		return parse_plus(s, len, ret);
	if (len > 4 && !memcmp(s, "cas ", 4))
		return parse_cas(s, len, ret);
	ret->verb = CMD_TEXT;
	return text_is(s, len, "cas") ? -EINVAL : 0;
}
