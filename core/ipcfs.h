/* SPDX-License-Identifier: MIT */
/*
 * ipcfs.h - what programs need of ipcfs.
 *
 * A program that can open a file needs none of this. These ioctls work on an open object:
 *
 *	int64_t ns = 2500000000;			// 2.5 s
 *	ioctl(fd, IPCFS_IOC_TIMEOUT, &ns);
 */
#ifndef IPCFS_H
#define IPCFS_H

#include <stdint.h>
#include <sys/ioctl.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Nanoseconds that each later operation of this open file may wait; 0 not at all, -1 for ever. */
#define IPCFS_IOC_TIMEOUT	_IOW('i', 1, int64_t)
/* CLOCK_MONOTONIC nanoseconds at which every later operation ends its wait; -1: never. */
#define IPCFS_IOC_DEADLINE	_IOW('i', 2, int64_t)
/* Gives the length of what the next read would give, or -1 if it would wait. */
#define IPCFS_IOC_NEXT		_IOR('i', 3, int64_t)

#ifdef __cplusplus
}
#endif

#endif
