/* SPDX-License-Identifier: MIT */
/*
 * The fast word (fast.h): when it comes into use, what becomes of a lock that is held by it, and the
 * block that is put aside for that. And wake-ups that are collected, but not made.
 */
#define _GNU_SOURCE
#include <sys/file.h>

#include "file/heap.h"
#include "object/completion.h"
#include "object/waiter.h"
#include "object/fast.h"
#include "object/wake.h"
#include "test.h"

#define S(o) (&(o)->h->b.sem)
#define FOR_EACH_KIND(kind)                                           \
	for (const uint32_t *kind##_p = kinds; *kind##_p; kind##_p++) \
		for (uint32_t kind = *kind##_p, kind##_n = 0; kind##_n < 1; kind##_n++)

static const uint32_t kinds[] = { IPC_LOCK, IPC_RLOCK, IPC_COND, IPC_VALUE, IPC_ARRAY, 0 };

/* With some memory: in a new file there is no page for the block to spare. */
static struct ipc_obj *direct(uint32_t type)
{
	struct ipc_obj *o = obj_new(type);

	while (o->h->pages < 16)
		CHECK_INT(heap_grow(o, true), 0);
	S(o)->direct = 1;
	return o;
}

static uint64_t me(struct ipc_obj *o, ref_t h)
{
	return fast_holder(h, handle_at(o, h)->gen);
}

static bool is_permit(const struct ipc_obj *o)
{
	return o->type == IPC_LOCK || o->type == IPC_RLOCK;
}

/* What the word is while nobody has the object's lock. */
static uint64_t outside(struct ipc_obj *o)
{
	uint64_t word;

	obj_unlock(o);
	word = S(o)->fast;
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(S(o)->fast, FAST_OFF);
	return word;
}

/* Take the lock by the word, as a direct client does; the object is unlocked then. */
static void take_fast(struct ipc_obj *o, ref_t h)
{
	if (o->locked)
		obj_unlock(o);
	CHECK_INT(S(o)->fast, FAST_FREE);
	CHECK(fast_take(S(o), me(o, h)));
	S(o)->fast_tid = 4321;
}

TEST(fast_only_for_locks)
{
	for (uint32_t type = IPC_QUEUE; type < IPC_TYPES; type++) {
		bool lock = false;

		FOR_EACH_KIND(kind)
		lock |= kind == type;
		CHECK_INT(ipc_type_of(type)->leaving == fast_leaving, lock);
		CHECK_INT(ipc_type_of(type)->entered == fast_entered, lock);
	}
}

TEST(fast_needs_a_direct_client)
{
	FOR_EACH_KIND(kind)
	{
		struct ipc_obj *o = direct(kind);

		S(o)->direct = 0;
		CHECK_INT(outside(o), FAST_OFF);
		CHECK_INT(S(o)->spare, 0);
		S(o)->direct = 1;
		CHECK_INT(outside(o), FAST_FREE);
		CHECK(S(o)->spare);
		obj_ok(o, "with a block put aside");
	}
}

TEST(fast_only_when_quiet)
{
	FOR_EACH_KIND(kind)
	{
		struct ipc_obj *o = direct(kind);
		struct ipc_header *h = o->h;
		uint32_t *counts[] = {
			&h->holds.count,     &h->polls.count,     &h->granted.count,
			&h->woken.count,     &h->waitqs[0].count, &h->waitqs[1].count,
			&h->waitqs[2].count, &h->waitqs[3].count,
		};

		h_open(o);
		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			*counts[i] = 1;
			CHECK_INT(outside(o), FAST_OFF);
			*counts[i] = 0;
			CHECK_INT(outside(o), FAST_FREE);
		}
		S(o)->value = 0;
		CHECK_INT(outside(o), FAST_OFF);
		S(o)->value = 1;
		o->damage = "for a test";
		obj_unlock(o);
		CHECK_INT(S(o)->fast, FAST_OFF);
		o->damage = NULL;
		CHECK_INT(obj_lock(o, -1), 0);
		CHECK_INT(outside(o), FAST_FREE);
	}
}

TEST(fast_only_with_plain_settings)
{
	FOR_EACH_KIND(kind)
	{
		struct ipc_obj *o = direct(kind);

		h_open(o);
		if (is_permit(o)) {
			ipc_setting32(o, &S(o)->undo, 0);
			CHECK_INT(outside(o), FAST_OFF);
			ipc_setting32(o, &S(o)->undo, 1);
			ipc_setting32(o, &S(o)->scope, SCOPE_PROCESS);
			CHECK_INT(outside(o), FAST_OFF);
			ipc_setting32(o, &S(o)->scope, SCOPE_HANDLE);
		} else {
			ipc_setting64(o, &o->h->b.cond.lock_id, 5);
			CHECK_INT(outside(o), FAST_OFF);
			ipc_setting64(o, &o->h->b.cond.lock_id, 0);
		}
		CHECK_INT(outside(o), FAST_FREE);
	}
}

TEST(fast_stays_off_while_somebody_waits)
{
	struct ipc_obj *o = direct(IPC_LOCK), *c = direct(IPC_COND);
	ref_t a = h_open(o), b = h_open(o), w;

	CHECK_STR(get(o, a), "1\n");
	CHECK_INT(outside(o), FAST_OFF);
	w = get_waits(o, b, OP_READ, 100);
	CHECK_INT(give(o, a, CMD_ADD, 1), 0);
	CHECK_INT(outside(o), FAST_OFF); /* it is granted */
	CHECK_STR(finish(o, w), "1\n");
	CHECK_INT(give(o, b, CMD_ADD, 1), 0);
	CHECK_INT(outside(o), FAST_FREE);

	a = h_open(c);
	w = get_waits(c, a, OP_READ, 0); /* for a notify: the lock is free */
	CHECK_INT(outside(c), FAST_OFF);
	CHECK_INT(give(c, a, CMD_NOTIFY, 1), 0);
	CHECK_INT(outside(c), FAST_OFF); /* woken */
	CHECK_STR(finish(c, w), "1\n");
	CHECK_INT(outside(c), FAST_FREE);
}

TEST(fast_take_becomes_a_hold)
{
	FOR_EACH_KIND(kind)
	{
		struct ipc_obj *o = direct(kind);
		ref_t a = h_open(o), b = h_open(o), spare;
		uint64_t before = ipc_now();
		struct ipc_hold *hold;

		handle_at(o, a)->uid = 77;
		handle_at(o, a)->opener = 123;
		take_fast(o, a);
		spare = S(o)->spare;
		CHECK(!fast_take(S(o), me(o, b)));
		CHECK(!fast_release(S(o), me(o, b)));
		if (is_permit(o))
			CHECK_INT(ipc_size(o), 0);
		CHECK_INT(obj_lock(o, -1), 0);
		CHECK_INT(S(o)->fast, FAST_OFF);
		CHECK_INT(S(o)->spare, 0);
		CHECK_INT(S(o)->value, 0);
		CHECK_INT(S(o)->owner, kind == IPC_RLOCK ? a : 0);
		if (is_permit(o))
			CHECK_INT(ipc_size(o), 0);
		CHECK_INT(o->h->holds.count, 1);
		CHECK_INT(o->h->holds.head, spare);
		CHECK_INT(handle_at(o, a)->holds, 1);
		hold = AT(o, ipc_hold, spare);
		CHECK_INT(hold->handle, a);
		CHECK_INT(hold->count, 1);
		CHECK_INT(hold->op, is_permit(o) ? OP_READ : OP_FLOCK);
		CHECK_INT(hold->tid, 4321);
		CHECK_INT(hold->pid, 123);
		CHECK_INT(hold->uid, 77);
		CHECK(hold->since >= before && hold->since <= ipc_now());
		obj_ok(o, "held");
		CHECK_INT(lock_it(o, b, LOCK_EX), -EAGAIN);
		CHECK_INT(outside(o), FAST_OFF);

		/* It is as if it had been taken in the usual way: also given back. */
		CHECK(!fast_release(S(o), me(o, a)));
		CHECK_INT(is_permit(o) ? give(o, a, CMD_ADD, 1) : lock_it(o, a, LOCK_UN), 0);
		CHECK_INT(o->h->holds.count, 0);
		CHECK_INT(S(o)->value, 1);
		CHECK_INT(S(o)->owner, 0);
		CHECK_INT(outside(o), FAST_FREE);
		CHECK(S(o)->spare);
		CHECK_INT(lock_it(o, b, LOCK_EX), 0);
	}
}

TEST(fast_take_and_release_leave_nothing)
{
	FOR_EACH_KIND(kind)
	{
		struct ipc_obj *o = direct(kind);
		ref_t a = h_open(o), b = h_open(o);

		take_fast(o, a);
		CHECK(fast_release(S(o), me(o, a)));
		CHECK(!fast_release(S(o), me(o, a)));
		CHECK(fast_take(S(o), me(o, b)));
		CHECK(fast_release(S(o), me(o, b)));
		if (is_permit(o))
			CHECK_INT(ipc_size(o), 1);
		CHECK_INT(obj_lock(o, -1), 0);
		CHECK_INT(o->h->holds.count, 0);
		CHECK_INT(S(o)->value, 1);
		CHECK(S(o)->spare);
	}
}

TEST(fast_rlock_has_levels)
{
	struct ipc_obj *o = direct(IPC_RLOCK);
	ref_t a = h_open(o), b = h_open(o), w;

	take_fast(o, a);
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_STR(get(o, a), "2\n");
	CHECK_INT(give(o, b, CMD_ADD, 1), -EPERM);
	w = get_waits(o, b, OP_READ, 100);
	CHECK_INT(give(o, a, CMD_ADD, 3), -ERANGE);
	CHECK_INT(give(o, a, CMD_ADD, 2), 0);
	CHECK_STR(finish(o, w), "1\n");
}

TEST(fast_cond_gives_its_lock_up)
{
	struct ipc_obj *o = direct(IPC_COND);
	ref_t a = h_open(o), b = h_open(o), w;

	take_fast(o, a);
	CHECK_INT(obj_lock(o, -1), 0);
	w = get_waits(o, a, OP_READ, 100);
	CHECK_INT(lock_it(o, b, LOCK_EX), 0);
	CHECK_INT(give(o, b, CMD_NOTIFY, 1), 0);
	CHECK_STR(finish(o, w), "!WAITS");
	CHECK_INT(lock_it(o, b, LOCK_UN), 0);
	CHECK_STR(finish(o, w), "1\n");
	CHECK_INT(handle_at(o, a)->holds, 1);
}

TEST(fast_close_frees)
{
	FOR_EACH_KIND(kind)
	{
		struct ipc_obj *o = direct(kind);
		ref_t a = h_open(o), b = h_open(o), w;
		uint64_t dead = me(o, a);

		take_fast(o, a);
		CHECK_INT(obj_lock(o, -1), 0);
		w = is_permit(o) ? get_waits(o, b, OP_READ, 100) : lock_waits(o, b, LOCK_EX, 100);
		close_it(o, a);
		CHECK_STR(finish(o, w), is_permit(o) ? "1\n" : "0");
		close_it(o, b);
		CHECK_INT(S(o)->value, 1);

		/* Who had it before its mount ended may still take it, as nobody. */
		obj_unlock(o);
		CHECK(fast_take(S(o), dead));
		CHECK_INT(obj_lock(o, -1), 0);
		CHECK_INT(S(o)->value, 1);
		CHECK_INT(o->h->holds.count, 0);
		CHECK_INT(outside(o), FAST_FREE);
	}
}

TEST(fast_of_nobody)
{
	FOR_EACH_KIND(kind)
	{
		struct ipc_obj *o = direct(kind);
		ref_t a = h_open(o);
		const uint64_t words[] = {
			me(o, a) + (1ull << 32), fast_holder(a + 1, 1),        fast_holder(0, 1),
			fast_holder(a, 0),       fast_holder(~FAST_FROZEN, 1), fast_holder(1, 1),
		};

		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			CHECK_INT(outside(o), FAST_FREE);
			S(o)->fast = words[i];
			CHECK_INT(obj_lock(o, -1), 0);
			CHECK_INT(S(o)->fast, FAST_OFF);
			CHECK_INT(S(o)->value, 1);
			CHECK_INT(o->h->holds.count, 0);
			CHECK(S(o)->spare);
			obj_ok(o, "a word that means nobody");
		}
	}
}

