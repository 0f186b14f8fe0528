/* SPDX-License-Identifier: MIT */
/*
 * Objects whose lock somebody keeps.
 *
 * A direct client may be stopped at any instruction (Ctrl-Z, a debugger, a frozen container), and
 * so while it has the lock of an engine file. Nobody can do anything with that object until it
 * goes on or dies, but all others are none of its business: so the daemon waits for a lock only as
 * long as an operation may take on a busy machine (object.c). Then the object is held up: the
 * request is put aside as the kernel sent it, later ones for the object go behind it at once, and
 * all of them are dealt with again, in their order, when the lock is to be had. The event thread
 * has the loop thread look every RETRY_MS.
 *
 * A request that is put aside has changed nothing yet, or left a completion record: it is dealt with
 * as one that the kernel sends again after a restart. A signal ends its wait; so do the time limits
 * that it has (held_limit.c). A restart forgets it, and the kernel sends it again.
 *
 * Who only looks (.ctl, poll) is told what can be seen without the lock, and that the object is
 * stalled: at once if the holder is stopped. If it runs it may only have lost the processor, and
 * then the true answer is worth waiting for, but not for long.
 *
 * A close() is not held up either: when it has waited long enough it is told that it is done, and
 * stays in line to be done.
 *
 * One who keeps the lock and is not stopped is broken, or means harm. After LIMIT_NS the object's
 * requests get EIO until the lock is free.
 */
#include <linux/fuse.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>
#include <utlist.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/proc.h"
#include "file/lock.h"
#include "object/type.h"
#include "state/nodeid.h"
#include "wait/held.h"
#include "wait/turn.h"

#define LIMIT_NS 5000000000

struct kept { /* a request that is put aside */
	struct kept *next, *prev;
	struct held_limit limit;
	struct aside as;
	size_t len;
	_Alignas(8) char msg[];
};

struct to_finish { /* what the lock was missing for, after the answer was given */
	struct to_finish *next;
	ref_t waiter;
	size_t max;
	uint64_t pos;
	bool forsaken;     /* the waiter's caller is not there any more, … */
	uint64_t unique;   /* … or that of this request's waiter, if it has one */
	uint64_t fh;       /* a handle to be closed, instead of a waiter: */
	uint64_t id, back; /* the companion of this one */
};

static struct object *held;
static _Atomic bool any; /* there are some */
int held_fd = -1;

static uint32_t holder(const struct object *ob)
{
	return __atomic_load_n(&ob->o.h->m.lock, __ATOMIC_RELAXED) & LOCK_TID;
}

bool held_any(void)
{
	return any;
}

void held_add(struct object *ob)
{
	if (ob->held)
		return;
	ob->held = ob->held_since = ipc_now();
	ob->held_word = holder(ob);
	DL_APPEND2(held, ob, held_prev, held_next);
	if (!any && held_fd >= 0 && eventfd_write(held_fd, 1) < 0)
		log_line(LOG_ERR, "eventfd: %m");
	any = true;
}

void held_remove(struct object *ob)
{
	if (!ob->held)
		return;
	ob->held = 0;
	ob->held_failed = false;
	DL_DELETE2(held, ob, held_prev, held_next);
	any = held != NULL;
}

static void put_aside(struct request *rq, struct object *ob)
{
	rq->aside.ob = ob;
}

void held_later(struct request *rq, struct object *ob)
{
	held_add(ob);
	put_aside(rq, ob);
	rq->aside.later = true;
}

static bool is_close(uint32_t opcode)
{
	return opcode == FUSE_FLUSH || opcode == FUSE_RELEASE;
}

/* What fails at once when the lock was kept for too long. A close does not: it is done later. */
static bool refuses(const struct request *rq, const struct object *ob)
{
	return ob->held_failed && !is_close(rq->opcode);
}

bool held_first(const struct object *ob)
{
	return ob->kept || ob->to_finish;
}

int object_enter(struct request *rq, struct object *ob)
{
	int r;

	if (refuses(rq, ob)) {
		r = object_try(ob);
		return r == -EBUSY ? -EIO : r;
	}
	/* Nobody overtakes those who wait for it already. */
	r = held_first(ob) ? -EBUSY : object_lock(ob);
	if (r == -EBUSY)
		put_aside(rq, ob);
	return r;
}

/* ---- who keeps it ---- */

uint32_t held_pid(const struct object *ob)
{
	return proc_pid(ob->held_word);
}

bool held_stopped(const struct object *ob)
{
	return ipc_lock_stopped(&ob->o.h->m.lock);
}

