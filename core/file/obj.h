/* SPDX-License-Identifier: MIT */
/*
 * An engine file as mapped by one process: its lock, and blocks by reference.
 * What it can do with them: log.h, list.h, heap.h.
 */
#ifndef IPC_OBJ_H
#define IPC_OBJ_H

#include <errno.h>
#include <stdbool.h>
#include <sys/types.h>

#include "file/clock.h"
#include "format/format.h"

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

/* Bytes that any heap may grow to. (More, and a reference would need the bit MSG_APART.) */
#define IPC_RESERVE_MOST ((32ull << 30) - (1 << 20))

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
/* The same, mapped: for one that is about to be used. */
int obj_make(struct ipc_env *env, int dirfd, const char *name, const struct ipc_header *first,
	     struct ipc_obj *ret);
/*
 * A mapped file of this reserve that nobody else has becomes a new one. Nothing of what it held is left
 * in it. It has no holes. heap_begin() is next.
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

/* Where the first block may be: slab.h. */
#define BLOCKS_OFF offsetof(struct ipc_header, slots)

/* Are these bytes in a block, and within the file's real length, whatever its header says? */
static inline bool obj_has(struct ipc_obj *o, uint64_t off, size_t size)
{
	return off >= BLOCKS_OFF &&
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

/* The most blocks that a file of this length can have. */
static inline uint64_t blocks_most(const struct ipc_obj *o)
{
	return (uint64_t)(o->env->alone ? o->pages : o->max_pages) * (IPC_PAGE / 32) + IPC_SLOTS;
}

/* Many times what any change of so many pages can need: see may_store(). */
static inline uint64_t stores_for(uint64_t pages)
{
	return 64 * pages * (IPC_PAGE / 32);
}

#endif
