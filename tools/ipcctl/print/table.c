// SPDX-License-Identifier: MIT
#include "print/table.h"

#include <ctype.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "print/screen.h"
#include "util.h"

char **table_add_below(struct table *t, size_t parent)
{
	struct row *row;

	if (t->n_rows == t->size) {
		t->size = t->size ? t->size * 2 : 16;
		t->rows = xrealloc(t->rows, t->size * sizeof(*t->rows));
	}
	row = &t->rows[t->n_rows];
	*row = (struct row){
		.cells = xrealloc(NULL, t->n_columns * sizeof(*row->cells)),
		.id = t->n_rows++,
		.parent = parent,
	};
	for (size_t c = 0; c < t->n_columns; c++)
		row->cells[c] = NULL;
	return row->cells;
}

char **table_add(struct table *t)
{
	return table_add_below(t, TABLE_NO_PARENT);
}

void table_drop(struct table *t)
{
	struct row *row = &t->rows[--t->n_rows];

	for (size_t c = 0; c < t->n_columns; c++)
		free(row->cells[c]);
	free(row->cells);
}

void table_free(struct table *t)
{
	while (t->n_rows)
		table_drop(t);
	free(t->rows);
	t->rows = NULL;
	t->size = 0;
}

static int find_column(const struct column *columns, size_t n, const char *name, size_t len)
{
	for (size_t c = 0; c < n; c++) {
		if (strlen(columns[c].name) == len && !strncasecmp(columns[c].name, name, len))
			return c;
	}
	return -EINVAL;
}

int table_choose(const struct column *columns, size_t n_columns, const char *list,
		 struct table_options *o)
{
	o->n_chosen = 0;
	if (*list == '+') {
		list++;
		for (size_t c = 0; c < n_columns; c++) {
			if (!(columns[c].flags & COLUMN_EXTRA))
				o->chosen[o->n_chosen++] = c;
		}
	}
	while (*list) {
		size_t len = strcspn(list, ",");
		int c = find_column(columns, n_columns, list, len);

		if (c < 0 || o->n_chosen == TABLE_MAX_COLUMNS)
			return -EINVAL;
		o->chosen[o->n_chosen++] = c;
		list += len;
		list += *list == ',';
	}
	return o->n_chosen ? 0 : -EINVAL;
}

int table_choose_sort(const struct column *columns, size_t n_columns, const char *name,
		      struct table_options *o)
{
	bool reversed = *name == '-';
	int c = find_column(columns, n_columns, name + reversed, strlen(name + reversed));

	if (c < 0)
		return c;
	o->sorted = true;
	o->reversed = reversed;
	o->sort = c;
	return 0;
}

struct order {
	const struct table_options *options;
	bool numbers;
};

static int row_order(const void *one, const void *other, void *arg)
{
	const struct row *a = one, *b = other;
	const struct order *by = arg;
	const char *s = a->cells[by->options->sort], *t = b->cells[by->options->sort];
	int r;

	if (!s || !t) {
		r = !s - !t;
	} else if (by->numbers) {
		double m = strtod(s, NULL), n = strtod(t, NULL);

		r = (m > n) - (m < n);
	} else {
		r = strcoll(s, t);
	}
	if (r && by->options->reversed && s && t)
		r = -r;
	return r ? r : (a->id > b->id) - (a->id < b->id);
}

void table_sort(struct table *t, const struct table_options *o)
{
	struct order by = { .options = o };

	if (!o->sorted || !t->n_rows)
		return;
	by.numbers = t->columns[o->sort].kind != COLUMN_TEXT;
	qsort_r(t->rows, t->n_rows, sizeof(*t->rows), row_order, &by);
}

/* The columns to show, in order. ALL: including those that text leaves out unless asked. */
static size_t shown_columns(const struct table *t, const struct table_options *o, bool all,
			    size_t *ret)
{
	size_t n = 0;

	if (o->n_chosen) {
		memcpy(ret, o->chosen, o->n_chosen * sizeof(*ret));
		return o->n_chosen;
	}
	for (size_t c = 0; c < t->n_columns; c++) {
		if (all || !(t->columns[c].flags & COLUMN_EXTRA))
			ret[n++] = c;
	}
	return n;
}

static char *lower_name(const struct column *col)
{
	char *name = xstrdup(col->name);

	for (char *p = name; *p; p++)
		*p = tolower((unsigned char)*p);
	return name;
}

struct json_object *table_json(const struct table *t, const struct table_options *o)
{
	struct json_object *list = json_object_new_array();
	size_t shown[TABLE_MAX_COLUMNS];
	size_t n = shown_columns(t, o, true, shown);

	for (size_t r = 0; r < t->n_rows; r++) {
		struct json_object *row = json_object_new_object();

		for (size_t i = 0; i < n; i++) {
			const struct column *col = &t->columns[shown[i]];
			const char *cell = t->rows[r].cells[shown[i]];
			char *name CLEANUP(free_string) = lower_name(col);

			json_object_object_add(row, name,
					       col->kind == COLUMN_TEXT ? json_text(cell) :
									  json_value(cell));
		}
		json_object_array_add(list, row);
	}
	return list;
}

