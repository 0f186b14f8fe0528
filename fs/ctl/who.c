/* SPDX-License-Identifier: MIT */
/*
 * `waiters` and `holders`: a line for each, with pid, start time, uid, operation, seconds and command.
 *
 * A holder is whoever keeps the handle open, since what is held ends with that (keepers.h). In
 * `exec 8<a.lock; flock 8` flock(1) takes the lock for the shell, and ends: then a line names the
 * shell, and has one field more, with a remark. While the process that took it has it open, its line is
 * the only one, and nobody else is looked at.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/proc.h"
#include "ctl/held.h"
#include "ctl/show.h"
#include "ctl/who.h"
#include "file/list.h"
#include "object/type.h"
#include "object/waiter.h"
#include "state/object.h"
#include "wait/door.h"

static const char *const op_names[OP_OPS] = {
	[OP_NONE] = "none",
	[OP_READ] = "read",
	[OP_WRITE] = "write",
	[OP_FLOCK] = "flock",
	[OP_FLOCK_SHARED] = "flock-shared",
	[OP_JOIN] = "join",
	[OP_LEASE] = "lease",
	[OP_STREAM] = "stream",
	[OP_CHANGED] = "changed",
};

const char *who_op(uint32_t op)
{
	return op < OP_OPS ? op_names[op] : "?";
}

uint32_t who_pid(const struct ipc_waiter *w)
{
	return w->pid ? w->pid : proc_pid(w->tid);
}

/* All but the end of the line. */
static void show_process(FILE *f, const char *path, uint32_t pid, uint32_t uid, const char *op,
			 uint64_t since)
{
	char command[200];
	double seconds = (double)(ipc_now() - since) / 1e9;

	proc_command(pid, command, sizeof(command));
	if (path)
		fprintf(f, "%s\t", path);
	fprintf(f, "%u\t%" PRIu64 "\t%u\t%s\t%.3f\t%s", pid, proc_start(pid), uid, op, seconds,
		command);
}

/*
 * The lists of a stalled object cannot be read: the process that keeps its lock is shown instead.
 */
static void show_keeper(struct object *ob, const char *path, FILE *f)
{
	uint32_t pid = keeper_pid(ob);

	show_process(f, path, pid, proc_uid(pid), "stalled", ob->kept_since);
	fputc('\n', f);
}

/* ---- waiters ---- */

static void waiters_of(struct object *ob, const char *path, FILE *f)
{
	struct ipc_obj *o = &ob->o;

	if (!o->locked) {
		show_keeper(ob, path, f);
		return;
	}
	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		LIST_EACH(o, &o->h->waitqs[i], r) {
			struct ipc_waiter *w = waiter_at(o, r);

			show_process(f, path, who_pid(w), w->uid, who_op(w->op), w->since);
			fputc('\n', f);
		}
}

void show_waiters(struct object *ob, FILE *f)
{
	waiters_of(ob, NULL, f);
}

static void each_waiters(struct object *ob, const char *path, void *arg)
{
	waiters_of(ob, path, arg);
}

void show_mount_waiters(FILE *f)
{
	show_each(each_waiters, f);
}

/* ---- holders ---- */

/* A stalled object's holder is a line that is ready. */
struct line {
	size_t before; /* this one of what is held */
	char *text;
};

/* What is collected of one object or of all. */
static struct found {
	struct held_all all;
	struct line *lines;
	size_t n_lines;
	bool begun;
} found;

static void collect_stalled(struct object *ob, const char *path)
{
	struct line *l;
	size_t len;
	FILE *f;

	MORE(found.lines, found.n_lines);
	l = &found.lines[found.n_lines - 1];
	l->before = found.all.n;
	f = open_memstream(&l->text, &len);
	if (!f)
		abort(); /* base/alloc.h */
	show_keeper(ob, path, f);
	fclose(f);
}

static void collect(struct object *ob, const char *path, void *arg)
{
	(void)arg;
	if (!found.begun)
		keepers_begin(&found.all.keepers);
	found.begun = true;
	if (!ob->o.locked)
		collect_stalled(ob, path);
	else if (held_any(ob))
		held_collect(&found.all, ob, path);
}

/* Why the process of this line is named, and not, or not for sure, the one that took it. */
static void remark(FILE *f, const struct keepers *k, const struct held *h, const char *doubt)
{
	char command[200];

	fprintf(f, "\ttaken by %u", h->taker);
	if (census_find_since(&k->census, h->taker, h->since)) {
		proc_command(h->taker, command, sizeof(command));
		fprintf(f, " (%s), which has closed it", command);
	} else {
		fputs(", which has ended", f);
	}
	fprintf(f, "%s\n", doubt);
}

/* Nobody is seen to have it open: its opener may, if one may not look at that. */
static void show_unseen(FILE *f, const struct keepers *k, const struct held *h, const char *path)
{
	const struct kept_handle *hd = k->handles + h->handle;
	const struct census_process *opener = census_find_since(&k->census, hd->opener, hd->since);

	if (opener && opener->closed) {
		show_process(f, path, opener->pid, opener->uid, who_op(h->op), h->since);
		remark(f, k, h, "; this one opened it, but what it has open cannot be seen");
	} else {
		show_process(f, path, h->taker, h->uid, who_op(h->op), h->since);
		remark(f, k, h, "; who keeps it open cannot be seen");
	}
}

static void show_kept(FILE *f, struct held_all *all, const struct held *h, const char *path)
{
	struct keepers *k = &all->keepers;
	struct kept kept;

	keepers_look(k);
	keepers_find(k, h->handle, h->taker, &kept);
	if (!kept.n)
		show_unseen(f, k, h, path);
	for (size_t i = 0; i < kept.n; i++) {
		const struct census_process *p = census_find(&k->census, kept.pids[i]);

		show_process(f, path, kept.pids[i], p ? p->uid : h->uid, who_op(h->op), h->since);
		if (kept.pids[i] == h->taker)
			fputc('\n', f);
		else
			remark(f, k, h,
			       kept.exact ? "" :
					    "; the object was opened several times, and this may "
					    "be another one");
	}
	free(kept.pids);
}

static void show_held(FILE *f, struct held_all *all, const struct held *h)
{
	const char *path = all->paths[h->object];

	if (keepers_has(&all->keepers, h->handle, h->taker, h->since)) {
		show_process(f, path, h->taker, h->uid, who_op(h->op), h->since);
		fputc('\n', f);
	} else {
		show_kept(f, all, h, path);
	}
}

void show_holders_found(FILE *f)
{
	size_t line = 0;

	for (size_t i = 0; i <= found.all.n; i++) {
		for (; line < found.n_lines && found.lines[line].before == i; line++) {
			fputs(found.lines[line].text, f);
			free(found.lines[line].text);
		}
		if (i < found.all.n)
			show_held(f, &found.all, &found.all.held[i]);
	}
	free(found.lines);
	held_free(&found.all);
	found = (struct found){ 0 };
}

void show_holders(struct object *ob, FILE *f)
{
	(void)f;
	collect(ob, NULL, NULL);
}

void show_mount_holders(FILE *f)
{
	show_each(collect, NULL);
	show_holders_found(f);
}
