/* SPDX-License-Identifier: MIT */
/*
 * Checking an object: everything that its fields promise about each other. It trusts nothing that
 * it reads: every walk is bounded, and every reference is checked before it is followed (at() in
 * obj.h).
 *
 * The last test is the strongest: every block that can be reached is in use, and no other block is.
 * So nothing leaks, and nothing is in two places.
 */
#include <string.h>

#include "file/heap.h"
#include "file/list.h"
#include "object/answer.h"
#include "object/msg.h"
#include "object/type.h"
#include "object/waiter.h"
#include "types/check.h"

#define SHARERS_MAX 16
#define SHARE       720720u /* what every number up to SHARERS_MAX divides */

static int bad(struct ipc_check *k, const char *why)
{
	if (!k->why)
		k->why = why;
	return -EIO;
}

int check_block(struct ipc_obj *o, ref_t r, size_t size, struct ipc_check *k)
{
	if (!obj_has(o, (uint64_t)r * IPC_UNIT, size))
		return bad(k, "reference out of range");
	if (heap_size(o, r) < size)
		return bad(k, "reference to a block that is too small or free");
	/*
	 * One or two refer to each, except for texts that many handles show; those are counted too.
	 */
	if (k->steps++ > 8 * k->used)
		return bad(k, "too many references");
	k->blocks++;
	return 0;
}

static int walk(struct ipc_obj *o, struct ipc_list *l, size_t size, struct ipc_check *k)
{
	ref_t prev = 0;
	uint32_t n = 0;

	for (ref_t r = l->head; r; r = AT(o, ipc_link, r)->next) {
		if (n++ >= list_most(o, l))
			return bad(k, "list longer than its count");
		if (check_block(o, r, size, k) < 0)
			return -EIO;
		if (AT(o, ipc_link, r)->prev != prev)
			return bad(k, "list with a wrong back link");
		prev = r;
	}
	if (n != l->count || l->tail != prev)
		return bad(k, "list shorter than its count");
	return 0;
}

/* The segments of one message. */
int check_msg(struct ipc_obj *o, ref_t msg, struct ipc_check *k)
{
	unsigned int n = 0;
	uint64_t left;

	if (check_block(o, msg, sizeof(struct ipc_msg), k) < 0)
		return -EIO;
	left = msg_at(o, msg)->len;
	if (left > MSG_MOST)
		return bad(k, "message too long");
	if (msg_at(o, msg)->more & MSG_APART)
		return check_block(o, msg_at(o, msg)->more & ~MSG_APART, left, k);
	for (ref_t r = msg;;) {
		size_t cap = heap_size(o, r) - sizeof(struct ipc_msg);

		left -= left < cap ? left : cap;
		r = msg_at(o, r)->more;
		if (!r)
			break;
		if (n++ > 64 || check_block(o, r, sizeof(struct ipc_msg), k) < 0)
			return bad(k, "message with too many segments");
	}
	return left ? bad(k, "message longer than its blocks") : 0;
}

int check_shared(struct ipc_obj *o, ref_t msg, struct ipc_check *k)
{
	uint64_t blocks = k->blocks;
	unsigned int refs;

	/* A message is met at most once for each possible reference to it: a few for each block. */
	if (k->met++ > 4 * ((uint64_t)o->h->pages_used * (IPC_PAGE / 32) + IPC_SLOTS))
		return bad(k, "too many references to messages");
	if (check_msg(o, msg, k) < 0)
		return -EIO;
	refs = msg_at(o, msg)->refs;
	if (refs == 0)
		return bad(k, "message without references");
	if (refs == 1)
		return 0;
	/* It is met once for each reference, so each meeting counts as a fraction of it. */
	k->shares++;
	if (refs > SHARERS_MAX) {
		k->uncounted = true;
	} else {
		k->parts += (k->blocks - blocks) * (SHARE / refs);
		k->blocks = blocks;
	}
	return 0;
}

int check_mq(struct ipc_obj *o, struct ipc_mq *q, struct ipc_check *k)
{
	struct msg_walk w = { 0 };
	uint64_t bytes = 0;
	uint32_t n = 0;
	ref_t last = 0;

	for (ref_t r = q->head; r; r = msg_at(o, r)->next) {
		if (n++ >= q->count || msg_again(o, &w, r))
			return bad(k, "more messages than counted");
		if (check_shared(o, r, k) < 0)
			return -EIO;
		bytes += msg_at(o, r)->len;
		last = r;
	}
	if (n != q->count || q->tail != last)
		return bad(k, "fewer messages than counted");
	if (q->skip && (!q->head || q->skip >= msg_at(o, q->head)->len))
		return bad(k, "more of the first message read than it contains");
	if (bytes - q->skip != q->bytes)
		return bad(k, "wrong count of bytes");
	k->messages += n;
	return 0;
}

int check_leases(struct ipc_obj *o, struct ipc_list *l, bool leased, struct ipc_check *k)
{
	if (walk(o, l, sizeof(struct ipc_lease), k) < 0)
		return -EIO;
	LIST_EACH(o, l, r) {
		struct ipc_lease *e = AT(o, ipc_lease, r);

		if (check_shared(o, e->msg, k) < 0)
			return -EIO;
		if (leased != (e->handle != 0))
			return bad(k, "lease without a handle, or dead letter with one");
	}
	return 0;
}

