/* SPDX-License-Identifier: MIT */
/* The objects that ipcctl top shows: from .ctl/stats, with rates since the last time. */
#ifndef IPCCTL_ROWS_H
#define IPCCTL_ROWS_H

#include "util.h"

enum column_id {
	COL_TYPE,
	COL_SIZE,
	COL_PUTS,
	COL_GETS,
	COL_WAITS,
	COL_WAKES,
	COL_WAITERS,
	COL_HOLDERS,
	COL_OLDEST,
	COL_LONGEST,
	COL_NAME,
	N_COLS,
};

struct shown {
	int mount;
	char *path; /* as it is in .ctl/stats: what it is known by */
	char *name; /* to be shown */
	char *type;
	bool stalled;
	double value[N_COLS]; /* < 0: it has none. Rates are for each second. */
	double total[4];      /* what the rates are made of: puts, gets, waits, wake-ups */
};

struct rows { /* of a mount */
	struct shown *list;
	size_t n;
	int64_t when; /* 0: not yet */
};

/*
 * These are its rows now. text: .ctl/stats, which is changed. prefix: before each name. -EBADMSG, and
 * there are none.
 */
int rows_take(struct rows *r, int mount, const char *prefix, char *text);
void rows_free(struct rows *all);

struct view {
	enum column_id sort;
	bool reverse, active; /* active: only where something happens */
	char *filter;         /* what a name must contain; NULL */
};

/* Those that are to be seen, in order; to be freed. */
const struct shown **rows_view(const struct rows *mounts, size_t n_mounts, const struct view *v,
			       size_t *ret_n);
/* The path of an object in the mount, as other programs need it; to be freed. */
char *row_path(const struct shown *r, const char *mount);

#endif
