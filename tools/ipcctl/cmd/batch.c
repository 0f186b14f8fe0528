// SPDX-License-Identifier: MIT
/*
 * ipcctl batch: a queue's messages as jobs with IDs: shows them, waits for them, retries those that
 * have failed for good, removes those that have not begun. What is there and what has failed the
 * queue itself knows (ctl/list, leased, dead); how a job ended that is gone, only the results
 * directory of `ipcctl work`.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>

#include "object.h"
#include "verb.h"

#define LARGEST ((size_t)1 << 40)

enum {
	BATCH_ID,
	BATCH_STATE,
	BATCH_ATTEMPT,
	BATCH_AGE,
	BATCH_PID,
	BATCH_SECONDS,
	BATCH_EXIT,
	BATCH_MESSAGE,
	N_BATCH
};

static const char *state_color(const char *state)
{
	return !strcmp(state, "leased")                           ? "green" :
	       !strcmp(state, "dead") || !strcmp(state, "failed") ? "red" :
								    NULL;
}

static const struct column batch_columns[N_BATCH] = {
	[BATCH_ID] = { "ID", COLUMN_NUMBER, 0, "the ID of the message" },
	[BATCH_STATE] = { "STATE", COLUMN_TEXT, 0,
			  "ready, leased, delayed, dead; of results: done, failed", state_color },
	[BATCH_ATTEMPT] = { "ATTEMPT", COLUMN_NUMBER, 0, "how often it was leased" },
	[BATCH_AGE] = { "AGE", COLUMN_NUMBER, 0, "seconds since it was put" },
	[BATCH_PID] = { "PID", COLUMN_NUMBER, 0, "the process that leased it" },
	[BATCH_SECONDS] = { "SECONDS", COLUMN_NUMBER, 0, "since it was leased, or as it took" },
	[BATCH_EXIT] = { "EXIT", COLUMN_NUMBER, 0, "the exit status of its last attempt" },
	[BATCH_MESSAGE] = { "MESSAGE", COLUMN_TEXT, COLUMN_CUT, "the message" },
};

enum { OPT_RESULTS = OPT_LONG + 100, OPT_RETRY, OPT_REMOVE, OPT_ALL };
enum action { SHOW, WAIT, RETRY, REMOVE };

struct batch {
	enum action action;
	bool all;
	int64_t limit_ns;
	const char *name, *results;
	struct target t;
	char **ids; /* none: all */
	size_t n_ids;
	struct table table;
	struct table_options options;
};

static bool asked_for(const struct batch *b, const char *id)
{
	for (size_t i = 0; i < b->n_ids; i++) {
		if (!strcmp(b->ids[i], id))
			return true;
	}
	return !b->n_ids;
}

static char **row_of(const struct batch *b, const char *id)
{
	for (size_t i = 0; i < b->table.n_rows; i++) {
		if (!strcmp(b->table.rows[i].cells[BATCH_ID], id))
			return b->table.rows[i].cells;
	}
	return NULL;
}

static void add_id(struct batch *b, char *id)
{
	b->ids = xrealloc(b->ids, (b->n_ids + 1) * sizeof(*b->ids));
	b->ids[b->n_ids++] = id;
}

static void batch_free(struct batch *b)
{
	for (size_t i = 0; i < b->n_ids; i++)
		free(b->ids[i]);
	free(b->ids);
	table_free(&b->table);
	target_close(&b->t);
}

/* ---- reading ---- */

/* The next field, or the rest of the line for the last one. NULL: there is none. */
static char *field(char **line, bool last)
{
	return last ? *line : strsep(line, "\t");
}

static int each_line(struct batch *b, const char *file, void (*fn)(struct batch *b, char *line))
{
	struct buf text CLEANUP(buf_free) = { .data = NULL };
	int r = read_file_at(b->t.ctl, file, 0, LARGEST, &text);
	char *rest = text.data, *line;

	if (r < 0)
		return r;
	while ((line = strsep(&rest, "\n"))) {
		if (*line)
			fn(b, line);
	}
	return 0;
}

