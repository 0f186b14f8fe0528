/* SPDX-License-Identifier: MIT */
/*
 * The handlers of requests on open files: open.c, close.c, read.c, write.c, io.c. (POLL's
 * is in wait/poll.c.) Those on names are in dir.h.
 */
#ifndef IPCFS_IO_H
#define IPCFS_IO_H

#include "client/ipcfs.h"
#include "device/request.h"

enum outcome file_open(struct request *rq);
enum outcome file_release(struct request *rq);
enum outcome file_flush(struct request *rq);
enum outcome file_read(struct request *rq);
enum outcome file_write(struct request *rq);
enum outcome file_allocate(struct request *rq);
enum outcome file_flock(struct request *rq);
enum outcome file_ioctl(struct request *rq);
enum outcome file_seek(struct request *rq);

/*
 * Of an object's `tidy`: each write that ends a line counts one more, a close that has to end one
 * makes it the least; at the most FLUSH is not requested.
 */
#define TIDY_MOST  1
#define TIDY_LEAST (-8)

/* ---- open.c ---- */

/* A new handle of rq->t, in rq->reply. */
int open_object(struct request *rq);

/* ---- close.c ---- */

/* Of rq->ino and rq->fh. (If the object cannot be locked, the request is put aside.) */
void close_handle(struct request *rq);
/* The handle that the OPEN of this number made, if its caller is dead: no RELEASE will come. */
void close_unfetched(uint64_t unique, uint64_t nodeid);
/*
 * libipcfs closes a handle, before the kernel says so. Not `whole`: what it holds is returned, but
 * the handle remains, since others share its descriptor.
 */
int close_early(struct request *rq, bool whole);

#endif
