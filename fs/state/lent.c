/* SPDX-License-Identifier: MIT */
/*
 * Attributes that the kernel may keep for a moment.
 *
 * Usually they are not cached at all, so that no size is ever stale. In a reply to a LOOKUP that
 * returns an alias they are valid for one tick, which saves the GETATTR before the OPEN. Those in a
 * READDIRPLUS are valid for PLUS_TIMEOUT, so that `ls -l` needs no GETATTR per file. They are
 * recalled when the alias is opened and before the object changes: the change may come through
 * another inode of the object than the one whose attributes the kernel has.
 *
 * Those of a .ctl directory, whose name is looked up each time, are valid for one tick as well: for
 * the permission check that follows.
 */
#include "state/alias.h"
#include "state/fs.h"
#include "state/nodeid.h"
#include "state/notify.h"
#include "state/object.h"
#include "state/target.h"
#include "state/tree.h"

#define TICK_MOST 10000000u /* ns of a kernel tick, at most: it rounds up */

bool attr_lend(const struct target *t)
{
	/* They could not be recalled of an inode that the kernel does not have yet. */
	if (!t->alias || alias_at(&fs.mount, t->alias)->lookups < 2)
		return false;
	if (t->node->ob && t->node->ob->direct)
		return false;
	if (t->node->lent != t->nodeid)
		attr_recall(t->node);
	t->node->lent = t->nodeid;
	alias_at(&fs.mount, t->alias)->flags |= ALIAS_LENT;
	return true;
}

void attr_listed(struct node *n)
{
	n->listed = ipc_now() + (uint64_t)(PLUS_TIMEOUT * 1e9) + 2 * TICK_MOST;
}

static void recall_listed(struct node *n)
{
	bool twoway = n->type == IPC_TWOWAY;

	for (unsigned int sub = SUB_SELF; sub <= (twoway ? SUB_END_B : SUB_SELF); sub++)
		notify_attr(NODEID(n->id, sub));
}

void attr_recall(struct node *n)
{
	if (n->lent)
		notify_attr(n->lent);
	if (n->listed && ipc_now() < n->listed)
		recall_listed(n);
	n->lent = n->listed = 0;
}

void attr_recall_ctl(const struct node *n)
{
	notify_attr(NODEID(n->id, SUB_CTL));
}

void alias_recall(const struct target *t)
{
	struct ipc_alias *b = t->alias ? alias_at(&fs.mount, t->alias) : NULL;

	if (!b || !(b->flags & ALIAS_LENT))
		return;
	b->flags &= ~ALIAS_LENT;
	if (t->node->lent == t->nodeid)
		t->node->lent = 0;
	notify_attr(t->nodeid);
}
