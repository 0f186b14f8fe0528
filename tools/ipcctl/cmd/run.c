// SPDX-License-Identifier: MIT
/*
 * ipcctl run: flock(1) for objects, which also says who holds the lock.
 *
 * Only this process has the lock (O_CLOEXEC), unlike with flock(1): it is returned when the command
 * ends, in whatever way, even if it leaves daemons behind, and when this process dies. In that last
 * case the command must not go on without the lock, so the kernel then sends it SIGTERM.
 */
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "borrow.h"
#include "guard.h"
#include "ipcctl.h"
#include "util.h"

struct run_options {
	struct borrow borrow;
	int conflict_status;
};

/* Restores for the command the signals that run has changed. */
struct old_signals {
	struct sigaction interrupt, quit, child;
};

static void __attribute__((noreturn))
become(char **command, const struct old_signals *old, pid_t parent)
{
	int saved;

	sigaction(SIGINT, &old->interrupt, NULL);
	sigaction(SIGQUIT, &old->quit, NULL);
	sigaction(SIGCHLD, &old->child, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent) /* died before prctl: no signal will come */
		_exit(128 + SIGTERM);
	execvp(command[0], command);
	saved = errno;
	complain(command[0], "%s", strerror(saved));
	_exit(saved == ENOENT ? EXIT_NO_COMMAND : EXIT_NO_EXEC);
}

static int run_command(char **command)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, deflt = { .sa_handler = SIG_DFL };
	struct old_signals old;
	pid_t self = getpid(), child;
	int status;

	/*
	 * As system(3): Ctrl-C is for the command; this process stays to return the lock and pass
	 * on the status. SIGCHLD, if the parent ignored it, must be restored for waitpid() to work.
	 */
	sigaction(SIGINT, &ignore, &old.interrupt);
	sigaction(SIGQUIT, &ignore, &old.quit);
	sigaction(SIGCHLD, &deflt, &old.child);
	child = fork();
	if (child < 0) {
		complain("fork", "%s", strerror(errno));
		return EXIT_RUN_FAILED;
	}
	if (!child)
		become(command, &old, self);
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR) {
			complain("waitpid", "%s", strerror(errno));
			return EXIT_RUN_FAILED;
		}
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int take_and_run(const struct run_options *o, char **command)
{
	int r, fd CLEANUP(close_fd) = borrow(&o->borrow);

	r = fd < 0 ? fd : 0;
	switch (r) {
	case 0:
		return run_command(command);
	case -ETIMEDOUT:
	case -EAGAIN:
		borrow_complain_taken(&o->borrow);
		return o->conflict_status;
	case -EOPNOTSUPP:
		complain(o->borrow.name, "has no lock to take");
		return EXIT_RUN_FAILED;
	case -ECANCELED:
		complain(o->borrow.name, "the wait was cancelled");
		return EXIT_RUN_FAILED;
	default:
		complain(o->borrow.name, "%s%s", strerror(-r),
			 r == -ENOENT ? " ('ipcctl create' makes one)" : "");
		return EXIT_RUN_FAILED;
	}
}

static int run_run(const struct command *cmd, int argc, char **argv)
{
	struct run_options o = {
		.borrow = { .limit_ns = FOR_EVER, .operation = LOCK_EX },
		.conflict_status = EXIT_FAILURE,
	};
	uint64_t status;
	int c;

	while ((c = next_option(cmd, argc, argv)) != -1) {
		switch (c) {
		case 'w':
			if (parse_seconds(optarg, &o.borrow.limit_ns) < 0)
				usage_error(cmd, "not a number of seconds: %s", optarg);
			break;
		case 'n':
			o.borrow.limit_ns = 0;
			break;
		case 's':
			o.borrow.operation = LOCK_SH;
			break;
		case 'E':
			if (parse_u64(optarg, &status) < 0 || status > 255)
				usage_error(cmd, "not an exit status: %s", optarg);
			o.conflict_status = status;
			break;
		}
	}
	if (optind == argc)
		usage_error(cmd, "needs a name and a command");
	o.borrow.name = argv[optind++];
	if (optind < argc && !strcmp(argv[optind], "--"))
		optind++;
	else if (optind < argc && argv[optind][0] == '-')
		usage_error(cmd, "options go before the name: %s", argv[optind]);
	if (optind == argc)
		usage_error(cmd, "needs a command");
	return take_and_run(&o, argv + optind);
}

static const struct opt run_options[] = {
	{ 'w', "wait", "SECONDS", "wait at most this long" },
	{ 'n', "nonblock", NULL, "do not wait at all" },
	{ 's', "shared", NULL, "share a .lock with other holders of this kind" },
	{ 'E', "conflict-exit-code", "N", "exit status if it is taken (default 1)" },
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_run = {
	.name = "run",
	.args = "NAME [--] COMMAND [ARGUMENT]...",
	.summary = "Runs a command while it holds a lock or a permit",
	.details =
		"Like flock(1), but the command does not inherit the lock, and holders are listed if\n"
		"the time limit passes. Exit status: the command's, or 128 plus the signal that\n"
		"killed it; 1 if the lock was taken; 125 if ipcctl failed; 126 or 127 if the command\n"
		"cannot be run or found.\n",
	.options = run_options,
	.usage_status = EXIT_RUN_FAILED,
	.options_first = true,
	.guard = GUARD_ONLY,
	.run = run_run,
};
