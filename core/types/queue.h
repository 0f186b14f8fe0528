/* SPDX-License-Identifier: MIT */
/* What the files of queues and pipes share. */
#ifndef IPC_QUEUE_H
#define IPC_QUEUE_H

#include "object/engine.h"

struct ipc_counts; /* stats.h */

/* Lines of a queue. A pipe has two for each direction: WAITQ_GET + 2 * dir, WAITQ_PUT + 2 * dir. */
enum { WAITQ_GET, WAITQ_PUT, WAITQ_JOIN, WAITQ_FINISHED };

/* Messages that are in it or will be, and their bytes: what maxsize and maxbytes are about. */
static inline uint64_t queue_load(const struct ipc_queue *q)
{
	return (uint64_t)q->mq[0].count + q->delayed.count;
}

static inline uint64_t queue_load_bytes(const struct ipc_queue *q)
{
	return q->mq[0].bytes + q->delayed.bytes;
}

/* How many were ever put: the last one's ID. */
static inline uint64_t queue_last_id(const struct ipc_obj *o)
{
	return o->h->stats.puts + o->h->b.queue.unfinished;
}

/* queue_get.c */
int queue_read(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c);
/*
 * Closed and drained: a read by this handle sees the end. Of a lease reader that is not queued: if
 * it `waits`, it is told when all are.
 */
bool queue_ended(struct ipc_obj *o, const struct ipc_handle *hd, bool waits);
/* What has its time: leases that have come to `ttr` go back, messages that are due are put. Commits. */
void queue_due(struct ipc_obj *o);
/* Give messages to whoever waits for one, and the end to whom it has come. */
void queue_grant(struct ipc_obj *o);
/* Of queues and pipes: `next` in type.h. */
uint64_t queue_next(struct ipc_obj *o, struct ipc_handle *hd);

/* queue_count.c */
void queue_counts(const struct ipc_obj *o, struct ipc_counts *c);
void queue_rest(struct ipc_obj *o);
/* Messages come back that were taken: they are put no more often by that. */
void queue_came_back(struct ipc_obj *o, uint64_t n);
/* So many are unfinished no more. */
void queue_finished(struct ipc_obj *o, uint64_t n);
/* For ctl/finished alone. */
void queue_note_end(struct ipc_obj *o, uint64_t n);
/* There may be more messages at once than there ever were. Outside the log: a maximum. */
static inline void queue_most(struct ipc_obj *o)
{
	struct ipc_mq *q = &o->h->b.queue.mq[0];

	if (__builtin_expect(q->count > q->most, 0))
		__atomic_store_n(&q->most, q->count, __ATOMIC_RELAXED);
}

/* queue_put.c */
int queue_put(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c);
int queue_flush(struct ipc_obj *o, ref_t handle, uint32_t pid, bool killed, bool last);
/* Whoever will be refused need not wait to hear so, neither for room nor for memory. */
bool queue_refuses(struct ipc_obj *o, uint64_t need);
/* A message of `need` bytes can be put now, or is refused now. */
bool queue_fits(struct ipc_obj *o, unsigned int waitq, uint64_t need);

/* queue_now.c: ipc_put_now(), ipc_get_now() */
unsigned int queue_put_now(struct ipc_obj *o, size_t limit, const struct iovec *msgs,
			   unsigned int n);
unsigned int queue_get_now(struct ipc_obj *o, struct iovec *bufs, unsigned int n);
/* The same for one, in the very simplest case. */
bool queue_put_one(struct ipc_obj *o, size_t limit, const void *data, size_t len);
ssize_t queue_get_one(struct ipc_obj *o, void *buf, size_t size); /* its length; -1 */

/* The sides of a pipe: of mq.opens and handle.peer_opens. */
enum { READER, WRITER };

/* pipe_put.c */
unsigned int pipe_dir(struct ipc_obj *o,
		      const struct ipc_mq *q); /* 0 or 1: which of the two it is */
int pipe_put(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c);
/* No reader will read what this writer writes. */
bool pipe_broken(struct ipc_obj *o, struct ipc_handle *hd);
bool pipe_fits(struct ipc_obj *o, unsigned int waitq, uint64_t need);

/* delay.c */
/* A message is to be put at this time (CLOCK_REALTIME, ns). block: of struct ipc_delay, in no list. */
void delay_put(struct ipc_obj *o, ref_t block, ref_t msg, uint64_t due);
/* It is not delayed any more: the message. Its block is the caller's. */
ref_t delay_take(struct ipc_obj *o, ref_t delay);
/* All of them, in no order: f(arg, one of them) until it returns false. */
void delay_each(struct ipc_obj *o, bool (*f)(void *arg, struct ipc_obj *o, ref_t delay), void *arg);
static inline struct ipc_delay *delay_at(struct ipc_obj *o, ref_t r)
{
	return AT(o, ipc_delay, r);
}

/* lease.c */
/* What was leased longer ago than `ttr` goes back. Commits. */
void lease_expire(struct ipc_obj *o);
ref_t lease_new(struct ipc_obj *o, ref_t handle, uint32_t tid, uint32_t pid);
void lease_return_all(struct ipc_obj *o, ref_t handle);
/* Does everybody who holds a lease wait for the end, if `asking` (0: nobody) does? */
bool lease_stuck(struct ipc_obj *o, ref_t asking);
/*
 * A reader gave this message back. 1: that was its last attempt, and it is a dead letter now; 0: it
 * has others; -ENOMEM.
 */
int lease_attempt(struct ipc_obj *o, ref_t msg);

#endif
