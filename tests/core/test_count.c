/* SPDX-License-Identifier: MIT */
/*
 * The fast count (count.h): when it comes into use, what it says of an object, and that whoever takes
 * the object's lock finds what it came to.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/file.h>

#include "object/count.h"
#include "object/damage.h"
#include "object/poll.h"
#include "test.h"

#define S(o)     (&(o)->h->b.sem)
#define E(o)     (&(o)->h->b.event)
#define STATE(w) ((w)&COUNT_ON)

static uint64_t *word_of(struct ipc_obj *o)
{
	return (uint64_t *)(void *)(o->base + o->ops->count.at);
}

/* What the word is while nobody has the object's lock. */
static uint64_t outside(struct ipc_obj *o)
{
	uint64_t word;

	obj_unlock(o);
	word = *word_of(o);
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(*word_of(o), COUNT_OFF);
	return word;
}

static struct ipc_obj *sem(int64_t permits, uint64_t bound)
{
	struct ipc_obj *o = obj_new(IPC_SEM);

	give(o, h_open(o), CMD_ADD, permits);
	ipc_setting64(o, &S(o)->bound, bound);
	return o;
}

TEST(count_only_of_semaphores_and_events)
{
	for (uint32_t type = IPC_QUEUE; type < IPC_TYPES; type++)
		CHECK_INT(ipc_type_of(type)->count.at != 0, type == IPC_SEM || type == IPC_EVENT);
}

TEST(count_of_permits)
{
	struct ipc_obj *o = sem(3, 0);
	uint64_t *p = word_of(o);
	ref_t h = h_open(o);

	obj_unlock(o);
	CHECK_INT(STATE(*p) == COUNT_ON, true);
	CHECK_INT(ipc_size(o), 3);
	CHECK(count_take(p) && count_take(p));
	CHECK_INT(ipc_size(o), 1);
	CHECK(count_take(p));
	CHECK(!count_take(p));
	CHECK(!count_some(p));
	CHECK_INT(ipc_size(o), 0);
	CHECK(count_give(p, 5));
	CHECK_INT(ipc_size(o), 5);
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(S(o)->value, 5);
	CHECK(!count_take(p) && !count_give(p, 1)); /* somebody has the lock */
	CHECK_STR(get(o, h), "1\n");
	CHECK_INT(give(o, h, CMD_ADD, 3), 0);
	obj_unlock(o);
	CHECK_INT(ipc_size(o), 7);
	CHECK(count_take(p));
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(ipc_size(o), 6);
}

TEST(count_keeps_the_bound)
{
	struct ipc_obj *o = sem(2, 3);
	uint64_t *p = word_of(o);

	obj_unlock(o);
	CHECK(!count_give(p, 2));
	CHECK(!count_give(p, UINT32_MAX));
	CHECK(count_give(p, 1));
	CHECK(!count_give(p, 1));
	CHECK(count_take(p) && count_take(p) && count_take(p) && !count_take(p));
	CHECK(!count_give(p, 4));
	CHECK(count_give(p, 3));
	CHECK(count_take(p));
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(S(o)->value, 2);
	obj_ok(o, "bounded");
	ipc_setting64(o, &S(o)->bound, 2); /* while the word was off: it goes by the new one */
	obj_unlock(o);
	CHECK(!count_give(p, 1));
	CHECK(count_take(p) && count_give(p, 1) && !count_give(p, 1));
	CHECK_INT(obj_lock(o, -1), 0);
}

TEST(count_has_its_limits)
{
	struct ipc_obj *o = sem(COUNT_MOST, 0);
	uint64_t *p = word_of(o);

	obj_unlock(o);
	CHECK(!count_give(p, 1));
	CHECK(count_take(p));
	CHECK(!count_give(p, UINT32_MAX));
	CHECK(count_give(p, 1));
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(S(o)->value, COUNT_MOST);
	ipc_setting64(o, &S(o)->value, COUNT_MOST + 1ull);
	CHECK_INT(outside(o), COUNT_OFF);
	ipc_setting64(o, &S(o)->value, 1);
	CHECK_INT(STATE(outside(o)) == COUNT_ON, true);
	ipc_setting64(o, &S(o)->bound, COUNT_MOST + 1ull);
	CHECK_INT(outside(o), COUNT_OFF);
	ipc_setting64(o, &S(o)->bound, COUNT_MOST);
	obj_unlock(o);
	CHECK(!count_give(p, COUNT_MOST));
	CHECK(count_give(p, COUNT_MOST - 1));
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(S(o)->value, COUNT_MOST);
}

TEST(count_only_when_a_permit_is_nobodys)
{
	struct ipc_obj *o = sem(3, 0);
	struct ipc_header *h = o->h;
	uint32_t *settings[] = { &S(o)->undo, &S(o)->jobserver, &S(o)->scope };
	uint32_t *counts[] = { &h->polls.count,     &h->waitqs[0].count, &h->waitqs[1].count,
			       &h->waitqs[2].count, &h->waitqs[3].count, &h->holds.count };
	ref_t a = h_open(o);

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		ipc_setting32(o, settings[i], 1);
		CHECK_INT(outside(o), COUNT_OFF);
		ipc_setting32(o, settings[i], 0);
		CHECK_INT(STATE(outside(o)) == COUNT_ON, true);
	}
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		*counts[i] = 1;
		CHECK_INT(outside(o), COUNT_OFF);
		*counts[i] = 0;
	}
	CHECK_INT(lock_it(o, a, LOCK_EX), 0);
	CHECK_INT(outside(o), COUNT_OFF);
	CHECK_INT(lock_it(o, a, LOCK_UN), 0);
	CHECK_INT(count_of(outside(o)), 3);
}

