/* SPDX-License-Identifier: MIT */
/* Files that show their text as of the open (plain.c), and READs for the page cache (mapped.c). */
#ifndef IPCFS_PLAIN_H
#define IPCFS_PLAIN_H

#include "device/request.h"

uint64_t plain_next(void);                       /* an fh */
int plain_open(struct request *rq, uint64_t fh); /* of rq->t */
void plain_close(uint64_t fh);
enum outcome plain_read(struct request *rq);

/*
 * A READ for the page cache of something that is not a file of bytes (rq->t). otherwise: the error
 * if the process has not mapped the file; 0: end of file.
 */
enum outcome mapped_read(struct request *rq, int otherwise);
void io_cleanup(void); /* the worker ends */

#endif
