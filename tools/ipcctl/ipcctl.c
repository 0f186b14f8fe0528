// SPDX-License-Identifier: MIT
/*
 * ipcctl: inspects and manages the objects of an ipcfs mount.
 *
 * Everything goes through the files of the mount (NAME.ctl/ and .ctl/), so it sees what a shell
 * script could see, needs nothing of the daemon, and works with any version that has those files.
 * Each command has a file in cmd/.
 */
#include "ipcctl.h"

#include <locale.h>
#include <string.h>

#include "print/screen.h"
#include "util.h"

static const struct command *const commands[] = {
	/* to look */
	&cmd_ls,
	&cmd_show,
	&cmd_holders,
	&cmd_waiters,
	&cmd_why,
	&cmd_deadlocks,
	&cmd_graph,
	&cmd_peek,
	&cmd_stats,
	&cmd_metrics,
	&cmd_top,
	/* to use */
	&cmd_put,
	&cmd_get,
	&cmd_drain,
	&cmd_run,
	&cmd_work,
	&cmd_batch,
	&cmd_acquire,
	&cmd_wait,
	&cmd_set,
	&cmd_clear,
	&cmd_notify,
	&cmd_cancel,
	&cmd_close,
	/* to manage */
	&cmd_create,
	&cmd_limits,
	&cmd_mv,
	&cmd_rm,
	&cmd_save,
	&cmd_load,
	/* the mount */
	&cmd_bench,
	&cmd_check,
	&cmd_doctor,
	&cmd_restart,
};

void print_version(FILE *out)
{
	fprintf(out, "ipcctl (ipcfs) %s\n", IPCFS_VERSION);
}

static void print_help(FILE *out)
{
	fputs("Usage: ipcctl COMMAND [options] [arguments]\n\n"
	      "Inspects and manages the objects of an ipcfs mount.\n\n"
	      "Commands:\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\nOptions:\n"
	      "  -h, --help     show this help; 'ipcctl COMMAND --help' for a command\n"
	      "  -V, --version  show the version\n\n"
	      "See ipcctl(1), and ipcfs(5) for the objects themselves.\n",
	      out);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	}
	return NULL;
}

/* A full disk or a reader that is gone must not look like success. */
static int finish(int status)
{
	if (fflush(stdout) || ferror(stdout)) {
		complain("standard output", "%s", strerror(errno));
		return status ? status : EXIT_FAILURE;
	}
	return status;
}

int main(int argc, char **argv)
{
	const struct command *cmd;
	const char *first = argc > 1 ? argv[1] : "";

	/* Not LC_NUMERIC: numbers have a decimal point in every locale. */
	setlocale(LC_COLLATE, "");
	setlocale(LC_CTYPE, "");
	screen_init();
	if (!strcmp(first, "-V") || !strcmp(first, "--version")) {
		print_version(stdout);
		return finish(EXIT_SUCCESS);
	}
	if (!strcmp(first, "help") && argc == 3) {
		cmd = find_command(argv[2]);
		if (cmd) {
			print_command_help(cmd, stdout);
			return finish(EXIT_SUCCESS);
		}
		first = argv[2];
	} else if (!strcmp(first, "-h") || !strcmp(first, "--help") || !strcmp(first, "help")) {
		print_help(stdout);
		return finish(EXIT_SUCCESS);
	}
	if (!strcmp(first, "--complete"))
		return finish(
			print_completions(commands, ARRAY_SIZE(commands), argc - 2, argv + 2));
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	cmd = find_command(first);
	if (!cmd) {
		complain(first, "no such command; 'ipcctl --help' lists them");
		return EXIT_USAGE;
	}
	/* getopt_long names argv[0] when it complains. */
	argv[1] = str("ipcctl %s", cmd->name);
	if (cmd->guard)
		guard_start(cmd->guard);
	return finish(cmd->run(cmd, argc - 1, argv + 1));
}
