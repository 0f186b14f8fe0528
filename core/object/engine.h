/* SPDX-License-Identifier: MIT */
/*
 * The engine, as the daemon, the library and the tests use it.
 *
 * Along with names.h (the namespace) and the headers of a few modules, this is all of it: take an
 * object's lock (obj_lock), make calls, ipc_pump(), deal with whatever was granted, and unlock
 * (obj_unlock). Nothing here blocks, logs or knows about FUSE. An operation that cannot be done yet
 * leaves a waiter and returns IPC_WAIT; whoever makes it possible grants it, and the waiter's owner
 * collects the answer with ipc_finish().
 */
#ifndef IPC_ENGINE_H
#define IPC_ENGINE_H

#include <stdbool.h>
#include <sys/uio.h>

#include "file/obj.h"

/*
 * The result of an operation, or of one step. Otherwise -errno: it was refused, and nothing changed
 * except what call->done says.
 */
enum ipc_outcome {
	IPC_DONE,      /* call->result; for a read call->got */
	IPC_WAIT,      /* it waits: call->waiter is in a wait queue */
	IPC_AGAIN,     /* of a step: the obstacle is gone, so start over */
	IPC_ELSEWHERE, /* nothing has changed, and it cannot be done here: of libipcfs, but
				 * through the mount */
};

#define IPC_NEVER INT64_MAX /* a deadline that never comes */

#define IPC_MESSAGE_MAX (1024u * 1024 - 4096) /* bytes: the largest that FUSE brings in one piece */

/*
 * A handle of a .lock or .rlock that lends what it holds to a condition with that lock: see lend.c.
 */
struct ipc_lent {
	ref_t handle; /* 0: none */
	uint32_t gen;
};

/* One operation on a handle. */
struct ipc_call {
	ref_t handle;
	uint32_t op; /* enum ipc_op */
	uint32_t tid, pid,
		uid;      /* who asks: thread, process (may be 0 where no hold is made), user */
	uint64_t unique;  /* the FUSE request, by which it is recognised; 0: a direct client */
	int64_t deadline; /* CLOCK_MONOTONIC ns, IPC_NEVER; 0: may not wait (-EAGAIN) */
	size_t max;       /* read: how many bytes of the answer the caller can use */
	uint64_t pos;     /* read: the position, for handles that have one; give: bytes of
					 * this write's earlier commands, in the upper half of a
					 * completion record that is partial (in the lower: how far
					 * this command came) */
	const char *data; /* write */
	size_t len;
	size_t done;          /* write: bytes that are already in */
	size_t limit;         /* write: the mount's largest message */
	struct ipc_lent lent; /* read of a condition: what it releases in another object */
	uint64_t end;         /* give, to a value: the position where the write ends */
	bool stand;           /* read of a condition or barrier: queue a waiter, and do not wait */
	bool atomic;          /* write to a byte pipe: all of it or nothing, as of a record */
	bool more;            /* give: this write has more commands */
	bool whole;           /* give: -ERANGE unless what it makes of a value is a whole number of
					 * 64 bits (what is behind its point is cut off): got.number
					 * */
	/*
	 * Read, give: the caller has its answer as soon as the call returns (libipcfs), so it is
	 * not kept for a reply. The bytes of a read go into `buf` (NULL: only its number is
	 * wanted); what does not fit stays in the handle's hand for the next read.
	 */
	bool keeps; /* read: what is kept for the reply counts as not read: LIB_KEEP */
	bool at_once;
	char *buf;
	/*
	 * Read, at once: one message of at least so many bytes, if they fit into `max` and are in one
	 * piece, is not copied but begun (`begun`); without `buf` in any case. 0: never.
	 */
	size_t begins;
	ref_t begun; /* put: the message, instead of `data`: 0 once it was put */
	/*
	 * Called between two changes to get more memory, of o->grow_order. IPC_DONE: there is some,
	 * and the step starts over, as others may have had the lock meanwhile. Anything else is the
	 * result of the operation, and the caller no longer has the lock. NULL: heap_grow().
	 */
	int (*grow)(struct ipc_call *c);
	/* results */
	ref_t waiter; /* set on entry if a waiter has its turn */
	int64_t result;
	struct ipc_answer got; /* read */
};

/* A command written to an object that is not a queue, pipe or array: see command.h. */
enum ipc_verb {
	CMD_ADD,
	CMD_SET,
	CMD_CLEAR,
	CMD_NOTIFY,
	CMD_PARTIES,
	CMD_RESET,
	CMD_ABORT,
	CMD_TEXT,
	CMD_PLUS,
	CMD_CAS
};

struct ipc_cmd {
	enum ipc_verb verb;
	int64_t n;              /* CMD_ALL: notify all; PLUS with a text: its sign, 1 or -1 */
	const char *text, *old; /* TEXT, CAS, PLUS (NULL: n is added) */
	size_t text_len, old_len;
};

