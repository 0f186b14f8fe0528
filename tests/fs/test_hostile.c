/* SPDX-License-Identifier: MIT */
/*
 * What somebody could write into an object's file so that others feel it. For each: the daemon
 * lives, who waits on the object is told something, and the neighbours go on.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "neighbours.h"

#include "object/fast.h"
#include "state/fs.h"
#include "client/lib.h"
#include "object/type.h"

static struct ipc_header *h;
static size_t h_len;

static void begin(const char *victim)
{
	daemon_start();
	neighbours_make();
	k.pid = 5000000;
	k.uid = STRANGER;
	make(victim);
	h = NULL;
}

static void end(const char *victim)
{
	CHECK(!daemon_died());
	neighbours_check();
	if (h)
		spoil_end(h, h_len);
	CHECK_STR(told(q_unlink(DIR_ROOT, victim)), "ok");
	daemon_end();
}

static void *block(uint64_t ref)
{
	CHECK(ref * IPC_UNIT < h_len);
	return (char *)h + ref * IPC_UNIT;
}

static struct ipc_handle *handle_of(const struct file *f)
{
	return block((ref_t)f->fh);
}

/* ---- references ---- */

/* The daemon took the file's word for how long it is, and looked for a handle in a neighbour. */
TEST(hostile_fast_word_behind_the_end)
{
	static const uint64_t behind[] = { 0,         8192,       1 << 20,    256 << 20,
					   300 << 20, 4ull << 30, 30ull << 30 };
	struct file f;

	for (unsigned int i = 0; i < sizeof(behind) / sizeof(behind[0]); i++) {
		begin("a.lock");
		f = open_name("a.lock", BOTH);
		h = spoil("a.lock", &h_len);
		h->pages = UINT32_MAX;
		h->b.sem.fast =
			fast_holder((ref_t)((h->reserve + IPC_PAGE + behind[i]) / IPC_UNIT), 1);
		f_get(&f);
		neighbours_check();
		f_release(&f);
		end("a.lock");
		daemon_clean();
	}
}

/* The file would have grown to where its number of pages says that it ends: by terabytes. */
TEST(hostile_growth)
{
	static const uint32_t at[] = { UINT32_MAX, UINT32_MAX - 15, 1 << 20 };
	struct stat st;
	struct file f;

	for (unsigned int i = 0; i < 6; i++) {
		begin("a.queue");
		f = open_name("a.queue", BOTH);
		h = spoil("a.queue", &h_len);
		if (i % 2)
			h->pages = at[i / 2];
		else
			h->holes = at[i / 2];
		for (unsigned int n = 0; n < 100; n++)
			f_put(&f,
			      "some line of a certain length, so that memory is wanted some time\n");
		CHECK(stat(engine_path("a.queue"), &st) == 0 && st.st_size < 1 << 20);
		f_release(&f);
		end("a.queue");
		daemon_clean();
	}
}

/* Its length is what it was when it was mapped, or more: what is not there is its own page. */
TEST(hostile_truncation)
{
	struct file f, r;
	rq n;

	begin("a.queue");
	f = open_name("a.queue", BOTH);
	r = open_name("a.queue", RO);
	n = q_read(&r);
	CHECK_STR(told(n), "!WAITS");
	CHECK_INT(truncate(engine_path("a.queue"), 0), 0);
	CHECK_STR(f_put(&f, "x\n"), "!EIO");
	neighbours_check();
	interrupt(n);
	CHECK_STR(told(n), "!EIO");
	end("a.queue");
}

/* ---- walks ---- */

/* A ring leads back everywhere. */
TEST(hostile_ring)
{
	struct file f[3];
	unsigned long before;
	ref_t a, b;

	begin("a.event");
	for (unsigned int i = 0; i < 3; i++)
		f[i] = open_name("a.event", BOTH);
	for (unsigned int i = 0; i < 2; i++)
		CHECK_STR(told(q_read(&f[i])), "!WAITS");
	h = spoil("a.event", &h_len);
	a = h->waitqs[0].head;
	b = h->waitqs[0].tail;
	((struct ipc_link *)block(a))->prev = b;
	((struct ipc_link *)block(b))->next = a;
	h->waitqs[0].count = UINT32_MAX;
	before = worker_cpu_ms();
	for (unsigned int i = 0; i < 8; i++)
		k_answer(q_open(lookup(lookup(DIR_ROOT, "a.event.ctl"), "waiters"), RO));
	f_put(&f[2], "1");
	CHECK(worker_cpu_ms() - before < 2000);
	for (rq n = k.n; --n;)
		if (strangers_wait(n))
			interrupt(n);
	for (unsigned int i = 0; i < 3; i++)
		f_release(&f[i]);
	end("a.event");
}

