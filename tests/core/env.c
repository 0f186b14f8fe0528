/* SPDX-License-Identifier: MIT */
/* Objects in a fresh folder, with memory that is counted and can be refused. */
#define _GNU_SOURCE
#include "file/heap.h"
#include "file/log.h"
#include "env.h"

#include <fcntl.h>
#include <unistd.h>

#include "file/statedir.h"
#include "test.h"

#define OBJECTS 32
#define FILLERS 65536

struct test_env env;

static struct ipc_obj *objs[OBJECTS];
static int n_objs;
static char folder[256];
static ref_t fillers[FILLERS];
static unsigned int n_fillers;

static int account(struct ipc_env *e, int64_t bytes, bool essential)
{
	struct test_env *t = (struct test_env *)e;

	if (bytes > 0) {
		if (__atomic_add_fetch(&t->calls, 1, __ATOMIC_RELAXED) == t->fail_at)
			return -ENOSPC;
		if (t->limit && !essential && t->used + bytes > t->limit)
			return -ENOSPC;
	}
	__atomic_add_fetch(&t->used, bytes, __ATOMIC_RELAXED);
	return 0;
}

static void damaged(struct ipc_env *e, struct ipc_obj *o, const char *why)
{
	(void)o;
	((struct test_env *)e)->damage = why;
}

static void begin(const char *test)
{
	const char *shm = getenv("IPCFS_TEST_SHM");

	(void)test;
	env = (struct test_env){ .env = { .account = account, .damaged = damaged } };
	snprintf(folder, sizeof(folder), "%s/ipcfs-core.XXXXXX", shm ? shm : STATE_SHM);
	if (!mkdtemp(folder)) {
		strcpy(folder, "/tmp/ipcfs-core.XXXXXX");
		if (!mkdtemp(folder)) {
			perror(folder);
			exit(2);
		}
	}
	env.env.dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	n_fillers = 0;
}

/* All objects are sound. */
static void verify(void)
{
	for (int i = 0; i < n_objs; i++)
		if (!objs[i]->damage && objs[i]->locked)
			obj_ok(objs[i], "at the end");
}

static void end(void)
{
	char name[300];

	for (int i = 0; i < n_objs; i++) {
		unsigned long long id = objs[i]->id;

		if (objs[i]->locked)
			obj_unlock(objs[i]);
		obj_unmap(objs[i]);
		free(objs[i]);
		snprintf(name, sizeof(name), "%s/%llu", folder, id);
		unlink(name);
	}
	n_objs = 0;
	close(env.env.dirfd);
	rmdir(folder);
}

const struct fixture fixture = { .begin = begin, .verify = verify, .end = end };

jmp_buf *fault_jump;

void ipc_fault(void)
{
	if (fault_jump)
		longjmp(*fault_jump, 1);
	_exit(FAULT_EXIT);
}

static struct ipc_obj *map_it(uint64_t id)
{
	struct ipc_obj *o = calloc(1, sizeof(*o));
	char name[24];
	int fd;

	CHECK(n_objs < OBJECTS);
	snprintf(name, sizeof(name), "%llu", (unsigned long long)id);
	fd = openat(env.env.dirfd, name, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_INT(ipc_map(&env.env, fd, o), 0);
	/* The mount's file has no number: let heap_grow() use the descriptor. */
	if (o->type == IPC_MOUNT)
		o->fd = fd;
	else
		close(fd);
	objs[n_objs++] = o;
	return o;
}

struct ipc_obj *obj_new_reserve(uint32_t type, uint64_t reserve)
{
	uint64_t id = (uint64_t)n_objs + 1;
	struct ipc_obj *o;
	char name[24];

	snprintf(name, sizeof(name), "%llu", (unsigned long long)id);
	CHECK_INT(ipc_create(&env.env, env.env.dirfd, name, id, ipc_type_of(type), reserve, NULL),
		  0);
	o = map_it(id);
	CHECK_INT(obj_lock(o, -1), 0);
	return o;
}

struct ipc_obj *obj_new(uint32_t type)
{
	return obj_new_reserve(type, 16 << 20);
}

struct ipc_obj *obj_again(const struct ipc_obj *o)
{
	return map_it(o->id);
}

void obj_ok(struct ipc_obj *o, const char *when)
{
	struct ipc_check k;

	if (o->h->log_len)
		test_fail(__FILE__, __LINE__, "%s: a change is under way", when);
	if (ipc_check(o, &k) < 0)
		test_fail(__FILE__, __LINE__, "%s: %s (%llu blocks)", when, k.why,
			  (unsigned long long)k.blocks);
}

void heap_fill(struct ipc_obj *o)
{
	n_fillers = 0;
	for (size_t size = 65536; size >= 32; size -= size > 2048 ? size / 2 : 16)
		for (ref_t r; n_fillers < FILLERS && (r = heap_alloc(o, size));) {
			fillers[n_fillers++] = r;
			commit(o);
		}
	obj_rollback(o);
}

void heap_unfill(struct ipc_obj *o)
{
	for (unsigned int i = n_fillers; i-- > 0;) {
		heap_free(o, fillers[i]);
		commit(o);
	}
}
