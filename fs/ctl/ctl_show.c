/* SPDX-License-Identifier: MIT */
/* The longer texts of .ctl files: what is in a queue, the status of an object and of the mount. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/proc.h"
#include "ctl/ctl.h"
#include "ctl/show.h"
#include "file/list.h"
#include "object/look.h"
#include "object/msg.h"
#include "object/waiter.h"
#include "wait/door.h"
#include "object/type.h"
#include "wait/turn.h"

void show_type(struct object *ob, FILE *f)
{
	fprintf(f, "%s\n", ob->o.ops->name);
}

void show_stalled(struct object *ob, FILE *f)
{
	char command[200];
	uint64_t since = ob->kept_since;
	uint32_t pid = keeper_pid(ob);

	proc_command(pid, command, sizeof(command));
	fprintf(f, "pid %u (%s) for %.3f s\n", pid, command, (double)(ipc_now() - since) / 1e9);
}

/* Counted, since the count in the file may be wrong: then the object is damaged. */
static uint32_t length(struct ipc_obj *o, const struct ipc_list *l)
{
	uint32_t n = 0;

	if (!o->locked) /* (stalled) */
		return __atomic_load_n(&l->count, __ATOMIC_RELAXED);
	LIST_EACH(o, l, r)
		n++;
	if (n != __atomic_load_n(&l->count, __ATOMIC_RELAXED))
		obj_damage(o, "the length of a list does not match its count");
	return n;
}

static uint32_t waiters_in(struct ipc_obj *o)
{
	uint32_t n = 0;

	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		n += length(o, &o->h->waitqs[i]);
	return n;
}

/* Its numbers are words of their own, which can be read without the lock. */
void show_status(struct object *ob, const struct ctl_file *table, FILE *f)
{
	struct ipc_obj *o = &ob->o;

	if (!ob->o.locked) {
		fprintf(f, "stalled: ");
		show_stalled(ob, f);
	}
	for (const struct ctl_file *c = table; c && c->name; c++) {
		if (!c->in_status)
			continue;
		fprintf(f, "%s: ", c->name);
		c->show(ob, f);
	}
	fprintf(f, "waiters: %u\nholders: %u\nmemory: %" PRIu64 "\nhandles: %u\n", waiters_in(o),
		length(o, &o->h->holds), object_memory(ob), length(o, &o->h->handles));
}

struct file_sink {
	struct ipc_sink sink;
	FILE *f;
};

static void to_file(struct ipc_sink *to, const char *text, size_t len)
{
	fwrite(text, 1, len, ((struct file_sink *)to)->f);
}

#define SINK(f)                \
	(struct file_sink)     \
	{                      \
		{ to_file }, f \
	}

void show_look(struct object *ob, FILE *f)
{
	ipc_look(&ob->o, &SINK(f).sink);
}

void show_leased(struct object *ob, FILE *f)
{
	struct ipc_obj *o = &ob->o;
	uint64_t left = look_most(o);

	LIST_EACH(o, &o->h->b.queue.leased, r) {
		struct ipc_lease *l = AT(o, ipc_lease, r);

		fprintf(f, "%" PRIu64 "\t%u\t%.3f\t%u\t", msg_at(o, l->msg)->id,
			msg_at(o, l->msg)->attempts, (double)(ipc_now() - l->since) / 1e9, l->pid);
		look_message(o, l->msg, 0, &left, &SINK(f).sink);
		fputc('\n', f);
	}
}

void show_dead(struct object *ob, FILE *f)
{
	struct ipc_obj *o = &ob->o;
	uint64_t left = look_most(o);

	LIST_EACH(o, &o->h->b.queue.dead, r) {
		struct ipc_lease *l = AT(o, ipc_lease, r);

		fprintf(f, "%" PRIu64 "\t", msg_at(o, l->msg)->id);
		look_message(o, l->msg, 0, &left, &SINK(f).sink);
		fputc('\n', f);
	}
}

/* ---- the mount's own ---- */

struct each {
	void (*fn)(struct object *ob, const char *path, void *arg);
	void *arg;
};

static void show_one(struct object *ob, void *arg)
{
	struct each *each = arg;
	char path[4200];
	int r = object_look(ob, NULL);

	if (r < 0 && r != -EBUSY)
		return;
	tree_path(ob->node, path, sizeof(path));
	each->fn(ob, path, each->arg);
	object_unlock(ob);
}

void show_each(void (*fn)(struct object *ob, const char *path, void *arg), void *arg)
{
	struct each each = { fn, arg };

	turn_each_active(show_one, &each);
}

struct counts {
	uint64_t handles, waiters, stalled;
};

static void each_count(struct object *ob, const char *path, void *arg)
{
	uint32_t handles = length(&ob->o, &ob->o.h->handles), waiters = waiters_in(&ob->o);
	struct counts *c = arg;

	(void)path;
	c->stalled += !ob->o.locked;
	if (ob->o.damage)
		return;
	c->handles += handles;
	c->waiters += waiters;
}

void show_mount_status(FILE *f)
{
	struct ipc_mount *b = mount_body();
	struct counts c = { 0 };

	show_each(each_count, &c);
	fprintf(f,
		"version: %s\npid: %d\nsupervisor: %d\nworker: %d\nrestarts: %u\n"
		"mountpoint: %s\nstate: %s\nuptime: %.0f\n",
		IPCFS_VERSION, getpid(), fs.supervisor, getpid(), fs.restarts, fs.opt.mountpoint,
		fs.opt.state, (double)(ipc_now() - fs.started) / 1e9);
	fprintf(f,
		"objects: %" PRIu64 "\nobjects_limit: %" PRIu64 "\nmemory: %" PRIu64
		"\nmemory_limit: %" PRIu64 "\nmessage_limit: %" PRIu64 "\nhandles: %" PRIu64
		"\nwaiters: %" PRIu64 "\nstalled: %" PRIu64 "\n",
		b->objects, b->object_limit, b->memory, b->memory_limit, b->message_limit,
		c.handles, c.waiters, c.stalled);
}
