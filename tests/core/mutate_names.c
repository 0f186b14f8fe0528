/* SPDX-License-Identifier: MIT */
/* The mount file for mutate.c: a tree of names, and all that the daemon does to it. */
#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "names/index.h"
#include "mutate.h"
#include "object/engine.h"

#define NODES 12

static struct ipc_obj *m;
static ref_t nodes[NODES]; /* the root, two directories, objects; the last has no name */
static ref_t alias;

static ref_t add(uint64_t parent, const char *name, uint32_t type)
{
	struct ipc_new_node n = {
		.parent = parent, .type = type, .name = name, .name_len = strlen(name), .unique = 5
	};
	ref_t r = 0;

	names_add(m, &n, &r);
	return r;
}

/* At least one entry is in several levels. */
unsigned int mutate_names_fill(struct ipc_obj *o, ref_t *ret, unsigned int n)
{
	char name[24];

	m = o;
	MOUNT(m)->key[0] = MOUNT(m)->key[1] = 1;
	nodes[0] = add(0, "", IPC_DIR);
	nodes[1] = add(1, "dir", IPC_DIR);
	nodes[2] = add(2, "deeper", IPC_DIR);
	nodes[3] = add(1, "two.pipe", IPC_TWOWAY);
	for (unsigned int i = 4; i < NODES; i++) {
		while (i == 5 && order_height(m, MOUNT(m)->next_cookie) < 3)
			names_remove(m, add(2, "gone.sem", IPC_SEM), false, 0);
		snprintf(name, sizeof(name), "%u.queue", i);
		nodes[i] = add(i == 4 ? 1 : 1 + i % 3, name, IPC_QUEUE);
	}
	names_active(m, nodes[6], true);
	names_remove(m, nodes[NODES - 1], true, 0);
	CHECK_INT(alias_add(m, 4, -1, 77, &alias), 0);
	memcpy(ret, nodes, n * sizeof(*ret));
	return n;
}

/* As the daemon, which knows an inode by its id. */
static ref_t node(unsigned int i)
{
	return names_by_id(m, 1 + i % NODES);
}

static void op_find(unsigned int i)
{
	char name[24];

	snprintf(name, sizeof(name), "%u.queue", i % NODES);
	for (uint64_t dir = 1; dir < 5 && !m->damage; dir++)
		names_find(m, dir, name, strlen(name));
	names_find(m, 1, "dir", 3);
}

static void list(ref_t dir, uint64_t cookie)
{
	size_t len, sum = 0;

	for (ref_t r = names_after(m, dir, cookie); r && !m->damage; r = names_next(m, dir, r))
		sum += strlen(name_at(m, r, &len)) + len;
	CHECK(sum < 1 << 30);
}

static void op_list(unsigned int i)
{
	for (uint64_t id = 1; id <= NODES && !m->damage; id++) {
		ref_t r = names_by_id(m, id);

		if (r && node_at(m, r)->type == IPC_DIR) {
			list(r, 0);
			list(r, 16 + i % (2 * NODES));
		}
	}
}

static void op_in_use(unsigned int i)
{
	ref_t r = node(i);

	if (r && node_at(m, r)->type != IPC_DIR)
		names_active(m, r, i % 2);
	LIST_EACH(m, &MOUNT(m)->active, e)
		names_by_id(m, node_at(m, e)->id);
}

static void op_add(unsigned int i)
{
	char name[80];

	snprintf(name, sizeof(name), "%s-%u.event", i % 3 ? "new" : "with-a-rather-long-name", i);
	add(1 + i % 3, name, IPC_EVENT);
	add(1 + i % 2, name, IPC_DIR);
}

static void op_move(unsigned int i)
{
	ref_t r = node(i), gone = node(i + 3), moved;

	if (!r || r == nodes[0] || !node_at(m, r)->parent || m->damage)
		return;
	if (!gone || gone == r || i % 2 || node_at(m, gone)->type != node_at(m, r)->type)
		gone = 0;
	names_move(m, r, 1 + i % 3, "moved", 5, gone, 8, &moved);
}

static void op_remove(unsigned int i)
{
	ref_t r = node(i);

	if (r && r != nodes[0])
		names_remove(m, r, i % 2, 9);
}

static void op_chmod(unsigned int i)
{
	ref_t r = node(i);

	if (r)
		names_chmod(m, r, 0600, i, i);
}

static void op_aliases(unsigned int i)
{
	ref_t r;

	alias_add(m, 3, -1, i, &r);
	LIST_EACH(m, &MOUNT(m)->aliases, a)
		CHECK(alias_at(m, a)->gen + 1ull);
	if (i % 2 && !m->damage)
		alias_remove(m, alias);
}

static void op_restart(unsigned int i)
{
	uint64_t id;

	names_restarted(m);
	names_done(m, i, &id);
	names_next_gen(m);
}

static void op_check(unsigned int i)
{
	struct ipc_check k;

	(void)i;
	ipc_check(m, &k);
}

static void op_heap(unsigned int i)
{
	m->grow_order = i % IPC_ORDERS;
	heap_grow(m, true);
	heap_trim(m, i % 2);
}

static void op_forget_aliases(unsigned int i)
{
	if (i % 5 == 0)
		names_forget_aliases(m);
}

const struct mutate_op mutate_names_ops[] = {
	MUTATE_OP(find),    MUTATE_OP(list),  MUTATE_OP(in_use), MUTATE_OP(add),
	MUTATE_OP(move),    MUTATE_OP(chmod), MUTATE_OP(check),  MUTATE_OP(aliases),
	MUTATE_OP(restart), MUTATE_OP(heap),  MUTATE_OP(remove), MUTATE_OP(remove),
	MUTATE_OP(find),    MUTATE_OP(list),  MUTATE_OP(remove), MUTATE_OP(forget_aliases),
	{ NULL },
};
