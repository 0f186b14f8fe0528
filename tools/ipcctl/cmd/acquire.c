// SPDX-License-Identifier: MIT
/*
 * ipcctl acquire: flock(1)'s "flock 9", for scripts that have no descriptor to keep: this process
 * keeps the lock, until its standard input ends or another process does.
 */
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>

#include "doctor/probe.h"
#include "verb.h"

/* Until nobody has the other end of standard input any more. */
static void keep_for_input(const char *name)
{
	char chunk[4096];
	ssize_t n;

	puts(name);
	fflush(stdout);
	do
		n = read(STDIN_FILENO, chunk, sizeof(chunk));
	while (n > 0 || (n < 0 && errno == EINTR));
}

static int keep_for_process(int pidfd)
{
	guard_leave();
	return probe_wait_pidfd(pidfd, INT64_MAX / 2) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int acquire(const struct borrow *o, int pidfd)
{
	int fd CLEANUP(close_fd) = borrow(o);

	if (fd == -EAGAIN || fd == -ETIMEDOUT) {
		borrow_complain_taken(o);
		return fd == -EAGAIN ? EXIT_WOULD_WAIT : EXIT_TIME;
	}
	if (fd == -EOPNOTSUPP) {
		complain(o->name, "has no lock to take");
		return EXIT_FAILURE;
	}
	if (fd < 0)
		return verb_status(o->name, fd);
	if (pidfd >= 0)
		return keep_for_process(pidfd);
	keep_for_input(o->name);
	return EXIT_SUCCESS;
}

static int run_acquire(const struct command *cmd, int argc, char **argv)
{
	struct borrow o = { .limit_ns = FOR_EVER, .operation = LOCK_EX };
	int pidfd CLEANUP(close_fd) = -1;
	uint64_t pid;
	int c;

	while ((c = next_option(cmd, argc, argv)) != -1) {
		switch (c) {
		case 's':
			o.operation = LOCK_SH;
			break;
		case 'p':
			if (parse_u64(optarg, &pid) < 0 || !pid || pid > INT32_MAX)
				usage_error(cmd, "not a process id: %s", optarg);
			pidfd = probe_pidfd_open(pid);
			if (pidfd < 0) {
				complain(optarg, "%s", strerror(-pidfd));
				return EXIT_FAILURE;
			}
			break;
		default:
			wait_option(cmd, c, &o.limit_ns);
		}
	}
	if (optind + 1 != argc)
		usage_error(cmd, "needs one name; 'ipcctl run' runs a command under a lock");
	o.name = argv[optind];
	return acquire(&o, pidfd);
}

static const struct opt acquire_options[] = {
	WAIT_OPTIONS,
	{ 's', "shared", NULL, "share a .lock with other holders of this kind" },
	{ 'p', "pid", "PID", "return at once, and keep it until that process ends" },
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_acquire = {
	.name = "acquire",
	.args = "NAME",
	.summary = "Takes a lock or a permit, and keeps it for a script",
	.details =
		"Prints NAME when it has it, and keeps it until its standard input ends; with -p\n"
		"until that process ends. For a single command, 'ipcctl run' is simpler.\n\n"
		"  ipcctl acquire -t 10 -p $$ gpu.lock || exit\n",
	.options = acquire_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_acquire,
};
