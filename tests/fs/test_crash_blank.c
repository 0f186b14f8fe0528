/* SPDX-License-Identifier: MIT */
/* Engine files that are made late, used again and dropped, with the worker dying everywhere. */
#include <unistd.h>

#include "crash.h"
#include "files.h"
#include "state/nodeid.h"
#include "wait/turn.h"

/* No file is left that nobody knows. */
static void no_others(unsigned int n)
{
	CHECK_INT(files_like("") - files_like("ready-"), n);
}

/* With a worker that lets nothing lie idle. */
static void at_once(void (*everywhere)(const struct crash *c), const struct crash *c)
{
	turn_idle_most = 0;
	everywhere(c);
	turn_idle_most = 64;
}

#undef CRASH
#undef CRASH_OLD
#define CRASH(id)                                                                                \
	static void setup_##id(void);                                                            \
	static void ask_##id(void);                                                              \
	static void verify_##id(void);                                                           \
	TEST(crash_##id)                                                                         \
	{                                                                                        \
		at_once(crash_everywhere, &(struct crash){ setup_##id, ask_##id, verify_##id }); \
	}
#define CRASH_OLD(id)                                                                            \
	TEST(crash_old_##id)                                                                     \
	{                                                                                        \
		at_once(crash_old_kernel, &(struct crash){ setup_##id, ask_##id, verify_##id }); \
	}

CRASH(first_open)

static void setup_first_open(void)
{
	make("a.queue");
	make("b.array");
}

static void ask_first_open(void)
{
	k.pid = (uint32_t)getpid(); /* who opens them lives */
	r1 = q_open(NODEID(2, 0), RO);
	r2 = q_open(NODEID(3, 0), BOTH);
}

static void verify_first_open(void)
{
	f1 = opened(r1, NODEID(2, 0), RO);
	f2 = opened(r2, NODEID(3, 0), BOTH);
	CHECK_STR(say("a.queue", "x\n"), "2");
	CHECK_STR(f_get(&f1), "x\n");
	CHECK_STR(f_put(&f2, "abc"), "3");
	no_others(3);
	f_close(&f1);
	f_close(&f2);
}

CRASH_OLD(first_open)

CRASH(first_setting)

static void setup_first_setting(void)
{
	make("a.queue");
	/* Its file is ready for the next one. */
	f1 = open_name("a.queue", BOTH);
	f_close(&f1);
	f2 = open_name("a.queue.ctl/maxsize", WO);
}

static void ask_first_setting(void)
{
	r1 = q_put(&f2, "3");
}

static void verify_first_setting(void)
{
	CHECK_STR(told(r1), "1");
	CHECK_STR(show_word("a.queue.ctl/maxsize"), "3");
	no_others(1);
}

CRASH(last_close)

static void setup_last_close(void)
{
	make("a.queue");
	make("b.array");
	f1 = open_name("a.queue", BOTH);
	f2 = open_name("b.array", BOTH);
}

static void ask_last_close(void)
{
	r1 = q_release(&f1);
	r2 = q_release(&f2);
}

static void verify_last_close(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(told(r2), "ok");
	CHECK_INT(size_of(NODEID(2, 0)), 0);
	CHECK_STR(say("a.queue", "x\n"), "2");
	CHECK_STR(show("a.queue.ctl/peek"), "x\n");
	CHECK_STR(say("b.array", "abc"), "3");
	CHECK_INT(size_of(NODEID(3, 0)), 3);
	no_others(3);
}

CRASH_OLD(last_close)

/* One falls back, and the next one has its file. */
CRASH(used_again)

static void setup_used_again(void)
{
	make("a.queue");
	make("b.queue");
	f1 = open_name("a.queue", BOTH);
}

static void ask_used_again(void)
{
	k.pid = (uint32_t)getpid();
	r1 = q_release(&f1);
	r2 = q_open(NODEID(3, 0), RO);
}

static void verify_used_again(void)
{
	CHECK_STR(told(r1), "ok");
	f2 = opened(r2, NODEID(3, 0), RO);
	CHECK_STR(say("b.queue", "b\n"), "2");
	CHECK_STR(say("a.queue", "a\n"), "2");
	CHECK_STR(show("a.queue.ctl/peek"), "a\n");
	CHECK_STR(f_get(&f2), "b\n");
	no_others(2);
	f_close(&f2);
}

CRASH(removed_to_be_used_again)

static void setup_removed_to_be_used_again(void)
{
	make("a.queue");
	CHECK_STR(say("a.queue", "a\n"), "2");
	make("b.queue");
}

static void ask_removed_to_be_used_again(void)
{
	k.pid = (uint32_t)getpid();
	r1 = q_unlink(DIR_ROOT, "a.queue");
	r2 = q_open(NODEID(3, 0), RO);
}

static void verify_removed_to_be_used_again(void)
{
	CHECK_STR(told(r1), "ok");
	f2 = opened(r2, NODEID(3, 0), RO);
	CHECK_INT(size_of(NODEID(3, 0)), 0);
	CHECK_STR(say("b.queue", "b\n"), "2");
	CHECK_STR(f_get(&f2), "b\n");
	no_others(1);
	f_close(&f2);
}

CRASH_OLD(removed_to_be_used_again)

/* Not in use any more, it keeps what it holds. */
CRASH(at_rest)

static void setup_at_rest(void)
{
	make("a.queue");
	f1 = open_name("a.queue", BOTH);
	for (int i = 0; i < 30; i++)
		CHECK_STR(f_put(&f1, "some message\n"), "13");
	for (int i = 0; i < 29; i++)
		CHECK_STR(f_get(&f1), "some message\n");
}

static void ask_at_rest(void)
{
	r1 = q_release(&f1);
}

static void verify_at_rest(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_INT(size_of(NODEID(2, 0)), 1);
	CHECK_STR(drain("a.queue"), "some message\n");
	no_others(1);
}

CRASH_OLD(at_rest)
