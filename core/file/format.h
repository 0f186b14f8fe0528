/* SPDX-License-Identifier: MIT */
/*
 * The layout of ipcfs's files in shared memory.
 *
 * There are two kinds of engine file, and both begin with struct ipc_header: STATE/mount (the
 * namespace and the limits) and STATE/objects/ID (one object each). Behind the header page comes
 * the heap, in segments of 256 pages: the first page of each is a table of 16 bytes for each page
 * of the segment (the table itself too), the others hold blocks.
 *
 *	0	header, body of the type, undo log	(one page)
 *	4096	heap page 0: table of pages 0 to 255
 *	8192	heap pages 1 to 255
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
 * A file is valid when magic, version and fingerprint match; the fingerprint covers the place and
 * size of every field below, so that programs with another layout refuse to attach. To change a
 * struct: change it here and in layout.h, raise IPC_VERSION, correct the static_asserts. There is
 * no padding but by fields.
 */
#ifndef IPC_FORMAT_H
#define IPC_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define IPC_MAGIC       0x0073666370690a01ull /* "\1\nipcfs\0", little endian */
#define IPC_VERSION     4u
#define IPC_PAGE        4096u
#define IPC_SEGMENT     256u /* pages with one table */
#define IPC_UNIT        16u  /* what a ref_t counts */
#define IPC_ORDERS      5    /* page blocks of 4 KiB .. 64 KiB */
#define IPC_CLASSES     14   /* block sizes within a page, see slab.h */
#define IPC_WAITQS      4    /* wait queues of one object */
#define IPC_LOG_MAX     198  /* undo records */
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

/* ---- blocks ---------------------------------------------------------------------------- */

/* A message, or a segment of one. The bytes follow; what does not fit goes on in `more`. */
struct ipc_msg {
	ref_t next;        /* [lock] the next message of its queue or answer */
	ref_t more;        /* [plain] next segment */
	uint32_t len;      /* bytes of the whole message (first segment) or of this one */
	uint16_t refs;     /* [lock] who needs it: its place, and answers in hand */
	uint16_t attempts; /* [lock] times that it was leased */
	char data[];
};

/* What a handle was given last and can be read again: see answer.h. */
struct ipc_answer {
	uint32_t kind;  /* enum ipc_answer_kind */
	ref_t first;    /* first message */
	uint32_t count; /* messages */
	uint32_t skip;  /* bytes of the first message that are not part of it */
	uint64_t len;   /* bytes of the whole answer, as text */
	uint64_t off;   /* bytes that were given out */
	uint64_t base;  /* position of its first byte (handles with a position) */
	int64_t number; /* the answer of types that give numbers; a lease's id */
};

/* What a handle that is opened read-only does: takes as any other, or only looks. */
enum ipc_take { TAKE_ANY, TAKE_RW };

/* An open file description or a direct client. */
struct ipc_handle {
	struct ipc_link link;      /* [lock] header.handles */
	uint32_t gen;              /* [once] tells it from a later one in the same place */
	uint32_t kind;             /* [once] enum ipc_handle_kind */
	struct ipc_link poll_link; /* [lock] header.polls, while poll_events is not 0 */
	uint32_t flags;            /* [lock] HANDLE_* */
	uint32_t oflags;           /* [once] open(2)'s flags */
	uint32_t tid, pid;    /* [lock] who used it last: thread, and the process it belongs to */
	uint32_t uid;         /* [once] who opened it */
	uint32_t opener;      /* [lock] process that opened it, or stands for it: ipc_adopt() */
	uint64_t since;       /* [once] CLOCK_MONOTONIC, ns */
	uint64_t nodeid;      /* [once] as which inode the kernel knows it */
	uint64_t open_unique; /* [once] the request that opened it */
	int64_t timeout;      /* [daemon] ns for each operation, -1 for ever */
	int64_t deadline;     /* [daemon] CLOCK_MONOTONIC ns, -1 none */
	uint64_t poll_kh;     /* [daemon] the kernel's name for whoever polls */
	uint32_t poll_events; /* [lock] what it polls for; 0: nobody does */
	uint32_t waiters;     /* [lock] how many waiters are this handle's */
	uint32_t holds;       /* [lock] how many holds are */
	uint32_t leases;      /* [lock] how many leases are */
	uint32_t rests;       /* [lock] how many rests are */
	union {
		uint32_t peer_opens[2]; /* [lock] pipes: mq.opens[] of the peers when it was opened */
		struct {                /* [lock] lock, rlock: what a condition's read gave up */
			uint32_t lent_levels, lent_flock;
		};
	};
	union {
		uint32_t line_pid; /* [lock] process that wrote the unfinished line */
		uint32_t lent_pid; /* [lock] lock, rlock: whose read gave it up; 0 */
	};
	ref_t line;             /* [lock] unfinished line */
	ref_t line_last;        /* [lock] its last segment */
	uint32_t parked;        /* [lock] how many waiters are WAITER_PARKED (also in `waiters`) */
	ref_t standing;         /* [lock] its waiter that is WAITER_STANDS; 0 */
	uint64_t seen;          /* [lock] value: the version that this handle saw last */
	uint64_t companion;     /* [lock] fh of its handle of ctl/lock's object; 0 */
	struct ipc_answer hand; /* [lock] the answer in hand */
	uint32_t poll_told;     /* [lock] what its poller was told, as far as it is still so */
	uint32_t poll_state;    /* [lock] poll.c */
	uint32_t poll_late; /* [daemon] it polled while somebody kept the lock: fs/wait/poll.c */
	uint32_t pad;
	uint64_t poll_level[2]; /* [lock] how much there was to read, to write, as it was told */
	int64_t clock[2];       /* [daemon] read, write: when the time limit of what got EAGAIN has
					 * passed, CLOCK_MONOTONIC ns; 0: none runs */
};

