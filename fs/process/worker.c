/* SPDX-License-Identifier: MIT */
/*
 * The worker: serves requests until the file system is unmounted or it is told to stop.
 *
 * One loop thread reads requests and deals with each at once, for no request ever waits in here;
 * so requests are dealt with in the order in which the kernel sent them, and what a close gave
 * back is there for whatever was asked after it. One event thread waits for everything else:
 * deadlines, signals, the end of processes.
 *
 * A worker that follows a dead one gets the INIT request from the supervisor's memory instead of
 * from the kernel, keeps its own reply to it, and then asks the kernel to send again what was not
 * answered (FUSE_NOTIFY_RESEND).
 */
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "ops/observer.h"
#include "ops/dispatch.h"
#include "wait/aside.h"
#include "wait/watch.h"
#include "ctl/plain.h"
#include "ops/io.h"
#include "device/reply.h"
#include "state/notify.h"
#include "object/type.h"
#include "ops/abandon.h"
#include "process/worker.h"
#include "wait/turn.h"
#include "wait/park.h"
#include "wait/unfinished.h"

#define INIT_RESEND (1u << 7) /* FUSE_HAS_RESEND >> 32 */

static struct worker_shared *shared;
static bool replaying;     /* the INIT that is being dealt with is the stored one */
static bool fresh = true;  /* no request has been read yet */
static bool catching_up;   /* requests that the last worker had may still come again */
static uint64_t dealing;   /* the request in shared->request, until it is answered */
static uint64_t unfetched; /* the OPEN in which the last worker died, until it comes again */
static pthread_t loop_thread;
static int device_fd;
static size_t left_over; /* the request in shared->request is to be dealt with again, … */
static bool again;       /* … and now is */

/* ---- the device ---- */

/*
 * The kernel copies a request page by page, and faults in what this process has not mapped. A fault
 * fails when SIGKILL is on its way, and then the kernel gives the caller EIO, and sends the request
 * to no other worker. What is mapped and writable it finds without a fault, whatever is pending: so
 * all of the buffer is, before anything is read, and stays so (or at least until memory is short,
 * where that much must not be locked).
 */
static void map_request_buffer(void)
{
	volatile char *p = shared->request;

	mlock(shared->request, sizeof(shared->request));
	for (size_t i = 0; i < sizeof(shared->request); i += 4096)
		p[i] = p[i];
}

static void keep_init(const void *msg, size_t n)
{
	memcpy(shared->init, msg, n);
	__atomic_store_n(&shared->init_len, (uint32_t)n, __ATOMIC_RELEASE);
}

/* The first worker died with the kernel's first request in its hands: it is all that it had read. */
static void find_init(void)
{
	const struct fuse_in_header *h = (const void *)shared->request;

	if (!shared->init_len && h->len && h->len <= sizeof(shared->init))
		keep_init(h, h->len);
}

/* Its caller may be killed before it comes again, and nobody would close what it has opened. */
static void find_open(void)
{
	const struct fuse_in_header *h = (const void *)shared->request;

	if (h->len && (h->opcode == FUSE_OPEN || h->opcode == FUSE_CREATE))
		unfetched = unique_of(h->unique);
}

static void caught_up(void)
{
	catching_up = false;
	if (unfetched)
		close_unfetched(unfetched);
	unfetched = 0;
	settle_told();
}

static ssize_t device_read(int fd, void *buf, size_t len, void *userdata)
{
	const struct fuse_in_header *h = buf;
	ssize_t n;

	again = false;
	if (fresh && shared->init_len) {
		n = shared->init_len;
		memcpy(buf, shared->init, (size_t)n);
		replaying = true;
	} else if (left_over) { /* `buf` is where it is */
		n = (ssize_t)left_over;
		left_over = 0;
		again = true;
	} else {
		*(uint32_t *)shared->request = 0;
		n = read(fd, buf, len);
	}
	if (n < (ssize_t)sizeof(*h))
		return n;
	if (fresh && h->opcode == FUSE_INIT && !replaying && (size_t)n <= sizeof(shared->init))
		keep_init(buf, (size_t)n);
	fresh = false;
	if (unique_of(h->unique) == unfetched)
		unfetched = 0;
	return n;
}

