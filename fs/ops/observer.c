/* SPDX-License-Identifier: MIT */
/* state/ calls nothing above itself: it tells these. */
#include "ops/observer.h"

#include "ctl/ctl.h"
#include "state/memory.h"
#include "wait/damaged.h"
#include "wait/door.h"
#include "wait/pollers.h"
#include "wait/takeup.h"

static void object_goes(struct object *ob)
{
	stalled_forget(ob);
	pollers_forget(ob);
	memory_forget(ob);
}

const struct state_observer observer = {
	.ctl_exists = ctl_exists,
	.ctl_attr = ctl_attr,
	.damaged = damage_found,
	.restarted = takeup_object,
	.goes = object_goes,
};
