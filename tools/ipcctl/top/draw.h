/* SPDX-License-Identifier: MIT */
/* What ipcctl top shows, as lines of text. */
#ifndef IPCCTL_DRAW_H
#define IPCCTL_DRAW_H

#include "top/rows.h"

struct frame {
	const struct shown **rows;
	size_t n, n_all;
	size_t first, selected; /* of rows; selected == n: none is */
	const struct view *view;
	const char *where;   /* the mounts */
	const char *message; /* instead of the totals: what is wrong; NULL */
	const char *prompt;  /* NULL */
	const char *panel;   /* text instead of the rows; NULL */
	double delay;
	size_t width, height; /* 0: not cut, and no colours: batch */
};

void draw(const struct frame *f, struct buf *ret);

extern const struct column_look {
	const char *title;
	int width;
	char key; /* sorts by it */
} column_look[N_COLS];

#define HEAD_LINES 4 /* above the rows */

#endif
