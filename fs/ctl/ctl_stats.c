/* SPDX-License-Identifier: MIT */
/* ctl/stats: what has happened to an object (object/stats.h), a line for each number that its type has. */
#include <inttypes.h>

#include "ctl/ctl.h"
#include "ctl/show.h"
#include "object/stats.h"
#include "state/object.h"

static void number(FILE *f, const char *name, uint64_t n)
{
	if (n != STATS_NONE)
		fprintf(f, "%s: %" PRIu64 "\n", name, n);
}

void show_stats(struct object *ob, FILE *f)
{
	struct ipc_counts c;

	ipc_counts(&ob->o, &c);
	number(f, "puts", c.puts);
	number(f, "gets", c.gets);
	number(f, "bytes_put", c.bytes_put);
	number(f, "bytes_got", c.bytes_got);
	number(f, "locks", c.locks);
	number(f, "high_water", c.most);
	number(f, "waits", c.waits);
	number(f, "wakeups", c.wakes);
	number(f, "timeouts", c.timeouts);
	number(f, "cancels", c.cancels);
	fprintf(f, "longest_wait: %.3f\n", c.longest ? (double)(ipc_now() - c.longest) / 1e9 : 0);
}
