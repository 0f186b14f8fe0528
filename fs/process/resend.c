/* SPDX-License-Identifier: MIT */
/*
 * What comes again when a worker follows a dead one.
 *
 * The kernel is asked to send again what was not answered (FUSE_NOTIFY_RESEND). With the first request
 * that no worker had before, all of that has come, and whatever waits without a request waits in vain.
 * On a kernel that cannot resend, only the request in shared->request can be retried; callers that
 * were waiting get an error.
 */
#include "process/resend.h"

#include <errno.h>
#include <stdint.h>
#include <syslog.h>

#include "base/log.h"
#include "device/reply.h"
#include "ops/abandon.h"
#include "ops/io.h"
#include "process/device.h"
#include "process/shared.h"
#include "state/caller.h"
#include "state/fs.h"
#include "state/notify.h"
#include "wait/takeup.h"

#define INIT_RESEND (1u << 7) /* FUSE_HAS_RESEND >> 32 */

static struct worker_shared *shared;
static bool catching_up;      /* they were asked for (fs.catching_up: since the start) */
static uint64_t unfetched;    /* the OPEN in which the last worker died, until it comes again */
static uint64_t unfetched_of; /* of which inode; 0: it was a CREATE */

/* If its caller is killed before the OPEN is resent, nobody else would close the handle. */
static void find_open(void)
{
	const struct fuse_in_header *h = (const void *)shared->request;

	if (h->len && (h->opcode == FUSE_OPEN || h->opcode == FUSE_CREATE))
		unfetched = unique_of(h->unique);
	unfetched_of = h->opcode == FUSE_OPEN ? h->nodeid : 0;
}

/* Can the kernel resend unanswered requests? Its first request says so. */
static bool kernel_resends(void)
{
	const struct fuse_init_in *in =
		(const void *)(shared->init + sizeof(struct fuse_in_header));

	return !fs.opt.no_resend && in->flags & FUSE_INIT_EXT && in->flags2 & INIT_RESEND;
}

/* A restart on a kernel that cannot: see abandon.c. */
static void do_without(void)
{
	const struct fuse_in_header *h = (const void *)shared->request;
	bool found = abandon_waiters(h->len ? h->unique : 0);

	log_line(LOG_WARNING, "this kernel cannot resend requests (Linux 6.9 can): "
			      "callers that waited got ECONNABORTED");
	if (!h->len || found || h->len > sizeof(shared->request) || h->opcode == FUSE_INTERRUPT ||
	    h->opcode == FUSE_FORGET || h->opcode == FUSE_BATCH_FORGET || h->opcode == FUSE_INIT)
		return;
	if (shared->tried != h->unique) {
		shared->tried = h->unique;
		device_put_back(h->len);
		return;
	}
	reply_to(h->unique, ECONNABORTED, NULL, 0); /* it has killed two workers */
}

void resend_begin(struct worker_shared *sh)
{
	shared = sh;
	fs.catching_up = shared->init_len != 0;
	find_open();
	if (shared->init_len && !kernel_resends())
		do_without();
}

void resend_ask(void)
{
	catching_up = true;
	if (kernel_resends())
		notify_resend();
}

/*
 * The kernel sends resent requests first, before any new one; INTERRUPT and FORGET have queues of
 * their own.
 */
bool resend_is_new(const struct fuse_in_header *h)
{
	return !unique_is_resent(h->unique) && h->opcode != FUSE_INTERRUPT &&
	       h->opcode != FUSE_FORGET && h->opcode != FUSE_BATCH_FORGET;
}

void resend_came(const struct fuse_in_header *h)
{
	if (unique_of(h->unique) == unfetched)
		unfetched = 0;
	if (!catching_up || !resend_is_new(h))
		return;
	catching_up = fs.catching_up = false;
	if (unfetched)
		close_unfetched(unfetched, unfetched_of);
	unfetched = 0;
	takeup_told();
}
