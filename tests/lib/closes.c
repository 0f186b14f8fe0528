/* SPDX-License-Identifier: MIT */
/*
 * What a handle held is free when ipcfs_close() returns, and before any try that is made after a
 * close, an exec or a death; whoever held it, and whoever tries.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib.h"

enum { ROUNDS = 1000, DEATHS = 200 };

/* ---- everything that can be held ---- */

static ipcfs_obj *holdable(const char *type)
{
	ipcfs_obj *o = make(type);

	if (!strcmp(type, "sem")) {
		setting(o, "undo", "1");
		CHECK_INT(ipcfs_release(o, 1), 0);
	}
	return o;
}

static void is_free(ipcfs_obj *o, int64_t limit)
{
	CHECK_INT(ipcfs_acquire(o, limit), 0);
	CHECK_INT(ipcfs_release(o, 1), 0);
}

static int open_file(ipcfs_obj *o, const char *behind, int oflags)
{
	char path[600];
	int fd;

	name_of(o, path, 500);
	strcat(path, behind);
	fd = open(path, oflags);
	if (fd < 0)
		FAIL("%s: %s", path, strerror(errno));
	return fd;
}

static void close_and_try(const char *type)
{
	ipcfs_obj *o = holdable(type), *limited;
	char path[600];

	name_of(o, path, 500);
	strcat(path, "@0");
	limited = ipcfs_open(path, O_RDWR, 0);
	if (!limited)
		FAIL("%s: %s", path, strerror(errno));
	for (int i = 0; i < ROUNDS; i++) {
		ipcfs_obj *h = again(o, O_RDWR);

		CHECK_INT(ipcfs_acquire(h, 0), 0);
		if (i % 2) /* makes the holder a hold, if it was only the fast word */
			CHECK_INT(ipcfs_acquire(o, 0), -EAGAIN);
		ipcfs_close(h);
		is_free(i % 3 ? o : limited, i % 3 ? 0 : IPCFS_FOREVER);
	}
	ipcfs_close(limited);
	ipcfs_close(o);
}

static void file_and_try(const char *type)
{
	ipcfs_obj *o = holdable(type);
	int permits = strcmp(type, "cond") && strcmp(type, "value") && strcmp(type, "array");
	char buf[8];

	for (int i = 0; i < ROUNDS; i++) {
		int fd = open_file(o, "", O_RDWR);

		if (permits && i % 2)
			CHECK_INT(read(fd, buf, sizeof(buf)), 2);
		else
			CHECK_INT(flock(fd, LOCK_EX | LOCK_NB), 0);
		close(fd);
		is_free(o, i % 3 ? 0 : 1); /* 1 ns is over at once */
	}
	ipcfs_close(o);
}

static void value_after_close(const char *type)
{
	ipcfs_obj *o = holdable(type);

	for (int i = 0; i < ROUNDS; i++) {
		int fd = open_file(o, "", O_RDWR);
		ipcfs_obj *h = again(o, O_RDWR);

		CHECK_INT(flock(fd, LOCK_EX | LOCK_NB), 0);
		CHECK_INT(ipcfs_value(o), 0);
		close(fd);
		CHECK_INT(ipcfs_value(o), 1);
		CHECK_INT(ipcfs_acquire(h, 0), 0);
		CHECK_INT(ipcfs_value(o), 0);
		ipcfs_close(h);
		CHECK_INT(ipcfs_value(o), 1);
	}
	ipcfs_close(o);
}

