/* SPDX-License-Identifier: MIT */
/*
 * The layout of ipcfs's files in shared memory.
 *
 * There are two kinds of engine file, and both begin with struct ipc_header: STATE/mount (the
 * namespace and the limits) and STATE/objects/ID (one object each). The header page ends with a few
 * small blocks, which is all that most objects ever need. Behind it comes the heap, in segments of
 * 256 pages, each with a table that has 16 bytes for each page of the segment (the table itself too).
 * The others hold blocks.
 *
 *	0	header, body of the type, undo log, table of heap pages 0 to 3, eight blocks (one page)
 *	4096	heap pages 0 to 3
 *	20480	heap page 4: table of pages 4 to 255
 *	24576	heap pages 5 to 255
 *	…	heap page 256: table of pages 256 to 511, and so on
 *
 * The file grows at its end, so its length is what was ever used; memory in the middle that is no
 * longer needed is given back as holes.
 *
 * Everything refers to everything by ref_t: the offset of a block in the file divided by 16, so
 * that one word reaches 64 GiB and 0 means none. There is no pointer in the file.
 *
 * Each field is one of
 *	[once]	 written when the file is made, never again
 *	[lock]	 read and written only under the file's mutex; written through the undo log (log.h)
 *	[atomic] as [lock] for writers, but read by anyone at any time
 *	[daemon] written by the daemon alone, with or without the mutex; read by anyone at any time
 *	[plain]	 under the mutex, but outside the undo log: it may be wrong after a crash and is only
 *		 a hint (times) or belongs to a block that nothing reaches yet
 *
 * This file has the header; base.h what everything is made of, bodies.h what each type keeps in the
 * header, blocks.h the blocks of an object's heap, mount.h what STATE/mount keeps.
 *
 * A file is valid when magic, version and fingerprint match; the fingerprint covers the place and
 * size of every field in these files, so that programs with another layout refuse to attach. To
 * change a struct: change it there and in layout.h, raise IPC_VERSION, correct the static_asserts.
 * There is no padding but by fields.
 */
#ifndef IPC_FORMAT_H
#define IPC_FORMAT_H

#include "format/blocks.h"
#include "format/bodies.h"
#include "format/mount.h"

/* What a request came to: see ipc_restarted(). */
struct ipc_completion {
	uint64_t unique;  /* [lock] 0: none */
	int64_t result;   /* [lock] */
	ref_t handle;     /* [lock] */
	uint32_t partial; /* [lock] */
};

struct ipc_header {
	uint64_t magic;       /* [once] */
	uint32_t version;     /* [once] */
	uint32_t fingerprint; /* [once] */
	uint64_t id;          /* [once] */
	uint32_t type;        /* [once] enum ipc_type_id */
	uint32_t memory_low;  /* [atomic] the mount is short of memory: tell of what comes free */
	uint64_t reserve;     /* [once] bytes that the heap may grow to */
	uint64_t epoch;       /* [lock] the mount in which its handles were opened */
	uint64_t unique;      /* [lock] the last request that was done at once, */
	int64_t result;       /* [lock] what it came to, */
	ref_t unique_handle;  /* [lock] whose it was, */
	uint32_t unique_partial; /* [lock] and whether result is only how far it came */
	char pad_to_lock[56];

	/*
	 * Together, for whoever takes the lock writes the log: a small change's takes two cache
	 * lines.
	 */
	_Alignas(64) struct {
		uint32_t lock;    /* [atomic] lock.h */
		uint32_t damaged; /* [atomic] damage.h */
	} m;
	uint64_t log_len; /* [lock] undo records that count; 0: no change is under way */
	struct ipc_undo log[IPC_LOG_MAX]; /* [lock] */

	_Alignas(64) union {
		struct ipc_queue queue;
		struct ipc_sem sem;
		struct ipc_event event;
		struct ipc_cond cond;
		struct ipc_barrier barrier;
		struct ipc_value value;
		struct ipc_array array;
		struct ipc_mount mount;
	} b;

	struct ipc_completion completions
		[IPC_COMPLETIONS]; /* [lock] what unique and its like said at the last restarts */

	/* heap.c */
	uint32_t pages;            /* [lock] heap pages that have a table entry */
	uint32_t pages_used;       /* [lock] pages that are not free */
	uint32_t pages_held;       /* [lock] pages backed by memory */
	uint32_t free[IPC_ORDERS]; /* [lock] first free page block of each order, + 1 */
	uint32_t free_top;         /* [lock] how many of the largest order are free */
	uint32_t holes;            /* [lock] first free block of the largest order without memory */
	uint32_t partial[IPC_CLASSES]; /* [lock] first slab page with a free block, + 1 */
	ref_t trash; /* [lock] long messages that nothing refers to, through .next */

	/* waiting and holding */
	struct ipc_list handles; /* [lock] struct ipc_handle */
	struct ipc_list holds;   /* [lock] struct ipc_hold */
	struct ipc_list polls;   /* [lock] handles that somebody polls */
	struct ipc_list granted; /* [lock] FUSE waiters whose answer is not sent yet */
	struct ipc_list woken;   /* [lock] direct waiters that did not pick up their answer yet */
	uint32_t to_wake;        /* [lock] direct waiters that may go, and are not WAITER_WOKEN */
	uint32_t take;           /* [lock] enum ipc_take: what a read-only handle does */
	struct ipc_list rests;   /* [lock] waiters whose answer was read in part, kept for more */
	struct ipc_list waitqs[IPC_WAITQS]; /* [lock] who waits for what: each type numbers its own */
	uint32_t taken;                     /* [plain] about how many in .woken are FUTEX_TAKEN */
	uint32_t free_least; /* [plain] the least that free_top was: heap_trim_idle() */
	uint32_t roomy;      /* [daemon] it has much free: fs/state/roomy.c */
	struct ipc_stats stats;
	char pad_to_slots[40];
	uint64_t slots_used;                    /* [lock] one bit each */
	struct ipc_page_state first[IPC_FIRST]; /* of these heap pages */
	char slots[IPC_SLOTS_SIZE];
};

static_assert(offsetof(struct ipc_header, m) == 128, "format");
static_assert(sizeof(struct ipc_header) == IPC_PAGE, "the header is one page");
static_assert(offsetof(struct ipc_header, slots) % IPC_UNIT == 0, "a slot has a ref_t");

#endif
