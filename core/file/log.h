/* SPDX-License-Identifier: MIT */
/*
 * The undo log, through which an engine file is changed.
 *
 * Crash safety rests on one rule: whoever has the mutex changes [lock] fields only through set32()
 * and set64(), which record the old value in the file's undo log first. commit() ends a change by
 * forgetting the records; rollback() ends it by putting the old values back. A process that dies in
 * between leaves the records, and whoever takes the mutex next rolls back (obj_lock). So every
 * change happens completely or not at all, and an operation that is refused half-way simply rolls
 * back.
 *
 * New blocks are filled before anything refers to them, and need no records.
 */
#ifndef IPC_LOG_H
#define IPC_LOG_H

#include "file/obj.h"

#ifdef IPC_FAULTS /* unit tests: die, or give up, before the n-th store */
extern long ipc_fault_after;
void ipc_fault(void);
#define IPC_FAULT()                                            \
	do {                                                   \
		if (ipc_fault_after && --ipc_fault_after == 0) \
			ipc_fault();                           \
	} while (0)
#else
#define IPC_FAULT() \
	do {        \
	} while (0)
#endif

/* A limit on stores, which ends any loop in a file that another process keeps corrupting. */
static inline bool may_store(struct ipc_obj *o, uint64_t n)
{
	if (__builtin_expect(n >= IPC_LOG_MAX, 0)) {
		obj_damage(o, "undo log full");
		return false;
	}
	if (__builtin_expect(!o->stores, 0)) {
		obj_damage(o, "a change that does not end");
		return false;
	}
	o->stores--;
	return true;
}

static inline bool undo_record(struct ipc_obj *o, uint64_t where, uint64_t old)
{
	struct ipc_header *h = o->h;
	/* Read once: another process may write it, and the value checked must be the value used. */
	uint64_t n = __atomic_load_n(&h->log_len, __ATOMIC_RELAXED);

	if (!may_store(o, n))
		return false;
	/*
	 * The first old value is the one to restore: look at the last few records. A long change, as
	 * of the many blocks of one message, comes back to the same few words of the header.
	 */
	for (uint64_t k = 1, most = n < 32 ? 4 : n; k <= most && k <= n; k++)
		if (h->log[n - k].where == where)
			return true;
	h->log[n].where = where;
	h->log[n].old = old;
	IPC_FAULT();
	/*
	 * The next holder sees all stores of a dead process, so only the compiler must not reorder.
	 */
	__atomic_store_n(&h->log_len, n + 1, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return true;
}

static inline void set64_at(struct ipc_obj *o, uint64_t *p, uint64_t v)
{
	if (*p == v)
		return;
	IPC_FAULT();
	if ((char *)p >= o->base && (char *)p < o->base + o->map_len &&
	    !undo_record(o, (uint64_t)((char *)p - o->base), *p))
		return;
	IPC_FAULT();
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

static inline void set32_at(struct ipc_obj *o, uint32_t *p, uint32_t v)
{
	if (*p == v)
		return;
	IPC_FAULT();
	if ((char *)p >= o->base && (char *)p < o->base + o->map_len &&
	    !undo_record(o, (uint64_t)((char *)p - o->base) | 1, *p))
		return;
	IPC_FAULT();
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

/*
 * The same for a word that was probably not set before in this change (twice does no harm, as a
 * rollback goes backwards) and is known to be in the file.
 */
static inline bool log_set(struct ipc_obj *o, void *p, uint64_t old, unsigned int word)
{
	struct ipc_header *h = o->h;
	uint64_t n = __atomic_load_n(&h->log_len, __ATOMIC_RELAXED);

	IPC_FAULT();
	if (!may_store(o, n))
		return false;
	h->log[n].where = (uint64_t)((char *)p - o->base) | word;
	h->log[n].old = old;
	IPC_FAULT();
	__atomic_store_n(&h->log_len, n + 1, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	IPC_FAULT();
	return true;
}

static inline void log64(struct ipc_obj *o, uint64_t *p, uint64_t v)
{
	if (log_set(o, p, *p, 0))
		__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

static inline void log32(struct ipc_obj *o, uint32_t *p, uint32_t v)
{
	if (log_set(o, p, *p, 1))
		__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

#define set64(o, field, v) set64_at((o), (uint64_t *)&(field), (uint64_t)(v))
#define set32(o, field, v) set32_at((o), (uint32_t *)&(field), (uint32_t)(v))

static inline void commit(struct ipc_obj *o)
{
	IPC_FAULT();
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&o->h->log_len, 0, __ATOMIC_RELEASE);
	IPC_FAULT();
}

/* How many records still fit. A bulk change commits when there are too few for one more step. */
static inline unsigned int log_room(struct ipc_obj *o)
{
	uint64_t n = __atomic_load_n(&o->h->log_len, __ATOMIC_RELAXED);

	return n < IPC_LOG_MAX ? IPC_LOG_MAX - (unsigned int)n : 0;
}

#endif
