/* SPDX-License-Identifier: MIT */
/* See damage.h. */
#define _GNU_SOURCE
#include "object/damage.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file/heap.h"
#include "object/count.h"
#include "object/fast.h"
#include "file/slab.h"
#include "object/type.h"

static void wake(struct ipc_obj *o, uint64_t off)
{
	/* (EFAULT: there is no memory there any more.) */
	syscall(SYS_futex, o->base + off, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void damage_mark(struct ipc_obj *o)
{
	if (damage_marked(o))
		return;
	__atomic_store_n(&o->h->m.damaged, 1, __ATOMIC_SEQ_CST);
	/* Those who take the lock by the fast word would not see the mark. */
	if (o->ops->count.at)
		count_freeze((uint64_t *)(void *)(o->base + o->ops->count.at));
	else if (o->ops->leaving)
		__atomic_store_n(&o->h->b.sem.fast, FAST_OFF, __ATOMIC_RELAXED);
	wake(o, (uint64_t)((char *)&o->h->m.lock - o->base));
}

void damage_unmark(struct ipc_obj *o)
{
	if (damage_marked(o))
		__atomic_store_n(&o->h->m.damaged, 0, __ATOMIC_RELEASE);
}

/*
 * Could there be waiters in this page? The segment's table says which pages have blocks of their
 * size. If it is not a table any more, they could be anywhere; so they could in the first pages, whose
 * table is in the header.
 */
static bool may_hold_waiters(struct ipc_obj *o, uint32_t page)
{
	if (page < IPC_FIRST || state(o, table_of(page))->u.kind != PAGE_TABLE)
		return true;
	return heap_size(o, page_ref(o, page)) == heap_run_size(sizeof(struct ipc_waiter));
}

void damage_wake(struct ipc_obj *o, int fd)
{
	size_t step = heap_run_size(sizeof(struct ipc_waiter));
	off_t off = (off_t)o->heap_off, end;

	for (unsigned int k = slot_from[class_of(sizeof(struct ipc_waiter))]; k < IPC_SLOTS; k++)
		wake(o, BLOCKS_OFF + slot[k].at + offsetof(struct ipc_waiter, futex));
	/* Only where there is memory: looking at a hole would make the kernel fill it. */
	while ((off = lseek(fd, off, SEEK_DATA)) >= 0 && (end = lseek(fd, off, SEEK_HOLE)) > off) {
		for (off -= off % IPC_PAGE; off < end; off += IPC_PAGE) {
			uint64_t page = ((uint64_t)off - o->heap_off) / IPC_PAGE;

			if (!obj_has_pages(o, page + 1))
				return;
			for (size_t at = 0;
			     at + step <= IPC_PAGE && may_hold_waiters(o, (uint32_t)page);
			     at += step)
				wake(o, (uint64_t)off + at + offsetof(struct ipc_waiter, futex));
		}
	}
}
