// SPDX-License-Identifier: MIT
/* `waiters` and `holders`: the files of that name, and the two commands. */
#include <fcntl.h>
#include <pwd.h>
#include <string.h>

#include "ipcctl.h"
#include "mounts.h"
#include "object.h"

/* 100,000 waiters with long commands; a root file may be that long. */
#define WHO_LIMIT (256 * 1024 * 1024)

const struct column who_columns[N_WHO] = {
	[WHO_OBJECT] = { "OBJECT", COLUMN_TEXT, 0, "what is waited for or held" },
	[WHO_PID] = { "PID", COLUMN_NUMBER, 0, "process id, as the daemon sees it" },
	[WHO_START] = { "START", COLUMN_NUMBER, COLUMN_EXTRA,
			"when the process started, in clock ticks since boot" },
	[WHO_UID] = { "UID", COLUMN_NUMBER, COLUMN_EXTRA, "user id" },
	[WHO_USER] = { "USER", COLUMN_TEXT, 0, "user name" },
	[WHO_OPERATION] = { "OPERATION", COLUMN_TEXT, 0, "what it waits for, or how it holds" },
	[WHO_SECONDS] = { "SECONDS", COLUMN_NUMBER, 0, "for how long" },
	[WHO_COMMAND] = { "COMMAND", COLUMN_TEXT, COLUMN_CUT, "its command line" },
	[WHO_REMARK] = { "REMARK", COLUMN_TEXT, COLUMN_BELOW,
			 "who took it, if another process did" },
};

static char *user_name(const char *uid)
{
	struct passwd *pw = NULL;
	uint64_t n;

	if (!parse_u64(uid, &n))
		pw = getpwuid(n);
	return xstrdup(pw ? pw->pw_name : uid);
}

/* Cuts the next field off *LINE; the last one is all that is left, including tabs. */
static char *next_field(char **line, bool last)
{
	char *field = *line, *tab = last || !field ? NULL : strchr(field, '\t');

	if (tab)
		*tab++ = '\0';
	*line = tab;
	return field;
}

/* Turns a path inside the mount into one that begins with what was asked for. */
static char *object_path(const struct target *t, const char *inside)
{
	inside += strspn(inside, "/");
	if (t->kind == TARGET_DIR)
		inside += strlen(t->inside) + 1;
	return str("%s/%s", strcmp(t->name, "/") ? t->name : "", inside);
}

static void add_line(struct table *table, const struct target *t, char *line)
{
	char **row = table_add(table);

	row[WHO_OBJECT] = t->kind == TARGET_OBJECT ? xstrdup(t->name) : NULL;
	for (int c = t->kind == TARGET_OBJECT ? WHO_PID : WHO_OBJECT; c < N_WHO; c++) {
		char *field;

		if (c == WHO_USER)
			continue;
		field = next_field(&line, c == WHO_REMARK);
		if (!field)
			break;
		row[c] = c == WHO_OBJECT ? object_path(t, field) : xstrdup(field);
	}
	if (row[WHO_UID])
		row[WHO_USER] = user_name(row[WHO_UID]);
}

/* Is the object in this line of a root file in the directory that was asked for? */
static bool wanted(const struct target *t, const char *line)
{
	size_t n;

	if (t->kind != TARGET_DIR)
		return true;
	line += strspn(line, "/");
	n = strlen(t->inside);
	return !strncmp(line, t->inside, n) && line[n] == '/';
}

int who_read(const struct target *t, const char *which, struct table *table)
{
	struct buf b CLEANUP(buf_free) = { .data = NULL };
	int r = read_file_at(t->ctl, which, 0, WHO_LIMIT, &b);

	if (r < 0)
		return r;
	for (char *line = b.data, *end; line && *line; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		if (wanted(t, line))
			add_line(table, t, line);
	}
	return 0;
}

static int add_path(const char *path, const char *which, struct table *table)
{
	struct target t CLEANUP(target_close) = TARGET_INIT;
	int r = target_open(path, &t);

	if (r < 0) {
		target_complain(path, r);
		return r;
	}
	r = who_read(&t, which, table);
	if (r < 0)
		complain(path, "%s: %s", which, strerror(-r));
	return r;
}

static int run_who(const struct command *cmd, int argc, char **argv)
{
	struct table table CLEANUP(table_free) = {
		.columns = cmd->columns,
		.n_columns = cmd->n_columns,
	};
	struct table_options options = { .json = false };
	struct mounts mounts CLEANUP(mounts_free) = { .n = 0 };
	int c, failed = 0;

	while ((c = next_option(cmd, argc, argv)) != -1)
		table_option(cmd, &options, c);
	for (int i = optind; i < argc; i++)
		failed |= add_path(argv[i], cmd->name, &table) < 0;
	if (optind == argc)
		failed |= mounts_read_or_complain(&mounts) < 0;
	for (size_t i = 0; i < mounts.n; i++)
		failed |= add_path(mounts.list[i].path, cmd->name, &table) < 0;
	table_output(&table, &options, cmd->name);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const struct opt who_options[] = {
	TABLE_OPTIONS,
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_holders = {
	.name = "holders",
	.args = "[NAME|DIRECTORY]...",
	.summary = "Lists who holds locks, permits and leases",
	.details = "Of an object, of all objects in a directory, or of every ipcfs mount.\n",
	.options = who_options,
	.columns = who_columns,
	.n_columns = N_WHO,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_who,
};

const struct command cmd_waiters = {
	.name = "waiters",
	.args = "[NAME|DIRECTORY]...",
	.summary = "Lists who waits, in the order of the wait queue",
	.details = "For an object, for all objects in a directory, or on every ipcfs mount.\n",
	.options = who_options,
	.columns = who_columns,
	.n_columns = N_WHO,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_who,
};
