/* SPDX-License-Identifier: MIT */
/*
 * .ctl/metrics: the mount in OpenMetrics text. All lines of a metric stand together, so the objects are
 * gone through once for each: the first time they are looked at (survey.c).
 */
#include <inttypes.h>
#include <string.h>

#include "ctl/survey.h"
#include "object/type.h"
#include "state/fs.h"
#include "state/memory.h"

/* The bytes of the character that begins there; 0: none does. */
static size_t character(const unsigned char *s)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *s < 0x80 ? 1 : *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : 2;
	uint32_t c = n == 1 ? *s : *s & (0x7fu >> n);

	if (*s >= 0xf8 || (*s >= 0x80 && *s < 0xc0))
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
}

/* A label's value is UTF-8, whatever a name is: other bytes are shown as \xNN. */
static void escaped(FILE *f, const char *s)
{
	while (*s) {
		size_t n = character((const unsigned char *)s);

		if (*s == '\\' || *s == '"')
			fprintf(f, "\\%c", *s);
		else if (*s == '\n')
			fprintf(f, "\\n");
		else if (n)
			fwrite(s, 1, n, f);
		else
			fprintf(f, "\\\\x%02x", (unsigned char)*s);
		s += n ? n : 1;
	}
}

enum kind { GAUGE, COUNTER };

static void family(FILE *f, const char *name, enum kind kind, const char *unit, const char *help)
{
	fprintf(f, "# TYPE %s %s\n", name, kind == COUNTER ? "counter" : "gauge");
	if (unit)
		fprintf(f, "# UNIT %s %s\n", name, unit);
	fprintf(f, "# HELP %s %s\n", name, help);
}

static void labels(FILE *f, const struct surveyed *s)
{
	fputs("{mountpoint=\"", f);
	escaped(f, fs.opt.mountpoint);
	if (s) {
		fputs("\",path=\"", f);
		escaped(f, s->path);
		fprintf(f, "\",type=\"%s", s->type->name);
	}
	fputs("\"} ", f);
}

static void of_mount(FILE *f, const char *name, enum kind kind, const char *unit, const char *help,
		     uint64_t n)
{
	family(f, name, kind, unit, help);
	fprintf(f, "%s%s", name, kind == COUNTER ? "_total" : "");
	labels(f, NULL);
	fprintf(f, "%" PRIu64 "\n", n);
}

/* ---- of each object ---- */

#define COUNT(field) offsetof(struct surveyed, field)

static const struct metric {
	const char *name;
	enum kind kind;
	const char *unit, *help;
	size_t at; /* in struct surveyed: a uint64_t, or STATS_NONE */
} metrics[] = {
	{ "ipcfs_object_size", GAUGE, NULL,
	  "What ls shows as the size: messages, permits, waiters.", COUNT(size) },
	{ "ipcfs_object_waiters", GAUGE, NULL, "Who waits now.", COUNT(waiters) },
	{ "ipcfs_object_holders", GAUGE, NULL, "What is held or leased now.", COUNT(holders) },
	{ "ipcfs_object_puts", COUNTER, NULL, "Puts, writes, permits given, sets, notifications.",
	  COUNT(counts.puts) },
	{ "ipcfs_object_gets", COUNTER, NULL, "Gets, reads, permits and locks taken.",
	  COUNT(counts.gets) },
	{ "ipcfs_object_put_bytes", COUNTER, "bytes", "Bytes written to a pipe.",
	  COUNT(counts.bytes_put) },
	{ "ipcfs_object_got_bytes", COUNTER, "bytes", "Bytes read from a pipe.",
	  COUNT(counts.bytes_got) },
	{ "ipcfs_object_locks", COUNTER, NULL,
	  "How often the lock of a cond, value or array was taken.", COUNT(counts.locks) },
	{ "ipcfs_object_high_water", GAUGE, NULL,
	  "The most messages or bytes that were in it at once.", COUNT(counts.most) },
	{ "ipcfs_object_waits", COUNTER, NULL, "How often somebody had to wait.",
	  COUNT(counts.waits) },
	{ "ipcfs_object_wakeups", COUNTER, NULL, "Waits that ended with what was waited for.",
	  COUNT(counts.wakes) },
	{ "ipcfs_object_timeouts", COUNTER, NULL, "Waits that took too long.",
	  COUNT(counts.timeouts) },
	{ "ipcfs_object_cancels", COUNTER, NULL, "Waits that were cancelled.",
	  COUNT(counts.cancels) },
};

