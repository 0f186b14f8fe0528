/* SPDX-License-Identifier: MIT */
/*
 * Many threads on one object, each with a handle of its own, as direct clients: they sleep on their
 * waiters' futexes. What goes in comes out exactly once; sums are exact. For the thread sanitizer
 * above all, and so that it knows the mutex and the blocks again, all use one mapping.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test.h"

#define THREADS 4
#define ROUNDS 1500

struct worker {
	pthread_t thread;
	struct ipc_obj *o;
	ref_t h;
	int number;
	uint64_t sum, count;
	const char *wrong;		/* CHECK may not be used in a thread */
	uint64_t last[THREADS];		/* the last number of each producer */
};

static uint64_t inside, counter;	/* guarded by the object under test */

static void unlock(struct ipc_obj *o)
{
	struct ipc_wakes wakes;
	bool more;

	ipc_pump(o);
	do {
		more = ipc_wake(o, &wakes);
		obj_unlock(o);
		ipc_wake_send(&wakes);
	} while (more && obj_lock(o, -1) == 0);
}

/* Sleep until granted or its turn has come; then the lock is held. */
static void sleep_on(struct ipc_obj *o, ref_t w)
{
	uint32_t *futex = &waiter_at(o, w)->futex;

	do {
		uint32_t word = 0;

		unlock(o);
		/* 0 is awake, 2 asleep, 1 go: who wakes makes the futex call only for 2. */
		__atomic_compare_exchange_n(futex, &word, 2, 0, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE);
		while (__atomic_load_n(futex, __ATOMIC_ACQUIRE) == 2)
			syscall(SYS_futex, futex, FUTEX_WAIT, 2, NULL, NULL, 0);
		obj_lock(o, -1);
	} while (waiter_at(o, w)->state == WAITER_WAITING);
}

static struct ipc_call call_of(struct worker *k, uint32_t op)
{
	struct ipc_call c = call_new(k->h, op);

	c.tid = c.pid = 1000u + (uint32_t)k->number;
	return c;
}

static void put_number(struct worker *k, uint64_t n)
{
	struct ipc_call c = call_of(k, OP_WRITE);
	char text[32];
	int r;

	c.data = text;
	c.len = (size_t)snprintf(text, sizeof(text), "%d %llu\n", k->number, (unsigned long long)n);
	obj_lock(k->o, -1);
	while ((r = ipc_put(k->o, &c)) == IPC_WAIT) {
		sleep_on(k->o, c.waiter);
		c.done = waiter_at(k->o, c.waiter)->arg;
	}
	if (r < 0 || (size_t)c.result != c.len)
		k->wrong = "put";
	unlock(k->o);
}

/* Read one answer as text: what a result of 0 bytes means is the caller's affair. */
static size_t take(struct worker *k, char *text, size_t size)
{
	struct ipc_call c = call_of(k, OP_READ);
	size_t n;
	int r;

	obj_lock(k->o, -1);
	r = ipc_read(k->o, &c);
	if (r == IPC_WAIT) {
		sleep_on(k->o, c.waiter);
		n = answer_copy(k->o, &waiter_at(k->o, c.waiter)->got, 0, text, size);
		ipc_finish(k->o, c.waiter, &c);
	} else {
		if (r < 0)
			k->wrong = "read";
		n = answer_copy(k->o, &c.got, 0, text, size);
	}
	unlock(k->o);
	return n;
}

static void acquire(struct worker *k, int how)
{
	struct ipc_call c = call_of(k, OP_FLOCK);
	int r;

	obj_lock(k->o, -1);
	r = ipc_flock(k->o, &c, how);
	if (r == IPC_WAIT) {
		sleep_on(k->o, c.waiter);
		ipc_finish(k->o, c.waiter, &c);
	} else if (r < 0) {
		k->wrong = "flock";
	}
	unlock(k->o);
}

static void command(struct worker *k, enum ipc_verb verb, int64_t n)
{
	struct ipc_call c = call_of(k, OP_WRITE);
	struct ipc_cmd cmd = { .verb = verb, .n = n };

	obj_lock(k->o, -1);
	if (ipc_give(k->o, &c, &cmd) < 0)
		k->wrong = "give";
	unlock(k->o);
}

static void *producer(void *arg)
{
	struct worker *k = arg;

	for (uint64_t i = 1; i <= ROUNDS; i++) {
		put_number(k, i);
		k->sum += i;
		k->count++;
	}
	return NULL;
}

static void *consumer(void *arg)
{
	struct worker *k = arg;
	char text[64];
	size_t n;

	while ((n = take(k, text, sizeof(text) - 1))) {
		unsigned long long v;
		unsigned int who;

		text[n] = 0;
		if (sscanf(text, "%u %llu\n", &who, &v) != 2 || who >= THREADS || v <= k->last[who]) {
			k->wrong = "order";
			break;
		}
		k->last[who] = v;
		k->sum += v;
		k->count++;
	}
	return NULL;
}

