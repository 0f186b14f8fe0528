// SPDX-License-Identifier: MIT
/*
 * ipcctl limits: the settings of an object or a mount, to look at and to change. All or none: if one
 * is refused, those before it get their old values back.
 */
#include <string.h>

#include "object.h"
#include "verb.h"

enum { LIMITS_KEY, LIMITS_VALUE, N_LIMITS };

static const struct column limits_columns[N_LIMITS] = {
	[LIMITS_KEY] = { "KEY", COLUMN_TEXT, 0, "the setting" },
	[LIMITS_VALUE] = { "VALUE", COLUMN_TEXT, COLUMN_CUT, "its value" },
};

static int write_setting(const struct target *t, const char *key, const char *value)
{
	const char *folder = t->kind == TARGET_OBJECT ? "" : "limits/";
	/* Through the open directory, so that all of them are those of one object. */
	char *path CLEANUP(free_string) = str("/proc/self/fd/%d/%s%s", t->ctl, folder, key);
	int r = write_text(path, value);

	guard_progress();
	return r;
}

static int change(const struct target *t, const char *path, const struct facts *old, char **pairs,
		  int n)
{
	int r = 0, i;

	for (i = 0; i < n; i++) {
		char *key CLEANUP(free_string) = xstrdup(pairs[i]);
		char *value = strchr(key, '=');

		*value++ = '\0';
		if (!facts_get(old, key)) {
			char *names CLEANUP(free_string) = settings_names(old);

			complain(path, "no setting %s; there are: %s", key, names);
			r = -ENOENT;
			break;
		}
		r = write_setting(t, key, value);
		if (r < 0) {
			complain(path, "%s: refused: %s; nothing was changed", pairs[i],
				 strerror(-r));
			break;
		}
	}
	while (r < 0 && i--) {
		char *key CLEANUP(free_string) = xstrdup(pairs[i]);

		*strchr(key, '=') = '\0';
		write_setting(t, key, facts_get(old, key));
	}
	return r;
}

static int run_limits(const struct command *cmd, int argc, char **argv)
{
	struct table table CLEANUP(table_free) = { .columns = limits_columns,
						   .n_columns = N_LIMITS };
	struct target t CLEANUP(target_close) = TARGET_INIT;
	struct table_options options = { .json = false };
	struct facts settings CLEANUP(facts_free) = { .n = 0 };
	const char *path;
	int c, r;

	while ((c = next_option(cmd, argc, argv)) != -1)
		table_option(cmd, &options, c);
	if (optind == argc)
		usage_error(cmd, "needs a name or a mount point");
	path = argv[optind++];
	for (int i = optind; i < argc; i++) {
		if (!strchr(argv[i], '=') || argv[i][0] == '=')
			usage_error(cmd, "not KEY=VALUE: %s", argv[i]);
	}
	r = target_open(path, &t);
	if (r >= 0)
		r = settings_read(&t, &settings);
	if (r < 0)
		return verb_status(path, r);
	if (optind < argc)
		return change(&t, path, &settings, argv + optind, argc - optind) < 0 ?
			       EXIT_FAILURE :
			       EXIT_SUCCESS;
	for (size_t i = 0; i < settings.n; i++) {
		char **row = table_add(&table);

		row[LIMITS_KEY] = xstrdup(settings.list[i].key);
		row[LIMITS_VALUE] = xstrdup(settings.list[i].value);
	}
	table_output(&table, &options, "settings");
	return EXIT_SUCCESS;
}

static const struct opt limits_options[] = {
	TABLE_OPTIONS,
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_limits = {
	.name = "limits",
	.args = "NAME|MOUNT [KEY=VALUE]...",
	.summary = "Shows the settings of an object or a mount, or changes them all or none",
	.details = "  ipcctl limits jobs.queue maxsize=100 max_attempts=3\n"
		   "  ipcctl limits /ipc memory=1G\n",
	.options = limits_options,
	.columns = limits_columns,
	.n_columns = N_LIMITS,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_limits,
};
