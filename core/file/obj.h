/* SPDX-License-Identifier: MIT */
/*
 * An engine file as mapped by one process: its lock, its undo log and its lists.
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
#ifndef IPC_OBJ_H
#define IPC_OBJ_H

#include <errno.h>
#include <stdbool.h>
#include <sys/types.h>

#include "file/clock.h"
#include "file/format.h"

struct ipc_obj;

/* What the engine asks of the process that uses it. */
struct ipc_env {
	int dirfd;  /* STATE/objects, or AT_FDCWD; -1: this process may not grow files */
	bool alone; /* no other process maps its files */
	/* Account for `bytes` more (negative: fewer). -ENOSPC if the mount's limit is reached. */
	int (*account)(struct ipc_env *env, int64_t bytes, bool essential);
	/*
	 * The file system has no room for this many more bytes. true: there may be some now, try
	 * again. NULL: nothing can be done.
	 */
	bool (*full)(struct ipc_env *env, int64_t bytes, bool essential);
	/* The file is damaged; `why` is for the log. Called once. */
	void (*damaged)(struct ipc_env *env, struct ipc_obj *o, const char *why);
};

struct ipc_obj {
	struct ipc_header *h;
	char *base; /* == h */
	size_t map_len;
	uint64_t heap_off;  /* offset of the first heap page */
	uint32_t max_pages; /* heap pages that fit */
	uint32_t pages;     /* heap pages that this process knows to exist: obj_reach() */
	uint64_t stores;    /* how many stores are left until obj_unlock(): see may_store() */
	uint64_t id;
	uint32_t type;
	int fd; /* kept open where there is no dirfd, else -1 */
	struct ipc_env *env;
	const struct ipc_type *ops; /* for the layers above: object/type.h */
	/* Called after the lock is taken, and before it is released. May be NULL. */
	void (*entered)(struct ipc_obj *o);
	void (*leaving)(struct ipc_obj *o);
	const char *damage;  /* why it must not be used any more; NULL: sound */
	uint32_t grow_order; /* what heap_alloc() could not find: see heap_grow() */
	bool locked;
	bool work;    /* something changed that pump() must look at */
	bool freed;   /* memory was freed: putters that wait for it may try */
	bool starved; /* something could not be granted, for lack of memory */
	void *user;   /* the daemon's or client's own struct */
};

#define IPC_RESERVE_MOST (32ull << 30) /* bytes that any heap may grow to */

/*
 * Allocate memory for [off, off + len) of a file, in pieces small enough to finish between two
 * signals. 0 or -errno; -ENOSPC for any shortage: space, quota, the machine's memory, the process's
 * file size limit.
 */
int file_back(struct ipc_env *env, int fd, off_t off, off_t len, bool essential);

/*
 * Make NAME in dirfd; it must not exist. `first` is its header, to which this adds what all files
 * have in common. 0 or -errno.
 */
int obj_create(struct ipc_env *env, int dirfd, const char *name, const struct ipc_header *first);
/* The same, mapped, and with so many heap pages: for one that is about to be used. */
int obj_make(struct ipc_env *env, int dirfd, const char *name, const struct ipc_header *first,
	     uint32_t pages, struct ipc_obj *ret);
/*
 * A mapped file of this reserve that nobody else has becomes a new one. Nothing of what it held is left
 * in it. It has no holes.
 */
void obj_renew(struct ipc_obj *o, const struct ipc_header *first);
/*
 * Map it and check its header: -EIO damaged, -EPROTO made by another version or layout. For ipc_map(),
 * which knows the types.
 */
int obj_map(struct ipc_env *env, int fd, struct ipc_obj *ret);
void obj_unmap(struct ipc_obj *o);

/*
 * Take the mutex; roll back what a dead holder left. timeout_ns < 0: no limit. 0; -EBUSY: not in
 * time; -EIO: damaged.
 */
int obj_lock(struct ipc_obj *o, int64_t timeout_ns);
void obj_unlock(struct ipc_obj *o);

/* The file cannot be trusted any more. Every later obj_lock() gives -EIO. */
void obj_damage(struct ipc_obj *o, const char *why);

void obj_rollback(struct ipc_obj *o);

/* ---- blocks by reference ---- */

extern char ipc_nowhere[65536]; /* target of an invalid reference */

/*
 * Has the file grown to `end` since this process last looked? (A process that maps it alone knows.)
 */
bool obj_reach(struct ipc_obj *o, uint64_t end);

static inline bool obj_has_pages(struct ipc_obj *o, uint64_t n)
{
	return __builtin_expect(n <= o->pages, 1) || obj_reach(o, o->heap_off + n * IPC_PAGE);
}

/* Are these bytes in the heap, and within the file's real length, whatever its header says? */
static inline bool obj_has(struct ipc_obj *o, uint64_t off, size_t size)
{
	return off >= o->heap_off &&
	       (__builtin_expect(off + size <= o->heap_off + (uint64_t)o->pages * IPC_PAGE, 1) ||
		obj_reach(o, off + size));
}

/* The block `r`, of at least `size` bytes. A bad reference damages the object and yields zeros. */
static inline void *at(struct ipc_obj *o, ref_t r, size_t size)
{
	uint64_t off = (uint64_t)r * IPC_UNIT;

	if (__builtin_expect(!obj_has(o, off, size), 0)) {
		obj_damage(o, "reference out of range");
		__builtin_memset(ipc_nowhere, 0,
				 size < sizeof(ipc_nowhere) ? size : sizeof(ipc_nowhere));
		return ipc_nowhere;
	}
	return o->base + off;
}

