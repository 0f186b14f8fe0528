/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_FOLLOW_H
#define IPCFS_FOLLOW_H

#include <stdint.h>

/* The loop thread has dealt with a request of this thread's (0: nobody's): is it on the right CPU? */
void follow(uint32_t tid);

#endif
