// SPDX-License-Identifier: MIT
/*
 * ipcctl check, off-line: every engine file of a state directory.
 *
 * Checks work on private mappings of the files (copy on write), so that rolling back what a dead
 * process left half done changes nothing. Only --repair writes, and only to files that are sound;
 * damaged ones are moved aside whole, for whoever can make use of them.
 */
#include "repair/check_state.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "object/damage.h"
#include "object/engine.h"
#include "names/names.h"
#include "object/type.h"
#include "util.h"

struct item { /* a node of the namespace */
	uint64_t id, parent;
	uint32_t type, mode, uid, gid;
	ref_t ref;
	char *name;
};

struct state {
	int dir, objects; /* the directory is locked while we look */
	bool repair;
	struct item *items; /* by id */
	size_t n;
	uint64_t memory_limit;
	struct ipc_env env;
	struct check_result *result;
};

static char *file_name(uint64_t id, const char *suffix)
{
	return str("%llu%s", (unsigned long long)id, suffix);
}

/* ---- one file ---- */

/* Changes of this mapping are nobody's but ours; behind the file's end are zeros. */
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

static int map(struct state *s, int dir, const char *name, bool private, struct ipc_obj *ret)
{
	int fd CLEANUP(close_fd) = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	int r = fd < 0 ? -errno : ipc_map(&s->env, fd, ret);

	if (r == 0 && private)
		r = make_private(ret, fd);
	if (r < 0)
		return r;
	ret->h->m.lock = 0; /* nobody runs who could have it */
	damage_unmark(ret); /* we look ourselves */
	r = obj_lock(ret, 0);
	if (r < 0 && ret->damage)
		return 0; /* ipc_check() says why */
	if (r < 0)
		obj_unmap(ret);
	return r;
}

static void unmap(struct ipc_obj *o)
{
	if (o->locked)
		obj_unlock(o);
	obj_unmap(o);
}

static const char *map_error(int r)
{
	return r == -ENOENT ? "its file is missing" :
	       r == -EPROTO ? "its file was made by another version of ipcfs" :
	       r == -EIO    ? "its file has no valid header, or was truncated" :
			      strerror(-r);
}

/* ---- the namespace ---- */

