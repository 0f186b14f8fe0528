/* SPDX-License-Identifier: MIT */
/* Taking away mounts that libfuse does not know of: unmount.c. */
#ifndef IPCFS_UNMOUNT_H
#define IPCFS_UNMOUNT_H

/* The mount of another supervisor, which this one goes on with. Closes fuse_fd. */
void unmount_inherited(int fuse_fd, const char *mountpoint);
/* A dead ipcfs mount of this user is in the way: take it away. 0 or -errno. */
int unmount_dead(const char *mountpoint);
/* No worker will serve it any more: end all requests of this connection (its number in sysfs; 0: not known). */
void unmount_abort(const char *mountpoint, unsigned int connection);

#endif