int held_look(struct request *rq, struct object *ob)
{
	int r = object_lock(ob);

	if (r == 0 && held_first(ob)) { /* what came first is to be seen */
		object_unlock(ob);
		r = -EBUSY;
	} else if (r == -EBUSY && (rq->aside.unlocked || ob->held_failed || held_stopped(ob))) {
		return HELD_STALLED;
	}
	if (r == -EBUSY) {
		put_aside(rq, ob);
		rq->aside.looks = true;
	}
	return r;
}

/* ---- closing ---- */

void held_closer(struct request *rq, uint32_t *ret_pid, bool *ret_killed)
{
	struct aside *as = &rq->aside;

	if (!as->closer) {
		as->closer = proc_pid(rq->by.tid);
		as->killed = proc_killed(rq->by.tid);
	}
	*ret_pid = as->closer;
	*ret_killed = as->killed;
}

/* ---- keeping requests ---- */

/* k: in no list. */
static void keep(struct kept *k, const struct aside *as)
{
	bool counts = k->as.later && !as->later;

	k->as = *as;
	if (counts) /* the first time: its limit counts from now */
		held_limit(as->ob, k->msg, k->len, as->looks, &k->limit);
	DL_APPEND(as->ob->kept, k);
}

void held_keep(const void *msg, size_t len, const struct aside *as)
{
	struct kept *k = must_alloc(sizeof(*k) + len);

	k->len = len;
	k->limit.deadline = IPC_NEVER;
	k->as.later = true;
	memcpy(k->msg, msg, len);
	keep(k, as);
}

static const struct fuse_in_header *header_of(const struct kept *k)
{
	return (const void *)k->msg;
}

static void tell(const struct kept *k, int error)
{
	if (!k->as.told)
		reply_to(header_of(k)->unique, error, NULL, 0);
}

static void answer(struct object *ob, struct kept *k, int error)
{
	DL_DELETE(ob->kept, k);
	tell(k, error);
	free(k);
}

static void finish_later(struct object *ob, const struct to_finish *what)
{
	struct to_finish *f = must_alloc(sizeof(*f));

	*f = *what;
	f->next = ob->to_finish;
	ob->to_finish = f;
}

/*
 * It waits no longer. A close is done nevertheless, as soon as it can be. (Nobody waits for a
 * RELEASE, and until it is answered the kernel does not forget the inode.)
 */
static void give_up(struct object *ob, struct kept *k, int error)
{
	if (!is_close(header_of(k)->opcode)) {
		if (header_of(k)->unique & UNIQUE_RESENT)
			finish_later(ob, &(struct to_finish){ .unique = header_of(k)->unique &
									~UNIQUE_RESENT });
		answer(ob, k, error);
		return;
	}
	k->limit.deadline = IPC_NEVER;
	if (header_of(k)->opcode == FUSE_RELEASE)
		return;
	tell(k, error);
	k->as.told = true;
}

bool held_interrupted(uint64_t unique)
{
	struct object *ob;
	struct kept *k;

	DL_FOREACH2(held, ob, held_next)
		DL_FOREACH(ob->kept, k) {
			if ((header_of(k)->unique & ~UNIQUE_RESENT) != (unique & ~UNIQUE_RESENT))
				continue;
			if (k->as.looks) /* poll(2) knows no EINTR: it gets its answer now */
				k->limit.deadline = 0;
			else
				give_up(ob, k, EINTR);
			return true;
		}
	return false;
}

bool held_has(uint64_t unique)
{
	struct object *ob;
	struct kept *k;

	DL_FOREACH2(held, ob, held_next)
		DL_FOREACH(ob->kept, k)
			if ((header_of(k)->unique & ~UNIQUE_RESENT) == unique)
				return true;
	return false;
}

void held_end_all(int error)
{
	struct object *ob;

	DL_FOREACH2(held, ob, held_next)
		while (ob->kept)
			answer(ob, ob->kept, error);
}

void held_finish(struct object *ob, ref_t waiter, const struct ipc_call *c)
{
	finish_later(ob, &(struct to_finish){ .waiter = waiter, .max = c->max, .pos = c->pos });
}

void held_forsake(struct object *ob, ref_t waiter)
{
	held_add(ob);
	finish_later(ob, &(struct to_finish){ .waiter = waiter, .forsaken = true });
}

void held_close(struct object *ob, uint64_t fh, uint64_t id, uint64_t back)
{
	finish_later(ob, &(struct to_finish){ .fh = fh, .id = id, .back = back });
}

static void finish_nothing(struct object *ob)
{
	while (ob->to_finish) {
		struct to_finish *f = ob->to_finish;

		ob->to_finish = f->next;
		free(f);
	}
}

void held_forget(struct object *ob)
{
	held_remove(ob);
	finish_nothing(ob);
}

/* ---- trying again ---- */

