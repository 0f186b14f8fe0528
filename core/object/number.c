/* SPDX-License-Identifier: MIT */
#include "object/number.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "object/real.h"

static const struct {
	uint8_t size;
	bool sign;
} integers[128] = {
	['b'] = { 1, true }, ['B'] = { 1, false }, ['h'] = { 2, true }, ['H'] = { 2, false },
	['i'] = { 4, true }, ['I'] = { 4, false }, ['l'] = { 8, true }, ['L'] = { 8, false },
	['q'] = { 8, true }, ['Q'] = { 8, false },
};

static bool is_integer(uint32_t code)
{
	return code < 128 && integers[code].size;
}

size_t number_size(uint32_t code)
{
	switch (code) {
	case 'c':
		return 1;
	case 'u':
	case 'f':
		return 4;
	case 'd':
		return 8;
	default:
		return is_integer(code) ? integers[code].size : 0;
	}
}

/* ---- integers ---- */

int number_whole(const char *text, size_t len, __int128 *ret)
{
	__int128 n = 0;
	bool minus, large = false;

	number_trim(&text, &len);
	minus = len && *text == '-';
	if (len && (*text == '-' || *text == '+')) {
		text++;
		len--;
	}
	if (!len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		if (!large)
			n = n * 10 + (text[i] - '0');
		large = large || n > UINT64_MAX;
	}
	if (large || (minus && n > (__int128)INT64_MAX + 1))
		return -ERANGE;
	*ret = minus ? -n : n;
	return 0;
}

static bool fits(uint32_t code, __int128 n)
{
	if (code && !is_integer(code)) /* (the file may have been scribbled in) */
		return false;

	unsigned int bits = code ? 8u * integers[code].size : 64;
	bool sign = !code || integers[code].sign;
	__int128 top = (__int128)1 << (sign ? bits - 1 : bits);

	return n < top && n >= (sign ? -top : 0);
}

/* Whole numbers of 64 bits, with sign or without. */
static size_t print_whole(__int128 n, char buf[NUMBER_TEXT_MAX])
{
	int k = n < 0 ? snprintf(buf, NUMBER_TEXT_MAX, "%lld", (long long)n) :
			snprintf(buf, NUMBER_TEXT_MAX, "%llu", (unsigned long long)n);

	return (size_t)k;
}

/* ---- characters ---- */

static bool printable(uint32_t c)
{
	return c > ' ' && c != '\\' && c < 0x110000 && (c < 0x7f || c > 0xa0) &&
	       (c < 0xd800 || c > 0xdfff);
}

static int hex(const char *s, size_t len, uint32_t *ret)
{
	uint32_t n = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i] | 0x20;

		if (s[i] >= '0' && s[i] <= '9')
			n = n << 4 | (uint32_t)(s[i] - '0');
		else if (c >= 'a' && c <= 'f')
			n = n << 4 | (uint32_t)(c - 'a' + 10);
		else
			return -EINVAL;
	}
	*ret = n;
	return 0;
}

/* One character in UTF-8, and nothing after it. */
static int utf8(const unsigned char *s, size_t len, uint32_t *ret)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *s < 0x80 ? 1 : *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : 2;
	uint32_t c = n == 1 ? *s : *s & (0x7fu >> n);

	if (n != len || (*s >= 0x80 && *s < 0xc0) || *s > 0xf7)
		return -EINVAL;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return -EINVAL;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return -EINVAL;
	*ret = c;
	return 0;
}

static int parse_char(uint32_t code, const char *s, size_t len, uint32_t *ret)
{
	if (code == 'c' && len == 4 && s[0] == '\\' && s[1] == 'x')
		return hex(s + 2, 2, ret);
	if (code == 'u' && len == 10 && s[0] == '\\' && s[1] == 'U')
		return hex(s + 2, 8, ret);
	if (len == 0)
		return -EINVAL;
	if (code == 'u')
		return utf8((const unsigned char *)s, len, ret);
	*ret = (unsigned char)*s;
	return len == 1 ? 0 : -EINVAL;
}

static size_t print_char(uint32_t code, uint32_t c, char buf[NUMBER_TEXT_MAX])
{
	unsigned int n;

	if (c < 0x7f && printable(c))
		return (size_t)snprintf(buf, NUMBER_TEXT_MAX, "%c", (char)c);
	if (code == 'c')
		return (size_t)snprintf(buf, NUMBER_TEXT_MAX, "\\x%02x", c);
	if (!printable(c))
		return (size_t)snprintf(buf, NUMBER_TEXT_MAX, "\\U%08x", c);
	n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (unsigned int i = n; i-- > 1; c >>= 6)
		buf[i] = (char)(0x80 | (c & 0x3f));
	buf[0] = (char)((0xf00 >> n & 0xff) | c);
	buf[n] = 0;
	return n;
}

/* ---- elements ---- */

