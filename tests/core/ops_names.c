/* SPDX-License-Identifier: MIT */
/* Changes of the namespace. */
#include "names/index.h"
#include "ops.h"

#define FRESH (s->o->h->b.mount.unique != UNIQUE || !unique)

static ref_t add_in(struct scene *s, uint64_t parent, const char *name, uint32_t type,
		    uint64_t unique)
{
	struct ipc_new_node n = {
		.parent = parent,
		.type = type,
		.mode = 0644,
		.name = name,
		.name_len = strlen(name),
		.unique = unique,
	};
	ref_t r = 0;

	names_add(s->o, &n, &r);
	return r;
}

static ref_t add(struct scene *s, const char *name, uint32_t type, uint64_t unique)
{
	return add_in(s, IPC_ROOT_ID, name, type, unique);
}

/* With the same places in the index each time. */
static void root(struct scene *s)
{
	MOUNT(s->o)->key[0] = MOUNT(s->o)->key[1] = 1;
	add_in(s, 0, "", IPC_DIR, 0);
}

static void some(struct scene *s)
{
	root(s);
	s->w[0] = add(s, "a.queue", IPC_QUEUE, 0);
	s->w[1] = add(s, "b.queue", IPC_QUEUE, 0);
	CHECK_INT(alias_add(s->o, 2, -1, 77, &s->w[2]), 0);
}

/* Entries in many levels; and the next one is in four, as it is behind those. */
static void many(struct scene *s)
{
	char name[32];

	some(s);
	add(s, "dir", IPC_DIR, 0);
	for (int i = 0; i < 100 || order_height(s->o, MOUNT(s->o)->next_cookie) < 4; i++) {
		snprintf(name, sizeof(name), "%d.sem", i);
		add_in(s, i % 3 ? 1 : 4, name, IPC_SEM, 0);
	}
	CHECK(MOUNT(s->o)->next_id < 100000);
	names_active(s->o, s->w[1], true);
}

/* The one that the next bucket, and the next page of buckets, is for. */
static void to_full_page(struct scene *s)
{
	char name[32];

	some(s);
	for (int i = 0; MOUNT(s->o)->buckets < IPC_BUCKETS; i++) {
		snprintf(name, sizeof(name), "%d.sem", i);
		add(s, name, IPC_SEM, 0);
	}
	CHECK_INT(MOUNT(s->o)->nodes, IPC_BUCKETS);
}

/* When one goes, so do the first buckets of a second page, and the page. */
static void to_empty_page(struct scene *s)
{
	char name[32];

	to_full_page(s);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%d.event", i);
		add(s, name, IPC_EVENT, 0);
	}
	for (uint64_t id = 4; MOUNT(s->o)->buckets > IPC_BUCKETS + 2; id++)
		names_remove(s->o, names_by_id(s->o, id), false, 0);
}

static void nameless(struct scene *s)
{
	many(s);
	names_remove(s->o, s->w[0], true, 0);
}

static void dirs(struct scene *s)
{
	many(s);
	s->w[0] = add(s, "from", IPC_DIR, 0);
	s->w[1] = add(s, "onto", IPC_DIR, 0);
	add_in(s, node_at(s->o, s->w[0])->id, "in.event", IPC_EVENT, 0);
	add_in(s, node_at(s->o, s->w[0])->id, "two.pipe", IPC_TWOWAY, 0);
}

static void move(struct scene *s, uint64_t unique, ref_t gone)
{
	ref_t r;

	if (FRESH)
		names_move(s->o, s->w[0], 1, "moved.queue", 11, gone, unique, &r);
}

static void move_into(struct scene *s, uint64_t unique)
{
	ref_t r;

	if (FRESH)
		names_move(s->o, s->w[0], 4, "dir-moved", 9, 0, unique, &r);
}

#define RUN(name, ...)                                     \
	static void name(struct scene *s, uint64_t unique) \
	{                                                  \
		__VA_ARGS__;                               \
	}
RUN(add_one, if (FRESH) add(s, "new.event", IPC_EVENT, unique))
RUN(add_dir, if (FRESH) add(s, "new", IPC_DIR, unique))
RUN(move_one, move(s, unique, 0))
RUN(move_over, move(s, unique, s->w[1]))
RUN(remove_one, if (FRESH) names_remove(s->o, s->w[0], false, unique))
RUN(remove_open, if (FRESH) names_remove(s->o, s->w[0], true, unique))
RUN(remove_used, if (FRESH) names_remove(s->o, s->w[1], false, unique))
RUN(chmod_one, names_chmod(s->o, s->w[0], 0600, 5, 6 + (unique == 1)))
RUN(activate, names_active(s->o, s->w[0], unique != 1))
RUN(blank_again, names_flags(s->o, s->w[0], NODE_BLANK | (unique == 1), 3))
RUN(making, names_making(s->o, 3 + (unique == 1)))
RUN(add_alias, ref_t r;
    if (s->o->h->b.mount.aliases.count < 2 + (unique == 1)) alias_add(s->o, 3, 7, 77, &r))
RUN(remove_alias, if (s->o->h->b.mount.aliases.count > (unique == 1)) alias_remove(s->o, s->w[2]))

const struct op ops_names[] = {
	{ "names add", IPC_MOUNT, root, add_one, DAEMON },
	{ "names move", IPC_MOUNT, some, move_one, DAEMON },
	{ "names move over another", IPC_MOUNT, some, move_over, DAEMON },
	{ "names remove", IPC_MOUNT, some, remove_one, DAEMON },
	{ "names remove of an open one", IPC_MOUNT, some, remove_open, DAEMON },
	{ "names add to many", IPC_MOUNT, many, add_one, DAEMON },
	{ "names add of a directory", IPC_MOUNT, many, add_dir, DAEMON },
	{ "names add with a page of buckets", IPC_MOUNT, to_full_page, add_one, DAEMON },
	{ "names move among many", IPC_MOUNT, many, move_over, DAEMON },
	{ "names move of a directory", IPC_MOUNT, dirs, move_into, DAEMON },
	{ "names move over a directory", IPC_MOUNT, dirs, move_over, DAEMON },
	{ "names remove among many", IPC_MOUNT, many, remove_one, DAEMON },
	{ "names remove of one in use", IPC_MOUNT, many, remove_used, DAEMON },
	{ "names remove of one without a name", IPC_MOUNT, nameless, remove_one, DAEMON },
	{ "names remove of a directory", IPC_MOUNT, dirs, remove_used, DAEMON },
	{ "names remove with a page of buckets", IPC_MOUNT, to_empty_page, remove_one, DAEMON },
	{ "names chmod", IPC_MOUNT, some, chmod_one, DAEMON },
	{ "names active", IPC_MOUNT, some, activate, DAEMON },
	{ "names flags", IPC_MOUNT, some, blank_again, DAEMON },
	{ "names making", IPC_MOUNT, some, making, DAEMON },
	{ "names alias add", IPC_MOUNT, some, add_alias, DAEMON },
	{ "names alias remove", IPC_MOUNT, some, remove_alias, DAEMON },
	{ NULL },
};