/* A message as long as a word can say, of one block over and over. */
TEST(hostile_lengths)
{
	static const char *const shows[] = { "peek", "leased", "dead", "drain" };
	unsigned long before;
	struct file f, lease;
	char path[64];

	begin("a.queue");
	CHECK_STR(say("a.queue.ctl/max_attempts", "1"), "1");
	f = open_name("a.queue", BOTH);
	CHECK_STR(f_put(&f, "1\n2\n3\n4\n"), "8");
	lease = open_name("a.queue.ctl/lease", RO);
	CHECK_STR(f_get(&lease), "1\t1\n");
	CHECK_STR(say("a.queue.ctl/nack", "1"), "1");
	CHECK_STR(told(q_read_at(&lease, 4096, 4)), "2\t2\n");
	h = spoil("a.queue", &h_len);
	for (ref_t r = h->b.queue.mq[0].head; r; r = ((struct ipc_msg *)block(r))->next) {
		((struct ipc_msg *)block(r))->len = UINT32_MAX;
		((struct ipc_msg *)block(r))->more = r;
	}
	for (unsigned int i = 0; i < 2; i++) {
		struct ipc_list *l = i ? &h->b.queue.dead : &h->b.queue.leased;
		ref_t r = ((struct ipc_lease *)block(l->head))->msg;

		((struct ipc_msg *)block(r))->len = UINT32_MAX;
		((struct ipc_msg *)block(r))->more = r;
	}
	before = worker_cpu_ms();
	for (unsigned int i = 0; i < 4; i++) {
		struct file s;
		rq n;

		snprintf(path, sizeof(path), "a.queue.ctl/%s", shows[i]);
		n = q_open(lookup(lookup(DIR_ROOT, "a.queue.ctl"), shows[i]), RO);
		if (k_answer(n)->error)
			continue;
		s = opened(n, lookup(lookup(DIR_ROOT, "a.queue.ctl"), shows[i]), RO);
		for (unsigned int j = 0; j < 20; j++)
			k_answer(q_read_at(&s, 1 << 20, (uint64_t)j << 20));
		f_release(&s);
	}
	CHECK(worker_cpu_ms() - before < 4000);
	f_release(&lease);
	f_release(&f);
	end("a.queue");
}

/* Who waits for whom is told by files: ways through thirty that all wait for each other. */
TEST(hostile_deadlocks)
{
	enum { N = 30 };
	struct file holds[N], waits[N];
	unsigned long before;
	ref_t r;
	rq n;

	begin("a.lock");
	for (unsigned int i = 0; i < N; i++) {
		holds[i] = open_name("a.lock", BOTH);
		CHECK_STR(f_lock(&holds[i], LOCK_SH), "ok");
	}
	for (unsigned int i = 0; i < N; i++) {
		waits[i] = open_name("a.lock", BOTH);
		q_flock(&waits[i], LOCK_EX);
	}
	k_sync();
	h = spoil("a.lock", &h_len);
	r = h->waitqs[0].head;
	for (uint32_t i = 0; i < N; i++, r = ((struct ipc_link *)block(r))->next)
		((struct ipc_waiter *)block(r))->pid = 1000000 + i;
	r = h->holds.head;
	for (uint32_t i = 0; i < N; i++, r = ((struct ipc_link *)block(r))->next)
		((struct ipc_hold *)block(r))->pid = 1000001 + i;
	before = worker_cpu_ms();
	n = q_open(lookup(lookup(DIR_ROOT, ".ctl"), "deadlocks"), RO);
	CHECK_INT(k_answer(n)->error, 0);
	CHECK(worker_cpu_ms() - before < 3000);
	for (unsigned int i = 0; i < N; i++)
		f_release(&waits[i]);
	for (unsigned int i = 0; i < N; i++)
		f_release(&holds[i]);
	end("a.lock");
}

