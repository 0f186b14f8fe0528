/* SPDX-License-Identifier: MIT */
/*
 * array: plain memory. Its bytes are in the file STATE/objects/ID.data, which the daemon reads and
 * writes and which others may map. The engine keeps the number of bytes (`length`, changed by
 * truncate and by writes past the end), the type of the elements (`typecode`, see number.h), and a
 * lock for flock.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include "object/facts.h"
#include "object/number.h"
#include "object/fast.h"
#include "object/stats.h"
#include "object/type.h"
#include "types/sem.h"

#define A(o)       (&(o)->h->b.array)
#define WAITQ_LOCK 0

static void array_init(struct ipc_header *h, const struct ipc_defaults *d)
{
	(void)d;
	sem_init_lock(&h->b.array.lock);
	h->b.array.typecode = 'B';
}

static int array_flock(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c, int how)
{
	return sem_flock(o, &A(o)->lock, WAITQ_LOCK, hd, c, how);
}

static void array_pump(struct ipc_obj *o)
{
	sem_pump(o, &A(o)->lock, WAITQ_LOCK);
}

static unsigned int array_poll(struct ipc_obj *o, struct ipc_handle *hd)
{
	(void)o;
	(void)hd;
	return POLLIN | POLLOUT;
}

static uint64_t array_size(struct ipc_obj *o)
{
	return __atomic_load_n(&A(o)->length, __ATOMIC_RELAXED);
}

static void array_counts(const struct ipc_obj *o, struct ipc_counts *c)
{
	lock_counts_inner(o, c);
	c->puts = c->gets = STATS_NONE;
}

static void array_unhold(struct ipc_obj *o, struct ipc_hold *hold)
{
	sem_unhold(o, &A(o)->lock, hold);
}

static int array_check(struct ipc_obj *o, struct ipc_check *k)
{
	if (!number_size(A(o)->typecode))
		k->why = "unknown type code";
	else if (A(o)->length > INT64_MAX)
		k->why = "longer than a file can be";
	return k->why ? -EIO : sem_check(o, &A(o)->lock, k);
}

static int array_words(const struct ipc_facts *f, char *ret, size_t size)
{
	const char *typecode = f->get(f, "typecode");
	uint64_t n = facts_count(f, "length");

	if (!typecode || !f->get(f, "length"))
		return snprintf(ret, size, "%s", "");
	return snprintf(ret, size, "%" PRIu64 " item%s of %s", n, n == 1 ? "" : "s", typecode);
}

const struct ipc_type ipc_array_type = {
	.id = IPC_ARRAY,
	.name = "array",
	.suffix = ".array",
	.traits = TYPE_MEMORY | TYPE_LASTING | TYPE_INNER_LOCK | TYPE_PID,
	.lock_waitq = WAITQ_LOCK,
	.init = array_init,
	.flock = array_flock,
	.pump = array_pump,
	.poll = array_poll,
	.size = array_size,
	.unhold = array_unhold,
	.words = array_words,
	.counts = array_counts,
	.check = array_check,
	.rest = fast_rest,
	.entered = fast_entered,
	.leaving = fast_leaving,
};