static ssize_t length(const struct iovec *iov, int count)
{
	ssize_t n = 0;

	for (int i = 0; i < count; i++)
		n += (ssize_t)iov[i].iov_len;
	return n;
}

static ssize_t device_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	ssize_t n;

	/*
	 * The kernel has this answer already; or perhaps not, if a worker died just then: once too
	 * often is no harm.
	 */
	if (replaying && !shared->begun && writev(fd, iov, count) < 0 && errno != ENOENT)
		log_line(LOG_ERR, "cannot answer the kernel's first request: %m");
	if (replaying)
		shared->begun = true;
	if (replaying)
		return length(iov, count);
	n = writev(fd, iov, count);
	shared->begun = true;
	/*
	 * Answered: no other worker is to deal with it (and what is recorded next is no more about
	 * it).
	 */
	if (dealing && ((const struct fuse_out_header *)iov[0].iov_base)->unique == dealing) {
		*(uint32_t *)shared->request = 0;
		dealing = 0;
	}
	return n;
}

static const struct fuse_custom_io device = { .read = device_read, .writev = device_writev };

/* Does the kernel send again what was not answered? It says so in its first request. */
static bool kernel_resends(void)
{
	const struct fuse_init_in *in =
		(const void *)(shared->init + sizeof(struct fuse_in_header));

	return !fs.opt.no_resend && in->flags & FUSE_INIT_EXT && in->flags2 & INIT_RESEND;
}

static void ask_again(void)
{
	if (kernel_resends())
		notify_resend();
}

/* A restart on a kernel that does not: see abandon.c. */
static void do_without_resend(void)
{
	const struct fuse_in_header *h = (const void *)shared->request;
	bool found = abandon_waiters(h->len ? h->unique : 0);

	log_line(LOG_WARNING, "this kernel cannot resend requests (Linux 6.9 can): "
			      "callers that waited got ECONNABORTED");
	if (!h->len || found || h->len > sizeof(shared->request) || h->opcode == FUSE_INTERRUPT ||
	    h->opcode == FUSE_FORGET || h->opcode == FUSE_BATCH_FORGET || h->opcode == FUSE_INIT)
		return;
	if (shared->tried != h->unique) {
		shared->tried = h->unique;
		left_over = h->len;
		return;
	}
	reply_to(h->unique, ECONNABORTED, NULL, 0); /* two have died of it */
}

/* ---- the event thread ---- */

enum { EVENT_TIMER, EVENT_SIGNAL, EVENT_STOP, EVENT_STALLED, EVENT_PROCESS, EVENT_SUPERVISOR };

static int epoll_fd = -1, stop_fd = -1;
static _Atomic bool stopping; /* set by the event thread */

static void epoll_add(int fd, uint64_t what)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = what };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
		log_line(LOG_ERR, "epoll: %m");
}

/* ---- the supervisor's end ---- */

static struct {
	int fd;      /* its pidfd */
	pid_t child; /* if this worker started it */
	uint64_t born;
	unsigned int quick; /* how many died at once, one after the other */
} guard = { .fd = -1 };

static void guard_watch(int fd)
{
	guard.fd = fd;
	if (fd >= 0)
		epoll_add(fd, EVENT_SUPERVISOR);
}

/* Nobody would start another worker, nor unmount: so there must be another supervisor. */
static void supervisor_ended(void)
{
	pid_t pid;

	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, guard.fd, NULL);
	close(guard.fd);
	guard.fd = -1;
	if (guard.child)
		waitpid(guard.child, NULL, WNOHANG);
	guard.quick = guard.child && ipc_now() - guard.born < 1000000000 ? guard.quick + 1 : 0;
	/* If the program on disk cannot do it, the one that runs here can. */
	pid = resume_spawn(shared, device_fd, guard.quick % 2,
			   guard.quick > 7 ? 10000 :
			   guard.quick     ? 50 << guard.quick :
					     0);
	if (pid < 0) {
		log_line(LOG_ERR, "supervisor %d is gone, and cannot start another: %s",
			 fs.supervisor, strerror(-pid));
		return;
	}
	log_line(LOG_WARNING, "supervisor %d is gone; process %d takes its place", fs.supervisor,
		 pid);
	guard.child = pid;
	guard.born = ipc_now();
	fs.supervisor = pid;
	guard_watch((int)syscall(SYS_pidfd_open, pid, 0));
}

