// SPDX-License-Identifier: MIT
/* ipcctl stats: what an object has counted, from ctl/stats. */
#include "object.h"
#include "verb.h"

enum { STATS_NAME, STATS_KEY, STATS_VALUE, N_STATS };

static const struct column stats_columns[N_STATS] = {
	[STATS_NAME] = { "NAME", COLUMN_TEXT, COLUMN_EXTRA, "the object" },
	[STATS_KEY] = { "KEY", COLUMN_TEXT, 0, "what is counted" },
	[STATS_VALUE] = { "VALUE", COLUMN_NUMBER, 0, "how many, or how many seconds" },
};

static int add_stats(const char *path, struct table *table)
{
	struct target t CLEANUP(target_close) = TARGET_INIT;
	struct facts facts CLEANUP(facts_free) = { .n = 0 };
	int r = target_open(path, &t);

	if (r >= 0)
		r = t.kind == TARGET_OBJECT ? facts_read(t.ctl, "stats", &facts) : -ENOTTY;
	if (r == -ENOENT && t.ctl >= 0) {
		complain(path,
			 "the daemon of this mount counts nothing; it is older than this ipcctl");
		return EXIT_FAILURE;
	}
	if (r < 0)
		return verb_status(path, r);
	for (size_t i = 0; i < facts.n; i++) {
		char **row = table_add(table);

		row[STATS_NAME] = xstrdup(t.name);
		row[STATS_KEY] = xstrdup(facts.list[i].key);
		row[STATS_VALUE] = xstrdup(facts.list[i].value);
	}
	return EXIT_SUCCESS;
}

static int run_stats(const struct command *cmd, int argc, char **argv)
{
	struct table table CLEANUP(table_free) = { .columns = stats_columns, .n_columns = N_STATS };
	struct table_options options = { .json = false };
	int c, status = EXIT_SUCCESS;

	while ((c = next_option(cmd, argc, argv)) != -1)
		table_option(cmd, &options, c);
	if (optind == argc)
		usage_error(cmd, "needs a name");
	if (argc - optind > 1 && !options.n_chosen) {
		for (size_t i = 0; i < N_STATS; i++)
			options.chosen[options.n_chosen++] = i;
	}
	for (; optind < argc; optind++) {
		int s = add_stats(argv[optind], &table);

		status = s ? s : status;
	}
	table_output(&table, &options, "stats");
	return status;
}

static const struct opt stats_options[] = {
	TABLE_OPTIONS,
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_stats = {
	.name = "stats",
	.args = "NAME...",
	.summary = "Shows what an object has counted: puts, gets, waits, and more",
	.options = stats_options,
	.columns = stats_columns,
	.n_columns = N_STATS,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_stats,
};
