/* SPDX-License-Identifier: MIT */
/*
 * The supervisor: holds the mount, forks the worker that serves it, and starts another when that
 * one dies. It reads no request and touches no object, so there is little in it to go wrong.
 */
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "worker.h"

#define QUICK_NS	100000000	/* a worker that lives shorter than this died of itself */

static pid_t start_worker(struct fuse_session *se, int fd, struct worker_shared *sh, const sigset_t *old)
{
	pid_t pid = fork();
	int r;

	if (pid)
		return pid;
	sigprocmask(SIG_SETMASK, old, NULL);
	r = worker_run(se, fd, sh);
	if (r < 0)
		log_line(LOG_ERR, "worker: %s", strerror(-r));
	exit(r < 0 ? 1 : 0);
}

/* How a worker ended: true if there must be another one. */
static bool ended_badly(pid_t pid, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return false;
	if (WIFSIGNALED(status))
		log_line(LOG_WARNING, "worker %d was killed by signal %d (%s)", pid, WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		log_line(LOG_WARNING, "worker %d failed with status %d", pid, WEXITSTATUS(status));
	return true;
}

/* Wait for a signal, ms at the most (-1: for ever): which one, or 0. */
static int next_signal(int fd, int ms)
{
	struct signalfd_siginfo si;
	struct pollfd p = { fd, POLLIN, 0 };

	if (poll(&p, 1, ms) < 1 || read(fd, &si, sizeof(si)) != sizeof(si))
		return 0;
	return (int)si.ssi_signo;
}

int supervise(struct fuse_session *se, int fd, struct worker_shared *sh)
{
	unsigned int quick = 0;
	bool stopping = false;
	sigset_t mask, old;
	uint64_t born;
	pid_t worker;
	int sfd, status;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigprocmask(SIG_BLOCK, &mask, &old);
	sfd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	sh->supervisor = getpid();
	for (;;) {
		born = ipc_now();
		worker = start_worker(se, fd, sh, &old);
		if (worker < 0) {
			log_line(LOG_ERR, "fork: %m");
			return 1;
		}
		for (;;) {
			int sig = next_signal(sfd, -1);

			if ((sig == SIGTERM || sig == SIGINT) && !stopping) {
				stopping = true;
				kill(worker, SIGTERM);
			}
			if (waitpid(worker, &status, WNOHANG) == worker)
				break;
		}
		if (!ended_badly(worker, status))
			return 0;
		if (stopping)
			return 1;
		/* Not quicker and quicker if it dies of what it finds. Killed by others is no fault. */
		quick = ipc_now() - born < QUICK_NS && !(WIFSIGNALED(status) &&
							 WTERMSIG(status) == SIGKILL) ? quick + 1 : 0;
		if (quick > 1) {
			int sig = next_signal(sfd, quick > 7 ? 1000 : 10 << quick);

			if (sig == SIGTERM || sig == SIGINT)
				return 1;
		}
		sh->restarts++;
		log_line(LOG_NOTICE, "starting another worker (restart %u)", sh->restarts);
	}
}
