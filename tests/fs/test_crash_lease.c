/* SPDX-License-Identifier: MIT */
/* Leases, acks and dead letters, with the worker dying everywhere. */
#include "crash.h"

static void queue_with_leases(void)
{
	make("a.queue");
	CHECK_STR(say("a.queue.ctl/max_attempts", "1"), "1");
	f1 = open_name("a.queue", WO);
	f2 = open_name("a.queue.ctl/lease", RO);
	CHECK_STR(f_put(&f1, "one\ntwo\nthree\n"), "14");
	CHECK_STR(told(q_read_at(&f2, 100, 0)), "1\tone\n");
	CHECK_STR(told(q_read_at(&f2, 100, 6)), "2\ttwo\n");
}

CRASH(lease)

static void setup_lease(void)
{
	queue_with_leases();
	f3 = open_name("a.queue.ctl/lease", RO);
}

static void ask_lease(void)
{
	r1 = q_read(&f3);
}

static void verify_lease(void)
{
	CHECK_STR(told(r1), "3\tthree\n");
	CHECK_STR(drain("a.queue"), "");
	CHECK_STR(say("a.queue.ctl/ack", "1\n2\n3\n"), "6");
	CHECK_STR(show_word("a.queue.ctl/unfinished"), "0");
}

CRASH_OLD(lease)

CRASH(lease_granted)

static void setup_lease_granted(void)
{
	queue_with_leases();
	f3 = open_name("a.queue.ctl/lease", RO);
	CHECK_STR(f_get(&f3), "3\tthree\n");
	r2 = q_read_at(&f3, 100, 8);
}

static void ask_lease_granted(void)
{
	r1 = q_put(&f1, "four\n");
}

static void verify_lease_granted(void)
{
	CHECK_STR(told(r1), "5");
	CHECK_STR(told(r2), "4\tfour\n");
	f_release(&f3);
	f_release(&f2);
	CHECK_STR(drain("a.queue"), "");
	CHECK_STR(show("a.queue.ctl/dead"), "3\tthree\n4\tfour\n1\tone\n2\ttwo\n");
	CHECK_STR(show_word("a.queue.ctl/unfinished"), "0");
}

CRASH(ack)

static void setup_ack(void)
{
	queue_with_leases();
	f3 = open_name("a.queue.ctl/ack", WO);
}

static void ask_ack(void)
{
	r1 = q_put(&f3, "2\n");
}

static void verify_ack(void)
{
	CHECK_STR(told(r1), "2");
	CHECK_STR(show_word("a.queue.ctl/unfinished"), "2");
	CHECK_STR(say("a.queue.ctl/ack", "2"), "!EINVAL");
	CHECK_STR(say("a.queue.ctl/ack", "1"), "1");
}

CRASH_OLD(ack)

/* Several commands in one write: none of them twice. */
CRASH(ack_many)

static void setup_ack_many(void)
{
	setup_ack();
}

static void ask_ack_many(void)
{
	r1 = q_put(&f3, "2\n1\n");
}

static void verify_ack_many(void)
{
	CHECK_STR(told(r1), "4");
	CHECK_STR(show_word("a.queue.ctl/unfinished"), "1");
	CHECK_STR(drain("a.queue"), "three\n");
}

CRASH_OLD(ack_many)

CRASH(nack)

static void setup_nack(void)
{
	queue_with_leases();
	CHECK_STR(say("a.queue.ctl/max_attempts", "0"), "1");
	f3 = open_name("a.queue.ctl/nack", WO);
}

static void ask_nack(void)
{
	r1 = q_put(&f3, "1");
}

static void verify_nack(void)
{
	CHECK_STR(told(r1), "1");
	CHECK_STR(drain("a.queue"), "three\none\n");
	CHECK_STR(show_word("a.queue.ctl/unfinished"), "3");
}

CRASH_OLD(nack)

CRASH(nack_later)

static void setup_nack_later(void)
{
	setup_nack();
}

static void ask_nack_later(void)
{
	r1 = q_put(&f3, "2 1000\n1 0\n");
}

static void verify_nack_later(void)
{
	CHECK_STR(told(r1), "11");
	CHECK_STR(show_word("a.queue.ctl/delayed"), "1");
	CHECK_STR(drain("a.queue"), "three\none\n");
	CHECK_STR(show_word("a.queue.ctl/unfinished"), "3");
	f_release(&f2); /* it does not come back with its handle */
	CHECK_STR(drain("a.queue"), "");
}

CRASH_OLD(nack_later)

CRASH(touch)

static void setup_touch(void)
{
	queue_with_leases();
	f3 = open_name("a.queue.ctl/touch", WO);
}

static void ask_touch(void)
{
	r1 = q_put(&f3, "1\n");
}

