/* SPDX-License-Identifier: MIT */
/*
 * A type is a table of operations, and has a file of its own; queue.c is the fullest example.
 *
 * All operations run with the object's mutex held and are part of the change under way: they
 * neither commit nor roll back, unless stated otherwise. They return IPC_DONE, IPC_WAIT (only if
 * the call may wait) or -errno: then the caller rolls back. -ENOMEM: the heap must grow first.
 */
#ifndef IPC_TYPE_H
#define IPC_TYPE_H

#include "object/engine.h"
#include "file/obj.h"

struct ipc_sink;   /* look.h */
struct ipc_facts;  /* facts.h */
struct ipc_counts; /* stats.h */

enum ipc_left {
	LEFT_GOES,   /* the waiter is freed */
	LEFT_PARKED, /* its caller is told, but the waiter keeps its place for the handle */
	LEFT_WAITS,  /* its caller is not told yet: it goes on waiting, now without a deadline */
};

/* What others need to know about a type, so that nobody has to ask which one it is. */
enum {
	TYPE_LARGE = 1 << 0,    /* its heap holds what users put, which may be a lot */
	TYPE_MESSAGES = 1 << 1, /* libipcfs puts and gets whole messages, whatever the framing */
	TYPE_LINES = 1 << 3,    /* a handle may have an unfinished line, which a close completes */
	TYPE_JOIN = 1 << 4,     /* counts what is unfinished: done, join */
	TYPE_WAITED_FOR = 1 << 5,  /* a read waits for something to happen: ipcfs_wait() */
	TYPE_INDEX = 1 << 6,       /* … and its answer says which one the caller is */
	TYPE_LASTING = 1 << 8,     /* closing a handle never changes its size */
	TYPE_MEMORY = 1 << 9,      /* its bytes are in a file of their own, and seekable */
	TYPE_TEXT = 1 << 10,       /* one text: read at a position, written as a whole */
	TYPE_LOCK = 1 << 11,       /* may be the lock of another object: ctl/lock, lend.c */
	TYPE_INNER_LOCK = 1 << 12, /* also has a lock for flock, its own or another object's */
	TYPE_OWNED = 1 << 13,      /* its lock knows the handle that holds it */
	TYPE_SHARED = 1 << 14,     /* LOCK_SH shares its lock; elsewhere it is as LOCK_EX */
	TYPE_MONITOR = 1 << 15,    /* its read releases the lock and reacquires it; notify */
	TYPE_STANDS = 1 << 16,     /* a reader that may not wait is queued all the same */
	TYPE_SETTABLE = 1 << 17,   /* what is written to a new one is its value (ipcctl create) */
	TYPE_PID = 1 << 18,        /* its readers must be known by process id */
};

/* A word of the header that may be read without the lock. at 0: there is none. */
struct ipc_word {
	uint16_t at, size;
};

#define IPC_WORD(field)                                                                        \
	{                                                                                      \
		offsetof(struct ipc_header, field), sizeof(((struct ipc_header *)NULL)->field) \
	}

static inline uint64_t ipc_word(const struct ipc_header *h, struct ipc_word w)
{
	const char *p = (const char *)h + w.at;

	return w.size == sizeof(uint32_t) ? __atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE) :
					    __atomic_load_n((const uint64_t *)p, __ATOMIC_ACQUIRE);
}

#define VERB(v) (1u << (v))

struct ipc_type {
	enum ipc_type_id id;
	const char *name;
	const char *suffix;
	uint32_t folder;         /* the node that mkdir makes for such a name; 0: none */
	uint32_t traits;         /* TYPE_* */
	uint32_t verbs;          /* the commands that `give` takes: VERB() of each */
	unsigned int lock_waitq; /* the wait queue for what holders hold */
	struct ipc_word count;   /* how much there is, while that word says so: count.h; 0: none */
	struct ipc_word ready;   /* a read would find something while it is not 0 … */
	struct ipc_word most;    /* … and a put has room while that is less; 0: always */