enum ipc_handle_kind { /* 0 the object itself, otherwise the .ctl file that waits or takes */
		       HANDLE_OBJECT,
		       HANDLE_STREAM,
		       HANDLE_DRAIN,
		       HANDLE_LEASE,
		       HANDLE_JOIN,
		       HANDLE_CHANGED,
};

#define HANDLE_LOOK        1u /* read-only, where those only look: TAKE_RW */
#define HANDLE_POSITION    2u /* read-only: the kernel's position counts */
#define HANDLE_RECORD      4u /* O_DIRECT: record framing whatever the object says */
#define HANDLE_END_A       8u /* of a two-way pipe */
#define HANDLE_END_B       16u
#define HANDLE_CLOSING     64u   /* is being closed: takes no more */
#define HANDLE_DIRECT      128u  /* a direct client works with it */
#define HANDLE_WRITER      512u  /* may write to a queue or pipe */
#define HANDLE_LIB         1024u /* libipcfs: offsets are time limits (lib.h), the end is -EPIPE */
#define HANDLE_FLUSHED     2048u /* each close of it is told, and who closes */
#define HANDLE_COUNTED_OUT 256u  /* pipes: no longer counted as a reader or writer */

/* One that waits. */
struct ipc_waiter {
	struct ipc_link link;   /* [lock] header.waitqs[waitq] or header.granted */
	ref_t handle;           /* [once] */
	uint32_t op;            /* [once] enum ipc_op */
	uint32_t waitq;         /* [lock] */
	uint32_t state;         /* [lock] enum ipc_waiter_state */
	uint32_t futex;         /* [atomic] direct: enum ipc_futex */
	uint32_t flags;         /* [lock] WAITER_* */
	uint32_t tid, pid, uid; /* [lock] pid: where a hold will be made */
	uint32_t need;          /* [lock] put: bytes of the message that does not fit; read: bytes
					 * that the caller can use (got.base: at which position);
					 * lent: the generation of `hold` */
	uint64_t since;         /* [once] CLOCK_MONOTONIC, ns */
	int64_t deadline;       /* [lock] CLOCK_MONOTONIC ns, IPC_NEVER */
	uint64_t unique;        /* [lock] its FUSE request, 0 for a direct or parked one */
	uint64_t arg;           /* [lock] what the type needs to know: bytes, round, operation */
	int64_t result;         /* [lock] once granted: 0 or more, or -errno; a condition keeps
					 * here what it will be, while it takes the lock back */
	struct ipc_answer got;  /* [lock] once granted: what it was given */
	ref_t hold;             /* [lock] lent: the handle (in the other object) that held it */
	uint32_t depth;         /* [lock] retake: levels by read */
};

enum ipc_waiter_state {
	WAITER_WAITING,
	WAITER_TURN,    /* first in its wait queue, and what it waits for is there: act now */
	WAITER_GRANTED, /* in header.granted or .woken: result and got are set */
	WAITER_REST,    /* in header.rests: got is the rest of an answer */
};

/* A direct waiter's word: its owner says that it sleeps, and that it has its answer. */
enum ipc_futex {
	FUTEX_SPINS,
	FUTEX_GO, /* look at the waiter, under the lock */
	FUTEX_SLEEPS,
	FUTEX_GIVEN, /* the answer is in the waiter, and needs no lock: see ipc_take_given() */
	FUTEX_TAKEN, /* and its owner has it: whoever has the lock frees the waiter */
};

