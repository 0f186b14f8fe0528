/* SPDX-License-Identifier: MIT */
/* A worker's side of /dev/fuse: device.c. */
#ifndef IPCFS_DEVICE_H
#define IPCFS_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

struct fuse_session;
struct worker_shared;

/* A message of the kernel's, from device_next() to device_done(). */
struct message {
	void *data;
	size_t len;
	bool stored; /* the kernel's first request, which an earlier worker has answered */
	bool again;  /* an earlier worker died while handling it */
};

/* 0 or -errno */
int device_begin(struct fuse_session *se, int fd, struct worker_shared *sh);
void device_end(void);
/* Wait for one: > 0; 0 at the end, or -errno. -EINTR: the loop has something else to look at. */
int device_next(struct fuse_session *se, struct message *ret);
/* It is dealt with now: when it is answered, no other worker need know of it. With fs.lock, as below. */
void device_take(const struct message *m);
void device_done(const struct message *m);
/* The first message is to be the one in shared->request, of this length. */
void device_put_back(size_t len);

#endif
