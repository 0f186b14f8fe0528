/* SPDX-License-Identifier: MIT */
/*
 * queue: counting (object/stats.h). See queue.c.
 *
 * Each message that was put is unfinished, or was finished since; each that was taken was put and is not
 * there. So neither a put nor a get has to count itself, and whatever else changes one of the two words
 * takes care that puts and gets stay as they are.
 */
#include "object/stats.h"
#include "types/queue.h"

#define Q(o) (&(o)->h->b.queue)

void queue_counts(const struct ipc_obj *o, struct ipc_counts *c)
{
	const struct ipc_queue *q = Q(o);

	c->puts += q->unfinished;
	c->gets += q->unfinished - queue_load(q);
	c->first = q->mq[0].head;
	c->oldest = 0;
	c->most = q->mq[0].most > o->h->stats.most ? q->mq[0].most : o->h->stats.most;
}

void queue_came_back(struct ipc_obj *o, uint64_t n)
{
	STAT_ADD(o, gets, n);
	queue_most(o);
}

void queue_note_end(struct ipc_obj *o, uint64_t n)
{
	set64(o, Q(o)->ended, Q(o)->ended + n);
}

void queue_finished(struct ipc_obj *o, uint64_t n)
{
	set64(o, Q(o)->unfinished, Q(o)->unfinished - n);
	STAT_ADD(o, puts, n);
	STAT_ADD(o, gets, n);
	if ((int64_t)n > 0)
		queue_note_end(o, n);
}

void queue_rest(struct ipc_obj *o)
{
	if (Q(o)->mq[0].most > o->h->stats.most)
		set64(o, o->h->stats.most, Q(o)->mq[0].most);
	set32(o, Q(o)->mq[0].most, 0);
	set64(o, Q(o)->ended, 0); /* nobody has seen it */
}
