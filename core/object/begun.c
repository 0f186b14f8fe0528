/* SPDX-License-Identifier: MIT */
/*
 * Begun messages: a direct client writes the bytes of a message that it will put, or reads those of
 * one that it took, in the engine file itself and without the object's lock.
 *
 *	put:	(begin) -> begun -> put -> in the queue
 *	                     `-> given up, or the handle closes -> gone
 *	get:	in the queue -> begun -> end -> gone
 *	          ^               |
 *	          `---------------` the handle closes: to the head, as a message that was read in part
 *
 * Each is a block like that of a waiter, in header.rests, with the message as its answer: so its
 * handle's close finds it, by whatever death, and gives it back or frees it.
 *
 * If another process keeps the lock, the end does not wait for it: the owner marks the message as taken
 * (FUTEX_TAKEN), and whoever has the lock next frees it.
 */
#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/begun.h"
#include "object/msg.h"
#include "object/type.h"
#include "object/waiter.h"

ref_t begun_new(struct ipc_obj *o, const struct ipc_call *c, const struct ipc_answer *got)
{
	struct ipc_handle *hd = handle_at(o, c->handle);
	ref_t r = heap_alloc(o, sizeof(struct ipc_waiter));

	if (!r)
		return 0;
	*waiter_at(o, r) = (struct ipc_waiter){
		.handle = c->handle,
		.op = c->op,
		.state = WAITER_BEGUN,
		.flags = WAITER_DIRECT,
		.tid = c->tid,
		.pid = c->pid,
		.uid = c->uid,
		.since = ipc_now(),
		.deadline = IPC_NEVER,
		.got = *got,
	};
	list_push(o, &o->h->rests, r);
	set32(o, hd->rests, hd->rests + 1);
	return r;
}

bool ipc_is_taken(const struct ipc_waiter *w)
{
	return __atomic_load_n(&w->futex, __ATOMIC_ACQUIRE) == FUTEX_TAKEN;
}

static bool is_begun(struct ipc_obj *o, ref_t begun)
{
	return waiter_at(o, begun)->state == WAITER_BEGUN && waiter_at(o, begun)->got.count;
}

ref_t begun_message(struct ipc_obj *o, struct ipc_call *c)
{
	const struct ipc_answer *a = &waiter_at(o, c->begun)->got;
	ref_t msg = a->first;

	if (!is_begun(o, c->begun) || c->len > a->len) {
		obj_damage(o, "a begun message is not what it was");
		return 0;
	}
	if (c->len < a->len)
		set32(o, msg_at(o, msg)->len, (uint32_t)c->len);
	waiter_done(o, c->begun);
	c->begun = 0;
	return msg;
}

char *ipc_begun_bytes(struct ipc_obj *o, ref_t begun, size_t *ret_len)
{
	const struct ipc_answer *a = &waiter_at(o, begun)->got;

	*ret_len = 0;
	if (!is_begun(o, begun) || a->count != 1)
		return NULL;
	*ret_len = answer_left(a);
	return msg_bytes(o, a->first, a->skip + a->off, *ret_len);
}

size_t ipc_begun_copy(struct ipc_obj *o, ref_t begun, char *buf, size_t size)
{
	const struct ipc_answer *a = &waiter_at(o, begun)->got;

	return answer_copy(o, a, a->off, buf, size);
}

void begun_free(struct ipc_obj *o, ref_t begun)
{
	if (waiter_at(o, begun)->got.count)
		msg_put(o, waiter_at(o, begun)->got.first);
	waiter_done(o, begun);
	commit(o);
	o->freed = true;
}

void ipc_reap(struct ipc_obj *o)
{
	uint32_t taken = __atomic_load_n(&o->h->taken, __ATOMIC_RELAXED);

	/* Not a walk along all of them for each. */
	if (!taken || taken < o->h->woken.count / 2)
		return;
	__atomic_store_n(&o->h->taken, 0, __ATOMIC_RELAXED);
	LIST_EACH(o, &o->h->woken, r)
		if (ipc_is_taken(waiter_at(o, r)))
			begun_free(o, r);
	LIST_EACH(o, &o->h->rests, r)
		if (ipc_is_taken(waiter_at(o, r)))
			begun_free(o, r);
}

void ipc_begun_end(struct ipc_obj *o, ref_t begun)
{
	if (waiter_at(o, begun)->state != WAITER_BEGUN)
		return;
	begun_free(o, begun);
	o->work = true;
}

void ipc_begun_back(struct ipc_obj *o, ref_t begun)
{
	struct ipc_waiter *w = waiter_at(o, begun);

	if (w->state != WAITER_BEGUN)
		return;
	answer_leave(o, handle_at(o, w->handle), &w->got);
	waiter_done(o, begun);
	commit(o);
	o->work = true;
}

void ipc_begun_done(struct ipc_obj *o, ref_t begun)
{
	struct ipc_waiter *w = waiter_at(o, begun);

	__atomic_store_n(&w->futex, FUTEX_TAKEN, __ATOMIC_RELEASE);
	__atomic_add_fetch(&o->h->taken, 1, __ATOMIC_RELAXED);
}
