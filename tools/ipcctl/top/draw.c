// SPDX-License-Identifier: MIT
#include "top/draw.h"

#include <stdio.h>
#include <time.h>
#include <wchar.h>

const struct column_look column_look[N_COLS] = {
	[COL_TYPE] = { "TYPE", -7, 'T' },    [COL_SIZE] = { "SIZE", 6, 'S' },
	[COL_PUTS] = { "PUT/s", 6, 'P' },    [COL_GETS] = { "GET/s", 6, 'G' },
	[COL_WAITS] = { "WAIT/s", 6, 'W' },  [COL_WAKES] = { "WAKE/s", 6, 'U' },
	[COL_WAITERS] = { "WTRS", 4, 'C' },  [COL_HOLDERS] = { "HELD", 4, 'H' },
	[COL_OLDEST] = { "OLDEST", 6, 'A' }, [COL_LONGEST] = { "WAITED", 6, 'L' },
	[COL_NAME] = { "NAME", -4, 'N' },
};

/* At most six characters. */
static void short_number(double n, bool whole, char *ret, size_t size)
{
	static const char units[] = "kMGTPE";
	size_t u = 0;

	if (n < 0)
		snprintf(ret, size, "-");
	else if (n < 99.95 && !whole)
		snprintf(ret, size, "%.1f", n);
	else if (n < 9999.5)
		snprintf(ret, size, "%.0f", n);
	else {
		for (n /= 1000; n >= 999.5 && u + 1 < sizeof(units) - 1; u++)
			n /= 1000;
		snprintf(ret, size, n < 99.95 ? "%.1f%c" : "%.0f%c", n, units[u]);
	}
}

static void short_time(double s, char *ret, size_t size)
{
	if (s <= 0)
		snprintf(ret, size, "-");
	else if (s < 99.95)
		snprintf(ret, size, "%.1fs", s);
	else if (s < 6000)
		snprintf(ret, size, "%dm%02ds", (int)s / 60, (int)s % 60);
	else if (s < 360000)
		snprintf(ret, size, "%dh%02dm", (int)s / 3600, (int)s % 3600 / 60);
	else
		snprintf(ret, size, "%.0fd", s / 86400 < 99999 ? s / 86400 : 99999);
}

/* As much of a printable text as fits; 0: all. */
static void cut(struct buf *b, const char *s, size_t width)
{
	mbstate_t state = { 0 };
	size_t used = 0, n;
	wchar_t c;

	for (const char *p = s; width && *p; p += n) {
		int w;

		n = mbrtowc(&c, p, strlen(p), &state);
		if (n == (size_t)-1 || n == (size_t)-2)
			n = 1, c = '?', state = (mbstate_t){ 0 };
		w = wcwidth(c);
		used += w > 0 ? (size_t)w : 0;
		if (used > width) {
			buf_add(b, s, (size_t)(p - s));
			return;
		}
	}
	buf_puts(b, s);
}

/*
 * Ends a line, and clears the next one. (Not what is behind its own text: at the right edge that would
 * be the last character.)
 */
static void line_end(const struct frame *f, struct buf *b, size_t *left)
{
	if (f->height) {
		if (*left)
			--*left;
		buf_puts(b, *left ? "\033[0m\r\n\033[K" : "\033[0m");
	} else {
		buf_puts(b, "\n");
	}
}

/* A line, if there is one left. style: for a terminal. */
static void add_line(const struct frame *f, struct buf *b, size_t *left, const char *style,
		     const char *text)
{
	if (!*left)
		return;
	if (f->height)
		buf_puts(b, style);
	cut(b, text, f->width);
	line_end(f, b, left);
}

static void field(enum column_id c, const char *text, char *line, size_t size)
{
	size_t n = strlen(line);

	snprintf(line + n, size - n, c == COL_NAME ? "%*s%s" : "%*s ",
		 c == COL_NAME ? 0 : column_look[c].width, c == COL_NAME ? "" : text, text);
}