/* What the mount tells of all objects together. */
TEST(hostile_counts)
{
	struct file f, g;
	unsigned int handles;

	begin("a.queue");
	f = open_name("a.queue", BOTH);
	g = open_name("a.queue", BOTH);
	handles = (unsigned int)status_of(".ctl/status", "handles");
	CHECK_INT(handles, neighbours_handles + 2);
	CHECK_INT(status_of(".ctl/status", "waiters"), neighbours_waiters);
	h = spoil("a.queue", &h_len);
	h->handles.count = UINT32_MAX;
	h->waitqs[0].count = 5000000;
	CHECK_INT(status_of(".ctl/status", "handles"), neighbours_handles);
	CHECK_INT(status_of(".ctl/status", "waiters"), neighbours_waiters);
	f_release(&f);
	f_release(&g);
	end("a.queue");
}

/* ---- what an operation came to ---- */

/* The kernel takes no other errors, and whoever waits for a reply that is refused waits for ever. */
TEST(hostile_results)
{
	static const int64_t results[] = { -600,         -4096,        INT64_MIN, INT64_MIN + 1,
					   -(1ll << 32), -(1ll << 40), INT64_MAX, 1 << 30 };
	struct file f[2];
	struct ipc_waiter *w;
	rq n;

	for (unsigned int i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		begin("a.lock");
		for (unsigned int j = 0; j < 2; j++)
			f[j] = open_name("a.lock", BOTH);
		CHECK_STR(f_lock(&f[0], LOCK_EX), "ok");
		n = i % 2 ? q_read(&f[1]) : q_flock(&f[1], LOCK_EX);
		CHECK_STR(told(n), "!WAITS");
		h = spoil("a.lock", &h_len);
		w = block(h->waitqs[0].head);
		w->result = results[i];
		f_lock(&f[0], LOCK_UN);
		if (!k_answered(n))
			interrupt(n);
		k_answer(n);
		for (unsigned int j = 0; j < 2; j++)
			f_release(&f[j]);
		end("a.lock");
		daemon_clean();
	}
}

/* How far a write had come is told by the file, after a restart. */
TEST(hostile_completions)
{
	static const uint64_t came[] = { UINT64_MAX, 0xffffffff00000000, 0x0000000500000000, 100,
					 1ull << 63 };
	static const char *const victims[] = { "a.value", "a.sem", "a.queue", "a.pipe", "a.event" };
	struct file f;
	rq n;

	for (unsigned int i = 0; i < 5; i++)
		for (unsigned int j = 0; j < 5; j++) {
			begin(victims[j]);
			f = open_name(victims[j], BOTH);
			h = spoil(victims[j], &h_len);
			daemon_fault(1); /* it has read it, and dies */
			n = q_put(&f, "1\n");
			k_sync();
			CHECK(daemon_died());
			h->unique = 2 * (uint64_t)n;
			h->unique_handle = (ref_t)f.fh;
			h->unique_partial = i < 3;
			h->result = (int64_t)came[i];
			daemon_restart();
			CHECK(!daemon_died());
			k_answer(n);
			f_release(&f);
			end(victims[j]);
			daemon_clean();
		}
}

/* ---- other objects that a file names ---- */

/* A condition's waiter says what it lent, and in which lock. */
TEST(hostile_lending)
{
	struct file f, on, lock, next;
	struct ipc_waiter *w;
	rq waits, wants;

	for (unsigned int i = 0; i < 4; i++) {
		begin("a.cond");
		k.uid = geteuid();
		k.pid = 6000001; /* whose lock it is */
		make("their.lock");
		lock = open_name("their.lock", BOTH);
		CHECK_STR(f_lock(&lock, LOCK_EX), "ok");
		k.pid = 6000002;
		next = open_name("their.lock", BOTH);
		wants = q_flock(&next, LOCK_EX);
		CHECK_STR(told(wants), "!WAITS");
		k.uid = STRANGER;
		k.pid = 5000000;
		on = open_name("a.cond", BOTH);
		f = open_name("a.cond", BOTH);
		h = spoil("a.cond", &h_len);
		h->b.cond.lock_id = lookup(DIR_ROOT, "their.lock");
		if (i == 0) { /* as if the reader were of their process */
			handle_of(&on)->tid = k.pid;
			handle_of(&on)->pid = 6000001;
		}
		waits = q_read(&on);
		CHECK_STR(told(waits), "!WAITS");
		spoil_end(h, h_len);
		h = spoil("a.cond", &h_len); /* it has grown */
		w = block(h->waitqs[0].head);
		w->flags |= WAITER_LENT;
		w->hold = (ref_t)(i == 2 ? next.fh : lock.fh);
		w->need = (uint32_t)((i == 2 ? next.fh : lock.fh) >> 32);
		if (i == 3)
			w->unique = 2 * (uint64_t)wants;
		if (i == 1)
			daemon_kill_and_restart();
		f_put(&f, "all");
		interrupt(waits);
		k_sync();
		f_release(&on);
		f_release(&f);
		CHECK_STR(told(wants), "!WAITS");
		k.uid = geteuid();
		CHECK_STR(f_lock(&lock, LOCK_UN), "ok");
		CHECK_STR(told(wants), "ok");
		CHECK_STR(f_lock(&next, LOCK_UN), "ok");
		CHECK_INT(size_of(lock.ino), 1);
		k_answer(waits);
		f_release(&lock);
		f_release(&next);
		end("a.cond");
		daemon_clean();
	}
}

