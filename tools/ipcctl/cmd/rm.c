// SPDX-License-Identifier: MIT
/* ipcctl rm and mv: as rm(1) and mv(1), but for objects of ipcfs alone, and without waiting. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "object.h"
#include "verb.h"

static int remove_object(const char *path, bool force)
{
	struct target t CLEANUP(target_close) = TARGET_INIT;
	struct stat st;
	int r = target_open(path, &t);

	if (r == -ENOENT && force)
		return 0;
	if (r >= 0 && t.kind != TARGET_OBJECT)
		r = -ENOTTY;
	if (r < 0) {
		target_complain(path, r);
		return r;
	}
	r = lstat(t.name, &st);
	if (!r)
		r = S_ISDIR(st.st_mode) ? rmdir(t.name) : unlink(t.name);
	if (r < 0 && !(errno == ENOENT && force)) {
		r = -errno;
		target_complain(path, r);
		return r;
	}
	return 0;
}

static int run_rm(const struct command *cmd, int argc, char **argv)
{
	bool force = false;
	int failed = 0;

	while (next_option(cmd, argc, argv) != -1)
		force = true;
	if (optind == argc)
		usage_error(cmd, "needs a name");
	for (; optind < argc; optind++)
		failed |= remove_object(argv[optind], force) < 0;
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int move(const char *from, const char *to, unsigned int flags)
{
	const struct ipc_type *type = type_of(from), *new_type = type_of(to);

	if (!type) {
		target_complain(from, -ENOTTY);
		return EXIT_FAILURE;
	}
	if (new_type != type) {
		complain(to, "the name of a %s ends in %s", type->name, type->suffix);
		return EXIT_FAILURE;
	}
	if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, flags))
		return EXIT_SUCCESS;
	if (errno == EXDEV)
		complain(to, "on another file system ('ipcctl save' and 'load' copy objects)");
	else
		complain(errno == EEXIST ? to : from, "%s", strerror(errno));
	return EXIT_FAILURE;
}

static int run_mv(const struct command *cmd, int argc, char **argv)
{
	unsigned int flags = RENAME_NOREPLACE;
	char *to CLEANUP(free_string) = NULL;
	struct stat st;

	while (next_option(cmd, argc, argv) != -1)
		flags = 0;
	if (argc - optind != 2)
		usage_error(cmd, "needs two names");
	to = xstrdup(argv[optind + 1]);
	if (!type_of(to) && !stat(to, &st) && S_ISDIR(st.st_mode)) {
		free(to);
		to = str("%s/%s", argv[optind + 1], base_name(argv[optind]));
	}
	return move(argv[optind], to, flags);
}

static const struct opt rm_options[] = {
	{ 'f', "force", NULL, "do not complain about what is not there" },
	{ 0, NULL, NULL, NULL },
};

static const struct opt mv_options[] = {
	{ 'f', "force", NULL, "replace an object that has the new name" },
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_rm = {
	.name = "rm",
	.args = "NAME...",
	.summary = "Removes objects; whoever has one open keeps it until the close",
	.options = rm_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_rm,
};

const struct command cmd_mv = {
	.name = "mv",
	.args = "NAME NEW|DIRECTORY",
	.summary = "Gives an object another name of the same type",
	.options = mv_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_mv,
};