static char *cell_text(const struct column *col, const char *cell, const struct table_options *o)
{
	uint64_t n;

	if (!cell || !*cell)
		return xstrdup("-"); /* never nothing, so that columns can be counted */
	if (col->kind == COLUMN_BYTES && !o->raw && !o->bytes && !parse_u64(cell, &n))
		return format_bytes(n);
	/* Raw text libsmartcols escapes itself, blanks included. */
	return o->raw ? xstrdup(cell) : printable(cell, false);
}

/* A column that has COLUMN_BELOW is part of the one before it, unless the text is raw. */
static bool is_below(const struct table *t, const struct table_options *o, const size_t *shown,
		     size_t i)
{
	return i && !o->raw && t->columns[shown[i]].flags & COLUMN_BELOW;
}

static void add_columns(struct libscols_table *tb, const struct table *t,
			const struct table_options *o, const size_t *shown, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct column *col = &t->columns[shown[i]];
		bool lines = i + 1 < n && is_below(t, o, shown, i + 1);
		struct libscols_column *cl;
		int flags = 0;

		if (is_below(t, o, shown, i))
			continue;
		if (col->kind != COLUMN_TEXT)
			flags |= SCOLS_FL_RIGHT;
		if (col->flags & COLUMN_CUT && screen.width)
			flags |= SCOLS_FL_TRUNC;
		if (col->flags & COLUMN_TREE && o->tree)
			flags |= SCOLS_FL_TREE;
		if (lines)
			flags |= SCOLS_FL_WRAP;
		cl = scols_table_new_column(tb, col->name, 0, flags);
		if (cl && lines) {
			scols_column_set_wrapfunc(cl, scols_wrapnl_chunksize,
						  scols_wrapnl_nextchunk, NULL);
			scols_column_set_safechars(cl, "\n");
		}
	}
}

static void fill_line(struct libscols_line *line, const struct table *t,
		      const struct table_options *o, const size_t *shown, size_t n,
		      const struct row *row)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		const struct column *col = &t->columns[shown[i]];
		const char *cell = row->cells[shown[i]];
		char *text = cell_text(col, cell, o);

		if (i + 1 < n && is_below(t, o, shown, i + 1) && row->cells[shown[i + 1]]) {
			char *name CLEANUP(free_string) = lower_name(&t->columns[shown[i + 1]]);
			char *below CLEANUP(free_string) =
				cell_text(&t->columns[shown[i + 1]], row->cells[shown[i + 1]], o);
			char *first CLEANUP(free_string) = text;

			text = str("%s\n%s: %s", first, name, below);
		}
		if (is_below(t, o, shown, i)) {
			free(text);
			continue;
		}
		if (col->color && cell)
			scols_cell_set_color(scols_line_get_cell(line, out), col->color(cell));
		scols_line_refer_data(line, out++, text);
	}
}

/* The lines in the rows' order, each linked below its parent in a tree. */
static void add_lines(struct libscols_table *tb, const struct table *t,
		      const struct table_options *o, const size_t *shown, size_t n)
{
	struct libscols_line **by_id = xrealloc(NULL, t->n_rows * sizeof(*by_id));

	for (size_t r = 0; r < t->n_rows; r++) {
		struct libscols_line *line = scols_table_new_line(tb, NULL);

		if (!line)
			out_of_memory();
		by_id[t->rows[r].id] = line;
		fill_line(line, t, o, shown, n, &t->rows[r]);
	}
	for (size_t r = 0; r < t->n_rows && o->tree; r++) {
		if (t->rows[r].parent != TABLE_NO_PARENT)
			scols_line_add_child(by_id[t->rows[r].parent], by_id[t->rows[r].id]);
	}
	free(by_id);
}

void table_print(const struct table *t, const struct table_options *o, FILE *out)
{
	struct libscols_table *tb = scols_new_table();
	size_t shown[TABLE_MAX_COLUMNS];
	size_t n = shown_columns(t, o, false, shown);

	if (!tb)
		out_of_memory();
	scols_table_set_stream(tb, out);
	scols_table_enable_raw(tb, o->raw);
	scols_table_enable_noheadings(tb, o->no_headings);
	scols_table_enable_noencoding(tb, true); /* cell_text() has done it */
	scols_table_enable_colors(tb, screen.colors && !o->raw);
	if (!o->raw)
		scols_table_set_column_separator(tb, "  ");
	scols_table_set_termforce(tb,
				  screen.width ? SCOLS_TERMFORCE_ALWAYS : SCOLS_TERMFORCE_NEVER);
	if (screen.width)
		scols_table_set_termwidth(tb, screen.width);
	add_columns(tb, t, o, shown, n);
	add_lines(tb, t, o, shown, n);
	if (scols_print_table(tb) < 0)
		out_of_memory();
	scols_unref_table(tb);
}

void table_output(struct table *t, const struct table_options *o, const char *key)
{
	struct json_object *all;

	table_sort(t, o);
	if (!o->json) {
		table_print(t, o, stdout);
		return;
	}
	all = json_object_new_object();
	json_object_object_add(all, key, table_json(t, o));
	json_print(all);
}