static void verify_touch(void)
{
	CHECK_STR(told(r1), "2");
	f_release(&f2);
	CHECK_STR(show("a.queue.ctl/dead"), "2\ttwo\n1\tone\n"); /* it is the younger one */
}

CRASH_OLD(touch)

CRASH(ttr)

static void setup_ttr(void)
{
	setup_nack();
	f4 = open_name("a.queue.ctl/ttr", WO);
}

static void ask_ttr(void)
{
	r1 = q_put(&f4, "0.000000001\n");
}

static void verify_ttr(void)
{
	CHECK_STR(told(r1), "12");
	CHECK_STR(show("a.queue.ctl/leased"), "");
	CHECK_STR(drain("a.queue"), "three\none\ntwo\n");
	CHECK_STR(say("a.queue.ctl/ack", "1"), "!EINVAL");
	CHECK_STR(show_word("a.queue.ctl/unfinished"), "3");
}

CRASH_OLD(ttr)

CRASH(remove_many)

static void setup_remove_many(void)
{
	make("a.queue");
	f1 = open_name("a.queue", WO);
	f2 = open_name("a.queue.ctl/lease", RO);
	CHECK_STR(f_put(&f1, "one\ntwo\nthree\n"), "14");
	CHECK_STR(told(q_read_at(&f2, 100, 0)), "1\tone\n");
	CHECK_STR(say("a.queue.ctl/nack", "1 1000"), "6");
	f3 = open_name("a.queue.ctl/remove", WO);
}

static void ask_remove_many(void)
{
	r1 = q_put(&f3, "3\n1\n");
}

static void verify_remove_many(void)
{
	CHECK_STR(told(r1), "4");
	CHECK_STR(show_word("a.queue.ctl/delayed"), "0");
	CHECK_STR(show_word("a.queue.ctl/unfinished"), "1");
	CHECK_STR(say("a.queue.ctl/remove", "3"), "!EINVAL");
	CHECK_STR(drain("a.queue"), "two\n");
}

CRASH_OLD(remove_many)

CRASH(front)

static void setup_front(void)
{
	make("a.queue");
	CHECK_STR(say("a.queue", "one\n"), "4");
	f1 = open_name("a.queue.ctl/front", WO);
}

static void ask_front(void)
{
	r1 = q_put(&f1, "two\nthree\n");
	r2 = q_release(&f1);
}

static void verify_front(void)
{
	CHECK_STR(told(r1), "10");
	CHECK_STR(drain("a.queue"), "three\ntwo\none\n");
	CHECK_STR(show_word("a.queue.ctl/unfinished"), "3");
}

CRASH_OLD(front)

CRASH(front_in_a_full_queue)

static void setup_front_in_a_full_queue(void)
{
	setup_front();
	CHECK_STR(say("a.queue.ctl/maxsize", "1"), "1");
	f2 = open_name("a.queue", RO);
	r1 = q_put(&f1, "two\n");
}

static void ask_front_in_a_full_queue(void)
{
	r2 = q_read(&f2);
}

static void verify_front_in_a_full_queue(void)
{
	CHECK_STR(told(r2), "one\n");
	CHECK_STR(told(r1), "4");
	CHECK_STR(drain("a.queue"), "two\n");
}

CRASH(later)

static void setup_later(void)
{
	make("a.queue");
	f1 = open_name("a.queue.ctl/later", WO);
}

static void ask_later(void)
{
	r1 = q_put(&f1, "2000\ttwo\n1000\tone\n0\tnow\n");
	r2 = q_put(&f1, "3000");
	r3 = q_put(&f1, "\tthree");
	r4 = q_release(&f1);
}

static void verify_later(void)
{
	CHECK_STR(told(r1), "24");
	CHECK_STR(told(r3), "6");
	CHECK_STR(drain("a.queue"), "now\n");
	CHECK_STR(show_word("a.queue.ctl/delayed"), "3");
	CHECK_STR(show_word("a.queue.ctl/unfinished"), "4");
	CHECK_STR(say("a.queue.ctl/remove", "1\n2\n4\n"), "6");
}

CRASH_OLD(later)

CRASH(done_many)

static void setup_done_many(void)
{
	queue_with_leases();
	f3 = open_name("a.queue.ctl/done", WO);
	f4 = open_name("a.queue.ctl/join", RO);
	r2 = q_read(&f4);
}

static void ask_done_many(void)
{
	r1 = q_put(&f3, "1\n1\n");
}

static void verify_done_many(void)
{
	CHECK_STR(told(r1), "4");
	CHECK_STR(show_word("a.queue.ctl/unfinished"), "1");
	CHECK_STR(told(r2), "!WAITS");
	CHECK_STR(say("a.queue.ctl/done", "1"), "1");
	CHECK_STR(told(r2), "0\n");
}

