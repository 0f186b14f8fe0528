/* SPDX-License-Identifier: MIT */
/*
 * Many threads on one object, each with a handle of its own, as direct clients: they sleep on their
 * waiters' futexes. What goes in comes out exactly once; sums are exact. For the thread sanitizer
 * above all, and so that it knows the mutex and the blocks again, all use one mapping.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file/heap.h"
#include "object/answer.h"
#include "object/waiter.h"
#include "object/count.h"
#include "object/fast.h"
#include "object/wake.h"
#include "types/queue.h"
#include "test.h"

#define THREADS 4
#define ROUNDS  1500

struct worker {
	pthread_t thread;
	struct ipc_obj *o;
	ref_t h;
	int number;
	uint64_t sum, count;
	const char *wrong;      /* CHECK may not be used in a thread */
	uint64_t last[THREADS]; /* the last number of each producer */
};

static uint64_t inside, counter; /* guarded by the object under test */

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
		if (sscanf(text, "%u %llu\n", &who, &v) != 2 || who >= THREADS ||
		    v <= k->last[who]) {
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

/* ---- the fast ways ---- */

#define MANY 7 /* messages in one call */

static uint64_t by_word; /* atomic: how often the lock was taken by the fast word */

/* Take and give back the lock: by the word if `fast` and it can be, else under the object's lock. */
static bool enter(struct worker *k, uint64_t me, bool fast)
{
	char text[8];

	if (fast && fast_take(&k->o->h->b.sem, me)) {
		__atomic_store_n(&k->o->h->b.sem.fast_tid, 1000u + (uint32_t)k->number,
				 __ATOMIC_RELAXED);
		__atomic_add_fetch(&by_word, 1, __ATOMIC_RELAXED);
		return true;
	}
	if (k->o->type != IPC_LOCK && k->o->type != IPC_RLOCK)
		acquire(k, LOCK_EX);
	else if (take(k, text, sizeof(text)) != 2)
		k->wrong = "read";
	return false;
}

static void leave_lock(struct worker *k, uint64_t me)
{
	if (fast_release(&k->o->h->b.sem, me))
		return;
	if (k->o->type != IPC_LOCK && k->o->type != IPC_RLOCK)
		acquire(k, LOCK_UN);
	else
		command(k, CMD_ADD, 1);
}

/* Thread 0 never uses the word and ends first, thread 1 always tries to, the others now and then. */
static void *by_the_word(void *arg)
{
	struct worker *k = arg;
	uint64_t me = fast_holder(k->h, handle_at(k->o, k->h)->gen);
	unsigned int seed = (unsigned int)k->number;

	for (int i = 0; i < (k->number ? ROUNDS : ROUNDS / 8); i++) {
		bool fast = k->number == 1 || (k->number > 1 && rand_r(&seed) % 4);

		k->count += enter(k, me, fast);
		if (inside++)
			k->wrong = "not alone";
		counter++;
		inside--;
		k->sum++;
		leave_lock(k, me);
		if (rand_r(&seed) % 8 == 0) /* so that now and then nobody waits */
			usleep(20);
		/* Somebody has the object's lock for another reason. */
		if (i % 64 == 0) {
			obj_lock(k->o, -1);
			unlock(k->o);
		}
	}
	return NULL;
}

static void contend_fast(uint32_t type)
{
	struct ipc_obj *o = obj_new(type);
	struct worker k[THREADS];
	uint64_t sum = 0, rounds = 0;

	while (o->h->pages < 16)
		CHECK_INT(heap_grow(o, true), 0);
	o->h->b.sem.direct = 1;
	inside = counter = by_word = 0;
	obj_unlock(o);
	for (int i = 0; i < THREADS; i++)
		start(&k[i], i, o, by_the_word);
	for (int i = 0; i < THREADS; i++) {
		stop(&k[i]);
		sum += k[i].count;
		rounds += k[i].sum;
	}
	CHECK_INT(counter, rounds);
	CHECK_INT(inside, 0);
	CHECK_INT(by_word, sum);
	CHECK(by_word > 100);
	CHECK_INT(o->h->b.sem.fast, FAST_FREE);
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(o->h->holds.count, 0);
	CHECK_INT(o->h->b.sem.value, 1);
}

TEST(threads_fast_lock)
{
	contend_fast(IPC_LOCK);
}

TEST(threads_fast_rlock)
{
	contend_fast(IPC_RLOCK);
}

TEST(threads_fast_cond)
{
	contend_fast(IPC_COND);
}

TEST(threads_fast_array)
{
	contend_fast(IPC_ARRAY);
}

/* All by the word: nobody ever waits, so nobody ever takes the object's lock. */
static void *word_only(void *arg)
{
	struct worker *k = arg;
	uint64_t me = fast_holder(k->h, handle_at(k->o, k->h)->gen);

	for (int i = 0; i < ROUNDS; i++) {
		while (!fast_take(&k->o->h->b.sem, me))
			sched_yield();
		if (inside++)
			k->wrong = "not alone";
		counter++;
		inside--;
		if (!fast_release(&k->o->h->b.sem, me))
			k->wrong = "release";
	}
	return NULL;
}

TEST(threads_fast_word_only)
{
	struct ipc_obj *o = obj_new(IPC_LOCK);
	struct worker k[THREADS];

	while (o->h->pages < 16)
		CHECK_INT(heap_grow(o, true), 0);
	o->h->b.sem.direct = 1;
	inside = counter = 0;
	for (int i = 0; i < THREADS; i++) {
		k[i] = (struct worker){ .number = i, .o = o, .h = h_open(o) };
	}
	obj_unlock(o);
	for (int i = 0; i < THREADS; i++)
		CHECK_INT(pthread_create(&k[i].thread, NULL, word_only, &k[i]), 0);
	for (int i = 0; i < THREADS; i++)
		stop(&k[i]);
	CHECK_INT(counter, THREADS * ROUNDS);
	CHECK_INT(o->h->b.sem.fast, FAST_FREE);
	CHECK_INT(obj_lock(o, -1), 0);
}

/* Two permits for four threads, which each takes and gives by the word or under the lock. */
static void *permits_by_word(void *arg)
{
	struct worker *k = arg;
	uint64_t *p = &k->o->h->b.sem.fast;
	unsigned int seed = (unsigned int)k->number;
	char text[8];

	for (int i = 0; i < ROUNDS; i++) {
		if (rand_r(&seed) % 4 && count_take(p))
			__atomic_add_fetch(&by_word, 1, __ATOMIC_RELAXED);
		else if (take(k, text, sizeof(text)) != 2)
			k->wrong = "permit";
		if (__atomic_add_fetch(&inside, 1, __ATOMIC_RELAXED) > 2)
			k->wrong = "too many inside";
		__atomic_sub_fetch(&inside, 1, __ATOMIC_RELAXED);
		if (rand_r(&seed) % 4 == 0 || !count_give(p, 1))
			command(k, CMD_ADD, 1);
		if (rand_r(&seed) % 8 == 0) /* so that now and then nobody waits */
			usleep(20);
	}
	return NULL;
}

TEST(threads_fast_sem)
{
	by_word = 0;
	contend(IPC_SEM, 2, permits_by_word, 0);
	CHECK(by_word > 100);
}

static bool is_over; /* atomic */

/* Waits, and is not told before it is set; what was written before that is seen. */
static void *waits_by_word(void *arg)
{
	struct worker *k = arg;
	char text[8];

	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		if (count_some(&k->o->h->b.event.fast))
			__atomic_add_fetch(&by_word, 1, __ATOMIC_RELAXED);
		else if (take(k, text, sizeof(text)) != 2)
			k->wrong = "event";
		if (!counter)
			k->wrong = "set too early";
	}
	return NULL;
}

