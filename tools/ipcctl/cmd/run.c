// SPDX-License-Identifier: MIT
/*
 * ipcctl run: flock(1) for objects, which also says who holds the lock.
 *
 * Only this process has the lock (O_CLOEXEC), unlike with flock(1): it is returned when the command
 * ends, in whatever way, even if it leaves daemons behind, and when this process dies. In that last
 * case the command must not go on without the lock, so the kernel then sends it SIGTERM.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "ioctls.h"
#include "ipcctl.h"
#include "object.h"

#define FOR_EVER      INT64_C(-1)
#define NAMED_HOLDERS 10 /* more would hide the message */

struct run_options {
	const char *name;
	int64_t limit_ns; /* FOR_EVER; 0: do not wait */
	int operation;    /* LOCK_EX or LOCK_SH */
	int conflict_status;
};

static void on_alarm(int sig)
{
	(void)sig; /* only to end flock() with EINTR */
}

/*
 * The time limit for a file that is not on ipcfs: SIGALRM, repeated every 100 ms in case the first
 * comes before flock() waits.
 */
static void set_alarm(int64_t ns)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerval t = { .it_interval = { .tv_usec = ns ? 100000 : 0 } };

	t.it_value.tv_sec = ns / NSEC_PER_SEC;
	t.it_value.tv_usec = ns % NSEC_PER_SEC / 1000;
	if (ns && !t.it_value.tv_sec && !t.it_value.tv_usec)
		t.it_value.tv_usec = 1; /* 0 would switch it off */
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
}

/*
 * Opening may have to wait, if a stopped process keeps the object's lock; the time limit is the
 * same. A descriptor, or a negative errno.
 */
static int open_it(const struct run_options *o, int64_t end)
{
	int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | (o->limit_ns ? 0 : O_NONBLOCK), fd;

	for (;;) {
		int64_t left = end == FOR_EVER ? FOR_EVER : end - now_ns();

		if (end != FOR_EVER && left <= 0)
			return -ETIMEDOUT;
		if (end != FOR_EVER)
			set_alarm(left);
		fd = open(o->name, flags);
		if (fd >= 0 || errno != EINTR)
			break;
	}
	fd = fd < 0 ? -errno : fd;
	if (end != FOR_EVER)
		set_alarm(0);
	return fd;
}

/*
 * 0, or a negative errno: -ETIMEDOUT and -EAGAIN if it is taken. After EINTR (Ctrl-Z and fg) the
 * wait is repeated with the remaining time.
 */
static int take(int fd, const struct run_options *o, int64_t end)
{
	int operation = o->operation | (o->limit_ns ? 0 : LOCK_NB);
	bool alarm_set = false;

	for (;;) {
		int64_t left = end == FOR_EVER ? FOR_EVER : end - now_ns();

		if (end != FOR_EVER && left <= 0)
			return -ETIMEDOUT;
		if (end != FOR_EVER && !alarm_set && ioctl(fd, IPCFS_IOC_TIMEOUT, &left) < 0) {
			set_alarm(left);
			alarm_set = true;
		}
		if (!flock(fd, operation))
			break;
		if (errno != EINTR)
			return -errno;
	}
	if (alarm_set)
		set_alarm(0);
	return 0;
}

static void print_holder(char *const row[])
{
	char *command CLEANUP(free_string) =
		printable(row[WHO_COMMAND] ? row[WHO_COMMAND] : "?", false);

	fprintf(stderr, "  pid %s (%s), user %s, for %s s%s%s\n", row[WHO_PID] ? row[WHO_PID] : "?",
		command, row[WHO_USER] ? row[WHO_USER] : "?",
		row[WHO_SECONDS] ? row[WHO_SECONDS] : "?", row[WHO_REMARK] ? "; " : "",
		row[WHO_REMARK] ? row[WHO_REMARK] : "");
}

/* A semaphore may have no permits at all, unlike a lock, which is free from the start. */
static bool has_permits(const struct ipc_type *t)
{
	return t && t->verbs & VERB(CMD_ADD) && !(t->traits & TYPE_LOCK);
}

static void complain_taken(const struct run_options *o)
{
	struct target t CLEANUP(target_close) = TARGET_INIT;
	struct table holders CLEANUP(table_free) = { .columns = who_columns, .n_columns = N_WHO };
	char *after CLEANUP(free_string) =
		o->limit_ns > 0 ? str("not free after %.9g s", (double)o->limit_ns / NSEC_PER_SEC) :
				  xstrdup("not free");

	if (target_open(o->name, &t) < 0 || who_read(&t, "holders", &holders) < 0) {
		complain(o->name, "%s", after);
		return;
	}
	if (!holders.n_rows) {
		complain(o->name, "%s; nobody is borrowing it now: %s", after,
			 has_permits(t.type) ?
				 "its permits were taken by reading, or never given" :
				 "it was taken by reading, or has just been given back");
		return;
	}
	complain(o->name, "%s; held by", after);
	for (size_t i = 0; i < holders.n_rows && i < NAMED_HOLDERS; i++)
		print_holder(holders.rows[i].cells);
	if (holders.n_rows > NAMED_HOLDERS)
		fprintf(stderr, "  and %zu more\n", holders.n_rows - NAMED_HOLDERS);
}

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
	int64_t end = o->limit_ns > 0 ? now_ns() + o->limit_ns : FOR_EVER;
	int fd CLEANUP(close_fd) = open_it(o, end);
	int r = fd < 0 ? fd : take(fd, o, end);

	switch (r) {
	case 0:
		return run_command(command);
	case -ETIMEDOUT:
	case -EAGAIN:
		complain_taken(o);
		return o->conflict_status;
	case -EOPNOTSUPP:
		complain(o->name, "has no lock to take");
		return EXIT_RUN_FAILED;
	case -ECANCELED:
		complain(o->name, "the wait was cancelled");
		return EXIT_RUN_FAILED;
	default:
		complain(o->name, "%s%s", strerror(-r),
			 r == -ENOENT ? " ('ipcctl create' makes one)" : "");
		return EXIT_RUN_FAILED;
	}
}

static int run_run(const struct command *cmd, int argc, char **argv)
{
	struct run_options o = {
		.limit_ns = FOR_EVER,
		.operation = LOCK_EX,
		.conflict_status = EXIT_FAILURE,
	};
	uint64_t status;
	int c;

	while ((c = next_option(cmd, argc, argv)) != -1) {
		switch (c) {
		case 'w':
			if (parse_seconds(optarg, &o.limit_ns) < 0)
				usage_error(cmd, "not a number of seconds: %s", optarg);
			break;
		case 'n':
			o.limit_ns = 0;
			break;
		case 's':
			o.operation = LOCK_SH;
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
	o.name = argv[optind++];
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
	.run = run_run,
};
