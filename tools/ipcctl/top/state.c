// SPDX-License-Identifier: MIT
#include "top/state.h"

#include <stdio.h>

#include "top/draw.h"
#include "top/tty.h"

static const char help[] =
	"Keys:\n"
	"\n"
	"  up, down, page up and down, home, end   select an object\n"
	"  Enter, i   who waits at the selected object, and who holds it; again: back\n"
	"  k          cancel the waits of a process, or of all, at the selected object\n"
	"  P G W U    sort by puts, gets, waits, wake-ups\n"
	"  A L        sort by the age of the oldest message, the longest wait\n"
	"  C H S      sort by waiters, what is held, size\n"
	"  N T        sort by name, type\n"
	"  < >        sort by the column to the left or right\n"
	"  R          reverse the order\n"
	"  a          only objects at which something happens, or all\n"
	"  o, /       only objects whose names contain a text\n"
	"  =          all of them again\n"
	"  d, s       how often to look, in seconds\n"
	"  space      look at once\n"
	"  h, ?       this help\n"
	"  q          end\n";

/* ---- asking ---- */

void top_ask(struct top *t)
{
	t->answers = 0;
	for (size_t i = 0; i < t->n_mounts; i++)
		feed_ask(&t->feed, ASK_STATS, (int)i, t->mounts[i], "");
	if (t->panel_of)
		feed_ask(&t->feed, ASK_WHO, 0, t->panel_of, "");
}

void top_note(struct top *t, char *text)
{
	free(t->note);
	t->note = text;
	t->dirty = true;
}

static void take_stats(struct top *t, const struct answer *a)
{
	int r = a->status;
	size_t i = (size_t)a->number;

	if (r == 0)
		r = rows_take(&t->rows[i], a->number, t->prefixes[i], a->text);
	if (r < 0)
		rows_free(&t->rows[i]);
	t->errors[i] = r;
	t->answers++;
}

void top_answer(struct top *t, const struct answer *a)
{
	switch (a->ask) {
	case ASK_STATS:
		take_stats(t, a);
		break;
	case ASK_WHO:
		if (!t->panel_of)
			break;
		free(t->panel);
		t->panel = a->status < 0 ? str("%s: %s", t->panel_of, strerror(-a->status)) :
					   str("%s\n\n%s", t->panel_of, a->text);
		break;
	case ASK_CANCEL:
		top_note(t, a->status < 0 ? str("not cancelled: %s", strerror(-a->status)) :
					    xstrdup("cancelled"));
	}
	t->dirty = true;
}

/* ---- showing ---- */

static const char *trouble(const struct top *t, char *text, size_t size)
{
	int64_t waited = t->feed.asked ? now_ns() - t->feed.since : 0;

	if (waited > TOP_PATIENCE) {
		snprintf(text, size, "no answer from the daemon for %.0f s: is it stopped?",
			 (double)waited / 1e9);
		return text;
	}
	for (size_t i = 0; i < t->n_mounts; i++)
		if (t->errors[i] < 0) {
			/* (The end of it may not fit on the line.) */
			snprintf(text, size, "%s: %s", strerror(-t->errors[i]), t->mounts[i]);
			return text;
		}
	return t->note;
}

static void prompt_text(const struct top *t, char *text, size_t size)
{
	const char *typed = t->typed.data ? t->typed.data : "";

	if (t->prompt == PROMPT_FILTER)
		snprintf(text, size, "names that contain: %s_", typed);
	else if (t->prompt == PROMPT_DELAY)
		snprintf(text, size, "seconds between two looks: %s_", typed);
	else
		snprintf(text, size, "cancel the waits at %s of which pid (nothing: all)? %s_",
			 t->selected ? t->selected : "", typed);
}

size_t top_index(const struct shown **rows, size_t n, const char *name)
{
	size_t i = 0;

	while (name && i < n && strcmp(rows[i]->name, name))
		i++;
	return name ? i : n;
}

/* The selected row is on the screen. */
static void scroll(struct top *t, size_t selected, size_t n, size_t height)
{
	size_t page = height > HEAD_LINES ? height - HEAD_LINES : 1;

	if (selected < n && selected < t->first)
		t->first = selected;
	if (selected < n && selected >= t->first + page)
		t->first = selected - page + 1;
	if (t->first >= n)
		t->first = n ? n - 1 : 0;
}

void top_show(struct top *t)
{
	struct buf b CLEANUP(buf_free) = { .data = NULL };
	char message[500], prompt[500], *where CLEANUP(free_string) = NULL;
	struct frame f = { .view = &t->view, .delay = (double)t->delay / 1e9 };
	struct buf names CLEANUP(buf_free) = { .data = NULL };

	for (size_t i = 0; i < t->n_mounts; i++) {
		buf_puts(&names, i ? " " : "");
		buf_puts(&names, t->mounts[i]);
		f.n_all += t->rows[i].n;
	}
	where = printable(names.data, false);
	f.where = where;
	f.rows = rows_view(t->rows, t->n_mounts, &t->view, &f.n);
	f.message = trouble(t, message, sizeof(message));
	f.selected = top_index(f.rows, f.n, t->selected);
	if (!t->batch) {
		tty_size(&f.width, &f.height);
		scroll(t, f.selected, f.n, f.height);
		f.first = t->first;
		f.panel = t->help ? help : t->panel;
		prompt_text(t, prompt, sizeof(prompt));
		f.prompt = t->prompt ? prompt : NULL;
	}
	draw(&f, &b);
	free(f.rows);
	t->dirty = false;
	if (!t->batch)
		tty_show(&b);
	else if (fwrite(b.data, 1, b.len, stdout) != b.len || fflush(stdout) != 0)
		t->leave = true;
}
