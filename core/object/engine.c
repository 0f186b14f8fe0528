/* SPDX-License-Identifier: MIT */
/*
 * The operations of engine.h: each is one change of one object, done by its type's table.
 */
#include "file/heap.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/begun.h"
#include "object/completion.h"
#include "object/hand.h"
#include "object/msg.h"
#include "object/poll.h"
#include "object/type.h"
#include "object/waiter.h"
#include "object/wake.h"

/* ---- steps ---- */

enum direction { TO_READ, TO_WRITE, NEITHER }; /* of the operation, for whoever polls the handle */

static void acted(struct ipc_obj *o, const struct ipc_call *c, enum direction dir, int r)
{
	if (dir != NEITHER)
		ipc_poll_acted(o, c->handle, dir, r == -EAGAIN || r == IPC_WAIT);
}

/* For again(): a step was refused, or has found damage. */
static bool refused(struct ipc_obj *o, struct ipc_call *c, enum direction dir, int *r)
{
	if (o->damage) {
		*r = -EIO;
		return false;
	}
	obj_rollback(o);
	/* (A put grows the heap itself, as far as it may.) */
	if (*r == -ENOMEM && (c->grow || dir != TO_WRITE)) {
		*r = c->grow ? c->grow(c) : heap_grow(o, true);
		if (*r == IPC_DONE)
			return true;
		if (c->grow) /* the lock is another's */
			return false;
	}
	acted(o, c, dir, *r);
	return false;
}

/*
 * A step of an operation has returned *r. true: there is more memory, so start it over. Otherwise
 * the operation has ended with *r, and a refused step has been rolled back.
 */
static inline bool again(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c,
			 enum direction dir, int *r)
{
	if (__builtin_expect(*r < 0 || o->damage, 0))
		return refused(o, c, dir, r);
	commit(o);
	o->work = true;
	if (dir != NEITHER && hd->poll_events)
		acted(o, c, dir, *r);
	return false;
}

/* ---- reading ---- */

/* Copy the answer's bytes to the caller; returns how many. */
static int64_t show(struct ipc_obj *o, struct ipc_call *c, const struct ipc_answer *a, size_t off)
{
	if (!c->buf && !(c->begins && a->kind == ANSWER_END))
		return 0;
	return a->kind == ANSWER_END ? -EPIPE : (int64_t)answer_copy(o, a, off, c->buf, c->max);
}

/* A caller that joins through libipcfs may have read its last message only in part. */
static bool keeps_last(const struct ipc_handle *hd, const struct ipc_call *c)
{
	return c->op == OP_JOIN && hd->kind == HANDLE_OBJECT;
}

/* The answer in hand: with at_once, its rest is the answer (true); otherwise it is dropped. */
static bool read_hand(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	uint64_t off;

	if (!c->buf && c->begins) /* the next whole one: a rest stays for a read that copies */
		return false;
	if (c->buf && ipc_in_hand(o, hd, c->pos, &off)) {
		c->result = show(o, c, &hd->hand, off);
		ipc_advance(o, hd, (uint64_t)c->result);
		return true;
	}
	if (hd->hand.kind != ANSWER_NONE && !keeps_last(hd, c))
		hand_pass(o, hd, c->pos);
	return false;
}

/* Is it to be read in place? */
static bool begins(struct ipc_obj *o, const struct ipc_call *c)
{
	const struct ipc_answer *a = &c->got;

	if (!c->begins || !a->count || !c->buf)
		return c->begins && a->count;
	return a->kind == ANSWER_RAW && a->count == 1 && a->len >= c->begins && a->len <= c->max &&
	       msg_bytes(o, a->first, a->skip, a->len);
}

/* The answer is given out in the change that took it; what is left of it stays in hand. */
static int hand_out(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	if (!c->buf && !c->begins && !c->got.count) /* a number: nothing to copy or to keep */
		return IPC_DONE;
	if (begins(o, c)) {
		c->begun = begun_new(o, c, &c->got);
		if (c->begun || !c->buf)
			return c->begun ? IPC_DONE : -ENOMEM;
	}
	c->result = show(o, c, &c->got, 0);
	if (c->result < 0)
		return (int)c->result;
	if (c->buf && (uint64_t)c->result < c->got.len) {
		c->got.off = (uint64_t)c->result;
		answer_move(o, &hd->hand, &c->got);
	} else if (c->got.count) {
		answer_drop(o, &c->got);
	}
	return IPC_DONE;
}

/* The answer is for a reply and may be asked for again, so it stays in hand. */
static int hand_keep(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	c->got.off = c->keeps ? 0 : c->got.len < c->max ? c->got.len : c->max;
	c->got.base = c->pos;
	if (!keeps_last(hd, c))
		answer_move(o, &hd->hand, &c->got);
	call_record(o, c, (int64_t)c->got.len, false);
	return IPC_DONE;
}

int ipc_read(struct ipc_obj *o, struct ipc_call *c)
{
	struct ipc_handle *hd = handle_at(o, c->handle);
	int r;

	if ((hd->hand.kind != ANSWER_NONE || hd->rests) && read_hand(o, hd, c))
		return IPC_DONE;
	do {
		c->got = (struct ipc_answer){ 0 };
		c->waiter = 0;
		c->begun = 0;
		r = o->ops->read ? o->ops->read(o, hd, c) : -EINVAL;
		if (r == IPC_DONE && !o->damage)
			r = c->at_once ? hand_out(o, hd, c) : hand_keep(o, hd, c);
	} while (again(o, hd, c, TO_READ, &r));
	return r;
}

