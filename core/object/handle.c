/* SPDX-License-Identifier: MIT */
/* Handles: open file descriptions and direct clients. */
#include <string.h>

#include "file/list.h"
#include "file/log.h"
#include "file/slab.h"
#include "object/answer.h"
#include "object/begun.h"
#include "object/completion.h"
#include "object/fast.h"
#include "object/hold.h"
#include "object/msg.h"
#include "object/type.h"
#include "object/waiter.h"
#include "object/wake.h"

/* The block of a new one; the heap grows if it must. */
static int handle_alloc(struct ipc_obj *o, ref_t *ret)
{
	int e;

	while (!(*ret = heap_alloc(o, sizeof(struct ipc_handle)))) {
		obj_rollback(o);
		e = heap_grow(o, true);
		if (e < 0)
			return e == -ENOMEM ? -ENOSPC : e;
	}
	return 0;
}

int ipc_open(struct ipc_obj *o, const struct ipc_opening *how, ref_t *ret_handle)
{
	struct ipc_handle *hd;
	ref_t r;
	int e = handle_alloc(o, &r);

	if (e < 0)
		return e;
	hd = handle_at(o, r);
	*hd = (struct ipc_handle){
		.gen = how->gen,
		.kind = how->kind,
		.flags = how->flags,
		.oflags = how->oflags,
		.tid = how->tid,
		.pid = how->pid,
		.uid = how->uid,
		.opener = how->opener ? how->opener : how->pid,
		.companion = how->companion,
		.since = ipc_now(),
		.nodeid = how->nodeid,
		.open_unique = how->unique,
		.timeout = how->timeout,
		.deadline = -1,
	};
	list_push(o, &o->h->handles, r);
	if (o->ops->opened && !(how->flags & HANDLE_LOOK) &&
	    (how->kind == HANDLE_OBJECT || how->kind == HANDLE_CHANGED))
		o->ops->opened(o, hd);
	if (o->damage) {
		obj_rollback(o);
		return -EIO;
	}
	commit(o);
	o->work = true;
	*ret_handle = r;
	return 0;
}

struct ipc_handle *ipc_handle_from_outside(struct ipc_obj *o, ref_t ref, uint32_t gen)
{
	uint64_t page = ((uint64_t)ref * IPC_UNIT - o->heap_off) / IPC_PAGE;

	/* There may be no memory for a hole in the file; a block in use has some. */
	if (!in_slots(o, ref) && (!obj_has_pages(o, page + 1) || page >= o->h->pages))
		return NULL;
	if (heap_size(o, ref) < sizeof(struct ipc_handle))
		return NULL;
	return ipc_handle(o, ref, gen);
}

void ipc_handle_used(struct ipc_handle *hd, uint32_t tid, uint32_t pid)
{
	hd->tid = tid;
	hd->pid = pid;
}

void ipc_handle_limit(struct ipc_handle *hd, bool deadline, int64_t v)
{
	__atomic_store_n(deadline ? &hd->deadline : &hd->timeout, v, __ATOMIC_RELAXED);
	__atomic_store_n(&hd->clock[0], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&hd->clock[1], 0, __ATOMIC_RELAXED);
}

void ipc_handle_poll(struct ipc_handle *hd, uint64_t kh)
{
	__atomic_store_n(&hd->poll_kh, kh, __ATOMIC_RELAXED);
	__atomic_store_n(&hd->poll_late, 1, __ATOMIC_RELAXED);
}

void ipc_handle_polled(struct ipc_obj *o, struct ipc_handle *hd)
{
	set32(o, hd->poll_late, 0);
	commit(o);
}

void ipc_handle_companion(struct ipc_handle *hd, uint64_t fh)
{
	__atomic_store_n(&hd->companion, fh, __ATOMIC_RELAXED);
}

int ipc_attach(struct ipc_obj *o, struct ipc_handle *hd, uint32_t tid, uint32_t pid)
{
	set32(o, hd->flags, hd->flags | HANDLE_DIRECT);
	set32(o, hd->tid, tid);
	set32(o, hd->pid, pid);
	commit(o);
	fast_attached(o);
	return o->damage ? -EIO : 0;
}

int64_t ipc_deadline(const struct ipc_handle *hd, int64_t deadline)
{
	int64_t t;

	if (!deadline || hd->timeout == 0)
		return 0;
	if (hd->deadline >= 0 && hd->deadline < deadline)
		deadline = hd->deadline ? hd->deadline : 1;
	if (hd->timeout > 0 && !__builtin_add_overflow((int64_t)ipc_now(), hd->timeout, &t) &&
	    t < deadline)
		deadline = t;
	return deadline;
}

/* Remove a waiter, from its wait queue if it waits. regrets: what it was granted goes back. */
static void end_waiter(struct ipc_obj *o, struct ipc_handle *hd, ref_t r, bool regrets)
{
	struct ipc_waiter *w = waiter_at(o, r);

	if (w->state == WAITER_GRANTED && regrets && o->ops->regret && w->result >= 0) {
		o->ops->regret(o, w);
		/* If we die here, the process that carries on must not put it back twice. */
		set64(o, w->result, -EBADF);
	} else if ((w->state == WAITER_WAITING || w->state == WAITER_TURN) && o->ops->left) {
		o->ops->left(o, w, -EBADF);
	}
	if (w->got.kind != ANSWER_NONE) {
		commit(o);
		if (w->state == WAITER_REST || (w->state == WAITER_BEGUN && w->op != OP_WRITE))
			answer_leave(o, hd, &w->got);
		else
			answer_drop(o, &w->got);
	}
	if (w->flags & WAITER_DIRECT)
		ipc_wake_gone(w);
	waiter_done(o, r);
	commit(o);
}