/* Who made a hold of it died: before the hold was there, and after. */
TEST(fast_frozen)
{
	FOR_EACH_KIND(kind)
	{
		struct ipc_obj *o = direct(kind);
		ref_t a = h_open(o);

		take_fast(o, a);
		S(o)->fast |= FAST_FROZEN;
		CHECK(!fast_release(S(o), me(o, a)));
		if (is_permit(o))
			CHECK_INT(ipc_size(o), 0);
		CHECK_INT(obj_lock(o, -1), 0);
		CHECK_INT(o->h->holds.count, 1);
		S(o)->fast = me(o, a) | FAST_FROZEN;
		obj_unlock(o);
		CHECK_INT(S(o)->fast, me(o, a) | FAST_FROZEN);
		CHECK_INT(obj_lock(o, -1), 0);
		CHECK_INT(S(o)->fast, FAST_OFF);
		CHECK_INT(o->h->holds.count, 1);
		CHECK_INT(handle_at(o, a)->holds, 1);
		close_it(o, a);
		CHECK_INT(S(o)->value, 1);
	}
}

TEST(fast_without_memory_for_the_hold)
{
	FOR_EACH_KIND(kind)
	{
		struct ipc_obj *o = direct(kind);
		ref_t a = h_open(o), b = h_open(o);

		heap_fill(o);
		CHECK_INT(outside(o), FAST_OFF);
		CHECK_INT(S(o)->spare, 0);
		CHECK_INT(o->h->log_len, 0);
		CHECK_INT(lock_it(o, a, LOCK_EX), 0); /* the heap grows, as ever */
		CHECK_INT(lock_it(o, b, LOCK_EX), -EAGAIN);
		CHECK_INT(lock_it(o, a, LOCK_UN), 0);
		CHECK_INT(outside(o), FAST_FREE);

		/* What was put aside is there when nothing else is. */
		heap_unfill(o);
		heap_fill(o);
		CHECK_INT(outside(o), FAST_FREE);
		take_fast(o, a);
		env.fail_at = env.calls + 1;
		CHECK_INT(obj_lock(o, -1), 0);
		CHECK_INT(o->h->holds.count, 1);
		CHECK(env.calls < env.fail_at);
		env.fail_at = 0;
		heap_unfill(o);
	}
}

