/* SPDX-License-Identifier: MIT */
/* What standard output is; found out once, before anything is put in front of it. */
#ifndef IPCCTL_SCREEN_H
#define IPCCTL_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

struct screen {
	bool terminal;
	size_t width;  /* of the terminal; 0: unknown, nothing is cut */
	size_t height; /* its lines; 0: unknown */
	bool colors;   /* a terminal that has them, and NO_COLOR is not set */
};

extern struct screen screen;

void screen_init(void);

#endif
