/* SPDX-License-Identifier: MIT */
/*
 * Tables. One array of columns says what a command prints: its --help, the
 * aligned text, the raw text and the JSON all come from it.
 */
#ifndef IPCCTL_TABLE_H
#define IPCCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "print/json.h"

enum column_kind {
	COLUMN_TEXT,
	COLUMN_NUMBER, /* aligned right; a number in JSON */
	COLUMN_BYTES,  /* a number, in text as 1.5 MiB unless --bytes */
};

enum {
	COLUMN_EXTRA = 1 << 0, /* in text only if -o asks for it */
	COLUMN_BELOW = 1 << 1, /* in text on its own line, if not empty */
};

struct column {
	const char *name; /* upper case; JSON has it in lower case */
	enum column_kind kind;
	unsigned int flags;
	const char *help;
};

#define TABLE_MAX_COLUMNS 16

struct table_options {
	bool json, raw, bytes, no_headings;
	size_t n_chosen; /* 0: the default columns */
	size_t chosen[TABLE_MAX_COLUMNS];
};

struct table {
	const struct column *columns;
	size_t n_columns;
	char **cells; /* row after row, each owned; NULL is "unknown" */
	size_t n_rows, size;
};

/* A new row of NULLs for the caller to fill; valid until the next call. */
char **table_add(struct table *t);
void table_free(struct table *t);
/* -o NAME,NAME…; -EINVAL if a name is not a column. */
int table_choose(const struct column *columns, size_t n_columns, const char *list,
		 struct table_options *o);
void table_print(const struct table *t, const struct table_options *o, FILE *out);
void table_json(const struct table *t, const struct table_options *o, struct json *j,
		const char *key);

#endif
