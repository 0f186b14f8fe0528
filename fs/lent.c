/* SPDX-License-Identifier: MIT */
/*
 * Attributes that are lent to the kernel for a moment.
 *
 * In general they are valid for no time, so that no size is ever stale. In the answer to a LOOKUP
 * with an alias they are valid for one tick, which saves the GETATTR before the OPEN. They are
 * recalled when it is opened, and before anything changes.
 */
#include <linux/fuse.h>
#include <syslog.h>
#include <unistd.h>

#include "alias.h"

static void attributes_change(uint64_t nodeid)
{
	struct {
		struct fuse_out_header h;
		struct fuse_notify_inval_inode_out out;
	} msg = {
		.h = { .len = sizeof(msg), .error = FUSE_NOTIFY_INVAL_INODE },
		.out = { .ino = nodeid, .off = -1 },	/* attributes alone: that takes no lock */
	};

	if (write(fuse_session_fd(fs.se), &msg, sizeof(msg)) < 0 && errno != ENOENT)
		log_line(LOG_WARNING, "notification: %m");
}

bool attr_lend(uint64_t nodeid)
{
	struct target t;

	/* Of an inode that the kernel does not have yet they could not be recalled. */
	if (target_of(nodeid, &t) < 0 || !t.alias || alias_at(&fs.mount, t.alias)->lookups < 2)
		return false;
	if (t.node->ob && t.node->ob->direct)
		return false;
	if (t.node->lent != nodeid)
		attr_recall(t.node);
	t.node->lent = nodeid;
	alias_at(&fs.mount, t.alias)->flags |= ALIAS_LENT;
	return true;
}

void attr_recall(struct node *n)
{
	if (n->lent)
		attributes_change(n->lent);
	n->lent = 0;
}

void alias_recall(const struct target *t)
{
	struct ipc_alias *b = t->alias ? alias_at(&fs.mount, t->alias) : NULL;

	if (!b || !(b->flags & ALIAS_LENT))
		return;
	b->flags &= ~ALIAS_LENT;
	if (t->node->lent == t->nodeid)
		t->node->lent = 0;
	attributes_change(t->nodeid);
}