static void *exclusive(void *arg)
{
	struct worker *k = arg;

	for (int i = 0; i < ROUNDS; i++) {
		acquire(k, LOCK_EX);
		if (inside++)
			k->wrong = "not alone";
		counter++;
		inside--;
		acquire(k, LOCK_UN);
	}
	return NULL;
}

static void *reader_writer(void *arg)
{
	struct worker *k = arg;

	for (int i = 0; i < ROUNDS; i++) {
		bool shared = (i + k->number) % 3;

		acquire(k, shared ? LOCK_SH : LOCK_EX);
		if (shared)
			k->sum += __atomic_load_n(&inside, __ATOMIC_RELAXED);
		else
			counter++;
		acquire(k, LOCK_UN);
	}
	return NULL;
}

static void *by_reading(void *arg)
{
	struct worker *k = arg;
	char text[8];

	for (int i = 0; i < ROUNDS; i++) {
		if (take(k, text, sizeof(text)) != 2)
			k->wrong = "permit";
		if (__atomic_add_fetch(&inside, 1, __ATOMIC_RELAXED) > 2)
			k->wrong = "too many inside";
		__atomic_sub_fetch(&inside, 1, __ATOMIC_RELAXED);
		command(k, CMD_ADD, 1);
	}
	return NULL;
}

static void start(struct worker *k, int number, struct ipc_obj *o, void *(*run)(void *))
{
	*k = (struct worker){ .number = number, .o = o };
	CHECK_INT(obj_lock(o, -1), 0);
	k->h = h_open(o);
	obj_unlock(o);
	CHECK_INT(pthread_create(&k->thread, NULL, run, k), 0);
}

static void stop(struct worker *k)
{
	pthread_join(k->thread, NULL);
	if (k->wrong)
		test_fail(__FILE__, __LINE__, "thread %d: %s", k->number, k->wrong);
}

static void transfer(uint32_t framing, uint64_t maxsize)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	struct worker in[THREADS], out[THREADS];
	uint64_t put_sum = 0, got_sum = 0, count = 0;

	o->h->b.queue.framing = framing;
	o->h->b.queue.maxsize = maxsize;
	obj_unlock(o);
	for (int i = 0; i < THREADS; i++)
		start(&out[i], i, o, consumer);
	for (int i = 0; i < THREADS; i++)
		start(&in[i], i, o, producer);
	for (int i = 0; i < THREADS; i++) {
		stop(&in[i]);
		put_sum += in[i].sum;
	}
	CHECK_INT(obj_lock(o, -1), 0);
	ipc_setting32(o, &o->h->b.queue.closed, 1);
	unlock(o);
	for (int i = 0; i < THREADS; i++) {
		stop(&out[i]);
		got_sum += out[i].sum;
		count += out[i].count;
	}
	CHECK_INT(count, THREADS * ROUNDS);
	CHECK_INT(got_sum, put_sum);
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(o->h->b.queue.unfinished, THREADS * ROUNDS);
}

TEST(threads_queue)
{
	transfer(FRAMING_LINE, 0);
}

TEST(threads_queue_of_three)
{
	transfer(FRAMING_LINE, 3);
}

TEST(threads_records)
{
	transfer(FRAMING_RECORD, 1);
}

static void contend(uint32_t type, int64_t permits, void *(*run)(void *), uint64_t want)
{
	struct ipc_obj *o = obj_new(type);
	struct worker k[THREADS];
	ref_t h = h_open(o);

	inside = counter = 0;
	if (permits)
		give(o, h, CMD_ADD, permits);
	obj_unlock(o);
	for (int i = 0; i < THREADS; i++)
		start(&k[i], i, o, run);
	for (int i = 0; i < THREADS; i++)
		stop(&k[i]);
	CHECK_INT(counter, want);
	CHECK_INT(inside, 0);
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(o->h->holds.count, 0);
	CHECK_INT(ipc_size(o), permits ? permits : 1);
}

TEST(threads_lock)
{
	contend(IPC_LOCK, 0, exclusive, THREADS * ROUNDS);
}

TEST(threads_lock_shared)
{
	contend(IPC_LOCK, 0, reader_writer, THREADS * ROUNDS / 3);
}

TEST(threads_lock_by_reading)
{
	contend(IPC_LOCK, 0, by_reading, 0);
}

TEST(threads_sem)
{
	contend(IPC_SEM, 2, by_reading, 0);
}

static void *waits(void *arg)
{
	struct worker *k = arg;
	char text[8];

	if (take(k, text, sizeof(text)) != 2)
		k->wrong = "event";
	k->count++;
	return NULL;
}

TEST(threads_event)
{
	struct ipc_obj *o = obj_new(IPC_EVENT);
	struct worker k[THREADS * 2];
	ref_t h = h_open(o);

	obj_unlock(o);
	for (int i = 0; i < THREADS * 2; i++)
		start(&k[i], i, o, waits);
	CHECK_INT(obj_lock(o, -1), 0);
	give(o, h, CMD_SET, 0);
	unlock(o);
	for (int i = 0; i < THREADS * 2; i++)
		stop(&k[i]);
	CHECK_INT(obj_lock(o, -1), 0);
}
