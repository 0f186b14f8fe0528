// SPDX-License-Identifier: MIT
#include "top/rows.h"

#include <stdio.h>

static const char *const rates[] = { "puts", "gets", "waits", "wakeups" };

static void row_free(struct shown *r)
{
	free(r->path);
	free(r->name);
	free(r->type);
}

void rows_free(struct rows *all)
{
	for (size_t i = 0; i < all->n; i++)
		row_free(&all->list[i]);
	free(all->list);
	*all = (struct rows){ .n = 0 };
}

/* \012 and the like; in place. */
static void unescape(char *s)
{
	char *to = s;

	while (*s)
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	*to = '\0';
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct shown *)a)->path, ((const struct shown *)b)->path);
}

static double number(const char *s)
{
	return *s < '0' || *s > '9' ? -1 : strtod(s, NULL);
}

/* Which field of a line has which column. */
struct layout {
	int field[N_COLS], total[4], type, path, fields;
};

static int field_of(const char *const *names, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

static int split(char *line, const char **ret, int most)
{
	int n = 0;

	while (line && n < most)
		ret[n++] = strsep(&line, "\t");
	return n;
}

#define FIELDS_MOST 64

static bool read_layout(char *line, struct layout *ret)
{
	const char *names[FIELDS_MOST];
	int n = split(line, names, FIELDS_MOST);

	*ret = (struct layout){ .fields = n };
	for (int i = 0; i < N_COLS; i++)
		ret->field[i] = -1;
	ret->field[COL_SIZE] = field_of(names, n, "size");
	ret->field[COL_WAITERS] = field_of(names, n, "waiters");
	ret->field[COL_HOLDERS] = field_of(names, n, "holders");
	ret->field[COL_OLDEST] = field_of(names, n, "oldest");
	ret->field[COL_LONGEST] = field_of(names, n, "longest_wait");
	for (int i = 0; i < 4; i++)
		ret->total[i] = field_of(names, n, rates[i]);
	ret->type = field_of(names, n, "type");
	ret->path = field_of(names, n, "path");
	return ret->type != -1 && ret->path == n - 1;
}

static bool read_row(char *line, const struct layout *l, const char *prefix, struct shown *ret)
{
	const char *field[FIELDS_MOST];
	char *text CLEANUP(free_string) = NULL, *raw CLEANUP(free_string) = NULL;

	if (split(line, field, FIELDS_MOST) != l->fields)
		return false;
	*ret = (struct shown){ .path = xstrdup(field[l->path]), .type = xstrdup(field[l->type]) };
	text = str("%s%s", prefix, field[l->path]);
	raw = xstrdup(text);
	unescape(raw);
	ret->name = printable(raw, false);
	for (int i = 0; i < N_COLS; i++)
		ret->value[i] = l->field[i] < 0 ? -1 : number(field[l->field[i]]);
	for (int i = 0; i < 4; i++)
		ret->total[i] = l->total[i] < 0 ? -1 : number(field[l->total[i]]);
	ret->stalled = l->field[COL_SIZE] >= 0 && *field[l->field[COL_SIZE]] == '?';
	return true;
}

/* An object that is new, or whose counters begin anew, has done since then all that it has done. */
static void find_rates(struct shown *r, const struct shown *old, bool first, double seconds)
{
	for (int i = 0; i < 4; i++) {
		double before = old && old->total[i] <= r->total[i] ? old->total[i] : 0;

		r->value[COL_PUTS + i] = r->total[i] < 0       ? -1 :
					 first || seconds <= 0 ? 0 :
								 (r->total[i] - before) / seconds;
		if (old && old->stalled)
			r->value[COL_PUTS + i] = r->stalled ? -1 : 0;
	}
}

static int read_rows(struct rows *r, const struct rows *old, int mount, const char *prefix,
		     char *text)
{
	double seconds = (double)(r->when - old->when) / 1e9;
	struct layout l;
	char *line = strsep(&text, "\n");

	if (!line || !read_layout(line, &l))
		return -EBADMSG;
	for (size_t room = 0; (line = strsep(&text, "\n")) && *line; r->n++) {
		struct shown *row;

		if (r->n == room) {
			room = room ? 2 * room : 64;
			r->list = xrealloc(r->list, room * sizeof(*r->list));
		}
		row = &r->list[r->n];
		if (!read_row(line, &l, prefix, row))
			return -EBADMSG;
		row->mount = mount;
		find_rates(row,
			   old->n ? bsearch(row, old->list, old->n, sizeof(*row), by_path) : NULL,
			   !old->when, seconds);
	}
	if (r->n)
		qsort(r->list, r->n, sizeof(*r->list), by_path);
	return 0;
}

int rows_take(struct rows *r, int mount, const char *prefix, char *text)
{
	struct rows old CLEANUP(rows_free) = *r;
	int e;

	*r = (struct rows){ .when = now_ns() };
	e = read_rows(r, &old, mount, prefix, text);
	if (e < 0)
		rows_free(r);
	return e;
}

/* ---- what is seen ---- */

static const struct view *order;

static int compare(const void *a, const void *b)
{
	const struct shown *x = *(const struct shown *const *)a,
			   *y = *(const struct shown *const *)b;
	double p = x->value[order->sort], q = y->value[order->sort];
	int r;

	if (order->sort == COL_NAME)
		r = strcmp(x->name, y->name);
	else if (order->sort == COL_TYPE)
		r = strcmp(x->type, y->type);
	else
		r = p < q ? 1 : p > q ? -1 : 0; /* the largest first */
	if (order->reverse)
		r = -r;
	return r ? r : x->mount != y->mount ? x->mount - y->mount : strcmp(x->path, y->path);
}

static bool is_seen(const struct shown *r, const struct view *v)
{
	if (v->filter && *v->filter && !strstr(r->name, v->filter))
		return false;
	return !v->active || r->stalled || r->value[COL_WAITERS] > 0 || r->value[COL_PUTS] > 0 ||
	       r->value[COL_GETS] > 0 || r->value[COL_WAITS] > 0;
}

const struct shown **rows_view(const struct rows *mounts, size_t n_mounts, const struct view *v,
			       size_t *ret_n)
{
	const struct shown **seen = NULL;
	size_t n = 0;

	for (size_t m = 0; m < n_mounts; m++) {
		seen = xrealloc(seen, (n + mounts[m].n + 1) * sizeof(*seen));
		for (size_t i = 0; i < mounts[m].n; i++)
			if (is_seen(&mounts[m].list[i], v))
				seen[n++] = &mounts[m].list[i];
	}
	order = v;
	if (n)
		qsort(seen, n, sizeof(*seen), compare);
	*ret_n = n;
	return seen;
}

char *row_path(const struct shown *r, const char *mount)
{
	char *raw CLEANUP(free_string) = xstrdup(r->path);

	unescape(raw);
	return str("%s/%s", mount, raw);
}