#define AT(o, type, ref) ((struct type *)at((o), (ref), sizeof(struct type)))

static inline ref_t ref_of(struct ipc_obj *o, const void *block)
{
	return (ref_t)((uint64_t)((const char *)block - o->base) / IPC_UNIT);
}

/* ---- logged stores ---- */

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
	/* The first old value is the one to restore: look at the last few records. */
	for (unsigned int k = 1; k <= 4 && k <= n; k++)
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

/* ---- lists ---- */

void list_push(struct ipc_obj *o, struct ipc_list *l, ref_t r); /* at the tail */
void list_push_head(struct ipc_obj *o, struct ipc_list *l, ref_t r);
void list_remove(struct ipc_obj *o, struct ipc_list *l, ref_t r);

/* What follows r in its list. It must link back to r: a list in which all do has no cycle. */
static inline ref_t list_next(struct ipc_obj *o, ref_t r)
{
	ref_t next = AT(o, ipc_link, r)->next;

	if (next && __builtin_expect(AT(o, ipc_link, next)->prev != r, 0))
		obj_damage(o, "a list's back link is wrong");
	return next;
}

/* What precedes it, checked in the same way. */
static inline ref_t list_prev(struct ipc_obj *o, ref_t r)
{
	ref_t prev = AT(o, ipc_link, r)->prev;

	if (prev && __builtin_expect(AT(o, ipc_link, prev)->next != r, 0))
		obj_damage(o, "a list's back link is wrong");
	return prev;
}

/* The most blocks that a file of this length can have. */
static inline uint64_t blocks_most(const struct ipc_obj *o)
{
	return (uint64_t)(o->env->alone ? o->pages : o->max_pages) * (IPC_PAGE / 32);
}

/* Many times what any change of so many pages can need: see may_store(). */
static inline uint64_t stores_for(uint64_t pages)
{
	return 64 * pages * (IPC_PAGE / 32);
}

static inline uint32_t list_most(const struct ipc_obj *o, const struct ipc_list *l)
{
	uint32_t n = __atomic_load_n(&l->count, __ATOMIC_RELAXED);

	return n < blocks_most(o) ? n : (uint32_t)blocks_most(o);
}

static inline ref_t list_first(struct ipc_obj *o, const struct ipc_list *l)
{
	ref_t r = __atomic_load_n(&l->head, __ATOMIC_RELAXED);

	/* Otherwise the list could be a ring, in which all link back. */
	if (r && __builtin_expect(AT(o, ipc_link, r)->prev != 0, 0))
		obj_damage(o, "a list's back link is wrong");
	return r;
}

/*
 * Walk a list; `next` is read first, so the body may remove r. Always ends: it visits no more than
 * were there at the start, and each once.
 */
#define LIST_EACH(o, l, r)                                                          \
	for (ref_t r = list_first((o), (l)), r##_next, r##_n = list_most((o), (l)); \
	     r && r##_n && !(o)->damage && (r##_next = list_next(o, r), 1); r = r##_next, r##_n--)

/* ---- heap ---- */

/*
 * A block of at least `size` bytes (at most 64 KiB), or 0 with o->grow_order set: then the caller
 * rolls back, calls heap_grow() and starts over. Part of the change under way.
 */
ref_t heap_alloc(struct ipc_obj *o, size_t size);
void heap_free(struct ipc_obj *o, ref_t r);
/*
 * Up to n blocks of at most 2 KiB at once, as far as the log has room; returns how many. The first
 * word of each must be made a reference to the next (of the last: any), and must be one when they
 * are freed at once: then they are a chain of free blocks already, which costs few records.
 */
unsigned int heap_alloc_run(struct ipc_obj *o, size_t size, ref_t *ret, unsigned int n);
unsigned int heap_free_run(struct ipc_obj *o, const ref_t *r, unsigned int n);
size_t heap_run_size(size_t size); /* the size of such a block; 0: too large */
#define HEAP_RUN_MOST 2048u
#define HEAP_RUN_ROOM 40 /* records that one page of them and the caller may need */
/* Are two blocks in different pages? */
static inline bool heap_apart(ref_t a, ref_t b)
{
	return (a ^ b) >= IPC_PAGE / IPC_UNIT;
}

size_t heap_size(struct ipc_obj *o, ref_t r); /* size of the block in bytes */
/*
 * Make room for what heap_alloc() last wanted. Only between changes. 0, -ENOSPC, -ENOMEM (may
 * not).
 */
int heap_grow(struct ipc_obj *o, bool essential);
bool heap_has_room(const struct ipc_obj *o, uint64_t bytes); /* for a message of that length */
/*
 * Return memory to the system if much is free (`hard`: all that is possible). Only between changes.
 */
void heap_trim(struct ipc_obj *o, bool hard);
/*
 * Cut off what is free at the end: of a heap in which nothing is in use, all. Only between changes, and
 * when no other process uses the file.
 */
void heap_shrink(struct ipc_obj *o);
/* Pages in which nothing is in use are free: after that h->pages_used says whether anything is. */
void heap_tidy(struct ipc_obj *o);
/* A new file has so many pages behind its header, of zeros: they are the heap's. */
void heap_begin(struct ipc_obj *o, uint32_t pages);
uint64_t heap_held(const struct ipc_obj *o);             /* bytes of memory that the file takes */
int heap_check(struct ipc_obj *o, uint64_t *ret_blocks); /* and how many are in use */

#endif
