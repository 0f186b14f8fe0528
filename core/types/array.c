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
#include "types/permit.h"

#define A(o)       (&(o)->h->b.array)
#define WAITQ_LOCK 0

static void array_init(struct ipc_header *h, const struct ipc_defaults *d)
{
	permit_init_lock(h, d);
	h->b.array.typecode = 'B';
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
	permit_counts_inner(o, c);
	c->puts = c->gets = STATS_NONE;
}

static int array_check(struct ipc_obj *o, struct ipc_check *k)
{
	if (!number_size(A(o)->typecode))
		k->why = "unknown type code";
	else if (A(o)->length > INT64_MAX)
		k->why = "longer than a file can be";
	return k->why ? -EIO : permit_check_lock(o, k);
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
	.flock = permit_flock,
	.pump = permit_pump,
	.poll = array_poll,
	.size = array_size,
	.unhold = permit_unhold,
	.words = array_words,
	.counts = array_counts,
	.check = array_check,
	.rest = fast_rest,
	.entered = fast_entered,
	.leaving = fast_leaving,
};
