// SPDX-License-Identifier: MIT
/* ipcctl check, off-line: the names of a state directory, which are in its file `mount`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file/list.h"
#include "object/type.h"
#include "repair/check_parts.h"
#include "util.h"

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
			.flags = n->flags,
			.ref = r,
			.name = xstrdup(n->name),
		};
	}
	qsort(s->items, s->n, sizeof(*s->items), item_order);
}

/* The names are lost: each object that has a file gets a name in the root. */
static int rebuild(struct state *s)
{
	struct ipc_new_node root = {
		.type = IPC_DIR, .mode = 0755, .uid = geteuid(), .gid = getegid(), .name = ""
	};
	uint64_t *ids, epoch = 0;
	size_t n = state_files(s, &ids);
	struct ipc_obj m;
	ref_t ref;
	int r = renameat(s->dir, STATE_MOUNT, s->dir, STATE_MOUNT STATE_DAMAGED) < 0 &&
				errno != ENOENT ?
			-errno :
			0;

	if (r == 0)
		r = ipc_create(&s->env, s->dir, STATE_MOUNT, 0, &ipc_mount_type,
			       ipc_reserve(&ipc_mount_type, 4ull << 30), NULL);
	if (r == 0)
		r = state_map(s, s->dir, STATE_MOUNT, false, &m);
	if (r < 0)
		goto out;
	r = names_add(&m, &root, &ref);
	for (size_t i = 0; i < n && r == 0; i++) {
		struct state_name file = state_engine(ids[i]);
		char *name CLEANUP(free_string) = NULL;
		struct ipc_new_node node = {
			.parent = IPC_ROOT_ID,
			.mode = 0600,
			.uid = geteuid(),
			.gid = getegid(),
			.flags = NODE_MAPPED,
		};
		struct ipc_obj o;

		if (ids[i] <= IPC_ROOT_ID || state_map(s, s->objects, file.s, true, &o) < 0)
			continue;
		node.type = o.type;
		epoch = o.h->epoch > epoch ? o.h->epoch : epoch;
		state_unmap(&o);
		if (!ipc_type_of(node.type)->suffix)
			continue;
		name = str("recovered-%s%s", file.s, ipc_type_of(node.type)->suffix);
		node.name = name;
		node.name_len = strlen(name);
		names_use_id(&m, ids[i]);
		r = names_add(&m, &node, &ref);
		printf("%s: was object %s, and has lost its name\n", name, file.s);
	}
	names_epoch(&m, epoch);
	state_unmap(&m);
out:
	free(ids);
	return r;
}

void check_resized(struct state *s, const struct item *it)
{
	struct ipc_obj m;

	if (state_map(s, s->dir, "mount", false, &m) < 0)
		return;
	names_flags(&m, it->ref, it->flags | NODE_MAPPED, m.h->b.mount.making);
	state_unmap(&m);
}

int check_names(struct state *s, const char *dir)
{
	struct ipc_check k = { 0 };
	struct ipc_obj m;
	int r = state_map(s, s->dir, STATE_MOUNT, true, &m);

	if (r == -EPROTO) {
		complain(dir, "was made by another version of ipcfs; this one cannot check it");
		return r;
	}
	if (r == 0 && ipc_check(&m, &k) == 0 && !m.damage) {
		collect(s, &m);
		state_unmap(&m);
		return 0;
	}
	printf("the namespace: %s\n", r < 0 ? state_error(r) : k.why ? k.why : m.damage);
	if (r == 0)
		state_unmap(&m);
	s->result->damaged++;
	if (!s->repair)
		return -EIO;
	r = rebuild(s);
	if (r == 0)
		r = state_map(s, s->dir, STATE_MOUNT, true, &m);
	if (r < 0) {
		complain(dir, "cannot make a new namespace: %s", strerror(-r));
		return r;
	}
	s->result->repaired++;
	printf("the namespace: recreated, the old one is " STATE_MOUNT STATE_DAMAGED "; "
	       "names, folders, owners and modes are lost\n");
	collect(s, &m);
	state_unmap(&m);
	return 0;
}

/* A name whose folder is missing is moved to the root. */
void check_parent(struct state *s, const struct item *it)
{
	char *name CLEANUP(free_string) = NULL;
	struct ipc_obj m;
	ref_t ref;

	if (!it->parent || state_find(s, it->parent))
		return;
	s->result->damaged++;
	state_say(s, it, "its folder is missing");
	if (!s->repair || state_map(s, s->dir, STATE_MOUNT, false, &m) < 0)
		return;
	name = str("recovered-%llu-%.200s", (unsigned long long)it->id, it->name);
	if (names_move(&m, it->ref, IPC_ROOT_ID, name, strlen(name), 0, 0, &ref) == 0) {
		s->result->repaired++;
		printf("%s: is its name now\n", name);
	}
	state_unmap(&m);
}
