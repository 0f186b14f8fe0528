/* SPDX-License-Identifier: MIT */
/* state/ calls nothing above itself; here is who is told instead. */
#include "ops/observer.h"

#include "ctl/ctl.h"
#include "wait/damaged.h"
#include "wait/held.h"

static void object_goes(struct object *ob)
{
	held_forget(ob);
	pollers_forget(ob);
}

const struct state_observer observer = {
	.ctl_exists = ctl_exists,
	.ctl_attr = ctl_attr,
	.damaged = damage_found,
	.kept = held_add,
	.restarted = pollers_find,
	.goes = object_goes,
};