TEST(threads_fast_event)
{
	struct ipc_obj *o = obj_new(IPC_EVENT);
	struct worker k[THREADS], setter = { .o = o };
	uint64_t *p = &o->h->b.event.fast;
	unsigned int seed = 1;

	setter.h = h_open(o);
	by_word = counter = 0;
	is_over = false;
	obj_unlock(o);
	for (int i = 0; i < THREADS; i++)
		start(&k[i], i, o, waits_by_word);
	counter = 1;
	for (int i = 0; i < ROUNDS; i++) {
		if (rand_r(&seed) % 2 || !count_set(p, 1))
			command(&setter, CMD_SET, 0);
		if (rand_r(&seed) % 2 || !count_set(p, 0))
			command(&setter, CMD_CLEAR, 0);
	}
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	command(&setter, CMD_SET, 0);
	for (int i = 0; i < THREADS; i++)
		stop(&k[i]);
	CHECK(!setter.wrong);
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(o->h->b.event.set, 1);
}

/* As client_direct.c does: at once if that is possible, else through the wait queue. */
static void *fast_producer(void *arg)
{
	struct worker *k = arg;
	unsigned int seed = (unsigned int)k->number;
	char text[MANY][32];
	struct iovec v[MANY];
	uint64_t i = 1;

	while (i <= ROUNDS) {
		unsigned int n = 1 + (unsigned int)rand_r(&seed) % MANY, done = 0, some;

		for (unsigned int j = 0; j < n; j++)
			v[j] = (struct iovec){
				text[j], (size_t)snprintf(text[j], sizeof(text[j]), "%d %llu\n",
							  k->number, (unsigned long long)(i + j))
			};
		if (n > ROUNDS + 1 - i)
			n = (unsigned int)(ROUNDS + 1 - i);
		if (rand_r(&seed) % 4) {
			obj_lock(k->o, -1);
			while (done < n &&
			       (some = queue_put_now(k->o, IPC_MESSAGE_MAX, v + done, n - done)))
				done += some;
			k->o->work = true;
			unlock(k->o);
			__atomic_add_fetch(&by_word, done, __ATOMIC_RELAXED);
		}
		if (!done) {
			put_number(k, i);
			done = 1;
		}
		for (; done; done--, i++) {
			k->sum += i;
			k->count++;
		}
	}
	return NULL;
}

