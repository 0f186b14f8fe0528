/* SPDX-License-Identifier: MIT */
/* The .ctl files of a counter: see counter.c. */
#include "ctl/rows.h"

SHOW_NUMBER(count, event.set)

extern const struct ctl_file ctl_counter[];
const struct ctl_file ctl_counter[] = {
	CTL_COMMON,
	FACT(6, "count", show_count),
	CTL_TAKE,
	CTL_END,
};
