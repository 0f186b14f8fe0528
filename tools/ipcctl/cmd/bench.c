// SPDX-License-Identifier: MIT
/*
 * ipcctl bench: how long an operation takes on this mount and machine, by files and directly. One
 * process, nobody waits: that is what an operation costs, not how fast two processes are.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "object.h"
#include "verb.h"

#define FOR_EACH (NSEC_PER_SEC / 5)
#define BATCH    20

enum { BENCH_WHAT, BENCH_FILES, BENCH_DIRECT, N_BENCH };

static const struct column bench_columns[N_BENCH] = {
	[BENCH_WHAT] = { "OPERATION", COLUMN_TEXT, 0, "what is done again and again" },
	[BENCH_FILES] = { "FILES", COLUMN_NUMBER, 0, "microseconds for each, by the file" },
	[BENCH_DIRECT] = { "DIRECT", COLUMN_NUMBER, 0, "microseconds for each, in shared memory" },
};

static int put_get(ipcfs_obj *o)
{
	char message[64] = { 0 };
	ssize_t n = ipcfs_put(o, message, sizeof(message), 0);

	if (n >= 0)
		n = ipcfs_get(o, message, sizeof(message), 0);
	return n < 0 ? (int)n : 0;
}

static int lock_unlock(ipcfs_obj *o)
{
	int r = ipcfs_acquire(o, 0);

	return r < 0 ? r : ipcfs_release(o, 1);
}

static int set_wait_clear(ipcfs_obj *o)
{
	int r = ipcfs_set(o);

	if (r >= 0)
		r = ipcfs_wait(o, 0);
	return r < 0 ? r : ipcfs_clear(o);
}

static int add(ipcfs_obj *o)
{
	return ipcfs_add(o, 1, NULL);
}

static const struct {
	const char *what, *name;
	int (*once)(ipcfs_obj *o);
} benches[] = {
	{ "put and get 64 bytes", "b.queue", put_get },
	{ "take and release a lock", "b.lock", lock_unlock },
	{ "set, wait for and clear an event", "b.event", set_wait_clear },
	{ "add 1 to a value", "b.value", add },
};

/* Microseconds for each, or a negative errno. Of several batches the fastest is the undisturbed. */
static int measure(ipcfs_obj *o, int (*once)(ipcfs_obj *o), double *ret)
{
	int64_t end = now_ns() + FOR_EACH, best = INT64_MAX;

	do {
		int64_t start = now_ns(), took;

		for (int i = 0; i < BATCH; i++) {
			int r = once(o);

			if (r < 0)
				return r;
		}
		took = now_ns() - start;
		best = took < best ? took : best;
		guard_progress();
	} while (now_ns() < end);
	*ret = best / 1000.0 / BATCH;
	return 0;
}

/* A cell; NULL: it cannot be done that way here. */
static int bench(const char *path, int (*once)(ipcfs_obj *o), bool direct, char **ret)
{
	ipcfs_obj *o;
	double us;
	int r;

	if (direct)
		unsetenv("IPCFS_NO_DIRECT");
	else
		setenv("IPCFS_NO_DIRECT", "1", 1);
	r = verb_open(path, O_RDWR | O_CREAT, FOR_EVER, &o);
	if (r < 0)
		return r;
	if (!direct || ipcfs_is_direct(o)) {
		r = measure(o, once, &us);
		if (r == 0)
			*ret = str("%.3f", us);
	}
	ipcfs_close(o);
	return r;
}

static int bench_all(const char *dir, struct table *table)
{
	for (size_t i = 0; i < ARRAY_SIZE(benches); i++) {
		char *path CLEANUP(free_string) = str("%s/%s", dir, benches[i].name);
		char **row = table_add(table);
		int r;

		row[BENCH_WHAT] = xstrdup(benches[i].what);
		r = bench(path, benches[i].once, false, &row[BENCH_FILES]);
		if (r >= 0)
			r = bench(path, benches[i].once, true, &row[BENCH_DIRECT]);
		unlink(path);
		if (r < 0)
			return r;
	}
	return 0;
}

static int run_bench(const struct command *cmd, int argc, char **argv)
{
	struct table table CLEANUP(table_free) = { .columns = bench_columns, .n_columns = N_BENCH };
	struct table_options options = { .json = false };
	struct target t CLEANUP(target_close) = TARGET_INIT;
	char *dir CLEANUP(free_string) = NULL;
	int c, r;

	while ((c = next_option(cmd, argc, argv)) != -1)
		table_option(cmd, &options, c);
	if (optind + 1 != argc)
		usage_error(cmd, "needs one directory of a mount");
	r = target_open(argv[optind], &t);
	if (r < 0 || t.kind == TARGET_OBJECT)
		return verb_status(argv[optind], r < 0 ? r : -ENOTDIR);
	dir = str("%s/bench.%d", t.name, (int)getpid());
	if (mkdir(dir, 0700) < 0)
		return verb_status(dir, -errno);
	r = bench_all(dir, &table);
	rmdir(dir);
	if (r < 0)
		return verb_status(dir, r);
	table_output(&table, &options, "operations");
	return EXIT_SUCCESS;
}

static const struct opt bench_options[] = {
	TABLE_OPTIONS,
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_bench = {
	.name = "bench",
	.args = "MOUNT|DIRECTORY",
	.summary = "Measures what operations cost on this mount, in a folder of its own",
	.details = "Takes two seconds. The time of the fastest of many batches, in one process.\n",
	.options = bench_options,
	.columns = bench_columns,
	.n_columns = N_BENCH,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_bench,
};