int number_parse(uint32_t code, const char *text, size_t len, void *item)
{
	uint32_t c;
	__int128 n;
	double x;
	float f;
	int r;

	if (code == 'c' || code == 'u') {
		r = parse_char(code, text, len, &c);
		if (r == 0)
			memcpy(item, &c, number_size(code));
		return r;
	}
	if (code == 'f' || code == 'd') {
		number_trim(&text, &len);
		r = real_special(text, len, &x) ? 0 : real_parse(text, len, code == 'f', &x);
		f = (float)x;
		if (r == 0)
			memcpy(item, code == 'f' ? (void *)&f : (void *)&x, number_size(code));
		return r;
	}
	if (!is_integer(code))
		return -EINVAL;
	r = number_whole(text, len, &n);
	if (r == 0 && !fits(code, n))
		r = -ERANGE;
	if (r == 0)
		memcpy(item, &n, number_size(code)); /* little endian, as all of the engine */
	return r;
}

size_t number_print(uint32_t code, const void *item, char buf[NUMBER_TEXT_MAX])
{
	size_t size = number_size(code);
	uint64_t n = 0;
	float f;
	double x;

	buf[0] = 0;
	switch (code) {
	case 'f':
		memcpy(&f, item, sizeof(f));
		return real_print((double)f, true, buf);
	case 'd':
		memcpy(&x, item, sizeof(x));
		return real_print(x, false, buf);
	default:
		memcpy(&n, item, size);
	}
	if (code == 'c' || code == 'u')
		return print_char(code, (uint32_t)n, buf);
	if (!size)
		return 0;
	if (integers[code].sign && size < 8 && n >> (8 * size - 1))
		n |= ~0ull << (8 * size);
	return print_whole(integers[code].sign ? (__int128)(int64_t)n : (__int128)n, buf);
}

/* ---- numbers without a type ---- */

int number_int64(const char *text, size_t len, int64_t *ret)
{
	__int128 n;
	double x;
	int r;

	number_trim(&text, &len);
	r = len ? number_whole(text, len, &n) : 0;
	if (r == -EINVAL) {
		r = number_real(text, len, &x);
		if (r == 0 && !(x >= -0x1p63 && x < 0x1p63))
			r = -ERANGE;
		if (r == 0)
			*ret = (int64_t)x;
		return r;
	}
	if (!len)
		n = 0;
	if (r == 0 && n > INT64_MAX)
		r = -ERANGE;
	if (r == 0)
		*ret = (int64_t)n;
	return r;
}

int number_count(const char *text, size_t len, uint64_t *ret)
{
	uint64_t n = 0;

	if (!len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (__builtin_mul_overflow(n, 10u, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(text[i] - '0'), &n))
			return -ERANGE;
	*ret = n;
	return 0;
}

int number_seconds(const char *text, size_t len, int64_t *ret)
{
	const char *dot = memchr(text, '.', len);
	size_t whole = dot ? (size_t)(dot - text) : len;
	uint64_t sec = 0, ns = 0, unit = 100000000;
	bool more = false;

	if (whole > 10 || (!whole && len < 2) || (whole && number_count(text, whole, &sec) < 0))
		return -EINVAL;
	if (dot && whole + 1 == len)
		return -EINVAL;
	for (size_t i = whole + 1; i < len; i++, unit /= 10) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		ns += (uint64_t)(text[i] - '0') * unit;
		more |= !unit && text[i] != '0';
	}
	if (sec > 9000000000u)
		return -EINVAL;
	*ret = (int64_t)(sec * 1000000000u + ns + more);
	return 0;
}

size_t number_print_seconds(uint64_t ns, char buf[NUMBER_TEXT_MAX])
{
	int n = snprintf(buf, NUMBER_TEXT_MAX, "%llu.%09llu",
			 (unsigned long long)(ns / 1000000000u),
			 (unsigned long long)(ns % 1000000000u));

	while (buf[n - 1] == '0')
		n--;
	n -= buf[n - 1] == '.';
	buf[n] = 0;
	return (size_t)n;
}

int number_add(uint32_t code, const char *text, size_t len, const char *other, size_t other_len,
	       bool negate, char buf[NUMBER_TEXT_MAX])
{
	__int128 a = 0, b;
	double x = 0, y;
	int r, q;

	if (code == 'c' || code == 'u')
		return -EINVAL;
	if (code != 'f' && code != 'd') {
		r = len ? number_whole(text, len, &a) : 0;
		q = number_whole(other, other_len, &b);
		if (r == -ERANGE || q == -ERANGE)
			return -ERANGE;
		if (r == 0 && q == 0) {
			a = negate ? a - b : a + b;
			if (!fits(code, a))
				return -ERANGE;
			print_whole(a, buf);
			return 0;
		}
		if (code)
			return -EINVAL;
	}
	r = len ? number_real(text, len, &x) : 0;
	if (r < 0 && !(code && real_special(text, len, &x)))
		return r;
	r = number_real(other, other_len, &y);
	if (r < 0)
		return r;
	x = negate ? x - y : x + y;
	if (isinf(x) || (code == 'f' && fabs(x) > (double)FLT_MAX))
		return -ERANGE;
	real_print(code == 'f' ? (double)(float)x : x, code == 'f', buf);
	return 0;
}