/* What the handle holds because this waiter was granted, or NULL. */
static struct ipc_hold *hold_of_waiter(struct ipc_obj *o, const struct ipc_waiter *w)
{
	uint32_t op = w->flags & WAITER_RELOCK ? OP_FLOCK : w->op;

	if (w->state != WAITER_GRANTED || w->result < 0 || w->flags & WAITER_RETAKE)
		return NULL;
	LIST_EACH(o, &o->h->holds, r) {
		struct ipc_hold *hold = AT(o, ipc_hold, r);

		if (hold->handle == w->handle && hold->op == op && hold->pid == w->pid)
			return hold;
	}
	return NULL;
}

static void unhold_one(struct ipc_obj *o, struct ipc_hold *hold)
{
	uint32_t count = hold->count;

	set32(o, hold->count, 1);
	o->ops->unhold(o, hold);
	if (count > 1)
		set32(o, hold->count, count - 1);
	else
		hold_drop(o, hold);
}

void ipc_forsake(struct ipc_obj *o, ref_t r)
{
	struct ipc_waiter *w = waiter_at(o, r);
	struct ipc_hold *hold = hold_of_waiter(o, w);

	if (w->state == WAITER_REST)
		return;
	if (hold) {
		unhold_one(o, hold);
		if (!(w->flags & WAITER_RELOCK)) /* (its notify goes to the next) */
			set64(o, w->result, -EBADF);
		commit(o);
	}
	end_waiter(o, handle_at(o, w->handle), r, true);
	o->work = true;
}

int ipc_flush(struct ipc_obj *o, ref_t handle, uint32_t pid, bool killed, bool last)
{
	return o->ops->flush ? o->ops->flush(o, handle, pid, killed, last) : 0;
}

/* Its handle is about to go: whatever part of its answer was not given out goes back. */
static void drop_waiter(struct ipc_obj *o, struct ipc_handle *hd, ref_t r)
{
	struct ipc_waiter *w = waiter_at(o, r);

	if (ipc_is_taken(w))
		begun_free(o, r);
	else if (w->state == WAITER_GRANTED && !(w->flags & WAITER_DIRECT) && o->ops->back)
		ipc_finish_told(o, r);
	else
		end_waiter(o, hd, r, w->flags & (WAITER_DIRECT | WAITER_STANDS));
}

/* Last first, so that what goes back to the head comes out in the original order. */
static void drop_waiters(struct ipc_obj *o, ref_t handle, struct ipc_list *l)
{
	struct ipc_handle *hd = handle_at(o, handle);
	ref_t r = l->tail, prev;

	for (uint32_t n = l->count; r && n && (hd->waiters || hd->rests); n--) {
		prev = list_prev(o, r);
		if (o->damage)
			return;
		if (waiter_at(o, r)->handle == handle)
			drop_waiter(o, hd, r);
		r = prev;
	}
}

/*
 * The first half of a close: give up what it holds, leases or waits for, and the answer in its
 * hand.
 */
static void give_back(struct ipc_obj *o, ref_t handle)
{
	struct ipc_header *h = o->h;
	struct ipc_handle *hd = handle_at(o, handle);
	struct ipc_hold *hold;

	set32(o, hd->flags, hd->flags | HANDLE_CLOSING);
	commit(o);
	if (hd->flags & HANDLE_DIRECT)
		ipc_wake_again(o);
	if (hd->waiters || hd->rests) {
		for (unsigned int i = 0; i < IPC_WAITQS; i++)
			drop_waiters(o, handle, &h->waitqs[i]);
		drop_waiters(o, handle, &h->granted);
		drop_waiters(o, handle, &h->woken);
		drop_waiters(o, handle, &h->rests);
	}
	answer_leave(o, hd, &hd->hand);
	while (!o->damage && (hold = hold_find(o, handle, OP_NONE))) {
		o->ops->unhold(o, hold);
		hold_drop(o, hold);
		commit(o);
	}
	if (hd->leases && o->ops->unlease)
		o->ops->unlease(o, handle);
	answer_drop(o, &hd->hand);
}

void ipc_give_back(struct ipc_obj *o, ref_t handle)
{
	struct ipc_handle *hd = handle_at(o, handle);

	give_back(o, handle);
	set32(o, hd->flags, hd->flags & ~HANDLE_CLOSING);
	commit(o);
	o->work = true;
}

void ipc_close(struct ipc_obj *o, ref_t handle)
{
	struct ipc_header *h = o->h;
	struct ipc_handle *hd = handle_at(o, handle);

	give_back(o, handle);
	if (o->ops->closed)
		o->ops->closed(o, hd);
	commit(o);
	if (hd->line) {
		ref_t line = hd->line;

		set32(o, hd->line, 0);
		msg_free(o, line);
		commit(o);
	}
	if (hd->poll_events) {
		list_remove(o, &h->polls,
			    handle + offsetof(struct ipc_handle, poll_link) / IPC_UNIT);
		set32(o, hd->poll_events, 0);
	}
	list_remove(o, &h->handles, handle);
	set32(o, hd->gen, 0);
	heap_free(o, handle);
	commit(o);
	o->work = true;
}

void ipc_close_all(struct ipc_obj *o)
{
	ref_t r;

	while (!o->damage && (r = o->h->handles.head)) {
		if (handle_at(o, r)->line)
			ipc_flush(o, r, 0, false, true);
		ipc_close(o, r);
	}
	ipc_completions_forget(o);
}

void ipc_begin_mount(struct ipc_obj *o, uint64_t epoch)
{
	ipc_close_all(o);
	set64(o, o->h->epoch, epoch);
	commit(o);
	ipc_pump(o);
}
