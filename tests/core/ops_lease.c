/* SPDX-License-Identifier: MIT */
/* Leases and dead letters, and what comes back by itself. */
#include "file/list.h"
#include "ops.h"
#include "types/queue.h"

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
	ipc_nack(s->o, 1, 1, 0);
	ipc_nack(s->o, 2, 2, 0);
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

static void with_ttr(struct scene *s)
{
	leased(s);
	Q(s)->ttr = 1000000000000;
}

static void with_ttr_last(struct scene *s)
{
	last_attempt(s);
	Q(s)->ttr = 1000000000000;
}

static void delayed(struct scene *s)
{
	leased(s);
	ipc_nack(s->o, 1, 2, 7000000000000);
}

static void two_delayed(struct scene *s)
{
	delayed(s);
	ipc_nack(s->o, 2, 1, 6000000000000);
}

static void delayed_wanted(struct scene *s)
{
	two_delayed(s);
	CHECK_STR(get(s->o, s->h[1]), "three\n");
	s->w[0] = get_waits(s->o, s->h[1], OP_READ, 101);
	ipc_setting32(s->o, &Q(s)->closed, 1);
}

/* All leases are old, and all that was delayed is due. */
static bool due(void *arg, struct ipc_obj *o, ref_t r)
{
	(void)arg;
	if (delay_at(o, r)->due > 1000000000000000000) /* the same order, thirty years ago */
		delay_at(o, r)->due -= 1000000000000000000;
	return true;
}

static void run_time(struct scene *s)
{
	LIST_EACH(s->o, &Q(s)->leased, r)
		AT(s->o, ipc_lease, r)->since = 0;
	delay_each(s->o, due, NULL);
	ipc_pump(s->o);
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
RUN(nack, if (FRESH) ipc_nack(s->o, unique, 1, 0))
RUN(nack_later, if (FRESH) ipc_nack(s->o, unique, 1, 1000000000000))
RUN(touch, if (FRESH) ipc_touch(s->o, unique, 1))
RUN(remove_second, if (FRESH) ipc_remove(s->o, unique, 2))
RUN(remove_third, if (FRESH) ipc_remove(s->o, unique, 3))
RUN(time_passes, (void)unique; run_time(s))
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
	{ "lease nack with a delay", IPC_QUEUE, leased, nack_later, DAEMON },
	{ "lease nack with a delay before another's", IPC_QUEUE, delayed, nack_later, DAEMON },
	{ "lease touch", IPC_QUEUE, leased, touch, DAEMON },
	{ "lease too old", IPC_QUEUE, with_ttr, time_passes, DAEMON | STEPS },
	{ "lease too old at the last attempt", IPC_QUEUE, with_ttr_last, time_passes,
	  DAEMON | STEPS },
	{ "delayed are due", IPC_QUEUE, two_delayed, time_passes, DAEMON | STEPS },
	{ "delayed are due to a reader", IPC_QUEUE, delayed_wanted, time_passes, DAEMON | STEPS },
	{ "remove of one in the middle", IPC_QUEUE, ready, remove_second, DAEMON },
	{ "remove of the last", IPC_QUEUE, ready, remove_third, DAEMON },
	{ "remove of the only one", IPC_QUEUE, leased, remove_third, DAEMON },
	{ "remove of a delayed one", IPC_QUEUE, two_delayed, remove_second, DAEMON },
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