static void row_text(const struct shown *r, const char *name, char *line, size_t size)
{
	*line = '\0';
	for (int c = 0; c < N_COLS; c++) {
		char text[32];

		if (c == COL_TYPE || c == COL_NAME) {
			field(c, c == COL_TYPE ? r->type : name, line, size);
			continue;
		}
		if (r->stalled)
			snprintf(text, sizeof(text), "?");
		else if (c == COL_OLDEST || c == COL_LONGEST)
			short_time(r->value[c], text, sizeof(text));
		else
			short_number(r->value[c], c < COL_PUTS || c > COL_WAKES, text,
				     sizeof(text));
		field(c, text, line, size);
	}
}

static void totals(const struct frame *f, char *ret, size_t size)
{
	double sum[N_COLS] = { 0 };
	char text[6][32];

	for (size_t i = 0; i < f->n; i++)
		for (int c = COL_PUTS; c <= COL_HOLDERS; c++)
			sum[c] += f->rows[i]->value[c] > 0 ? f->rows[i]->value[c] : 0;
	for (int i = 0; i < 6; i++)
		short_number(sum[COL_PUTS + i], i > 3, text[i], sizeof(text[i]));
	snprintf(ret, size,
		 "each second: %s puts, %s gets, %s waits, %s wake-ups; %s wait, %s held", text[0],
		 text[1], text[2], text[3], text[4], text[5]);
}

static void head(const struct frame *f, struct buf *b, size_t *left)
{
	time_t now = time(NULL);
	char clock[16], line[400];
	struct tm tm;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
	snprintf(line, sizeof(line), "ipcctl top - %s, %zu of %zu objects, every %g s, %s", clock,
		 f->n, f->n_all, f->delay, f->where);
	add_line(f, b, left, "", line);
	if (f->message)
		snprintf(line, sizeof(line), "%s", f->message);
	else
		totals(f, line, sizeof(line));
	add_line(f, b, left, f->message ? "\033[1m" : "", line);
	if (f->prompt)
		snprintf(line, sizeof(line), "%s", f->prompt);
	else
		snprintf(line, sizeof(line), "%ssorted by %s%s%s%s",
			 f->view->active ? "active ones, " : "", column_look[f->view->sort].title,
			 f->view->reverse ? ", reversed" : "", f->view->filter ? ", with " : "",
			 f->view->filter ? f->view->filter : "");
	add_line(f, b, left, "", line);
}

static void headings(const struct frame *f, struct buf *b, size_t *left)
{
	char line[400] = "";

	for (int c = 0; c < N_COLS; c++)
		field(c, column_look[c].title, line, sizeof(line));
	if (f->height) {
		size_t n = strlen(line);

		for (; n < f->width && n + 1 < sizeof(line); n++)
			line[n] = ' ';
		line[n] = '\0';
	}
	add_line(f, b, left, "\033[7m", line);
}

static void panel(const struct frame *f, struct buf *b, size_t *left)
{
	char *text CLEANUP(free_string) = xstrdup(f->panel), *rest = text, *line;

	while (*left && (line = strsep(&rest, "\n"))) {
		char *shown CLEANUP(free_string) = printable(line, false);

		add_line(f, b, left, "", shown);
	}
}

void draw(const struct frame *f, struct buf *b)
{
	size_t left = f->height ? f->height : SIZE_MAX;

	b->len = 0;
	if (f->height)
		buf_puts(b, "\033[H\033[K");
	head(f, b, &left);
	if (f->panel) {
		panel(f, b, &left);
	} else {
		headings(f, b, &left);
		for (size_t i = f->first; i < f->n && left; i++) {
			size_t room = strlen(f->rows[i]->name) + 200;
			char *line CLEANUP(free_string) = xrealloc(NULL, room);

			row_text(f->rows[i], f->rows[i]->name, line, room);
			add_line(f, b, &left, i == f->selected ? "\033[7m" : "", line);
		}
	}
	if (!f->height)
		buf_puts(b, "\n");
	else if (left)
		buf_puts(b, "\033[J");
}
