/* SPDX-License-Identifier: MIT */
/* Processes at whose end something is returned (ctl/scope): a pidfd for each. */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "file/list.h"
#include "object/hold.h"
#include "object/type.h"
#include "state/fs.h"
#include "state/object.h"
#include "state/tree.h"
#include "wait/door.h"
#include "wait/turn.h"
#include "wait/watch.h"

static int ends_fd = -1; /* epoll of them */

struct watch {
	uint32_t pid;
	int fd;
	UT_hash_handle hh;
};

static struct watch *watches;

/* One that is not mapped: when it was last seen. */
static bool may_hold(const struct object *ob)
{
	return !ob->away || ob->holding;
}

static void end_process(struct object *ob, const struct deferred *d)
{
	ipc_process_ended(&ob->o, d->pid);
}

static void process_ended(struct watch *w)
{
	const struct deferred ended = { .run = end_process, .pid = w->pid };
	struct node *n, *tmp;

	HASH_DEL(watches, w);
	close(w->fd);
	free(w);
	HASH_ITER(by_id, fs.by_id, n, tmp) {
		turn_trim();
		if (n->ob && n->ob->o.ops->unhold && may_hold(n->ob))
			object_do(n->ob, &ended);
	}
}

static bool is_watched(uint32_t pid)
{
	struct watch *w;

	HASH_FIND(hh, watches, &pid, sizeof(pid), w);
	return w != NULL;
}

/* false: it has ended already, or cannot be watched. */
static bool watch(uint32_t pid)
{
	struct watch *w;
	int fd;

	if (is_watched(pid))
		return true;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return false;
	w = must_alloc(sizeof(*w));
	w->pid = pid;
	w->fd = fd;
	HASH_ADD(hh, watches, pid, sizeof(pid), w);
	if (epoll_ctl(ends_fd, EPOLL_CTL_ADD, fd,
		      &(struct epoll_event){ EPOLLIN, { .u64 = pid } }) < 0)
		log_line(LOG_ERR, "epoll: %m");
	return true;
}

void watch_look(void)
{
	struct epoll_event e;

	while (watches && epoll_wait(ends_fd, &e, 1, 0) == 1) {
		uint32_t pid = (uint32_t)e.data.u64;
		struct watch *w;

		HASH_FIND(hh, watches, &pid, sizeof(pid), w);
		if (!w)
			return;
		process_ended(w);
	}
}

void watch_opener(struct object *ob, struct ipc_handle *hd, uint32_t pid)
{
	if (ipc_scope(&ob->o) != SCOPE_OPENER || watch(hd->opener))
		return;
	ipc_adopt(&ob->o, ref_of(&ob->o, hd), pid);
	watch(pid);
}

void watch_holder(struct object *ob, uint32_t opener, uint32_t pid)
{
	uint32_t scope = ipc_scope(&ob->o);

	if (scope == SCOPE_HANDLE)
		return;
	if (scope == SCOPE_OPENER)
		pid = opener;
	/* An opener is watched before anybody waits; if it is not watched, it has ended since. */
	if (!(scope == SCOPE_OPENER ? is_watched(pid) : watch(pid)))
		ipc_process_ended(&ob->o, pid);
}

/* Of the object's holds, the first process that has ended already; 0. The others are watched. */
static uint32_t watch_holds(struct object *ob)
{
	LIST_EACH(&ob->o, &ob->o.h->holds, r) {
		uint32_t pid = ipc_hold_process(&ob->o, AT(&ob->o, ipc_hold, r));

		if (pid && !watch(pid))
			return pid;
	}
	return 0;
}

static void watch_all(struct object *ob, const struct deferred *d)
{
	uint32_t pid;

	(void)d;
	while (!ob->o.damage && (pid = watch_holds(ob)))
		ipc_process_ended(&ob->o, pid);
}

void watch_again(void)
{
	const struct deferred again = { .run = watch_all };
	struct node *n, *tmp;

	HASH_ITER(by_id, fs.by_id, n, tmp) {
		struct object *ob;

		turn_trim();
		ob = n->ob;
		if (ob && may_hold(ob) && object_back(ob) && ipc_scope(&ob->o) != SCOPE_HANDLE)
			object_do(ob, &again);
	}
}

int watch_open(void)
{
	return ends_fd = epoll_create1(EPOLL_CLOEXEC);
}

void watch_close(void)
{
	while (watches) {
		struct watch *w = watches;

		HASH_DEL(watches, w);
		close(w->fd);
		free(w);
	}
	close(ends_fd);
}
