// SPDX-License-Identifier: MIT
#include "work/loop.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <uthash.h>

#include "ipcctl.h"
#include "work/progress.h"

#define LARGEST     (2 << 20)          /* more than any message with its ID */
#define CLOSED_LOOK (1 * NSEC_PER_SEC) /* a closed queue may be opened again, which wakes nobody */

/* A message whose last attempt here failed. */
struct failure {
	UT_hash_handle hh;
	char id[];
};

struct work {
	const struct work_options *o;
	const char *queue;
	struct job *jobs;
	unsigned int running;
	int signals;        /* a signalfd */
	int lease;          /* the handle that waits for the next message; -1 */
	bool closed;        /* the queue is, and has nothing left */
	int64_t look_at;    /* closed: when to see whether it still is */
	unsigned int asked; /* how often it was told to stop */
	int status;         /* exit status, unless it is 0 because nothing failed */
	char *buffer;
	struct failure *failures;
	struct progress progress;
};

/* Nothing more is leased; what is in hand is finished. */
static void stop(struct work *w, int status)
{
	if (!w->status)
		w->status = status;
	w->asked += !w->asked;
	close_fd(&w->lease);
	w->lease = -1;
}

/* ---- taking messages ---- */

/* A negative errno; 0: the queue is closed, and all of it is done; else the length. */
static ssize_t lease_message(struct work *w)
{
	ssize_t n;

	if (w->lease < 0) {
		/* O_DIRECT: as it is, without an added newline. */
		w->lease = openat(w->o->job.ctl, "lease",
				  O_RDONLY | O_NONBLOCK | O_DIRECT | O_CLOEXEC | O_NOCTTY);
		if (w->lease < 0)
			return -errno;
	}
	do
		n = read(w->lease, w->buffer, LARGEST);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static void remember(struct work *w, const struct job *j)
{
	struct failure *f;

	HASH_FIND_STR(w->failures, j->id, f);
	if (f && !job_failed(j)) {
		HASH_DEL(w->failures, f);
		free(f);
	} else if (!f && job_failed(j)) {
		f = xrealloc(NULL, sizeof(*f) + strlen(j->id) + 1);
		strcpy(f->id, j->id);
		HASH_ADD_STR(w->failures, id, f);
	}
}

/* Its process has ended, or never was. */
static void ended(struct work *w, struct job *j)
{
	w->running--;
	remember(w, j);
	if (job_failed(j))
		w->progress.failed++;
	else
		w->progress.done++;
	job_settle(j, &w->o->job);
}

static void begin(struct work *w, size_t len)
{
	struct job *j = job_new(w->lease, w->buffer, len);

	w->lease = -1;
	if (!j) {
		complain(w->queue, "a lease that is not understood");
		stop(w, EXIT_RUN_FAILED);
		return;
	}
	j->next = w->jobs;
	w->jobs = j;
	w->running++;
	if (job_start(j, &w->o->job) < 0)
		ended(w, j);
}

static void take(struct work *w)
{
	if (w->closed && w->look_at <= now_ns())
		w->closed = false;
	while (!w->asked && !w->closed && w->running < w->o->jobs) {
		ssize_t n = lease_message(w);

		if (n == -EAGAIN)
			return;
		if (n > 0) {
			begin(w, n);
			continue;
		}
		close_fd(&w->lease);
		w->lease = -1;
		if (n < 0) {
			complain(w->queue, "%s", strerror(-n));
			stop(w, EXIT_RUN_FAILED);
			return;
		}
		w->closed = true;
		w->look_at = now_ns() + CLOSED_LOOK;
	}
}

/* ---- what has happened ---- */

static struct job *job_of(struct work *w, pid_t pid)
{
	struct job *j;

	for (j = w->jobs; j && (j->state != JOB_RUNNING || j->pid != pid); j = j->next)
		;
	return j;
}

static void reap(struct work *w)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct job *j = job_of(w, pid);

		if (!j)
			continue; /* a child of whatever this program was before */
		progress_hide(&w->progress);
		if (job_ended(j, &w->o->job, status) < 0) {
			complain("standard output", "%s", strerror(errno));
			stop(w, EXIT_FAILURE);
		}
		/* The message is not to blame: no other one would fare better. */
		if (j->exec_error && j->exec_error != E2BIG)
			stop(w, WEXITSTATUS(status));
		ended(w, j);
	}
}

