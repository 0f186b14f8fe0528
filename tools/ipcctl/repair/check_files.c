// SPDX-License-Identifier: MIT
/* ipcctl check, off-line: the files of a state directory, and messages about them. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "object/damage.h"
#include "repair/check_parts.h"
#include "util.h"

int item_order(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* Changes to this mapping are private; behind the end of the file it has zeros. */
static int make_private(struct ipc_obj *o, int fd)
{
	int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;
	struct stat st;
	size_t len;

	if (fstat(fd, &st) < 0)
		return -errno;
	len = ((size_t)st.st_size + IPC_PAGE - 1) / IPC_PAGE * IPC_PAGE;
	if (mmap(o->base, o->map_len, prot, flags | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ||
	    mmap(o->base, len < o->map_len ? len : o->map_len, prot, flags, fd, 0) == MAP_FAILED)
		return -errno;
	return 0;
}

int state_map(struct state *s, int dir, const char *name, bool private, struct ipc_obj *ret)
{
	int fd CLEANUP(close_fd) = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	int r = fd < 0 ? -errno : ipc_map(&s->env, fd, ret);

	if (r == 0 && private)
		r = make_private(ret, fd);
	if (r < 0)
		return r;
	ret->h->m.lock = 0; /* no process is running that could have it */
	damage_unmark(ret); /* we check ourselves */
	r = obj_lock(ret, 0);
	if (r < 0 && ret->damage)
		return 0; /* ipc_check() says why */
	if (r < 0)
		obj_unmap(ret);
	return r;
}

void state_unmap(struct ipc_obj *o)
{
	if (o->locked)
		obj_unlock(o);
	obj_unmap(o);
}

const char *state_error(int r)
{
	return r == -ENOENT ? "its file is missing" :
	       r == -EPROTO ? "its file was made by another version of ipcfs" :
	       r == -EIO    ? "its file has no valid header, or was truncated" :
			      strerror(-r);
}

struct item *state_find(struct state *s, uint64_t id)
{
	struct item key = { .id = id };

	return s->n ? bsearch(&key, s->items, s->n, sizeof(key), item_order) : NULL;
}

static char *item_path(struct state *s, const struct item *it)
{
	char *path = xstrdup(it->name);
	unsigned int depth = 0;

	while (it && (it = state_find(s, it->parent)) && it->id != IPC_ROOT_ID && depth++ < 1000) {
		char *longer = str("%s/%s", it->name, path);

		free(path);
		path = longer;
	}
	return path;
}

void state_say(struct state *s, const struct item *it, const char *what)
{
	char *path CLEANUP(free_string) = item_path(s, it);
	char *shown CLEANUP(free_string) = printable(path, false);

	printf("%s: %s\n", shown, what);
}

static int id_order(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The ids that have an engine file. */
size_t state_files(struct state *s, uint64_t **ret)
{
	int fd = openat(s->objects, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	size_t n = 0;

	*ret = NULL;
	while (dir && (e = readdir(dir))) {
		uint64_t id;
		bool data;

		if (!state_is_of(e->d_name, &id, &data) || data)
			continue;
		*ret = xrealloc(*ret, (n + 1) * sizeof(**ret));
		(*ret)[n++] = id;
	}
	if (dir)
		closedir(dir);
	if (n)
		qsort(*ret, n, sizeof(**ret), id_order);
	return n;
}

int state_put_aside(struct state *s, struct state_name name)
{
	char *aside CLEANUP(free_string) = str("%s" STATE_DAMAGED, name.s);

	return renameat(s->objects, name.s, s->objects, aside) < 0 && errno != ENOENT ? -errno : 0;
}
