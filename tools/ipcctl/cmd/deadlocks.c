// SPDX-License-Identifier: MIT
/* ipcctl deadlocks: cycles of processes, on one mount or across several. */
#include "ipcctl.h"
#include "net.h"

static struct json_object *step_json(const struct net *n, const struct knot_step *s)
{
	struct json_object *o = json_object_new_object();
	size_t wait = n->of_wait[s->wait];
	const struct net_wait *w = wait ? &n->waits[wait - 1] : NULL;

	json_object_object_add(o, "pid", json_object_new_int64(net_pid(n, s->from)));
	json_object_object_add(o, "command", json_text(net_process(n, s->from)->command));
	json_object_object_add(o, "object", json_text(w ? n->objects[w->object].path : NULL));
	json_object_object_add(o, "operation",
			       json_text(w                             ? w->operation :
					 net_parent(n, s->from)->reads ? "pipe" :
									 "child"));
	json_object_object_add(o, "seconds", w ? json_value(w->seconds) : NULL);
	json_object_object_add(o, "left", w && w->left ? json_value(w->left) : NULL);
	json_object_object_add(o, "held_by", json_object_new_int64(net_pid(n, s->to)));
	return o;
}

struct cycles {
	const struct net *n;
	struct json_object *list;
	size_t count;
};

static void add_cycle(void *arg, const struct knot_step *steps, size_t n_steps)
{
	struct cycles *c = arg;
	struct json_object *cycle = json_object_new_array();

	for (size_t i = 0; i < n_steps; i++)
		json_object_array_add(cycle, step_json(c->n, &steps[i]));
	json_object_array_add(c->list, cycle);
	c->count++;
}

static void print_json(struct net *n, size_t *ret_cycles, size_t *ret_nobody)
{
	struct json_object *all = json_object_new_object(), *nobody = json_object_new_array();
	struct cycles c = { n, json_object_new_array(), 0 };

	knots_each_cycle(&n->knots, add_cycle, &c);
	for (size_t i = 0; i < n->n_waits; i++) {
		const struct net_wait *w = &n->waits[i];
		struct json_object *o;

		if (!w->nobody)
			continue;
		o = json_object_new_object();
		json_object_object_add(o, "pid", json_object_new_int64(net_pid(n, w->process)));
		json_object_object_add(o, "command",
				       json_text(net_process(n, w->process)->command));
		json_object_object_add(o, "object", json_text(n->objects[w->object].path));
		json_object_object_add(o, "operation", json_text(w->operation));
		json_object_object_add(o, "seconds", json_value(w->seconds));
		json_object_object_add(o, "reason", json_text(w->nobody));
		json_object_array_add(nobody, o);
	}
	*ret_cycles = c.count;
	*ret_nobody = json_object_array_length(nobody);
	json_object_object_add(all, "deadlocks", c.list);
	json_object_object_add(all, "nobody", nobody);
	json_print(all);
}

static int run_deadlocks(const struct command *cmd, int argc, char **argv)
{
	struct net n CLEANUP(net_free) = { .n_objects = 0 };
	size_t cycles, nobody;
	bool json = false;
	int r;

	while (next_option(cmd, argc, argv) != -1)
		json = true;
	r = net_read_arguments(&n, argv + optind, (size_t)(argc - optind));
	if (json)
		print_json(&n, &cycles, &nobody);
	else
		net_show_deadlocks(&n, &cycles, &nobody);
	if (r < 0 && !cycles)
		return r == -ETIMEDOUT ? EXIT_NO_ANSWER : EXIT_FAILURE;
	return cycles ? EXIT_DEADLOCK : nobody ? EXIT_NOBODY : EXIT_SUCCESS;
}

static const struct opt deadlocks_options[] = {
	{ 'J', "json", NULL, "JSON" },
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_deadlocks = {
	.name = "deadlocks",
	.args = "[MOUNT]...",
	.summary = "Lists processes that wait for each other, or for nobody",
	.details =
		"Across mounts, too, if several are looked at; by default all of this user's.\n"
		"Exit status: 0 if there are none, 8 if there is a cycle, 9 if there is none but\n"
		"somebody waits for nobody.\n",
	.options = deadlocks_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_deadlocks,
};
