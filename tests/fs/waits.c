/* SPDX-License-Identifier: MIT */
#include "waits.h"

static struct file other; /* whoever has what the waits are for */

static rq ask_read(const struct file *f)
{
	return q_read(f);
}

static rq ask_exclusive(const struct file *f)
{
	return q_flock(f, LOCK_EX);
}

static rq ask_shared(const struct file *f)
{
	return q_flock(f, LOCK_SH);
}

static rq ask_put(const struct file *f)
{
	return q_put(f, "new\n");
}

static rq ask_record(const struct file *f)
{
	return q_put(f, "0123456789");
}

/* ---- what there is ---- */

static void a_queue(void)
{
	make("a.queue");
	other = open_name("a.queue", BOTH);
}

static void unfinished_queue(void)
{
	a_queue();
	CHECK_STR(f_put(&other, "x\n"), "2");
	CHECK_STR(f_get(&other), "x\n");
}

static void full_queue(void)
{
	a_queue();
	CHECK_STR(say("a.queue.ctl/maxsize", "1"), "1");
	CHECK_STR(f_put(&other, "old\n"), "4");
}

static void a_pipe(void)
{
	make("a.pipe");
	other = open_name("a.pipe", BOTH);
}

static void full_pipe(void)
{
	a_pipe();
	CHECK_STR(say("a.pipe.ctl/framing", "record"), "6");
	CHECK_STR(say("a.pipe.ctl/maxbytes", "12"), "2");
	CHECK_STR(f_put(&other, "abcdefgh"), "8");
}

static void an_event(void)
{
	make("a.event");
	other = open_name("a.event", WO);
}

static void a_sem(void)
{
	make("a.sem");
	other = open_name("a.sem", WO);
}

static void a_lock(void)
{
	make("a.lock");
	other = open_name("a.lock", BOTH);
	CHECK_STR(f_lock(&other, LOCK_EX), "ok");
}

static void an_rlock(void)
{
	make("a.rlock");
	other = open_name("a.rlock", BOTH);
	CHECK_STR(f_lock(&other, LOCK_EX), "ok");
}

static void a_cond(void)
{
	make("a.cond");
	other = open_name("a.cond", BOTH);
	CHECK_STR(f_lock(&other, LOCK_EX), "ok");
}

static void a_value(void)
{
	make("a.value");
	other = open_name("a.value", BOTH);
	CHECK_STR(f_lock(&other, LOCK_EX), "ok");
}

/* ---- what ends a wait ---- */

static void put_one(void)
{
	CHECK_STR(f_put(&other, "new\n"), "4");
}

static void get_one(void)
{
	CHECK_STR(f_get(&other), "old\n");
}

static void get_record(void)
{
	CHECK_STR(f_get(&other), "abcdefgh");
}

static void be_done(void)
{
	CHECK_STR(say("a.queue.ctl/done", "1"), "1");
}

static void give_one(void)
{
	CHECK_STR(f_put(&other, "1"), "1");
}

static void unlock(void)
{
	CHECK_STR(f_lock(&other, LOCK_UN), "ok");
}

const struct wait waits[] = {
	{ "get", "a.queue", RO, a_queue, ask_read, put_one, "new\n" },
	{ "get from a stream", "a.queue", BOTH, a_queue, ask_read, put_one, "new\n" },
	{ "lease", "a.queue.ctl/lease", RO, a_queue, ask_read, put_one, NULL },
	{ "stream", "a.queue.ctl/stream", RO, a_queue, ask_read, put_one, "new\n" },
	{ "join", "a.queue.ctl/join", RO, unfinished_queue, ask_read, be_done, "0\n" },
	{ "put", "a.queue", WO, full_queue, ask_put, get_one, "4" },
	{ "receive", "a.pipe", RO, a_pipe, ask_read, put_one, "new\n" },
	{ "send", "a.pipe", WO, full_pipe, ask_record, get_record, "10" },
	{ "event", "a.event", RO, an_event, ask_read, give_one, "1\n" },
	{ "take a permit", "a.sem", RO, a_sem, ask_read, give_one, "1\n" },
	{ "borrow a permit", "a.sem", RO, a_sem, ask_exclusive, give_one, "ok" },
	{ "take a lock", "a.lock", RO, a_lock, ask_read, unlock, "1\n" },
	{ "borrow a lock", "a.lock", RO, a_lock, ask_exclusive, unlock, "ok" },
	{ "share a lock", "a.lock", RO, a_lock, ask_shared, unlock, "ok" },
	{ "take an rlock", "a.rlock", RO, an_rlock, ask_read, unlock, "1\n" },
	{ "borrow an rlock", "a.rlock", RO, an_rlock, ask_exclusive, unlock, "ok" },
	{ "a condition's lock", "a.cond", RO, a_cond, ask_exclusive, unlock, "ok" },
	{ "a value's lock", "a.value", RO, a_value, ask_exclusive, unlock, "ok" },
};
const unsigned int n_waits = sizeof(waits) / sizeof(waits[0]);

void wait_begin(const struct wait *w, struct file f[2])
{
	daemon_clean();
	daemon_start();
	w->setup();
	for (unsigned int i = 0; i < 2; i++) {
		k.pid = 5000010 + i;
		f[i] = open_name(w->path, w->flags);
	}
}