#define WAITER_DIRECT   1u    /* sleeps on the futex; otherwise a FUSE request */
#define WAITER_SHARED   2u    /* wants a shared lock */
#define WAITER_NOTIFIED 4u    /* cond: has its notify, wants the lock back */
#define WAITER_MEMORY   8u    /* put: waits for memory of the mount */
#define WAITER_PARKED   16u   /* cond, barrier: interrupted, its handle may read again */
#define WAITER_WOKEN    32u   /* the futex call is due: ipc_wake() */
#define WAITER_RELOCK   64u   /* cond: gave up its own lock and takes it back */
#define WAITER_LENT     128u  /* cond: gave up a lock in another object: struct ipc_lent */
#define WAITER_RETAKE   256u  /* lock, rlock: takes back what it lent to a condition */
#define WAITER_STANDS   512u  /* cond, barrier: its caller was told EAGAIN; the next read has it */
#define WAITER_BUSY     1024u /* cond: stands and is granted, but somebody has the lock it lent */

enum ipc_op { /* what a handle does, waits for, or holds by */
	      OP_NONE,
	      OP_READ,
	      OP_WRITE,
	      OP_FLOCK,
	      OP_FLOCK_SHARED,
	      OP_JOIN,
	      OP_LEASE,
	      OP_STREAM,
	      OP_CHANGED,
	      OP_OPS,
};

/* A permit, lock or level that a handle has and that returns when it (or its process) ends. */
struct ipc_hold {
	struct ipc_link link;   /* [lock] header.holds */
	ref_t handle;           /* [once] */
	uint32_t op;            /* [lock] OP_READ or OP_FLOCK or OP_FLOCK_SHARED */
	uint32_t count;         /* [lock] permits or levels */
	uint32_t tid, pid, uid; /* [once] who took it */
	uint64_t since;         /* [once] CLOCK_MONOTONIC, ns */
};

/* A message that is leased, or dead. */
struct ipc_lease {
	struct ipc_link link; /* [lock] queue.leased or queue.dead */
	ref_t msg;            /* [once] */
	ref_t handle;         /* [lock] 0 when dead */
	uint32_t tid, pid;    /* [once] */
	uint64_t id;          /* [once] */
	uint64_t since;       /* [once] CLOCK_MONOTONIC, ns */
};

/* ---- bodies of the types --------------------------------------------------------------- */

/* Messages in order: a queue has one, a pipe one for each direction. */
struct ipc_mq {
	ref_t head, tail;          /* [lock] */
	uint32_t count;            /* [atomic] messages */
	uint32_t skip;             /* [lock] bytes of the first that were read (byte pipes) */
	uint64_t bytes;            /* [atomic] */
	uint32_t readers, writers; /* [lock] open handles (pipes) */
	uint32_t opens[2];         /* [lock] how often one was opened to read, to write (pipes) */
};

enum ipc_framing { FRAMING_LINE, FRAMING_RECORD, FRAMING_BYTES };

struct ipc_queue {                  /* queue: mq[0]; pipe: mq[0], and mq[1] for the way back */
	uint64_t maxsize, maxbytes; /* [lock] 0: no limit */
	uint64_t unfinished;        /* [lock] with mq[0] in one cache line */
	struct ipc_mq mq[2];
	uint32_t framing;             /* [lock] enum ipc_framing */
	uint32_t closed;              /* [lock] */
	uint64_t next_id;             /* [lock] of leases */
	uint64_t max_attempts;        /* [lock] 0: no limit */
	struct ipc_list leased, dead; /* [lock] struct ipc_lease */
};

struct ipc_sem {            /* sem, lock, rlock; the lock of cond, value and array */
	uint64_t value;     /* [atomic] permits free; lock, rlock: 1 free, 0 held */
	uint64_t bound;     /* [lock] 0: none */
	uint32_t undo;      /* [lock] */
	uint32_t scope;     /* [lock] enum ipc_scope */
	uint32_t shared;    /* [lock] holders of a shared lock */
	ref_t owner;        /* [lock] rlock: the handle that holds it */
	uint64_t fast;      /* [atomic] fast.h; sem: count.h */
	uint32_t fast_tid;  /* [plain] which thread took it by the fast word */
	uint32_t direct;    /* [lock] there was a direct client: the fast word is of use */
	ref_t spare;        /* [lock] block of the hold that the fast word may need; 0 */
	uint32_t jobserver; /* [lock] sem: each byte read or written is a permit */
};

