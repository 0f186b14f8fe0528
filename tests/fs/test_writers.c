/* SPDX-License-Identifier: MIT */
/*
 * Each inode serves one open writer. A second one is told ESTALE, the kernel looks the name up
 * again, once, and opens what it is given then.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"

static pid_t threads[8];		/* processes that live, so that they can be asked for */

static void threads_begin(void)
{
	for (unsigned int i = 0; i < 8; i++) {
		threads[i] = fork();
		CHECK(threads[i] >= 0);
		if (threads[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);	/* a test that fails leaves them */
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

TEST(writers_second_gets_an_inode_of_its_own)
{
	struct fuse_attr attr;
	uint64_t ino, alias;
	struct file a, b;

	daemon_start();
	threads_begin();
	ino = make("a.queue");
	as(0);
	a = open_ino(ino, WO);
	as(1);
	CHECK_STR(told(q_open(ino, WO)), "!ESTALE");
	alias = entry_ino(q_lookup(DIR_ROOT, "a.queue"), &attr);
	CHECK(alias && alias != ino);
	CHECK_INT(attr.ino, ino);		/* st_ino stays the object's */
	b = open_ino(alias, WO);
	CHECK_STR(f_put(&a, "a\n"), "2");
	CHECK_STR(f_put(&b, "b\n"), "2");
	CHECK_INT(size_of(alias), 2);
	CHECK_INT(size_of(ino), 2);
	/* Readers need none. */
	as(2);
	open_ino(ino, RO);
	open_ino(alias, RO);
	threads_end();
	daemon_end();
}

/* Through /proc/self/fd or /dev/stdout there is no look-up between the two opens. */
TEST(writers_granted_the_second_time)
{
	struct file a, b;

	daemon_start();
	threads_begin();
	make("a.queue");
	as(0);
	a = open_name("a.queue", WO);
	as(1);
	CHECK_STR(told(q_open(a.ino, WO)), "!ESTALE");
	b = open_ino(a.ino, WO);
	CHECK_STR(f_put(&b, "b\n"), "2");
	f_close(&a);
	f_close(&b);
	/* All of them are gone: it is free. */
	as(2);
	a = open_ino(a.ino, WO);
	as(3);
	CHECK_STR(told(q_open(a.ino, WO)), "!ESTALE");
	threads_end();
	daemon_end();
}

TEST(writers_two_refused_at_once)
{
	uint64_t ino, one, two, three;
	struct file a;

	daemon_start();
	threads_begin();
	ino = make("a.queue");
	as(0);
	a = open_ino(ino, WO);
	as(1);
	CHECK_STR(told(q_open(ino, WO)), "!ESTALE");
	as(2);
	CHECK_STR(told(q_open(ino, WO)), "!ESTALE");
	as(1);
	one = lookup(DIR_ROOT, "a.queue");
	as(2);
	two = lookup(DIR_ROOT, "a.queue");
	CHECK(one != two && one != ino && two != ino);
	/* A third one finds the first's in the kernel's cache, and is quicker than it. */
	as(3);
	CHECK_STR(told(q_open(one, WO)), "!ESTALE");
	three = lookup(DIR_ROOT, "a.queue");
	CHECK(three != one && three != two && three != ino);
	as(2);
	open_ino(two, WO);
	as(1);
	open_ino(one, WO);
	as(3);
	open_ino(three, WO);
	CHECK_STR(f_put(&a, "x\n"), "2");
	threads_end();
	daemon_end();
}

/* A refusal is no ticket for another object. */
TEST(writers_refused_and_gone_elsewhere)
{
	struct file a, b;
	rq n;

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
	n = q_open(b.ino, WO);
	CHECK_STR(told(n), "!ESTALE");
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
	daemon_kill_and_restart();		/* it knows them all */
	for (unsigned int i = 0; i < 8; i++)
		CHECK_STR(f_put(&f[i], "x\n"), "2");
	as(0);
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
	CHECK(store_load(&why) == 0);
	n = mount_body()->aliases.count;
	store_unload();
	daemon_restart();
	return n;
}

TEST(writers_forgotten_alias_goes)
{
	uint64_t ino, alias;
	struct file a, b;

	daemon_start();
	threads_begin();
	ino = make("a.queue");
	as(0);
	a = open_ino(ino, WO);
	as(1);
	CHECK_STR(told(q_open(ino, WO)), "!ESTALE");
	alias = lookup(DIR_ROOT, "a.queue");
	CHECK_INT(lookup(DIR_ROOT, "a.queue"), alias);
	b = open_ino(alias, WO);
	CHECK_INT(aliases(), 1);
	forget(alias, 1);
	CHECK_INT(aliases(), 1);		/* the kernel was told of it twice */
	f_close(&b);
	forget(alias, 1);
	CHECK_INT(aliases(), 0);
	CHECK_INT(size_of(alias), -ESTALE);
	f_close(&a);
	threads_end();
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
	forget(two, 1);				/* too often: no harm */
	forget(12345, 1);
	forget(RESENT | 77, 1);
	CHECK_INT(aliases(), 0);
	daemon_end();
}

TEST(writers_batch_forget)
{
	struct { struct fuse_batch_forget_in in; struct fuse_forget_one one[3]; } batch = { { 3, 0 } };

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
	as(0);
	a = open_ino(ino, WO);
	as(1);
	CHECK_STR(told(q_open(ino, WO)), "!ESTALE");
	daemon_kill_and_restart();
	alias = lookup(DIR_ROOT, "a.queue");
	CHECK(alias != ino);
	open_ino(alias, WO);
	CHECK_STR(f_put(&a, "x\n"), "2");
	threads_end();
	daemon_end();
}
