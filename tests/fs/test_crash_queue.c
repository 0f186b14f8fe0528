/* SPDX-License-Identifier: MIT */
/* Queues and pipes, with the worker dying everywhere. */
#include "crash.h"

CRASH(put)

static void setup_put(void)
{
	make("a.queue");
	f1 = open_name("a.queue", WO);
}

static void ask_put(void)
{
	r1 = q_put(&f1, "one\ntwo\nthr");
}

static void verify_put(void)
{
	CHECK_STR(told(r1), "11");
	CHECK_STR(f_put(&f1, "ee\n"), "3");
	CHECK_STR(drain("a.queue"), "one\ntwo\nthree\n");
	CHECK_STR(show_word("a.queue.ctl/unfinished"), "3");
}

CRASH_OLD(put)

CRASH(put_to_readers)

static void setup_put_to_readers(void)
{
	make("a.queue");
	f1 = open_name("a.queue", WO);
	f2 = open_name("a.queue", RO);
	f3 = open_name("a.queue", BOTH);
	r2 = q_read(&f2);
	r3 = q_read(&f3);
}

static void ask_put_to_readers(void)
{
	r1 = q_put(&f1, "one\ntwo\nthree\n");
}

static void verify_put_to_readers(void)
{
	CHECK_STR(told(r1), "14");
	CHECK_STR(told(r2), "one\n");
	CHECK_STR(told(r3), "two\n");
	CHECK_STR(drain("a.queue"), "three\n");
}

/* A write of 300 lines is several changes. */
static char lines[8192];

CRASH(put_many)

static void setup_put_many(void)
{
	make("a.queue");
	f1 = open_name("a.queue", WO);
	*lines = 0;
	for (int i = 0; i < 40; i++)
		sprintf(lines + strlen(lines), "line %d\n", i);
}

static void ask_put_many(void)
{
	r1 = q_put(&f1, lines);
}

static void verify_put_many(void)
{
	CHECK_INT(atoi(told(r1)), (int)strlen(lines));
	CHECK_STR(drain("a.queue"), lines);
}

CRASH_OLD(put_many)

/* Larger than a heap block, so that it takes several changes to put and to free. */
static char record[100001];

CRASH(put_large_record)

static void setup_put_large_record(void)
{
	make("a.queue");
	f1 = open_name("a.queue", WO | O_DIRECT);
	f2 = open_name("a.queue", BOTH | O_DIRECT);
	for (size_t i = 0; i < sizeof(record) - 1; i++)
		record[i] = (char)('a' + i % 26);
}

static void ask_put_large_record(void)
{
	r1 = q_put(&f1, record);
	r2 = q_read_at(&f2, 131072, 0);
	r3 = q_put(&f1, "next");
}

static void verify_put_large_record(void)
{
	CHECK_STR(told(r1), "100000");
	CHECK_STR(told(r2), record);
	CHECK_STR(told(r3), "4");
	CHECK_STR(drain("a.queue"), "next\n");
}

CRASH_OLD(put_large_record)

/* A writer that waits, and readers that make room, one line at a time. */
CRASH(put_half_way)

static void setup_put_half_way(void)
{
	make("a.queue");
	CHECK_STR(say("a.queue.ctl/maxsize", "1"), "1");
	f1 = open_name("a.queue", WO);
	f2 = open_name("a.queue", BOTH);
	f3 = open_name("a.queue", WO);
	r1 = q_put(&f1, "a1\na2\na3\n");
	r2 = q_put(&f3, "b1\n");
}

static void ask_put_half_way(void)
{
	r3 = q_read(&f2);
	r4 = q_read(&f2);
}

static void verify_put_half_way(void)
{
	CHECK_STR(told(r3), "a1\n");
	CHECK_STR(told(r4), "a2\n");
	CHECK_STR(told(r1), "9");
	CHECK_STR(told(r2), "!WAITS");
	CHECK_STR(f_get(&f2), "a3\n");
	CHECK_STR(told(r2), "3");
	CHECK_STR(drain("a.queue"), "b1\n");
}

CRASH(put_interrupted)

static void setup_put_interrupted(void)
{
	setup_put_half_way();
	CHECK_STR(f_get(&f2), "a1\n");
}

static void ask_put_interrupted(void)
{
	interrupt(r1);
}

static void verify_put_interrupted(void)
{
	CHECK_STR(told(r1), "6");
	CHECK_STR(f_get(&f2), "a2\n");
	CHECK_STR(told(r2), "3");
	CHECK_STR(drain("a.queue"), "b1\n");
}

/* ---- getting ---- */

CRASH(get)

static void setup_get(void)
{
	make("a.queue");
	f1 = open_name("a.queue", WO);
	f2 = open_name("a.queue", RO);
	f3 = open_name("a.queue", BOTH);
	CHECK_STR(f_put(&f1, "one\ntwo\nthree\n"), "14");
}

static void ask_get(void)
{
	r1 = q_read(&f2);
	r2 = q_read(&f3);
}

static void verify_get(void)
{
	CHECK_STR(told(r1), "one\n");
	CHECK_STR(told(r2), "two\n");
	CHECK_STR(drain("a.queue"), "three\n");
}

CRASH_OLD(get)

/* Byte by byte: the rest of the message stays the handle's, whenever the worker dies. */
CRASH(get_in_parts)

static void setup_get_in_parts(void)
{
	setup_get();
}

static void ask_get_in_parts(void)
{
	r1 = q_read_at(&f2, 2, 0);
	r2 = q_read_at(&f3, 1, 0);
}

