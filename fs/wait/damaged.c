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
 * Nothing in the file is trusted for this, so the daemon keeps its own list of pollers.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "file/list.h"
#include "file/statedir.h"
#include "object/damage.h"
#include "state/fs.h"
#include "state/memory.h"
#include "state/notify.h"
#include "state/object.h"
#include "state/tree.h"
#include "wait/damaged.h"
#include "wait/park.h"
#include "wait/turn.h"

/* ---- who polls ---- */

struct poller {
	uint64_t kh; /* the kernel's name for an open file that was polled */
	UT_hash_handle hh;
};

void pollers_add(struct object *ob, uint64_t kh)
{
	struct poller *p;

	HASH_FIND(hh, ob->pollers, &kh, sizeof(kh), p);
	if (p)
		return;
	p = must_alloc(sizeof(*p));
	p->kh = kh;
	HASH_ADD(hh, ob->pollers, kh, sizeof(p->kh), p);
}

static void drop(struct object *ob, struct poller *p)
{
	HASH_DEL(ob->pollers, p);
	free(p);
}

void pollers_add_late(struct object *ob, struct ipc_handle *hd, uint64_t kh)
{
	pollers_add(ob, kh);
	ipc_handle_poll(hd, kh);
	ob->late_polls = true;
}

void pollers_remove(struct object *ob, uint64_t kh)
{
	struct poller *p;

	HASH_FIND(hh, ob->pollers, &kh, sizeof(kh), p);
	if (p)
		drop(ob, p);
}

void pollers_forget(struct object *ob)
{
	while (ob->pollers)
		drop(ob, ob->pollers);
}

void pollers_find(struct object *ob)
{
	struct ipc_obj *o = &ob->o;

	LIST_EACH(o, &o->h->polls, r)
		pollers_add(ob, handle_at(o, r - 1)->poll_kh);
}

/* ---- telling ---- */

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
	for (struct poller *p = ob->pollers; p; p = p->hh.next)
		notify_poll(p->kh);
	memory_hungry(ob, false);
	tell_direct(ob);
}