	void (*init)(struct ipc_header *h, const struct ipc_defaults *d); /* d may be NULL */
	int (*read)(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c);
	/*
	 * Parse a command. s has no blanks around it; the text in *ret is as it was written,
	 * without its final newline. -EINVAL, -ERANGE.
	 */
	int (*parse)(const char *s, size_t len, struct ipc_cmd *ret);
	int (*give)(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c,
		    const struct ipc_cmd *cmd);
	/* Put the bytes of a write(). Commits as it goes; call->done says how far it got. */
	int (*put)(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c);
	/* The fast path: ipc_put_now(), ipc_get_now(). Committed. NULL: there is none. */
	unsigned int (*put_now)(struct ipc_obj *o, size_t limit, const struct iovec *msgs,
				unsigned int n);
	unsigned int (*get_now)(struct ipc_obj *o, struct iovec *bufs, unsigned int n);
	/* The same for one message, in the simplest case only. false, -1: this is not that case. */
	bool (*put_one)(struct ipc_obj *o, size_t limit, const void *data, size_t len);
	ssize_t (*get_one)(struct ipc_obj *o, void *buf, size_t size);
	int (*flock)(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c, int how);
	/* Grant what can be granted, first come, first served. Commits each grant. */
	void (*pump)(struct ipc_obj *o);
	/* ipc_due(): when the next call of `pump` is due. NULL: IPC_NEVER. */
	int64_t (*due)(struct ipc_obj *o);
	/* POLLIN, POLLOUT, POLLHUP and POLLERR as they are for this handle now. */
	unsigned int (*poll)(struct ipc_obj *o, struct ipc_handle *hd);
	/*
	 * How many callers can use what poll reports for reading (out: for writing); each unit
	 * serves one. 0: it serves everybody. *ret: how much there is, in any unit; pollers are
	 * told when it grows.
	 */
	uint64_t (*units)(struct ipc_obj *o, struct ipc_handle *hd, bool out, uint64_t *ret);
	uint64_t (*size)(struct ipc_obj *o);
	/* The length of the answer that a read would get now, without waiting; NULL: two bytes. */
	uint64_t (*next)(struct ipc_obj *o, struct ipc_handle *hd);
	/* What a handle that only looks is shown; NULL: the size. */
	void (*look)(struct ipc_obj *o, struct ipc_sink *to);
	/* ipc_words(), for an object that is seen only from outside. NULL: the size as a number. */
	int (*words)(const struct ipc_facts *f, char *ret, size_t size);
	/* A handle of the object itself, or of its `changed`, was opened. */
	void (*opened)(struct ipc_obj *o, struct ipc_handle *hd);
	/* ipc_flush(): NULL: there is nothing unfinished. Commits. */
	int (*flush)(struct ipc_obj *o, ref_t handle, uint32_t pid, bool killed, bool last);
	/* What the handle has leased goes back. Commits. */
	void (*unlease)(struct ipc_obj *o, ref_t handle);
	/* The handle is about to go; its holds, leases and waiters are already gone. */
	void (*closed)(struct ipc_obj *o, struct ipc_handle *hd);
	/*
	 * Nobody has it open: forget what exists only to be compared with what handles remember.
	 * Part of the change under way. NULL: nothing.
	 */
	void (*rest)(struct ipc_obj *o);
	/* A hold ends (by unlock, close or death): give back what it stands for. */
	void (*unhold)(struct ipc_obj *o, struct ipc_hold *hold);
	/*
	 * A waiter is about to leave without having been granted. why: -EINTR, -ETIMEDOUT,
	 * -ECANCELED, or -EBADF when its handle closes (then it goes in any case).
	 */
	enum ipc_left (*left)(struct ipc_obj *o, struct ipc_waiter *w, int why);
	/* A granted waiter's answer was never picked up: put it back. */
	void (*regret)(struct ipc_obj *o, struct ipc_waiter *w);
	/*
	 * Put the answer's messages back at the head of the queue that this handle reads, and set
	 * its count to 0. begun: part of it was given out, so this counts as an attempt. 0;
	 * -ENOMEM, only if begun.
	 */
	int (*back)(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_answer *a, bool begun);
	/*
	 * ipc_counts(): what it counts in its body, and what it does not have. In the body it is less
	 * what `rest` has moved to header.stats.
	 */
	void (*counts)(const struct ipc_obj *o, struct ipc_counts *c);
	int (*check)(struct ipc_obj *o, struct ipc_check *k);
	/* The effect of ctl/scope: enum ipc_scope. NULL: SCOPE_HANDLE. */
	uint32_t (*scope)(const struct ipc_obj *o);
	/* Is each byte written or read a permit? NULL: never. */
	bool (*bytes)(const struct ipc_obj *o);
	/*
	 * The object's lock has been taken; is about to be released. See fast.h. NULL: nothing to
	 * do.
	 */
	void (*entered)(struct ipc_obj *o);
	void (*leaving)(struct ipc_obj *o);
};

static inline bool ipc_is(const struct ipc_obj *o, uint32_t trait)
{
	return o->ops->traits & trait;
}

/*
 * The fast path for the commonest operations: put or take the first few of n short messages in one
 * change, provided that takes no waiting and nothing else is special. Returns how many; 0: go the
 * usual way. Sets the lengths in `bufs`.
 */
static inline unsigned int ipc_put_now(struct ipc_obj *o, size_t limit, const struct iovec *msgs,
				       unsigned int n)
{
	return o->ops->put_now ? o->ops->put_now(o, limit, msgs, n) : 0;
}

static inline unsigned int ipc_get_now(struct ipc_obj *o, const struct ipc_handle *hd,
				       struct iovec *bufs, unsigned int n)
{
	if (!o->ops->get_now || hd->hand.kind ||
	    hd->rests) /* something is in hand: it comes first */
		return 0;
	return o->ops->get_now(o, bufs, n);
}

/* Messages or bytes go through it. All other types answer once, and take commands. */
static inline bool ipc_is_stream(const struct ipc_type *t)
{
	return t->put != NULL;
}

extern const struct ipc_type ipc_queue_type, ipc_pipe_type, ipc_event_type, ipc_sem_type,
	ipc_lock_type, ipc_rlock_type, ipc_cond_type, ipc_barrier_type, ipc_value_type,
	ipc_array_type, ipc_mount_type;

#endif
