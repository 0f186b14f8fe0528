/* SPDX-License-Identifier: MIT */
/*
 * Requests that are put aside: their object is stalled (door.c).
 *
 * They are kept as they came, and handled again, in their order, when the lock can be had.
 * One that is put aside has changed nothing yet, or left a completion record: it is handled as one that
 * the kernel sends again after a restart. A signal ends its wait; so do its time limits
 * (aside_limit.c). A restart forgets it, and the kernel sends it again.
 *
 * A request that only looks (.ctl, poll) is told what can be seen without the lock, and that the object
 * is stalled: at once if the holder is stopped. If that runs it may only have lost the processor, and
 * then the true answer is worth waiting for, but not for long.
 *
 * A close() does not wait for long, either: when it has waited long enough it is told that it is done, and stays
 * in the list to be done.
 */
#include <stdlib.h>
#include <utlist.h>

#include "base/alloc.h"
#include "base/proc.h"
#include "object/waiter.h"
#include "state/fs.h"
#include "wait/aside.h"
#include "wait/leave.h"
#include "wait/turn.h"

struct kept { /* a request that is put aside */
	struct kept *next, *prev;
	struct aside as;
	size_t len;
	_Alignas(8) char msg[];
};

void aside_closer(struct request *rq, uint32_t *ret_pid, bool *ret_killed)
{
	struct aside *as = &rq->aside;

	if (!as->closer) {
		as->closer = proc_pid(rq->by.tid);
		as->killed = proc_killed(rq->by.tid);
	}
	*ret_pid = as->closer;
	*ret_killed = as->killed;
}

/* ---- keeping ---- */

/* k: in no list. */
static void keep(struct kept *k, const struct aside *as)
{
	k->as = *as;
	DL_APPEND(as->ob->aside, k);
}

void aside_keep(const void *msg, size_t len, const struct aside *as)
{
	struct kept *k = must_alloc(sizeof(*k) + len);

	k->len = len;
	memcpy(k->msg, msg, len);
	keep(k, as);
}

static bool is_of(const struct kept *k, uint64_t unique)
{
	return unique_of(k->as.number) == unique_of(unique);
}

/* The kept request of this number; NULL. */
static struct kept *find(uint64_t unique)
{
	struct object *ob;
	struct kept *k;

	DL_FOREACH2(fs.stalled, ob, stalled_next)
		DL_FOREACH(ob->aside, k)
			if (is_of(k, unique))
				return k;
	return NULL;
}

bool aside_has(uint64_t unique)
{
	return find(unique) != NULL;
}

/* ---- answering without the lock ---- */

static void tell(const struct kept *k, int error)
{
	if (!k->as.told)
		reply_to(k->as.number, error, NULL, 0);
}

static void answer(struct kept *k, int error)
{
	DL_DELETE(k->as.ob->aside, k);
	tell(k, error);
	free(k);
}

/*
 * A request that waited before a restart was told something else while nobody could see what has
 * become of it. It leaves its wait queue as if a signal had interrupted it; what it was granted goes
 * back.
 */
static void forsake(struct object *ob, const struct deferred *d)
{
	ref_t w = ipc_find_waiter(&ob->o, d->unique);
	int64_t result;

	if (w && waiter_at(&ob->o, w)->state == WAITER_GRANTED)
		ipc_forsake(&ob->o, w);
	else if (w)
		ipc_leave(&ob->o, w, -EINTR, &result);
}

/*
 * It waits no longer. A close is done nevertheless, as soon as it can be. (Nobody waits for a
 * RELEASE, and until it is answered the kernel does not forget the inode.)
 */
static void give_up(struct kept *k, int error)
{
	uint64_t number = k->as.number;

	if (!request_is_close(k->as.kind)) {
		if (unique_is_resent(number))
			object_defer(k->as.ob, &(struct deferred){ .run = forsake,
								   .unique = unique_of(number) });
		answer(k, error);
		return;
	}
	k->as.until = IPC_NEVER;
	if (k->as.kind == ASKS_RELEASE)
		return;
	tell(k, error);
	k->as.told = true;
}

bool aside_interrupted(uint64_t unique)
{
	struct kept *k = find(unique);

	if (k && k->as.looks) /* poll(2) knows no EINTR: it gets its answer now */
		k->as.until = 0;
	else if (k)
		give_up(k, EINTR);
	return k != NULL;
}

void aside_end_all(int error)
{
	struct object *ob;

	DL_FOREACH2(fs.stalled, ob, stalled_next)
		while (ob->aside)
			answer(ob->aside, error);
}

/* ---- trying again ---- */

/* Handle one that is in no list now. unlocked: it has waited long enough. */
static void handle(struct kept *k, aside_handler again, bool unlocked)
{
	struct aside as = k->as;

	as.ob = NULL;
	as.later = false;
	as.unlocked = unlocked;
	if (again(k->msg, k->len, &as)) {
		as.later &= k->as.later;
		keep(k, &as);
	} else {
		free(k);
	}
}

static void expire(struct object *ob, aside_handler again)
{
	int64_t now = (int64_t)ipc_now();
	struct kept *k, *tmp;

	DL_FOREACH_SAFE(ob->aside, k, tmp) {
		if (!ob->refuses && k->as.until > now)
			continue;
		if (k->as.looks) {
			DL_DELETE(ob->aside, k);
			handle(k, again, true);
		} else {
			give_up(k, ob->refuses ? EIO : k->as.late);
		}
	}
}

/* Its requests, in their order. If one of them finds it stalled again the others stay behind that. */
static void handle_all(struct object *ob, aside_handler again)
{
	struct kept *list = ob->aside, *k;

	ob->aside = NULL;
	while (list && !ob->aside) {
		k = list;
		DL_DELETE(list, k);
		handle(k, again, false);
	}
	DL_CONCAT(ob->aside, list);
}

static void retry(struct object *ob, aside_handler again)
{
	int r;

	ob->pins++; /* one of its requests may end the turn (turn.c), and we are not done */
	r = stalled_try(ob);
	if (r == 0)
		object_leave(ob);
	if (r == -EBUSY)
		expire(ob, again);
	else
		handle_all(ob, again);
	ob->pins--;
	object_used(ob);
}

void aside_retry(aside_handler again)
{
	static uint64_t looked;
	struct object *ob;
	unsigned int n = 0;
	uint64_t now = ipc_now();

	if (!fs.stalled || now - looked < RETRY_MS * 1000000ull / 2)
		return;
	looked = now;
	DL_FOREACH2(fs.stalled, ob, stalled_next)
		n++;
	while (n-- && (ob = fs.stalled)) {
		/* (others may come and go meanwhile) */
		DL_DELETE2(fs.stalled, ob, stalled_prev, stalled_next);
		DL_APPEND2(fs.stalled, ob, stalled_prev, stalled_next);
		retry(ob, again);
	}
}