static int check_answer(struct ipc_obj *o, struct ipc_answer *a, struct ipc_check *k)
{
	struct msg_walk w = { 0 };
	ref_t r = a->first;

	if (a->kind > ANSWER_TOKEN)
		return bad(k, "answer of an unknown kind");
	for (uint32_t i = 0; i < a->count; i++) {
		if (msg_again(o, &w, r))
			return bad(k, "messages form a cycle");
		if (check_shared(o, r, k) < 0)
			return -EIO;
		r = msg_at(o, r)->next;
	}
	return 0;
}

static int check_waiters(struct ipc_obj *o, struct ipc_list *l, struct ipc_check *k)
{
	if (walk(o, l, sizeof(struct ipc_waiter), k) < 0)
		return -EIO;
	LIST_EACH(o, l, r) {
		struct ipc_waiter *w = waiter_at(o, r);

		if (w->op >= OP_OPS || w->waitq >= IPC_WAITQS || w->state > WAITER_BEGUN)
			return bad(k, "waiter of an unknown kind");
		if (check_answer(o, &w->got, k) < 0)
			return -EIO;
		k->waiters++;
	}
	return 0;
}

/* It is queued for its handle, which refers to it. */
static bool stands(struct ipc_obj *o, ref_t r)
{
	struct ipc_waiter *w = waiter_at(o, r);

	return w->flags & WAITER_STANDS && handle_at(o, w->handle)->standing == r;
}

static int check_handles(struct ipc_obj *o, struct ipc_check *k)
{
	struct ipc_header *h = o->h;
	uint64_t waiters = 0, holds = 0, leases = 0, polls = 0, parked = 0, standing = 0;

	if (walk(o, &h->handles, sizeof(struct ipc_handle), k) < 0 ||
	    walk(o, &h->holds, sizeof(struct ipc_hold), k) < 0)
		return -EIO;
	LIST_EACH(o, &h->handles, r) {
		struct ipc_handle *hd = handle_at(o, r);

		if (check_answer(o, &hd->hand, k) < 0)
			return -EIO;
		if (hd->line && check_msg(o, hd->line, k) < 0)
			return -EIO;
		waiters += hd->waiters + hd->rests;
		holds += hd->holds;
		leases += hd->leases;
		polls += hd->poll_events != 0;
		parked += hd->parked;
		standing += hd->standing != 0;
		k->handles++;
	}
	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		LIST_EACH(o, &h->waitqs[i], r) {
			parked -= waiter_at(o, r)->flags & WAITER_PARKED ? 1 : 0;
			standing -= stands(o, r);
		}
	LIST_EACH(o, &h->granted, r)
		standing -= stands(o, r);
	if (waiters != k->waiters || holds != h->holds.count || polls != h->polls.count || parked ||
	    standing)
		return bad(k, "wrong counts in handles");
	k->leases = leases;
	return 0;
}

/* Long messages that are waiting to be freed, segment by segment from the front. */
static int check_trash(struct ipc_obj *o, uint64_t blocks, struct ipc_check *k)
{
	for (ref_t r = o->h->trash; r; r = msg_at(o, r)->next)
		for (ref_t s = r; s; s = msg_at(o, s)->more)
			if (k->blocks > blocks || check_block(o, s, sizeof(struct ipc_msg), k) < 0)
				return bad(k, "trash list does not end");
	return 0;
}

int ipc_check(struct ipc_obj *o, struct ipc_check *ret)
{
	struct ipc_header *h = o->h;
	struct ipc_check k = { 0 };
	uint64_t blocks = 0;
	int r;

	if (o->damage)
		bad(&k, o->damage);
	else if (!obj_has_pages(o, h->pages))
		bad(&k, "heap larger than the file");
	else if (heap_check(o, &blocks) < 0)
		bad(&k, "heap is inconsistent");
	if (k.why)
		goto out;
	k.used = blocks;
	r = check_waiters(o, &h->granted, &k);
	r = r < 0 ? r : check_waiters(o, &h->woken, &k);
	r = r < 0 ? r : check_waiters(o, &h->rests, &k);
	for (unsigned int i = 0; i < IPC_WAITQS && r == 0; i++)
		r = check_waiters(o, &h->waitqs[i], &k);
	r = r < 0 ? r : check_trash(o, blocks, &k);
	r = r < 0 ? r : check_handles(o, &k);
	r = r < 0 ? r : o->ops->check ? o->ops->check(o, &k) : 0;
	if (r == 0 && o->damage)
		bad(&k, o->damage);
	if (!k.why && k.parts % SHARE)
		bad(&k, "wrong count of references to a message");
	k.blocks += k.parts / SHARE;
	/*
	 * Messages with very many references are counted too often; the sum is then only a bound.
	 */
	if (!k.why && (k.uncounted ? k.blocks < blocks : k.blocks != blocks))
		bad(&k,
		    k.blocks < blocks ? "blocks without a reference" : "block with two references");
out:
	*ret = k;
	return k.why ? -EIO : 0;
}
