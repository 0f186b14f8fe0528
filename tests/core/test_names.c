/* SPDX-License-Identifier: MIT */
/* The namespace, and types by name. */
#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "names/names.h"
#include "test.h"

#define M(o) (&(o)->h->b.mount)

static ref_t add(struct ipc_obj *m, uint64_t parent, const char *name, uint32_t type)
{
	struct ipc_new_node n = {
		.parent = parent,
		.type = type,
		.mode = 0640,
		.uid = 1,
		.gid = 2,
		.name = name,
		.name_len = strlen(name),
		.unique = 9,
	};
	ref_t r;

	CHECK_INT(names_add(m, &n, &r), 0);
	return r;
}

TEST(names)
{
	struct ipc_obj *m = obj_new(IPC_MOUNT);
	ref_t root = add(m, 0, "", IPC_DIR), dir = add(m, 1, "dir", IPC_DIR);
	ref_t q = add(m, 1, "a.queue", IPC_QUEUE), p = add(m, 2, "b.pipe", IPC_TWOWAY), moved;

	CHECK_INT(node_at(m, root)->id, IPC_ROOT_ID);
	CHECK_INT(names_next_id(m), 5);
	CHECK_INT(M(m)->objects, 2);
	CHECK_INT(M(m)->unique, 9);
	CHECK_INT(M(m)->result_id, 4);
	CHECK_STR(node_at(m, q)->name, "a.queue");
	CHECK(node_at(m, q)->cookie > node_at(m, dir)->cookie);
	names_chmod(m, q, 0600, 5, 6);
	CHECK_INT(node_at(m, q)->mode, 0600);
	names_active(m, q, true);
	CHECK_INT(names_move(m, q, 2, "a-much-longer-name-than-before.queue", 36, 0, 10, &moved),
		  0);
	CHECK_INT(node_at(m, moved)->id, 3);
	CHECK_INT(node_at(m, moved)->parent, 2);
	CHECK_INT(node_at(m, moved)->active, 1);
	CHECK_INT(node_at(m, moved)->uid, 5);
	CHECK_INT(M(m)->nodes, 4);
	obj_ok(m, "moved");
	names_remove(m, p, true, 11);
	CHECK_INT(node_at(m, p)->parent, 0);
	CHECK_INT(M(m)->objects, 2);
	names_remove(m, p, false, 12);
	CHECK_INT(M(m)->objects, 1);
	CHECK_INT(names_next_id(m), 5);
}

TEST(names_many)
{
	struct ipc_obj *m = obj_new(IPC_MOUNT);
	char name[300];
	ref_t r[500], alias, root = add(m, 0, "", IPC_DIR);

	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "%0*d.sem", 1 + i % 250, i);
		r[i] = add(m, 1, name, IPC_SEM);
	}
	CHECK_INT(alias_add(m, 3, -1, 77, &alias), 0);
	CHECK_INT(alias_at(m, alias)->nodeid, 3);
	obj_ok(m, "with many names");
	for (int i = 0; i < 500; i++)
		names_remove(m, r[i * 7 % 500], false, 0);
	alias_remove(m, alias);
	CHECK_INT(M(m)->nodes, 1);
	CHECK_INT(AT(m, ipc_dir, node_at(m, root)->dir)->entries, 0);
	CHECK(M(m)->buckets <= 8);
}

TEST(names_no_memory)
{
	struct ipc_obj *m = obj_new(IPC_MOUNT);
	struct ipc_new_node n = { .parent = 1, .type = IPC_SEM, .name = "a.sem", .name_len = 5 };
	char name[24];
	ref_t r = 7, other;
	uint64_t id;
	int e;

	add(m, 0, "", IPC_DIR);
	env.limit = 1;
	do {
		snprintf(name, sizeof(name), "%llu.sem", (unsigned long long)names_next_id(m));
		n.name = name;
		n.name_len = strlen(name);
		id = names_next_id(m);
		e = names_add(m, &n, &other);
	} while (e == 0 && id < 10000);
	CHECK_INT(e, -ENOSPC);
	CHECK_INT(names_next_id(m), id);
	CHECK(!names_find(m, 1, name, strlen(name)));
	obj_ok(m, "full");
	while (heap_alloc(m, sizeof(struct ipc_alias)))
		;
	obj_rollback(m);
	env.fail_at = env.calls + 1;
	while (!env.calls || env.calls < env.fail_at)
		if ((e = alias_add(m, 1, 0, 77, &r)) < 0)
			break;
	CHECK_INT(e, -ENOSPC);
	id = M(m)->aliases.count;
	/* Beyond the limit what is there can still be opened. */
	CHECK_INT(alias_add(m, 1, 0, 77, &r), 0);
	CHECK_INT(M(m)->aliases.count, id + 1);
}

