// SPDX-License-Identifier: MIT
#include "net.h"

#include <stdio.h>
#include <string.h>

#include "doctor/probe.h"
#include "guard.h"

#define ONE_MOUNT_NS (2 * NSEC_PER_SEC) /* how long a daemon has to answer */
#define FIELDS_MOST  9

#define ADD(array, n) \
	((array) = xrealloc((array), ((n) + 1) * sizeof(*(array))), (n)++, &(array)[(n)-1])

/* ---- rows ---- */

struct row {
	char *field[FIELDS_MOST];
	size_t n;
};

static void split(char *line, struct row *r)
{
	r->n = 0;
	for (char *tab; line && r->n < FIELDS_MOST; line = tab) {
		tab = r->n + 1 < FIELDS_MOST ? strchr(line, '\t') : NULL;
		if (tab)
			*tab++ = '\0';
		r->field[r->n++] = line;
	}
}

static uint32_t number(const char *s)
{
	return strtoul(s, NULL, 10);
}

static const char *known(const char *s)
{
	return strcmp(s, "-") ? s : NULL;
}

static uint32_t process(struct net *n, const char *pid)
{
	size_t before = n->knots.n_processes;
	uint32_t p = knots_process(&n->knots, number(pid), 1);

	if (n->knots.n_processes > before) {
		n->processes = xrealloc(n->processes, (p + 1) * sizeof(*n->processes));
		n->processes[p] = (struct net_process){ .state = 0 };
	}
	return p;
}

