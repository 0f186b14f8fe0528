/* SPDX-License-Identifier: MIT */
/* See stats.h. */
#include "object/stats.h"

#include "file/list.h"
#include "object/msg.h"
#include "object/type.h"
#include "object/waiter.h"

void stats_ended(struct ipc_obj *o, int64_t result)
{
	if (result >= 0)
		STAT_ADD(o, wakes, 1);
	else if (result == -ETIMEDOUT)
		STAT_ADD(o, timeouts, 1);
	else if (result == -ECANCELED)
		STAT_ADD(o, cancels, 1);
}

/* (Not always the first in its queue: a waiter that was interrupted may be put before others.) */
static uint64_t longest(struct ipc_obj *o)
{
	uint64_t since = 0;

	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		LIST_EACH(o, &o->h->waitqs[i], r) {
			const struct ipc_waiter *w = waiter_at(o, r);

			if (!(w->flags & WAITER_PARKED) && (!since || w->since < since))
				since = w->since;
		}
	return since;
}

void ipc_counts_words(struct ipc_obj *o, struct ipc_counts *ret)
{
	const struct ipc_stats *s = &o->h->stats;

	*ret = (struct ipc_counts){
		.puts = s->puts,
		.gets = s->gets,
		.bytes_put = STATS_NONE,
		.bytes_got = STATS_NONE,
		.locks = STATS_NONE,
		.most = STATS_NONE,
		.oldest = STATS_NONE,
		.waits = s->waits,
		.wakes = s->wakes,
		.timeouts = s->timeouts,
		.cancels = s->cancels,
	};
	if (o->ops->counts)
		o->ops->counts(o, ret);
}

void ipc_counts(struct ipc_obj *o, struct ipc_counts *ret)
{
	ipc_counts_words(o, ret);
	ret->longest = longest(o);
	if (ret->first)
		ret->oldest = msg_at(o, ret->first)->since;
}
