/* SPDX-License-Identifier: MIT */
/*
 * The straight way of a queue: what a direct client does most is to put and take short messages
 * while nobody has to wait. Many at once are one change, with blocks that follow each other in the
 * heap as in the queue (heap_alloc_run), so that a message costs little more than its copy.
 */
#include <string.h>

#include "file/heap.h"
#include "file/log.h"
#include "file/quick.h"
#include "file/slab.h"
#include "object/msg.h"
#include "object/waiter.h"
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
	uint64_t load = queue_load(q), bytes = queue_load_bytes(q);
	uint64_t room = q->maxbytes ? q->maxbytes - bytes : UINT64_MAX;
	unsigned int k;

	if (q->maxbytes && bytes > q->maxbytes)
		return 0;
	if (q->maxsize && load + n > q->maxsize)
		n = load < q->maxsize ? (unsigned int)(q->maxsize - load) : 0;
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

/* ---- one ---- */

/* head and tail as one word, for one note. */
typedef const uint64_t __attribute__((may_alias)) ends_t;

static_assert(offsetof(struct ipc_mq, tail) == offsetof(struct ipc_mq, head) + sizeof(ref_t) &&
		      offsetof(struct ipc_queue, mq) % sizeof(ends_t) == 0,
	      "one word");

#define STORE(p, v)                                           \
	do {                                                  \
		IPC_FAULT();                                  \
		__atomic_store_n((p), (v), __ATOMIC_RELAXED); \
	} while (0)

static bool has_room(const struct ipc_queue *q, size_t len)
{
	return (!q->maxsize || queue_load(q) < q->maxsize) &&
	       (!q->maxbytes || queue_load_bytes(q) + len <= q->maxbytes);
}

/* The last message, to which the new one will be linked. NULL: none, or not where one can be. */
static struct ipc_msg *last_of(struct ipc_obj *o, ref_t tail)
{
	uint64_t off = (uint64_t)tail * IPC_UNIT;

	return tail && obj_has(o, off, sizeof(struct ipc_msg)) ? (struct ipc_msg *)(o->base + off) :
								 NULL;
}

/* Notes of what each put and get changes. */
static unsigned int note_queue(struct ipc_header *h, const struct ipc_mq *mq)
{
	unsigned int n = note_word(h, 0, &mq->head, *(ends_t *)&mq->head, 0);

	n = note_word(h, n, &mq->count, mq->count, 1);
	return note_word(h, n, &mq->bytes, mq->bytes, 0);
}

bool queue_put_one(struct ipc_obj *o, size_t limit, const void *data, size_t len)
{
	struct ipc_header *h = o->h;
	struct ipc_queue *q = &h->b.queue;
	struct ipc_mq *mq = &q->mq[0];
	struct ipc_msg *m, *last = last_of(o, mq->tail);
	unsigned int n;
	struct slab_step s;

	if (q->closed || len > limit || len > HEAP_RUN_MOST - sizeof(*m) || !has_room(q, len) ||
	    (waitq_first(o, WAITQ_PUT) && !may_overtake(o, WAITQ_PUT)) || (mq->tail && !last) ||
	    !slab_take(o, len + sizeof(*m), &s))
		return false;
	/* The block is nobody's yet, but for its first word, the link. */
	m = (struct ipc_msg *)((char *)h + (uint64_t)s.block * IPC_UNIT);
	m->more = 0;
	m->len = (uint32_t)len;
	m->refs = 1;
	m->attempts = 0;
	m->id = queue_last_id(o) + 1;
	m->since = ipc_wall_coarse();
	if (len)
		memcpy(m->data, data, len);
	n = note_queue(h, mq);
	n = note_word(h, n, &q->unfinished, q->unfinished, 0);
	n = note_word(h, n, s.use, s.now, 0);
	if (s.links)
		n = note_word(h, n, s.links, s.link, 1);
	if (last)
		n = note_word(h, n, &last->next, last->next, 1);
	notes_count(h, n);
	STORE(s.use, s.then);
	STORE(&m->next, 0);
	STORE(last ? &last->next : &mq->head, s.block);
	STORE(&mq->tail, s.block);
	STORE(&q->unfinished, q->unfinished + 1);
	STORE(&mq->count, mq->count + 1);
	STORE(&mq->bytes, mq->bytes + len);
	queue_most(o);
	commit(o);
	heap_prefetch(o, s.block, s.link, true);
	return true;
}

ssize_t queue_get_one(struct ipc_obj *o, void *buf, size_t size)
{
	struct ipc_header *h = o->h;
	struct ipc_mq *mq = &h->b.queue.mq[0];
	ref_t head = mq->head, next;
	unsigned int n;
	struct slab_step s;
	struct ipc_msg *m;
	size_t len;

	if (!mq->count || !head || waitq_first(o, WAITQ_GET) || !slab_return(o, head, &s))
		return -1;
	m = (struct ipc_msg *)((char *)h + (uint64_t)head * IPC_UNIT);
	/* Once: what was checked must be what is used, whoever else writes here. */
	len = __atomic_load_n(&m->len, __ATOMIC_RELAXED);
	if (m->more || m->refs != 1 || len > size || len + sizeof(*m) > s.size)
		return -1;
	next = m->next;
	heap_prefetch(o, head, next, false);
	memcpy(buf, m->data, len);
	n = note_queue(h, mq);
	n = note_word(h, n, s.use, s.now, 0);
	n = note_word(h, n, s.links, next, 1);
	notes_count(h, n);
	STORE(&mq->head, next);
	if (!next)
		STORE(&mq->tail, 0);
	STORE(&mq->count, mq->count - 1);
	STORE(&mq->bytes, mq->bytes - len);
	STORE(s.use, s.then);
	STORE(s.links, s.link);
	commit(o);
	o->freed = true;
	return (ssize_t)len;
}

