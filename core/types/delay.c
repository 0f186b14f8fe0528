/* SPDX-License-Identifier: MIT */
/*
 * Delayed messages of a queue: a leftist heap (Crane, 1972), the one that is due first at its root.
 *
 * The rank of a node is the length of its right spine, and the left child's is never less than the right
 * one's. So the right spine of n nodes is at most log2(n + 1) long, and whatever is put or taken changes
 * the nodes of two such spines and two words in each: few enough for one change, however many there are.
 */
#include "file/log.h"
#include "object/msg.h"
#include "types/queue.h"

#define Q(o)  (&(o)->h->b.queue)
#define SPINE 64 /* nodes of two spines: twice the bits of a ref_t */

static uint32_t rank(struct ipc_obj *o, ref_t r)
{
	return r ? delay_at(o, r)->above.rank : 0;
}

static void set_above(struct ipc_obj *o, ref_t r, ref_t up, uint32_t rank)
{
	struct ipc_delay n = { .above = { .up = up, .rank = rank } };

	set64(o, delay_at(o, r)->above.word, n.above.word);
}

static void set_up(struct ipc_obj *o, ref_t r, ref_t up)
{
	if (r)
		set_above(o, r, up, rank(o, r));
}

/* These are its children now, in whichever order. */
static void set_below(struct ipc_obj *o, ref_t r, ref_t a, ref_t b)
{
	bool swap = rank(o, a) < rank(o, b);
	struct ipc_delay n = { .below = { .left = swap ? b : a, .right = swap ? a : b } };

	set64(o, delay_at(o, r)->below.word, n.below.word);
	set_above(o, r, delay_at(o, r)->above.up, rank(o, n.below.right) + 1);
	set_up(o, a, r);
	set_up(o, b, r);
}

/* Two heaps become one. Whose child that is, is not said yet. */
static ref_t meld(struct ipc_obj *o, ref_t a, ref_t b)
{
	ref_t spine[SPINE];
	unsigned int n = 0;

	while (a && b && !o->damage) {
		if (delay_at(o, b)->due < delay_at(o, a)->due) {
			ref_t c = a;

			a = b;
			b = c;
		}
		if (n == SPINE) {
			obj_damage(o, "delayed messages lean to the right");
			return 0;
		}
		spine[n++] = a;
		a = delay_at(o, a)->below.right;
	}
	if (!a)
		a = b;
	while (n && !o->damage) {
		b = spine[--n];
		set_below(o, b, delay_at(o, b)->below.left, a);
		a = b;
	}
	return a;
}

static void set_root(struct ipc_obj *o, ref_t r)
{
	set_up(o, r, 0);
	set32(o, Q(o)->delayed.root, r);
}

static void count(struct ipc_obj *o, ref_t msg, bool more)
{
	struct ipc_delayed *d = &Q(o)->delayed;
	uint64_t len = msg_at(o, msg)->len;

	set32(o, d->count, more ? d->count + 1 : d->count - 1);
	set64(o, d->bytes, more ? d->bytes + len : d->bytes - len);
}

void delay_put(struct ipc_obj *o, ref_t r, ref_t msg, uint64_t due)
{
	struct ipc_delay *d = delay_at(o, r);

	set64(o, d->below.word, 0);
	set_above(o, r, 0, 1);
	set32(o, d->msg, msg);
	set32(o, d->pad, 0);
	set64(o, d->due, due);
	set_root(o, meld(o, Q(o)->delayed.root, r));
	count(o, msg, true);
}

/* A child of `up` is another one now: so are the ranks above it, as far as they change. */
static void replace(struct ipc_obj *o, ref_t up, ref_t old, ref_t with)
{
	struct ipc_delay *d = delay_at(o, up);
	uint32_t was = d->above.rank;

	set_below(o, up, d->below.left == old ? d->below.right : d->below.left, with);
	while (d->above.rank != was && (up = d->above.up) && !o->damage) {
		d = delay_at(o, up);
		was = d->above.rank;
		set_below(o, up, d->below.left, d->below.right);
	}
}

ref_t delay_take(struct ipc_obj *o, ref_t r)
{
	const struct ipc_delay *d = delay_at(o, r);
	ref_t up = d->above.up, msg = d->msg, below = meld(o, d->below.left, d->below.right);

	if (up)
		replace(o, up, r, below);
	else
		set_root(o, below);
	count(o, msg, false);
	return msg;
}

/* Down to the left first; `from` is where it was before, and says which children are done. */
void delay_each(struct ipc_obj *o, bool (*f)(void *arg, struct ipc_obj *o, ref_t delay), void *arg)
{
	ref_t r = Q(o)->delayed.root, from = 0, next;
	/* Each node is met three times at the most; a circle ends here. */
	uint64_t most = blocks_most(o), steps = Q(o)->delayed.count;

	steps = 3 * (steps < most ? steps : most) + 1;
	while (r && steps-- && !o->damage) {
		const struct ipc_delay *d = delay_at(o, r);

		next = d->above.up;
		if (from == d->above.up) {
			if (!f(arg, o, r))
				return;
			if (d->below.left)
				next = d->below.left;
			else if (d->below.right)
				next = d->below.right;
		} else if (from == d->below.left && d->below.right) {
			next = d->below.right;
		}
		from = r;
		r = next;
	}
}
