/* SPDX-License-Identifier: MIT */
/*
 * Objects without an engine file.
 *
 * A new object has none: all there is to know about it is in its node (NODE_BLANK, and the mount's
 * settings when it was created). It gets a file when it is first needed for more than a look
 * (object_of), and loses it when nobody has it open and it is again as it was created (turn.c).
 *
 * Deaths in between: the file that is being made or removed is recorded in the mount file first,
 * and cleared together with the change of the node's flags. So a blank node has a file only while
 * `making` names it, and then the next worker removes that file.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/statedir.h"
#include "state/blank.h"
#include "state/files.h"

static struct ipc_defaults created_with(const struct ipc_node *b)
{
	return (struct ipc_defaults){ NODE_FRAMING(b->flags), NODE_TAKE(b->flags) };
}

/* As if it were mapped: the header alone. */
static void make_image(uint64_t id, const struct ipc_type *t, const struct ipc_defaults *d,
		       struct ipc_obj *ret)
{
	static _Alignas(IPC_PAGE) struct ipc_header page;
	static struct ipc_env env = { .dirfd = -1, .alone = true };

	ipc_first(&page, id, t, 0, d);
	*ret = (struct ipc_obj){
		.env = &env,
		.h = &page,
		.base = (char *)&page,
		.map_len = sizeof(page),
		.heap_off = IPC_PAGE,
		.ops = t,
		.id = id,
		.type = t->id,
		.fd = -1,
		.locked = true,
	};
}

void blank_new(const struct ipc_type *t, struct ipc_new_node *ret)
{
	struct ipc_defaults d = { mount_body()->framing, mount_body()->take };
	struct ipc_obj o;

	make_image(0, t, &d, &o);
	ret->flags = NODE_BLANK | NODE_CREATED(d.framing, d.take);
	ret->size = ipc_size(&o);
}

/* What had happened to it before. */
static void recall_stats(const struct node *n, struct ipc_header *h)
{
	const struct ipc_stats *s = names_stats(&fs.mount, n->ref);

	if (s)
		h->stats = *s;
}

struct object *blank_image(struct node *n)
{
	static struct object image;
	struct ipc_defaults d = created_with(node_block(n));

	image = (struct object){ .node = n, .data_fd = -1, .adopted = true };
	make_image(n->id, n->ops, &d, &image.o);
	recall_stats(n, image.o.h);
	return &image;
}

static int make_data(uint64_t id)
{
	int fd = openat(fs.objects_fd, state_data(id).s, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			0600);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int make_files(struct object *ob)
{
	const struct node *n = ob->node;
	struct ipc_defaults d = created_with(node_block(n));
	uint64_t reserve = ipc_reserve(n->ops, mount_body()->memory_limit);
	int r = node_is(n, TYPE_MEMORY) ? make_data(n->id) : 0;

	if (r == 0)
		r = ready_take(n->id, n->ops, reserve, &d, &ob->o);
	if (r == -ENOENT)
		r = ipc_make(&fs.env, fs.objects_fd, state_engine(n->id).s, n->id, n->ops, reserve,
			     &d, &ob->o);
	if (r < 0 && node_is(n, TYPE_MEMORY))
		files_remove_data(n->id);
	return r == -EDQUOT ? -ENOSPC : r;
}

int blank_end(struct object *ob)
{
	const struct node *n = ob->node;
	int r;

	names_making(&fs.mount, n->id);
	r = make_files(ob);
	if (r < 0) {
		names_making(&fs.mount, 0);
		return r;
	}
	ob->o.user = ob;
	ob->o.h->epoch = mount_body()->epoch;
	recall_stats(n, ob->o.h);
	ob->o.h->memory_low = fs.hungry != NULL;
	ob->adopted = true;
	names_flags(&fs.mount, n->ref, (node_block(n)->flags & ~NODE_BLANK) | NODE_MAPPED, 0);
	return 0;
}

bool blank_again(const struct object *ob)
{
	struct ipc_defaults d = created_with(node_block(ob->node));

	return !(node_block(ob->node)->flags & NODE_SHARED) && ipc_is_blank(&ob->o, &d);
}

void blank_sweep(void)
{
	uint64_t id = mount_body()->making;
	const struct node *n = id ? tree_by_id(id) : NULL;

	ready_sweep();
	if (!id)
		return;
	if (n && node_is_blank(n))
		files_remove(id, n->ops);
	names_making(&fs.mount, 0);
}