#define CMD_ALL INT64_MAX

/* ---- types (registry.c) ---- */

const struct ipc_type *ipc_type_of(uint32_t id); /* NULL: no such type */
/* The type of a node of this kind; NULL: a plain directory, or an unknown type. */
const struct ipc_type *ipc_type_of_node(uint32_t kind);
/* The type that a name's suffix stands for, or NULL. */
const struct ipc_type *ipc_type_by_name(const char *name, size_t len);

/* ---- their files (types/map.c) ---- */

/* The initial settings of a mount's new objects. */
struct ipc_defaults {
	uint32_t framing; /* of queues: enum ipc_framing */
	uint32_t take;    /* enum ipc_take */
};

/* How much address space to reserve for a heap that may hold `limit` bytes. */
uint64_t ipc_reserve(const struct ipc_type *t, uint64_t limit);
/* Make the file of a new object, as obj_create() does. `defaults` may be NULL. 0 or -errno. */
int ipc_create(struct ipc_env *env, int dirfd, const char *name, uint64_t id,
	       const struct ipc_type *t, uint64_t reserve, const struct ipc_defaults *defaults);
/* obj_make() and obj_renew() in the same way. */
int ipc_make(struct ipc_env *env, int dirfd, const char *name, uint64_t id,
	     const struct ipc_type *t, uint64_t reserve, const struct ipc_defaults *defaults,
	     struct ipc_obj *ret);
void ipc_renew(struct ipc_obj *o, uint64_t id, const struct ipc_type *t,
	       const struct ipc_defaults *defaults);
/* obj_map() for an object of a known type: -EIO also if the type is unknown. */
int ipc_map(struct ipc_env *env, int fd, struct ipc_obj *ret);

/* ---- handles ---- */

struct ipc_opening {
	uint32_t kind, flags, oflags, tid, pid, uid, gen;
	uint32_t opener; /* 0: pid */
	uint64_t nodeid, unique;
	uint64_t companion; /* its owner, in an object that uses this one's lock */
	int64_t timeout;
};

int ipc_open(struct ipc_obj *o, const struct ipc_opening *how, ref_t *ret_handle);
static inline struct ipc_handle *handle_at(struct ipc_obj *o, ref_t r)
{
	return AT(o, ipc_handle, r);
}
/* The handle, if it exists and has this generation; else NULL. */
static inline struct ipc_handle *ipc_handle(struct ipc_obj *o, ref_t ref, uint32_t gen)
{
	uint64_t off = (uint64_t)ref * IPC_UNIT;
	struct ipc_handle *hd = (struct ipc_handle *)(o->base + off);

	/*
	 * (Not by the file's own `pages`, which may be anything: past the mapping is other memory.)
	 */
	if (!gen || !obj_has(o, off, sizeof(*hd)))
		return NULL;
	return hd->gen == gen ? hd : NULL;
}
/*
 * The same for a reference from a file other than the object's own, which must not cause a fault in
 * this one.
 */
struct ipc_handle *ipc_handle_from_outside(struct ipc_obj *o, ref_t ref, uint32_t gen);
/*
 * How long an operation with this deadline may wait, given the handle's own limits (NAME@SECONDS,
 * the ioctls) as well. As in struct ipc_call: IPC_NEVER, 0 not at all.
 */
int64_t ipc_deadline(const struct ipc_handle *hd, int64_t deadline);
/* Who uses it now. (Not logged: it is a hint, and goes with the handle.) */
void ipc_handle_used(struct ipc_handle *hd, uint32_t tid, uint32_t pid);
/*
 * Set its time limit (ns for each operation or, if `deadline`, a time; -1: none). By the daemon
 * alone, without the lock. Clocks that an EAGAIN has started begin anew.
 */
void ipc_handle_limit(struct ipc_handle *hd, bool deadline, int64_t v);
/* It polls while somebody keeps the lock. By the daemon alone, without the lock. */
void ipc_handle_poll(struct ipc_handle *hd, uint64_t kh);
/* That poll has been handled. Committed. */
void ipc_handle_polled(struct ipc_obj *o, struct ipc_handle *hd);
/* It has this handle (fh) in the object whose lock it uses. By the daemon alone, without the lock. */
void ipc_handle_companion(struct ipc_handle *hd, uint64_t fh);
/* From now on a direct client uses it. Commits; -EIO. */
int ipc_attach(struct ipc_obj *o, struct ipc_handle *hd, uint32_t tid, uint32_t pid);
/* Return everything that it held, leased or waited for. Continues where a dead process left off. */
void ipc_close(struct ipc_obj *o, ref_t handle);
/*
 * The same, but the handle stays open, as does its end of a pipe: others may share the descriptor.
 */
