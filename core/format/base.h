/* SPDX-License-Identifier: MIT */
/* What every struct of the layout is made of: numbers, references, lists, pages. See format.h. */
#ifndef IPC_FORMAT_BASE_H
#define IPC_FORMAT_BASE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define IPC_MAGIC       0x0073666370690a01ull /* "\1\nipcfs\0", little endian */
#define IPC_VERSION     5u
#define IPC_PAGE        4096u
#define IPC_SEGMENT     256u /* pages with one table */
#define IPC_FIRST       4u   /* pages that need none: the header has what it would say */
#define IPC_SLOTS       8    /* blocks that lie in the header's page, see slab.h */
#define IPC_SLOTS_SIZE  1056 /* bytes of all of them */
#define IPC_UNIT        16u  /* what a ref_t counts */
#define IPC_ORDERS      5    /* page blocks of 4 KiB .. 64 KiB */
#define IPC_CLASSES     14   /* block sizes within a page, see slab.h */
#define IPC_WAITQS      4    /* wait queues of one object */
#define IPC_LOG_MAX     127  /* undo records */
#define IPC_COMPLETIONS 4    /* requests that may come again after a restart */
#define IPC_NAME_MAX    255
#define IPC_VALUE_MAX   4096 /* bytes of a value's text */

typedef uint32_t ref_t;

/* The types, in the order of the contract. The numbers are in the files: never renumber. */
enum ipc_type_id {
	IPC_NONE,
	IPC_QUEUE,
	IPC_PIPE,
	IPC_EVENT,
	IPC_SEM,
	IPC_LOCK,
	IPC_RLOCK,
	IPC_COND,
	IPC_BARRIER,
	IPC_VALUE,
	IPC_ARRAY,
	IPC_TYPES,
	IPC_DIR = 64, /* only as the type of a node */
	IPC_TWOWAY,   /* the directory of a two-way pipe, which is the object too */
	IPC_MOUNT,    /* only as the type of STATE/mount */
};

/* One undo record: what a word held before this change. */
struct ipc_undo {
	uint64_t where; /* byte offset in the file; bit 0 set: a 32-bit word */
	uint64_t old;
};

/*
 * What has happened to an object since it was made. Whatever its body says anyway is not counted
 * here; ipc_counts() (object/stats.h) adds up both.
 */
struct ipc_stats {
	uint64_t puts, gets; /* [lock] less what the type counts in its body */
	uint64_t others;     /* [lock] pipe: bytes put; cond, value, array: locks taken */
	uint64_t waits;      /* [lock] how often somebody had to wait, */
	uint64_t wakes;      /* [lock] got what it waited for, or its turn, */
	uint64_t timeouts;   /* [lock] waited until its time limit had passed, */
	uint64_t cancels;    /* [lock] or was sent away with -ECANCELED */
	uint64_t most;       /* [plain] messages, or bytes of a pipe, that there were at once */
};

/* One heap page, seen from outside. Two words, each stored as a whole. */
struct ipc_page_state {
	union {
		uint64_t word;
		struct {
			uint16_t first; /* slab: first free block of the page, as unit in the page + 1 */
			uint16_t carved; /* slab: blocks that were ever handed out */
			uint16_t used;   /* slab: blocks in use */
			uint8_t kind;    /* enum ipc_page_kind */
			uint8_t size; /* slab: class; otherwise: order of the block that starts here */
		};
	} u;
	union {
		uint64_t word;
		struct {
			uint32_t next, prev; /* page number + 1, in the list of its kind and size */
		};
	} l;
};

enum ipc_page_kind {
	PAGE_INSIDE, /* inside a larger page block */
	PAGE_FREE,   /* first page of a free page block */
	PAGE_HOLE,   /* the same, and its memory was given back to the system */
	PAGE_SLAB,   /* carved into blocks of one class */
	PAGE_BLOCK,  /* first page of a page block in use */
	PAGE_TABLE,  /* the table of a segment */
};

struct ipc_list { /* doubly linked, through struct ipc_link */
	ref_t head, tail;
	uint32_t count, pad;
};

struct ipc_link { /* the first field of whatever is in a list */
	ref_t next, prev;
};

static_assert(sizeof(struct ipc_undo) == 16, "format");
static_assert(sizeof(struct ipc_page_state) == 16, "format");

#endif