TEST(fast_checked)
{
	FOR_EACH_KIND(kind)
	{
		struct ipc_obj *o = direct(kind);
		ref_t a = h_open(o), spare;
		struct ipc_check k;

		take_fast(o, a);
		obj_ok(o, "held by the word");
		S(o)->fast |= FAST_FROZEN;
		obj_ok(o, "frozen");
		CHECK_INT(obj_lock(o, -1), 0);
		obj_ok(o, "held");
		CHECK_INT(is_permit(o) ? give(o, a, CMD_ADD, 1) : lock_it(o, a, LOCK_UN), 0);
		CHECK_INT(outside(o), FAST_FREE);
		obj_ok(o, "free");
		spare = S(o)->spare;
		S(o)->spare = 0;
		CHECK_INT(ipc_check(o, &k), -EIO); /* lost */
		S(o)->spare = 1;
		CHECK_INT(ipc_check(o, &k), -EIO); /* in the header */
		S(o)->spare = UINT32_MAX;
		CHECK_INT(ipc_check(o, &k), -EIO);
		S(o)->spare = spare;
		obj_ok(o, "as it was");

		/* Held, and the block is not there: so says the file. */
		take_fast(o, a);
		S(o)->spare = 0;
		CHECK_INT(obj_lock(o, -1), -EIO);
		CHECK(o->damage);
		o->damage = NULL;
		S(o)->spare = spare;
		S(o)->fast = FAST_OFF;
		CHECK_INT(obj_lock(o, -1), 0);
	}
}