void ipc_give_back(struct ipc_obj *o, ref_t handle);
/* Close all handles: those of an earlier mount. */
void ipc_close_all(struct ipc_obj *o);
/* The same, and the object belongs to this mount from now on. Committed. */
void ipc_begin_mount(struct ipc_obj *o, uint64_t epoch);

/* ---- new, and at rest (rest.c) ---- */

/* The header that the file of a new object begins with. `defaults` may be NULL. */
void ipc_first(struct ipc_header *ret, uint64_t id, const struct ipc_type *t, uint64_t reserve,
	       const struct ipc_defaults *defaults);

/*
 * Nobody has it open: what only handles remember is forgotten. Requests that come again must not be
 * on their way any more. Committed.
 */
void ipc_rest(struct ipc_obj *o);
/* After that: is it as it was created, with these defaults? */
bool ipc_is_blank(const struct ipc_obj *o, const struct ipc_defaults *d);

/* What is written through a handle of this kind is put. */
static inline bool ipc_kind_puts(uint32_t kind)
{
	return kind == HANDLE_OBJECT || kind == HANDLE_FRONT || kind == HANDLE_LATER;
}

/* ---- operations: enum ipc_outcome or -errno; committed ---- */

/*
 * Take the next answer: it replaces the one in hand (hand_pass), and min(max, its length) bytes
 * of it count as read. With at_once: the rest of the one in hand, or the next; result: how many
 * bytes. -EPIPE: the end.
 */
int ipc_read(struct ipc_obj *o, struct ipc_call *c);
/* The same for a read or flock with at_once that had to wait: c->waiter has been granted. */
int ipc_pick_up(struct ipc_obj *o, struct ipc_call *c);
/*
 * The same without the lock, for an answer that is a number at the most: *ret is what it comes to.
 * false: it is to be picked up under the lock. w: c->waiter, of a handle that is open.
 */
bool ipc_take_given(struct ipc_obj *o, struct ipc_call *c, struct ipc_waiter *w, int *ret);
/*
 * Put the bytes of a write() (queue, pipe). result: how many went in. With a waiter: its turn has
 * come, or it has been sent away meanwhile.
 */
int ipc_put(struct ipc_obj *o, struct ipc_call *c);
int ipc_give(struct ipc_obj *o, struct ipc_call *c, const struct ipc_cmd *cmd);
/* how: LOCK_EX, LOCK_SH or LOCK_UN of flock(2). */
int ipc_flock(struct ipc_obj *o, struct ipc_call *c, int how);
/* close() in process `pid`: completes or (killed) drops the unfinished line. -EPIPE. */
int ipc_flush(struct ipc_obj *o, ref_t handle, uint32_t pid, bool killed, bool last);
/* The same for a request: c->handle, pid, unique. A refusal is recorded, and given again. */
int ipc_flush_for(struct ipc_obj *o, struct ipc_call *c, bool killed);
/* Wait until nothing is unfinished: a read through a HANDLE_JOIN is the same. */
unsigned int ipc_poll(struct ipc_obj *o, ref_t handle);
/* The same with the handle's own state: an answer in hand, its mode, a clock that has run out. */
unsigned int ipc_ready(struct ipc_obj *o, struct ipc_handle *hd);
uint64_t ipc_size(struct ipc_obj *o);
/* The size of one end of a two-way pipe (b, or else a): what can be read there. */
uint64_t ipc_end_size(struct ipc_obj *o, bool b);

/*
 * When something in it happens by itself, and ipc_pump() is to be called: CLOCK_MONOTONIC ns;
 * IPC_NEVER.
 */
int64_t ipc_due(struct ipc_obj *o);

/*
 * c->begun becomes a message of c->len bytes (at most MSG_LENT), which a direct client writes in place,
 * for ipc_put(): begun.h.
 */
int ipc_put_begin(struct ipc_obj *o, struct ipc_call *c);

/* ---- waiters ---- */

void ipc_pump(struct ipc_obj *o);
/*
 * The answer of a granted waiter has been used (at most c->max bytes of it, at position c->pos):
 * what is left stays in hand, and the waiter is gone. Committed.
 */
void ipc_finish(struct ipc_obj *o, ref_t w, const struct ipc_call *c);
/*
 * The same for a waiter whose answer a daemon had given when it died, in the way it was asked for.
 */
void ipc_finish_told(struct ipc_obj *o, ref_t w);
/*
 * End its wait; why: -EINTR, -ETIMEDOUT. true: it is gone, and *ret is what to tell its caller (a
 * short count if something was put). false: it waits on, without a deadline (a condition's waiter
 * reacquires its lock first).
 */