static void verify_get_in_parts(void)
{
	CHECK_STR(told(r1), "on");
	CHECK_STR(told(r2), "t");
	CHECK_STR(told(q_read_at(&f2, 10, 2)), "e\n");
	CHECK_STR(told(q_read_at(&f2, 10, 1)), "ne\n"); /* it seeks back */
	CHECK_STR(told(q_read_at(&f3, 10, 0)), "wo\n");
	CHECK_STR(drain("a.queue"), "three\n");
}

CRASH_OLD(get_in_parts)

CRASH(get_in_parts_after_waiting)

static void setup_get_in_parts_after_waiting(void)
{
	make("a.queue");
	f1 = open_name("a.queue", WO);
	f2 = open_name("a.queue", RO);
	f3 = open_name("a.queue", BOTH);
	r1 = q_read_at(&f2, 2, 0);
	r2 = q_read_at(&f3, 1, 0);
	r3 = q_read_at(&f3, 1, 0);
}

static void ask_get_in_parts_after_waiting(void)
{
	r4 = q_put(&f1, "one\ntwo\nthree\nfour\n");
}

static void verify_get_in_parts_after_waiting(void)
{
	CHECK_STR(told(r4), "19");
	CHECK_STR(told(r1), "on");
	CHECK_STR(told(r2), "t");
	CHECK_STR(told(r3), "t");
	CHECK_STR(told(q_read_at(&f2, 10, 2)), "e\n");
	/* Two that wait at once have no order. */
	r1 = q_read_at(&f3, 10, 0);
	r2 = q_read_at(&f3, 10, 0);
	if (!strcmp(told(r1), "wo\n")) {
		CHECK_STR(told(r2), "hree\n");
	} else {
		CHECK_STR(told(r1), "hree\n");
		CHECK_STR(told(r2), "wo\n");
	}
	CHECK_STR(drain("a.queue"), "four\n");
}

CRASH(stream)

static void setup_stream(void)
{
	setup_get();
	f4 = open_name("a.queue.ctl/stream", RO);
}

static void ask_stream(void)
{
	r1 = q_read_at(&f4, 9, 0);
}

static void verify_stream(void)
{
	CHECK_STR(told(r1), "one\ntwo\n");
	CHECK_STR(told(q_read_at(&f4, 4096, 8)), "three\n");
}

CRASH_OLD(stream)

/* ---- read in part, and closed ---- */

CRASH(close_in_part)

static void setup_close_in_part(void)
{
	setup_get();
	CHECK_STR(told(q_read_at(&f2, 2, 0)), "on");
	CHECK_STR(told(q_read_at(&f3, 1, 0)), "t");
}

static void ask_close_in_part(void)
{
	r1 = q_release(&f3);
	r2 = q_release(&f2);
}

static void verify_close_in_part(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(told(r2), "ok");
	CHECK_STR(drain("a.queue"), "one\ntwo\nthree\n");
	CHECK_STR(show_word("a.queue.ctl/unfinished"), "3");
}

CRASH_OLD(close_in_part)

CRASH(close_at_the_last_attempt)

static void setup_close_at_the_last_attempt(void)
{
	setup_get();
	CHECK_STR(say("a.queue.ctl/max_attempts", "1"), "1");
	CHECK_STR(told(q_read_at(&f2, 2, 0)), "on");
}

static void ask_close_at_the_last_attempt(void)
{
	r1 = q_release(&f2);
}

static void verify_close_at_the_last_attempt(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(drain("a.queue"), "two\nthree\n");
	CHECK_STR(show("a.queue.ctl/dead"), "1\tone\n");
	CHECK_STR(show_word("a.queue.ctl/unfinished"), "2");
}

CRASH_OLD(close_at_the_last_attempt)

/* What somebody waits for goes to him. */
CRASH(close_for_a_reader)

static void setup_close_for_a_reader(void)
{
	make("a.queue");
	f1 = open_name("a.queue", WO);
	f2 = open_name("a.queue", RO);
	f3 = open_name("a.queue", BOTH);
	CHECK_STR(f_put(&f1, "one\n"), "4");
	CHECK_STR(told(q_read_at(&f2, 2, 0)), "on");
	r2 = q_read_at(&f3, 2, 0);
}

static void ask_close_for_a_reader(void)
{
	r1 = q_release(&f2);
}

static void verify_close_for_a_reader(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(told(r2), "on");
	CHECK_STR(drain("a.queue"), "");
	f_release(&f3);
	CHECK_STR(drain("a.queue"), "one\n");
}

/* It seeks to before what it has read a part of: that is there once, and comes again. */
CRASH(begin_anew)

static void setup_begin_anew(void)
{
	setup_get();
	CHECK_STR(told(q_read_at(&f2, 2, 100)), "on");
}

static void ask_begin_anew(void)
{
	r1 = q_read_at(&f2, 2, 0);
	r2 = q_read_at(&f2, 2, 2);
	r3 = q_read(&f3);
}

static void verify_begin_anew(void)
{
	CHECK_STR(told(r1), "on");
	CHECK_STR(told(r2), "e\n");
	CHECK_STR(told(r3), "two\n");
	f_release(&f2);
	CHECK_STR(drain("a.queue"), "three\n");
}

/* All of it was given out, and then a part once more: taken, whenever the worker dies. */
CRASH(seek_back_and_close)

static void setup_seek_back_and_close(void)
{
	setup_get();
	CHECK_STR(f_get(&f2), "one\n");
}

static void ask_seek_back_and_close(void)
{
	r1 = q_read_at(&f2, 2, 0);
	r2 = q_release(&f2);
}

static void verify_seek_back_and_close(void)
{
	CHECK_STR(told(r1), "on");
	CHECK_STR(told(r2), "ok");
	CHECK_STR(drain("a.queue"), "two\nthree\n");
}

CRASH_OLD(seek_back_and_close)
