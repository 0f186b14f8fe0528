/* SPDX-License-Identifier: MIT */
/*
 * barrier: readers wait until all parties have arrived.
 *
 * Arrivals form rounds. `round` counts the rounds that have ended, and each waiter records the
 * number of the round in which it arrived. The current round has `arrived` waiters. It ends in one
 * of two ways:
 *
 *	it opens	The last party arrives (and does not wait), or `parties` is lowered to the
 *			number waiting. Waiters get their index in order of arrival; `index` counts
 *			the indices handed out so far. Each index is one change with its grant.
 *	it is reset	Its waiters get ECANCELED.
 *
 * A round breaks, without ending, when it is aborted, when a waiter's time limit passes, or when a
 * waiter's handle closes. Then `arrived` becomes 0, the waiters get ECANCELED, and so does everyone
 * who arrives before the next reset.
 *
 * A waiter's outcome therefore follows from its round alone, and a crash may stop pump() after any
 * grant. A round is always settled before the next one can end: each operation that may end a round
 * pumps first.
 *
 * A waiter interrupted by a signal is parked: it no longer counts as arrived, breaks nothing, and
 * arrives afresh with its next read. A waiter whose caller must not wait (WAITER_STANDS) has
 * arrived like any other. If its handle closes during the same round, the round breaks, because
 * the handle had started to wait. After the round has ended there is nothing left to break, and
 * the waiter simply goes.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/command.h"
#include "object/facts.h"
#include "object/parked.h"
#include "object/stats.h"
#include "object/type.h"
#include "object/waiter.h"

#define B(o)  (&(o)->h->b.barrier)
#define WAITQ 0

static void end_round(struct ipc_obj *o, bool was_reset)
{
	struct ipc_barrier *b = B(o);

	if (!was_reset)
		STAT_ADD(o, puts, 1);
	set64(o, b->round, b->round + 1);
	set64(o, b->arrived, 0);
	set64(o, b->index, 0);
	set32(o, b->was_reset, was_reset);
	o->work = true;
}

static void break_it(struct ipc_obj *o)
{
	set32(o, B(o)->broken, 1);
	set64(o, B(o)->arrived, 0);
	o->work = true;
}

/* Its outcome is settled, but pump() has not delivered it yet. */
static bool settled(struct ipc_obj *o, const struct ipc_waiter *w)
{
	return w->arg != B(o)->round || B(o)->broken;
}

static void barrier_pump(struct ipc_obj *o)
{
	struct ipc_barrier *b = B(o);
	struct ipc_answer got;

	LIST_EACH(o, &o->h->waitqs[WAITQ], r) {
		struct ipc_waiter *w = waiter_at(o, r);

		if (w->flags & WAITER_PARKED) {
			if (w->arg == b->round)
				continue;
			waiter_done(o, r);
			commit(o);
		} else if (w->arg == b->round ? b->broken : b->was_reset) {
			waiter_grant(o, r, -ECANCELED, NULL);
		} else if (w->arg != b->round) {
			answer_number(&got, (int64_t)b->index);
			set64(o, b->index, b->index + 1);
			STAT_ADD(o, gets, 1);
			waiter_grant(o, r, (int64_t)got.len, &got);
		}
	}
}

static uint64_t barrier_next(struct ipc_obj *o, struct ipc_handle *hd)
{
	struct ipc_answer a;

	(void)hd;
	answer_number(&a, (int64_t)B(o)->arrived);
	return a.len;
}

static int barrier_read(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	struct ipc_barrier *b = B(o);
	ref_t parked;
	int r = 0;

	barrier_pump(o);
	if (hd->standing)
		return waiter_again(o, hd, c);
	parked = waiter_parked(o, c, WAITQ);
	if (b->broken)
		return -ECANCELED;
	if (b->parties && b->arrived + 1 >= b->parties) {
		answer_number(&c->got, (int64_t)b->arrived);
		STAT_ADD(o, gets, 1);
		end_round(o, false);
	} else {
		r = waiter_add(o, c, WAITQ, b->round);
		if (r == IPC_WAIT)
			set64(o, b->arrived, b->arrived + 1);
	}
	if (parked && r >= 0)
		waiter_done(o, parked);
	return r;
}

