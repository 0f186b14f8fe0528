/* SPDX-License-Identifier: MIT */
/*
 * cond: a monitor on one handle. flock takes its lock, read waits, write notifies.
 *
 * A reader stays in WAIT until it is notified. If it held the lock, it gave it up in the same
 * change (WAITER_RELOCK), and then stays in LOCK, among those who flock, until it has the lock
 * back. By then its outcome is settled; only its answer is late:
 *
 *	read --> WAIT -- notify ---------------> LOCK (NOTIFIED) ---------\
 *	           |  -- time limit, cancel ---> LOCK (result < 0) --------+--> granted
 *	           |                               |                       |
 *	           |  (the lock was not held) -----|--- at once ----------/
 *	           | signal                        | signal
 *	           v                               v
 *	         WAIT, PARKED <--------------------'      read again: on from where it stood
 *	                                                  LOCK_UN, close: its notify goes to the next
 *
 * A parked waiter stays in WAIT whatever its outcome. It is notified in its turn but never gets the
 * lock, so it is in nobody's way. Waiters without an outcome (neither NOTIFIED nor result < 0)
 * count in `waiting`, which is the size that ls shows.
 *
 * A notify may be for any number of waiters, so it is handed out in two steps: the write adds to
 * `to_notify`, and pump() then notifies the waiters at the head of WAIT, one change each. Who they
 * are is settled by the write, even if a crash comes in between: one of them that leaves before
 * pump() gets to it leaves as a waiter that was notified (cond_settle()).
 *
 * If the lock is in another object (struct ipc_lent, see lend.c), the waiter is granted as soon as
 * its outcome is settled, and whoever drives it reacquires that lock before answering.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>

#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/command.h"
#include "object/completion.h"
#include "object/facts.h"
#include "object/fast.h"
#include "object/hold.h"
#include "object/parked.h"
#include "object/stats.h"
#include "object/type.h"
#include "object/waiter.h"
#include "types/cond_waiter.h"
#include "types/permit.h"

/* ---- reading ---- */

static void unlock(struct ipc_obj *o, struct ipc_hold *hold)
{
	permit_unhold(o, hold);
	hold_drop(o, hold);
	o->work = true;
}

static bool lock_free(struct ipc_obj *o)
{
	return C(o)->lock.value && !waitq_first(o, WAITQ_LOCK);
}

/* The outcome is settled and the lock is available: answer at once. */
static int complete(struct ipc_obj *o, struct ipc_call *c, ref_t r, bool relock)
{
	struct ipc_waiter *w = waiter_at(o, r);
	int64_t result = w->flags & WAITER_NOTIFIED ? 0 : w->result;

	if (relock) {
		if (hold_add(o, c, OP_FLOCK, 1) < 0)
			return -ENOMEM;
		set64(o, C(o)->lock.value, 0);
	}
	waiter_done(o, r);
	if (result == 0) {
		answer_number(&c->got, 1);
		return 0;
	}
	call_record(o, c, result, false);
	commit(o);
	return (int)result;
}

/* The handle with which its caller's process holds another object's lock, which it gives up now. */
static void remember_lent(struct ipc_obj *o, struct ipc_waiter *w, const struct ipc_call *c)
{
	if (!c->lent.handle)
		return;
	set32(o, w->flags, w->flags | WAITER_LENT);
	set32(o, w->hold, c->lent.handle);
	set32(o, w->need, c->lent.gen);
}

/* Resume a wait that a signal interrupted. */
static int read_again(struct ipc_obj *o, struct ipc_call *c, ref_t r, struct ipc_hold *hold)
{
	struct ipc_waiter *w = waiter_at(o, r);
	bool relock = w->flags & WAITER_RELOCK && !hold;

	cond_settle(o, w);
	if (!cond_settled(w)) {
		if (c->deadline == 0)
			return -EAGAIN;
		waiter_unpark(o, r, c);
		remember_lent(o, w, c);
		if (hold) {
			set32(o, w->flags, w->flags | WAITER_RELOCK);
			unlock(o, hold);
		}
		return IPC_WAIT;
	}
	if (w->flags & WAITER_LENT) { /* granted: the other lock is not our business */
		waiter_unpark(o, r, c);
		cond_move_on(o, r);
		return IPC_WAIT;
	}
	if (!relock || lock_free(o))
		return complete(o, c, r, relock);
	if (c->deadline == 0)
		return -EAGAIN;
	waiter_unpark(o, r, c);
	if (w->waitq != WAITQ_LOCK)
		waiter_to_waitq(o, r, WAITQ_LOCK, false);
	return IPC_WAIT;
}