TEST(count_stays_off_while_somebody_waits)
{
	struct ipc_obj *o = sem(0, 0);
	ref_t a = h_open(o), b = h_open(o), w[2];

	w[0] = get_waits(o, a, OP_READ, 0);
	w[1] = get_waits(o, b, OP_READ, 100);
	CHECK_INT(outside(o), COUNT_OFF);
	CHECK_INT(give(o, a, CMD_ADD, 1), 0);
	CHECK_INT(outside(o), COUNT_OFF);
	CHECK_STR(finish(o, w[0]), "1\n");
	CHECK_INT(give(o, a, CMD_ADD, 2), 0);
	CHECK_INT(count_of(outside(o)), 1); /* the one that was granted has its own */
	CHECK_STR(finish(o, w[1]), "1\n");
}

TEST(count_of_an_event)
{
	struct ipc_obj *o = obj_new(IPC_EVENT);
	uint64_t *p = word_of(o);
	ref_t h = h_open(o), w;

	obj_unlock(o);
	CHECK(!count_some(p));
	CHECK_INT(ipc_size(o), 0);
	CHECK(count_set(p, 0) && !count_some(p));
	CHECK(count_set(p, 1) && count_some(p));
	CHECK(count_set(p, 1));
	CHECK_INT(ipc_size(o), 1);
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(E(o)->set, 1);
	CHECK(!count_set(p, 0) && !count_set(p, 1) && !count_some(p));
	CHECK_STR(get(o, h), "1\n");
	obj_unlock(o);
	CHECK(count_set(p, 0));
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(E(o)->set, 0);
	w = get_waits(o, h, OP_READ, 100);
	CHECK_INT(outside(o), COUNT_OFF); /* who sets it has to grant it */
	CHECK_INT(give(o, h, CMD_SET, 0), 0);
	CHECK_STR(finish(o, w), "1\n");
	CHECK_INT(count_of(outside(o)), 1);
}

/* Whoever polls is to be told of a change; but a set event lets all go. */
TEST(count_of_an_event_that_is_polled)
{
	struct ipc_obj *o = obj_new(IPC_EVENT);
	uint64_t *p = word_of(o);
	ref_t h = h_open(o);

	ipc_poll_asked(o, h, 7, POLLIN, 0);
	CHECK_INT(outside(o), COUNT_OFF);
	CHECK_INT(give(o, h, CMD_SET, 0), 0);
	obj_unlock(o);
	CHECK(count_some(p));
	CHECK_INT(ipc_size(o), 1);
	CHECK(!count_set(p, 0) && !count_set(p, 1));
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(E(o)->set, 1);
	ipc_poll_gone(o, h);
	CHECK_INT(STATE(outside(o)) == COUNT_ON, true);
}

/* Who brought the object up to date died: before it was, and after. */
TEST(count_frozen)
{
	struct ipc_obj *o = sem(3, 0);
	uint64_t *p = word_of(o);

	obj_unlock(o);
	CHECK(count_take(p));
	count_freeze(p);
	CHECK(!count_take(p) && !count_give(p, 1));
	CHECK_INT(ipc_size(o), 2);
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(S(o)->value, 2);
	*p = COUNT_FROZEN | (uint64_t)COUNT_MOST << COUNT_ROOM | 2;
	obj_unlock(o);
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(S(o)->value, 2);
	CHECK_INT(*p, COUNT_OFF);
}

/* A file that is taken for damaged: nobody goes by the word, and what it said is not lost. */
TEST(count_of_a_damaged_object)
{
	struct ipc_obj *o = sem(3, 0), *other = obj_again(o);
	uint64_t *p = word_of(o);

	obj_unlock(o);
	CHECK(count_take(p));
	damage_mark(other);
	CHECK(!count_take(p) && !count_give(p, 1));
	CHECK_INT(obj_lock(o, -1), -EIO);
	o->damage = NULL;
	damage_unmark(o);
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(S(o)->value, 2);
}

/* Whatever is in the word, the check says what it came to. */
TEST(count_nonsense)
{
	struct ipc_obj *o = sem(2, 3), *e = obj_new(IPC_EVENT);
	struct ipc_check k;

	obj_unlock(o);
	*word_of(o) = COUNT_ON | 4;
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(ipc_check(o, &k), -EIO);
	ipc_setting64(o, &S(o)->value, 2);
	obj_unlock(e);
	*word_of(e) = COUNT_ON | 2;
	CHECK_INT(obj_lock(e, -1), 0);
	CHECK_INT(ipc_check(e, &k), -EIO);
	ipc_setting64(e, &E(e)->set, 1);
}
