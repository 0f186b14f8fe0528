/* SPDX-License-Identifier: MIT */
/* The terminal of ipcctl top: its size, its keys, and that it is afterwards as it was before. */
#ifndef IPCCTL_TTY_H
#define IPCCTL_TTY_H

#include "util.h"

enum key { /* beside bytes */
	   KEY_NONE = 256,
	   KEY_UP,
	   KEY_DOWN,
	   KEY_PAGE_UP,
	   KEY_PAGE_DOWN,
	   KEY_HOME,
	   KEY_END,
	   KEY_ESCAPE,
};

/* From here on the screen is ours. However the program ends, it is given back. -errno. */
int tty_start(void);
void tty_end(void);
/* Stopped by ^Z: given back until the program goes on. */
void tty_stop(void);
void tty_size(size_t *ret_width, size_t *ret_height);
/* Read what was typed. -EIO: the terminal is gone. */
int tty_read(void);
int tty_key(void); /* the next key of it, or KEY_NONE */
/* Show these lines; each already fits. */
void tty_show(const struct buf *b);

#endif