/* The first time: finish what is in hand. The second: end it. */
static void told_to_stop(struct work *w)
{
	unsigned int before = w->asked;

	stop(w, 0);
	if (!before) {
		if (w->running && isatty(STDERR_FILENO))
			complain(w->queue, "finishing %u in hand; once more ends them", w->running);
		return;
	}
	w->asked++;
	for (struct job *j = w->jobs; j; j = j->next)
		job_kill(j, &w->o->job, w->asked > 2 ? SIGKILL : SIGTERM);
}

static void read_signals(struct work *w)
{
	struct signalfd_siginfo info;

	while (read(w->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGCHLD)
			told_to_stop(w);
	}
	reap(w);
}

/* Whatever is due; when the next thing is. */
static int64_t tick(struct work *w)
{
	int64_t next = NEVER, now = now_ns();
	struct job **at = &w->jobs, *j;

	while ((j = *at)) {
		int64_t due = job_tick(j, &w->o->job);

		if (j->state == JOB_ENDED && j->retry_at <= now) {
			job_settle(j, &w->o->job);
			due = j->retry_at;
		}
		if (j->state == JOB_SETTLED) {
			*at = j->next;
			job_free(j);
			continue;
		}
		next = due < next ? due : next;
		at = &j->next;
	}
	if (w->closed && w->look_at < next)
		next = w->look_at;
	if (w->progress.on && w->progress.terminal && now + NSEC_PER_SEC < next)
		next = now + NSEC_PER_SEC;
	return next;
}

static bool finished(struct work *w)
{
	if (w->jobs)
		return false;
	if (w->asked)
		return true;
	if (w->closed)
		return w->o->until_closed || w->o->until_empty;
	return w->o->until_empty && w->lease >= 0; /* it has just said EAGAIN */
}

static void wait_for_something(struct work *w, int64_t until)
{
	struct pollfd p[] = { { w->signals, POLLIN, 0 }, { w->lease, POLLIN, 0 } };
	int64_t left = until == NEVER ? -1 : until - now_ns();
	struct timespec t = { 0 };

	if (left > 0) {
		t.tv_sec = left / NSEC_PER_SEC;
		t.tv_nsec = left % NSEC_PER_SEC;
	}
	ppoll(p, w->lease >= 0 ? 2 : 1, until == NEVER ? NULL : &t, NULL);
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	signal(SIGCHLD, SIG_DFL); /* ignored, it would take away what wait(2) says */
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void forget(struct work *w)
{
	struct failure *f, *next;

	HASH_ITER(hh, w->failures, f, next) {
		HASH_DEL(w->failures, f);
		free(f);
	}
	close_fd(&w->lease);
	close_fd(&w->signals);
	free(w->buffer);
}

int work(const struct work_options *o)
{
	struct work w = { .o = o, .queue = o->job.queue, .lease = -1 };

	w.signals = open_signals();
	if (w.signals < 0) {
		complain("signalfd", "%s", strerror(errno));
		return EXIT_RUN_FAILED;
	}
	w.buffer = xrealloc(NULL, LARGEST);
	progress_start(&w.progress, o->progress);
	for (;;) {
		int64_t next;

		take(&w);
		next = tick(&w);
		if (finished(&w))
			break;
		progress_show(&w.progress, w.running, w.queue);
		wait_for_something(&w, next);
		read_signals(&w);
	}
	progress_end(&w.progress, w.queue);
	if (!w.status && w.failures)
		w.status = EXIT_FAILURE;
	forget(&w);
	return w.status;
}