static char **add(struct batch *b, const char *id, const char *state)
{
	char **row = table_add(&b->table);

	row[BATCH_ID] = xstrdup(id);
	row[BATCH_STATE] = xstrdup(state);
	return row;
}

/* ID, age, attempt, state, message */
static void add_listed(struct batch *b, char *line)
{
	char *id = field(&line, false), *age = field(&line, false);
	char *attempt = field(&line, false), *state = field(&line, false);
	char **row;

	if (!state || !line || !asked_for(b, id))
		return;
	row = add(b, id, state);
	row[BATCH_AGE] = xstrdup(age);
	row[BATCH_ATTEMPT] = xstrdup(attempt);
	row[BATCH_MESSAGE] = xstrdup(line);
}

/* ID, attempt, seconds, pid, message */
static void add_lease(struct batch *b, char *line)
{
	char *id = field(&line, false), *attempt = field(&line, false);
	char *seconds = field(&line, false), *pid = field(&line, false);
	char **row = pid ? row_of(b, id) : NULL;

	if (!row || strcmp(row[BATCH_STATE], "leased"))
		return;
	(void)attempt;
	row[BATCH_SECONDS] = xstrdup(seconds);
	row[BATCH_PID] = xstrdup(pid);
}

/* ID, message */
static void add_dead(struct batch *b, char *line)
{
	char *id = field(&line, false);

	if (line && asked_for(b, id))
		add(b, id, "dead")[BATCH_MESSAGE] = xstrdup(line);
}

/* All that the queue knows of. */
static int read_queue(struct batch *b)
{
	int r = each_line(b, "list", add_listed);

	if (r == 0)
		r = each_line(b, "leased", add_lease);
	return r < 0 ? r : each_line(b, "dead", add_dead);
}

/* DIR/ID/status and message, of one that is not in the queue any more or is a dead letter. */
static void add_result(struct batch *b, int dir, const char *id)
{
	char *status CLEANUP(free_string) = str("%s/status", id);
	char *file CLEANUP(free_string) = str("%s/message", id);
	struct facts facts CLEANUP(facts_free) = { .n = 0 };
	struct buf message CLEANUP(buf_free) = { .data = NULL };
	char **row = row_of(b, id);
	const char *code;

	if (!asked_for(b, id) || facts_read(dir, status, &facts) < 0)
		return;
	code = facts_get(&facts, "exit");
	if (!code || (row && strcmp(row[BATCH_STATE], "dead")))
		return;
	if (!row) {
		row = add(b, id, strcmp(code, "0") ? "failed" : "done");
		if (read_file_at(dir, file, 0, LARGEST, &message) == 0)
			row[BATCH_MESSAGE] = buf_steal(&message);
	}
	row[BATCH_EXIT] = xstrdup(code);
	if (facts_get(&facts, "seconds"))
		row[BATCH_SECONDS] = xstrdup(facts_get(&facts, "seconds"));
}

static int read_results(struct batch *b)
{
	DIR *dir = opendir(b->results);
	struct dirent *e;

	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		if (e->d_name[0] != '.')
			add_result(b, dirfd(dir), e->d_name);
	}
	closedir(dir);
	return 0;
}

/* ---- what can be asked for ---- */

static int show(struct batch *b)
{
	int r = read_queue(b);

	if (r < 0)
		return verb_status(b->name, r);
	r = b->results ? read_results(b) : 0;
	if (r < 0)
		return verb_status(b->results, r);
	for (size_t i = 0; i < b->n_ids; i++) {
		if (!row_of(b, b->ids[i])) {
			complain(b->ids[i], "no such message, or it is finished");
			r = EXIT_FAILURE;
		}
	}
	table_output(&b->table, &b->options, "jobs");
	return r;
}

static bool in_state(const struct batch *b, const char *id, const char *state)
{
	char **row = row_of(b, id);

	return row && !strcmp(row[BATCH_STATE], state);
}

/* So many of those to be waited for are not finished. */
static size_t unfinished(const struct batch *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_ids; i++)
		n += row_of(b, b->ids[i]) && !in_state(b, b->ids[i], "dead");
	return n;
}