static int by_id(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static struct item *find(struct state *s, uint64_t id)
{
	struct item key = { .id = id };

	return bsearch(&key, s->items, s->n, sizeof(key), by_id);
}

static char *item_path(struct state *s, const struct item *it)
{
	char *path = xstrdup(it->name);
	unsigned int depth = 0;

	while (it && (it = find(s, it->parent)) && it->id != IPC_ROOT_ID && depth++ < 1000) {
		char *longer = str("%s/%s", it->name, path);

		free(path);
		path = longer;
	}
	return path;
}

static void say(struct state *s, const struct item *it, const char *what)
{
	char *path CLEANUP(free_string) = item_path(s, it);
	char *shown CLEANUP(free_string) = printable(path, false);

	printf("%s: %s\n", shown, what);
}

static void collect(struct state *s, struct ipc_obj *m)
{
	struct ipc_mount *b = &m->h->b.mount;

	s->memory_limit = b->memory_limit;
	s->items = xrealloc(NULL, (b->nodes.count + 1) * sizeof(*s->items));
	LIST_EACH(m, &b->nodes, r) {
		struct ipc_node *n = node_at(m, r);

		s->items[s->n++] = (struct item){
			.id = n->id,
			.parent = n->parent,
			.type = n->type,
			.mode = n->mode,
			.uid = n->uid,
			.gid = n->gid,
			.ref = r,
			.name = xstrdup(n->name),
		};
	}
	qsort(s->items, s->n, sizeof(*s->items), by_id);
}

static int id_order(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The ids that have an engine file. */
static size_t list_files(struct state *s, uint64_t **ret)
{
	int fd = openat(s->objects, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	size_t n = 0;

	*ret = NULL;
	while (dir && (e = readdir(dir))) {
		uint64_t id;

		if (parse_u64(e->d_name, &id) < 0)
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

/* The names are lost: each object whose file is there gets one in the root. */
static int rebuild(struct state *s)
{
	struct ipc_new_node root = {
		.type = IPC_DIR, .mode = 0755, .uid = geteuid(), .gid = getegid(), .name = ""
	};
	uint64_t *ids, epoch = 0;
	size_t n = list_files(s, &ids);
	struct ipc_obj m;
	ref_t ref;
	int r = renameat(s->dir, "mount", s->dir, "mount.damaged") < 0 && errno != ENOENT ? -errno :
											    0;

	if (r == 0)
		r = ipc_create(&s->env, s->dir, "mount", 0, &ipc_mount_type,
			       ipc_reserve(&ipc_mount_type, 4ull << 30), NULL);
	if (r == 0)
		r = map(s, s->dir, "mount", false, &m);
	if (r < 0)
		goto out;
	r = names_add(&m, &root, &ref);
	for (size_t i = 0; i < n && r == 0; i++) {
		char *file CLEANUP(free_string) = file_name(ids[i], "");
		char *name CLEANUP(free_string) = NULL;
		struct ipc_new_node node = {
			.parent = IPC_ROOT_ID, .mode = 0600, .uid = geteuid(), .gid = getegid()
		};
		struct ipc_obj o;

		if (ids[i] <= IPC_ROOT_ID || map(s, s->objects, file, true, &o) < 0)
			continue;
		node.type = o.type;
		epoch = o.h->epoch > epoch ? o.h->epoch : epoch;
		unmap(&o);
		if (!ipc_type_of(node.type)->suffix)
			continue;
		name = str("recovered-%s%s", file, ipc_type_of(node.type)->suffix);
		node.name = name;
		node.name_len = strlen(name);
		names_use_id(&m, ids[i]);
		r = names_add(&m, &node, &ref);
		printf("%s: was object %s, and has lost its name\n", name, file);
	}
	names_epoch(&m, epoch);
	unmap(&m);
out:
	free(ids);
	return r;
}

static int check_names(struct state *s, const char *dir)
{
	struct ipc_check k = { 0 };
	struct ipc_obj m;
	int r = map(s, s->dir, "mount", true, &m);

	if (r == -EPROTO) {
		complain(dir, "was made by another version of ipcfs; this one cannot check it");
		return r;
	}
	if (r == 0 && ipc_check(&m, &k) == 0 && !m.damage) {
		collect(s, &m);
		unmap(&m);
		return 0;
	}
	printf("the namespace: %s\n", r < 0 ? map_error(r) : k.why ? k.why : m.damage);
	if (r == 0)
		unmap(&m);
	s->result->damaged++;
	if (!s->repair)
		return -EIO;
	r = rebuild(s);
	if (r == 0)
		r = map(s, s->dir, "mount", true, &m);
	if (r < 0) {
		complain(dir, "cannot make a new namespace: %s", strerror(-r));
		return r;
	}
	s->result->repaired++;
	printf("the namespace: recreated, the old one is mount.damaged; "
	       "names, folders, owners and modes are lost\n");
	collect(s, &m);
	unmap(&m);
	return 0;
}

/* ---- objects ---- */

static void set_mode(struct state *s, const struct item *it, const char *name)
{
	uint32_t mode = geteuid() ? 0600 : 0;

	for (unsigned int shift = 0; shift <= 6; shift += 3)
		if ((it->mode >> shift & 6) == 6)
			mode |= 6u << shift;
	if (fchownat(s->objects, name, it->uid, it->gid, AT_SYMLINK_NOFOLLOW) < 0 && geteuid() == 0)
		complain(name, "%s", strerror(errno));
	fchmodat(s->objects, name, mode, 0);
}

static int put_aside(struct state *s, uint64_t id, const char *suffix)
{
	char *name CLEANUP(free_string) = file_name(id, suffix);
	char *aside CLEANUP(free_string) = str("%s.damaged", name);

	return renameat(s->objects, name, s->objects, aside) < 0 && errno != ENOENT ? -errno : 0;
}

/* An empty object of the same type; what was there stays as ID.damaged. */
static int replace(struct state *s, const struct item *it)
{
	char *name CLEANUP(free_string) = file_name(it->id, "");
	char *data CLEANUP(free_string) = file_name(it->id, ".data");
	const struct ipc_type *t = ipc_type_of_node(it->type);
	int r = t ? put_aside(s, it->id, "") : -EINVAL;

	if (r == 0)
		r = ipc_create(&s->env, s->objects, name, it->id, t,
			       ipc_reserve(t, s->memory_limit), NULL);
	if (r < 0)
		return r;
	set_mode(s, it, name);
	if (t->traits & TYPE_MEMORY) {
		int fd CLEANUP(close_fd) = -1;

		r = put_aside(s, it->id, ".data");
		fd = openat(s->objects, data, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		set_mode(s, it, data);
	}
	return r;
}

/* Sound: close what the last mount left open. */
static int drop_handles(struct state *s, const struct item *it)
{
	char *name CLEANUP(free_string) = file_name(it->id, "");
	char *text CLEANUP(free_string) = NULL;
	struct ipc_obj o;
	uint32_t n;
	int r = map(s, s->objects, name, false, &o);

	if (r < 0)
		return r;
	n = o.h->handles.count;
	ipc_close_all(&o);
	ipc_pump(&o);
	r = o.damage ? -EIO : 0;
	unmap(&o);
	if (n && r == 0) {
		text = str("%u handles of dead processes closed", n);
		say(s, it, text);
	}
	return r;
}

/* What is wrong with it; NULL: nothing. *ret_messages: how many it said to have. */
static const char *look(struct state *s, const struct item *it, uint64_t *ret_messages)
{
	char *name CLEANUP(free_string) = file_name(it->id, "");
	char *data CLEANUP(free_string) = file_name(it->id, ".data");
	const struct ipc_type *t = ipc_type_of_node(it->type);
	struct ipc_check k = { 0 };
	struct ipc_obj o;
	int r = map(s, s->objects, name, true, &o);

	*ret_messages = 0;
	if (r < 0)
		return map_error(r);
	if (o.id != it->id || o.ops != t)
		k.why = "its file is another object's";
	else if (ipc_check(&o, &k) < 0 && ipc_is_stream(t))
		*ret_messages = (uint64_t)o.h->b.queue.mq[0].count + o.h->b.queue.mq[1].count;
	if (!k.why && t->traits & TYPE_MEMORY && faccessat(s->objects, data, F_OK, 0) < 0)
		k.why = "its data is missing";
	unmap(&o);
	return k.why;
}

static void check_object(struct state *s, const struct item *it)
{
	char *text CLEANUP(free_string) = NULL;
	uint64_t messages;
	const char *why = look(s, it, &messages);
	int r;

	s->result->objects++;
	if (!why && (!s->repair || drop_handles(s, it) == 0))
		return;
	s->result->damaged++;
	say(s, it, why ? why : "it turns out damaged when its handles are closed");
	if (!s->repair)
		return;
	r = replace(s, it);
	if (r == 0)
		s->result->repaired++;
	text = r < 0 ? str("cannot be repaired: %s", strerror(-r)) :
	       messages ?
		       str("is now empty; up to %llu messages are lost (objects/%llu.damaged)",
			   (unsigned long long)messages, (unsigned long long)it->id) :
		       str("is now empty; its content and settings are lost (objects/%llu.damaged)",
			   (unsigned long long)it->id);
	say(s, it, text);
}

static void check_files(struct state *s)
{
	uint64_t *ids;
	size_t n = list_files(s, &ids);

	for (size_t i = 0; i < n; i++) {
		if (find(s, ids[i]))
			continue;
		s->result->damaged++;
		printf("objects/%llu: no name refers to it\n", (unsigned long long)ids[i]);
		if (!s->repair || put_aside(s, ids[i], "") < 0 || put_aside(s, ids[i], ".data") < 0)
			continue;
		s->result->repaired++;
		printf("objects/%llu: moved to objects/%llu.damaged\n", (unsigned long long)ids[i],
		       (unsigned long long)ids[i]);
	}
	free(ids);
}

/* A name in a folder that is not there goes into the root. */
static void check_parent(struct state *s, const struct item *it)
{
	char *name CLEANUP(free_string) = NULL;
	struct ipc_obj m;
	ref_t ref;

	if (!it->parent || find(s, it->parent))
		return;
	s->result->damaged++;
	say(s, it, "its folder is missing");
	if (!s->repair || map(s, s->dir, "mount", false, &m) < 0)
		return;
	name = str("recovered-%llu-%.200s", (unsigned long long)it->id, it->name);
	if (names_move(&m, it->ref, IPC_ROOT_ID, name, strlen(name), 0, 0, &ref) == 0) {
		s->result->repaired++;
		printf("%s: is its name now\n", name);
	}
	unmap(&m);
}

static int open_state(struct state *s, const char *dir)
{
	bool has_names;
	int r;

	s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0) {
		r = -errno;
		complain(dir, "%s", strerror(-r));
		return r;
	}
	if (flock(s->dir, LOCK_EX | LOCK_NB) < 0) {
		complain(dir, "is in use; check the mount point instead, or unmount it first");
		return -EBUSY;
	}
	has_names = faccessat(s->dir, "mount", F_OK, 0) == 0;
	if (s->repair && has_names && mkdirat(s->dir, "objects", 0700) == 0)
		printf("objects/: was missing, and is now empty\n");
	s->objects = openat(s->dir, "objects", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->objects < 0) {
		r = -errno;
		complain(dir,
			 r != -ENOENT ? "objects: %s" :
			 has_names    ? "objects/ is missing" :
					"neither an ipcfs mount nor a state directory",
			 strerror(-r));
		return r;
	}
	s->env.dirfd = s->objects;
	return 0;
}

int check_state(const char *dir, bool repair, struct check_result *ret)
{
	struct state s = { .dir = -1,
			   .objects = -1,
			   .repair = repair,
			   .result = ret,
			   .memory_limit = 1ull << 30 };
	int r = open_state(&s, dir);

	if (r == 0)
		r = check_names(&s, dir);
	for (size_t i = 0; i < s.n && r == 0; i++) {
		if (s.items[i].id == IPC_ROOT_ID)
			continue;
		check_parent(&s, &s.items[i]);
		if (s.items[i].type != IPC_DIR)
			check_object(&s, &s.items[i]);
	}
	if (r == 0)
		check_files(&s);
	for (size_t i = 0; i < s.n; i++)
		free(s.items[i].name);
	free(s.items);
	close_fd(&s.objects);
	close_fd(&s.dir);
	return r;
}
