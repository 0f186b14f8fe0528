// SPDX-License-Identifier: MIT
/* ipcctl close and cancel: what is written to ctl/closed and ctl/cancel. */
#include <string.h>

#include "object.h"
#include "verb.h"

static int write_ctl(const char *path, const char *file, const char *text)
{
	struct target t CLEANUP(target_close) = TARGET_INIT;
	char *ctl CLEANUP(free_string) = NULL;
	int r = target_open(path, &t);

	if (r < 0 || t.kind != TARGET_OBJECT)
		return verb_status(path, r < 0 ? r : -ENOTTY);
	ctl = str("%s.ctl/%s", t.name, file);
	r = write_text(ctl, text);
	if (r == -ENOENT) {
		complain(path, "has no %s", file);
		return EXIT_FAILURE;
	}
	return verb_status(path, r);
}

static int run_close(const struct command *cmd, int argc, char **argv)
{
	const char *closed = "1";
	int status = EXIT_SUCCESS;

	while (next_option(cmd, argc, argv) != -1)
		closed = "0";
	if (optind == argc)
		usage_error(cmd, "needs a name");
	for (; optind < argc; optind++) {
		int s = write_ctl(argv[optind], "closed", closed);

		status = s ? s : status;
	}
	return status;
}

static int run_cancel(const struct command *cmd, int argc, char **argv)
{
	const char *name;
	int status = EXIT_SUCCESS;

	while (next_option(cmd, argc, argv) != -1)
		;
	if (argc - optind < 2)
		usage_error(cmd, "needs a name, and process ids or 'all'");
	name = argv[optind++];
	for (; optind < argc; optind++) {
		int s = write_ctl(name, "cancel", argv[optind]);

		status = s ? s : status;
	}
	return status;
}

static const struct opt close_options[] = {
	{ 'r', "reopen", NULL, "open it again" },
	{ 0, NULL, NULL, NULL },
};

static const struct opt cancel_options[] = {
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_close = {
	.name = "close",
	.args = "NAME...",
	.summary = "Closes a queue: nothing more goes in, and its readers come to an end",
	.options = close_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_close,
};

const struct command cmd_cancel = {
	.name = "cancel",
	.args = "NAME PID|all...",
	.summary = "Ends the waits of a process for an object, with ECANCELED",
	.options = cancel_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_cancel,
};
