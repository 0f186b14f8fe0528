/* SPDX-License-Identifier: MIT */
/* What a nodeid means. */
#include "state/alias.h"
#include "state/nodeid.h"
#include "state/store.h"
#include "state/target.h"

int target_of(uint64_t nodeid, struct target *t)
{
	*t = (struct target){ .timeout = -1, .nodeid = nodeid, .base = nodeid };
	if (nodeid & NODEID_ALIAS) {
		t->alias = alias_ref(nodeid);
		if (!t->alias)
			return -ESTALE;
		t->base = alias_at(&fs.mount, t->alias)->nodeid;
		t->timeout = alias_at(&fs.mount, t->alias)->timeout;
	}
	t->sub = nodeid_sub(t->base);
	t->node = tree_by_id(nodeid_id(t->base));
	if (!t->node)
		return -ESTALE;
	/* So that nobody else meets a file that this type does not have. */
	switch (t->sub) {
	case SUB_SELF:
		return 0;
	case SUB_END_A:
	case SUB_END_B:
		return t->node->type == IPC_TWOWAY ? 0 : -ESTALE;
	default:
		return fs.above->ctl_exists(t) ? 0 : -ESTALE;
	}
}
