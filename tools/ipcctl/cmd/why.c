// SPDX-License-Identifier: MIT
/*
 * ipcctl why: who waits for what, held by whom, down to those who do not wait.
 *
 * One walk makes both the text and the JSON: a tree of nodes, each a sentence with the facts behind it.
 */
#include <stdarg.h>

#include "ipcctl.h"
#include "net.h"
#include "object.h"

struct why {
	struct net net;
	bool *seen; /* processes */
	bool *seen_object;
	bool deadlock, nobody;
	bool json;
};

/* A sentence, indented; or what it says, below `parent`. */
static struct json_object *say(struct why *w, struct json_object *parent, unsigned int depth,
			       const char *kind, const char *fmt, ...) PRINTF(5, 6);

static struct json_object *say(struct why *w, struct json_object *parent, unsigned int depth,
			       const char *kind, const char *fmt, ...)
{
	struct json_object *node, *below;
	va_list ap;

	va_start(ap, fmt);
	if (!w->json) {
		printf("%*s", (int)(depth * 2), "");
		vprintf(fmt, ap);
		putchar('\n');
		va_end(ap);
		return NULL;
	}
	va_end(ap);
	node = json_object_new_object();
	json_object_object_add(node, "kind", json_text(kind));
	if (!json_object_object_get_ex(parent, "because", &below)) {
		below = json_object_new_array();
		json_object_object_add(parent, "because", below);
	}
	json_object_array_add(below, node);
	return node;
}

static void fact(struct json_object *node, const char *key, struct json_object *value)
{
	if (node)
		json_object_object_add(node, key, value);
	else
		json_object_put(value);
}

static void fact_process(struct json_object *node, const struct net *n, uint32_t p)
{
	fact(node, "pid", json_object_new_int64(net_pid(n, p)));
	fact(node, "command", json_text(net_process(n, p)->command));
}

static void walk_process(struct why *w, struct json_object *parent, unsigned int depth, uint32_t p);

/* "; taken by 12, which has ended" */
static char *taken_by(const struct net *n, const struct net_hold *h)
{
	const struct knot_giver *g = &n->knots.givers[h->giver];
	int64_t taker;

	for (uint32_t i = 0; i < g->n; i++)
		if (net_pid(n, n->knots.members[g->first + i]) == h->taker)
			return xstrdup("");
	taker = net_find(n, h->taker);
	if (taker < 0 || !net_process(n, (uint32_t)taker)->command)
		return str("; taken by %u, which has ended", h->taker);
	return str("; taken by %u, which has closed it", h->taker);
}

static void walk_hold(struct why *w, struct json_object *parent, unsigned int depth,
		      const struct net_hold *h)
{
	const struct net *n = &w->net;
	const struct knot_giver *g = &n->knots.givers[h->giver];
	char *taken CLEANUP(free_string) = taken_by(n, h);
	char *path CLEANUP(free_string) = printable(n->objects[h->object].path, false);
	char *who CLEANUP(free_string) = g->n ? net_name(n, n->knots.members[g->first]) :
						xstrdup("somebody who cannot be seen");
	char *others CLEANUP(free_string) = g->n > 1 ? str(" and %u more", g->n - 1) : xstrdup("");
	struct json_object *node = say(w, parent, depth, "held",
				       "%s is held (%s) by %s%s, for %s s%s", path, h->operation,
				       who, others, h->seconds, taken);

	fact(node, "object", json_text(n->objects[h->object].path));
	fact(node, "operation", json_text(h->operation));
	fact(node, "seconds", json_value(h->seconds));
	fact(node, "taken_by", json_object_new_int64(h->taker));
	fact(node, "taker_has_it", json_object_new_boolean(!*taken));
	fact(node, "sure", json_object_new_boolean(h->sure));
	for (uint32_t i = 0; i < g->n; i++)
		if (!i || !w->seen[n->knots.members[g->first + i]])
			walk_process(w, node, depth + 1, n->knots.members[g->first + i]);
}

static void walk_object(struct why *w, struct json_object *parent, unsigned int depth,
			size_t object, bool stuck)
{
	const struct net_object *o = &w->net.objects[object];
	char *path CLEANUP(free_string) = printable(o->path, false);
	struct json_object *node;

	if (w->seen_object[object]) {
		node = say(w, parent, depth, "above", "%s: see above%s", path,
			   stuck ? "; this is a deadlock" : "");
		fact(node, "object", json_text(o->path));
		fact(node, "deadlock", json_object_new_boolean(stuck));
		return;
	}
	w->seen_object[object] = true;
	for (size_t i = 0; i < o->n_holds; i++)
		walk_hold(w, parent, depth, &w->net.holds[o->first_hold + i]);
}

