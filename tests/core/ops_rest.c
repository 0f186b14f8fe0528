/* SPDX-License-Identifier: MIT */
/* Objects that nobody has open any more: what ipc_rest() gives back. */
#include "file/heap.h"
#include "object/fast.h"
#include "ops.h"

static void rest(struct scene *s, uint64_t unique)
{
	(void)unique;
	ipc_rest(s->o);
	heap_shrink(s->o);
}

static void close_both(struct scene *s)
{
	close_it(s->o, s->h[0]);
	close_it(s->o, s->h[1]);
}

static void opened(struct scene *s)
{
	s->h[0] = h_open(s->o);
	s->h[1] = h_open(s->o);
}

static void drained(struct scene *s)
{
	opened(s);
	for (int i = 0; i < 40; i++)
		CHECK_INT(put(s->o, s->h[0], "some message\n"), 13);
	while (ipc_size(s->o))
		get(s->o, s->h[1]);
	close_both(s);
}

static void holding(struct scene *s)
{
	opened(s);
	for (int i = 0; i < 3; i++)
		CHECK_INT(put(s->o, s->h[0], "some message\n"), 13);
	close_both(s);
}

static void was_direct(struct scene *s)
{
	opened(s);
	CHECK_INT(ipc_attach(s->o, handle_at(s->o, s->h[0]), 1, 1), 0);
	close_both(s);
}

const struct op ops_rest[] = {
	{ "rest of a drained queue", IPC_QUEUE, drained, rest, DAEMON | STEPS },
	{ "rest of a queue that holds something", IPC_QUEUE, holding, rest, DAEMON | STEPS },
	{ "rest of a pipe", IPC_PIPE, drained, rest, DAEMON | STEPS },
	{ "rest of a lock that was direct", IPC_LOCK, was_direct, rest, DAEMON | STEPS },
	{ "rest of one that is open", IPC_EVENT, opened, rest, DAEMON },
	{ NULL },
};
