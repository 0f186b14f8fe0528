// SPDX-License-Identifier: MIT
#include "print/json.h"

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
		{ 0x20, 0x7f, 0x00, 0xff, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 },
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

static void quoted(FILE *out, const char *string)
{
	const unsigned char *s = (const unsigned char *)string;

	putc('"', out);
	while (*s) {
		size_t n = utf8_length(s);

		if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s++);
		else if (*s == '\n')
			fputs("\\n", out), s++;
		else if (*s == '\t')
			fputs("\\t", out), s++;
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(out, "\\u%04x", *s++);
		else if (!n)
			fputs("\\ufffd", out), s++;
		else
			fwrite(s, 1, n, out), s += n;
	}
	putc('"', out);
}

static void before(struct json *j, const char *key)
{
	if (!j->first)
		putc(',', j->out);
	if (j->depth)
		fprintf(j->out, "\n%*s", (int)(j->depth * 3), "");
	j->first = false;
	if (key) {
		quoted(j->out, key);
		fputs(": ", j->out);
	}
}

void json_open(struct json *j, const char *key, char bracket)
{
	before(j, key);
	putc(bracket, j->out);
	j->depth++;
	j->first = true;
}

void json_close(struct json *j, char bracket)
{
	j->depth--;
	if (!j->first)
		fprintf(j->out, "\n%*s", (int)(j->depth * 3), "");
	putc(bracket, j->out);
	j->first = false;
	if (!j->depth)
		putc('\n', j->out);
}

void json_string(struct json *j, const char *key, const char *s)
{
	before(j, key);
	if (s)
		quoted(j->out, s);
	else
		fputs("null", j->out);
}

void json_value(struct json *j, const char *key, const char *s)
{
	if (!s || !is_number(s)) {
		json_string(j, key, s);
		return;
	}
	before(j, key);
	fputs(s, j->out);
}

void json_bool(struct json *j, const char *key, bool b)
{
	before(j, key);
	fputs(b ? "true" : "false", j->out);
}
