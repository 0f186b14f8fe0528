// SPDX-License-Identifier: MIT
/*
 * ipcctl top: what the objects of the mounts do just now.
 *
 * One loop over what may happen: an answer of the process that reads (top/feed.h), a key, a signal, or
 * that it is time to ask again. So it goes on, and can be left, whatever a daemon does.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>

#include "ipcctl.h"
#include "mounts.h"
#include "top/draw.h"
#include "top/feed.h"
#include "top/tty.h"

#define PATIENCE \
	(3 * NSEC_PER_SEC) /* after so long without an answer it is said that there is none */

enum prompt { PROMPT_NONE, PROMPT_FILTER, PROMPT_DELAY, PROMPT_CANCEL };

struct top {
	const char **mounts;
	char **prefixes; /* of the names: none, if there is one mount only */
	struct rows *rows;
	int *errors; /* of the last time: 0 or -errno */
	size_t n_mounts;
	struct feed feed;
	int signals;
	bool batch, dirty, leave;
	int64_t delay, due;   /* when to ask next */
	int64_t frames;       /* that are left; < 0: no limit */
	unsigned int answers; /* of the mounts that were asked last */
	bool asked_before;
	struct view view;
	char *selected; /* the object's name; NULL: none */
	size_t first;
	char *panel, *panel_of; /* its text, and the path of the object; NULL */
	bool help;
	enum prompt prompt;
	struct buf typed;
	char *note; /* what has become of what was asked for; NULL */
	int status;
};

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

static void ask(struct top *t)
{
	t->answers = 0;
	for (size_t i = 0; i < t->n_mounts; i++)
		feed_ask(&t->feed, ASK_STATS, (int)i, t->mounts[i], "");
	if (t->panel_of)
		feed_ask(&t->feed, ASK_WHO, 0, t->panel_of, "");
}

static void note(struct top *t, char *text)
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

static void take_answer(struct top *t, const struct answer *a)
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
		note(t, a->status < 0 ? str("not cancelled: %s", strerror(-a->status)) :
					xstrdup("cancelled"));
	}
	t->dirty = true;
}

/* ---- showing ---- */

static const char *trouble(const struct top *t, char *text, size_t size)
{
	int64_t waited = t->feed.asked ? now_ns() - t->feed.since : 0;

	if (waited > PATIENCE) {
		snprintf(text, size, "no answer from the daemon for %.0f s: is it stopped?",
			 (double)waited / 1e9);
		return text;
	}
	for (size_t i = 0; i < t->n_mounts; i++)
		if (t->errors[i] < 0) {
			snprintf(text, size, "%s: %s", t->mounts[i], strerror(-t->errors[i]));
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

static size_t index_of(const struct shown **rows, size_t n, const char *name)
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

static void show(struct top *t)
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
	f.where = where = printable(names.data, false);
	f.rows = rows_view(t->rows, t->n_mounts, &t->view, &f.n);
	f.message = trouble(t, message, sizeof(message));
	f.selected = index_of(f.rows, f.n, t->selected);
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

/* All mounts have answered. */
static void look(struct top *t)
{
	bool first = !t->asked_before;

	t->asked_before = true;
	/* (There are rates from the second time on.) */
	t->due = now_ns() +
		 (first && !t->batch && t->delay > NSEC_PER_SEC / 5 ? NSEC_PER_SEC / 5 : t->delay);
	if (t->batch && first)
		return;
	if (t->batch)
		show(t);
	if (t->frames > 0 && !first && !--t->frames)
		t->leave = true;
}

/* ---- keys ---- */

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

	i = index_of(rows, n, t->selected);
	if (i == n)
		i = by > 0 ? (size_t)-1 : 0; /* the first one */
	i = by < 0 && i < (size_t)-by ? 0 : i + (size_t)by;
	if (n) {
		free(t->selected);
		t->selected = xstrdup(rows[i < n ? i : n - 1]->name);
	}
	free(rows);
}

static void leave_panel(struct top *t)
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
		leave_panel(t);
	} else if (r) {
		t->panel_of = row_path(r, t->mounts[r->mount]);
		t->panel = str("%s", t->panel_of);
		feed_ask(&t->feed, ASK_WHO, 0, t->panel_of, "");
	} else {
		note(t, xstrdup("select an object first: up, down"));
	}
}

static void begin_prompt(struct top *t, enum prompt p)
{
	if (p == PROMPT_CANCEL && !selected(t)) {
		note(t, xstrdup("select an object first: up, down"));
		return;
	}
	t->prompt = p;
	t->typed.len = 0;
	buf_puts(&t->typed, "");
}

