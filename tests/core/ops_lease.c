/* SPDX-License-Identifier: MIT */
/* Leases and dead letters. */
#include "ops.h"

#define Q(s) (&(s)->o->h->b.queue)

static void ready(struct scene *s)
{
	s->h[0] = h_new(s->o, HANDLE_LEASE, R, 0);
	s->h[1] = h_open(s->o);
	put(s->o, s->h[1], "one\ntwo\nthree\n");
}

static void leased(struct scene *s)
{
	ready(s);
	CHECK_STR(get(s->o, s->h[0]), "1\tone\n");
	CHECK_STR(get(s->o, s->h[0]), "2\ttwo\n");
}

static void last_attempt(struct scene *s)
{
	leased(s);
	Q(s)->max_attempts = 1;
}

static void dead(struct scene *s)
{
	last_attempt(s);
	ipc_nack(s->o, 1, 1);
	ipc_nack(s->o, 2, 2);
	ipc_pump(s->o);
}

static void dead_wanted(struct scene *s)
{
	dead(s);
	CHECK_STR(get(s->o, s->h[1]), "three\n");
	s->w[0] = get_waits(s->o, s->h[1], OP_READ, 101);
}

static void lease_waits(struct scene *s)
{
	s->h[0] = h_open(s->o);
	s->h[1] = h_new(s->o, HANDLE_LEASE, R, 0);
	s->w[0] = get_waits(s->o, s->h[1], OP_LEASE, 101);
}

static void nobody(struct scene *s)
{
	s->h[0] = h_new(s->o, HANDLE_LEASE, R, 0);
}

static void prefetchers(struct scene *s)
{
	ready(s);
	s->h[2] = h_new(s->o, HANDLE_LEASE, R, 0);
	s->h[3] = h_new(s->o, HANDLE_LEASE, R, 0);
	CHECK_STR(get(s->o, s->h[0]), "1\tone\n");
	CHECK_STR(get(s->o, s->h[2]), "2\ttwo\n");
	CHECK_STR(get(s->o, s->h[1]), "three\n");
	s->w[0] = get_waits(s->o, s->h[3], OP_LEASE, 100);
	s->w[1] = get_waits(s->o, s->h[2], OP_LEASE, 101);
}

static void the_last_waits(struct scene *s)
{
	prefetchers(s);
	ipc_setting32(s->o, &Q(s)->closed, 1);
}

static void both_wait(struct scene *s)
{
	prefetchers(s);
	s->w[2] = get_waits(s->o, s->h[0], OP_LEASE, 102);
}

static void direct_granted(struct scene *s)
{
	nobody(s);
	s->h[1] = h_open(s->o);
	get_waits(s->o, s->h[0], OP_LEASE, 0);
	put(s->o, s->h[1], "one\n");
}

#define FRESH (!ctl_answered(s->o, unique))
#define RUN(name, ...)                                     \
	static void name(struct scene *s, uint64_t unique) \
	{                                                  \
		__VA_ARGS__;                               \
	}
RUN(lease, run_read(s, unique, OP_LEASE, 65536))
RUN(put_one, run_put(s, unique, "new\n"))
RUN(ack, if (FRESH) ipc_ack(s->o, unique, 1))
RUN(nack, if (FRESH) ipc_nack(s->o, unique, 1))
RUN(revive, if (FRESH) ipc_revive(s->o, unique, 1, false))
RUN(revive_all, if (FRESH) ipc_revive(s->o, unique, 0, true))
RUN(discard, if (FRESH) ipc_discard(s->o, unique, 2, false))
RUN(discard_all, if (FRESH) ipc_discard(s->o, unique, 0, true))
RUN(shut, ipc_setting32(s->o, &Q(s)->closed, unique != 1))
RUN(close_h, run_close(s, s->h[0]))
RUN(give_back, (void)unique; run_give_back(s, s->h[0]))

const struct op ops_lease[] = {
	{ "lease", IPC_QUEUE, ready, lease, 0 },
	{ "lease with one in hand", IPC_QUEUE, leased, lease, STEPS },
	{ "lease waits", IPC_QUEUE, nobody, lease, 0 },
	{ "lease granted", IPC_QUEUE, lease_waits, put_one, STEPS },
	{ "lease ack", IPC_QUEUE, leased, ack, DAEMON },
	{ "lease nack", IPC_QUEUE, leased, nack, DAEMON },
	{ "lease nack at the last attempt", IPC_QUEUE, last_attempt, nack, DAEMON },
	{ "lease close", IPC_QUEUE, leased, close_h, STEPS },
	{ "lease close at the last attempt", IPC_QUEUE, last_attempt, close_h, STEPS },
	{ "lease close of a direct client", IPC_QUEUE, direct_granted, close_h, STEPS },
	{ "lease end of two prefetchers", IPC_QUEUE, both_wait, shut, DAEMON | STEPS },
	{ "lease end when the last one waits", IPC_QUEUE, the_last_waits, lease, STEPS },
	{ "lease end when another closes", IPC_QUEUE, the_last_waits, close_h, STEPS },
	{ "lease given back", IPC_QUEUE, leased, give_back, STEPS },
	{ "dead revive", IPC_QUEUE, dead, revive, DAEMON },
	{ "dead revive to a reader", IPC_QUEUE, dead_wanted, revive, DAEMON },
	{ "dead revive all", IPC_QUEUE, dead, revive_all, DAEMON | STEPS },
	{ "dead discard", IPC_QUEUE, dead, discard, DAEMON },
	{ "dead discard all", IPC_QUEUE, dead, discard_all, DAEMON | STEPS },
	{ NULL },
};
