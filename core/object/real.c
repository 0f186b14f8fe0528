/* SPDX-License-Identifier: MIT */
#include "object/real.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DIGITS_MAX 1100 /* a double needs no more than 1075 */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void number_trim(const char **text, size_t *len)
{
	while (*len && is_blank((*text)[*len - 1]))
		--*len;
	while (*len && is_blank(**text)) {
		++*text;
		--*len;
	}
}

static locale_t plain; /* a program that uses the library may have set a decimal comma */

static void plain_init(void)
{
	plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static locale_t plain_begin(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, plain_init);
	return plain ? uselocale(plain) : (locale_t)0;
}

static void plain_end(locale_t old)
{
	if (old)
		uselocale(old);
}

/* [+-] digits [. digits] [e [+-] digits], with a digit before or after the point */
static bool looks_real(const char *s, size_t len)
{
	size_t i = 0, n = 0, k = 0;

	if (i < len && (s[i] == '+' || s[i] == '-'))
		i++;
	for (; i < len && s[i] >= '0' && s[i] <= '9'; i++)
		n++;
	if (i < len && s[i] == '.')
		for (i++; i < len && s[i] >= '0' && s[i] <= '9'; i++)
			n++;
	if (n && i < len && (s[i] == 'e' || s[i] == 'E')) {
		i++;
		if (i < len && (s[i] == '+' || s[i] == '-'))
			i++;
		for (; i < len && s[i] >= '0' && s[i] <= '9'; i++)
			k++;
		if (!k)
			return false;
	}
	return n && i == len;
}

bool real_special(const char *s, size_t len, double *ret)
{
	bool minus = len && *s == '-';

	if (len && (*s == '-' || *s == '+')) {
		s++;
		len--;
	}
	if ((len == 3 && !strncasecmp(s, "inf", 3)) || (len == 8 && !strncasecmp(s, "infinity", 8)))
		*ret = (double)INFINITY;
	else if (len == 3 && !strncasecmp(s, "nan", 3))
		*ret = (double)NAN;
	else
		return false;
	*ret = copysign(*ret, minus ? -1 : 1);
	return true;
}

int real_parse(const char *text, size_t len, bool single, double *ret)
{
	char buf[DIGITS_MAX + 1];
	locale_t old;
	double x;

	number_trim(&text, &len);
	if (len > DIGITS_MAX || !looks_real(text, len))
		return -EINVAL;
	memcpy(buf, text, len);
	buf[len] = 0;
	old = plain_begin();
	x = single ? (double)strtof(buf, NULL) : strtod(buf, NULL);
	plain_end(old);
	if (isinf(x))
		return -ERANGE;
	*ret = x;
	return 0;
}

int number_real(const char *text, size_t len, double *ret)
{
	return real_parse(text, len, false, ret);
}

size_t real_print(double x, bool single, char buf[NUMBER_TEXT_MAX])
{
	locale_t old = plain_begin();
	bool tiny = fabs(x) < (single ? (double)FLT_MIN : DBL_MIN); /* has fewer digits */
	int n = 0;

	/* Fewer digits than the first give nothing shorter: %g drops the zeros at the end. */
	for (int digits = tiny ? 1 : single ? 6 : 15; digits <= (single ? 9 : 17); digits++) {
		n = snprintf(buf, NUMBER_TEXT_MAX, "%.*g", digits, x);
		if (single ? strtof(buf, NULL) == (float)x : strtod(buf, NULL) == x)
			break;
		if (isnan(x))
			break;
	}
	plain_end(old);
	return (size_t)n;
}