/* ---- wake-ups ---- */

/* Direct waiters for an event, asleep, and the event set. */
static void sleepers(struct ipc_obj *o, ref_t h, ref_t *w, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		w[i] = get_waits(o, h, OP_READ, 0);
		waiter_at(o, w[i])->futex = 2;
	}
	CHECK_INT(give(o, h, CMD_SET, 0), 0);
	CHECK_INT(o->h->to_wake, n);
}

static unsigned int wakes(struct ipc_obj *o, const ref_t *w, unsigned int n)
{
	struct ipc_wakes wk;
	unsigned int sum = 0;
	bool more;

	do {
		more = ipc_wake(o, &wk);
		CHECK(wk.n <= IPC_WAKES);
		for (unsigned int i = 0; i < wk.n; i++, sum++)
			CHECK(sum < n && wk.futex[i] == &waiter_at(o, w[sum])->futex &&
			      *wk.futex[i] == (waiter_at(o, w[sum])->op == OP_WRITE ? FUTEX_GO :
										      FUTEX_GIVEN));
	} while (more);
	CHECK_INT(o->h->to_wake, 0);
	return sum;
}

TEST(wakes_each_once)
{
	struct ipc_obj *o = obj_new(IPC_EVENT);
	ref_t h = h_open(o), w[300], x;

	sleepers(o, h, w, 300);
	CHECK_INT(wakes(o, w, 300), 300);
	CHECK_INT(wakes(o, w, 300), 0);
	give(o, h, CMD_CLEAR, 0);
	for (int i = 0; i < 300; i++)
		CHECK_STR(finish(o, w[i]), "1\n");
	get_waits(o, h, OP_READ, 100);   /* a request has no futex */
	x = get_waits(o, h, OP_READ, 0); /* it spins: no call */
	give(o, h, CMD_SET, 0);
	CHECK_INT(o->h->to_wake, 1);
	CHECK_INT(wakes(o, &x, 0), 0);
	CHECK_INT(waiter_at(o, x)->futex, FUTEX_GIVEN);
}

