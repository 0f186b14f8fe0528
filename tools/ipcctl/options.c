// SPDX-License-Identifier: MIT
/* Command lines: turns the option tables into getopt_long calls and --help. */
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "ipcctl.h"
#include "util.h"

static const struct opt common_options[] = {
	{ 'h', "help", NULL, "show this help" },
	{ 'V', "version", NULL, "show the version" },
	{ 0, NULL, NULL, NULL },
};

#define MAX_OPTIONS 20

/* The letters and long options for getopt_long, from both tables. */
struct getopt_tables {
	char letters[3 * MAX_OPTIONS];
	struct option longs[MAX_OPTIONS];
	size_t n_letters, n_longs;
};

static void add_options(struct getopt_tables *g, const struct opt *o)
{
	for (; o && o->code && g->n_longs + 1 < MAX_OPTIONS; o++) {
		if (o->code < OPT_LONG) {
			g->letters[g->n_letters++] = o->code;
			if (o->arg)
				g->letters[g->n_letters++] = ':';
		}
		g->longs[g->n_longs++] = (struct option){
			.name = o->name,
			.has_arg = o->arg ? required_argument : no_argument,
			.val = o->code,
		};
	}
}

int next_option(const struct command *cmd, int argc, char **argv)
{
	struct getopt_tables g = { .n_letters = 0 };
	int c;

	if (cmd->options_first)
		g.letters[g.n_letters++] = '+';
	add_options(&g, cmd->options);
	add_options(&g, common_options);
	c = getopt_long(argc, argv, g.letters, g.longs, NULL);
	switch (c) {
	case 'h':
		print_command_help(cmd, stdout);
		exit(EXIT_SUCCESS);
	case 'V':
		print_version(stdout);
		exit(EXIT_SUCCESS);
	case '?': /* getopt_long has said what is wrong */
		fprintf(stderr, "Try 'ipcctl %s --help'.\n", cmd->name);
		exit(cmd->usage_status);
	}
	return c;
}

void usage_error(const struct command *cmd, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "ipcctl %s: ", cmd->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry 'ipcctl %s --help'.\n", cmd->name);
	exit(cmd->usage_status);
}

void table_option(const struct command *cmd, struct table_options *o, int code)
{
	switch (code) {
	case 'J':
		o->json = true;
		break;
	case 'r':
		o->raw = true;
		break;
	case 'b':
		o->bytes = true;
		break;
	case OPT_NO_HEADINGS:
		o->no_headings = true;
		break;
	case 'x':
		if (table_choose_sort(cmd->columns, cmd->n_columns, optarg, o) < 0)
			usage_error(cmd, "unknown column: %s", optarg);
		break;
	case 'o':
		if (table_choose(cmd->columns, cmd->n_columns, optarg, o) < 0)
			usage_error(cmd, "unknown columns: %s", optarg);
		break;
	}
}

static void print_options(const struct opt *o, FILE *out)
{
	for (; o && o->code; o++) {
		char left[64];
		int n = 0;

		if (o->code < OPT_LONG)
			n = snprintf(left, sizeof(left), "-%c, ", o->code);
		else
			n = snprintf(left, sizeof(left), "    ");
		snprintf(left + n, sizeof(left) - n, "--%s%s%s", o->name, o->arg ? "=" : "",
			 o->arg ? o->arg : "");
		fprintf(out, "  %-24s  %s\n", left, o->help);
	}
}

void print_command_help(const struct command *cmd, FILE *out)
{
	fprintf(out, "Usage: ipcctl %s [options] %s\n\n%s.\n", cmd->name, cmd->args, cmd->summary);
	if (cmd->details)
		fprintf(out, "\n%s", cmd->details);
	fputs("\nOptions:\n", out);
	print_options(cmd->options, out);
	print_options(common_options, out);
	if (cmd->n_columns)
		fputs("\nColumns (* only with -o or --json):\n", out);
	for (size_t c = 0; c < cmd->n_columns; c++) {
		const struct column *col = &cmd->columns[c];

		fprintf(out, "  %-10s %c %s\n", col->name, col->flags & COLUMN_EXTRA ? '*' : ' ',
			col->help);
	}
}
