// SPDX-License-Identifier: MIT
/*
 * ipcctl restart: the upgrade in place. On SIGHUP the supervisor ends its worker and starts the
 * program that is on disk now; waiting processes go on waiting. This command watches the old worker
 * end and the new one answer.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "ipcctl.h"
#include "object.h"
#include "doctor/probe.h"

#define DEFAULT_LIMIT (10 * NSEC_PER_SEC)
#define DAEMON_NAME   "ipcfs"

struct daemon_status {
	pid_t supervisor, worker;
	char *version;
};

static void status_free(struct daemon_status *s)
{
	free(s->version);
}

static int read_status(const char *root, int64_t limit_ns, struct daemon_status *ret)
{
	char *path CLEANUP(free_string) = str("%s/.ctl/status", root);
	struct buf b CLEANUP(buf_free) = { .data = NULL };
	struct facts facts CLEANUP(facts_free) = { .n = 0 };
	const char *version;
	int r = probe_read(path, limit_ns, &b);

	if (r < 0)
		return r;
	facts_parse(&facts, buf_steal(&b));
	version = facts_get(&facts, "version");
	free(ret->version);
	*ret = (struct daemon_status){
		.supervisor = facts_number(&facts, "supervisor"),
		.worker = facts_number(&facts, "worker"),
		.version = xstrdup(version ? version : "?"),
	};
	return 0;
}

/*
 * The pid in a status is of the daemon's pid namespace. Here it may be another process, or none, so
 * check its name before sending a signal.
 */
static int signal_supervisor(const char *root, pid_t pid)
{
	char *path CLEANUP(free_string) = str("/proc/%d/comm", (int)pid);
	struct buf comm CLEANUP(buf_free) = { .data = NULL };
	int fd CLEANUP(close_fd) = pid > 0 ? probe_pidfd_open(pid) : -ESRCH;

	/* After pidfd_open: from here on it cannot be another process. */
	if (fd < 0 || read_file_at(AT_FDCWD, path, 0, 64, &comm) < 0 ||
	    strncmp(comm.data, DAEMON_NAME, strlen(DAEMON_NAME))) {
		complain(root,
			 "process %d is not its supervisor here; is the daemon in another "
			 "pid namespace?",
			 (int)pid);
		return -ESRCH;
	}
	if (syscall(SYS_pidfd_send_signal, fd, SIGHUP, NULL, 0) < 0) {
		int r = -errno;

		complain(root, "supervisor %d: %s", (int)pid, strerror(-r));
		return r;
	}
	return 0;
}

/* Wait until `worker` differs from OLD's. */
static int wait_for_new(const char *root, const struct daemon_status *old, int worker_fd,
			int64_t end, struct daemon_status *ret)
{
	/* Wait for the old worker's end; its successor answers the read. */
	int r = worker_fd < 0 ? 0 : probe_wait_pidfd(worker_fd, end - now_ns());

	while (r >= 0) {
		const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
		int64_t left = end - now_ns();

		r = left > 0 ? read_status(root, left, ret) : -ETIMEDOUT;
		if (r >= 0 && ret->worker != old->worker)
			return 0;
		nanosleep(&pause, NULL);
	}
	return r;
}

static int restart(const char *root, int64_t limit_ns)
{
	struct daemon_status old CLEANUP(status_free) = { .worker = 0 };
	struct daemon_status new CLEANUP(status_free) = { .worker = 0 };
	int worker_fd CLEANUP(close_fd) = -1;
	int64_t start = now_ns();
	int r = read_status(root, limit_ns, &old);

	if (r < 0) {
		target_complain(root, r == -ENOENT ? -ENOTTY : r);
		return r;
	}
	worker_fd = old.worker > 0 ? probe_pidfd_open(old.worker) : -1;
	r = signal_supervisor(root, old.supervisor);
	if (r < 0)
		return r;
	r = wait_for_new(root, &old, worker_fd, start + limit_ns, &new);
	if (r < 0) {
		complain(root, "no new worker after %.9g s (%s); the daemon's log says why",
			 (double)limit_ns / NSEC_PER_SEC, strerror(-r));
		return r;
	}
	printf("%s: worker %d (version %s) follows worker %d (version %s), after %.3f s\n", root,
	       (int)new.worker, new.version, (int)old.worker, old.version,
	       (double)(now_ns() - start) / NSEC_PER_SEC);
	return 0;
}

static int run_restart(const struct command *cmd, int argc, char **argv)
{
	int64_t limit_ns = DEFAULT_LIMIT;
	char *root CLEANUP(free_string) = NULL;

	while (next_option(cmd, argc, argv) != -1) {
		if (parse_seconds(optarg, &limit_ns) < 0 || !limit_ns)
			usage_error(cmd, "not a number of seconds: %s", optarg);
	}
	if (optind + 1 != argc)
		usage_error(cmd, "needs one mount point");
	root = xstrdup(argv[optind]);
	for (size_t n = strlen(root); n > 1 && root[n - 1] == '/'; n--)
		root[n - 1] = '\0';
	return restart(root, limit_ns) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const struct opt restart_options[] = {
	{ 'w', "wait", "SECONDS", "wait at most this long for the new worker (default 10)" },
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_restart = {
	.name = "restart",
	.args = "MOUNT",
	.summary = "Upgrades the daemon of a mount in place to the program on disk",
	.details = "Users of the mount do not notice: waits continue, handles stay open.\n",
	.options = restart_options,
	.usage_status = EXIT_USAGE,
	.run = run_restart,
};
