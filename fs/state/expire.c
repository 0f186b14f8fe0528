/* SPDX-License-Identifier: MIT */
/*
 * Making a name lead to another inode.
 *
 * A file that was opened for reading has the object's own inode, which the kernel may cache under
 * its name for long. If it is reopened for writing through /proc/self/fd, that inode must be
 * granted (alias.c); but before a write can wait there, the kernel has to forget the name. It is
 * told so by a notification, for which it takes the directory's lock. The holder of that lock may
 * be waiting for a reply of ours, so another process sends the notification, and the OPEN is
 * handled again afterwards.
 *
 * It must be a process, not a thread: whoever waits for that lock cannot be killed, and a process
 * does not end before its last thread. With a thread, a killed worker would not be replaced, and
 * the holder of the lock would wait for ever. For the same reason a worker that is told to stop
 * keeps serving until all notifications are done.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>

#include "base/alloc.h"
#include "base/log.h"
#include "state/alias.h"
#include "state/fs.h"
#include "state/nodeid.h"
#include "state/notify.h"
#include "state/target.h"
#include "state/tree.h"

#define STALE_NS 1000000000ull

struct expiring {
	uint64_t base, parent;
	uint64_t since;
	pid_t teller; /* 0: it has told the kernel */
	UT_hash_handle hh;
	size_t len;
	char name[IPC_NAME_MAX + 1];
};

static struct expiring *expiring;
static bool stopping;

static struct expiring *find(uint64_t base)
{
	struct expiring *x;

	HASH_FIND(hh, expiring, &base, sizeof(base), x);
	return x;
}

static bool is_told(struct expiring *x)
{
	if (x->teller && waitpid(x->teller, NULL, WNOHANG))
		x->teller = 0;
	return !x->teller;
}

bool name_expires(uint64_t base)
{
	return expiring && find(base);
}

static void drop(struct expiring *x)
{
	HASH_DEL(expiring, x);
	free(x);
}

void name_expired(uint64_t base)
{
	struct expiring *x = expiring ? find(base) : NULL;

	if (x && is_told(x))
		drop(x);
}

bool names_expiring(void)
{
	for (struct expiring *x = expiring; x; x = x->hh.next)
		if (!is_told(x))
			return true;
	return false;
}

void names_expire_no_more(void)
{
	stopping = true;
}

/* Where the kernel has it: an object in its directory, or an end of a two-way pipe. */
static void place(const struct target *t, struct expiring *x)
{
	const char *name = t->sub == SUB_END_A ? "a" :
			   t->sub == SUB_END_B ? "b" :
						 node_name(t->node);

	x->base = t->base;
	x->parent = t->sub == SUB_SELF ? node_block(t->node)->parent : t->node->id;
	x->len = strlen(name);
	memcpy(x->name, name, x->len);
	x->name[x->len] = 0;
}

/* Those whose OPEN was interrupted meanwhile. */
static void drop_stale(void)
{
	struct expiring *x, *tmp;

	HASH_ITER(hh, expiring, x, tmp)
		if (is_told(x) && ipc_now() - x->since > STALE_NS)
			drop(x);
}

bool name_expire(const struct target *t)
{
	struct expiring *x = find(t->base), now;

	if (t->sub > SUB_END_B || !node_block(t->node)->parent || stopping)
		return true;
	place(t, &now);
	if (x && (!is_told(x) || (x->parent == now.parent && !strcmp(x->name, now.name))))
		return is_told(x);
	if (x) /* it was renamed meanwhile */
		drop(x);
	drop_stale();
	x = must_alloc(sizeof(*x));
	place(t, x);
	x->since = ipc_now();
	HASH_ADD(hh, expiring, base, sizeof(x->base), x);
	x->teller = notify_name_apart(x->parent, x->name, x->len);
	if (x->teller < 0) {
		log_line(LOG_WARNING, "fork: %m");
		x->teller = 0;
	}
	return is_told(x);
}

/* ---- whose own inode is open for writing ---- */

struct writers {
	uint64_t nodeid;
	uint32_t count;
	UT_hash_handle hh;
};

static struct writers *writers;

static struct writers *writers_of(uint64_t nodeid)
{
	struct writers *w;

	HASH_FIND(hh, writers, &nodeid, sizeof(nodeid), w);
	return w;
}

bool base_is_open(uint64_t base)
{
	return writers && writers_of(base);
}

bool base_leads_nowhere(uint64_t base)
{
	return base_is_open(base) || name_expires(base);
}

void writer_add(uint64_t nodeid)
{
	struct writers *w;

	if (nodeid & NODEID_ALIAS)
		return;
	w = writers_of(nodeid);
	if (!w) {
		w = must_alloc(sizeof(*w));
		w->nodeid = nodeid;
		HASH_ADD(hh, writers, nodeid, sizeof(nodeid), w);
	}
	w->count++;
}

void writer_leave(uint64_t nodeid)
{
	struct writers *w = NULL;

	if (!(nodeid & NODEID_ALIAS))
		w = writers_of(nodeid);
	if (!w || --w->count)
		return;
	HASH_DEL(writers, w);
	free(w);
}

void writers_unload(void)
{
	while (writers) {
		struct writers *w = writers;

		HASH_DEL(writers, w);
		free(w);
	}
}
