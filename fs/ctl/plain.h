/* SPDX-License-Identifier: MIT */
/* Files whose text is what it was at the open (plain.c), and READs for the page cache (mapped.c). */
#ifndef IPCFS_PLAIN_H
#define IPCFS_PLAIN_H

#include "device/request.h"

uint64_t plain_next(void);                       /* an fh */
int plain_open(struct request *rq, uint64_t fh); /* of rq->t */
void plain_close(uint64_t fh);
enum outcome plain_read(struct request *rq);

/*
 * A READ for the page cache, of what has no bytes to give it (rq->t). otherwise: the error for who has
 * not mapped the file; 0: the end.
 */
enum outcome mapped_read(struct request *rq, int otherwise);
void io_cleanup(void); /* the worker ends */

#endif