static int read_anew(struct batch *b)
{
	const struct column *columns = b->table.columns;
	size_t n = b->table.n_columns;

	table_free(&b->table);
	b->table = (struct table){ .columns = columns, .n_columns = n };
	return read_queue(b);
}

/* Those that are there now. */
static void wait_for_all(struct batch *b)
{
	for (size_t i = 0; i < b->table.n_rows; i++)
		add_id(b, xstrdup(b->table.rows[i].cells[BATCH_ID]));
}

/* Until some message has been finished. */
static int await_news(int fd, int64_t end)
{
	struct pollfd p = { fd, POLLIN, 0 };
	int64_t left = limit_left(end);
	struct timespec t = { left / NSEC_PER_SEC, left % NSEC_PER_SEC };
	char number[32];
	int r;

	guard_wait(left);
	r = ppoll(&p, 1, left < 0 ? NULL : &t, NULL);
	guard_progress();
	if (r < 0 && errno != EINTR)
		return -errno;
	if (r == 0)
		return -ETIMEDOUT;
	if (lseek(fd, 0, SEEK_SET) < 0 ||
	    (read(fd, number, sizeof(number)) < 0 && errno != EAGAIN && errno != EINTR))
		return -errno;
	return 0;
}

/* Otherwise an ID that was mistyped would count as finished. */
static int all_were_put(const struct batch *b)
{
	struct facts stats CLEANUP(facts_free) = { .n = 0 };
	int r = facts_read(b->t.ctl, "stats", &stats);
	uint64_t id;

	for (size_t i = 0; i < b->n_ids && r == 0; i++) {
		if (parse_u64(b->ids[i], &id) == 0 && id && id <= facts_number(&stats, "puts"))
			continue;
		complain(b->ids[i], "no such message was put yet");
		r = EXIT_FAILURE;
	}
	return r;
}

static int wait_for(struct batch *b)
{
	/* (Opened first: whatever is finished from here on is news.) */
	int fd CLEANUP(close_fd) =
		openat(b->t.ctl, "finished", O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	int64_t end = limit_end(b->limit_ns);
	int r = fd < 0 ? -errno : read_anew(b);

	if (r == 0 && b->n_ids)
		r = all_were_put(b);
	else if (r == 0)
		wait_for_all(b);
	if (r > 0)
		return r;
	while (r == 0 && unfinished(b)) {
		r = b->limit_ns ? await_news(fd, end) : -EAGAIN;
		if (r == 0)
			r = read_anew(b);
	}
	if (r < 0)
		return verb_status(b->name, r);
	for (size_t i = 0; i < b->n_ids; i++) {
		if (in_state(b, b->ids[i], "dead")) {
			complain(b->ids[i], "has failed for good (a dead letter)");
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
	for (size_t i = 0; i < b->n_ids; i++) {
		int r = tell(b, "revive", b->ids[i]);

		if (r == -EINVAL) {
			complain(b->ids[i], "is no dead letter");
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

	for (size_t i = 0; i < b->n_ids; i++) {
		r = tell(b, "remove", b->ids[i]);
		if (r == -EINVAL)
			r = tell(b, "discard", b->ids[i]);
		if (r == -EINVAL) {
			complain(b->ids[i], "is being worked on, or finished");
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
		add_id(b, str("%llu", (unsigned long long)id));
	}
	if (b->all && (b->action != RETRY || b->n_ids))
		usage_error(cmd, "--all is for --retry, without IDs");
	if ((b->action == RETRY || b->action == REMOVE) && !b->n_ids && !b->all)
		usage_error(cmd, "needs an ID");
}

static int run_batch(const struct command *cmd, int argc, char **argv)
{
	struct batch b = {
		.t = TARGET_INIT,
		.table = { .columns = batch_columns, .n_columns = N_BATCH },
		.limit_ns = FOR_EVER,
	};
	int status;

	read_options(cmd, &b, argc, argv);
	if (optind == argc)
		usage_error(cmd, "needs a queue");
	b.name = argv[optind++];
	read_ids(cmd, &b, argv + optind);
	status = act(&b);
	batch_free(&b);
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
	.columns = batch_columns,
	.n_columns = N_BATCH,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_batch,
};
