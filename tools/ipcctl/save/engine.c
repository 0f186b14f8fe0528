// SPDX-License-Identifier: MIT
#include "save/engine.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "guard.h"
#include "file/list.h"
#include "object/msg.h"
#include "save/record.h"
#include "types/saved.h"

#define PATIENCE (2 * NSEC_PER_SEC) /* for the lock */

struct engine {
	struct ipc_env env;
	struct ipc_obj o;
};

/*
 * The lock is a thread's id, which only the daemon's pid namespace knows. Its worker's pid, as .ctl
 * says it, must be such a process here.
 */
static int find_namespace(const struct target *t)
{
	struct target mount CLEANUP(target_close) = TARGET_INIT;
	struct facts status CLEANUP(facts_free) = { .n = 0 };
	struct buf comm CLEANUP(buf_free) = { .data = NULL };
	char *dir CLEANUP(free_string) = str("%.*s.", (int)(base_name(t->name) - t->name), t->name);
	char *path CLEANUP(free_string) = NULL, *ns CLEANUP(free_string) = NULL;
	struct stat theirs, ours;
	uint64_t worker;
	int r;

	r = target_open(dir, &mount);
	if (r >= 0)
		r = facts_read(mount.ctl, "status", &status);
	if (r < 0)
		return r;
	worker = facts_number(&status, "worker");
	path = str("/proc/%llu/comm", (unsigned long long)worker);
	ns = str("/proc/%llu/ns/pid", (unsigned long long)worker);
	if (read_file_at(AT_FDCWD, path, 0, 64, &comm) < 0 || strncmp(comm.data, "ipcfs", 5))
		return -EXDEV;
	if (!stat(ns, &theirs) && !stat("/proc/self/ns/pid", &ours) && theirs.st_ino != ours.st_ino)
		return -EXDEV;
	return 0;
}

/* Asked once: a copy is of one mount. */
static int same_namespace(const struct target *t)
{
	static bool same;
	int r = same ? 0 : find_namespace(t);

	same |= r == 0;
	return r;
}

/* Mapped and locked. Since ctl/shm was followed, the file stays this object's as long as it lives. */
static int engine_enter(const struct target *t, struct engine *ret)
{
	int fd CLEANUP(close_fd) = -1;
	int r = same_namespace(t);

	if (r < 0)
		return r;
	fd = openat(t->ctl, "shm", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret->env = (struct ipc_env){ .dirfd = -1 };
	r = ipc_map(&ret->env, fd, &ret->o);
	if (r < 0)
		return r;
	ret->o.env = &ret->env;
	r = ret->o.ops == t->type ? obj_lock(&ret->o, PATIENCE) : -EXDEV;
	if (r < 0)
		obj_unmap(&ret->o);
	return r;
}

static void engine_leave(struct engine *e)
{
	obj_unlock(&e->o);
	obj_unmap(&e->o);
}

/* What was copied under the lock: messages one behind the other, and where each begins. */
struct copy {
	struct buf bytes;
	struct saved_message *list;
	size_t *end;
	size_t n, size;
};

static void copy_one(void *arg, struct ipc_obj *o, const struct saved_message *m)
{
	struct copy *c = arg;
	size_t at = m->skip, n;
	char chunk[16384];

	while ((n = msg_copy(o, m->msg, at, chunk, sizeof(chunk)))) {
		buf_add(&c->bytes, chunk, n);
		at += n;
	}
	if (c->n == c->size) {
		c->size = c->size ? 2 * c->size : 64;
		c->list = xrealloc(c->list, c->size * sizeof(*c->list));
		c->end = xrealloc(c->end, c->size * sizeof(*c->end));
	}
	c->list[c->n] = *m;
	c->end[c->n++] = c->bytes.len;
}

static void write_messages(const struct copy *c, FILE *out)
{
	static const char *const kinds[] = {
		[SAVED_WAITING] = "message", [SAVED_DELAYED] = "delayed", [SAVED_DEAD] = "dead",
		[SAVED_BYTES] = "bytes",     [SAVED_BACK] = "back",
	};

	for (size_t i = 0, at = 0; i < c->n; at = c->end[i++]) {
		const struct saved_message *m = &c->list[i];
		uint64_t numbers[] = { m->id, m->attempts, m->since, m->due };
		size_t n = m->place == SAVED_DELAYED ? 4 : m->place <= SAVED_DEAD ? 3 : 0;

		record_begin(out, kinds[m->place], numbers, n, c->end[i] - at);
		fwrite(c->bytes.data + at, 1, c->end[i] - at, out);
		record_end(out);
	}
}

int engine_save_messages(const struct target *t, FILE *out)
{
	struct copy c = { .n = 0 };
	struct saved_counts counts;
	struct engine e;
	int r;

	guard_wait(PATIENCE);
	r = engine_enter(t, &e);
	if (r < 0)
		return r;
	saved_each(&e.o, copy_one, &c);
	saved_counts(&e.o, &counts);
	r = e.o.damage ? -EIO : 0;
	engine_leave(&e);
	guard_progress();
	if (r == 0) {
		record_number(out, "closed", counts.closed);
		record_number(out, "unfinished", counts.unfinished);
		record_number(out, "last-id", counts.last_id);
		write_messages(&c, out);
	}
	buf_free(&c.bytes);
	free(c.list);
	free(c.end);
	return r;
}

int engine_permits(const struct target *t, uint64_t *ret)
{
	struct engine e;
	int r;

	guard_wait(PATIENCE);
	r = engine_enter(t, &e);
	if (r < 0)
		return r;
	*ret = e.o.h->b.sem.value;
	LIST_EACH(&e.o, &e.o.h->holds, h)
		*ret += AT(&e.o, ipc_hold, h)->count;
	r = e.o.damage ? -EIO : 0;
	engine_leave(&e);
	guard_progress();
	return r;
}
