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
#include "top/state.h"
#include "top/tty.h"

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
		top_show(t);
	if (t->frames > 0 && !first && !--t->frames)
		t->leave = true;
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

		top_answer(t, &a);
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

	if (t->feed.asked && now_ns() - t->feed.since > TOP_PATIENCE)
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

	top_ask(t);
	while (!t->leave) {
		if (t->dirty && !t->batch)
			top_show(t);
		if (poll(p, ARRAY_SIZE(p), until(t)) < 0 && errno != EINTR)
			break;
		if (p[1].revents)
			on_signal(t);
		if (p[0].revents)
			take_answers(t);
		if (p[2].revents)
			top_keys(t);
		be_impatient(t);
		if (!t->leave && t->answers == t->n_mounts && now_ns() >= t->due)
			top_ask(t);
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
			top_set_filter(t, optarg);
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
	top_leave_panel(t);
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
