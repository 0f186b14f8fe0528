/* SPDX-License-Identifier: MIT */
/* The namespace, and types by name. */
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
	CHECK_INT(M(m)->nodes.count, 4);
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
	ref_t r[500], alias;

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
	CHECK_INT(M(m)->nodes.count, 0);
}

TEST(names_no_memory)
{
	struct ipc_obj *m = obj_new(IPC_MOUNT);
	struct ipc_new_node n = { .parent = 1, .type = IPC_SEM, .name = "a.sem", .name_len = 5 };
	ref_t r = 7;

	env.limit = 1;
	CHECK_INT(names_add(m, &n, &r), -ENOSPC);
	env.fail_at = env.calls + 1;
	CHECK_INT(alias_add(m, 1, 0, 77, &r), -ENOSPC);
	CHECK_INT(r, 7);
	CHECK_INT(M(m)->next_id, 1);
	CHECK_INT(M(m)->aliases.count, 0);
	/* Beyond the limit what is there can still be opened. */
	CHECK_INT(alias_add(m, 1, 0, 77, &r), 0);
}

TEST(generations_never_zero)
{
	struct ipc_obj *m = obj_new(IPC_MOUNT);

	CHECK_INT(names_next_gen(m), 1);
	CHECK_INT(names_next_gen(m), 2);
	M(m)->next_gen = UINT32_MAX;
	CHECK_INT(names_next_gen(m), UINT32_MAX);
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
