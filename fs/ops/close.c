/* SPDX-License-Identifier: MIT */
/*
 * Closing: FLUSH, RELEASE, and what libipcfs and the daemon close by themselves.
 *
 * The last close of a handle completes its unfinished line, unless a signal has ended the process that
 * wrote it. RELEASE is the last close, but does not say whose it was. FLUSH does: each process sends
 * one as it closes, and at its end, so from it is known exactly whether it closed or was killed. But
 * it costs `echo x > q` two requests, and an unfinished line is rare. So FLUSH is requested only of
 * queues whose writers may be expected to leave one: of those that nobody has written a whole line to
 * yet, and for a while of those where one was left at a close (`tidy`).
 *
 * If one is left unexpectedly, its writer's pidfd tells how it ended (unfinished.c). A process that
 * closes and is killed at once, before its RELEASE is dealt with, is taken for one that was killed in
 * mid-line: that is what a FLUSH is needed for.
 *
 * Before Linux 6.15 a pidfd does not tell. There FLUSH is requested of all, and as ever completes the
 * line of the process that closes.
 */
#include <fcntl.h>

#include "base/proc.h"
#include "object/lend.h"
#include "state/alias.h"
#include "state/nodeid.h"
#include "wait/damaged.h"
#include "wait/aside.h"
#include "ops/io.h"
#include "wait/monitor.h"
#include "ctl/plain.h"
#include "wait/call.h"
#include "wait/turn.h"
#include "wait/park.h"
#include "wait/unfinished.h"

/*
 * Lock the object; no request waits by this handle any more, and its companion in the object that its
 * ctl/lock names is closed. That first: while the handle is there, a worker that follows a dead one gets
 * the request again, and can go on.
 */
static int enter_to_close(struct request *rq)
{
	int r = enter(rq);

	if (r == 0 && rq->hd->waiters && rq->ob->parked) {
		object_unlock(rq->ob);
		park_end_handle(rq->ob, fh_ref(rq->fh));
		r = object_enter(rq->ob, rq);
	}
	if (r == 0) {
		r = monitor_close(rq);
		if (r < 0)
			object_leave(rq->ob);
	}
	return r;
}

/* Give back what it holds. Unlocks the object. */
static void give_back(struct object *ob, struct ipc_handle *hd,
		      void (*how)(struct ipc_obj *o, ref_t handle))
{
	how(&ob->o, ref_of(&ob->o, hd));
	object_leave(ob);
}

/* killed: the writer of its unfinished line was, in mid-line. */
static void close_it(const struct target *t, struct object *ob, struct ipc_handle *hd, bool killed)
{
	if (hd->poll_kh)
		pollers_remove(ob, hd->poll_kh);
	if (writes_may_wait(t, (int)hd->oflags))
		writer_leave(t->nodeid);
	if (hd->line) {
		ipc_flush(&ob->o, ref_of(&ob->o, hd), 0, killed, true);
		ob->tidy = TIDY_LEAST;
	}
	give_back(ob, hd, ipc_close);
}

/* Nothing can be closed in a damaged object; but if it has no name, it may go. */
static void close_damaged(const struct request *rq)
{
	struct target t;

	if (target_of(rq->ino, &t) < 0)
		return;
	unfinished_closed(t.node->id, rq->fh);
	if (t.node->ob && t.node->ob->o.damage)
		object_used(t.node->ob);
}

/*
 * As it is when the RELEASE comes: if that is put aside, the process may be killed before it is
 * handled.
 */
static bool line_is_dead(struct request *rq)
{
	struct aside *as = &rq->aside;

	if (!as->judged && rq->hd->line && !(rq->hd->flags & HANDLE_FLUSHED))
		as->killed = unfinished_killed(rq->t.node->id, rq->fh, rq->hd->line_pid);
	as->judged = true;
	return as->killed;
}

void close_handle(struct request *rq)
{
	bool killed;
	int r;

	alias_closed(rq->ino, rq->fh);
	if (rq->fh & FH_PLAIN) {
		plain_close(rq->fh);
		return;
	}
	r = enter_to_close(rq);
	if (r == -EBUSY && enter_unlocked(rq) == 0)
		line_is_dead(rq);
	else if (r < 0 && r != -EBUSY)
		close_damaged(rq);
	if (r < 0)
		return;
	killed = line_is_dead(rq);
	unfinished_closed(rq->t.node->id, rq->fh);
	if (rq->hd->flags & HANDLE_LOOK)
		plain_close(rq->fh);
	close_it(&rq->t, rq->ob, rq->hd, killed);
}

int close_early(struct request *rq, bool whole)
{
	int r = enter_to_close(rq);

	if (r < 0)
		return r == -EBADF ? 0 : r; /* closed already: the request came twice */
	if (whole && rq->hd->flags & HANDLE_LIB)
		close_it(&rq->t, rq->ob, rq->hd, false);
	else
		give_back(rq->ob, rq->hd, ipc_give_back);
	return 0;
}

static bool is_dying(uint32_t tid)
{
	char state = proc_state(tid);

	return !state || state == 'Z' || state == 'X' || proc_killed(tid);
}

void close_unfetched(uint64_t unique)
{
	struct node *n, *tmp;

	HASH_ITER(by_id, fs.by_id, n, tmp) {
		struct request close = { .kind = ASKS_RELEASE };
		struct ipc_handle *hd;
		ref_t r;

		turn_trim();
		if (!n->ob || object_enter(n->ob, NULL) < 0)
			continue;
		r = opened_by(n->ob, unique);
		hd = r ? handle_at(&n->ob->o, r) : NULL;
		if (!hd || !is_dying(hd->tid)) { /* a caller that is alive was answered */
			object_unlock(n->ob);
			continue;
		}
		close.fh = fh_of(hd->gen, r);
		close.ino = hd->nodeid;
		object_unlock(n->ob);
		close_handle(&close);
		return;
	}
}

enum outcome file_release(struct request *rq)
{
	close_handle(rq);
	return done(rq, 0);
}

static int flush_line(struct request *rq)
{
	struct ipc_call c = { .handle = ref_of(&rq->ob->o, rq->hd), .unique = rq->by.unique };
	bool killed;

	aside_closer(rq, &c.pid, &killed);
	if (fs.told_ends && !killed)
		return 0; /* the last close completes it */
	return ipc_flush_for(&rq->ob->o, &c, killed);
}

/* Without a line to complete, close() does not even wait for the lock (aside.c). */
static bool nothing_to_flush(struct request *rq)
{
	struct object *ob =
		!rq->by.resent && target_of(rq->ino, &rq->t) == 0 ? node_mapped(rq->t.node) : NULL;
	struct ipc_handle *hd;

	if (!ob || ob->o.damage)
		return false;
	hd = fh_handle(&ob->o, rq->fh);
	return hd && !hd->line;
}

enum outcome file_flush(struct request *rq)
{
	int64_t refused;
	uint32_t pid;
	bool killed;
	int r;

	if (rq->fh & FH_PLAIN || nothing_to_flush(rq))
		return done(rq, 0);
	r = enter(rq);
	if (r == -EBUSY) /* put aside */
		aside_closer(rq, &pid, &killed);
	if (r < 0)
		return done(rq, 0);
	if (rq->hd->line)
		r = flush_line(rq);
	else if (again_completed(rq, fh_ref(rq->fh), &refused))
		r = -error_of(refused);
	object_leave(rq->ob);
	return done(rq, r);
}