enum ipc_scope {                /* with what a permit, lock or level returns at the latest */
		 SCOPE_HANDLE,  /* the handle's close */
		 SCOPE_PROCESS, /* the end of the process that took it */
		 SCOPE_OPENER,  /* the end of the process that opened the handle */
		 SCOPES,
};

struct ipc_event {
	uint64_t set;  /* [atomic] */
	uint64_t fast; /* [atomic] count.h */
};

struct ipc_cond {
	struct ipc_sem lock;
	uint64_t lock_id;   /* [lock] the object used as lock, 0 its own */
	uint64_t to_notify; /* [lock] notifies that are not yet handed out; <= waiting */
	uint64_t waiting;   /* [atomic] waiters without a notify */
};

struct ipc_barrier {
	uint64_t parties;   /* [lock] 0: not set */
	uint64_t arrived;   /* [atomic] waiting, of the round that is filling */
	uint64_t round;     /* [lock] rounds that have ended: opened, or were reset */
	uint64_t index;     /* [lock] of the round that opened last: handed out so far */
	uint32_t broken;    /* [lock] */
	uint32_t was_reset; /* [lock] the round that ended last was reset */
};

struct ipc_value {
	struct ipc_sem lock;
	uint64_t lock_id;
	ref_t text;        /* [lock] struct ipc_msg; 0: empty */
	uint32_t typecode; /* [lock] 0 text, or the letter: see number.h */
	uint64_t length;   /* [atomic] bytes of the text */
	uint64_t version;  /* [atomic] counts changes of the text */
};

struct ipc_array {
	struct ipc_sem lock;
	uint64_t lock_id;
	uint64_t length;   /* [atomic] bytes */
	uint32_t typecode; /* [lock] */
	uint32_t pad;
};

#define IPC_RESTARTS 8        /* restarts in a row after which a request may still come again */
struct ipc_mount {            /* STATE/mount */
	uint64_t next_id;     /* [lock] of nodes */
	uint64_t next_cookie; /* [lock] of directory entries */
	uint64_t epoch;       /* [lock] counts clean mounts; handles of an earlier one are dead */
	uint64_t memory;      /* [lock] bytes that all engine files use */
	uint64_t memory_limit, object_limit, message_limit; /* [lock] */
	uint32_t framing;                                   /* [lock] of new queues */
	uint32_t next_gen;                                  /* [lock] of handles and aliases */
	struct ipc_list active;  /* [lock] struct ipc_node: in use, or without a name */
	struct ipc_list aliases; /* [lock] struct ipc_alias */
	uint64_t objects;        /* [lock] */
	uint64_t nodes;          /* [lock] all of them */
	uint64_t names;          /* [lock] those that are in a directory */
	uint64_t key[2];         /* [once] of the index's hash: nobody outside can aim at a chain */
	ref_t index;             /* [lock] references to pages of struct ipc_bucket; 0: none yet */
	uint32_t buckets;        /* [lock] in use */
	uint64_t unique;         /* [lock] the last request that changed the namespace, */
	int64_t result;          /* [lock] what it came to, */
	uint64_t result_id;      /* [lock] and the node that it made */
	uint32_t take;           /* [lock] of new objects: enum ipc_take */
	uint32_t pad;
	uint64_t making; /* [lock] the node whose engine file is being made or removed; 0 */
	uint64_t before[IPC_RESTARTS][2]; /* [lock] unique and result_id as each worker found them */
};

#define IPC_BUCKETS 512 /* in a page of the index */
#define IPC_LEVELS  6   /* of a directory's entries: names/order.c */

enum ipc_chain { CHAIN_ID, CHAIN_NAME, CHAINS };

/* A place of the index: whose id, and whose directory and name, have this hash. */
struct ipc_bucket {
	ref_t head[CHAINS]; /* [lock] struct ipc_node, through .same */
};

/* What a directory has more than an object. */
struct ipc_dir {
	struct {
		ref_t first, last; /* [lock] struct ipc_node, by cookie */
	} level[IPC_LEVELS];
	uint32_t entries; /* [lock] */
	uint32_t subdirs; /* [lock] */
};

/*
 * A name: a directory, or an object (whose state is in objects/ID). Behind the name, at a multiple
 * of 4, come its links in the levels 1 to height - 1 of its directory.
 */