TEST(wakes_collected_and_not_made)
{
	struct ipc_obj *o = obj_new(IPC_EVENT);
	ref_t h = h_open(o), d = h_open(o), f = h_open(o), w[200];
	struct ipc_wakes lost;

	handle_at(o, d)->flags |= HANDLE_DIRECT;
	sleepers(o, h, w, 200);
	CHECK(ipc_wake(o, &lost)); /* the first of them: then it died … */
	close_it(o, f);
	CHECK_INT(wakes(o, w + lost.n, 200 - lost.n), 200 - lost.n);
	CHECK_INT(wakes(o, w, 200), 0);
	close_it(o, d); /* … and its handle closes */
	CHECK_INT(wakes(o, w, 200), 200);
	CHECK_INT(wakes(o, w, 200), 0);
	ipc_restarted(o); /* or it was the daemon */
	CHECK_INT(wakes(o, w, 200), 200);
	CHECK_INT(wakes(o, w, 200), 0);
}

/* The mount ended, and the next one closes the handle: who sleeps in it is not to sleep on. */
TEST(wakes_whose_handle_closes)
{
	struct ipc_obj *o = obj_new(IPC_EVENT);
	ref_t d = h_open(o), w;
	uint32_t *futex;

	handle_at(o, d)->flags |= HANDLE_DIRECT;
	w = get_waits(o, d, OP_READ, 0);
	futex = &waiter_at(o, w)->futex;
	*futex = 2;
	close_it(o, d);
	CHECK_INT(*futex, 1);
}

TEST(wakes_a_putter_whose_turn_it_is)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), d = h_open(o), w[2];

	handle_at(o, d)->flags |= HANDLE_DIRECT;
	o->h->b.queue.maxsize = 1;
	put(o, h, "1\n");
	w[0] = put_waits(o, h, "2\n", 0);
	w[1] = put_waits(o, h, "3\n", 0);
	waiter_at(o, w[0])->futex = waiter_at(o, w[1])->futex = 2;
	CHECK_INT(wakes(o, w, 0), 0);
	CHECK_STR(get(o, h), "1\n");
	CHECK_INT(waiter_at(o, w[0])->state, WAITER_TURN);
	CHECK_INT(wakes(o, w, 1), 1);
	CHECK_INT(wakes(o, w, 0), 0);
	close_it(o, d);
	CHECK_INT(wakes(o, w, 1), 1);
	CHECK_INT(waiter_at(o, w[1])->futex, 2);
}
