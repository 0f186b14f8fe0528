/* SPDX-License-Identifier: MIT */
/*
 * What a worker finds that follows a dead one: requests that come again, and some that do not,
 * because their caller was killed before the kernel could send them.
 */
#include <dirent.h>
#include <sys/mman.h>
#include <unistd.h>

#include "calls.h"
#include "format/format.h"
#include "file/statedir.h"
#include "wait/takeup.h"

/* Where others have the descriptor too, no RELEASE tells of the caller's death. */
static void restart_without(rq gone)
{
	CHECK_STR(told(gone), "!WAITS");
	daemon_kill();
	k_gone(gone);
	daemon_restart();
}

TEST(restart_without_a_writer)
{
	struct file w1, w2, r;
	rq put, next;

	daemon_start();
	make("a.queue");
	CHECK_STR(say("a.queue.ctl/maxsize", "1"), "1");
	w1 = open_name("a.queue", WO);
	w2 = open_name("a.queue", WO);
	r = open_name("a.queue", BOTH);
	CHECK_STR(f_put(&w1, "one\n"), "4");
	put = q_put(&w1, "two\n");
	next = q_put(&w2, "three\n");
	restart_without(put);
	CHECK_STR(told(next), "!WAITS");
	CHECK_STR(f_get(&r), "one\n");
	CHECK_STR(told(next), "6");
	CHECK_STR(f_get(&r), "three\n");
	daemon_end();
}

/* The lock of the only object. */
static uint32_t *object_lock_word(void)
{
	DIR *d = opendir(state_path(STATE_OBJECTS));
	struct ipc_header *h = NULL;
	struct dirent *e;

	CHECK(d);
	while ((e = readdir(d))) {
		int fd = *e->d_name == '.' ? -1 : openat(dirfd(d), e->d_name, O_RDWR | O_CLOEXEC);

		if (fd < 0)
			continue;
		h = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
	}
	closedir(d);
	CHECK(h && h != MAP_FAILED);
	return &h->m.lock;
}

TEST(restart_without_a_writer_of_a_locked_queue)
{
	struct file w1, w2, r;
	const struct request *got;
	uint32_t *lock;
	rq put, next;

	daemon_start();
	make("a.queue");
	CHECK_STR(say("a.queue.ctl/maxsize", "1"), "1");
	w1 = open_name("a.queue", WO);
	w2 = open_name("a.queue", WO);
	r = open_name("a.queue", BOTH);
	CHECK_STR(f_put(&w1, "one\n"), "4");
	put = q_put(&w1, "two\n");
	next = q_put(&w2, "three\n");
	CHECK_STR(told(next), "!WAITS");
	daemon_kill();
	k_gone(put);
	lock = object_lock_word();
	__atomic_store_n(lock, (uint32_t)getpid(), __ATOMIC_SEQ_CST);
	daemon_restart();
	__atomic_store_n(lock, 0, __ATOMIC_SEQ_CST);
	got = k_answer(q_read(&r));
	CHECK_STR(got->data, "one\n");
	CHECK_INT(k_answer(next)->error, 0);
	CHECK_STR(f_get(&r), "three\n");
	munmap((void *)((uintptr_t)lock & ~4095ul), 4096);
	daemon_end();
}

TEST(restart_without_a_reader)
{
	struct file w, r1, r2;
	rq get, next;

	daemon_start();
	make("a.queue");
	w = open_name("a.queue", WO);
	r1 = open_name("a.queue", BOTH);
	r2 = open_name("a.queue", BOTH);
	get = q_read(&r1);
	next = q_read(&r2);
	restart_without(get);
	CHECK_STR(f_put(&w, "one\n"), "4");
	CHECK_STR(told(next), "one\n");
	CHECK_STR(show_word("a.queue.ctl/waiters"), "");
	daemon_end();
}

TEST(restart_without_one_that_wanted_a_lock)
{
	struct file f1, f2, f3;
	rq lock, next;

	daemon_start();
	make("a.lock");
	f1 = open_name("a.lock", RO);
	f2 = open_name("a.lock", RO);
	f3 = open_name("a.lock", RO);
	CHECK_STR(f_lock(&f1, LOCK_EX), "ok");
	lock = q_flock(&f2, LOCK_EX);
	next = q_flock(&f3, LOCK_EX);
	restart_without(lock);
	CHECK_STR(f_lock(&f1, LOCK_UN), "ok");
	CHECK_STR(told(next), "ok");
	daemon_end();
}

