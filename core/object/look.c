/* SPDX-License-Identifier: MIT */
/* What an object shows a handle that only looks: it takes nothing and never waits. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include "object/answer.h"
#include "object/hand.h"
#include "object/look.h"
#include "object/msg.h"
#include "object/parked.h"
#include "object/type.h"
#include "object/waiter.h"

uint64_t look_most(const struct ipc_obj *o)
{
	return (uint64_t)(1 + o->pages) * IPC_PAGE;
}

void look_message(struct ipc_obj *o, ref_t msg, size_t skip, uint64_t *left, struct ipc_sink *to)
{
	char buf[16384];
	size_t n;

	while ((n = msg_copy(o, msg, skip, buf, sizeof(buf)))) {
		if (n > *left) {
			obj_damage(o, "its messages are larger than its memory");
			return;
		}
		*left -= n;
		skip += n;
		to->put(to, buf, n);
	}
}

struct peek {
	struct ipc_sink *to;
	uint64_t left;
	uint32_t skip;
	bool newline;
};

static bool peek_one(void *arg, struct ipc_obj *o, ref_t msg)
{
	struct peek *p = arg;

	look_message(o, msg, p->skip, &p->left, p->to);
	p->skip = 0;
	if (p->newline)
		p->to->put(p->to, "\n", 1);
	return true;
}

void look_messages(struct ipc_obj *o, struct ipc_mq *q, bool newline, struct ipc_sink *to)
{
	struct peek p = { to, look_most(o), q->skip, newline };

	ipc_peek(o, q, peek_one, &p);
}

void ipc_look(struct ipc_obj *o, struct ipc_sink *to)
{
	char text[24];

	if (o->ops->look)
		o->ops->look(o, to);
	else
		to->put(to, text,
			(size_t)snprintf(text, sizeof(text), "%" PRIu64 "\n", ipc_size(o)));
}

int64_t ipc_next_length(struct ipc_obj *o, struct ipc_handle *hd)
{
	unsigned int ready = ipc_poll(o, ref_of(o, hd));

	ipc_next_rest(o, hd);
	if (answer_left(&hd->hand))
		return (int64_t)answer_left(&hd->hand);
	if (!(ready & POLLIN))
		return -1;
	if (waiter_granted_standing(o, hd))
		return (int64_t)waiter_at(o, hd->standing)->got.len;
	return o->ops->next ? (int64_t)o->ops->next(o, hd) : 2;
}
