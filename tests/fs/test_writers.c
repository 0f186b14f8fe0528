/* SPDX-License-Identifier: MIT */
/*
 * An inode that can be waited on by a writer is one thread's own. Who opens another one to write is
 * told ESTALE, the kernel looks the name up again, once, and opens what it is given then.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ops/observer.h"
#include "base/proc.h"
#include "calls.h"
#include "state/nodeid.h"

#ifndef FOPEN_NOFLUSH
#define FOPEN_NOFLUSH (1 << 5)
#endif

static pid_t threads[8]; /* processes that live, so that they can be asked for */

static void threads_begin(void)
{
	for (unsigned int i = 0; i < 8; i++) {
		threads[i] = fork();
		CHECK(threads[i] >= 0);
		if (threads[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves them */
			for (;;)
				pause();
		}
	}
}

static void threads_end(void)
{
	for (unsigned int i = 0; i < 8; i++) {
		kill(threads[i], SIGKILL);
		waitpid(threads[i], NULL, 0);
	}
}

static void as(unsigned int i)
{
	k.pid = (uint32_t)threads[i];
}

/* Looks the name up until it is told an inode of its own. */
static uint64_t alias_of(const char *name)
{
	uint64_t ino = lookup(DIR_ROOT, name);

	if (!(ino & NODEID_ALIAS)) {
		CHECK_STR(told(q_open(ino, WO)), "!ESTALE");
		ino = lookup(DIR_ROOT, name);
	}
	CHECK(ino & NODEID_ALIAS);
	return ino;
}

static const char *const types[] = { "a.queue", "a.pipe", "a.event",   "a.sem",
				     "a.lock",  "a.cond", "a.barrier", "a.value" };

TEST(writers_never_get_the_inode_of_the_name)
{
	struct fuse_attr attr;
	uint64_t ino, alias;

	daemon_start();
	threads_begin();
	for (unsigned int i = 0; i < sizeof(types) / sizeof(*types); i++) {
		ino = make(types[i]);
		as(0);
		CHECK_STR(told(q_open(ino, WO)), "!ESTALE");
		alias = entry_ino(q_lookup(DIR_ROOT, types[i]), &attr);
		CHECK(alias != ino);
		CHECK_INT(attr.ino, ino); /* st_ino stays the object's */
		open_ino(alias, BOTH);
		open_ino(ino, RO); /* readers need none */
		as(1);
		CHECK(lookup(DIR_ROOT, types[i]) != alias);
	}
	ino = make("a.array"); /* whose writes never wait */
	open_ino(ino, WO);
	as(0);
	CHECK_INT(lookup(DIR_ROOT, "a.array"), ino);
	ino = lookup(lookup(DIR_ROOT, "a.queue.ctl"), "maxsize");
	CHECK_STR(told(q_open(ino, WO)), "!ESTALE");
	CHECK(lookup(lookup(DIR_ROOT, "a.queue.ctl"), "maxsize") != ino);
	threads_end();
	daemon_end();
}

TEST(writers_second_gets_an_inode_of_its_own)
{
	uint64_t ino, one, two;
	struct file a, b;

	daemon_start();
	threads_begin();
	ino = make("a.queue");
	as(0);
	one = alias_of("a.queue");
	CHECK_INT(lookup(DIR_ROOT, "a.queue"), one); /* the kernel may ask twice */
	as(1);
	two = alias_of("a.queue");
	CHECK(two != one);
	CHECK_STR(told(q_open(one, WO)), "!ESTALE");
	CHECK_INT(lookup(DIR_ROOT, "a.queue"), two);
	b = open_ino(two, WO);
	as(0);
	a = open_ino(one, WO);
	CHECK_STR(f_put(&a, "a\n"), "2");
	CHECK_STR(f_put(&b, "b\n"), "2");
	CHECK_INT(size_of(one), 2);
	CHECK_INT(size_of(ino), 2);
	threads_end();
	daemon_end();
}

/* Nobody has it in hand then, so the kernel may keep what it knows of the name. */
TEST(writers_closed_inode_is_the_next_ones)
{
	uint64_t ino;
	struct file f;

	daemon_start();
	threads_begin();
	make("a.queue");
	as(0);
	f = open_ino(alias_of("a.queue"), WO);
	ino = f.ino;
	for (unsigned int i = 0; i < 6; i++) {
		as(i);
		CHECK(lookup(DIR_ROOT, "a.queue") != ino); /* it is open */
		f_close(&f);
		if (i == 4)
			daemon_kill_and_restart();
		as(i + 1);
		CHECK_INT(alias_of("a.queue"), ino);
		f = open_ino(ino, WO);
	}
	threads_end();
	daemon_end();
}

/* It may be on its way to the inode's lock: chmod, rm. */
TEST(writers_inode_that_was_looked_up_is_nobody_elses)
{
	uint64_t ino, other;
	struct file f;

	daemon_start();
	threads_begin();
	make("a.queue");
	as(0);
	f = open_ino(alias_of("a.queue"), WO);
	ino = f.ino;
	f_close(&f);
	as(1);
	CHECK_INT(lookup(DIR_ROOT, "a.queue"), ino); /* and does not open it */
	as(2);
	other = lookup(DIR_ROOT, "a.queue");
	CHECK(other != ino);
	CHECK_STR(told(q_open(ino, WO)), "!ESTALE");
	daemon_kill_and_restart();
	as(3);
	CHECK(lookup(DIR_ROOT, "a.queue") != ino);
	CHECK_STR(told(q_open(ino, WO)), "!ESTALE");
	as(1);
	open_ino(ino, WO);
	threads_end();
	daemon_end();
}

TEST(writers_inode_with_an_open_reader_is_not_granted)
{
	uint64_t ino;
	struct file f;

	daemon_start();
	threads_begin();
	make("a.queue");
	as(0);
	f = open_ino(alias_of("a.queue"), WO);
	ino = f.ino;
	f_close(&f);
	CHECK_INT(lookup(DIR_ROOT, "a.queue"), ino);
	f = open_ino(ino, RO);
	CHECK_STR(told(q_open(ino, WO)), "!ESTALE");
	CHECK(lookup(DIR_ROOT, "a.queue") != ino);
	threads_end();
	daemon_end();
}

/* Through /proc/self/fd or /dev/stdout there is no look-up between the two opens. */
TEST(writers_granted_the_second_time)
{
	struct file a, b;
	rq n;

	daemon_start();
	threads_begin();
	make("a.queue");
	as(0);
	a = open_name("a.queue", WO);
	as(1);
	CHECK_STR(told(q_open(a.ino, WO)), "!ESTALE");
	daemon_kill_and_restart();
	b = open_ino(a.ino, WO);
	CHECK_STR(f_put(&b, "b\n"), "2");
	f_close(&a);
	f_close(&b);
	/* Those who have a descriptor may still open it: it is told to nobody any more. */
	as(2);
	CHECK(lookup(DIR_ROOT, "a.queue") != a.ino);
	CHECK_STR(told(q_open(a.ino, WO)), "!ESTALE");
	n = q_open(a.ino, WO);
	opened(n, a.ino, WO);
	threads_end();
	daemon_end();
}

/* The kernel forgets the name before a write can wait on the inode that it led to. */
TEST(writers_by_descriptor_leave_the_name)
{
	uint64_t ino;
	struct file r, w;

	daemon_start();
	threads_begin();
	ino = make("a.queue");
	as(0);
	r = open_ino(ino, RO);
	CHECK_STR(told(q_open(ino, WO)), "!ESTALE");
	CHECK_STR(k.expired, "");
	w = open_ino(ino, WO);
	CHECK_STR(k.expired, "a.queue");
	daemon_kill_and_restart();
	as(1);
	CHECK(lookup(DIR_ROOT, "a.queue") != ino);
	CHECK_STR(f_put(&w, "x\n"), "2");
	CHECK_STR(f_get(&r), "x\n");
	f_close(&w);
	as(2);
	CHECK_INT(lookup(DIR_ROOT, "a.queue"), ino);
	threads_end();
	daemon_end();
}

TEST(writers_created)
{
	const struct fuse_entry_out *e;
	struct file f;
	rq n;

	daemon_start();
	threads_begin();
	as(0);
	n = q_create(DIR_ROOT, "a.queue", WO | O_EXCL);
	f = opened(n, 0, WO);
	e = (const struct fuse_entry_out *)k_answer(n)->data;
	CHECK(e->nodeid & NODEID_ALIAS);
	CHECK_INT(e->entry_valid, 0);
	as(1);
	CHECK(lookup(DIR_ROOT, "a.queue") != f.ino);
	/* Made in between: the kernel looks it up, and opens it. */
	CHECK_STR(told(q_create(DIR_ROOT, "a.queue", WO)), "!ESTALE");
	CHECK_STR(told(q_create(DIR_ROOT, "a.queue", WO | O_EXCL)), "!EEXIST");
	threads_end();
	daemon_end();
}

/* Threads of another pid namespace cannot be told apart: none of them may see ESTALE. */
TEST(writers_of_unknown_threads)
{
	uint64_t ino, one, two;

	daemon_start();
	ino = make("a.queue");
	for (unsigned int i = 0; i < 3; i++) {
		k.pid = 0;
		CHECK_STR(told(q_open(ino, WO)), "!ESTALE");
		opened(q_open(ino, WO), ino, WO); /* another one's first, or by descriptor */
		one = lookup(DIR_ROOT, "a.queue");
		two = lookup(DIR_ROOT, "a.queue");
		open_ino(one, WO);
		open_ino(two, WO);
		k.pid = 5000001;
		CHECK(lookup(DIR_ROOT, "a.queue") != one);
		CHECK(lookup(DIR_ROOT, "a.queue") != two);
	}
	daemon_end();
}

/* A refusal is no ticket for another object. */
TEST(writers_refused_and_gone_elsewhere)
{
	struct file a, b;

	daemon_start();
	threads_begin();
	make("a.queue");
	make("b.queue");
	as(0);
	a = open_name("a.queue", WO);
	b = open_name("b.queue", WO);
	as(1);
	CHECK_STR(told(q_open(a.ino, WO)), "!ESTALE");
	/* It was killed while it looked up; or the name went. Later, it opens another. */
	CHECK_STR(told(q_open(b.ino, WO)), "!ESTALE");
	open_ino(b.ino, WO);
	threads_end();
	daemon_end();
}

TEST(writers_of_many)
{
	struct file f[8];

	daemon_start();
	threads_begin();
	make("a.queue");
	for (unsigned int i = 0; i < 8; i++) {
		as(i);
		f[i] = open_name("a.queue", WO);
		for (unsigned int j = 0; j < i; j++)
			CHECK(f[i].ino != f[j].ino);
	}
	daemon_kill_and_restart(); /* it knows them all */
	for (unsigned int i = 0; i < 8; i++)
		CHECK_STR(f_put(&f[i], "x\n"), "2");
	as(0);
	for (unsigned int i = 0; i < 8; i++)
		CHECK(lookup(DIR_ROOT, "a.queue") != f[i].ino);
	CHECK_STR(told(q_open(f[3].ino, WO)), "!ESTALE");
	threads_end();
	daemon_end();
}

/* ---- aliases go when the kernel forgets them ---- */

static unsigned int aliases(void)
{
	unsigned int n;
	const char *why = "";

	/* The worker's file: look at it while nothing is under way. */
	k_sync();
	daemon_kill();
	CHECK(store_load(&observer, true, &why) == 0);
	n = mount_body()->aliases.count;
	store_unload();
	daemon_restart();
	return n;
}

TEST(writers_forgotten_alias_goes)
{
	uint64_t alias;
	struct file b;

	daemon_start();
	threads_begin();
	make("a.queue");
	as(1);
	alias = alias_of("a.queue");
	CHECK_INT(lookup(DIR_ROOT, "a.queue"), alias);
	b = open_ino(alias, WO);
	CHECK_INT(aliases(), 1);
	forget(alias, 1);
	CHECK_INT(aliases(), 1); /* the kernel was told of it twice */
	f_close(&b);
	forget(alias, 1);
	CHECK_INT(aliases(), 0);
	CHECK_INT(size_of(alias), -ESTALE);
	threads_end();
	daemon_end();
}

TEST(writers_many_opens_leave_nothing)
{
	daemon_start();
	make("a.queue");
	for (unsigned int i = 0; i < 3000; i++) {
		struct file f;

		k.pid = 5000001 + i; /* none of them lives */
		if (i % 3 == 0) {    /* it is killed before it comes back */
			told(q_open(NODEID(2, 0), WO));
			continue;
		}
		f = open_ino(alias_of("a.queue"), WO);
		f_close(&f);
		forget(f.ino, 100);
	}
	CHECK(aliases() <= 10);
	daemon_end();
}

TEST(writers_alias_with_a_time_limit)
{
	uint64_t one, two;

	daemon_start();
	make("a.queue");
	one = lookup(DIR_ROOT, "a.queue@2.5");
	two = lookup(DIR_ROOT, "a.queue@2.50");
	CHECK(one && one == two);
	two = lookup(DIR_ROOT, "a.queue@3");
	CHECK(two && one != two);
	CHECK_INT(aliases(), 2);
	forget(one, 2);
	forget(two, 1);
	forget(two, 1); /* too often: no harm */
	forget(12345, 1);
	forget(RESENT | 77, 1);
	CHECK_INT(aliases(), 0);
	daemon_end();
}

TEST(writers_batch_forget)
{
	struct {
		struct fuse_batch_forget_in in;
		struct fuse_forget_one one[3];
	} batch = { { 3, 0 } };

	daemon_start();
	make("a.queue");
	for (unsigned int i = 0; i < 3; i++) {
		char name[32];

		snprintf(name, sizeof(name), "a.queue@%u", i + 1);
		batch.one[i].nodeid = lookup(DIR_ROOT, name);
		batch.one[i].nlookup = 1;
	}
	CHECK_INT(aliases(), 3);
	k_send(FUSE_BATCH_FORGET, 0, &batch, sizeof(batch), NULL, 0);
	CHECK_INT(aliases(), 0);
	daemon_end();
}

/* The thread that was refused must be let in, whichever worker it meets the second time. */
TEST(writers_refused_before_a_restart)
{
	uint64_t ino, alias;
	struct file a;

	daemon_start();
	threads_begin();
	ino = make("a.queue");
	as(1);
	CHECK_STR(told(q_open(ino, WO)), "!ESTALE");
	daemon_kill_and_restart();
	alias = lookup(DIR_ROOT, "a.queue");
	CHECK(alias != ino);
	daemon_kill_and_restart();
	a = open_ino(alias, WO);
	CHECK_STR(f_put(&a, "x\n"), "2");
	threads_end();
	daemon_end();
}

/* ---- attributes that are valid for a moment ---- */

static bool lent(const char *name, uint64_t *ret)
{
	const struct request *r = k_answer(q_lookup(DIR_ROOT, name));
	const struct fuse_entry_out *e = (const struct fuse_entry_out *)r->data;

	*ret = e->nodeid;
	CHECK_INT(e->attr_valid, 0);
	return e->attr_valid_nsec != 0;
}

TEST(writers_attributes_are_recalled)
{
	struct file f, g;
	uint64_t ino;

	daemon_start();
	threads_begin();
	make("a.queue");
	as(1);
	g = open_name("a.queue", WO);
	as(0);
	f = open_ino(alias_of("a.queue"), WO);
	f_close(&f);
	CHECK(lent("a.queue", &ino));
	CHECK_INT(ino, f.ino);
	k.n_invalid = 0;
	f = open_ino(ino, WO);
	CHECK_INT(k.n_invalid, 1);
	CHECK_INT(k.invalid, ino);
	f_close(&f);
	CHECK(lent("a.queue", &ino));
	f_put(&g, "x\n"); /* the size changes */
	CHECK_INT(k.n_invalid, 2);
	CHECK(lent("a.queue", &ino));
	CHECK_STR(told(q_chmod(NODEID(2, 0), 0600)), "ok");
	CHECK_INT(k.n_invalid, 4); /* those of its .ctl, too */
	CHECK_INT(k.invalid, ino);
	threads_end();
	daemon_end();
}

/* ---- what the kernel asks for `echo x > a.queue` ---- */

static struct { /* what it keeps of the name */
	uint64_t ino, told;
	bool lasts, valid;
} entry;

static unsigned int asked;

static void kernel_looks_up(void)
{
	for (;;) {
		const struct request *r = k_answer(q_lookup(DIR_ROOT, "a.queue"));
		const struct fuse_entry_out *e = (const struct fuse_entry_out *)r->data;

		asked++;
		if (entry.ino && entry.ino != e->nodeid) {
			forget(e->nodeid, 1);
			forget(entry.ino, entry.told);
			memset(&entry, 0, sizeof(entry));
			continue;
		}
		entry.ino = e->nodeid;
		entry.told++;
		entry.lasts = e->entry_valid > 0;
		entry.valid = e->attr_valid || e->attr_valid_nsec;
		return;
	}
}

static rq kernel_opens(int flags)
{
	if (!entry.valid) {
		size_of(entry.ino);
		asked++;
	}
	entry.valid = false;
	asked++;
	return q_open(entry.ino, flags);
}

/* How many requests it takes a thread. */
static unsigned int echo(uint32_t pid)
{
	struct file f;
	rq n;

	k.pid = pid;
	asked = 0;
	if (!entry.lasts)
		kernel_looks_up();
	n = kernel_opens(WO);
	if (k_answer(n)->error == -ESTALE) {
		kernel_looks_up();
		n = kernel_opens(WO);
	}
	f = opened(n, entry.ino, WO);
	if (!(f.how & FOPEN_NOFLUSH)) { /* a shell closes a duplicate first */
		f_flush(&f);
		asked += 2;
	}
	CHECK_STR(f_put(&f, "x\n"), "2");
	f_close(&f);
	return asked + 2;
}

TEST(writers_requests_of_echo)
{
	unsigned int least = proc_ends_are_told() ? 4 : 6;

	daemon_start();
	threads_begin();
	memset(&entry, 0, sizeof(entry));
	make("a.queue");
	kernel_looks_up();
	printf("  echo: %u requests the first time", echo((uint32_t)threads[0]));
	for (unsigned int i = 0; i < 20; i++)
		CHECK_INT(echo((uint32_t)threads[0]), least); /* one thread */
	for (unsigned int i = 0; i < 20; i++)
		CHECK_INT(echo(5000001 + i), least); /* short-lived processes */
	for (unsigned int i = 0; i < 20; i++)
		CHECK_INT(echo((uint32_t)threads[i % 2]), least); /* two threads in turn */
	printf(", then %u\n", least);
	threads_end();
	daemon_end();
}
