/* SPDX-License-Identifier: MIT */
/*
 * The supervisor: holds the mount, forks the worker that serves it, and starts another when that
 * one dies. It reads no requests and touches no objects, so little can go wrong in it.
 *
 * Its worker need not be its child: an earlier supervisor may have handed it over (resume.c). Then a
 * pidfd signals its end, and the shared memory says whether it ended cleanly.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "base/proc.h"
#include "object/engine.h"
#include "process/resume.h"
#include "process/shared.h"
#include "process/supervisor.h"
#include "process/unmount.h"
#include "process/worker.h"
#include "state/fs.h"

#define QUICK_NS    100000000   /* a worker that ends sooner than this died of its own fault */
#define LONG_NS     10000000000 /* one that lived longer may have died for any reason */
#define STARTS_MOST 5           /* attempts to start one if the reason is permanent, … */
#define SHORTAGE_NS 60000000000 /* … and how long to retry if it may pass */
#define DEATHS_MOST 10          /* workers in a row that die before they serve a request */

static int supervisor_fd = -1; /* our own pidfd, for the worker to watch */

struct worker {
	pid_t pid;
	int fd; /* pidfd */
	uint64_t born;
	bool killed;  /* by SIGKILL, so not by its own fault */
	char end[80]; /* how it ended */
};

/* Workers that failed, one after the other. */
struct failures {
	unsigned int n;     /* none of them served a new request */
	unsigned int quick; /* of any kind */
	uint64_t since;     /* the first of them was started */
};

static int fork_failed(struct worker_shared *sh)
{
	sh->error = -errno;
	snprintf(sh->why, sizeof(sh->why), "fork: %s", strerror(errno));
	return sh->error;
}