/* ---- many ---- */

/*
 * Fill new blocks, each of which leads to the next; returns how many bytes.
 *
 * Field by field: the first word is a link of the chain of free blocks, and has no record but for the
 * last one. It must not be 0 for a moment, as it is while a whole struct is set.
 */
static uint64_t fill(struct ipc_obj *o, const ref_t *r, const struct iovec *msgs, unsigned int n)
{
	uint64_t bytes = 0, id = queue_last_id(o), now = ipc_wall_coarse();

	for (unsigned int i = 0; i < n; i++) {
		size_t len = msgs[i].iov_len;
		struct ipc_msg *m = at(o, r[i], sizeof(*m) + len);

		__atomic_store_n(&m->next, i + 1 < n ? r[i + 1] : 0, __ATOMIC_RELAXED);
		m->more = 0;
		m->len = (uint32_t)len;
		m->refs = 1;
		m->attempts = 0;
		m->id = ++id;
		m->since = now;
		if (len)
			memcpy(m->data, msgs[i].iov_base, len);
		bytes += len;
	}
	return bytes;
}

unsigned int queue_put_now(struct ipc_obj *o, size_t limit, const struct iovec *msgs,
			   unsigned int n)
{
	struct ipc_queue *q = Q(o);
	uint64_t bytes;
	ref_t r[RUN];

	if (n == 1 && queue_put_one(o, limit, msgs->iov_base, msgs->iov_len))
		return 1;
	if (q->closed || !may_overtake(o, WAITQ_PUT))
		return 0;
	n = run_of(o, limit, msgs, n < RUN ? n : RUN);
	n = n ? heap_alloc_run(o, msgs->iov_len + sizeof(struct ipc_msg), r, n) : 0;
	if (!n || o->damage) {
		obj_rollback(o);
		return 0;
	}
	bytes = fill(o, r, msgs, n);
	if (q->mq[0].tail)
		set32(o, msg_at(o, q->mq[0].tail)->next, r[0]);
	else
		log32(o, &q->mq[0].head, r[0]);
	log32(o, &q->mq[0].tail, r[n - 1]);
	log32(o, &q->mq[0].count, q->mq[0].count + n);
	log64(o, &q->mq[0].bytes, q->mq[0].bytes + bytes);
	log64(o, &q->unfinished, q->unfinished + n);
	queue_most(o);
	commit(o);
	return n;
}

/* Messages that are taken at once, and what their queue begins with after them. */
struct taken {
	ref_t r[RUN], next;
	size_t len[RUN];
	uint64_t bytes;
};

static bool page_is_there(struct ipc_obj *o, uint64_t off)
{
	return off < o->heap_off ? obj_has(o, off, sizeof(struct ipc_msg)) :
				   obj_has(o, off & ~(IPC_PAGE - 1ull), IPC_PAGE);
}

/* Copy the first few of n messages; returns how many. Nothing has been changed yet. */
static unsigned int copy_out(struct ipc_obj *o, const struct iovec *bufs, unsigned int n,
			     struct taken *t)
{
	ref_t next = t->next;
	unsigned int k, pages = 0;

	/* Room for the undo records of freeing: a new page with each message is the worst. */
	for (k = 0; k < n && next; k++) {
		uint64_t off = (uint64_t)next * IPC_UNIT;
		const struct ipc_msg *m = (struct ipc_msg *)(o->base + off);
		size_t len;

		if ((!k || heap_apart(t->r[k - 1], next)) &&
		    (pages++ == GET_PAGES || !page_is_there(o, off)))
			break;
		/* Once: what was checked must be what is used, whoever else writes here. */
		len = __atomic_load_n(&m->len, __ATOMIC_RELAXED);
		if (m->more || m->refs != 1 || len > bufs[k].iov_len || len > HEAP_RUN_MOST ||
		    len + sizeof(*m) > IPC_PAGE - off % IPC_PAGE)
			break;
		memcpy(bufs[k].iov_base, m->data, len);
		t->len[k] = len;
		t->bytes += len;
		t->r[k] = next;
		next = m->next;
		heap_prefetch(o, t->r[k], next, false);
	}
	t->next = next;
	return k;
}

/* The first k messages, which were copied, leave the queue. */
static bool take_off(struct ipc_obj *o, const struct taken *t, unsigned int k)
{
	struct ipc_mq *q = &Q(o)->mq[0];

	log32(o, &q->head, t->next);
	if (!t->next)
		log32(o, &q->tail, 0);
	log32(o, &q->count, q->count - k);
	log64(o, &q->bytes, q->bytes - t->bytes);
	if (heap_free_run(o, t->r, k) < k || o->damage) {
		obj_rollback(o);
		return false;
	}
	commit(o);
	o->freed = true;
	return true;
}

unsigned int queue_get_now(struct ipc_obj *o, struct iovec *bufs, unsigned int n)
{
	const struct ipc_mq *q = &Q(o)->mq[0];
	struct taken t;
	unsigned int k;
	ssize_t one;

	if (n == 1 && (one = queue_get_one(o, bufs->iov_base, bufs->iov_len)) >= 0) {
		bufs->iov_len = (size_t)one;
		return 1;
	}
	if (waitq_first(o, WAITQ_GET))
		return 0;
	if (n > RUN)
		n = RUN;
	t.next = q->head;
	t.bytes = 0;
	k = copy_out(o, bufs, n < q->count ? n : q->count, &t);
	if (!k || !take_off(o, &t, k))
		return 0;
	for (unsigned int i = 0; i < k; i++)
		bufs[i].iov_len = t.len[i];
	return k;
}