/* What ends a wait that is not for what others hold. */
static const char *until(const struct net_object *o, const struct net_wait *wait)
{
	static const struct {
		const char *type, *operation, *text;
	} ends[] = {
		{ "queue", "join", "until nothing is unfinished" },
		{ "queue", "write", "until there is room" },
		{ "queue", "", "until somebody puts a message" },
		{ "pipe", "write", "until there is room" },
		{ "pipe", "", "until somebody writes" },
		{ "event", "", "until it is set" },
		{ "cond", "", "until it is notified" },
		{ "barrier", "", "until all have come" },
		{ "value", "", "until it changes" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (!strcmp(ends[i].type, o->type) &&
		    (!*ends[i].operation || !strcmp(ends[i].operation, wait->operation)))
			return ends[i].text;
	return "until somebody gives it";
}

static void walk_wait(struct why *w, struct json_object *parent, unsigned int depth,
		      const struct net_wait *wait)
{
	const struct net *n = &w->net;
	const struct net_object *o = &n->objects[wait->object];
	bool held = !strcmp(wait->kind, "held") && o->n_holds;
	char *who CLEANUP(free_string) = net_name(n, wait->process);
	char *path CLEANUP(free_string) = printable(o->path, false);
	char *left CLEANUP(free_string) = wait->left ? str(", at most %s s more", wait->left) :
						       xstrdup("");
	struct json_object *node = say(w, parent, depth, "waits",
				       "%s waits for %s (%s), for %s s%s%s%s", who, path,
				       wait->operation, wait->seconds, left, held ? "" : ", ",
				       held ? "" : until(o, wait));

	fact_process(node, n, wait->process);
	fact(node, "object", json_text(o->path));
	fact(node, "operation", json_text(wait->operation));
	fact(node, "seconds", json_value(wait->seconds));
	fact(node, "left", wait->left ? json_value(wait->left) : NULL);
	if (held)
		walk_object(w, node, depth + 1, wait->object,
			    knots_stuck(&n->knots, wait->process));
	if (!wait->nobody)
		return;
	w->nobody = true;
	node = say(w, node, depth + 1, "nobody", "this is for nobody: %s %s", path, wait->nobody);
	fact(node, "object", json_text(o->path));
	fact(node, "reason", json_text(wait->nobody));
}

static void walk_children(struct why *w, struct json_object *parent, unsigned int depth,
			  const struct net_parent *p)
{
	const struct net *n = &w->net;
	const struct knot_giver *g = &n->knots.givers[n->knots.things[p->thing].first_giver];
	char *who CLEANUP(free_string) = net_name(n, p->process);
	struct json_object *node = say(w, parent, depth, "waits", "%s waits for %s", who,
				       p->reads ? "what is written to its pipe" :
				       g->n > 1 ? "one of its children" :
						  "its child");

	fact_process(node, n, p->process);
	fact(node, "operation", json_text(p->reads ? "pipe" : "child"));
	for (uint32_t i = 0; i < g->n; i++)
		walk_process(w, node, depth + 1, n->knots.members[g->first + i]);
}

static const char *doing(char state)
{
	switch (state) {
	case 'R':
		return "runs";
	case 'T':
	case 't':
		return "is stopped";
	case 'D':
		return "waits in the kernel for something else";
	case 'Z':
	case 'X':
	case 0:
		return "has ended";
	default:
		return "sleeps, but waits for no object";
	}
}

/* true: it was told already. */
static bool was_seen(struct why *w, struct json_object *parent, unsigned int depth, uint32_t p)
{
	bool stuck = knots_stuck(&w->net.knots, p);
	char *who CLEANUP(free_string) = net_name(&w->net, p);
	struct json_object *node;

	w->deadlock |= stuck;
	if (!w->seen[p])
		return false;
	node = say(w, parent, depth, "above", "%s: see above%s", who,
		   stuck ? "; this is a deadlock" : "");
	fact_process(node, &w->net, p);
	fact(node, "deadlock", json_object_new_boolean(stuck));
	return true;
}

static void walk_process(struct why *w, struct json_object *parent, unsigned int depth, uint32_t p)
{
	const struct net *n = &w->net;
	const struct net_parent *children = net_parent(n, p);
	char *who CLEANUP(free_string) = net_name(n, p);
	struct json_object *node;
	bool waits = children;

	if (was_seen(w, parent, depth, p))
		return;
	w->seen[p] = true;
	for (size_t i = 0; i < n->n_waits; i++) {
		if (n->waits[i].process != p)
			continue;
		walk_wait(w, parent, depth, &n->waits[i]);
		waits = true;
	}
	if (children)
		walk_children(w, parent, depth, children);
	if (waits)
		return;
	node = say(w, parent, depth, "runs", "%s %s", who, doing(net_process(n, p)->state));
	fact_process(node, n, p);
	fact(node, "state", json_text((char[]){ net_process(n, p)->state, 0 }));
}

/* ---- what it is asked about ---- */

static int why_process(struct why *w, struct json_object *root, uint32_t pid)
{
	int64_t p = net_find(&w->net, pid);
	char *path CLEANUP(free_string) = str("/proc/%u", pid);
	struct json_object *node;

	if (p >= 0) {
		walk_process(w, root, 0, (uint32_t)p);
		return 0;
	}
	if (access(path, F_OK) < 0) {
		complain("why", "no process %u", pid);
		return -ESRCH;
	}
	node = say(w, root, 0, "runs", "%u waits for no object, and holds none that is waited for",
		   pid);
	fact(node, "pid", json_object_new_int64(pid));
	return 0;
}

static void why_object(struct why *w, struct json_object *root, const char *path)
{
	const struct net_object *o = net_object(&w->net, path);
	char *name CLEANUP(free_string) = printable(path, false);
	struct json_object *node;

	for (size_t i = 0; i < w->net.n_stalled; i++) {
		const struct net_stalled *s = &w->net.stalled[i];
		char *who CLEANUP(free_string) = net_name(&w->net, s->process);

		if (strcmp(s->path, path))
			continue;
		node = say(w, root, 0, "stalled", "%s is stalled: %s keeps its lock, for %s s",
			   name, who, s->seconds);
		fact_process(node, &w->net, s->process);
		walk_process(w, node, 1, s->process);
		return;
	}
	if (!o || !(o->n_holds + o->n_waits)) {
		node = say(w, root, 0, "free", "%s: nobody holds it, and nobody waits for it",
			   name);
		fact(node, "object", json_text(path));
		return;
	}
	walk_object(w, root, 0, (size_t)(o - w->net.objects), false);
	for (size_t i = 0; i < o->n_waits; i++)
		if (!w->seen[w->net.waits[o->first_wait + i].process])
			walk_process(w, root, 0, w->net.waits[o->first_wait + i].process);
}

/* The object's path, as the rows have it, and its mount. */
static int find_object(const char *name, const struct mounts *mounts, char **ret_path,
		       const char **ret_mount)
{
	struct target t CLEANUP(target_close) = TARGET_INIT;
	char *path;
	int r = target_open(name, &t);

	*ret_mount = NULL;
	if (r >= 0 && t.kind != TARGET_OBJECT)
		r = -ENOTTY;
	path = r < 0 ? NULL : realpath(t.name, NULL);
	if (r >= 0 && !path)
		r = -errno;
	for (size_t i = 0; path && i < mounts->n; i++) {
		const char *root = mounts->list[i].path;
		size_t len = strcmp(root, "/") ? strlen(root) : 0;

		if (!strncmp(path, root, len) && path[len] == '/' &&
		    (!*ret_mount || strlen(*ret_mount) < strlen(root)))
			*ret_mount = root;
	}
	if (r < 0)
		target_complain(name, r);
	*ret_path = path;
	return r;
}

static int why(struct why *w, const char *name)
{
	struct mounts mounts CLEANUP(mounts_free) = { .n = 0 };
	struct json_object *root = w->json ? json_object_new_object() : NULL;
	char *path CLEANUP(free_string) = NULL;
	const char *mount = "";
	uint64_t pid;
	bool is_pid = !parse_u64(name, &pid) && pid <= INT32_MAX;
	int r = mounts_read_or_complain(&mounts);

	if (r >= 0 && !is_pid)
		r = find_object(name, &mounts, &path, &mount);
	if (r >= 0)
		r = net_read(&w->net, &mounts, mount);
	if (r >= 0) {
		w->seen = xrealloc(NULL, w->net.knots.n_processes + 1);
		memset(w->seen, 0, w->net.knots.n_processes + 1);
		w->seen_object = xrealloc(NULL, w->net.n_objects + 1);
		memset(w->seen_object, 0, w->net.n_objects + 1);
	}
	if (r >= 0 && is_pid)
		r = why_process(w, root, (uint32_t)pid);
	else if (r >= 0)
		why_object(w, root, path);
	fact(root, "deadlock", json_object_new_boolean(w->deadlock));
	fact(root, "nobody", json_object_new_boolean(w->nobody));
	if (root && r >= 0)
		json_print(root);
	return r;
}

static int run_why(const struct command *cmd, int argc, char **argv)
{
	struct why w = { .json = false };
	int r;

	while (next_option(cmd, argc, argv) != -1)
		w.json = true;
	if (optind + 1 != argc)
		usage_error(cmd, "needs one name, or the id of a process");
	r = why(&w, argv[optind]);
	net_free(&w.net);
	free(w.seen);
	free(w.seen_object);
	if (r < 0)
		return r == -ETIMEDOUT ? EXIT_NO_ANSWER : EXIT_FAILURE;
	return w.deadlock ? EXIT_DEADLOCK : w.nobody ? EXIT_NOBODY : EXIT_SUCCESS;
}

static const struct opt why_options[] = {
	{ 'J', "json", NULL, "JSON" },
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_why = {
	.name = "why",
	.args = "NAME|PID",
	.summary = "Says why something hangs: who waits for what, held by whom",
	.details =
		"Down to the processes that do not wait; across all mounts of this user.\n"
		"Exit status: 0 if it ends with these, 8 if it is a deadlock, 9 if somebody waits\n"
		"for nobody.\n",
	.options = why_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_why,
};
