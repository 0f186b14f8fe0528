// SPDX-License-Identifier: MIT
#include "borrow.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>

#include "guard.h"
#include "ipcfs.h"
#include "object.h"

#define NAMED_HOLDERS 10 /* more would hide the message */

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
static int open_it(const struct borrow *o, int64_t end)
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
static int take(int fd, const struct borrow *o, int64_t end)
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

int borrow(const struct borrow *o)
{
	int64_t end = o->limit_ns > 0 ? now_ns() + o->limit_ns : FOR_EVER;
	int fd, r;

	guard_wait(o->limit_ns);
	fd = open_it(o, end);
	if (fd < 0)
		return fd;
	r = take(fd, o, end);
	if (r < 0) {
		close(fd);
		return r;
	}
	guard_wait(FOR_EVER);
	return fd;
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

void borrow_complain_taken(const struct borrow *o)
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
