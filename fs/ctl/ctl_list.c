/* SPDX-License-Identifier: MIT */
/*
 * ctl/list: every message of a queue on a line of its own, whatever is in it:
 *
 *	ID, seconds since it was put, how often it was leased, its state, itself
 *
 * Those that are ready come in the order in which they will be taken, then those that are leased, the
 * oldest lease first, then those that are delayed, in the order of their times.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "ctl/show.h"
#include "file/list.h"
#include "object/look.h"
#include "object/msg.h"
#include "state/object.h"
#include "types/queue.h"

struct listing {
	struct ipc_sink sink; /* first: put() gets its address */
	FILE *f;
	uint64_t now, left;
};

/* As in C, so that printf '%b' gives it back: no byte of it ends the line or the column. */
static void put_escaped(struct ipc_sink *to, const char *text, size_t len)
{
	FILE *f = ((struct listing *)to)->f;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\\')
			fputs("\\\\", f);
		else if (c == '\n')
			fputs("\\n", f);
		else if (c == '\t')
			fputs("\\t", f);
		else if (c < ' ' || c == 0x7f)
			fprintf(f, "\\%04o", c);
		else
			fputc(c, f);
	}
}

static void list_one(struct listing *l, struct ipc_obj *o, ref_t msg, const char *state)
{
	const struct ipc_msg *m = msg_at(o, msg);
	uint64_t age = l->now > m->since ? l->now - m->since : 0;

	fprintf(l->f, "%" PRIu64 "\t%.3f\t%u\t%s\t", m->id, (double)age / 1e9, m->attempts, state);
	look_message(o, msg, 0, &l->left, &l->sink);
	fputc('\n', l->f);
}

static bool list_ready(void *arg, struct ipc_obj *o, ref_t msg)
{
	list_one(arg, o, msg, "ready");
	return true;
}

/* ---- delayed ---- */

struct delayed {
	uint64_t due, id;
	ref_t msg;
};

struct collected {
	struct delayed *all;
	size_t n, most;
};

static bool collect(void *arg, struct ipc_obj *o, ref_t delay)
{
	struct collected *c = arg;
	ref_t msg = delay_at(o, delay)->msg;

	if (c->n < c->most)
		c->all[c->n++] =
			(struct delayed){ delay_at(o, delay)->due, msg_at(o, msg)->id, msg };
	return c->n < c->most;
}

static int by_due(const void *a, const void *b)
{
	const struct delayed *x = a, *y = b;

	if (x->due != y->due)
		return x->due < y->due ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static void list_delayed(struct listing *l, struct ipc_obj *o)
{
	uint64_t most = blocks_most(o), n = o->h->b.queue.delayed.count;
	struct collected c = { .most = n < most ? n : most };

	if (!c.most)
		return;
	c.all = must_alloc(c.most * sizeof(*c.all));
	delay_each(o, collect, &c);
	qsort(c.all, c.n, sizeof(*c.all), by_due);
	for (size_t i = 0; i < c.n; i++)
		list_one(l, o, c.all[i].msg, "delayed");
	free(c.all);
}

void show_list(struct object *ob, FILE *f)
{
	struct ipc_obj *o = &ob->o;
	struct ipc_queue *q = &o->h->b.queue;
	struct listing l = { { put_escaped }, f, ipc_wall(), look_most(o) };

	ipc_peek(o, &q->mq[0], list_ready, &l);
	LIST_EACH(o, &q->leased, r)
		list_one(&l, o, AT(o, ipc_lease, r)->msg, "leased");
	list_delayed(&l, o);
}
