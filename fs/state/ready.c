/* SPDX-License-Identifier: MIT */
/*
 * Files that are ready for the next object.
 *
 * When an object is removed, or is again as it was created, its file stays here, mapped, under the
 * name ready-N. The next object that needs a file gets it for one rename(2): no mmap(2), no page
 * fault, no memory to ask for. It is zeroed first.
 *
 * A file that another process may have open (NODE_SHARED) is never reused: that process would see
 * another object.
 *
 * They do not count as the mount's memory, since they are few and small, and are dropped when the
 * file system is full. A new worker removes those that it finds: it knows nothing about them.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/heap.h"
#include "file/statedir.h"
#include "state/blank.h"
#include "state/files.h"

#define READY_MOST  64u
#define READY_PAGES IPC_FIRST /* of the heap: no more than small objects need */

static struct ipc_obj ready[READY_MOST]; /* half are for types with a large heap */

static unsigned int first_of(const struct ipc_type *t)
{
	return t->traits & TYPE_LARGE ? READY_MOST / 2 : 0;
}

static void drop(unsigned int i)
{
	unlinkat(fs.objects_fd, state_ready(i).s, 0);
	obj_unmap(&ready[i]);
}

/* (Nothing that is cut off was a hole: holes have the largest order.) */
static bool cut(struct ipc_obj *o, const char *name)
{
	int fd = openat(fs.objects_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool done = fd >= 0 && ftruncate(fd, (1 + READY_PAGES) * IPC_PAGE) == 0;

	if (done)
		o->pages = READY_PAGES;
	if (fd >= 0)
		close(fd);
	return done;
}

bool ready_put(struct ipc_obj *o)
{
	unsigned int i = first_of(o->ops), end = i + READY_MOST / 2;
	struct state_name name = state_engine(o->id);

	while (i < end && ready[i].base)
		i++;
	if (i == end || o->damage)
		return false;
	if (o->pages > READY_PAGES && !cut(o, name.s))
		return false;
	if (renameat(fs.objects_fd, name.s, fs.objects_fd, state_ready(i).s) < 0)
		return false;
	fs.env.account(&fs.env, -(int64_t)heap_held(o), true);
	ready[i] = *o;
	ready[i].user = NULL;
	o->base = NULL;
	o->h = NULL;
	return true;
}

/* The first whose heap may grow as far; those from before the limit was changed are dropped. */
static unsigned int find(const struct ipc_type *t, uint64_t reserve)
{
	unsigned int i = first_of(t), end = i + READY_MOST / 2;

	for (; i < end; i++) {
		if (ready[i].base && ready[i].map_len - ready[i].heap_off == reserve)
			break;
		if (ready[i].base)
			drop(i);
	}
	return i < end ? i : READY_MOST;
}

int ready_take(uint64_t id, const struct ipc_type *t, uint64_t reserve,
	       const struct ipc_defaults *defaults, struct ipc_obj *ret)
{
	unsigned int i = find(t, reserve);
	int64_t bytes;
	int r;

	if (i == READY_MOST)
		return -ENOENT;
	bytes = (int64_t)(1 + ready[i].pages) * IPC_PAGE;
	r = fs.env.account(&fs.env, bytes, false);
	if (r < 0)
		return r;
	if (!ready[i].base) /* (to find room for it) */
		r = -ENOENT;
	if (r == 0)
		ipc_renew(&ready[i], id, t, defaults);
	if (r == 0 && (ready[i].damage || renameat(fs.objects_fd, state_ready(i).s, fs.objects_fd,
						   state_engine(id).s) < 0)) {
		drop(i);
		r = -ENOENT;
	}
	if (r < 0) {
		fs.env.account(&fs.env, -bytes, true);
		return r;
	}
	*ret = ready[i];
	ready[i].base = NULL;
	return 0;
}

bool ready_bus_error(uintptr_t page)
{
	for (unsigned int i = 0; i < READY_MOST; i++)
		if (files_zero_page(&ready[i], page)) {
			ready[i].damage = "its file was truncated";
			return true;
		}
	return false;
}

bool ready_drop(void)
{
	bool any = false;

	for (unsigned int i = 0; i < READY_MOST; i++)
		if (ready[i].base) {
			drop(i);
			any = true;
		}
	return any;
}

void ready_sweep(void)
{
	for (unsigned int i = 0; i < READY_MOST; i++) {
		struct state_name name = state_ready(i);
		struct stat st;

		if (!ready[i].base && fstatat(fs.objects_fd, name.s, &st, AT_SYMLINK_NOFOLLOW) == 0)
			unlinkat(fs.objects_fd, name.s, 0);
	}
}
