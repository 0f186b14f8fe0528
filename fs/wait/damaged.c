/* SPDX-License-Identifier: MIT */
/*
 * Objects that turn out to be damaged, and those who wait for them.
 *
 * Damage may be noticed by any operation, a look at the object, the end of a process, memory that
 * comes free, a SIGBUS, or a direct client, which says so. All of these call obj_damage(), and that
 * calls damage_found(). At the end of the turn everybody who waits is told, once: parked requests
 * get EIO; pollers are woken, and see POLLERR; direct clients are woken, and get EIO. Requests that
 * were put aside are handled again by the loop thread, and meet the damage (aside.c). From then on
 * nobody can begin to wait, since the object cannot be locked.
 *
 * Nothing in the file is trusted for this: pollers.c keeps a list of its own of who polls.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "file/statedir.h"
#include "object/damage.h"
#include "state/fs.h"
#include "state/memory.h"
#include "state/object.h"
#include "state/tree.h"
#include "wait/damaged.h"
#include "wait/park.h"
#include "wait/pollers.h"
#include "wait/turn.h"

void damage_found(struct ipc_env *env, struct ipc_obj *o, const char *why)
{
	struct object *ob = o->user;
	char path[512] = "the mount file";

	(void)env;
	if (ob)
		tree_path(ob->node, path, sizeof(path));
	log_line(LOG_ERR, "%s: engine file %llu is damaged: %s", path, (unsigned long long)o->id,
		 why);
	/* No reply can be trusted any more. The next worker checks all of it, and says what is wrong. */
	if (!ob)
		_exit(EXIT_FAILURE);
	turn_look(ob);
}

static void tell_direct(struct object *ob)
{
	int fd;

	damage_mark(&ob->o);
	if (!ob->direct)
		return;
	fd = openat(fs.objects_fd, state_engine(ob->node->id).s,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return;
	damage_wake(&ob->o, fd);
	close(fd);
}

void damage_tell(struct object *ob)
{
	park_damaged(ob); /* also one that a lock has given back since (settle.c) */
	if (ob->told)
		return;
	ob->told = true;
	pollers_tell_all(ob);
	memory_hungry(ob, false);
	tell_direct(ob);
}
