/* SPDX-License-Identifier: MIT */
/*
 * The supervisor: holds the mount, forks the worker that serves it, and starts another when that
 * one dies. It reads no request and touches no object, so there is little in it to go wrong.
 *
 * Its worker may be no child of it, but one that it was handed over (resume.c). Then a pidfd tells
 * of its end, and the shared memory whether it was a good one.
 */
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "worker.h"

#define QUICK_NS	100000000	/* a worker that lives shorter than this died of itself */

int supervisor_fd = -1;

struct worker {
	pid_t pid;
	int fd;				/* pidfd */
	uint64_t born;
};

static int start_worker(struct worker *w, struct fuse_session *se, int fd, struct worker_shared *sh)
{
	sigset_t none;
	int r;

	sh->ended = false;
	w->born = ipc_now();
	w->pid = fork();
	if (w->pid < 0) {
		log_line(LOG_ERR, "fork: %m");
		return -errno;
	}
	if (w->pid) {
		w->fd = (int)syscall(SYS_pidfd_open, w->pid, 0);
		return 0;
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	r = worker_run(se, fd, sh);
	if (r < 0)
		log_line(LOG_ERR, "worker: %s", strerror(-r));
	else
		sh->ended = true;
	exit(r < 0 ? 1 : 0);
}

/* Has it ended? *ret_killed: by SIGKILL, so it was not its fault. */
static bool has_ended(const struct worker *w, const struct worker_shared *sh, bool *ret_killed)
{
	struct pollfd p = { w->fd, POLLIN, 0 };
	int status;
	pid_t pid = waitpid(w->pid, &status, WNOHANG);

	*ret_killed = pid == w->pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	if (pid == 0 || (pid < 0 && poll(&p, 1, 0) == 0))
		return false;
	if (sh->ended)
		return true;
	if (pid < 0)
		log_line(LOG_WARNING, "worker %d, which was taken over, has died", w->pid);
	else if (WIFSIGNALED(status))
		log_line(LOG_WARNING, "worker %d was killed by signal %d (%s)", w->pid,
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		log_line(LOG_WARNING, "worker %d failed with status %d", w->pid, WEXITSTATUS(status));
	return true;
}

static void signal_worker(const struct worker *w, int sig)
{
	if (w->fd < 0 || syscall(SYS_pidfd_send_signal, w->fd, sig, NULL, 0) < 0)
		kill(w->pid, sig);
}

/* Wait for a signal or the worker's end, ms at the most (-1: for ever): which signal, or 0. */
static int next_signal(int fd, int worker_fd, int ms)
{
	struct signalfd_siginfo si;
	struct pollfd p[2] = { { fd, POLLIN, 0 }, { worker_fd, POLLIN, 0 } };

	if (poll(p, 2, ms) < 1 || read(fd, &si, sizeof(si)) != sizeof(si))
		return 0;
	return (int)si.ssi_signo;
}

/* SIGHUP: go on as the program on disk, which will end this worker when it can replace it. */
static void upgrade(const struct worker *w, struct worker_shared *sh, struct resume *r)
{
	int e;

	r->worker = w->pid;
	r->worker_fd = w->fd;
	r->restart = true;
	log_line(LOG_NOTICE, "going on as %s", sh->exe);
	e = resume_exec(sh, r);
	log_line(LOG_ERR, "%s: %s; going on with the program that runs", sh->exe, strerror(-e));
	signal_worker(w, SIGKILL);
}

int supervise(struct fuse_session *se, struct worker_shared *sh, struct resume *r)
{
	struct worker w = { .pid = r->worker, .fd = r->worker_fd, .born = ipc_now() };
	unsigned int quick = 0;
	bool stopping = false, killed;
	sigset_t mask;
	int sfd;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	sfd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	supervisor_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	sh->supervisor = getpid();
	if (w.pid && r->restart)
		signal_worker(&w, SIGKILL);
	else if (w.pid)
		log_line(LOG_NOTICE, "process %d supervises worker %d from now on", getpid(), w.pid);
	for (;;) {
		if (!w.pid && start_worker(&w, se, r->fuse_fd, sh) < 0)
			return 1;
		while (!has_ended(&w, sh, &killed)) {
			int sig = next_signal(sfd, w.fd, -1);

			if ((sig == SIGTERM || sig == SIGINT) && !stopping) {
				stopping = true;
				signal_worker(&w, SIGTERM);
			} else if (sig == SIGHUP && !stopping) {
				upgrade(&w, sh, r);
			}
		}
		if (w.fd >= 0)
			close(w.fd);
		w.pid = 0;
		if (sh->ended)
			return 0;
		if (stopping)
			return 1;
		/*
		 * Not quicker and quicker if it dies of what it finds. Killed by others is no
		 * fault.
		 */
		quick = ipc_now() - w.born < QUICK_NS && !killed ? quick + 1 : 0;
		if (quick > 1) {
			int sig = next_signal(sfd, -1, quick > 7 ? 1000 : 10 << quick);

			if (sig == SIGTERM || sig == SIGINT)
				return 1;
		}
		sh->restarts++;
		log_line(LOG_NOTICE, "starting another worker (restart %u)", sh->restarts);
	}
}
