/* SPDX-License-Identifier: MIT */
/*
 * A small change whose words are all known before the first of them is written. Its undo records
 * can take effect all at once, and it need not guard against what may happen during longer changes.
 */
#ifndef IPC_QUICK_H
#define IPC_QUICK_H

#include "file/lock.h"
#include "file/log.h"
#include "file/obj.h"

/*
 * obj_lock() for one such change, of a type without `entered` and `leaving`: take the mutex if it
 * is free and no change was left unfinished. false: nothing was done; call obj_lock().
 */
static inline bool obj_lock_now(struct ipc_obj *o)
{
	struct ipc_header *h = o->h;

	if (__builtin_expect(__atomic_load_n(&o->damage, __ATOMIC_RELAXED) != NULL, 0) ||
	    !ipc_lock_try(&h->m.lock))
		return false;
	if (__builtin_expect(__atomic_load_n(&h->m.damaged, __ATOMIC_RELAXED) ||
				     __atomic_load_n(&h->log_len, __ATOMIC_RELAXED),
			     0)) {
		ipc_lock_release(&h->m.lock);
		return false;
	}
	o->locked = true;
	return true;
}

static inline void obj_unlock_now(struct ipc_obj *o)
{
	o->locked = false;
	ipc_lock_release(&o->h->m.lock);
}

/*
 * note_word() each of them, then let all records take effect at once, and then write. n: how many
 * there are already; a change begins with 0.
 */
static inline unsigned int note_word(struct ipc_header *h, unsigned int n, const void *p,
				     uint64_t old, unsigned int word)
{
	IPC_FAULT();
	h->log[n].where = (uint64_t)((const char *)p - (const char *)h) | word;
	h->log[n].old = old;
	return n + 1;
}

static inline void notes_count(struct ipc_header *h, unsigned int n)
{
	IPC_FAULT();
	__atomic_store_n(&h->log_len, n, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	IPC_FAULT();
}

#endif
