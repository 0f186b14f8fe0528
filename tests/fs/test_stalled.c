/* SPDX-License-Identifier: MIT */
/*
 * An object whose lock a stopped process keeps: what each request gets, and when. The rest is done
 * with real clients, in tests/mount/test_stalled.py.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "ipcfs.h"
#include "object/type.h"

#define MS 1000000ull

struct stall {
	pid_t pid;
	struct ipc_header *h;
};

/* A process that is stopped, or runs, has the lock of this object from now on. */
static struct stall keep(uint64_t ino, bool stopped)
{
	const char *path = engine_file(ino);
	struct stall s = { .pid = fork() };
	int fd, status;

	CHECK(s.pid >= 0);
	if (s.pid == 0) {
		if (stopped)
			raise(SIGSTOP);
		pause();
		_exit(0);
	}
	if (stopped)
		CHECK_INT(waitpid(s.pid, &status, WUNTRACED), s.pid);
	fd = open(path, O_RDWR);
	CHECK(fd >= 0);
	s.h = mmap(NULL, IPC_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(s.h != MAP_FAILED);
	close(fd);
	k_sync();
	CHECK_INT(s.h->m.lock, 0);
	__atomic_store_n(&s.h->m.lock, (uint32_t)s.pid, __ATOMIC_RELEASE);
	return s;
}

static struct stall stall(uint64_t ino)
{
	return keep(ino, true);
}

static void go_on(struct stall *s)
{
	__atomic_store_n(&s->h->m.lock, 0, __ATOMIC_RELEASE);
	munmap(s->h, IPC_PAGE);
	kill(s->pid, SIGKILL);
	CHECK_INT(waitpid(s->pid, NULL, 0), s->pid);
}

/* What it is told at last, however long that takes. */
static const char *at_last(rq n)
{
	k_answer(n);
	return told(n);
}

TEST(stalled_requests)
{
	struct file r, w, never, plain;
	struct stall s;
	uint64_t ino;
	rq n;

	daemon_start();
	ino = make("a.queue");
	r = open_name("a.queue@0", BOTH);
	never = open_name("a.queue", BOTH);
	w = open_name("a.queue", WO | O_NONBLOCK);
	plain = open_name("a.queue.ctl/maxsize", BOTH | O_NONBLOCK);
	s = stall(ino);
	CHECK_STR(at_last(q_read(&r)), "!EAGAIN");
	CHECK_STR(at_last(q_put(&w, "x\n")), "!EAGAIN");
	CHECK_STR(at_last(q_put(&plain, "3")), "!EAGAIN");
	CHECK_STR(at_last(q_open(lookup(DIR_ROOT, "a.queue@0"), RO)), "!EAGAIN");
	CHECK_STR(at_last(q_open(lookup(DIR_ROOT, "a.queue@0.2"), WO)), "!ETIMEDOUT");
	CHECK_STR(at_last(q_open(ino, RO | O_NONBLOCK)), "!EAGAIN");
	CHECK_STR(at_last(q_flock(&never, LOCK_EX | LOCK_NB)), "!EAGAIN");
	CHECK_STR(at_last(q_flock(&r, LOCK_EX)), "!EAGAIN");
	CHECK_STR(at_last(q_flock(&r, LOCK_UN)), "!EAGAIN");
	CHECK_STR(told(q_ioctl(&never, IPCFS_IOC_TIMEOUT, 1)), "ok");
	CHECK_STR(told(q_ioctl(&never, IPCFS_IOC_DEADLINE, -1)), "ok");
	CHECK_STR(told(q_ioctl(&never, IPCFS_IOC_NEXT, 0)), "ok");
	CHECK_STR(at_last(q_read(&never)), "!ETIMEDOUT");
	CHECK_STR(told(q_ioctl(&never, IPCFS_IOC_TIMEOUT, -1)), "ok");
	CHECK_INT(ready(&never), 0);
	CHECK(k_answer(q_create(DIR_ROOT, "a.queue", BOTH))->error);
	CHECK_STR(told(q_chmod(ino, 0600)), "ok");
	CHECK_STR(told(q_getattr(ino)), "ok");
	CHECK(!strncmp(show("a.queue.ctl/peek"), "stalled: pid ", 13));
	n = q_open(ino, RO); /* these wait, and can be interrupted */
	CHECK_STR(told(n), "!WAITS");
	interrupt(n);
	CHECK_STR(at_last(n), "!EINTR");
	n = q_flock(&never, LOCK_EX);
	interrupt(n);
	CHECK_STR(at_last(n), "!EINTR");
	n = q_release(&w); /* nobody waits for this one */
	CHECK_STR(told(n), "!WAITS");
	go_on(&s);
	CHECK_STR(at_last(n), "ok");
	CHECK_STR(show_word("a.queue.ctl/size"), "0");
	CHECK_STR(show_word("a.queue.ctl/maxsize"), "0");
	daemon_end();
}

/* Its time limit counts from when the request came, however often it is put aside. */
TEST(stalled_twice)
{
	struct file f;
	struct stall cond, lock;
	uint64_t cond_ino, lock_ino, start;
	rq n;

	daemon_start();
	lock_ino = make("a.lock");
	cond_ino = make("a.cond");
	CHECK_STR(say("a.cond.ctl/lock", "a.lock"), "6");
	f = open_name("a.lock", BOTH);
	f_close(&f);
	f = open_name("a.cond@3", BOTH);
	cond = stall(cond_ino);
	lock = stall(lock_ino);
	start = ipc_now();
	n = q_read(&f);
	while (ipc_now() - start < 2500 * MS)
		CHECK(!k_receive(20));
	go_on(&cond); /* now it waits for the other */
	CHECK_STR(at_last(n), "!ETIMEDOUT");
	CHECK(ipc_now() - start >= 3000 * MS);
	CHECK(ipc_now() - start < 5000 * MS);
	go_on(&lock);
	daemon_end();
}

/* A close is told at once or interrupted: it is done nevertheless. */
TEST(stalled_close)
{
	for (unsigned int how = 0; how < 2; how++) {
		struct file w;
		struct stall s;
		uint64_t ino;
		rq n;

		daemon_clean();
		daemon_untold_kernel();
		daemon_start();
		ino = make("a.queue");
		w = open_name("a.queue", WO);
		CHECK_STR(f_put(&w, "begun"), "5");
		s = keep(ino, how == 0);
		n = q_flush(&w);
		if (how) /* within a tenth of a second, or it is told before */
			interrupt(n);
		CHECK(!strcmp(at_last(n), "ok") || (how && !strcmp(told(n), "!EINTR")));
		go_on(&s);
		CHECK_STR(at_last(q_put(&w, "more\n")), "5");
		CHECK_STR(show("a.queue.ctl/peek"), "begun\nmore\n");
		daemon_end();
	}
}

/* Another handle's process has served a waiter (of a queue, or a lock), and has the engine's lock still. */
static void serve_and_keep(struct ipc_env *e, struct ipc_obj *o, const struct file *w)
{
	struct ipc_call c = {
		.handle = (ref_t)w->fh,
		.op = OP_WRITE,
		.tid = (uint32_t)getpid(),
		.data = "x\n",
		.len = 2,
		.limit = IPC_MESSAGE_MAX,
	};
	int fd = open(object_path(2), O_RDWR); /* the first that was made */

	CHECK(fd >= 0);
	CHECK_INT(ipc_map(e, fd, o), 0);
	close(fd);
	k_sync();
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(o->type == IPC_QUEUE ? ipc_put(o, &c) : ipc_flock(o, &c, LOCK_UN), 0);
	ipc_pump(o);
	CHECK_INT(o->h->granted.count, 1);
}

/*
 * A waiter's caller is killed: it is told so although nobody can see whether it was served, and if
 * it was, what it got goes back.
 */
TEST(stalled_waiter_is_killed)
{
	for (unsigned int served = 0; served < 2; served++) {
		struct ipc_env e = { .dirfd = -1 };
		struct file r, w;
		struct ipc_obj o;
		struct stall s;
		uint64_t ino;
		rq n;

		daemon_clean();
		daemon_start();
		ino = make("a.queue");
		r = open_name("a.queue", RO);
		w = open_name("a.queue", WO);
		CHECK_STR(f_put(&w, "room\n"), "5");
		CHECK_STR(show("a.queue.ctl/drain"), "room\n");
		n = q_read(&r); /* (no such process: as one that was killed) */
		CHECK_STR(told(n), "!WAITS");
		if (served)
			serve_and_keep(&e, &o, &w);
		else
			s = stall(ino);
		interrupt(n);
		CHECK_STR(at_last(n), "!EINTR");
		if (served) {
			obj_unlock(&o);
			obj_unmap(&o);
		} else {
			go_on(&s);
		}
		CHECK_STR(show_word("a.queue.ctl/waiters"), "");
		CHECK_STR(show("a.queue.ctl/peek"), served ? "x\n" : "");
		if (!served)
			CHECK_STR(at_last(q_put(&w, "x\n")), "2");
		n = q_read(&r);
		CHECK_STR(at_last(n), "x\n");
		daemon_end();
	}
}

/*
 * A waiter was served, the worker is replaced, and a signal ends the request that came again: what
 * it got is not lost.
 */
TEST(stalled_waiter_is_interrupted_after_a_restart)
{
	struct ipc_env e = { .dirfd = -1 };
	struct file r, w;
	struct ipc_obj o;
	rq n;

	daemon_start();
	make("a.queue");
	r = open_name("a.queue", RO);
	w = open_name("a.queue", WO);
	CHECK_STR(f_put(&w, "room\n"), "5");
	CHECK_STR(show("a.queue.ctl/drain"), "room\n");
	n = q_read(&r);
	CHECK_STR(told(n), "!WAITS");
	serve_and_keep(&e, &o, &w);
	daemon_kill_and_restart();
	interrupt(n);
	CHECK_STR(at_last(n), "!EINTR");
	obj_unlock(&o);
	obj_unmap(&o);
	CHECK_STR(show_word("a.queue.ctl/waiters"), "");
	CHECK_STR(show("a.queue.ctl/peek"), "x\n");
	CHECK_STR(at_last(q_read(&r)), "x\n");
	daemon_end();
}

/* The same with what a handle holds, which lives on. */
TEST(stalled_taker_is_interrupted_after_a_restart)
{
	static const char *const names[] = { "a.lock", "a.rlock", "a.sem", "a.cond", "a.value" };

	for (unsigned int i = 0; i < 8; i++) {
		const char *name = names[i % 5];
		struct ipc_env e = { .dirfd = -1 };
		struct file f, w;
		struct ipc_obj o;
		char path[40];
		rq n;

		daemon_clean();
		daemon_start();
		make(name);
		f = open_name(name, O_RDWR);
		w = open_name(name, O_RDWR);
		snprintf(path, sizeof(path), "%s.ctl/undo", name);
		if (i % 5 == 2) {
			CHECK_STR(say(path, "1"), "1");
			CHECK_STR(f_put(&w, "1\n"), "2");
		}
		CHECK_STR(f_lock(&w, LOCK_EX), "ok");
		n = i < 5 ? q_flock(&f, LOCK_EX) : q_read(&f);
		CHECK_STR(told(n), "!WAITS");
		serve_and_keep(&e, &o, &w);
		daemon_kill_and_restart();
		interrupt(n);
		CHECK_STR(at_last(n), "!EINTR");
		obj_unlock(&o);
		obj_unmap(&o);
		snprintf(path, sizeof(path), "%s.ctl/holders", name);
		CHECK_STR(show(path), "");
		CHECK_STR(f_lock(&w, LOCK_EX | LOCK_NB), "ok");
		daemon_end();
	}
}

/* Whoever polled meanwhile is told afterwards, whichever worker lives then. */
TEST(stalled_poll)
{
	for (long at = 1;; at++) {
		struct file r;
		struct stall s;
		uint64_t ino;
		bool died;
		rq n;

		daemon_clean();
		daemon_start();
		ino = make("a.queue");
		r = open_name("a.queue", RO);
		s = stall(ino);
		daemon_fault(at);
		n = q_poll(&r, 4711, POLLIN);
		while (!k.reqs[n].answered && !daemon_died())
			k_receive(20);
		if (k.worker)
			k_sync();
		died = daemon_died();
		if (died)
			daemon_restart();
		CHECK_STR(told(n), "ok");
		CHECK_INT(k.n_polls, 0);
		if (at % 2) /* the next worker knows of it */
			daemon_kill_and_restart();
		go_on(&s);
		while (!k.n_polls)
			if (!k_receive(k_patience()))
				test_fail(__FILE__, __LINE__, "the poller is never told");
		CHECK_INT(k.polls[0], 4711);
		daemon_end();
		if (!died)
			break;
	}
}

/* It has its notify, and is interrupted while it waits for its lock: it keeps its place all the same. */
TEST(stalled_condition_whose_waiter_is_interrupted)
{
	struct file f1, f2, lock;
	struct stall s;
	uint64_t ino;
	rq wait;

	daemon_start();
	make("a.lock");
	ino = make("a.cond");
	CHECK_STR(say("a.cond.ctl/lock", "a.lock"), "6");
	f1 = open_name("a.cond", BOTH);
	f2 = open_name("a.cond", BOTH);
	lock = open_name("a.lock", RO);
	CHECK_STR(f_lock(&f1, LOCK_EX), "ok");
	wait = q_read(&f1);
	CHECK_STR(f_lock(&lock, LOCK_EX), "ok");
	CHECK_STR(f_put(&f2, "1"), "1");
	CHECK_STR(told(wait), "!WAITS");
	s = stall(ino);
	interrupt(wait);
	CHECK_STR(at_last(wait), "!EINTR");
	go_on(&s);
	CHECK_STR(f_lock(&lock, LOCK_UN), "ok");
	CHECK_STR(at_last(q_read(&f1)), "1\n");
	daemon_end();
}

/* Who held it when the last worker died is watched as soon as it can be locked. */
TEST(stalled_holder_is_watched_after_a_restart)
{
	struct file a, b;
	struct stall s;
	uint64_t ino;
	pid_t pid;
	rq n;

	daemon_start();
	ino = make("a.lock");
	CHECK_STR(say("a.lock.ctl/scope", "process"), "7");
	a = open_name("a.lock", BOTH);
	b = open_name("a.lock", BOTH);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		for (;;)
			pause();
	k.pid = (uint32_t)pid;
	CHECK_STR(f_lock(&a, LOCK_EX), "ok");
	k.pid = (uint32_t)getpid();
	n = q_flock(&b, LOCK_EX);
	CHECK_STR(told(n), "!WAITS");
	s = stall(ino);
	daemon_kill_and_restart();
	go_on(&s);
	CHECK_STR(show_word("a.lock.ctl/value"), "0"); /* it was locked since */
	kill(pid, SIGKILL);
	CHECK_INT(waitpid(pid, NULL, 0), pid);
	CHECK_STR(at_last(n), "ok");
	daemon_end();
}

/* The handle in the lock that stands for it goes, also if the worker dies while that lock is stalled. */
TEST(stalled_companion_is_closed)
{
	struct file f, lock;
	struct stall s;
	uint64_t ino;
	rq n;

	daemon_start();
	ino = make("a.lock");
	make("a.value");
	CHECK_STR(say("a.value.ctl/lock", "a.lock"), "6");
	lock = open_name("a.lock", BOTH);
	f = open_name("a.value", BOTH);
	CHECK_STR(f_lock(&f, LOCK_EX), "ok");
	CHECK_STR(f_lock(&lock, LOCK_EX | LOCK_NB), "!EAGAIN");
	s = stall(ino);
	n = q_release(&f);
	k_sync();
	daemon_kill_and_restart();
	go_on(&s);
	CHECK_STR(at_last(q_flock(&lock, LOCK_EX)), "ok");
	k_answer(n);
	daemon_end();
}

/* The worker is told to stop. */
TEST(stalled_to_the_end)
{
	struct file r, w;
	struct stall s;
	rq n, m;

	daemon_start();
	make("a.queue");
	r = open_name("a.queue", RO);
	w = open_name("a.queue", WO);
	s = stall(r.ino);
	n = q_read(&r);
	m = q_put(&w, "x\n");
	CHECK_STR(told(n), "!WAITS");
	CHECK_STR(told(m), "!WAITS");
	daemon_end_but("a.");
	CHECK_INT(k_answer(n)->error, -ECANCELED);
	CHECK_INT(k_answer(m)->error, -ECANCELED);
	go_on(&s);
}
