// SPDX-License-Identifier: MIT
/*
 * ipcctl batch: a queue's messages as jobs with IDs: shows them, waits for them, retries those that
 * have failed for good, removes those that have not begun. What is there and what has failed the
 * queue itself knows (ctl/list, leased, dead); how a job ended that is gone, only the results
 * directory of `ipcctl work`.
 */
#include <fcntl.h>
#include <poll.h>

#include "object.h"
#include "verb.h"
#include "work/jobs.h"

enum { OPT_RESULTS = OPT_LONG + 100, OPT_RETRY, OPT_REMOVE, OPT_ALL };
enum action { SHOW, WAIT, RETRY, REMOVE };

struct batch {
	enum action action;
	bool all;
	int64_t limit_ns;
	const char *name, *results;
	struct target t;
	struct jobs jobs;
	struct table_options options;
};

/* ---- what can be asked for ---- */

static int show(struct batch *b)
{
	int r = jobs_read(&b->jobs);

	if (r < 0)
		return verb_status(b->name, r);
	r = b->results ? jobs_read_results(&b->jobs, b->results) : 0;
	if (r < 0)
		return verb_status(b->results, r);
	for (size_t i = 0; i < b->jobs.n_ids; i++) {
		if (!jobs_row(&b->jobs, b->jobs.ids[i])) {
			complain(b->jobs.ids[i], "no such message, or it is finished");
			r = EXIT_FAILURE;
		}
	}
	table_output(&b->jobs.table, &b->options, "jobs");
	return r;
}

/* So many of those to be waited for are not finished. */
static size_t unfinished(const struct batch *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->jobs.n_ids; i++)
		n += jobs_row(&b->jobs, b->jobs.ids[i]) &&
		     !jobs_in_state(&b->jobs, b->jobs.ids[i], "dead");
	return n;
}

/* Those that are there now. */
static void wait_for_all(struct batch *b)
{
	for (size_t i = 0; i < b->jobs.table.n_rows; i++)
		jobs_add_id(&b->jobs, xstrdup(b->jobs.table.rows[i].cells[JOB_ID]));
}

