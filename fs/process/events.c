/* SPDX-License-Identifier: MIT */
/* The event thread waits for everything but requests, and handles it under fs.lock. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "base/timer.h"
#include "file/clock.h"
#include "process/events.h"
#include "process/guard.h"
#include "state/alias.h"
#include "state/fs.h"
#include "state/store.h"
#include "wait/aside.h"
#include "wait/park.h"
#include "wait/turn.h"
#include "wait/watch.h"

enum event {
	EVENT_STOP,
	EVENT_TIMER,
	EVENT_SIGNAL,
	EVENT_STALLED,
	EVENT_PROCESS,
	EVENT_SUPERVISOR
};

static int epoll_fd = -1, stop_fd = -1, signal_fd = -1;
static _Atomic bool stopping; /* set by the event thread */
static pthread_t loop_thread, event_thread;

static void watch(int fd, enum event what)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = what };

	if (fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
		log_line(LOG_ERR, "epoll: %m");
}

bool events_stopping(void)
{
	return stopping;
}

/* ---- what they do ---- */

static void on_timer(void)
{
	uint64_t n;

	if (read(timer_fd, &n, sizeof(n)) > 0 || errno == EAGAIN)
		timers_expire();
}

static void on_signal(void)
{
	struct signalfd_siginfo si;

	if (read(signal_fd, &si, sizeof(si)) != sizeof(si))
		return;
	stopping = true;
	names_expire_no_more();
	/* The mount ends: every waiting caller gets an error. */
	park_end_all(ECANCELED);
	pthread_kill(loop_thread, SIGUSR2);
}

/* There are stalled objects: event_loop() asks the loop thread to look at them. */
static void on_stalled(void)
{
	uint64_t n;

	if (read(stalled_fd, &n, sizeof(n)) < 0)
		log_line(LOG_ERR, "eventfd: %m");
}

static void on_supervisor(void)
{
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, guard_fd(), NULL);
	guard_ended();
	watch(guard_fd(), EVENT_SUPERVISOR);
}

static void (*const on_event[])(void) = {
	[EVENT_TIMER] = on_timer,           [EVENT_SIGNAL] = on_signal,
	[EVENT_STALLED] = on_stalled,       [EVENT_PROCESS] = watch_look,
	[EVENT_SUPERVISOR] = on_supervisor,
};

/* ---- the thread ---- */

/*
 * Make read(2) in the loop thread return: it may have checked `stopping` just before the read, and it
 * retries stalled objects.
 */
static void nudge(void)
{
	static uint64_t nudged;

	if (ipc_now() - nudged < RETRY_MS * 1000000ull)
		return;
	nudged = ipc_now();
	pthread_kill(loop_thread, SIGUSR2);
}

static void *event_loop(void *arg)
{
	struct epoll_event e;

	(void)arg;
	for (;;) {
		bool nudges = stopping || stalled_any();
		int n = epoll_wait(epoll_fd, &e, 1, nudges ? RETRY_MS : -1);

		if (nudges)
			nudge();
		if (n < 1)
			continue;
		if (e.data.u32 == EVENT_STOP)
			return NULL;
		pthread_mutex_lock(&fs.lock);
		on_event[e.data.u32]();
		turn_end();
		pthread_mutex_unlock(&fs.lock);
	}
}

static void interrupted(int sig)
{
	(void)sig; /* the point is that read(2) returns */
}

static int open_signals(void)
{
	struct sigaction sa = { .sa_handler = interrupted };
	struct sigaction bus = { .sa_sigaction = store_bus_error, .sa_flags = SA_SIGINFO };
	sigset_t mask;

	sigaction(SIGUSR2, &sa, NULL);
	sigaction(SIGBUS, &bus, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	/* A terminal sends these to all processes; the supervisor handles them. */
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return signal_fd;
}

int events_open(void)
{
	int ends_fd = watch_open();

	stopping = false;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	stop_fd = eventfd(0, EFD_CLOEXEC);
	stalled_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (open_signals() < 0 || epoll_fd < 0 || ends_fd < 0 || timer_fd < 0 || stop_fd < 0 ||
	    stalled_fd < 0)
		return -errno;
	watch(signal_fd, EVENT_SIGNAL);
	watch(timer_fd, EVENT_TIMER);
	watch(stop_fd, EVENT_STOP);
	watch(stalled_fd, EVENT_STALLED);
	watch(ends_fd, EVENT_PROCESS);
	watch(guard_fd(), EVENT_SUPERVISOR);
	return 0;
}

int events_start(void)
{
	loop_thread = pthread_self();
	return -pthread_create(&event_thread, NULL, event_loop, NULL);
}

void events_stop(void)
{
	if (eventfd_write(stop_fd, 1) == 0)
		pthread_join(event_thread, NULL);
}

void events_close(void)
{
	watch_close();
	close(signal_fd);
	close(epoll_fd);
	close(timer_fd);
	close(stop_fd);
	close(stalled_fd);
	stalled_fd = -1;
}