static void on_signal(int fd)
{
	struct signalfd_siginfo si;

	if (read(fd, &si, sizeof(si)) != sizeof(si))
		return;
	stopping = true;
	/* Those who wait are sent away: the mount ends. */
	park_end_all(ECANCELED);
	pthread_kill(loop_thread, SIGUSR2);
}

static void *event_loop(void *arg)
{
	int signal_fd = *(int *)arg;
	struct epoll_event e;
	uint64_t n, nudged = 0;

	for (;;) {
		bool nudge = stopping || stalled_any();
		int events = epoll_wait(epoll_fd, &e, 1, nudge ? RETRY_MS : -1);

		/*
		 * The loop thread may have looked at `stopping`, and not have read yet; and it is
		 * to look at objects whose lock somebody keeps.
		 */
		if (nudge && ipc_now() - nudged >= RETRY_MS * 1000000ull) {
			nudged = ipc_now();
			pthread_kill(loop_thread, SIGUSR2);
		}
		if (events < 1)
			continue;
		if (e.data.u64 == EVENT_STOP)
			return NULL;
		pthread_mutex_lock(&fs.lock);
		switch (e.data.u64 & 0xff) {
		case EVENT_TIMER:
			if (read(timer_fd, &n, sizeof(n)) > 0 || errno == EAGAIN)
				timers_expire();
			break;
		case EVENT_SIGNAL:
			on_signal(signal_fd);
			break;
		case EVENT_STALLED:
			if (read(stalled_fd, &n, sizeof(n)) < 0)
				log_line(LOG_ERR, "eventfd: %m");
			break;
		case EVENT_SUPERVISOR:
			supervisor_ended();
			break;
		case EVENT_PROCESS:
			watch_look();
			break;
		}
		turn_end();
		pthread_mutex_unlock(&fs.lock);
	}
}

static void interrupted(int sig)
{
	(void)sig; /* the point is that read(2) returns */
}

/* ---- the loop ---- */

/*
 * What comes again comes first: the kernel puts it before all that it did not send yet, but for
 * what has a queue of its own.
 */
static bool is_new(const struct fuse_in_header *h)
{
	return !unique_is_resent(h->unique) && h->opcode != FUSE_INTERRUPT &&
	       h->opcode != FUSE_FORGET && h->opcode != FUSE_BATCH_FORGET;
}

/* One that was put aside. */
static bool deal_again(void *msg, size_t len, struct aside *as)
{
	bool aside = dispatch(msg, len, true, as);

	turn_end();
	return aside;
}

static void deal_with(void *msg, size_t len)
{
	struct aside as = { 0 };

	if (dispatch(msg, len, again, &as))
		aside_keep(msg, len, &as);
}

static bool for_aside(const void *msg)
{
	const struct fuse_in_header *h = msg;

	return h->opcode == FUSE_INTERRUPT &&
	       aside_interrupted(((const struct fuse_interrupt_in *)(h + 1))->unique);
}