#define METRICS (sizeof(metrics) / sizeof(*metrics))

/* And these, which are no plain numbers. */
enum { LONGEST = METRICS, OLDEST, STALLED, PARTS };

static void sample(FILE *f, const struct metric *m, const struct surveyed *s)
{
	uint64_t n;

	memcpy(&n, (const char *)s + m->at, sizeof(n));
	if (s->stalled || n == STATS_NONE)
		return;
	fprintf(f, "%s%s", m->name, m->kind == COUNTER ? "_total" : "");
	labels(f, s);
	fprintf(f, "%" PRIu64 "\n", n);
}

static void metrics_again(FILE *f, unsigned int part, const struct surveyed *s)
{
	if (part < METRICS) {
		sample(f, &metrics[part], s);
	} else if (part == LONGEST && !s->stalled) {
		fputs("ipcfs_object_longest_wait_seconds", f);
		labels(f, s);
		fprintf(f, "%.3f\n", stats_seconds(s->counts.longest));
	} else if (part == OLDEST && !s->stalled && s->counts.oldest != STATS_NONE) {
		fputs("ipcfs_object_oldest_seconds", f);
		labels(f, s);
		fprintf(f, "%.3f\n", stats_age(s->counts.oldest));
	} else if (part == STALLED) {
		fputs("ipcfs_object_stalled", f);
		labels(f, s);
		fprintf(f, "%d\n", s->stalled);
	}
}

static bool metrics_part(FILE *f, unsigned int part)
{
	if (part < METRICS)
		family(f, metrics[part].name, metrics[part].kind, metrics[part].unit,
		       metrics[part].help);
	else if (part == LONGEST)
		family(f, "ipcfs_object_longest_wait_seconds", GAUGE, "seconds",
		       "Since when the one waits who has waited longest.");
	else if (part == OLDEST)
		family(f, "ipcfs_object_oldest_seconds", GAUGE, "seconds",
		       "How long ago the first message of a queue was put.");
	else if (part == STALLED)
		family(f, "ipcfs_object_stalled", GAUGE, NULL,
		       "1: its lock is kept, or it is damaged, and nothing else is known of it.");
	return part < PARTS;
}

static void metrics_begin(FILE *f)
{
	const struct ipc_mount *b = mount_body();

	family(f, "ipcfs_version", GAUGE, NULL, "The version of the daemon.");
	fprintf(f, "ipcfs_version{mountpoint=\"");
	escaped(f, fs.opt.mountpoint);
	fprintf(f, "\",version=\"%s\"} 1\n", IPCFS_VERSION);
	of_mount(f, "ipcfs_restarts", COUNTER, NULL, "Workers that were replaced.", fs.restarts);
	of_mount(f, "ipcfs_objects", GAUGE, NULL, "Objects.", b->objects);
	of_mount(f, "ipcfs_objects_limit", GAUGE, NULL, "How many objects there may be.",
		 b->object_limit);
	of_mount(f, "ipcfs_memory_bytes", GAUGE, "bytes", "Memory of the engine files.", b->memory);
	of_mount(f, "ipcfs_memory_limit_bytes", GAUGE, "bytes", "How much memory they may use.",
		 b->memory_limit);
	metrics_part(f, 0);
}

static void metrics_object(FILE *f, const struct surveyed *s)
{
	metrics_again(f, 0, s);
}

static void metrics_end(FILE *f)
{
	fputs("# EOF\n", f);
}

const struct survey_form survey_metrics = {
	.begin = metrics_begin,
	.object = metrics_object,
	.part = metrics_part,
	.again = metrics_again,
	.end = metrics_end,
};