bool ipc_leave(struct ipc_obj *o, ref_t w, int why, int64_t *ret);
/*
 * Its caller died, or was told something else, while nobody could see how it ended: it leaves, or
 * what it was granted goes back (a permit or lock only if its handle still holds one). Committed.
 */
void ipc_forsake(struct ipc_obj *o, ref_t w);
/* After a restart: the waiter of this request; 0. */
ref_t ipc_find_waiter(struct ipc_obj *o, uint64_t unique);
/* A put that has its turn; 0: none. (Direct clients look after their own.) */
ref_t ipc_turn(struct ipc_obj *o);
/*
 * What is queued for its handle's next read, and whose time limit has passed, ends with -ETIMEDOUT.
 */
void ipc_expire(struct ipc_obj *o, int64_t now);
/* The earliest time limit after `now` of an operation that does not wait; IPC_NEVER. */
int64_t ipc_next_limit(struct ipc_obj *o, int64_t now);
/*
 * What to tell an operation that may not wait and has ended with r. EAGAIN starts the clock of the
 * handle's time limit (which would pass at `limit`), and becomes -ETIMEDOUT when it has run out;
 * anything else stops it. dir: 0 read, 1 write. Committed.
 */
int ipc_clock(struct ipc_obj *o, struct ipc_call *c, unsigned int dir, int64_t limit, int r);
/* Find the process ids of those who wait. Committed. */
void ipc_name_waiters(struct ipc_obj *o, uint32_t (*pid_of)(uint32_t tid));
/* End the waits of a process (0: of all) on the object with -ECANCELED; returns how many. */
int ipc_cancel(struct ipc_obj *o, uint32_t pid);
/* End a wait for a lock or permit with -EDEADLK, unless it was granted. Committed. */
void ipc_refuse(struct ipc_obj *o, ref_t w);
/* The mount ends: the same for all direct clients. */
void ipc_cancel_direct(struct ipc_obj *o);
/* A semaphore that speaks make's protocol: each byte read or written is a permit. */
bool ipc_is_jobserver(const struct ipc_obj *o);
/* The effect of ctl/scope: enum ipc_scope. */
uint32_t ipc_scope(const struct ipc_obj *o);
/* ---- queue ---- */

struct ipc_list *ipc_leased(struct ipc_obj *o); /* of a type with `unlease` */

struct ipc_mq *ipc_reads_from(struct ipc_obj *o, const struct ipc_handle *hd);
struct ipc_mq *ipc_writes_to(struct ipc_obj *o, const struct ipc_handle *hd);
uint32_t ipc_framing(const struct ipc_obj *o, const struct ipc_handle *hd);
int ipc_done(struct ipc_obj *o, uint64_t unique, uint64_t n); /* -ERANGE; committed, as the rest */
int ipc_ack(struct ipc_obj *o, uint64_t unique, uint64_t id); /* -EINVAL */
/* delay: ns after which it is back. */
int ipc_nack(struct ipc_obj *o, uint64_t unique, uint64_t id, int64_t delay);
int ipc_touch(struct ipc_obj *o, uint64_t unique, uint64_t id); /* its lease begins anew */
int ipc_remove(struct ipc_obj *o, uint64_t unique,
	       uint64_t id); /* of one that waits, or is delayed */
int ipc_revive(struct ipc_obj *o, uint64_t unique, uint64_t id, bool all);
int ipc_discard(struct ipc_obj *o, uint64_t unique, uint64_t id, bool all);

/* ---- value ---- */

/* Copy out the text as it is; returns its length. */
size_t ipc_value_text(struct ipc_obj *o, char *buf, size_t size);
/*
 * Make it a number of this type (a letter; 0: text). -EINVAL, -ERANGE: the text is not one.
 * Committed.
 */
int ipc_value_typecode(struct ipc_obj *o, uint64_t unique, uint32_t code);

/* Change one setting (a field of the body) under the log. */
void ipc_setting64(struct ipc_obj *o, uint64_t *field, uint64_t v);
void ipc_setting32(struct ipc_obj *o, uint32_t *field, uint32_t v);

/* ---- checking ---- */

struct ipc_check {
	const char *why; /* the first thing that is wrong */
	uint64_t messages, waiters, handles;
	uint64_t used;   /* blocks that are in use */
	uint64_t steps;  /* references that were followed */
	uint64_t blocks; /* that something refers to */
	uint64_t met;    /* references to messages */
	uint64_t shares; /* of these, to messages with several references */
	uint64_t leases; /* held by handles */
	uint64_t parts;  /* their blocks, in parts of one */
	bool uncounted;  /* some have too many references to count */
};

/* Check every invariant of the object: -EIO, and why. Trusts nothing that it reads. */
int ipc_check(struct ipc_obj *o, struct ipc_check *ret);

#endif