static int serve(struct fuse_session *se)
{
	/* A replayed INIT must not overwrite what may be left over there. */
	struct fuse_buf buf = { .mem = shared->init_len ? NULL : shared->request };
	bool news;
	int r = 0;

	while (!fuse_session_exited(se) && !stopping) {
		if (stalled_any()) {
			pthread_mutex_lock(&fs.lock);
			aside_retry(deal_again);
			turn_end();
			pthread_mutex_unlock(&fs.lock);
		}
		r = fuse_session_receive_buf(se, &buf);
		if (r == -EINTR)
			continue;
		if (r <= 0)
			break;
		pthread_mutex_lock(&fs.lock);
		watch_look();
		if (catching_up && is_new(buf.mem))
			caught_up();
		dealing = buf.mem == shared->request ? ((struct fuse_in_header *)buf.mem)->unique :
						       0;
		news = !replaying && is_new(buf.mem);
		if (!stopping && !for_aside(buf.mem))
			deal_with(buf.mem, (size_t)r);
		shared->served |= news;
		dealing = 0;
		if (buf.mem == shared->request)
			*(uint32_t *)shared->request = 0;
		if (replaying) {
			replaying = false;
			catching_up = true;
			ask_again();
		}
		if (buf.mem != shared->request) {
			free(buf.mem);
			buf.mem = shared->request;
		}
		turn_end();
		pthread_mutex_unlock(&fs.lock);
	}
	if (buf.mem != shared->request)
		free(buf.mem);
	return stopping || r >= 0 || r == -ENODEV ? 0 : r;
}

/* The supervisor decides whether another one is to try. */
static int start_failed(int error, const char *why)
{
	snprintf(shared->why, sizeof(shared->why), "%s", why);
	shared->error = error;
	return error;
}

/* The descriptors of the event thread, and the signals that are for it. */
static int open_events(int *ret_signal_fd)
{
	int ends_fd;
	struct sigaction sa = { .sa_handler = interrupted };
	struct sigaction bus = { .sa_sigaction = store_bus_error, .sa_flags = SA_SIGINFO };
	sigset_t mask;

	sigaction(SIGUSR2, &sa, NULL);
	sigaction(SIGBUS, &bus, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	*ret_signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	/* From a terminal they come to all processes; they are the supervisor's. */
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ends_fd = watch_open();
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	stop_fd = eventfd(0, EFD_CLOEXEC);
	stalled_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (*ret_signal_fd < 0 || epoll_fd < 0 || ends_fd < 0 || timer_fd < 0 || stop_fd < 0 ||
	    stalled_fd < 0)
		return -errno;
	epoll_add(*ret_signal_fd, EVENT_SIGNAL);
	epoll_add(timer_fd, EVENT_TIMER);
	epoll_add(stop_fd, EVENT_STOP);
	epoll_add(stalled_fd, EVENT_STALLED);
	epoll_add(ends_fd, EVENT_PROCESS);
	guard_watch(supervisor_fd);
	return 0;
}

static void close_events(int signal_fd)
{
	watch_close();
	close(signal_fd);
	close(epoll_fd);
	close(timer_fd);
	close(stop_fd);
	close(stalled_fd);
	stalled_fd = -1;
}

/* What the last worker left, and who waits since then. */
static void take_up(void)
{
	pthread_mutex_lock(&fs.lock);
	if (shared->init_len && !kernel_resends())
		do_without_resend();
	store_sweep();
	unfinished_load();
	settle_all();
	watch_again();
	turn_end();
	pthread_mutex_unlock(&fs.lock);
}

int worker_run(struct fuse_session *se, int fd, struct worker_shared *sh)
{
	const char *why = "";
	pthread_t thread;
	int signal_fd, r;

	shared = sh;
	device_fd = fd;
	find_init();
	find_open();
	fs.se = se;
	fs.restarts = sh->restarts;
	fs.supervisor = sh->supervisor;
	fs.started = sh->started;
	fresh = true;
	stopping = false;
	r = store_load(&observer, &why);
	if (r < 0)
		return start_failed(r, why);
	r = fuse_session_custom_io(se, &device, fd);
	if (r == 0)
		r = open_events(&signal_fd);
	if (r < 0)
		return start_failed(r, strerror(-r));
	take_up();
	map_request_buffer();
	loop_thread = pthread_self();
	r = -pthread_create(&thread, NULL, event_loop, &signal_fd);
	if (r < 0)
		return start_failed(r, strerror(-r));
	r = serve(se);
	if (eventfd_write(stop_fd, 1) == 0)
		pthread_join(thread, NULL);
	pthread_mutex_lock(&fs.lock);
	park_end_all(ECANCELED);
	io_cleanup();
	unfinished_unload();
	store_unload();
	timers_free();
	pthread_mutex_unlock(&fs.lock);
	close_events(signal_fd);
	return r;
}
