/* SPDX-License-Identifier: MIT */
/* A copy of a queue's messages, and putting them back: types/saved.h. */
#include "object/msg.h"
#include "object/stats.h"
#include "test.h"
#include "types/queue.h"
#include "types/saved.h"

#define Q(o) (&(o)->h->b.queue)

struct kept {
	struct saved_message m[16];
	char text[16][16];
	unsigned int n;
};

static void keep(void *arg, struct ipc_obj *o, const struct saved_message *m)
{
	struct kept *k = arg;

	CHECK(k->n < 16);
	msg_copy(o, m->msg, m->skip, k->text[k->n], sizeof(k->text[0]) - 1);
	k->m[k->n++] = *m;
}

/* 4 and 5 wait, 1 is dead, 2 is delayed, 3 is leased. */
static struct ipc_obj *each_place(void)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0);

	put(o, h, "one\ntwo\nthree\nfour\nfive\n");
	CHECK_STR(get(o, l), "1\tone\n");
	Q(o)->max_attempts = 1;
	CHECK_INT(ipc_nack(o, 1, 1, 0), 0);
	Q(o)->max_attempts = 0;
	CHECK_STR(get(o, l), "2\ttwo\n");
	CHECK_INT(ipc_nack(o, 2, 2, 1000000000000), 0);
	CHECK_STR(get(o, l), "3\tthree\n");
	return o;
}

TEST(saved_has_every_message_once)
{
	static const char *const texts[] = { "one", "two", "four", "five", "three" };
	static const enum saved_place places[] = { SAVED_DEAD, SAVED_DELAYED, SAVED_WAITING,
						   SAVED_WAITING, SAVED_WAITING };
	struct ipc_obj *o = each_place();
	struct saved_counts counts;
	struct kept k = { .n = 0 };

	saved_each(o, keep, &k);
	CHECK_INT(k.n, 5);
	for (unsigned int i = 0; i < k.n; i++) {
		CHECK_STR(k.text[i], texts[i]);
		CHECK_INT(k.m[i].place, places[i]);
		CHECK_INT(k.m[i].due != 0, places[i] == SAVED_DELAYED);
	}
	CHECK_INT(k.m[4].attempts, 1);
	saved_counts(o, &counts);
	CHECK_INT(counts.unfinished, 4);
	CHECK_INT(counts.last_id, 5);
}

TEST(saved_is_restored)
{
	struct ipc_obj *o = each_place(), *p = obj_new(IPC_QUEUE);
	struct kept k = { .n = 0 }, again = { .n = 0 };
	ref_t h = h_open(p), l = h_new(p, HANDLE_LEASE, R, 0);
	struct saved_counts counts, same;
	struct ipc_counts stats;

	saved_each(o, keep, &k);
	saved_counts(o, &counts);
	for (unsigned int i = 0; i < k.n; i++) {
		char line[20];

		snprintf(line, sizeof(line), "%s\n", k.text[i]);
		put(p, h, line);
		CHECK_INT(saved_restore(p, &k.m[i]), 0);
		obj_ok(p, "restored");
	}
	saved_restore_counts(p, &counts);
	obj_ok(p, "counted");
	saved_each(p, keep, &again);
	saved_counts(p, &same);
	CHECK_INT(again.n, k.n);
	for (unsigned int i = 0; i < k.n; i++) {
		const struct saved_message *m = &k.m[i], *n = &again.m[i];

		CHECK_STR(again.text[i], k.text[i]);
		CHECK(m->place == n->place && m->id == n->id && m->attempts == n->attempts &&
		      m->since == n->since && m->due == n->due);
	}
	CHECK(same.unfinished == counts.unfinished && same.last_id == counts.last_id);
	ipc_counts(p, &stats);
	CHECK_INT(stats.puts, 5);
	CHECK_INT(stats.gets, 1); /* what is not there: the dead letter */
	CHECK_INT(ipc_revive(p, 1, 1, false), 0);
	CHECK_STR(get(p, l), "4\tfour\n");
	put(p, h, "new\n");
	CHECK_INT(queue_last_id(p), 6);
	obj_ok(p, "used");
}

/* Whatever a copy says, the object is sound. */
TEST(saved_nonsense_is_not_believed)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE), *p = obj_new(IPC_PIPE);
	ref_t h = h_open(o);
	struct saved_message m = { .place = SAVED_DEAD, .id = UINT64_MAX, .attempts = UINT64_MAX };
	struct saved_counts none = { .unfinished = 0, .last_id = 0 };

	CHECK_INT(saved_restore(o, &m), -EINVAL); /* there is none */
	CHECK_INT(saved_restore(p, &m), -EINVAL);
	put(o, h, "a\nb\n");
	CHECK_INT(saved_restore(o, &m), -EINVAL); /* not alone */
	m.place = SAVED_WAITING;
	CHECK_INT(saved_restore(o, &m), 0);
	saved_restore_counts(o, &none);
	obj_ok(o, "nonsense");
	CHECK_INT(Q(o)->unfinished, 2);
	CHECK_INT(queue_last_id(o), 2);
}

TEST(saved_pipes_both_ways)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t h = h_open(o);
	struct kept k = { .n = 0 };

	put(o, h, "some bytes");
	saved_each(o, keep, &k);
	CHECK_INT(k.n, 1);
	CHECK_INT(k.m[0].place, SAVED_BYTES);
	CHECK_STR(k.text[0], "some bytes");
}