/* Until some message has been finished; *ret: how many were so far. */
static int await_news(int fd, int64_t end, uint64_t *ret)
{
	struct pollfd p = { fd, POLLIN, 0 };
	int64_t left = limit_left(end);
	struct timespec t = { left / NSEC_PER_SEC, left % NSEC_PER_SEC };
	char number[32];
	ssize_t n;
	int r;

	guard_wait(left);
	r = ppoll(&p, 1, left < 0 ? NULL : &t, NULL);
	guard_progress();
	if (r < 0 && errno != EINTR)
		return -errno;
	if (r == 0)
		return -ETIMEDOUT;
	n = pread(fd, number, sizeof(number) - 1, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	number[n] = '\0';
	number[strcspn(number, "\n")] = '\0';
	return parse_u64(number, ret);
}

/* Otherwise an ID that was mistyped would count as finished. */
static int all_were_put(const struct batch *b)
{
	struct facts stats CLEANUP(facts_free) = { .n = 0 };
	int r = facts_read(b->t.ctl, "stats", &stats);
	uint64_t id;

	for (size_t i = 0; i < b->jobs.n_ids && r == 0; i++) {
		if (parse_u64(b->jobs.ids[i], &id) == 0 && id && id <= facts_number(&stats, "puts"))
			continue;
		complain(b->jobs.ids[i], "no such message was put yet");
		r = EXIT_FAILURE;
	}
	return r;
}

/*
 * As many messages have to be finished as are left, so the list is not read each time that one is.
 * (How many were when it was read first is not known.)
 */
static int wait_until_finished(struct batch *b, int fd)
{
	int64_t end = limit_end(b->limit_ns);
	uint64_t so_far = 0, enough = 0;
	size_t left;
	int r = 0;

	while (r == 0 && (left = unfinished(b))) {
		enough = so_far ? so_far + left : 0;
		do
			r = b->limit_ns ? await_news(fd, end, &so_far) : -EAGAIN;
		while (r == 0 && so_far < enough);
		if (r == 0)
			r = jobs_read(&b->jobs);
	}
	return r;
}

static int wait_for(struct batch *b)
{
	/* (Opened first: whatever is finished from here on is news.) */
	int fd CLEANUP(close_fd) =
		openat(b->t.ctl, "finished", O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	int r = fd < 0 ? -errno : jobs_read(&b->jobs);

	if (r == 0 && b->jobs.n_ids)
		r = all_were_put(b);
	else if (r == 0)
		wait_for_all(b);
	if (r == 0)
		r = wait_until_finished(b, fd);
	if (r < 0)
		return verb_status(b->name, r);
	for (size_t i = 0; i < b->jobs.n_ids; i++) {
		if (jobs_in_state(&b->jobs, b->jobs.ids[i], "dead")) {
			complain(b->jobs.ids[i], "has failed for good (a dead letter)");
			r = EXIT_FAILURE;
		}
	}
	return r;
}

static int tell(struct batch *b, const char *file, const char *text)
{
	int fd CLEANUP(close_fd) =
		openat(b->t.ctl, file, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int retry(struct batch *b)
{
	int status = EXIT_SUCCESS;

	if (b->all)
		return verb_status(b->name, tell(b, "revive", "all"));
	for (size_t i = 0; i < b->jobs.n_ids; i++) {
		int r = tell(b, "revive", b->jobs.ids[i]);

		if (r == -EINVAL) {
			complain(b->jobs.ids[i], "is no dead letter");
			status = EXIT_FAILURE;
		} else if (r < 0) {
			return verb_status(b->name, r);
		}
	}
	return status;
}

/* What waits is taken out; a dead letter is thrown away. */
static int remove_them(struct batch *b)
{
	int status = EXIT_SUCCESS, r;

	for (size_t i = 0; i < b->jobs.n_ids; i++) {
		r = tell(b, "remove", b->jobs.ids[i]);
		if (r == -EINVAL)
			r = tell(b, "discard", b->jobs.ids[i]);
		if (r == -EINVAL) {
			complain(b->jobs.ids[i], "is being worked on, or finished");
			status = EXIT_FAILURE;
		} else if (r < 0) {
			return verb_status(b->name, r);
		}
	}
	return status;
}

static int act(struct batch *b)
{
	int r = target_open(b->name, &b->t);

	if (r < 0)
		return verb_status(b->name, r);
	if (b->t.kind != TARGET_OBJECT || faccessat(b->t.ctl, "list", F_OK, 0) < 0) {
		complain(b->name, "is not a queue");
		return EXIT_FAILURE;
	}
	b->jobs.ctl = b->t.ctl;
	switch (b->action) {
	case WAIT:
		return wait_for(b);
	case RETRY:
		return retry(b);
	case REMOVE:
		return remove_them(b);
	default:
		return show(b);
	}
}

static void set_action(const struct command *cmd, struct batch *b, enum action action)
{
	if (b->action != SHOW)
		usage_error(cmd, "one of --wait, --retry and --remove at a time");
	b->action = action;
}

static void read_options(const struct command *cmd, struct batch *b, int argc, char **argv)
{
	int c;

	while ((c = next_option(cmd, argc, argv)) != -1) {
		switch (c) {
		case 'w':
			set_action(cmd, b, WAIT);
			break;
		case OPT_RETRY:
			set_action(cmd, b, RETRY);
			break;
		case OPT_REMOVE:
			set_action(cmd, b, REMOVE);
			break;
		case OPT_ALL:
			b->all = true;
			break;
		case OPT_RESULTS:
			b->results = optarg;
			break;
		case 't':
		case 'n':
			wait_option(cmd, c, &b->limit_ns);
			break;
		default:
			table_option(cmd, &b->options, c);
		}
	}
}

/* IDs as the queue writes them. */
static void read_ids(const struct command *cmd, struct batch *b, char **ids)
{
	uint64_t id;

	for (; *ids; ids++) {
		if (parse_u64(*ids, &id) < 0)
			usage_error(cmd, "not an ID: %s", *ids);
		jobs_add_id(&b->jobs, str("%llu", (unsigned long long)id));
	}
	if (b->all && (b->action != RETRY || b->jobs.n_ids))
		usage_error(cmd, "--all is for --retry, without IDs");
	if ((b->action == RETRY || b->action == REMOVE) && !b->jobs.n_ids && !b->all)
		usage_error(cmd, "needs an ID");
}

static int run_batch(const struct command *cmd, int argc, char **argv)
{
	struct batch b = {
		.t = TARGET_INIT,
		.limit_ns = FOR_EVER,
	};
	int status;

	read_options(cmd, &b, argc, argv);
	if (optind == argc)
		usage_error(cmd, "needs a queue");
	b.name = argv[optind++];
	read_ids(cmd, &b, argv + optind);
	status = act(&b);
	jobs_free(&b.jobs);
	target_close(&b.t);
	return status;
}

static const struct opt batch_options[] = {
	{ 'w', "wait", NULL, "wait until these (without IDs: all there are) are finished" },
	WAIT_OPTIONS,
	{ OPT_RETRY, "retry", NULL, "put these dead letters back into the queue" },
	{ OPT_ALL, "all", NULL, "with --retry: all dead letters" },
	{ OPT_REMOVE, "remove", NULL, "take these out: they wait, or are dead letters" },
	{ OPT_RESULTS, "results", "DIR", "show also what 'ipcctl work --results' has kept" },
	TABLE_OPTIONS,
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_batch = {
	.name = "batch",
	.args = "NAME [ID]...",
	.summary = "Shows the jobs of a queue, waits for them, and retries them",
	.details =
		"Exit status of --wait: 0 when all are finished, 1 if one is a dead letter, 4 if\n"
		"the time limit passed.\n",
	.options = batch_options,
	.columns = jobs_columns,
	.n_columns = N_JOB,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_batch,
};
