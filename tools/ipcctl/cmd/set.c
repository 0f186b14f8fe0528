// SPDX-License-Identifier: MIT
/* ipcctl set, clear, notify: what a write makes of an object that is not for messages. */
#include <string.h>

#include "object.h"
#include "verb.h"

static int open_or_complain(const char *path, struct target *t)
{
	int r = target_open(path, t);

	return verb_status(path, r >= 0 && t->kind != TARGET_OBJECT ? -ENOTTY : r);
}

static void no_options(const struct command *cmd, int argc, char **argv)
{
	while (next_option(cmd, argc, argv) != -1)
		;
	if (optind == argc)
		usage_error(cmd, "needs a name");
}

static int run_set(const struct command *cmd, int argc, char **argv)
{
	struct target t CLEANUP(target_close) = TARGET_INIT;
	char *const *words;
	int n, status;

	no_options(cmd, argc, argv);
	words = argv + optind + 1;
	n = argc - optind - 1;
	status = open_or_complain(argv[optind], &t);
	if (status)
		return status;
	if (n == 0 && t.type->verbs & VERB(CMD_SET))
		return verb_status(t.name, write_text(t.name, "set"));
	if (n == 1 && t.type->verbs & (VERB(CMD_TEXT) | VERB(CMD_PARTIES)))
		return verb_status(t.name, write_text(t.name, words[0]));
	if (n == 2 && t.type->traits & TYPE_MEMORY) {
		char *items CLEANUP(free_string) = str("%s.ctl/items", t.name);
		char *text CLEANUP(free_string) = str("%s %s", words[0], words[1]);

		return verb_status(t.name, write_text(items, text));
	}
	usage_error(cmd,
		    "%s: an event, a value with its text, a barrier with its parties, or an "
		    "array with index and value",
		    t.name);
}

static int run_clear(const struct command *cmd, int argc, char **argv)
{
	int status = EXIT_SUCCESS;

	no_options(cmd, argc, argv);
	for (; optind < argc; optind++) {
		struct target t CLEANUP(target_close) = TARGET_INIT;
		int s = open_or_complain(argv[optind], &t);

		if (!s && !(t.type->verbs & (VERB(CMD_CLEAR) | VERB(CMD_TEXT)))) {
			complain(t.name, "neither an event nor a value ('ipcctl drain' empties a "
					 "queue)");
			s = EXIT_FAILURE;
		} else if (!s) {
			bool event = t.type->verbs & VERB(CMD_CLEAR);

			s = verb_status(t.name, write_text(t.name, event ? "clear" : ""));
		}
		status = s ? s : status;
	}
	return status;
}

static int run_notify(const struct command *cmd, int argc, char **argv)
{
	struct target t CLEANUP(target_close) = TARGET_INIT;
	const char *how;
	uint64_t n;
	int status;

	no_options(cmd, argc, argv);
	how = optind + 1 < argc ? argv[optind + 1] : "1";
	if (optind + 2 < argc || (strcmp(how, "all") && parse_u64(how, &n) < 0))
		usage_error(cmd, "needs a name, and a number or 'all'");
	status = open_or_complain(argv[optind], &t);
	if (status)
		return status;
	if (!(t.type->verbs & VERB(CMD_NOTIFY))) {
		complain(t.name, "not a condition");
		return EXIT_FAILURE;
	}
	return verb_status(t.name, write_text(t.name, how));
}

static const struct opt no_own_options[] = {
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_set = {
	.name = "set",
	.args = "NAME [TEXT | INDEX VALUE]",
	.summary = "Sets an event, a value, a barrier's parties or an item of an array",
	.details =
		"A value takes `+=N`, `-=N` and `cas OLD NEW`, too (exit status 3: it was not OLD).\n",
	.options = no_own_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_set,
};

const struct command cmd_clear = {
	.name = "clear",
	.args = "NAME...",
	.summary = "Clears an event, or empties a value",
	.options = no_own_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_clear,
};

const struct command cmd_notify = {
	.name = "notify",
	.args = "NAME [N|all]",
	.summary = "Wakes one, or so many, that wait for a condition",
	.options = no_own_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_notify,
};