static int barrier_parse(const char *s, size_t len, struct ipc_cmd *ret)
{
	if (text_is(s, len, "reset"))
		*ret = (struct ipc_cmd){ .verb = CMD_RESET };
	else if (text_is(s, len, "abort"))
		*ret = (struct ipc_cmd){ .verb = CMD_ABORT };
	else
		return len ? command_count(s, len, CMD_PARTIES, ret) : -EINVAL;
	return 0;
}

static int barrier_give(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c,
			const struct ipc_cmd *cmd)
{
	struct ipc_barrier *b = B(o);

	(void)hd;
	(void)c;
	barrier_pump(o);
	switch (cmd->verb) {
	case CMD_RESET:
		end_round(o, true);
		set32(o, b->broken, 0);
		return 0;
	case CMD_ABORT:
		break_it(o);
		return 0;
	case CMD_PARTIES:
		if (cmd->n < 0)
			return -EINVAL;
		set64(o, b->parties, cmd->n);
		if (b->parties && b->arrived >= b->parties)
			end_round(o, false);
		return 0;
	default:
		return -EINVAL;
	}
}

static enum ipc_left barrier_left(struct ipc_obj *o, struct ipc_waiter *w, int why)
{
	bool parked = w->flags & WAITER_PARKED;

	if (settled(o, w))
		return why == -EBADF || parked ? LEFT_GOES : LEFT_WAITS;
	if (why == -EBADF || why == -ETIMEDOUT)
		break_it(o);
	else if (!parked)
		set64(o, B(o)->arrived, B(o)->arrived - 1);
	return why == -EINTR ? LEFT_PARKED : LEFT_GOES;
}

static unsigned int barrier_poll(struct ipc_obj *o, struct ipc_handle *hd)
{
	const struct ipc_barrier *b = B(o);

	if (hd->standing)
		return waiter_granted_standing(o, hd) ? POLLIN | POLLOUT : POLLOUT;
	if (b->broken || (b->parties && b->arrived + 1 >= b->parties))
		return POLLIN | POLLOUT;
	return POLLOUT;
}

static uint64_t barrier_size(struct ipc_obj *o)
{
	return __atomic_load_n(&B(o)->arrived, __ATOMIC_RELAXED);
}

static int barrier_check(struct ipc_obj *o, struct ipc_check *k)
{
	const struct ipc_barrier *b = B(o);
	uint64_t arrived = 0;

	LIST_EACH(o, &o->h->waitqs[WAITQ], r) {
		struct ipc_waiter *w = waiter_at(o, r);

		arrived += w->arg == b->round && !(w->flags & WAITER_PARKED);
		if (w->op != OP_READ || w->arg > b->round)
			k->why = "a waiter of a round that has not begun";
	}
	if (b->broken > 1 || b->was_reset > 1)
		k->why = "neither broken nor intact";
	else if (b->broken ? b->arrived : b->arrived != arrived)
		k->why = "wrong count of waiters";
	else if (b->parties && b->arrived >= b->parties)
		k->why = "complete, but not open";
	return k->why ? -EIO : 0;
}

/* As if nobody had ever arrived. */
static void barrier_rest(struct ipc_obj *o)
{
	set64(o, B(o)->round, 0);
	set64(o, B(o)->index, 0);
	set32(o, B(o)->was_reset, 0);
}

static int barrier_words(const struct ipc_facts *f, char *ret, size_t size)
{
	uint64_t parties = facts_count(f, "parties");

	if (facts_hold(f, "broken"))
		return snprintf(ret, size, "broken");
	if (!parties)
		return snprintf(ret, size, "%" PRIu64 " waiting, no parties", f->size);
	return snprintf(ret, size, "%" PRIu64 " of %" PRIu64 " waiting", f->size, parties);
}

const struct ipc_type ipc_barrier_type = {
	.id = IPC_BARRIER,
	.name = "barrier",
	.suffix = ".barrier",
	.traits = TYPE_WAITED_FOR | TYPE_INDEX | TYPE_STANDS | TYPE_PID,
	.verbs = VERB(CMD_PARTIES) | VERB(CMD_RESET) | VERB(CMD_ABORT),
	.read = barrier_read,
	.parse = barrier_parse,
	.give = barrier_give,
	.pump = barrier_pump,
	.poll = barrier_poll,
	.size = barrier_size,
	.next = barrier_next,
	.left = barrier_left,
	.rest = barrier_rest,
	.words = barrier_words,
	.check = barrier_check,
};