/* \ooo, as in mountinfo; in place. */
static char *unescape(char *s)
{
	char *to = s;

	for (char *from = s; *from; to++) {
		unsigned int c;

		if (*from == '\\' && sscanf(from + 1, "%3o", &c) == 1) {
			*to = c;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
	return s;
}

static char *full_path(const char *mount, char *inside)
{
	return str("%s/%s", strcmp(mount, "/") ? mount : "", unescape(inside));
}

static void add_members(struct net *n, char *pids)
{
	char *save;

	for (char *pid = strtok_r(pids, ",", &save); pid; pid = strtok_r(NULL, ",", &save))
		if (known(pid))
			knots_member(&n->knots, process(n, pid));
}

static void note(size_t **array, size_t at, size_t what)
{
	*array = xrealloc(*array, (at + 1) * sizeof(**array));
	(*array)[at] = what;
}

static void add_process(struct net *n, const struct row *r)
{
	uint32_t p = process(n, r->field[1]);

	n->knots.processes[p].threads = number(r->field[6]);
	n->processes[p] = (struct net_process){ r->field[7], *r->field[5] };
}

static void add_object(struct net *n, const struct row *r, const char *mount)
{
	*ADD(n->objects, n->n_objects) = (struct net_object){
		.path = full_path(mount, r->field[1]),
		.type = r->field[2],
		.first_hold = n->n_holds,
		.first_wait = n->n_waits,
	};
	knots_thing(&n->knots, !strcmp(r->field[3], "any"));
}

/* The thing that was made last is its object. */
static void add_hold(struct net *n, const struct row *r)
{
	bool sure = !strcmp(r->field[5], "sure");
	uint32_t giver = knots_giver(&n->knots, sure);

	*ADD(n->holds, n->n_holds) = (struct net_hold){
		.object = n->n_objects - 1,
		.operation = r->field[2],
		.seconds = r->field[3],
		.taker = number(r->field[4]),
		.giver = giver,
		.sure = sure,
	};
	n->objects[n->n_objects - 1].n_holds++;
	note(&n->of_giver, giver, n->n_holds);
	add_members(n, r->field[6]);
}

static void add_wait(struct net *n, const struct row *r)
{
	struct net_wait *w = ADD(n->waits, n->n_waits);

	*w = (struct net_wait){
		.object = n->n_objects - 1,
		.process = process(n, r->field[1]),
		.operation = r->field[4],
		.seconds = r->field[5],
		.left = known(r->field[6]),
		.kind = r->field[7],
		.nobody = known(r->field[8]),
	};
	n->objects[n->n_objects - 1].n_waits++;
	if (!strcmp(w->kind, "held"))
		note(&n->of_wait,
		     knots_wait(&n->knots, w->process, (uint32_t)n->knots.n_things - 1, 1,
				w->left != NULL),
		     n->n_waits);
}

static void add_parent(struct net *n, const struct row *r)
{
	uint32_t p = process(n, r->field[1]), thing;

	if (net_parent(n, p)) /* another mount has told the same */
		return;
	thing = knots_thing(&n->knots, false);
	note(&n->of_giver, knots_giver(&n->knots, !strcmp(r->field[4], "sure")), 0);
	*ADD(n->parents, n->n_parents) =
		(struct net_parent){ p, thing, !strcmp(r->field[0], "reads") };
	add_members(n, r->field[3]);
	note(&n->of_wait, knots_wait(&n->knots, p, thing, number(r->field[2]), false), 0);
}

static void add_stalled(struct net *n, const struct row *r, const char *mount)
{
	*ADD(n->stalled, n->n_stalled) = (struct net_stalled){
		.path = full_path(mount, r->field[1]),
		.process = process(n, r->field[2]),
		.seconds = r->field[3],
	};
}

/* Rows that a later version has added are left out. */
static void add_row(struct net *n, char *line, const char *mount)
{
	struct row r;

	split(line, &r);
	if (!strcmp(r.field[0], "process") && r.n >= 8)
		add_process(n, &r);
	else if (!strcmp(r.field[0], "object") && r.n >= 4)
		add_object(n, &r, mount);
	else if (!strcmp(r.field[0], "hold") && r.n >= 7 && n->n_objects)
		add_hold(n, &r);
	else if (!strcmp(r.field[0], "wait") && r.n >= 9 && n->n_objects)
		add_wait(n, &r);
	else if ((!strcmp(r.field[0], "child") || !strcmp(r.field[0], "reads")) && r.n >= 5)
		add_parent(n, &r);
	else if (!strcmp(r.field[0], "stalled") && r.n >= 4)
		add_stalled(n, &r, mount);
}

/* ---- mounts ---- */

static int read_one(struct net *n, const char *mount)
{
	char *path CLEANUP(free_string) = str("%s/.ctl/graph", strcmp(mount, "/") ? mount : "");
	struct buf b CLEANUP(buf_free) = { .data = NULL };
	char *text;
	int r = probe_read(path, ONE_MOUNT_NS, &b);

	guard_progress();
	if (r < 0)
		return r;
	buf_add(&b, "", 0);
	text = *ADD(n->texts, n->n_texts) = buf_steal(&b);
	for (char *line = text, *end; line && *line; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		add_row(n, line, mount);
	}
	return 0;
}

/* Somebody else's, or one without a daemon: there is nothing to know. */
static bool says_nothing(int r)
{
	return r == -EACCES || r == -EPERM || r == -ENOTCONN;
}

int net_read(struct net *n, const struct mounts *mounts, const char *needed)
{
	int result = 0, first = 0;
	size_t read = 0;

	for (size_t i = 0; i < mounts->n; i++) {
		const char *path = mounts->list[i].path;
		bool matters = !needed || !strcmp(path, needed);
		int r = read_one(n, path);

		read += r >= 0;
		if (r >= 0 || (says_nothing(r) && !matters))
			continue;
		complain(path, "%s; left out",
			 r == -ENOENT    ? "no mount of an ipcfs as new as this ipcctl" :
			 r == -ETIMEDOUT ? "the daemon does not answer" :
					   strerror(-r));
		first = first ? first : r;
		result = matters && !result ? r : result;
	}
	knots_solve(&n->knots, false);
	return result || read ? result : first;
}

/* They need not be roots of a mount, as long as there is a .ctl in them. */
static int read_named(struct net *n, char **names, size_t n_names)
{
	struct mounts named CLEANUP(mounts_free) = { .n = 0 };

	for (size_t i = 0; i < n_names; i++) {
		struct mount m = { .root = xstrdup("/"), .path = xstrdup(names[i]) };
		size_t len = strlen(m.path);

		while (len > 1 && m.path[len - 1] == '/')
			m.path[--len] = '\0';
		*ADD(named.list, named.n) = m;
	}
	return net_read(n, &named, NULL);
}

int net_read_arguments(struct net *n, char **names, size_t n_names)
{
	struct mounts mounts CLEANUP(mounts_free) = { .n = 0 };
	int r;

	if (n_names)
		return read_named(n, names, n_names);
	r = mounts_read_or_complain(&mounts);
	return r < 0 ? r : net_read(n, &mounts, "");
}

void net_free(struct net *n)
{
	for (size_t i = 0; i < n->n_objects; i++)
		free(n->objects[i].path);
	for (size_t i = 0; i < n->n_stalled; i++)
		free(n->stalled[i].path);
	for (size_t i = 0; i < n->n_texts; i++)
		free(n->texts[i]);
	free(n->processes);
	free(n->objects);
	free(n->holds);
	free(n->waits);
	free(n->parents);
	free(n->stalled);
	free(n->of_wait);
	free(n->of_giver);
	free(n->texts);
	knots_free(&n->knots);
}

/* ---- looking things up ---- */

const struct net_process *net_process(const struct net *n, uint32_t p)
{
	return &n->processes[p];
}

uint32_t net_pid(const struct net *n, uint32_t p)
{
	return n->knots.processes[p].pid;
}

int64_t net_find(const struct net *n, uint32_t pid)
{
	for (size_t i = 0; i < n->knots.n_processes; i++)
		if (n->knots.processes[i].pid == pid)
			return (int64_t)i;
	return -1;
}

const struct net_object *net_object(const struct net *n, const char *path)
{
	for (size_t i = 0; i < n->n_objects; i++)
		if (!strcmp(n->objects[i].path, path))
			return &n->objects[i];
	return NULL;
}

const struct net_parent *net_parent(const struct net *n, uint32_t p)
{
	for (size_t i = 0; i < n->n_parents; i++)
		if (n->parents[i].process == p)
			return &n->parents[i];
	return NULL;
}

char *net_name(const struct net *n, uint32_t p)
{
	const char *command = net_process(n, p)->command;
	char *text CLEANUP(free_string) = printable(command ? command : "?", false);

	return str("%u (%s)", net_pid(n, p), text);
}

/* ---- deadlocks ---- */

struct told {
	struct net *n;
	size_t cycles;
};

static void show_cycle(void *arg, const struct knot_step *steps, size_t n_steps)
{
	struct told *told = arg;
	const struct net *n = told->n;

	told->cycles++;
	for (size_t i = 0; i < n_steps; i++) {
		char *from CLEANUP(free_string) = net_name(n, steps[i].from);
		size_t wait = n->of_wait[steps[i].wait];
		const struct net_wait *w = wait ? &n->waits[wait - 1] : NULL;
		char *path CLEANUP(free_string) = w ? printable(n->objects[w->object].path, false) :
						      NULL;

		printf("%s%s waits for ", i ? ", " : "", from);
		if (!w)
			printf("%s",
			       net_parent(n, steps[i].from)->reads ? "the output of" : "its child");
		else if (w->left)
			printf("%s (for %s s more) held by", path, w->left);
		else
			printf("%s held by", path);
		printf(" %u", net_pid(n, steps[i].to));
	}
	putchar('\n');
}

void net_show_deadlocks(struct net *n, size_t *ret_cycles, size_t *ret_nobody)
{
	struct told told = { n, 0 };

	knots_each_cycle(&n->knots, show_cycle, &told);
	*ret_cycles = told.cycles;
	*ret_nobody = 0;
	for (size_t i = 0; i < n->n_waits; i++) {
		const struct net_wait *w = &n->waits[i];
		char *who CLEANUP(free_string) = net_name(n, w->process);
		char *path CLEANUP(free_string) = printable(n->objects[w->object].path, false);

		if (!w->nobody)
			continue;
		printf("%s waits for nobody: %s %s\n", who, path, w->nobody);
		++*ret_nobody;
	}
}