/* false: the worker outlived it. */
static bool open_and_die(long n)
{
	struct file w, r;
	uint64_t ino;
	rq o;

	snprintf(test_where, sizeof(test_where), "death at point %ld: ", n);
	daemon_clean();
	daemon_start();
	make("a.pipe");
	w = open_name("a.pipe", WO);
	r = open_name("a.pipe", RO);
	CHECK_STR(f_put(&w, "x"), "1");
	CHECK_STR(f_get(&r), "x");
	f_close(&w);
	ino = lookup(DIR_ROOT, "a.pipe"); /* its own, for this thread to open */
	daemon_fault(n);
	o = q_open(ino, WO);
	k_sync();
	if (!daemon_died())
		return false;
	if (!k.reqs[o].answered && !k.reqs[o].unread)
		k_gone(o);
	daemon_restart();
	if (k.reqs[o].data) {
		w = opened(o, ino, WO);
		f_close(&w);
	}
	CHECK_STR(told(q_read_at(&r, 4096, 1)), ""); /* the end: no writer is left */
	daemon_end();
	return true;
}

TEST(restart_without_an_opener)
{
	long n = 1;

	while (open_and_die(n))
		n++;
	CHECK(n > 20);
	*test_where = 0;
}

/* The next one at a barrier is as the first one was: interrupted, and outside. */
TEST(restart_without_one_at_a_barrier)
{
	struct file f1, f2;
	rq wait;

	daemon_start();
	make("a.barrier");
	CHECK_STR(say("a.barrier", "2"), "1");
	f1 = open_name("a.barrier", BOTH);
	f2 = open_name("a.barrier", BOTH);
	wait = q_read(&f1);
	restart_without(wait);
	wait = q_read(&f2);
	CHECK_STR(told(wait), "!WAITS");
	CHECK_STR(f_get(&f1), "1\n");
	CHECK_STR(told(wait), "0\n");
	daemon_end();
}

/* It has its notify, and waits for its lock: its request is not where its first waiter is. */
TEST(restart_condition_between_notify_and_lock)
{
	struct file f1, f2, lock;
	rq wait;

	daemon_start();
	make("a.lock");
	make("a.cond");
	CHECK_STR(say("a.cond.ctl/lock", "a.lock"), "6");
	f1 = open_name("a.cond", BOTH);
	f2 = open_name("a.cond", BOTH);
	lock = open_name("a.lock", RO);
	CHECK_STR(f_lock(&f1, LOCK_EX), "ok");
	wait = q_read(&f1);
	CHECK_STR(f_lock(&lock, LOCK_EX), "ok");
	CHECK_STR(f_put(&f2, "1"), "1");
	for (int i = 0; i < 2; i++) {
		CHECK_STR(told(wait), "!WAITS");
		daemon_kill_and_restart();
	}
	/* Would take the place of a waiter that is gone. */
	CHECK_STR(told(q_read(&f2)), "!WAITS");
	CHECK_STR(f_lock(&lock, LOCK_UN), "ok");
	CHECK_STR(told(wait), "1\n");
	CHECK_STR(f_lock(&lock, LOCK_EX | LOCK_NB), "!EAGAIN");
	CHECK_STR(f_lock(&f1, LOCK_UN), "ok");
	CHECK_STR(f_lock(&lock, LOCK_EX | LOCK_NB), "ok");
	daemon_end();
}

/*
 * More are open than the next worker looks at before the first request: of the others, what no request
 * asks for is done as soon as one is needed.
 */
TEST(restart_with_many_in_use)
{
	enum { MANY = 12 };
	struct file w[MANY], r[MANY];
	rq gone[MANY], left[MANY];
	unsigned int most = takeup_at_once;
	char name[40];

	takeup_at_once = 2;
	daemon_start();
	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%u.queue", i);
		make(name);
		w[i] = open_name(name, WO);
		r[i] = open_name(name, RO);
		gone[i] = q_read(&r[i]);
		left[i] = q_read(&r[i]);
		CHECK_STR(told(left[i]), "!WAITS");
	}
	daemon_kill();
	for (unsigned int i = 0; i < MANY; i++)
		k_gone(gone[i]);
	daemon_restart();
	for (unsigned int i = MANY; i--;) {
		snprintf(name, sizeof(name), "%u.queue.ctl/waiters", i);
		CHECK_STR(f_put(&w[i], "x\n"), "2");
		CHECK_STR(told(left[i]), "x\n"); /* nobody is before it in line any more */
		CHECK_STR(show_word(name), "");
	}
	daemon_kill_and_restart();
	for (unsigned int i = 0; i < MANY; i++) {
		f_release(&w[i]);
		f_release(&r[i]);
	}
	daemon_end();
	takeup_at_once = most;
}