static void set_filter(struct top *t, const char *text)
{
	free(t->view.filter);
	t->view.filter = *text ? xstrdup(text) : NULL;
	t->first = 0;
}

static void set_delay(struct top *t, const char *text)
{
	int64_t ns;

	if (parse_seconds(text, &ns) < 0 || ns < NSEC_PER_SEC / 100) {
		note(t, xstrdup("that is no number of seconds"));
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
		set_filter(t, typed);
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
		leave_panel(t);
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
	case '=':
		set_filter(t, "");
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

static void keys(struct top *t)
{
	int key;

	if (tty_read() < 0)
		t->leave = true;
	while ((key = tty_key()) != KEY_NONE) {
		note(t, NULL);
		if (t->prompt)
			prompt_key(t, key);
		else
			command_key(t, key);
	}
}

/* ---- signals ---- */

static void on_signal(struct top *t)
{
	struct signalfd_siginfo s;

	if (read(t->signals, &s, sizeof(s)) != sizeof(s))
		return;
	if (s.ssi_signo == SIGWINCH) {
		t->dirty = true;
	} else if (s.ssi_signo == SIGTSTP) {
		if (t->batch)
			raise(SIGSTOP);
		else
			tty_stop();
		t->dirty = true;
	} else {
		sigset_t set;

		/* As it would have ended without us. */
		tty_end();
		feed_end(&t->feed);
		signal((int)s.ssi_signo, SIG_DFL);
		sigemptyset(&set);
		sigaddset(&set, (int)s.ssi_signo);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		raise((int)s.ssi_signo);
	}
}

static int signals_fd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGTSTP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* ---- the loop ---- */

static void take_answers(struct top *t)
{
	struct answer a;
	int r = feed_read(&t->feed);

	while (feed_next(&t->feed, &a)) {
		unsigned int before = t->answers;

		take_answer(t, &a);
		if (before < t->n_mounts && t->answers == t->n_mounts)
			look(t);
	}
	if (r < 0) {
		complain("top", "the process that reads has ended");
		t->status = EXIT_FAILURE;
		t->leave = true;
	}
}

/* A batch ends if there is nobody to answer; a screen says so, and waits. */
static void be_impatient(struct top *t)
{
	size_t gone = 0;

	if (t->feed.asked && now_ns() - t->feed.since > PATIENCE)
		t->dirty = true;
	for (size_t i = 0; i < t->n_mounts; i++)
		gone += t->errors[i] < 0;
	if (!t->batch)
		return;
	if (t->feed.asked && now_ns() - t->feed.since > ANSWER_LIMIT) {
		complain("no answer from the daemon",
			 "is it stopped? 'ipcctl doctor' looks at every mount");
		t->status = EXIT_NO_ANSWER;
		t->leave = true;
	} else if (gone == t->n_mounts) {
		complain(t->mounts[0], "%s", strerror(-t->errors[0]));
		t->status = EXIT_FAILURE;
		t->leave = true;
	}
}

static int until(const struct top *t)
{
	int64_t now = now_ns(), when = t->answers == t->n_mounts ? t->due : INT64_MAX;

	/* While an answer is missing it is shown for how long. */
	if (t->feed.asked && when > now + NSEC_PER_SEC / 2)
		when = now + NSEC_PER_SEC / 2;
	return when <= now                      ? 0 :
	       when - now > 1000 * NSEC_PER_SEC ? 1000000 :
						  (int)((when - now) / 1000000) + 1;
}

static void loop(struct top *t)
{
	struct pollfd p[] = {
		{ .fd = t->feed.from, .events = POLLIN },
		{ .fd = t->signals, .events = POLLIN },
		{ .fd = t->batch ? -1 : STDIN_FILENO, .events = POLLIN },
	};

	ask(t);
	while (!t->leave) {
		if (t->dirty && !t->batch)
			show(t);
		if (poll(p, ARRAY_SIZE(p), until(t)) < 0 && errno != EINTR)
			break;
		if (p[1].revents)
			on_signal(t);
		if (p[0].revents)
			take_answers(t);
		if (p[2].revents)
			keys(t);
		be_impatient(t);
		if (!t->leave && t->answers == t->n_mounts && now_ns() >= t->due)
			ask(t);
	}
}

/* ---- the command line ---- */

static bool parse_sort(const char *name, struct view *v)
{
	v->reverse = *name == '-';
	name += v->reverse;
	for (int c = 0; c < N_COLS; c++)
		if (!strcasecmp(name, column_look[c].title)) {
			v->sort = (enum column_id)c;
			return true;
		}
	return false;
}

enum { OPT_SORT = 'x' };

static void parse(const struct command *cmd, struct top *t, int argc, char **argv)
{
	uint64_t n;
	int c;

	while ((c = next_option(cmd, argc, argv)) != -1)
		switch (c) {
		case 'b':
			t->batch = true;
			break;
		case 'n':
			if (parse_u64(optarg, &n) < 0 || !n || n > INT32_MAX)
				usage_error(cmd, "not a number of times: %s", optarg);
			t->frames = (int64_t)n;
			break;
		case 'd':
			if (parse_seconds(optarg, &t->delay) < 0 || t->delay < NSEC_PER_SEC / 100)
				usage_error(cmd, "not a number of seconds: %s", optarg);
			break;
		case 'a':
			t->view.active = true;
			break;
		case 'f':
			set_filter(t, optarg);
			break;
		case OPT_SORT:
			if (!parse_sort(optarg, &t->view))
				usage_error(cmd, "no such column: %s", optarg);
			break;
		}
}

static void choose_mounts(struct top *t, const struct mounts *m, char **argv, size_t n)
{
	t->n_mounts = n ? n : m->n;
	t->mounts = xrealloc(NULL, t->n_mounts * sizeof(*t->mounts));
	t->prefixes = xrealloc(NULL, t->n_mounts * sizeof(*t->prefixes));
	t->rows = xrealloc(NULL, t->n_mounts * sizeof(*t->rows));
	t->errors = xrealloc(NULL, t->n_mounts * sizeof(*t->errors));
	for (size_t i = 0; i < t->n_mounts; i++) {
		t->mounts[i] = n ? argv[i] : m->list[i].path;
		t->prefixes[i] = t->n_mounts == 1 ? xstrdup("") : str("%s/", t->mounts[i]);
		t->rows[i] = (struct rows){ .n = 0 };
		t->errors[i] = 0;
	}
}

static void top_free(struct top *t)
{
	for (size_t i = 0; i < t->n_mounts; i++) {
		free(t->prefixes[i]);
		rows_free(&t->rows[i]);
	}
	free(t->mounts);
	free(t->prefixes);
	free(t->rows);
	free(t->errors);
	free(t->view.filter);
	free(t->selected);
	free(t->note);
	buf_free(&t->typed);
	leave_panel(t);
}

static int run_top(const struct command *cmd, int argc, char **argv)
{
	struct mounts mounts CLEANUP(mounts_free) = { .n = 0 };
	struct top t CLEANUP(top_free) = {
		.delay = NSEC_PER_SEC, .frames = -1, .view = { .sort = COL_PUTS }, .dirty = true
	};
	size_t n;
	int r;

	parse(cmd, &t, argc, argv);
	n = (size_t)(argc - optind);
	if (!n && mounts_read_or_complain(&mounts) < 0)
		return EXIT_FAILURE;
	choose_mounts(&t, &mounts, argv + optind, n);
	r = feed_start(&t.feed);
	t.signals = signals_fd();
	if (r < 0 || t.signals < 0) {
		complain("top", "%s", strerror(r < 0 ? -r : errno));
		return EXIT_FAILURE;
	}
	if (!t.batch && tty_start() < 0) {
		feed_end(&t.feed);
		complain("this is no terminal", "use -b");
		return EXIT_USAGE;
	}
	loop(&t);
	tty_end();
	feed_end(&t.feed);
	close_fd(&t.signals);
	return t.status;
}

static const struct opt top_options[] = {
	{ 'b', "batch", NULL, "print one table after the other, for files and other programs" },
	{ 'n', "iterations", "N", "end after N tables" },
	{ 'd', "delay", "SECONDS", "between two tables; 1" },
	{ 'x', "sort", "COLUMN", "sort by this column; -COLUMN reverses" },
	{ 'f', "filter", "TEXT", "only objects whose names contain this text" },
	{ 'a', "active", NULL, "only objects at which something happens" },
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_top = {
	.name = "top",
	.args = "[MOUNT...]",
	.summary = "Shows what the objects do just now: rates, waiters, ages",
	.details = "Press h for the keys.\n",
	.options = top_options,
	.usage_status = EXIT_USAGE,
	.run = run_top,
};
