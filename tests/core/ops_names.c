/* SPDX-License-Identifier: MIT */
/* Changes of the namespace. */
#include "names/names.h"
#include "ops.h"

#define FRESH (s->o->h->b.mount.unique != UNIQUE || !unique)

static ref_t add(struct scene *s, const char *name, uint32_t type, uint64_t unique)
{
	struct ipc_new_node n = {
		.parent = IPC_ROOT_ID,
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

static void root(struct scene *s)
{
	add(s, "", IPC_DIR, 0);
}

static void some(struct scene *s)
{
	root(s);
	s->w[0] = add(s, "a.queue", IPC_QUEUE, 0);
	s->w[1] = add(s, "b.queue", IPC_QUEUE, 0);
	CHECK_INT(alias_add(s->o, 2, -1, 77, &s->w[2]), 0);
}

static void move(struct scene *s, uint64_t unique, ref_t gone)
{
	ref_t r;

	if (FRESH)
		names_move(s->o, s->w[0], 1, "moved.queue", 11, gone, unique, &r);
}

#define RUN(name, ...)                                     \
	static void name(struct scene *s, uint64_t unique) \
	{                                                  \
		__VA_ARGS__;                               \
	}
RUN(add_one, if (FRESH) add(s, "new.event", IPC_EVENT, unique))
RUN(move_one, move(s, unique, 0))
RUN(move_over, move(s, unique, s->w[1]))
RUN(remove_one, if (FRESH) names_remove(s->o, s->w[0], false, unique))
RUN(remove_open, if (FRESH) names_remove(s->o, s->w[0], true, unique))
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
	{ "names chmod", IPC_MOUNT, some, chmod_one, DAEMON },
	{ "names active", IPC_MOUNT, some, activate, DAEMON },
	{ "names flags", IPC_MOUNT, some, blank_again, DAEMON },
	{ "names making", IPC_MOUNT, some, making, DAEMON },
	{ "names alias add", IPC_MOUNT, some, add_alias, DAEMON },
	{ "names alias remove", IPC_MOUNT, some, remove_alias, DAEMON },
	{ NULL },
};
