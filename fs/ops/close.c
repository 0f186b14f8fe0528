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
#include "state/blank.h"
#include "state/nodeid.h"
#include "wait/aside.h"
#include "ops/io.h"
#include "wait/monitor.h"
#include "ctl/plain.h"
#include "wait/call.h"
#include "wait/ask.h"
#include "wait/pollers.h"
#include "wait/takeup.h"
#include "wait/turn.h"
#include "wait/park.h"
#include "wait/unfinished.h"

/*
 * Before the handle closes: no request waits by it any more, and its companion in the object that its
 * ctl/lock names is closed. That first: while the handle is there, a worker that follows a dead one gets
 * the request again, and can go on.
 */
static int close_others(struct request *rq)
{
	if (enter_unlocked(rq) < 0)
		return 0; /* (as handle_change() finds, too) */
	if (rq->hd->waiters && rq->ob->parked)
		park_end_handle(rq->ob, fh_ref(rq->fh));
	return monitor_close(rq);
}

static int closing(struct request *rq, int (*change)(struct request *rq))
{
	int r = close_others(rq);

	return r < 0 ? r : handle_change(rq, change);
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
	ipc_close(&ob->o, ref_of(&ob->o, hd));
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

static int close_now(struct request *rq)
{
	bool killed = line_is_dead(rq);

	unfinished_closed(rq->t.node->id, rq->fh);
	if (rq->hd->flags & HANDLE_LOOK)
		plain_close(rq->fh);
	close_it(&rq->t, rq->ob, rq->hd, killed);
	return 0;
}

void close_handle(struct request *rq)
{
	int r;

	alias_closed(rq->ino, rq->fh);
	if (rq->fh & FH_PLAIN) {
		plain_close(rq->fh);
		return;
	}
	r = closing(rq, close_now);
	if (r == -EBUSY && enter_unlocked(rq) == 0)
		line_is_dead(rq);
	else if (r < 0 && r != -EBUSY)
		close_damaged(rq);
}

/* All that it holds. */
static int give_back(struct request *rq)
{
	ipc_give_back(&rq->ob->o, ref_of(&rq->ob->o, rq->hd));
	return 0;
}

static int close_by_library(struct request *rq)
{
	if (!(rq->hd->flags & HANDLE_LIB))
		return give_back(rq);
	close_it(&rq->t, rq->ob, rq->hd, false);
	return 0;
}

int close_early(struct request *rq, bool whole)
{
	int r = closing(rq, whole ? close_by_library : give_back);

	return r == -EBADF ? 0 : r; /* closed already: the request came twice */
}

static bool is_dying(uint32_t tid)
{
	char state = proc_state(tid);

	return !state || state == 'Z' || state == 'X' || proc_killed(tid);
}

/* The handle that this OPEN made, in an object that may have it. */
static void close_opened(struct object *ob, const struct deferred *d)
{
	ref_t r = opened_by(ob, d->unique);
	struct ipc_handle *hd = r ? handle_at(&ob->o, r) : NULL;
	struct target t;
	uint64_t fh;

	if (!hd || !is_dying(hd->tid) || target_of(hd->nodeid, &t) < 0)
		return; /* (a caller that is alive was answered) */
	fh = fh_of(hd->gen, r);
	alias_closed(hd->nodeid, fh);
	if (hd->flags & HANDLE_LOOK)
		plain_close(fh);
	close_it(&t, ob, hd, false);
}

void close_unfetched(uint64_t unique, uint64_t nodeid)
{
	const struct deferred close = { .run = close_opened, .unique = unique };
	struct node *n, *tmp;
	struct object *ob;
	struct target t;
	int e;

	if (nodeid) {
		if (target_of(nodeid, &t) < 0 || !t.node->ops || node_is_blank(t.node))
			return;
		ob = object_of(t.node, &e);
		if (ob)
			object_do(ob, &close);
		return;
	}
	takeup_rest();
	HASH_ITER(by_id, fs.by_id, n, tmp) {
		turn_trim();
		if (n->ob)
			object_do(n->ob, &close);
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

static int flush(struct request *rq)
{
	int64_t refused;

	if (rq->hd->line)
		return flush_line(rq);
	return again_completed(rq, fh_ref(rq->fh), &refused) ? -error_of(refused) : 0;
}

enum outcome file_flush(struct request *rq)
{
	uint32_t pid;
	bool killed;
	int r;

	if (rq->fh & FH_PLAIN || nothing_to_flush(rq))
		return done(rq, 0);
	r = handle_change(rq, flush);
	if (r == -EBUSY && !rq->hd) /* put aside */
		aside_closer(rq, &pid, &killed);
	return done(rq, rq->hd ? r : 0);
}
