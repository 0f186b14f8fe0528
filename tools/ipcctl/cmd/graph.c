// SPDX-License-Identifier: MIT
/* ipcctl graph: who waits for what, as a picture: DOT, or SVG drawn by dot(1) of Graphviz. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "ipcctl.h"
#include "net.h"

#define STUCK "color=red, fontcolor=red"

/* "…" of DOT: printable text, with quotes and backslashes escaped, and \n between the lines. */
static void quoted(FILE *out, const char *s)
{
	char *text CLEANUP(free_string) = printable(s, false);

	for (const char *c = text; *c; c++)
		fprintf(out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
}

/* A long command line would make the whole picture wide. */
static void command_line(FILE *out, const char *command)
{
	size_t most = 60;
	char *cut CLEANUP(free_string) = NULL;

	if (strlen(command) > most) {
		while (((unsigned char)command[most] & 0xc0) == 0x80) /* in mid-character */
			most--;
		cut = str("%.*s...", (int)most, command);
	}
	quoted(out, cut ? cut : command);
}

static void draw_process(FILE *out, const struct net *n, uint32_t p)
{
	const char *command = net_process(n, p)->command;

	fprintf(out, "\tp%u [shape=box, label=\"%u\\n", net_pid(n, p), net_pid(n, p));
	command_line(out, command ? command : "(has ended)");
	fprintf(out, "\"%s];\n", knots_stuck(&n->knots, p) ? ", " STUCK : "");
}

static void draw_hold(FILE *out, const struct net *n, const struct net_hold *h)
{
	const struct knot_giver *g = &n->knots.givers[h->giver];

	for (uint32_t i = 0; i < g->n; i++)
		fprintf(out, "\to%zu -> p%u [label=\"%s %s s\"%s%s];\n", h->object,
			net_pid(n, n->knots.members[g->first + i]), h->operation, h->seconds,
			i ? ", style=dotted" : "", g->stuck ? ", " STUCK : "");
	if (!g->n)
		fprintf(out,
			"\tu%u [shape=plaintext, label=\"cannot be seen\"];\n"
			"\to%zu -> u%u [label=\"%s %s s\"];\n",
			h->giver, h->object, h->giver, h->operation, h->seconds);
}

static bool is_stuck(const struct net *n, const struct net_wait *w)
{
	return !strcmp(w->kind, "held") && knots_stuck(&n->knots, w->process);
}

static void draw_object(FILE *out, const struct net *n, size_t i)
{
	const struct net_object *o = &n->objects[i];
	bool stuck = false;

	for (size_t w = o->first_wait; w < o->first_wait + o->n_waits; w++)
		stuck |= is_stuck(n, &n->waits[w]);
	fprintf(out, "\to%zu [shape=ellipse, style=filled, fillcolor=gray92, label=\"", i);
	quoted(out, o->path);
	fprintf(out, "\"%s];\n", stuck ? ", " STUCK : "");
	for (size_t h = o->first_hold; h < o->first_hold + o->n_holds; h++)
		draw_hold(out, n, &n->holds[h]);
	for (size_t k = o->first_wait; k < o->first_wait + o->n_waits; k++) {
		const struct net_wait *w = &n->waits[k];

		fprintf(out, "\tp%u -> o%zu [label=\"%s %s s", net_pid(n, w->process), i,
			w->operation, w->seconds);
		if (w->nobody) {
			fputs("\\n", out);
			quoted(out, w->nobody);
		}
		fprintf(out, "\"%s%s];\n", is_stuck(n, w) ? ", " STUCK : "",
			w->nobody ? ", color=orange, fontcolor=orangered" : "");
	}
}

static void draw_parent(FILE *out, const struct net *n, const struct net_parent *p)
{
	const struct knot_giver *g = &n->knots.givers[n->knots.things[p->thing].first_giver];

	for (uint32_t i = 0; i < g->n; i++)
		fprintf(out, "\tp%u -> p%u [style=dashed, label=\"%s\"%s];\n",
			net_pid(n, p->process), net_pid(n, n->knots.members[g->first + i]),
			p->reads ? "pipe" : "child",
			knots_stuck(&n->knots, p->process) ? ", " STUCK : "");
}

static void draw_stalled(FILE *out, const struct net *n, size_t i)
{
	const struct net_stalled *s = &n->stalled[i];

	fprintf(out, "\ts%zu [shape=ellipse, style=dashed, label=\"", i);
	quoted(out, s->path);
	fprintf(out, "\\nstalled\"];\n\ts%zu -> p%u [label=\"%s s\"];\n", i, net_pid(n, s->process),
		s->seconds);
}

static void draw(FILE *out, const struct net *n)
{
	fputs("digraph ipcfs {\n"
	      "\trankdir=LR;\n"
	      "\tnode [fontname=\"sans-serif\", fontsize=11];\n"
	      "\tedge [fontname=\"sans-serif\", fontsize=9];\n",
	      out);
	for (uint32_t p = 0; p < n->knots.n_processes; p++)
		draw_process(out, n, p);
	for (size_t i = 0; i < n->n_objects; i++)
		draw_object(out, n, i);
	for (size_t i = 0; i < n->n_parents; i++)
		draw_parent(out, n, &n->parents[i]);
	for (size_t i = 0; i < n->n_stalled; i++)
		draw_stalled(out, n, i);
	fputs("}\n", out);
}

/* Through dot(1), which prints to our standard output. */
static int draw_svg(const struct net *n)
{
	int ends[2], status;
	pid_t pid;
	FILE *to;

	if (pipe2(ends, O_CLOEXEC) < 0 || fflush(stdout) || (pid = fork()) < 0) {
		complain("dot", "%s", strerror(errno));
		return EXIT_FAILURE;
	}
	if (!pid) {
		dup2(ends[0], STDIN_FILENO);
		execlp("dot", "dot", "-Tsvg", NULL);
		_exit(errno == ENOENT ? EXIT_NO_COMMAND : EXIT_NO_EXEC);
	}
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	guard_wait(-1); /* it may take its time */
	to = fdopen(ends[1], "w");
	if (to) {
		draw(to, n);
		fclose(to);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_COMMAND)
		complain("dot", "is not installed; the package graphviz has it. "
				"--dot prints what it would draw");
	else if (!WIFEXITED(status) || WEXITSTATUS(status))
		complain("dot", "failed");
	return WIFEXITED(status) && !WEXITSTATUS(status) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_graph(const struct command *cmd, int argc, char **argv)
{
	struct net n CLEANUP(net_free) = { .n_objects = 0 };
	bool svg = false;
	int c, r;

	while ((c = next_option(cmd, argc, argv)) != -1)
		svg = c == 's';
	r = net_read_arguments(&n, argv + optind, (size_t)(argc - optind));
	if (r < 0)
		return r == -ETIMEDOUT ? EXIT_NO_ANSWER : EXIT_FAILURE;
	if (svg)
		return draw_svg(&n);
	draw(stdout, &n);
	return EXIT_SUCCESS;
}

static const struct opt graph_options[] = {
	{ 'd', "dot", NULL, "the language of Graphviz (default)" },
	{ 's', "svg", NULL, "a picture, drawn by dot(1)" },
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_graph = {
	.name = "graph",
	.args = "[MOUNT]...",
	.summary = "Draws who waits for what, and who holds it",
	.details = "Of all mounts of this user, if none is named. What is stuck is red.\n",
	.options = graph_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_graph,
};
