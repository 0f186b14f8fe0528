/* SPDX-License-Identifier: MIT */
/* The mount file, as a type of engine file. */
#include "names/index.h"
#include "object/type.h"

static void init(struct ipc_header *h, const struct ipc_defaults *d)
{
	(void)d;
	h->b.mount.next_id = IPC_ROOT_ID;
	h->b.mount.next_cookie = 16;
	h->b.mount.next_gen = 1;
	index_init(&h->b.mount);
}

const struct ipc_type ipc_mount_type = {
	.id = IPC_MOUNT,
	.name = "mount",
	.traits = TYPE_LARGE,
	.init = init,
	.check = names_check,
};
