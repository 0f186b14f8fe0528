// SPDX-License-Identifier: MIT
#include "print/table.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>

#include "util.h"

char **table_add(struct table *t)
{
	char **row;

	if (t->n_rows == t->size) {
		t->size = t->size ? t->size * 2 : 16;
		t->cells = xrealloc(t->cells, t->size * t->n_columns * sizeof(*t->cells));
	}
	row = t->cells + t->n_rows++ * t->n_columns;
	for (size_t c = 0; c < t->n_columns; c++)
		row[c] = NULL;
	return row;
}

void table_free(struct table *t)
{
	for (size_t i = 0; i < t->n_rows * t->n_columns; i++)
		free(t->cells[i]);
	free(t->cells);
	t->cells = NULL;
	t->n_rows = t->size = 0;
}

int table_choose(const struct column *columns, size_t n_columns, const char *list,
		 struct table_options *o)
{
	o->n_chosen = 0;
	while (*list) {
		size_t len = strcspn(list, ","), c;

		for (c = 0; c < n_columns; c++) {
			if (strlen(columns[c].name) == len &&
			    !strncasecmp(columns[c].name, list, len))
				break;
		}
		if (c == n_columns || o->n_chosen == TABLE_MAX_COLUMNS)
			return -EINVAL;
		o->chosen[o->n_chosen++] = c;
		list += len;
		list += *list == ',';
	}
	return o->n_chosen ? 0 : -EINVAL;
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

#define NAME_SIZE 32

static void lower_name(const struct column *col, char ret[NAME_SIZE])
{
	size_t i;

	for (i = 0; col->name[i] && i + 1 < NAME_SIZE; i++)
		ret[i] = tolower((unsigned char)col->name[i]);
	ret[i] = '\0';
}

void table_json(const struct table *t, const struct table_options *o, struct json *j,
		const char *key)
{
	size_t shown[TABLE_MAX_COLUMNS];
	size_t n = shown_columns(t, o, true, shown);

	json_open(j, key, '[');
	for (size_t r = 0; r < t->n_rows; r++) {
		json_open(j, NULL, '{');
		for (size_t i = 0; i < n; i++) {
			const struct column *col = &t->columns[shown[i]];
			const char *cell = t->cells[r * t->n_columns + shown[i]];
			char name[NAME_SIZE];

			lower_name(col, name);
			if (col->kind == COLUMN_TEXT)
				json_string(j, name, cell);
			else
				json_value(j, name, cell);
		}
		json_close(j, '}');
	}
	json_close(j, ']');
}

static char *cell_text(const struct column *col, const char *cell, const struct table_options *o)
{
	uint64_t n;

	if (!cell || (!*cell && !(col->flags & COLUMN_BELOW)))
		return xstrdup("-"); /* never nothing, so that columns can be counted */
	if (col->kind == COLUMN_BYTES && !o->raw && !o->bytes && !parse_u64(cell, &n))
		return format_bytes(n);
	return printable(cell, o->raw);
}

static void print_raw(const struct table *t, const struct table_options *o, FILE *out,
		      const size_t *shown, size_t n)
{
	for (size_t i = 0; i < n && !o->no_headings; i++)
		fprintf(out, "%s%c", t->columns[shown[i]].name, i + 1 < n ? ' ' : '\n');
	for (size_t r = 0; r < t->n_rows; r++) {
		for (size_t i = 0; i < n; i++) {
			const char *cell = t->cells[r * t->n_columns + shown[i]];
			char *s CLEANUP(free_string) = cell_text(&t->columns[shown[i]], cell, o);

			fprintf(out, "%s%c", *s ? s : "-", i + 1 < n ? ' ' : '\n');
		}
	}
}

/* How many columns the terminal has; 0 for a file or pipe, whose lines are never cut. */
static size_t terminal_width(FILE *out)
{
	struct winsize ws;

	if (!isatty(fileno(out)) || ioctl(fileno(out), TIOCGWINSZ, &ws) < 0)
		return 0;
	return ws.ws_col;
}

static void print_cell(FILE *out, const char *s, bool right, bool last, size_t width, size_t room)
{
	size_t w = display_width(s);
	int pad = w < width ? (int)(width - w) : 0;

	if (right)
		fprintf(out, "%*s", pad, "");
	/* Bytes count as columns here: a cut in mid-character is worse than a short line. */
	if (last && room && w > room && w == strlen(s))
		fprintf(out, "%.*s", (int)room, s);
	else
		fputs(s, out);
	if (!right && !last)
		fprintf(out, "%*s", pad, "");
}

static void print_below(FILE *out, const struct column *col, const char *s, size_t indent)
{
	char name[NAME_SIZE];

	if (!*s || !strcmp(s, "-"))
		return;
	lower_name(col, name);
	fprintf(out, "\n%*s%s: %s", (int)indent, "", name, s);
}

static void print_aligned(const struct table *t, const struct table_options *o, FILE *out,
			  const size_t *shown, size_t n)
{
	size_t width[TABLE_MAX_COLUMNS], term = terminal_width(out);
	char **texts = xrealloc(NULL, (t->n_rows * n + 1) * sizeof(*texts));
	size_t n_across = 0;

	for (size_t i = 0; i < n; i++) {
		const struct column *col = &t->columns[shown[i]];

		width[i] = o->no_headings ? 0 : strlen(col->name);
		if (!(col->flags & COLUMN_BELOW))
			n_across = i + 1;
		for (size_t r = 0; r < t->n_rows; r++) {
			char *s = cell_text(col, t->cells[r * t->n_columns + shown[i]], o);
			size_t w = display_width(s);

			texts[r * n + i] = s;
			if (w > width[i])
				width[i] = w;
		}
	}
	for (size_t line = o->no_headings; line <= t->n_rows; line++) {
		size_t used = 0;

		for (size_t i = 0; i < n; i++) {
			const struct column *col = &t->columns[shown[i]];
			const char *s = line ? texts[(line - 1) * n + i] : col->name;
			bool last = i + 1 >= n_across;

			if (col->flags & COLUMN_BELOW) {
				if (line)
					print_below(out, col, s, width[0] + 2);
				continue;
			}
			if (used)
				fputs("  ", out);
			print_cell(out, s, col->kind != COLUMN_TEXT, last, width[i],
				   term > used ? term - used : 0);
			used += width[i] + 2;
		}
		putc('\n', out);
	}
	for (size_t i = 0; i < t->n_rows * n; i++)
		free(texts[i]);
	free(texts);
}

void table_print(const struct table *t, const struct table_options *o, FILE *out)
{
	size_t shown[TABLE_MAX_COLUMNS];
	size_t n = shown_columns(t, o, false, shown);

	if (o->raw)
		print_raw(t, o, out, shown, n);
	else
		print_aligned(t, o, out, shown, n);
}