static bool consume(struct worker *k, char *text, size_t n)
{
	unsigned long long v;
	unsigned int who;

	text[n] = 0;
	if (sscanf(text, "%u %llu\n", &who, &v) != 2 || who >= THREADS || v <= k->last[who]) {
		k->wrong = "order";
		return false;
	}
	k->last[who] = v;
	k->sum += v;
	k->count++;
	return true;
}

static void *fast_consumer(void *arg)
{
	struct worker *k = arg;
	unsigned int seed = (unsigned int)k->number, n;
	char text[MANY][64];
	struct iovec v[MANY];

	for (;;) {
		for (int j = 0; j < MANY; j++)
			v[j] = (struct iovec){ text[j], sizeof(text[j]) - 1 };
		n = 0;
		if (rand_r(&seed) % 4) {
			obj_lock(k->o, -1);
			n = queue_get_now(k->o, v, 1 + (unsigned int)rand_r(&seed) % MANY);
			k->o->work = true;
			unlock(k->o);
		}
		if (!n) {
			v[0].iov_len = take(k, text[0], sizeof(text[0]) - 1);
			if (!v[0].iov_len)
				return NULL;
			n = 1;
		}
		for (unsigned int j = 0; j < n; j++)
			if (!consume(k, text[j], v[j].iov_len))
				return NULL;
	}
}

static void transfer_fast(uint64_t maxsize)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	struct worker in[THREADS], out[THREADS];
	uint64_t put_sum = 0, got_sum = 0, count = 0;

	o->h->b.queue.framing = FRAMING_RECORD;
	o->h->b.queue.maxsize = maxsize;
	by_word = 0;
	obj_unlock(o);
	for (int i = 0; i < THREADS; i++)
		start(&out[i], i, o, fast_consumer);
	for (int i = 0; i < THREADS; i++)
		start(&in[i], i, o, fast_producer);
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
	CHECK(by_word > 0);
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(o->h->b.queue.unfinished, THREADS * ROUNDS);
	CHECK_INT(o->h->b.queue.mq[0].count, 0);
}

TEST(threads_now)
{
	transfer_fast(0);
}

TEST(threads_now_of_five)
{
	transfer_fast(5);
}

/* ---- attaching while the file grows ---- */

static bool grown; /* atomic */

static void *attach(void *arg)
{
	struct worker *k = arg;
	char name[24];
	int fd;

	snprintf(name, sizeof(name), "%llu", (unsigned long long)k->o->id);
	fd = openat(env.env.dirfd, name, O_RDWR | O_CLOEXEC);
	while (fd >= 0 && !__atomic_load_n(&grown, __ATOMIC_ACQUIRE)) {
		struct ipc_obj o;
		int r = ipc_map(&env.env, fd, &o);

		if (r < 0)
			k->wrong = "attach";
		else
			obj_unmap(&o);
		k->count++;
	}
	close(fd);
	return NULL;
}

TEST(threads_attach_to_what_grows)
{
	for (int i = 0; i < 12; i++) {
		struct ipc_obj *o = obj_new_reserve(IPC_QUEUE, 4 << 20);
		struct worker k = { .o = o };

		__atomic_store_n(&grown, false, __ATOMIC_RELAXED);
		CHECK_INT(pthread_create(&k.thread, NULL, attach, &k), 0);
		while (heap_grow(o, true) == 0)
			sched_yield();
		__atomic_store_n(&grown, true, __ATOMIC_RELEASE);
		stop(&k);
	}
}