int ipc_pick_up(struct ipc_obj *o, struct ipc_call *c)
{
	struct ipc_waiter *w = waiter_at(o, c->waiter);
	struct ipc_call used = { .max = c->buf ? c->max : SIZE_MAX, .pos = c->pos };

	c->got = w->got;
	if (w->result >= 0 && begins(o, c)) {
		waiter_begin(o, c->waiter);
		commit(o);
		c->begun = c->waiter;
		c->waiter = 0;
		return IPC_DONE;
	}
	c->result = w->result < 0 ? w->result : show(o, c, &w->got, 0);
	ipc_finish(o, c->waiter, &used);
	c->waiter = 0;
	return c->result < 0 ? (int)c->result : IPC_DONE;
}

bool ipc_take_given(struct ipc_obj *o, struct ipc_call *c, struct ipc_waiter *w, int *ret)
{
	if (__atomic_load_n(&w->futex, __ATOMIC_ACQUIRE) != FUTEX_GIVEN)
		return false;
	c->got = w->got;
	c->result = w->result;
	IPC_FAULT();
	__atomic_store_n(&w->futex, FUTEX_TAKEN, __ATOMIC_RELEASE);
	IPC_FAULT();
	__atomic_add_fetch(&o->h->taken, 1, __ATOMIC_RELAXED);
	c->waiter = 0;
	*ret = c->result < 0 ? (int)c->result : IPC_DONE;
	return true;
}

/* ---- the others ---- */

/* Its writer was sent away during its turn, while the lock was released to get more memory. */
static bool sent_away(struct ipc_obj *o, const struct ipc_call *c)
{
	return c->waiter && waiter_at(o, c->waiter)->state == WAITER_GRANTED;
}

/* Bytes that are already in stay in. */
static int put_ended(struct ipc_obj *o, struct ipc_call *c)
{
	int64_t result = waiter_at(o, c->waiter)->result;

	ipc_finish(o, c->waiter, c);
	c->waiter = 0;
	c->result = c->done ? (int64_t)c->done : result;
	return c->result < 0 ? (int)c->result : IPC_DONE;
}

static int begin_put(struct ipc_obj *o, struct ipc_call *c)
{
	struct ipc_answer got = { .kind = ANSWER_RAW, .count = 1, .len = c->len };

	if (c->len > c->limit)
		return -EMSGSIZE;
	got.first = msg_new(o, NULL, c->len);
	c->begun = got.first ? begun_new(o, c, &got) : 0;
	return c->begun ? IPC_DONE : -ENOMEM;
}

int ipc_put_begin(struct ipc_obj *o, struct ipc_call *c)
{
	struct ipc_handle *hd = handle_at(o, c->handle);
	int r;

	c->waiter = 0;
	do
		r = begin_put(o, c);
	while (again(o, hd, c, NEITHER, &r));
	if (r != IPC_DONE)
		c->begun = 0;
	return r;
}

int ipc_put(struct ipc_obj *o, struct ipc_call *c)
{
	struct ipc_handle *hd = handle_at(o, c->handle);
	int r;

	o->work = true;
	do {
		if (sent_away(o, c))
			r = put_ended(o, c);
		else
			r = o->ops->put ? o->ops->put(o, hd, c) : -EINVAL;
	} while (again(o, hd, c, TO_WRITE, &r));
	return r;
}

int ipc_give(struct ipc_obj *o, struct ipc_call *c, const struct ipc_cmd *cmd)
{
	struct ipc_handle *hd = c->handle ? handle_at(o, c->handle) : NULL; /* a setting has none */
	int r;

	do {
		c->waiter = 0;
		r = o->ops->give ? o->ops->give(o, hd, c, cmd) : -EINVAL;
		if (r == 0)
			call_record(o, c,
				    c->whole ? c->got.number :
					       (int64_t)c->len << (c->more ? 32 : 0),
				    c->more);
	} while (again(o, hd, c, NEITHER, &r));
	/* The result is returned now, and is not an answer for a later read. */
	if (r == IPC_DONE && hd && c->at_once && answer_left(&hd->hand))
		answer_drop(o, &hd->hand);
	return r;
}

int ipc_flock(struct ipc_obj *o, struct ipc_call *c, int how)
{
	struct ipc_handle *hd = handle_at(o, c->handle);
	int r;

	do {
		c->waiter = 0;
		r = o->ops->flock ? o->ops->flock(o, hd, c, how) : -EOPNOTSUPP;
		if (r == 0)
			call_record(o, c, 0, false);
	} while (again(o, hd, c, TO_READ, &r));
	return r;
}

int64_t ipc_due(struct ipc_obj *o)
{
	return o->ops->due && !o->damage ? o->ops->due(o) : IPC_NEVER;
}

void ipc_pump(struct ipc_obj *o)
{
	o->work = false;
	msg_sweep(o);
	ipc_reap(o);
	if (o->ops->pump && !o->damage)
		o->ops->pump(o);
}

void ipc_setting64(struct ipc_obj *o, uint64_t *field, uint64_t v)
{
	set64_at(o, field, v);
	commit(o);
	o->work = true;
}

void ipc_setting32(struct ipc_obj *o, uint32_t *field, uint32_t v)
{
	set32_at(o, field, v);
	commit(o);
	o->work = true;
}