static int start_worker(struct worker *w, struct fuse_session *se, int fd, struct worker_shared *sh)
{
	sigset_t none;
	int r;

	sh->ended = sh->served = false;
	sh->why[0] = 0;
	*w = (struct worker){ .fd = -1, .born = ipc_now() };
	w->pid = fork();
	if (w->pid < 0)
		return fork_failed(sh);
	if (w->pid) {
		w->fd = (int)syscall(SYS_pidfd_open, w->pid, 0);
		return 0;
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	r = worker_run(se, fd, sh, supervisor_fd);
	if (r == 0)
		sh->ended = true;
	else if (!sh->why[0])
		log_line(LOG_ERR, "worker: %s", strerror(-r));
	exit(r < 0 ? 1 : 0);
}

static bool has_ended(struct worker *w, struct worker_shared *sh)
{
	struct pollfd p = { w->fd, POLLIN, 0 };
	int status;
	pid_t pid = waitpid(w->pid, &status, WNOHANG);

	if (pid == 0 || (pid < 0 && poll(&p, 1, 0) == 0))
		return false;
	if (pid < 0) {
		w->killed = true; /* it may have been */
		snprintf(w->end, sizeof(w->end),
			 "worker %d, started by another supervisor, has died", w->pid);
	} else if (WIFSIGNALED(status)) {
		w->killed = WTERMSIG(status) == SIGKILL;
		snprintf(w->end, sizeof(w->end), "worker %d was killed by signal %d (%s)", w->pid,
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	} else {
		snprintf(w->end, sizeof(w->end), "worker %d failed with status %d", w->pid,
			 WEXITSTATUS(status));
	}
	/* Killed, it has left the mount file as it was, but for the change that is rolled back. */
	sh->check |= !sh->ended && (!w->killed || pid < 0);
	if (!sh->ended && !sh->why[0])
		log_line(LOG_WARNING, "%s", w->end);
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

/* SIGHUP: become the program on disk, which ends this worker once it can replace it. */
static void upgrade(const struct worker *w, struct worker_shared *sh, struct resume *r)
{
	int e;

	r->worker = w->pid;
	r->worker_fd = w->fd;
	r->restart = true;
	log_line(LOG_NOTICE, "upgrading to %s", sh->exe);
	e = resume_exec(sh, r);
	log_line(LOG_ERR, "%s: %s; keeping the running program", sh->exe, strerror(-e));
	signal_worker(w, SIGKILL);
}

/* Wait until the worker has ended; true: it was told to. */
static bool await_end(struct worker *w, struct worker_shared *sh, struct resume *r, int signals)
{
	bool stopping = false;

	while (!has_ended(w, sh)) {
		int sig = next_signal(signals, w->fd, -1);

		if ((sig == SIGTERM || sig == SIGINT) && !stopping) {
			stopping = true;
			signal_worker(w, SIGTERM);
		} else if (sig == SIGHUP && !stopping) {
			upgrade(w, sh, r);
		}
	}
	if (w->fd >= 0)
		close(w->fd);
	return stopping;
}

/* A shortage that may pass. */
static bool is_shortage(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -EAGAIN ||
	       error == -ENOSPC;
}

static void count_failure(struct failures *f, const struct worker *w,
			  const struct worker_shared *sh)
{
	uint64_t age = ipc_now() - w->born;

	f->quick = age < QUICK_NS && !w->killed ? f->quick + 1 : 0;
	if (w->killed || sh->served || (age > LONG_NS && !sh->why[0]))
		f->n = 0;
	else if (!f->n++)
		f->since = w->born;
}

/* Is it worth starting another? Not if it would die as the last ones did. */
static bool may_try_again(const struct failures *f, const struct worker_shared *sh)
{
	if (!sh->why[0])
		return f->n < DEATHS_MOST;
	if (!is_shortage(sh->error))
		return f->n < STARTS_MOST;
	if (f->n == 1)
		log_line(LOG_WARNING, "cannot start a worker: %s; retrying for a minute", sh->why);
	return ipc_now() - f->since < SHORTAGE_NS;
}

/*
 * Otherwise callers would wait in the kernel for ever, unkillably. The mount stays, and fails with
 * ENOTCONN, so that nothing is written to the folder below it by mistake.
 */
_Noreturn static void give_up(const struct failures *f, const struct worker *w,
			      const struct worker_shared *sh)
{
	if (sh->why[0])
		log_line(LOG_ERR,
			 "%s; cannot start a worker (%u attempts): %s is dead until it "
			 "is mounted again",
			 sh->why, f->n, sh->mountpoint);
	else
		log_line(LOG_ERR,
			 "%s, the last of %u in a row that served no request: %s is dead "
			 "until it is mounted again",
			 w->end, f->n, sh->mountpoint);
	unmount_abort(sh->mountpoint, sh->connection);
	exit(1);
}

/* Wait longer after each failure. false: a signal says to stop. */
static bool pause_between(const struct failures *f, int signals)
{
	unsigned int n = f->quick > f->n ? f->quick : f->n;
	uint64_t end = ipc_now() + (n < 2 ? 0 : n > 7 ? 1000 : 10u << n) * 1000000ull;

	for (uint64_t now = ipc_now(); now < end; now = ipc_now()) {
		int sig = next_signal(signals, -1, (int)((end - now) / 1000000) + 1);

		if (sig == SIGTERM || sig == SIGINT)
			return false;
	}
	return true;
}

static int catch_signals(void)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* With the worker that it finds, if there is one. */
static void take_office(const struct worker *w, struct worker_shared *sh, const struct resume *r)
{
	fs.told_ends = !fs.opt.no_ends && proc_ends_are_told();
	supervisor_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	sh->supervisor = getpid();
	if (w->pid && r->restart)
		signal_worker(w, SIGKILL);
	else if (w->pid)
		log_line(LOG_NOTICE, "process %d supervises worker %d from now on", getpid(),
			 w->pid);
}

/* true: the worker ended cleanly. false: there is none any more, and a signal says to stop. */
static bool keep_served(struct worker *w, struct fuse_session *se, struct worker_shared *sh,
			struct resume *r, int signals)
{
	struct failures f = { 0 };

	for (;;) {
		if (w->pid || start_worker(w, se, r->fuse_fd, sh) == 0) {
			bool stopping = await_end(w, sh, r, signals);

			if (sh->ended || stopping)
				return sh->ended;
		}
		w->pid = 0;
		count_failure(&f, w, sh);
		if (!may_try_again(&f, sh))
			give_up(&f, w, sh);
		if (!pause_between(&f, signals))
			return false;
		sh->restarts++;
		if (!sh->why[0])
			log_line(LOG_NOTICE, "starting another worker (restart %u)", sh->restarts);
	}
}

int supervise(struct fuse_session *se, struct worker_shared *sh, struct resume *r)
{
	struct worker w = { .pid = r->worker, .fd = r->worker_fd, .born = ipc_now() };
	int signals = catch_signals();

	take_office(&w, sh, r);
	if (keep_served(&w, se, sh, r, signals))
		return 0;
	unmount_abort(sh->mountpoint, sh->connection);
	return 1;
}
