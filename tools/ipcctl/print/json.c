// SPDX-License-Identifier: MIT
#include "print/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

/* The length of the well-formed UTF-8 sequence at S, 0 if there is none (RFC 3629). */
static size_t utf8_length(const unsigned char *s)
{
	static const struct {
		unsigned char first, last; /* of the lead byte */
		unsigned char low, high;   /* of the byte after it */
		unsigned char length;
	} forms[] = {
		{ 0x01, 0x7f, 0x00, 0xff, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, /* above it: surrogates */
		{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		size_t n;

		if (s[0] < forms[i].first || s[0] > forms[i].last)
			continue;
		if (s[1] < forms[i].low || s[1] > forms[i].high)
			return forms[i].length == 1;
		for (n = 2; n < forms[i].length; n++) {
			if ((s[n] & 0xc0) != 0x80)
				return 0;
		}
		return forms[i].length;
	}
	return 0;
}

struct json_object *json_text(const char *s)
{
	struct buf b CLEANUP(buf_free) = { .data = NULL };

	if (!s)
		return NULL; /* json-c's null */
	buf_add(&b, "", 0);
	while (*s) {
		size_t n = utf8_length((const unsigned char *)s);

		if (n)
			buf_add(&b, s, n);
		else
			buf_puts(&b, "\ufffd");
		s += n ? n : 1;
	}
	return json_object_new_string_len(b.data, (int)b.len);
}

struct json_object *json_value(const char *s)
{
	if (!s || !is_number(s))
		return json_text(s);
	return json_object_new_double_s(strtod(s, NULL), s);
}

void json_print(struct json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
						       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}
