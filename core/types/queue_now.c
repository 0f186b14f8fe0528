/* SPDX-License-Identifier: MIT */
/*
 * The straight way of a queue: what a direct client does most is to put and take short messages
 * while nobody has to wait. Many at once are one change, with blocks that follow each other in the
 * heap as in the queue (heap_alloc_run), so that a message costs little more than its copy.
 */
#include <string.h>

#include "types/queue.h"

#define Q(o) (&(o)->h->b.queue)

#define RUN       64 /* messages in one change */
#define GET_PAGES 4  /* pages that one change may free blocks of */

/* Only a putter that has waited less than this may be overtaken. */
#define OVERTAKE_NS 1000000

static bool may_overtake(struct ipc_obj *o, unsigned int waitq)
{
	ref_t r = waitq_first(o, waitq);

	return !r || ipc_now() < waiter_at(o, r)->since + OVERTAKE_NS;
}

/* The next few messages that are of one block size and fit. */
static unsigned int run_of(struct ipc_obj *o, size_t limit, const struct iovec *msgs,
			   unsigned int n)
{
	struct ipc_queue *q = Q(o);
	size_t size = heap_run_size(msgs->iov_len + sizeof(struct ipc_msg)), least;
	uint64_t room = q->maxbytes ? q->maxbytes - q->mq[0].bytes : UINT64_MAX;
	unsigned int k;

	if (q->maxbytes && q->mq[0].bytes > q->maxbytes)
		return 0;
	if (q->maxsize && q->mq[0].count + (uint64_t)n > q->maxsize)
		n = q->mq[0].count < q->maxsize ? (unsigned int)(q->maxsize - q->mq[0].count) : 0;
	if (!size || msgs->iov_len > limit)
		return 0;
	/* A smaller one may have a larger block than it needs, but not by much. */
	least = size / 2 < msgs->iov_len ? size / 2 : msgs->iov_len;
	for (k = 0; k < n; k++) {
		size_t len = msgs[k].iov_len;

		if (len < least || len + sizeof(struct ipc_msg) > size || len > limit || len > room)
			break;
		room -= len;
	}
	return k;
}

unsigned int queue_put_now(struct ipc_obj *o, size_t limit, const struct iovec *msgs,
			   unsigned int n)
{
	struct ipc_queue *q = Q(o);
	uint64_t bytes = 0;
	ref_t r[RUN];

	if (q->closed || !may_overtake(o, WAITQ_PUT))
		return 0;
	n = run_of(o, limit, msgs, n < RUN ? n : RUN);
	n = n ? heap_alloc_run(o, msgs->iov_len + sizeof(struct ipc_msg), r, n) : 0;
	if (!n || o->damage) {
		obj_rollback(o);
		return 0;
	}
	for (unsigned int i = 0; i < n; i++) {
		size_t len = msgs[i].iov_len;
		struct ipc_msg *m = at(o, r[i], sizeof(*m) + len);

		/*
		 * Field by field: the first word is a link of the chain of free blocks, and has no
		 * record but for the last one. It must not be 0 for a moment, as it is while a whole
		 * struct is set.
		 */
		__atomic_store_n(&m->next, i + 1 < n ? r[i + 1] : 0, __ATOMIC_RELAXED);
		m->more = 0;
		m->len = (uint32_t)len;
		m->refs = 1;
		m->attempts = 0;
		if (len)
			memcpy(m->data, msgs[i].iov_base, len);
		bytes += len;
	}
	if (q->mq[0].tail)
		set32(o, msg_at(o, q->mq[0].tail)->next, r[0]);
	else
		log32(o, &q->mq[0].head, r[0]);
	log32(o, &q->mq[0].tail, r[n - 1]);
	log32(o, &q->mq[0].count, q->mq[0].count + n);
	log64(o, &q->mq[0].bytes, q->mq[0].bytes + bytes);
	log64(o, &q->unfinished, q->unfinished + n);
	commit(o);
	return n;
}

unsigned int queue_get_now(struct ipc_obj *o, struct iovec *bufs, unsigned int n)
{
	struct ipc_mq *q = &Q(o)->mq[0];
	ref_t r[RUN], next = q->head;
	unsigned int k = 0;
	size_t len[RUN];
	uint64_t bytes = 0;

	if (waitq_first(o, WAITQ_GET))
		return 0;
	if (n > RUN)
		n = RUN;
	if (n > q->count)
		n = q->count;
	/* Room for the undo records of freeing: a new page with each message is the worst. */
	for (unsigned int pages = 0; k < n && next; k++) {
		struct ipc_msg *m = msg_at(o, next);

		/* Once: what was checked must be what is used, whoever else writes here. */
		len[k] = __atomic_load_n(&m->len, __ATOMIC_RELAXED);
		if (m->more || m->refs != 1 || len[k] > bufs[k].iov_len || len[k] > HEAP_RUN_MOST)
			break;
		if ((!k || heap_apart(r[k - 1], next)) && ++pages > GET_PAGES)
			break;
		memcpy(bufs[k].iov_base, (char *)at(o, next, sizeof(*m) + len[k]) + sizeof(*m),
		       len[k]);
		bytes += len[k];
		r[k] = next;
		next = m->next;
		heap_prefetch(o, r[k], next);
	}
	if (!k)
		return 0;
	log32(o, &q->head, next);
	if (!next)
		log32(o, &q->tail, 0);
	log32(o, &q->count, q->count - k);
	log64(o, &q->bytes, q->bytes - bytes);
	if (heap_free_run(o, r, k) < k || o->damage) {
		obj_rollback(o);
		return 0;
	}
	commit(o);
	o->freed = true;
	for (unsigned int i = 0; i < k; i++)
		bufs[i].iov_len = len[i];
	return k;
}
