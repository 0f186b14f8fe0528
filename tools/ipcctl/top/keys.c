// SPDX-License-Identifier: MIT
#include "object.h"
#include "top/draw.h"
#include "top/state.h"
#include "top/tty.h"

/* The object that is selected; NULL. Valid until the rows change. */
static const struct shown *selected(const struct top *t)
{
	for (size_t m = 0; m < t->n_mounts && t->selected; m++)
		for (size_t i = 0; i < t->rows[m].n; i++)
			if (!strcmp(t->rows[m].list[i].name, t->selected))
				return &t->rows[m].list[i];
	return NULL;
}

static void move(struct top *t, int64_t by)
{
	size_t n, i;
	const struct shown **rows = rows_view(t->rows, t->n_mounts, &t->view, &n);

	i = top_index(rows, n, t->selected);
	if (i == n)
		i = by > 0 ? (size_t)-1 : 0; /* the first one */
	i = by < 0 && i < (size_t)-by ? 0 : i + (size_t)by;
	if (n) {
		free(t->selected);
		t->selected = xstrdup(rows[i < n ? i : n - 1]->name);
	}
	free(rows);
}

void top_leave_panel(struct top *t)
{
	free(t->panel);
	free(t->panel_of);
	t->panel = t->panel_of = NULL;
	t->help = false;
}

static void show_who(struct top *t)
{
	const struct shown *r = selected(t);

	if (t->panel || t->help) {
		top_leave_panel(t);
	} else if (r) {
		t->panel_of = row_path(r, t->mounts[r->mount]);
		t->panel = str("%s", t->panel_of);
		feed_ask(&t->feed, ASK_WHO, 0, t->panel_of, "");
	} else {
		top_note(t, xstrdup("select an object first: up, down"));
	}
}

static void begin_prompt(struct top *t, enum prompt p)
{
	if (p == PROMPT_CANCEL && !selected(t)) {
		top_note(t, xstrdup("select an object first: up, down"));
		return;
	}
	t->prompt = p;
	t->typed.len = 0;
	buf_puts(&t->typed, "");
}

void top_set_filter(struct top *t, const char *text)
{
	free(t->view.filter);
	t->view.filter = *text ? xstrdup(text) : NULL;
	t->first = 0;
}

static void set_delay(struct top *t, const char *text)
{
	int64_t ns;

	if (parse_seconds(text, &ns) < 0 || ns < NSEC_PER_SEC / 100) {
		top_note(t, xstrdup("that is no number of seconds"));
		return;
	}
	t->delay = ns;
	t->due = 0;
}

static void cancel_waits(struct top *t, const char *who)
{
	const struct shown *r = selected(t);
	char *path CLEANUP(free_string) = r ? row_path(r, t->mounts[r->mount]) : NULL;

	if (r)
		feed_ask(&t->feed, ASK_CANCEL, 0, path, *who ? who : "all");
}

static void end_prompt(struct top *t)
{
	const char *typed = t->typed.data ? t->typed.data : "";
	enum prompt p = t->prompt;

	t->prompt = PROMPT_NONE;
	if (p == PROMPT_FILTER)
		top_set_filter(t, typed);
	else if (p == PROMPT_DELAY)
		set_delay(t, typed);
	else
		cancel_waits(t, typed);
}

static void prompt_key(struct top *t, int key)
{
	char c = (char)key;

	if (key == KEY_ESCAPE) {
		t->prompt = PROMPT_NONE;
	} else if (key == '\n' || key == '\r') {
		end_prompt(t);
	} else if (key == 127 || key == '\b') {
		/* A character, of however many bytes. */
		while (t->typed.len &&
		       ((unsigned char)t->typed.data[--t->typed.len] & 0xc0) == 0x80)
			;
		if (t->typed.data)
			t->typed.data[t->typed.len] = '\0';
	} else if (key >= ' ' && key < KEY_NONE - 1 && t->typed.len < 200) {
		buf_add(&t->typed, &c, 1);
	}
}

static bool sort_key(struct top *t, int key)
{
	int by = key == '<' ? -1 : key == '>' ? 1 : 0;

	for (int c = 0; c < N_COLS; c++)
		if (column_look[c].key == key) {
			t->view.sort = (enum column_id)c;
			t->first = 0;
			return true;
		}
	if (by)
		t->view.sort = (enum column_id)(((int)t->view.sort + by + N_COLS) % N_COLS);
	return by != 0;
}

static void move_key(struct top *t, int key)
{
	size_t width, height, page;

	tty_size(&width, &height);
	page = height > HEAD_LINES + 1 ? height - HEAD_LINES - 1 : 1;
	if (key == KEY_UP || key == KEY_DOWN)
		move(t, key == KEY_UP ? -1 : 1);
	else if (key == KEY_PAGE_UP || key == KEY_PAGE_DOWN)
		move(t, key == KEY_PAGE_UP ? -(int64_t)page : (int64_t)page);
	else
		move(t, key == KEY_HOME ? -INT32_MAX : INT32_MAX);
}

/* What is to be seen of the objects, and when. */
static void view_key(struct top *t, int key)
{
	switch (key) {
	case '=':
		top_set_filter(t, "");
		break;
	case 'R':
		t->view.reverse = !t->view.reverse;
		break;
	case 'a':
		t->view.active = !t->view.active;
		break;
	case ' ':
		t->due = 0;
		break;
	default:
		if (key > KEY_NONE && key < KEY_ESCAPE)
			move_key(t, key);
		else
			sort_key(t, key);
	}
}

static void command_key(struct top *t, int key)
{
	switch (key) {
	case 'q':
	case 'Q':
		t->leave = true;
		break;
	case 'h':
	case '?':
		t->help = !t->help;
		break;
	case 'i':
	case '\n':
	case '\r':
		show_who(t);
		break;
	case KEY_ESCAPE:
		top_leave_panel(t);
		break;
	case 'k':
		begin_prompt(t, PROMPT_CANCEL);
		break;
	case 'o':
	case '/':
		begin_prompt(t, PROMPT_FILTER);
		break;
	case 'd':
	case 's':
		begin_prompt(t, PROMPT_DELAY);
		break;
	default:
		view_key(t, key);
	}
}

void top_keys(struct top *t)
{
	int key;

	if (tty_read() < 0)
		t->leave = true;
	while ((key = tty_key()) != KEY_NONE) {
		top_note(t, NULL);
		if (t->prompt)
			prompt_key(t, key);
		else
			command_key(t, key);
	}
}