static int cond_read(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	struct ipc_hold *hold = hold_find(o, c->handle, OP_FLOCK);
	ref_t r = waiter_parked(o, c, WAITQ_WAIT);
	struct ipc_waiter *w;
	int e;

	if (waiter_granted_standing(o, hd))
		return waiter_again(o, hd, c);
	if (hd->standing)
		r = hd->standing;
	if (r)
		return read_again(o, c, r, hold);
	e = waiter_add(o, c, WAITQ_WAIT, 0);
	if (e != IPC_WAIT)
		return e;
	set64(o, C(o)->waiting, C(o)->waiting + 1);
	w = waiter_at(o, c->waiter);
	if (hold) {
		set32(o, w->flags, w->flags | WAITER_RELOCK);
		unlock(o, hold);
	}
	remember_lent(o, w, c);
	return IPC_WAIT;
}

/* ---- the rest ---- */

static int cond_parse(const char *s, size_t len, struct ipc_cmd *ret)
{
	if (!text_is(s, len, "all"))
		return command_count(s, len, CMD_NOTIFY, ret);
	*ret = (struct ipc_cmd){ .verb = CMD_NOTIFY, .n = CMD_ALL };
	return 0;
}

static int cond_give(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *call,
		     const struct ipc_cmd *cmd)
{
	struct ipc_cond *c = C(o);
	uint64_t most = c->waiting - c->to_notify;

	(void)hd;
	(void)call;
	if (cmd->verb != CMD_NOTIFY || cmd->n < 0)
		return -EINVAL;
	/* Those who do not wait yet are not notified. */
	set64(o, c->to_notify, c->to_notify + ((uint64_t)cmd->n < most ? (uint64_t)cmd->n : most));
	return 0;
}

/* This handle's waiter that has no caller: interrupted by a signal, or standing. 0: none. */
static ref_t without_caller(struct ipc_obj *o, struct ipc_handle *hd)
{
	struct ipc_call c = { .handle = ref_of(o, hd) };

	/* (One that was granted has its lock, if that is its own.) */
	if (hd->standing &&
	    (!waiter_granted_standing(o, hd) || waiter_at(o, hd->standing)->flags & WAITER_LENT))
		return hd->standing;
	return waiter_parked(o, &c, WAITQ_WAIT);
}

static int cond_flock(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c, int how)
{
	ref_t r;

	/* A caller that unlocks is done waiting: give up its waits that have no caller. */
	while (how == LOCK_UN && !o->damage && (r = without_caller(o, hd))) {
		cond_settle(o, waiter_at(o, r));
		cond_give_up(o, waiter_at(o, r));
		waiter_done(o, r);
		commit(o);
	}
	return permit_flock(o, hd, c, how);
}

static void cond_pump(struct ipc_obj *o)
{
	LIST_EACH(o, &o->h->waitqs[WAITQ_WAIT], r) {
		struct ipc_waiter *w = waiter_at(o, r);

		if (!C(o)->to_notify)
			break;
		if (cond_settled(w))
			continue;
		cond_notified(o, w);
		if (w->flags & WAITER_PARKED)
			commit(o);
		else
			cond_move_on(o, r);
	}
	permit_pump(o);
}

static enum ipc_left cond_left(struct ipc_obj *o, struct ipc_waiter *w, int why)
{
	ref_t r = ref_of(o, w);

