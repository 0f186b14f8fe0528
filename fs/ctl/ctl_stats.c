/* SPDX-License-Identifier: MIT */
/* ctl/stats: what has happened to an object (object/stats.h), a line for each number that its type has. */
#include <inttypes.h>

#include "ctl/ctl.h"
#include "ctl/show.h"
#include "ctl/survey.h"
#include "object/stats.h"
#include "object/type.h"
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
	if (c.oldest != STATS_NONE)
		fprintf(f, "oldest: %.3f\n", stats_age(c.oldest));
	fprintf(f, "longest_wait: %.3f\n", stats_seconds(c.longest));
}

/* ---- .ctl/stats: a row for each object ---- */

static void rows_begin(FILE *f)
{
	fputs("type\tsize\twaiters\tholders\tputs\tgets\tbytes_put\tbytes_got\tlocks\thigh_water\t"
	      "waits\twakeups\ttimeouts\tcancels\toldest\tlongest_wait\tpath\n",
	      f);
}

/* As in /proc/mounts: a name may have what separates fields and rows. */
static void path(FILE *f, const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == '\\' || *s == 127)
			fprintf(f, "\\%03o", (unsigned char)*s);
		else
			fputc(*s, f);
	fputc('\n', f);
}

static void rows_object(FILE *f, const struct surveyed *s)
{
	const struct ipc_counts *c = &s->counts;
	const uint64_t n[] = { s->size,      s->waiters,   s->holders, c->puts, c->gets,
			       c->bytes_put, c->bytes_got, c->locks,   c->most, c->waits,
			       c->wakes,     c->timeouts,  c->cancels };

	fprintf(f, "%s", s->type->name);
	for (size_t i = 0; i < sizeof(n) / sizeof(*n); i++)
		if (s->stalled)
			fputs("\t?", f);
		else if (n[i] == STATS_NONE)
			fputs("\t-", f);
		else
			fprintf(f, "\t%" PRIu64, n[i]);
	if (s->stalled)
		fputs("\t?\t?\t", f);
	else if (c->oldest == STATS_NONE)
		fprintf(f, "\t-\t%.3f\t", stats_seconds(c->longest));
	else
		fprintf(f, "\t%.3f\t%.3f\t", stats_age(c->oldest), stats_seconds(c->longest));
	path(f, s->path);
}

static void rows_end(FILE *f)
{
	(void)f;
}

const struct survey_form survey_rows = {
	.begin = rows_begin,
	.object = rows_object,
	.end = rows_end,
};