TEST(names_in_a_directory_that_is_not_there)
{
	struct ipc_obj *m = obj_new(IPC_MOUNT);
	struct ipc_new_node n = { .parent = 7, .type = IPC_SEM, .name = "a.sem", .name_len = 5 };
	ref_t root = add(m, 0, "", IPC_DIR), r = add(m, 1, "b.sem", IPC_SEM);

	CHECK_INT(names_add(m, &n, &r), -ENOENT);
	n.parent = 2; /* an object */
	CHECK_INT(names_add(m, &n, &r), -ENOENT);
	n.parent = 0; /* there is one root */
	CHECK_INT(names_add(m, &n, &r), -ENOENT);
	CHECK_INT(names_next_id(m), 3);
	CHECK_INT(names_move(m, r, 2, "c.sem", 5, 0, 0, &r), -ENOENT);
	CHECK(names_find(m, 1, "b.sem", 5) == r && names_next(m, root, 0) == r);
}

/* Wherever READDIR goes on, also behind what has gone: all that come behind, in order, once. */
TEST(names_listed_from_anywhere)
{
	struct ipc_obj *m = obj_new(IPC_MOUNT);
	ref_t root = add(m, 0, "", IPC_DIR), dir = add(m, 1, "dir", IPC_DIR), r;
	uint64_t first = M(m)->next_cookie;
	bool gone[3000] = { false };
	char name[24];
	unsigned int seed = 1;

	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "%d.sem", i);
		add(m, 2, name, IPC_SEM);
	}
	for (int i = 0; i < 2500; i++) {
		int k = rand_r(&seed) % 3000;

		snprintf(name, sizeof(name), "%d.sem", k);
		r = names_find(m, 2, name, strlen(name));
		CHECK(!r == gone[k]);
		if (r)
			names_remove(m, r, k % 2, 0);
		gone[k] = true;
	}
	obj_ok(m, "with gaps");
	for (int i = -1; i < 3000; i += 1 + rand_r(&seed) % 7) {
		int k = i;

		for (r = names_after(m, dir, first + i); r; r = names_next(m, dir, r)) {
			while (gone[++k])
				;
			CHECK_INT(node_at(m, r)->cookie, first + k);
		}
		while (++k < 3000)
			CHECK(gone[k]);
	}
	CHECK_INT(names_after(m, root, 0), dir);
	CHECK_INT(names_after(m, root, UINT64_MAX), 0);
}

/* The index follows, up and down, and what it took comes back. */
TEST(names_come_and_go)
{
	struct ipc_obj *m = obj_new(IPC_MOUNT);
	char name[24];
	uint64_t held;

	add(m, 0, "", IPC_DIR);
	held = heap_held(m);
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "%d.sem", i);
		add(m, 1, name, IPC_SEM);
	}
	obj_ok(m, "with all");
	CHECK_INT(M(m)->buckets, M(m)->nodes);
	CHECK(heap_held(m) - held < 20000 * 170);
	for (uint64_t id = 2; id < 20002; id++) {
		snprintf(name, sizeof(name), "%d.sem", (int)id - 2);
		CHECK_INT(names_find(m, 1, name, strlen(name)), names_by_id(m, id));
		names_remove(m, names_by_id(m, id), false, 0);
		if (id % 5000 == 0)
			obj_ok(m, "with some");
	}
	CHECK_INT(M(m)->nodes, 1);
	CHECK(M(m)->buckets <= 8);
	CHECK(heap_held(m) < 4 << 20);
}

TEST(generations_never_zero)
{
	struct ipc_obj *m = obj_new(IPC_MOUNT);
	ref_t alias;

	CHECK_INT(names_next_gen(m), 1);
	CHECK_INT(names_next_gen(m), 2);
	M(m)->next_gen = NAMES_GEN_MOST;
	CHECK_INT(names_next_gen(m), NAMES_GEN_MOST);
	CHECK_INT(names_next_gen(m), 1);
	M(m)->next_gen = NAMES_GEN_MOST + 1; /* as an earlier version may have left it */
	CHECK_INT(names_next_gen(m), 1);
	M(m)->next_gen = NAMES_GEN_MOST;
	CHECK_INT(alias_add(m, 1, 0, 0, &alias), 0);
	CHECK_INT(alias_at(m, alias)->gen, NAMES_GEN_MOST);
	CHECK_INT(names_next_gen(m), 1);
}

TEST(type_names)
{
	CHECK(ipc_type_by_name("a.queue", 7) == &ipc_queue_type);
	CHECK(ipc_type_by_name("a.lock", 6) == &ipc_lock_type);
	CHECK(!ipc_type_by_name(".queue", 6)); /* nothing but a suffix */
	CHECK(!ipc_type_by_name("queue", 5) && !ipc_type_by_name("a.queue.x", 9) &&
	      !ipc_type_by_name("", 0));
	CHECK(ipc_type_of_node(IPC_TWOWAY) == &ipc_pipe_type);
	CHECK(!ipc_type_of_node(IPC_DIR) && !ipc_type_of_node(IPC_MOUNT) &&
	      !ipc_type_of_node(1000));
	CHECK(!ipc_type_of(0) && !ipc_type_of(1000));
	for (uint32_t id = 0; id < 100; id++)
		CHECK(!ipc_type_of(id) || ipc_type_of(id)->id == id);
}
