/* SPDX-License-Identifier: MIT */
/*
 * Tables: what every command that lists something prints.
 *
 * One array of columns says what a command prints: its --help, the aligned text, the tree, the raw
 * text and the JSON all come from it. libsmartcols lays out the text, json-c writes the JSON: that
 * of libsmartcols neither nests nor always parses (it copies bytes that are not UTF-8, and makes an
 * empty string null).
 *
 *	struct table t CLEANUP(table_free) = { .columns = my_columns, .n_columns = N_MY };
 *	char **row = table_add(&t);
 *
 *	row[MY_NAME] = xstrdup(name);		// owned by the table; what stays NULL is unknown
 *	table_output(&t, &options, "objects");	// text, or {"objects": [{"name": …}, …]}
 *
 * The command's options are TABLE_OPTIONS (ipcctl.h), for which table_option() fills the struct
 * table_options. Cells may hold any bytes: what cannot be printed is written \xNN.
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
	COLUMN_BELOW = 1 << 1, /* in text below the column before it, if not empty */
	COLUMN_CUT = 1 << 2,   /* may be cut where the terminal is too narrow */
	COLUMN_TREE = 1 << 3,  /* carries the branches if the options say `tree` */
};

struct column {
	const char *name; /* upper case; JSON has it in lower case */
	enum column_kind kind;
	unsigned int flags;
	const char *help;
	/* The colour of a cell on a terminal ("red", as in terminal-colors.d(5)), or NULL. */
	const char *(*color)(const char *cell);
};

#define TABLE_MAX_COLUMNS 24

struct table_options {
	bool json, raw, bytes, no_headings, tree;
	bool sorted, reversed;
	size_t sort;     /* if `sorted`: by this column */
	size_t n_chosen; /* 0: the default columns */
	size_t chosen[TABLE_MAX_COLUMNS];
};

#define TABLE_NO_PARENT ((size_t)-1)

struct row {
	char **cells;
	size_t id, parent; /* the number that it had when it was added, and its parent had */
};

struct table {
	const struct column *columns;
	size_t n_columns;
	struct row *rows;
	size_t n_rows, size;
};

/* A new row of NULLs for the caller to fill. */
char **table_add(struct table *t);
/* The same below another row, for trees; PARENT is what t->n_rows was before that was added. */
char **table_add_below(struct table *t, size_t parent);
/* Takes the newest row away again, which must not have been sorted. */
void table_drop(struct table *t);
void table_free(struct table *t);

/* -o NAME,NAME…, or +NAME,… for those besides the default ones; -EINVAL: no such column. */
int table_choose(const struct column *columns, size_t n_columns, const char *list,
		 struct table_options *o);
/* --sort NAME, or -NAME for the opposite order. Numbers by value, the unknown last. */
int table_choose_sort(const struct column *columns, size_t n_columns, const char *name,
		      struct table_options *o);

/* Sorts as the options say, and prints to stdout, in JSON as the one member KEY of an object. */
void table_output(struct table *t, const struct table_options *o, const char *key);
/* The parts of it: text alone, and an array of objects to be put into a larger one. */
void table_sort(struct table *t, const struct table_options *o);
void table_print(const struct table *t, const struct table_options *o, FILE *out);
struct json_object *table_json(const struct table *t, const struct table_options *o);

#endif