/* Somebody who runs has kept it for too long. */
static void look_at_holder(struct object *ob)
{
	uint32_t word = holder(ob);
	uint64_t now = ipc_now();
	char path[512];

	if (word != ob->held_word)
		ob->held_since = now;
	if (word != ob->held_word || held_stopped(ob))
		ob->held = now;
	ob->held_word = word;
	if (ob->held_failed || now - ob->held < LIMIT_NS)
		return;
	tree_path(ob->node, path, sizeof(path));
	log_line(LOG_ERR, "%s: process %u keeps the lock of engine file %llu", path, word,
		 (unsigned long long)ob->o.id);
	ob->held_failed = true;
}

/* Deal with one that was put aside, and is in no list now. unlocked: it has waited long enough. */
static void deal_with(struct kept *k, held_again again, bool unlocked)
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

static void expire(struct object *ob, held_again again)
{
	int64_t now = (int64_t)ipc_now();
	struct kept *k, *tmp;

	DL_FOREACH_SAFE(ob->kept, k, tmp) {
		if (!ob->held_failed && k->limit.deadline > now)
			continue;
		if (k->as.looks) {
			DL_DELETE(ob->kept, k);
			deal_with(k, again, true);
		} else {
			give_up(ob, k, ob->held_failed ? EIO : k->limit.error);
		}
	}
}

static struct ipc_handle *handle_of(struct object *ob, uint64_t fh)
{
	return fh_handle(&ob->o, fh);
}

/* Processes that ended meanwhile. (One may have several holds, which all go at once.) */
static void end_dead(struct object *ob)
{
	uint32_t dead;

	do {
		dead = 0;
		LIST_EACH(&ob->o, &ob->o.h->holds, r) {
			uint32_t pid = ipc_hold_process(&ob->o, AT(&ob->o, ipc_hold, r));

			if (!pid || proc_start(pid))
				continue;
			dead = 1;
			ipc_process_ended(&ob->o, pid);
			break;
		}
	} while (dead && !ob->o.damage);
}

/*
 * A request that waited before a restart was told something else while nobody could see what has
 * become of it. It leaves its line as whoever a signal interrupts; what it was granted goes back.
 */
static void forsake_request(struct ipc_obj *o, uint64_t unique)
{
	ref_t w = ipc_find_waiter(o, unique);
	int64_t result;

	if (w && waiter_at(o, w)->state == WAITER_GRANTED)
		ipc_forsake(o, w);
	else if (w)
		ipc_leave(o, w, -EINTR, &result);
}

/* It is locked: what was left undone. Unlocks it. */
static void catch_up(struct object *ob)
{
	while (ob->to_finish) {
		struct to_finish *f = ob->to_finish;
		struct ipc_call c = { .max = f->max, .pos = f->pos };

		ob->to_finish = f->next;
		struct ipc_handle *hd = f->fh ? handle_of(ob, f->fh) : NULL;

		if (f->unique)
			forsake_request(&ob->o, f->unique);
		else if (f->forsaken)
			ipc_forsake(&ob->o, f->waiter);
		else if (!f->fh)
			ipc_finish(&ob->o, f->waiter, &c);
		else if (hd && hd->nodeid == f->id && hd->companion == f->back)
			ipc_close(&ob->o, fh_ref(f->fh));
		free(f);
	}
	end_dead(ob);
	ob->o.work = ob->o.freed = true;
	object_leave(ob);
}

/* Its requests, in their order. Those that find it held up again stay the first. */
static void deal_again(struct object *ob, held_again again)
{
	struct kept *list = ob->kept, *k;

	ob->kept = NULL;
	while (list && !ob->kept) {
		k = list;
		DL_DELETE(list, k);
		deal_with(k, again, false);
	}
	DL_CONCAT(ob->kept, list);
}

static void look_again(struct object *ob, held_again again)
{
	int r;

	ob->pins++; /* one of its requests may end the turn (turn.c), and we are not done */
	r = object_try(ob);
	if (r == -EBUSY) {
		look_at_holder(ob);
		expire(ob, again);
	} else {
		held_remove(ob);
		if (r == 0)
			catch_up(ob);
		else
			finish_nothing(ob);
		deal_again(ob, again);
		if (ob->untold && !ob->held)
			settle_told_in(ob);
	}
	ob->pins--;
	object_used(ob);
}

void held_retry(held_again again)
{
	static uint64_t looked;
	struct object *ob;
	unsigned int n = 0;
	uint64_t now = ipc_now();

	if (!held || now - looked < RETRY_MS * 1000000ull / 2)
		return;
	looked = now;
	DL_FOREACH2(held, ob, held_next)
		n++;
	while (n-- && (ob = held)) {
		DL_DELETE2(held, ob, held_prev, held_next); /* others may come and go meanwhile */
		DL_APPEND2(held, ob, held_prev, held_next);
		look_again(ob, again);
	}
}
