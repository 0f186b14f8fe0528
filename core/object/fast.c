/* SPDX-License-Identifier: MIT */
/* See fast.h. */
#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "object/damage.h"
#include "object/fast.h"
#include "object/stats.h"
#include "object/type.h"

static_assert(offsetof(struct ipc_cond, lock) == 0 && offsetof(struct ipc_value, lock) == 0 &&
		      offsetof(struct ipc_array, lock) == 0,
	      "b.sem is the lock of each of them");
static_assert(offsetof(struct ipc_cond, lock_id) == offsetof(struct ipc_value, lock_id) &&
		      offsetof(struct ipc_cond, lock_id) == offsetof(struct ipc_array, lock_id),
	      "the same");

#define S(o) (&(o)->h->b.sem)

static void make_hold(struct ipc_obj *o, ref_t handle, struct ipc_handle *hd)
{
	ref_t r = S(o)->spare;

	if (!r) {
		obj_damage(o, "a held lock has no block for its hold");
		return;
	}
	*AT(o, ipc_hold, r) = (struct ipc_hold){
		.handle = handle,
		.count = 1,
		.since = ipc_now(),
		.op = ipc_is(o, TYPE_INNER_LOCK) ? OP_FLOCK : OP_READ,
		.tid = __atomic_load_n(&S(o)->fast_tid, __ATOMIC_RELAXED),
		.pid = hd->opener,
		.uid = hd->uid,
	};
	set32(o, S(o)->spare, 0);
	set64(o, S(o)->value, 0);
	if (ipc_is(o, TYPE_OWNED))
		set32(o, S(o)->owner, handle);
	list_push(o, &o->h->holds, r);
	set32(o, hd->holds, hd->holds + 1);
	commit(o);
}

void fast_entered(struct ipc_obj *o)
{
	uint64_t word = __atomic_load_n(&S(o)->fast, __ATOMIC_RELAXED), off;
	struct ipc_handle *hd;
	ref_t handle;

	do {
		if (word == FAST_OFF)
			return;
		off = word == FAST_FREE ? FAST_OFF : word | FAST_FROZEN;
	} while (word != off && !__atomic_compare_exchange_n(&S(o)->fast, &word, off, false,
							     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	if (off == FAST_OFF)
		return;
	IPC_FAULT();
	handle = (ref_t)off & ~FAST_FROZEN;
	hd = ipc_handle(o, handle, (uint32_t)(off >> 32));
	/* If somebody died in here, the hold may exist already. */
	if (hd && S(o)->value && !o->h->holds.count)
		make_hold(o, handle, hd);
	IPC_FAULT();
	__atomic_store_n(&S(o)->fast, FAST_OFF, __ATOMIC_RELAXED);
}

static bool quiet(const struct ipc_obj *o)
{
	const struct ipc_header *h = o->h;
	uint32_t n = h->holds.count | h->polls.count | h->granted.count | h->woken.count;

	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		n |= h->waitqs[i].count;
	if (n || S(o)->value != 1)
		return false;
	return ipc_is(o, TYPE_INNER_LOCK) ? !h->b.cond.lock_id :
					    S(o)->undo && S(o)->scope == SCOPE_HANDLE;
}

/* Put a block aside for the hold. */
static bool spare(struct ipc_obj *o)
{
	ref_t r = S(o)->spare ? S(o)->spare : heap_alloc(o, sizeof(struct ipc_hold));

	if (!r) {
		obj_rollback(o);
		return false;
	}
	set32(o, S(o)->spare, r);
	commit(o);
	return true;
}

void fast_attached(struct ipc_obj *o)
{
	if (o->ops->leaving != fast_leaving)
		return;
	set32(o, S(o)->direct, 1);
	commit(o);
	while (!spare(o) && !o->damage && heap_grow(o, false) == 0)
		;
}

void fast_rest(struct ipc_obj *o)
{
	ref_t r = S(o)->spare;

	if (ipc_is(o, TYPE_INNER_LOCK))
		STAT_FOLD(o, S(o)->taken, others);
	else
		STAT_FOLD(o, S(o)->taken, gets);
	set32(o, S(o)->direct, 0);
	set32(o, S(o)->fast_tid, 0);
	set32(o, S(o)->spare, 0);
	if (r)
		heap_free(o, r);
}

void fast_leaving(struct ipc_obj *o)
{
	/* (Atomic for the thread sanitizer: somebody may be checking whether it is free.) */
	if (!S(o)->direct || __atomic_load_n(&S(o)->fast, __ATOMIC_RELAXED) != FAST_OFF ||
	    o->damage || damage_marked(o) || !quiet(o) || !spare(o))
		return;
	__atomic_store_n(&S(o)->fast, FAST_FREE, __ATOMIC_RELEASE);
}