static void dead_letters(void)
{
	queue_with_leases();
	CHECK_STR(say("a.queue.ctl/nack", "1\n2\n"), "4");
	CHECK_STR(show("a.queue.ctl/dead"), "1\tone\n2\ttwo\n");
	CHECK_STR(show_word("a.queue.ctl/unfinished"), "1");
}

CRASH(revive)

static void setup_revive(void)
{
	dead_letters();
	f3 = open_name("a.queue.ctl/revive", WO);
}

static void ask_revive(void)
{
	r1 = q_put(&f3, "2");
}

static void verify_revive(void)
{
	CHECK_STR(told(r1), "1");
	CHECK_STR(show("a.queue.ctl/dead"), "1\tone\n");
	CHECK_STR(drain("a.queue"), "three\ntwo\n");
	CHECK_STR(show_word("a.queue.ctl/unfinished"), "2");
}

CRASH_OLD(revive)

CRASH(revive_all)

static void setup_revive_all(void)
{
	setup_revive();
}

static void ask_revive_all(void)
{
	r1 = q_put(&f3, "all\n");
}

static void verify_revive_all(void)
{
	CHECK_STR(told(r1), "4");
	CHECK_STR(show("a.queue.ctl/dead"), "");
	CHECK_STR(drain("a.queue"), "three\none\ntwo\n");
	CHECK_STR(show_word("a.queue.ctl/unfinished"), "3");
}

CRASH_OLD(revive_all)

CRASH(discard)

static void setup_discard(void)
{
	dead_letters();
	f3 = open_name("a.queue.ctl/discard", WO);
}

static void ask_discard(void)
{
	r1 = q_put(&f3, "1");
}

static void verify_discard(void)
{
	CHECK_STR(told(r1), "1");
	CHECK_STR(show("a.queue.ctl/dead"), "2\ttwo\n");
}

CRASH_OLD(discard)

/* What is thrown away makes room for a writer that waits for memory: its record must not hide ours. */
static char big[60001];

CRASH(discard_makes_room)

static void setup_discard_makes_room(void)
{
	char id[8];

	make("a.queue");
	CHECK_STR(say("a.queue.ctl/max_attempts", "1"), "1");
	f1 = open_name("a.queue", WO);
	f2 = open_name("a.queue.ctl/lease", RO);
	f3 = open_name("a.queue.ctl/discard", WO);
	memset(big, 'b', sizeof(big) - 2);
	big[sizeof(big) - 2] = '\n';
	CHECK_STR(say(".ctl/limits/memory", "1M"), "2");
	for (unsigned int i = 1; i <= 4; i++) {
		CHECK_STR(f_put(&f1, big), "60000");
		CHECK_INT(k_answer(q_read_at(&f2, 65536, 100000 * i))->len, 60002);
		snprintf(id, sizeof(id), "%u", i);
		CHECK_STR(say("a.queue.ctl/nack", id), "1");
	}
	do {
		r1 = q_put(&f1, big);
	} while (!strcmp(told(r1), "60000"));
	CHECK_STR(told(r1), "!WAITS");
}

static void ask_discard_makes_room(void)
{
	r2 = q_put(&f3, "2\n3\n");
}

static void verify_discard_makes_room(void)
{
	CHECK_STR(told(r2), "4");
	CHECK_STR(told(r1), "60000");
	CHECK_STR(say("a.queue.ctl/discard", "2"), "!EINVAL");
	CHECK_STR(say("a.queue.ctl/discard", "3"), "!EINVAL");
	CHECK_STR(say("a.queue.ctl/discard", "1\n4\n"), "4");
}

/* Two that would wait for each other: the queue is closed, and both see the end. */
CRASH(end_of_prefetchers)

static void setup_end_of_prefetchers(void)
{
	queue_with_leases();
	CHECK_STR(drain("a.queue"), "three\n");
	CHECK_STR(f_put(&f1, "four\n"), "5");
	f3 = open_name("a.queue.ctl/lease", RO);
	CHECK_STR(f_get(&f3), "4\tfour\n");
	f4 = open_name("a.queue.ctl/closed", WO);
	r2 = q_read_at(&f2, 100, 12);
	r3 = q_read_at(&f3, 100, 7);
}

static void ask_end_of_prefetchers(void)
{
	r1 = q_put(&f4, "1");
}

static void verify_end_of_prefetchers(void)
{
	CHECK_STR(told(r1), "1");
	CHECK_STR(told(r2), "");
	CHECK_STR(told(r3), "");
	CHECK_STR(say("a.queue.ctl/ack", "1\n2\n4\n"), "6");
}