#define OF(type)                      \
	TEST(close_##type)            \
	{                             \
		close_and_try(#type); \
	}                             \
	TEST(file_##type)             \
	{                             \
		file_and_try(#type);  \
	}
OF(lock)
OF(rlock)
OF(sem)
OF(cond)
OF(value)
OF(array)

TEST(size_of_closed)
{
	value_after_close("lock");
	value_after_close("rlock");
	value_after_close("sem");
}

/* ---- who ends, and who becomes another program ---- */

static const char *const types[] = { "lock", "rlock", "sem", "cond", "value", "array" };

/* Somebody who has it; *ret_fd is readable as soon as that is so. */
static pid_t holder(ipcfs_obj *o, int ret_fd[2], void (*then)(int in))
{
	int in[2], out[2];
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		FAIL("pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		alarm(30);
		close(in[1]);
		CHECK_INT(ipcfs_acquire(o, 0), 0);
		dup2(out[1], 1);
		then(in[0]);
		_exit(0);
	}
	close(in[0]);
	close(out[1]);
	ret_fd[0] = out[0];
	ret_fd[1] = in[1];
	return pid;
}

static void then_ends(int in)
{
	(void)in;
}

static void then_waits(int in)
{
	char c;

	if (write(1, "\n", 1) == 1)
		CHECK_INT(read(in, &c, 1), 0);
}

/* The program that takes its place says when it runs. */
static void then_executes(int in)
{
	dup2(in, 0);
	execl("/bin/sh", "sh", "-c", "echo; read x", NULL);
}

/* As daemons do, who do not know what they have open. */
static void then_closes_all(int in)
{
	dup2(in, 0);
	close_range(3, ~0u, 0);
	then_waits(0);
}

static void told(int fd)
{
	char c;

	CHECK_INT(read(fd, &c, 1), 1);
}

TEST(exits)
{
	for (int i = 0; i < DEATHS; i++) {
		ipcfs_obj *o = holdable(types[i % 6]);
		int fd[2];
		pid_t pid = holder(o, fd, i % 2 ? then_ends : then_waits);

		if (i % 2 == 0) {
			told(fd[0]);
			CHECK_INT(ipcfs_acquire(o, 0), -EAGAIN);
			kill(pid, SIGKILL);
		}
		waitpid(pid, NULL, 0);
		CHECK_INT(ipcfs_acquire(o, i % 3 ? 0 : 1), 0);
		close(fd[0]);
		close(fd[1]);
		ipcfs_close(o);
	}
}

TEST(execs)
{
	for (int i = 0; i < DEATHS / 2; i++) {
		ipcfs_obj *o = holdable(types[i % 6]);
		int fd[2];
		pid_t pid = holder(o, fd, i % 2 ? then_executes : then_closes_all);

		told(fd[0]);
		CHECK_INT(ipcfs_acquire(o, 0), 0);
		close(fd[0]);
		close(fd[1]);
		waitpid(pid, NULL, 0);
		ipcfs_close(o);
	}
}

/* With scope `process`, of one whose descriptor lives on. */
TEST(process_ends)
{
	ipcfs_obj *o = make("lock");
	int fd = open_file(o, "", O_RDWR);

	setting(o, "scope", "process");
	for (int i = 0; i < DEATHS; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			CHECK_INT(flock(fd, LOCK_EX | LOCK_NB), 0);
			_exit(0);
		}
		ends_well(pid);
		if (i % 2)
			CHECK_INT(ipcfs_value(o), 1);
		is_free(o, i % 4 < 2 ? 0 : 1);
	}
	close(fd);
	ipcfs_close(o);
}

/* ---- what else a close makes possible ---- */

TEST(pipe_ends)
{
	ipcfs_obj *r = make("pipe"), *w = again(r, O_WRONLY), *p = r;
	char buf[8];

	r = again(p, O_RDONLY);
	ipcfs_close(p);
	for (int i = 0; i < ROUNDS; i++) {
		CHECK_INT(ipcfs_put(w, "x", 1, 0), 0);
		CHECK_INT(ipcfs_get(r, buf, 8, 0), 1);
		if (i % 2) {
			CHECK_INT(ipcfs_get(r, buf, 8, 0), -EAGAIN);
			ipcfs_close(w);
			CHECK_INT(ipcfs_get(r, buf, 8, i % 3 ? 0 : 1), -EPIPE);
			w = again(r, O_WRONLY);
		} else {
			ipcfs_close(r);
			CHECK_INT(ipcfs_put(w, "x", 1, 0), -EPIPE);
			r = again(w, O_RDONLY);
		}
	}
	ipcfs_close(r);
	ipcfs_close(w);
}

TEST(leases)
{
	ipcfs_obj *q = make("queue");
	char buf[64];

	for (int i = 0; i < ROUNDS; i++) {
		int fd;

		CHECK_INT(ipcfs_put(q, "job", 3, 0), 0);
		fd = open_file(q, ".ctl/lease", O_RDONLY);
		if (read(fd, buf, sizeof(buf)) < 3)
			FAIL("lease: %s", strerror(errno));
		CHECK_INT(ipcfs_get(q, buf, sizeof(buf), 0), -EAGAIN);
		CHECK_INT(ipcfs_value(q), 0);
		close(fd);
		if (i % 2)
			CHECK_INT(ipcfs_value(q), 1);
		CHECK_INT(ipcfs_get(q, buf, sizeof(buf), i % 3 ? 0 : 1), 3);
		CHECK_INT(ipcfs_done(q, 1), 0);
	}
	setting(q, "max_attempts", "1"); /* a dead letter counts as done */
	for (int i = 0; i < ROUNDS / 4; i++) {
		int fd;

		CHECK_INT(ipcfs_put(q, "job", 3, 0), 0);
		fd = open_file(q, ".ctl/lease", O_RDONLY);
		if (read(fd, buf, sizeof(buf)) < 3)
			FAIL("lease: %s", strerror(errno));
		CHECK_INT(ipcfs_join(q, 0), -EAGAIN);
		close(fd);
		CHECK_INT(ipcfs_join(q, i % 3 ? 0 : 1), 0);
	}
	ipcfs_close(q);
}

static void waits(ipcfs_obj *o)
{
	ipcfs_wait(o, IPCFS_FOREVER);
}

static void takes(ipcfs_obj *o)
{
	ipcfs_acquire(o, IPCFS_FOREVER);
}

/* One who had begun to wait dies: that breaks a barrier, and is in nobody's way in a line. */
TEST(dead_waiters)
{
	ipcfs_obj *b = make("barrier"), *s = holdable("sem");

	setting(b, "parties", "3");
	CHECK_INT(ipcfs_acquire(s, 0), 0);
	for (int i = 0; i < DEATHS / 4; i++) {
		pid_t pid = in_child(waits, b);

		await_value(b, 1);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		CHECK_INT(ipcfs_wait(b, i % 2 ? 0 : 1), -ECANCELED);
		write_text(b, "reset");

		pid = in_child(takes, s);
		await_waiters(s, 1);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		CHECK_INT(ipcfs_release(s, 1), 0);
		CHECK_INT(ipcfs_acquire(s, 0), 0);
	}
	ipcfs_close(b);
	ipcfs_close(s);
}

/* ---- copies that a fork has made ---- */

static void just_closes(ipcfs_obj *o)
{
	ipcfs_close(o);
}

TEST(copies)
{
	ipcfs_obj *o = holdable("lock"), *h = again(o, O_RDWR);
	int fd[2];
	pid_t pid;
	char c;

	for (int i = 0; i < DEATHS / 4; i++) {
		CHECK_INT(ipcfs_acquire(h, 0), 0);
		ends_well(in_child(just_closes, h));
		CHECK_INT(ipcfs_acquire(o, 0),
			  -EAGAIN); /* a copy is closed, not what it is a copy of */
		CHECK_INT(ipcfs_release(h, 1), 0);
	}
	CHECK_INT(ipcfs_acquire(h, 0), 0);
	if (pipe(fd) < 0)
		FAIL("pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0) { /* has one, and uses it later */
		close(fd[1]);
		CHECK_INT(read(fd[0], &c, 1), 0);
		is_free(h, 0);
		_exit(0);
	}
	close(fd[0]);
	ipcfs_close(h);
	is_free(o, 0); /* what was held was this process's */
	close(fd[1]);
	ends_well(pid);
	ipcfs_close(o);
}

/* The end of a pipe stays open as long as somebody has it. */
TEST(copies_of_a_pipe)
{
	ipcfs_obj *p = make("pipe"), *r = again(p, O_RDONLY), *w = again(p, O_WRONLY);
	char buf[8];
	int fd[2];
	pid_t pid;

	ipcfs_close(p);
	CHECK_INT(ipcfs_put(w, "1", 1, 0), 0);
	CHECK_INT(ipcfs_get(r, buf, 8, 0), 1);
	if (pipe(fd) < 0)
		FAIL("pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		close(fd[1]);
		CHECK_INT(read(fd[0], buf, 1), 0);
		CHECK_INT(ipcfs_put(w, "2", 1, 0), 0);
		_exit(0);
	}
	close(fd[0]);
	ipcfs_close(w);
	CHECK_INT(ipcfs_get(r, buf, 8, 0), -EAGAIN);
	close(fd[1]);
	CHECK_INT(ipcfs_get(r, buf, 8, 20 * SECOND), 1);
	ends_well(pid);
	CHECK_INT(ipcfs_get(r, buf, 8, 0), -EPIPE);
	ipcfs_close(r);
}
