/* SPDX-License-Identifier: MIT */
/*
 * A JSON writer. Keys and strings may be any bytes: what is not UTF-8 becomes U+FFFD, as JSON
 * cannot represent it, so the output always parses.
 */
#ifndef IPCCTL_JSON_H
#define IPCCTL_JSON_H

#include <stdbool.h>
#include <stdio.h>

struct json {
	FILE *out;
	unsigned int depth;
	bool first; /* nothing yet inside the innermost bracket */
};

#define JSON_INIT(f)                      \
	{                                 \
		.out = (f), .first = true \
	}

/* KEY is NULL inside an array and for the outermost value. */
void json_open(struct json *j, const char *key, char bracket);
void json_close(struct json *j, char bracket);
void json_string(struct json *j, const char *key, const char *s); /* NULL: null */
/* A number if S is one by JSON's grammar, else a string; NULL: null. */
void json_value(struct json *j, const char *key, const char *s);
void json_bool(struct json *j, const char *key, bool b);

#endif