	if (w->op != OP_READ)
		return LEFT_GOES;
	cond_settle(o, w);
	if (why == -EBADF) {
		cond_give_up(o, w);
		return LEFT_GOES;
	}
	if (why == -EINTR) {
		if (w->waitq != WAITQ_WAIT)
			waiter_to_waitq(o, r, WAITQ_WAIT, true);
		return LEFT_PARKED;
	}
	if (!cond_settled(w)) {
		set64(o, C(o)->waiting, C(o)->waiting - 1);
		if (!(w->flags & (WAITER_RELOCK | WAITER_LENT | WAITER_PARKED)))
			return LEFT_GOES;
		set64(o, w->result, why);
	}
	if (!(w->flags & WAITER_PARKED))
		cond_move_on(o, r);
	return LEFT_WAITS;
}

static unsigned int cond_poll(struct ipc_obj *o, struct ipc_handle *hd)
{
	ref_t r = without_caller(o, hd);
	struct ipc_waiter *w;

	if (waiter_granted_standing(o, hd))
		return waiter_at(o, hd->standing)->flags & WAITER_BUSY ? POLLOUT : POLLIN | POLLOUT;
	/* No other handle's read would return at once: only those already waiting are notified. */
	if (!r)
		return POLLOUT;
	w = waiter_at(o, r);
	if (cond_settled(w) &&
	    (!(w->flags & WAITER_RELOCK) || lock_free(o) || hold_find(o, ref_of(o, hd), OP_FLOCK)))
		return POLLIN | POLLOUT;
	return POLLOUT;
}

static uint64_t cond_size(struct ipc_obj *o)
{
	return __atomic_load_n(&C(o)->waiting, __ATOMIC_RELAXED);
}

/* Notifies that a waiter got; the lock's. */
static void cond_counts(const struct ipc_obj *o, struct ipc_counts *c)
{
	permit_counts_inner(o, c);
	c->gets = STATS_NONE;
}

/* A direct client died before it saw its notify: pass it to the next. */
static void cond_regret(struct ipc_obj *o, struct ipc_waiter *w)
{
	if (w->op == OP_READ)
		cond_give_up(o, w);
}

static int cond_check(struct ipc_obj *o, struct ipc_check *k)
{
	struct ipc_cond *c = C(o);
	uint64_t waiting = 0;

	LIST_EACH(o, &o->h->waitqs[WAITQ_WAIT], r) {
		struct ipc_waiter *w = waiter_at(o, r);

		waiting += !cond_settled(w);
		if (w->op != OP_READ || (cond_settled(w) && !(w->flags & WAITER_PARKED)))
			k->why = "a waiter that has been notified waits for a notification";
	}
	LIST_EACH(o, &o->h->waitqs[WAITQ_LOCK], r) {
		struct ipc_waiter *w = waiter_at(o, r);

		if (w->flags & WAITER_PARKED || (w->op == OP_READ && !cond_settled(w)))
			k->why = "a waiter that has not been notified waits for the lock";
	}
	if (waiting != c->waiting || c->to_notify > waiting)
		k->why = "wrong count of waiters";
	return k->why ? -EIO : permit_check_lock(o, k);
}

static int cond_words(const struct ipc_facts *f, char *ret, size_t size)
{
	return snprintf(ret, size, "%" PRIu64 " waiting", f->size);
}

const struct ipc_type ipc_cond_type = {
	.id = IPC_COND,
	.name = "cond",
	.suffix = ".cond",
	.traits = TYPE_WAITED_FOR | TYPE_INNER_LOCK | TYPE_MONITOR | TYPE_STANDS | TYPE_PID,
	.verbs = VERB(CMD_NOTIFY),
	.lock_waitq = WAITQ_LOCK,
	.init = permit_init_lock,
	.read = cond_read,
	.parse = cond_parse,
	.give = cond_give,
	.flock = cond_flock,
	.pump = cond_pump,
	.poll = cond_poll,
	.size = cond_size,
	.unhold = permit_unhold,
	.left = cond_left,
	.regret = cond_regret,
	.words = cond_words,
	.counts = cond_counts,
	.check = cond_check,
	.rest = fast_rest,
	.entered = fast_entered,
	.leaving = fast_leaving,
};
