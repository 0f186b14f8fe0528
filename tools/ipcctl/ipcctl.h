/* SPDX-License-Identifier: MIT */
/*
 * The commands of ipcctl. To add one, write cmd/NAME.c with a `const struct command cmd_NAME`,
 * declare it below, and add it to the table in ipcctl.c and to meson.build.
 */
#ifndef IPCCTL_H
#define IPCCTL_H

#include "guard.h"
#include "print/table.h"

enum {
	EXIT_USAGE = 2,
	EXIT_WOULD_WAIT = 3,   /* -n: it would have had to wait */
	EXIT_TIME = 4,         /* -t: not within the time limit */
	EXIT_END = 5,          /* closed, or nobody is at the other end */
	EXIT_CANCELED = 6,     /* the wait was cancelled, the barrier is broken */
	EXIT_NO_ANSWER = 7,    /* the daemon is stopped: guard.h */
	EXIT_DEADLOCK = 8,     /* why, deadlocks: there is a cycle, … */
	EXIT_NOBODY = 9,       /* … or if none, somebody waits for nobody */
	EXIT_RUN_FAILED = 125, /* run: the next three as timeout(1), env(1), nohup(1) */
	EXIT_NO_EXEC = 126,
	EXIT_NO_COMMAND = 127,
};

/* One option. The table, which ends with code 0, drives getopt_long and --help. */
struct opt {
	int code; /* a letter; from OPT_LONG on, it has none */
	const char *name;
	const char *arg; /* NULL: takes none */
	const char *help;
};

enum { OPT_LONG = 256, OPT_NO_HEADINGS };

struct command {
	const char *name;
	const char *args;             /* after the options, for the usage line */
	const char *summary;          /* one line, for the list of commands */
	const char *details;          /* for its own --help; may be NULL */
	const struct opt *options;    /* its own; all have -h and -V */
	const struct column *columns; /* what it prints; may be NULL */
	size_t n_columns;
	int usage_status;   /* exit status for a wrong command line */
	bool options_first; /* what follows the first operand is not ours */
	enum guard guard;   /* how it is kept from hanging: guard.h */
	int (*run)(const struct command *cmd, int argc, char **argv); /* the exit status */
};

extern const struct command cmd_acquire, cmd_batch, cmd_bench, cmd_cancel, cmd_check, cmd_clear,
	cmd_close, cmd_create, cmd_deadlocks, cmd_doctor, cmd_drain, cmd_get, cmd_graph,
	cmd_holders, cmd_limits, cmd_load, cmd_ls, cmd_metrics, cmd_mv, cmd_notify, cmd_peek,
	cmd_put, cmd_restart, cmd_rm, cmd_run, cmd_save, cmd_set, cmd_show, cmd_stats, cmd_top,
	cmd_wait, cmd_waiters, cmd_why, cmd_work;

/* Options common to all commands that print a table. */
#define TABLE_OPTIONS                                                                            \
	{ 'J', "json", NULL, "JSON, with every column" },                                        \
		{ 'r', "raw", NULL, "one blank between columns, nothing rounded, for scripts" }, \
		{ 'b', "bytes", NULL, "sizes in bytes" },                                        \
		{ 'o', "output", "COLUMNS", "print these columns, separated by commas" },        \
		{ 'x', "sort", "COLUMN", "sort by this column; -COLUMN reverses" },              \
	{                                                                                        \
		OPT_NO_HEADINGS, "noheadings", NULL, "print no headings"                         \
	}

/* As getopt: an option's code (its argument in optarg), or -1. Exits on mistakes, -h and -V. */
int next_option(const struct command *cmd, int argc, char **argv);
/* Handles one of TABLE_OPTIONS. */
void table_option(const struct command *cmd, struct table_options *o, int code);
/* Says what is wrong with the command line, and exits. */
void usage_error(const struct command *cmd, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));
void print_command_help(const struct command *cmd, FILE *out);
void print_version(FILE *out);
/*
 * For the shells (tools/completions): what the last of these words may become, one a line, with a
 * tab and a description behind it. `:command` and `:file` ask the shell for its own.
 */
int print_completions(const struct command *const *commands, size_t n_commands, int n_words,
		      char **words);

#endif
