/* SPDX-License-Identifier: MIT */
/*
 * An engine file is spoilt while people wait for the object, and then something notices it: whatever
 * that is, all of them are told at once.
 */
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipcfs.h"
#include "waits.h"

#define KH 4711u

static struct file other; /* one more that has it open */
static struct file waiting;
static rq first; /* the wait of `waiting` */

/* ---- how the file is spoilt ---- */

static void zero_header(uint64_t ino)
{
	memset(engine(ino, NULL), 0, 4096);
}

static void zero_all(uint64_t ino)
{
	size_t size;
	void *p = engine(ino, &size);

	memset(p, 0, size);
}

static void bend_lists(uint64_t ino)
{
	struct ipc_header *h = engine(ino, NULL);

	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		h->waitqs[i].head = h->waitqs[i].tail = h->waitqs[i].head ? 0x0fffffff : 0;
	h->polls.head = 0x0fffffff;
	h->handles.tail = 0x0fffffff;
	h->log_len = IPC_LOG_MAX + 1;
}

static void cut_short(uint64_t ino)
{
	CHECK(truncate(engine_file(ino), 0) == 0);
}

/* As a direct client does that finds it damaged. */
static void mark(uint64_t ino)
{
	engine(ino, NULL)->m.damaged = 1;
}

static void (*const spoils[])(uint64_t ino) = { zero_header, zero_all, bend_lists, cut_short,
						mark };
#define SPOILS (sizeof(spoils) / sizeof(spoils[0]))

/* ---- what notices it ---- */

static void by_read(void)
{
	CHECK_STR(told(q_read(&other)), "!EIO");
}

static void by_write(void)
{
	CHECK_STR(told(q_put(&other, "x\n")), "!EIO");
}

static void by_open(void)
{
	CHECK_STR(told(q_open(other.ino, RO)), "!EIO");
}

static void by_looking(void)
{
	uint64_t ctl = lookup(DIR_ROOT, "a.queue.ctl");

	CHECK_STR(told(q_open(lookup(ctl, "size"), RO)), "!EIO");
}

static void by_looking_at_all(void)
{
	show(".ctl/status");
}

static void by_nofollow(void)
{
	CHECK_STR(told(q_open(other.ino, O_NOFOLLOW)), "!EIO");
}

static void by_setting(void)
{
	struct file f = open_name("a.queue.ctl/maxsize", WO);

	CHECK_STR(f_put(&f, "5"), "!EIO");
}

static void by_cancel(void)
{
	struct file f = open_name("a.queue.ctl/cancel", WO);

	CHECK_STR(f_put(&f, "all"), "!EIO");
}

static void by_flock(void)
{
	CHECK_STR(f_lock(&other, LOCK_EX), "!EIO");
}

static void by_poll(void)
{
	CHECK_INT(ready(&other), POLLERR);
}

static void by_ioctl(void)
{
	CHECK_STR(told(q_ioctl(&other, IPCFS_IOC_NEXT, 0)), "!EIO");
}

static void by_close(void)
{
	f_release(&other);
}

static void by_interrupt(void)
{
	interrupt(first);
}

static void by_removal(void)
{
	CHECK_STR(told(q_unlink(DIR_ROOT, "a.queue")), "ok");
}

static void by_restart(void)
{
	daemon_kill_and_restart();
}