/* Whose companion in the lock it has is said by its file: no more of them come than handles are. */
TEST(hostile_companions)
{
	struct file f;
	unsigned int i;

	begin("a.value");
	k.uid = geteuid();
	make("their.lock");
	f = open_name("a.value", BOTH);
	CHECK_STR(say("a.value.ctl/lock", "their.lock"), "10");
	CHECK_STR(f_lock(&f, LOCK_EX), "ok");
	CHECK_STR(f_lock(&f, LOCK_UN), "ok");
	h = spoil("a.value", &h_len);
	for (i = 0; i < 20; i++) {
		handle_of(&f)->companion = i % 2 ? i * 1000001ull : 0;
		k.uid = i % 3 ? geteuid() : STRANGER;
		f_lock(&f, i % 4 < 2 ? LOCK_UN : LOCK_EX);
	}
	k.uid = geteuid();
	CHECK_INT(status_of("their.lock.ctl/status", "handles"), 1);
	f_lock(&f, LOCK_UN);
	f_release(&f);
	CHECK_STR(told(q_unlink(DIR_ROOT, "their.lock")), "ok");
	end("a.value");
}

/* A handle names the inode that it writes to: others' second writers must not get in by it. */
TEST(hostile_writers)
{
	struct file f, w;

	for (unsigned int i = 0; i < 2; i++) {
		begin("a.queue");
		w = open_name("kept.queue", WO);
		f = open_name("a.queue", WO);
		h = spoil("a.queue", &h_len);
		if (i)
			daemon_kill_and_restart();
		handle_of(&f)->nodeid = w.ino;
		f_release(&f);
		CHECK_STR(told(q_open(w.ino, WO)), "!ESTALE");
		k.pid++;
		CHECK_STR(told(q_open(w.ino, WO)), "!ESTALE");
		f_release(&w);
		end("a.queue");
		daemon_clean();
	}
}

/* ---- memory ---- */

/* By asking alone nobody makes a file grow beyond one message; who only reads it, not at all. */
TEST(hostile_asking_for_memory)
{
	static const int flags[] = { RO, BOTH, WO };
	struct stat before, st;
	struct file f;

	for (unsigned int i = 0; i < 3; i++) {
		begin("a.queue");
		f = open_name("a.queue", flags[i]);
		CHECK_STR(told(q_ioctl(&f, LIB_IOC_GROW, 0)), "!EPERM");
		h = spoil("a.queue", &h_len);
		handle_of(&f)->flags |= HANDLE_DIRECT;
		CHECK_INT(stat(engine_path("a.queue"), &before), 0);
		for (unsigned int n = 0; n < 200; n++)
			CHECK_STR(told(q_ioctl(&f, LIB_IOC_GROW, n % 6)), i ? "ok" : "!EBADF");
		CHECK_INT(stat(engine_path("a.queue"), &st), 0);
		/* (room for the longest message, in steps) */
		CHECK(st.st_blocks - before.st_blocks <=
		      (i ? (IPC_MESSAGE_MAX + IPC_PAGE + 4 * 65536) / 512 : 0));
		f_release(&f);
		end("a.queue");
		daemon_clean();
	}
}
