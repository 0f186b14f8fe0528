/* SPDX-License-Identifier: MIT */
/*
 * Processes at whose end something is returned (ctl/scope): a pidfd for each. What is done then:
 * ended.c.
 */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "object/hold.h"
#include "object/type.h"
#include "state/object.h"
#include "wait/watch.h"

static int ends_fd = -1; /* epoll of them */

struct watch {
	uint32_t pid;
	int fd;
	UT_hash_handle hh;
};

static struct watch *watches;

static void drop(struct watch *w)
{
	HASH_DEL(watches, w);
	close(w->fd);
	free(w);
}

static bool is_watched(uint32_t pid)
{
	struct watch *w;

	HASH_FIND(hh, watches, &pid, sizeof(pid), w);
	return w != NULL;
}

bool watch_process(uint32_t pid)
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

uint32_t watch_ended(void)
{
	struct epoll_event e;
	struct watch *w;
	uint32_t pid;

	if (!watches || epoll_wait(ends_fd, &e, 1, 0) != 1)
		return 0;
	pid = (uint32_t)e.data.u64;
	HASH_FIND(hh, watches, &pid, sizeof(pid), w);
	if (w)
		drop(w);
	return w ? pid : 0;
}

void watch_opener(struct object *ob, struct ipc_handle *hd, uint32_t pid)
{
	if (ipc_scope(&ob->o) != SCOPE_OPENER || watch_process(hd->opener))
		return;
	ipc_adopt(&ob->o, ref_of(&ob->o, hd), pid);
	watch_process(pid);
}

void watch_holder(struct object *ob, uint32_t opener, uint32_t pid)
{
	uint32_t scope = ipc_scope(&ob->o);

	if (scope == SCOPE_HANDLE)
		return;
	if (scope == SCOPE_OPENER)
		pid = opener;
	/* An opener is watched before anybody waits; if it is not watched, it has ended since. */
	if (!(scope == SCOPE_OPENER ? is_watched(pid) : watch_process(pid)))
		ipc_process_ended(&ob->o, pid);
}

int watch_open(void)
{
	return ends_fd = epoll_create1(EPOLL_CLOEXEC);
}

void watch_close(void)
{
	while (watches)
		drop(watches);
	close(ends_fd);
}