static const struct {
	const char *name;
	void (*notice)(void);
} ways[] = {
	{ "read", by_read },
	{ "write", by_write },
	{ "open", by_open },
	{ "look", by_looking },
	{ "look at all", by_looking_at_all },
	{ "open to look", by_nofollow },
	{ "setting", by_setting },
	{ "cancel", by_cancel },
	{ "flock", by_flock },
	{ "poll", by_poll },
	{ "ioctl", by_ioctl },
	{ "close", by_close },
	{ "interrupt", by_interrupt },
	{ "removal", by_removal },
	{ "restart", by_restart },
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void poll_it(const struct file *f, uint64_t kh)
{
	CHECK_INT(k_answer(q_poll(f, kh, POLLIN))->error, 0);
}

static const char *waited(rq n)
{
	k_answer(n);
	return told(n);
}

static void one_way(unsigned int way, void (*spoil)(uint64_t ino))
{
	struct file w, limited, p;
	uint64_t ino;
	rq n[2];

	snprintf(test_where, sizeof(test_where), "noticed by %s: ", ways[way].name);
	daemon_start();
	make("b.queue");
	ino = make("a.queue");
	waiting = open_name("a.queue", RO);
	limited = open_name("a.queue@1000", RO);
	p = open_name("a.queue", RO);
	w = open_name("a.queue", WO);
	other = open_name("a.queue", BOTH);
	poll_it(&p, KH);
	first = q_read(&waiting);
	n[0] = q_read(&waiting);
	n[1] = q_read(&limited);
	CHECK_STR(told(n[1]), "!WAITS");
	spoil(ino);
	ways[way].notice();
	CHECK_STR(waited(n[0]), "!EIO");
	CHECK_STR(waited(n[1]), "!EIO");
	CHECK_STR(waited(first), "!EIO");
	/* (Of a file that was spoilt altogether when no worker ran, nobody knows who polled.) */
	if (ways[way].notice != by_restart) {
		k_sync();
		CHECK(k.n_polls && k.polls[0] == KH);
	}
	CHECK_INT(ready(&p), POLLERR);
	CHECK_STR(f_get(&waiting), "!EIO");
	CHECK_STR(f_put(&w, "x\n"), "!EIO");
	CHECK_STR(say("b.queue", "x\n"), "2");
	*test_where = 0;
	daemon_clean(); /* what is left is no sound file */
}

TEST(damage_is_told_whatever_notices_it)
{
	for (unsigned int way = 0; way < WAYS; way++)
		one_way(way, zero_header);
}

TEST(damage_of_every_kind_is_told)
{
	for (unsigned int i = 0; i < SPOILS; i++) {
		one_way(0, spoils[i]);
		if (spoils[i] != mark) /* with a sound file, a new worker finds nothing */
			one_way(WAYS - 1, spoils[i]);
	}
}

/* Every request that can wait. */
#define THE_OBJECT 2 /* the first that is made */
TEST(damage_ends_every_wait)
{
	EACH_WAIT(w)
	{
		struct file f[2];
		rq n[2];

		wait_begin(w, f);
		n[0] = w->ask(&f[0]);
		n[1] = w->ask(&f[1]);
		IN_WAIT(w, told(n[1]), "!WAITS");
		zero_header(THE_OBJECT);
		IN_WAIT(w, told(q_open(THE_OBJECT, RO)), "!EIO");
		IN_WAIT(w, waited(n[0]), "!EIO");
		IN_WAIT(w, waited(n[1]), "!EIO");
	}
	daemon_clean();
}

/* ---- noticed without a request ---- */

TEST(damage_noticed_by_a_time_limit)
{
	struct file a, b;
	rq n, m;

	daemon_start();
	make("a.queue");
	a = open_name("a.queue", RO);
	b = open_name("a.queue@0.1", RO);
	n = q_read(&a);
	m = q_read(&b);
	CHECK_STR(told(n), "!WAITS");
	zero_header(a.ino);
	CHECK_STR(waited(m), "!EIO");
	CHECK_STR(waited(n), "!EIO");
	daemon_clean();
}

TEST(damage_noticed_at_the_end_of_a_process)
{
	struct file a, b;
	pid_t child = fork();
	rq n;

	CHECK(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves it */
		for (;;)
			pause();
	}
	daemon_start();
	make("a.sem");
	CHECK_STR(say("a.sem", "1"), "1");
	CHECK_STR(say("a.sem.ctl/scope", "process"), "7");
	a = open_name("a.sem", BOTH);
	b = open_name("a.sem", RO);
	k.pid = (uint32_t)child;
	CHECK_STR(f_lock(&a, LOCK_EX), "ok");
	k.pid = 5000001;
	n = q_read(&b);
	CHECK_STR(told(n), "!WAITS");
	zero_header(a.ino);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	CHECK_STR(waited(n), "!EIO");
	daemon_clean();
}

/* One that waits for memory, which comes. */
TEST(damage_noticed_when_memory_comes)
{
	static char big[900000];
	struct file a, b;
	const char *s;
	rq n;

	daemon_start_with(&(struct options){ .memory_limit = 8 << 20 });
	make("a.queue");
	make("b.queue");
	a = open_name("a.queue", WO | O_NONBLOCK | O_DIRECT);
	b = open_name("b.queue", WO | O_DIRECT);
	do
		s = told(q_write(&a, big, sizeof(big)));
	while (*s != '!');
	n = q_write(&b, big, sizeof(big));
	CHECK_STR(told(n), "!WAITS");
	zero_header(b.ino);
	CHECK_STR(told(q_unlink(DIR_ROOT, "a.queue")), "ok");
	f_close(&a);
	CHECK_STR(waited(n), "!EIO");
	daemon_clean();
}

/* ---- requests that are put aside ---- */

TEST(damage_ends_what_is_put_aside)
{
	struct file a, b;
	rq n, m;

	daemon_start();
	make("a.queue");
	a = open_name("a.queue", RO);
	b = open_name("a.queue", BOTH);
	n = q_read(&a);
	CHECK_STR(told(n), "!WAITS");
	engine_stall(a.ino);
	m = q_put(&b, "x\n");
	CHECK_STR(told(m), "!WAITS");
	mark(a.ino);
	CHECK_STR(waited(m), "!EIO");
	CHECK_STR(waited(n), "!EIO");
	daemon_clean();
}

/* ---- two objects: a condition, and the lock that it uses ---- */

static struct file l1, l2, c1, c2;

static void condition(void)
{
	daemon_start();
	make("a.lock");
	make("a.cond");
	CHECK_STR(say("a.cond.ctl/lock", "a.lock"), "6");
	k.pid = 5000001;
	l1 = open_name("a.lock", BOTH);
	c1 = open_name("a.cond", BOTH);
	k.pid = 5000002;
	l2 = open_name("a.lock", BOTH);
	c2 = open_name("a.cond", BOTH);
	k.pid = 5000001;
	CHECK_STR(f_lock(&l1, LOCK_EX), "ok");
	first = q_read(&c1); /* gives up the lock */
	CHECK_STR(told(first), "!WAITS");
	k.pid = 5000002;
	CHECK_STR(f_lock(&l2, LOCK_EX), "ok");
}

/* It has its notify, and waits for the lock. */
TEST(damage_of_a_lock_that_a_condition_waits_for)
{
	condition();
	CHECK_STR(f_put(&c2, "1"), "1");
	CHECK_STR(told(first), "!WAITS");
	zero_header(l1.ino);
	CHECK_STR(told(q_open(l1.ino, RO)), "!EIO");
	CHECK_STR(waited(first), "!EIO");
	/* The condition itself is sound. */
	CHECK_STR(show("a.cond.ctl/waiters"), "");
	f_close(&c1);
	CHECK_STR(f_put(&c2, "1"), "1");
	daemon_clean();
}

/* It is notified only afterwards: it must not go on as if it had the lock. */
TEST(damage_of_a_lock_is_told_with_the_notify)
{
	condition();
	zero_header(l1.ino);
	CHECK_STR(f_put(&c2, "1"), "1");
	CHECK_STR(waited(first), "!EIO");
	daemon_clean();
}

TEST(damage_of_a_condition_that_waits_for_its_lock)
{
	condition();
	CHECK_STR(f_put(&c2, "1"), "1");
	CHECK_STR(told(first), "!WAITS");
	zero_header(c1.ino);
	CHECK_STR(told(q_open(c1.ino, RO)), "!EIO");
	CHECK_STR(waited(first), "!EIO");
	/* It does not get the lock any more. */
	CHECK_STR(show("a.lock.ctl/waiters"), "");
	CHECK_STR(f_lock(&l2, LOCK_UN), "ok");
	CHECK_STR(show_word("a.lock.ctl/value"), "1");
	daemon_clean();
}

/* The same while the lock object is stalled: as soon as it is not. */
TEST(damage_of_a_condition_whose_lock_is_stalled)
{
	condition();
	CHECK_STR(f_put(&c2, "1"), "1");
	CHECK_STR(told(first), "!WAITS");
	engine_stall(l1.ino);
	zero_header(c1.ino);
	CHECK_STR(told(q_open(c1.ino, RO)), "!EIO");
	engine_go_on(l1.ino);
	CHECK_STR(waited(first), "!EIO");
	CHECK_STR(f_lock(&l2, LOCK_UN), "ok");
	CHECK_STR(show_word("a.lock.ctl/value"), "1");
	daemon_clean();
}

/* ---- what it is not ---- */

/* A mark on a sound file counts until it is mapped anew. */
TEST(damage_mark_is_looked_into_by_the_next_worker)
{
	struct file a;

	daemon_start();
	make("a.queue");
	CHECK_STR(say("a.queue", "x\n"), "2");
	a = open_name("a.queue", RO);
	mark(a.ino);
	CHECK_STR(f_get(&a), "!EIO");
	daemon_kill_and_restart();
	CHECK_STR(f_get(&a), "x\n");
	daemon_end();
}

/* ---- handles that are gone with their page ---- */

TEST(damage_that_takes_the_handle)
{
	struct file f[40];

	daemon_start();
	make("a.lock");
	for (unsigned int i = 0; i < 40; i++)
		f[i] = open_name("a.lock", BOTH);
	CHECK(truncate(engine_file(f[0].ino), 4096) == 0);
	CHECK_STR(f_lock(&f[39], LOCK_EX), "!EIO");
	CHECK_STR(told(q_read(&f[38])), "!EIO");
	daemon_clean();
}
