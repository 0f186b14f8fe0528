/* SPDX-License-Identifier: MIT */
/* See count.h. */
#include "file/log.h"
#include "object/count.h"
#include "object/damage.h"

uint64_t count_freeze(uint64_t *p)
{
	return __atomic_fetch_and(p, ~COUNT_SHOWN, __ATOMIC_ACQUIRE); /* COUNT_ON: COUNT_FROZEN */
}

void count_entered(struct ipc_obj *o, uint64_t *p, uint64_t *value)
{
	uint64_t word = __atomic_load_n(p, __ATOMIC_RELAXED);

	if (word == COUNT_OFF)
		return;
	word = count_freeze(p);
	IPC_FAULT();
	if (word & COUNT_FROZEN) {
		set64_at(o, value, count_of(word));
		commit(o);
	}
	IPC_FAULT();
	__atomic_store_n(p, COUNT_OFF, __ATOMIC_RELAXED);
}

bool count_wanted(const struct ipc_header *h)
{
	uint32_t n = h->polls.count;

	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		n |= h->waitqs[i].count;
	return n;
}

void count_leaving(struct ipc_obj *o, uint64_t *p, uint64_t value, uint64_t bound, bool shown)
{
	uint64_t room = bound ? bound - value : COUNT_MOST;

	/* (Uncommitted values do not count.) */
	if (o->damage || damage_marked(o) || o->h->log_len || value > COUNT_MOST ||
	    bound > COUNT_MOST || room > COUNT_MOST)
		return;
	__atomic_store_n(p, (shown ? COUNT_SHOWN : COUNT_ON) | room << COUNT_ROOM | value,
			 __ATOMIC_RELEASE);
}