struct ipc_node {
	struct ipc_link link;        /* [lock] mount.active */
	uint64_t id;                 /* [once] also the name of its engine file, and st_ino */
	uint64_t parent;             /* [lock] 0: removed, but still open */
	uint64_t cookie;             /* [once] place in its directory */
	struct ipc_link order;       /* [lock] its directory's level 0 */
	ref_t same[CHAINS];          /* [lock] the next in its bucket */
	ref_t dir;                   /* [once] struct ipc_dir; 0: no directory */
	uint32_t type;               /* [once] enum ipc_type_id */
	uint32_t mode;               /* [lock] permission bits, MODE_* */
	uint32_t uid, gid;           /* [lock] */
	uint32_t flags;              /* [lock] NODE_* */
	int64_t atime, mtime, ctime; /* [plain] CLOCK_REALTIME ns */
	uint64_t size;               /* [plain] what ls shows, unless NODE_MAPPED */
	uint32_t active;             /* [lock] some handle is open */
	uint16_t name_len;           /* [once] */
	uint16_t height;             /* [once] in how many levels it is */
	char name[];                 /* [once] a rename makes a new node block */
};

#define NODE_BLANK  1u /* the object is as it was created, and has no engine file */
#define NODE_SHARED 2u /* others may have its engine file open, which stays its own */
#define NODE_MAPPED 4u /* the object may have changed since `size` was recorded */
/* The settings with which it was created. */
#define NODE_FRAMING(flags)         ((flags) >> 8 & 0xff)
#define NODE_TAKE(flags)            ((flags) >> 16 & 0xff)
#define NODE_CREATED(framing, take) ((framing) << 8 | (take) << 16)

#define MODE_NO_A 0x10000u /* two-way pipe: this end was removed */
#define MODE_NO_B 0x20000u

/* A second inode number of an object, for one open file: fs/state/alias.c. */
struct ipc_alias {
	struct ipc_link link; /* [lock] mount.aliases */
	uint64_t nodeid;      /* [once] the inode that it stands for */
	int64_t timeout;      /* [once] ns, -1 none */
	uint64_t lookups; /* [plain] how often the kernel was told of it, and has not forgotten */
	uint64_t told;    /* [plain] the LOOKUP that was answered with it last */
	uint64_t opens;   /* [plain] how many of those lookups ended in an open file */
	uint64_t fh;      /* [plain] the open file on it; 0: none */
	uint64_t refused; /* [plain] as which inode its thread was refused; 0 */
	uint64_t unique;  /* [plain] the OPEN that was refused, or granted last */
	uint32_t gen;     /* [once] */
	uint32_t tid;     /* [plain] thread that may open it; ALIAS_ANYBODY */
	uint32_t flags;   /* [plain] ALIAS_* */
	uint32_t pad;
};

#define ALIAS_ANYBODY UINT32_MAX
#define ALIAS_PENDING 1u /* its thread was refused, and will open it */
#define ALIAS_SHARED  2u /* opened by descriptor: never handed out again */
#define ALIAS_LENT    4u /* the kernel has attributes that are valid for a moment: fs/state/lent.c */

/* What a request came to: see ipc_restarted(). */
struct ipc_completion {
	uint64_t unique;  /* [lock] 0: none */
	int64_t result;   /* [lock] */
	ref_t handle;     /* [lock] */
	uint32_t partial; /* [lock] */
};

/* ---- the header ------------------------------------------------------------------------ */

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
	char pad_to_body[16];

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
	char pad_to_end[24];
};

static_assert(sizeof(struct ipc_undo) == 16, "format");
static_assert(sizeof(struct ipc_page_state) == 16, "format");
static_assert(sizeof(struct ipc_msg) == 16, "format");
static_assert(sizeof(struct ipc_answer) == 48, "format");
static_assert(sizeof(struct ipc_handle) == 256, "format");
static_assert(offsetof(struct ipc_handle, poll_link) == IPC_UNIT, "a link needs a ref_t");
static_assert(sizeof(struct ipc_waiter) == 144, "format");
static_assert(sizeof(struct ipc_hold) == 40, "format");
static_assert(sizeof(struct ipc_lease) == 40, "format");
static_assert(sizeof(struct ipc_mq) == 40, "format");
static_assert(sizeof(struct ipc_node) == 112, "format");
static_assert(sizeof(struct ipc_bucket) * IPC_BUCKETS == IPC_PAGE, "format");
static_assert(sizeof(struct ipc_alias) == 88, "format");
static_assert(offsetof(struct ipc_header, m) == 128, "format");
static_assert(offsetof(struct ipc_queue, mq[1]) == 64, "format");
static_assert(sizeof(struct ipc_header) <= IPC_PAGE, "the header is one page");

#endif
