// SPDX-License-Identifier: MIT
/*
 * ipcctl work: runs a command for each message of a queue, several at a time. A message is leased
 * while its command runs: it is done when that succeeds, and comes back when it fails or dies.
 */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "ipcctl.h"
#include "object.h"
#include "work/loop.h"

#define MOST_JOBS 100000

enum {
	OPT_STDIN = OPT_LONG + 100,
	OPT_UNTIL_CLOSED,
	OPT_UNTIL_EMPTY,
	OPT_TIMEOUT,
	OPT_KILL_AFTER,
	OPT_DELAY,
	OPT_TAG,
	OPT_RESULTS,
	OPT_PROGRESS
};

static bool can_run(const char *path)
{
	struct stat st;

	return !access(path, X_OK) && !stat(path, &st) && S_ISREG(st.st_mode);
}

/*
 * Whether execvp() is going to find it: a command that is not there must not cost each message an
 * attempt.
 */
static bool find_program(const char *program)
{
	const char *path = getenv("PATH"), *end;

	if (strchr(program, '/') || strstr(program, "{}"))
		return strstr(program, "{}") || can_run(program);
	for (path = path ? path : "/bin:/usr/bin"; path; path = *end ? end + 1 : NULL) {
		char *full CLEANUP(free_string) = NULL;

		end = strchrnul(path, ':');
		full = str("%.*s%s%s", (int)(end - path), path, end == path ? "" : "/", program);
		if (can_run(full))
			return true;
	}
	return false;
}

static bool in_line_framing(int ctl)
{
	struct buf text CLEANUP(buf_free) = { .data = NULL };

	return read_file_at(ctl, "framing", 0, 64, &text) == 0 && !strncmp(text.data, "line", 4);
}

static int work_on(struct work_options *o)
{
	struct target t CLEANUP(target_close) = TARGET_INIT;
	int r = target_open(o->job.queue, &t);

	if (r < 0) {
		target_complain(o->job.queue, r);
		return EXIT_RUN_FAILED;
	}
	if (t.kind != TARGET_OBJECT || faccessat(t.ctl, "lease", F_OK, 0) < 0) {
		complain(o->job.queue, "is not a queue");
		return EXIT_RUN_FAILED;
	}
	if (!find_program(o->job.command[0])) {
		complain(o->job.command[0], "no such command");
		return EXIT_NO_COMMAND;
	}
	o->job.ctl = t.ctl;
	o->job.newline = in_line_framing(t.ctl);
	return work(o);
}

static void number_of_jobs(const struct command *cmd, struct work_options *o)
{
	uint64_t n;

	if (parse_u64(optarg, &n) < 0 || n > MOST_JOBS)
		usage_error(cmd, "not a number of jobs: %s", optarg);
	o->jobs = n ? n : (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
}

static void seconds(const struct command *cmd, int64_t *ret)
{
	if (parse_seconds(optarg, ret) < 0)
		usage_error(cmd, "not a number of seconds: %s", optarg);
}

static void set_option(const struct command *cmd, struct work_options *o, int c)
{
	switch (c) {
	case 'j':
		number_of_jobs(cmd, o);
		break;
	case 'u':
		o->job.ungroup = true;
		break;
	case OPT_STDIN:
		o->job.message_on_stdin = true;
		break;
	case OPT_UNTIL_CLOSED:
		o->until_closed = true;
		break;
	case OPT_UNTIL_EMPTY:
		o->until_empty = true;
		break;
	case OPT_TIMEOUT:
		seconds(cmd, &o->job.timeout_ns);
		break;
	case OPT_KILL_AFTER:
		seconds(cmd, &o->job.kill_after_ns);
		break;
	case OPT_DELAY:
		seconds(cmd, &o->job.retry_delay_ns);
		break;
	case OPT_TAG:
		o->job.tag = true;
		break;
	case OPT_RESULTS:
		o->job.results = optarg;
		break;
	case OPT_PROGRESS:
		o->progress = true;
		break;
	}
}

/* Before the name of the queue and behind it. */
static void read_options(const struct command *cmd, struct work_options *o, int argc, char **argv)
{
	int c;

	while ((c = next_option(cmd, argc, argv)) != -1)
		set_option(cmd, o, c);
}

static int run_work(const struct command *cmd, int argc, char **argv)
{
	struct work_options o = {
		.job = { .timeout_ns = NEVER,
			 .retry_delay_ns = NSEC_PER_SEC,
			 .kill_after_ns = 5 * NSEC_PER_SEC },
		.jobs = 1,
	};

	read_options(cmd, &o, argc, argv);
	if (optind == argc)
		usage_error(cmd, "needs a queue and a command");
	o.job.queue = argv[optind++];
	read_options(cmd, &o, argc, argv);
	if (optind == argc)
		usage_error(cmd, "needs a command");
	if (o.job.ungroup && (o.job.tag || o.job.results))
		usage_error(cmd, "--ungroup goes with neither --tag nor --results");
	o.job.command = argv + optind;
	return work_on(&o);
}

static const struct opt work_options[] = {
	{ 'j', "jobs", "N", "so many at a time (default 1; 0: one for each CPU)" },
	{ OPT_STDIN, "stdin", NULL, "give the message as standard input, not as an argument" },
	{ OPT_UNTIL_CLOSED, "until-closed", NULL, "end when the queue is closed and all is done" },
	{ OPT_UNTIL_EMPTY, "until-empty", NULL, "end when no message waits" },
	{ OPT_TIMEOUT, "timeout", "SECONDS", "end a job that takes longer; it has failed" },
	{ OPT_KILL_AFTER, "kill-after", "SECONDS", "from SIGTERM to SIGKILL (default 5)" },
	{ OPT_DELAY, "retry-delay", "SECONDS", "before the second attempt; doubles (default 1)" },
	{ OPT_TAG, "tag", NULL, "begin each line of output with the message" },
	{ 'u', "ungroup", NULL, "do not keep output until the job has ended" },
	{ OPT_RESULTS, "results", "DIR", "keep output and exit status in DIR/ID/" },
	{ OPT_PROGRESS, "progress", NULL, "show how far it is, on standard error" },
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_work = {
	.name = "work",
	.args = "NAME [--] COMMAND [ARGUMENT]...",
	.summary = "Runs a command for each message of a queue",
	.details =
		"'{}' in an argument stands for the message; without one, it is the last argument. A\n"
		"message is leased while its command runs. Exit status 0 acknowledges it; after any\n"
		"other it comes back, later each time, or is a dead letter after max_attempts. When\n"
		"ipcctl or the command is killed, it comes back as well: nothing is lost.\n"
		"\n"
		"SIGTERM and SIGINT: no further message is taken, what is in hand is finished; a\n"
		"second one ends that, too. Exit status: 0; 1 if the last attempt at some message\n"
		"failed; 125 if ipcctl failed; 126 or 127 if the command cannot be run or found.\n",
	.options = work_options,
	.usage_status = EXIT_RUN_FAILED,
	.options_first = true,
	.run = run_work,
};
