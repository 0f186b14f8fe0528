/* SPDX-License-Identifier: MIT */
#include "object/text.h"

#include <errno.h>
#include <string.h>

#include "object/number.h"

bool text_is(const char *s, size_t len, const char *word)
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

size_t text_word(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && s[n] != ' ' && s[n] != '\t')
		n++;
	return n;
}

int text_limit(const char *s, size_t len, int64_t *ret)
{
	if (!text_is(s, len, "inf"))
		return number_seconds(s, len, ret);
	*ret = INT64_MAX;
	return 0;
}

/* Of K, M, G and T, in either case; 0: it is none of them. */
static unsigned int unit_shift(char c)
{
	static const char units[] = "kmgt";
	const char *p = c ? strchr(units, c | ' ') : NULL;

	return p ? 10 * (unsigned int)(p - units + 1) : 0;
}

int text_size(const char *s, uint64_t whole, uint64_t *ret)
{
	size_t len = strlen(s);
	unsigned int shift;
	uint64_t n;

	if (len && s[len - 1] == '%') {
		if (!whole || number_count(s, len - 1, &n) < 0 || n > 100)
			return -EINVAL;
		*ret = whole / 100 * n;
		return 0;
	}
	if (len && (s[len - 1] == 'B' || s[len - 1] == 'b'))
		len--;
	if (len > 1 && s[len - 1] == 'i')
		len--;
	shift = len ? unit_shift(s[len - 1]) : 0;
	if (shift)
		len--;
	if (number_count(s, len, &n) < 0 || n > UINT64_MAX >> shift)
		return -EINVAL;
	*ret = n << shift;
	return 0;
}
