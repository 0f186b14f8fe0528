/* SPDX-License-Identifier: MIT */
/*
 * What carries requests and replies: FUSE (fuse.c, reply.c). The rest of the daemon sees only this.
 */
#ifndef IPCFS_TRANSPORT_H
#define IPCFS_TRANSPORT_H

#include "device/request.h"

/* Who handles the requests. */
struct handlers {
	/* One for each kind. The outcome: request.h. */
	enum outcome (*open)(struct request *rq);
	enum outcome (*release)(struct request *rq);
	enum outcome (*flush)(struct request *rq);
	enum outcome (*read)(struct request *rq);
	enum outcome (*write)(struct request *rq);
	enum outcome (*allocate)(struct request *rq);
	enum outcome (*flock)(struct request *rq);
	enum outcome (*ioctl)(struct request *rq);
	enum outcome (*poll)(struct request *rq);
	enum outcome (*seek)(struct request *rq);
	enum outcome (*lookup)(struct request *rq);
	enum outcome (*get_attr)(struct request *rq);
	enum outcome (*set_attr)(struct request *rq);
	enum outcome (*read_link)(struct request *rq);
	enum outcome (*statfs)(struct request *rq);
	enum outcome (*make_node)(struct request *rq);
	enum outcome (*make_folder)(struct request *rq);
	enum outcome (*create)(struct request *rq);
	enum outcome (*unlink)(struct request *rq);
	enum outcome (*remove_folder)(struct request *rq);
	enum outcome (*rename)(struct request *rq);
	enum outcome (*open_folder)(struct request *rq);
	enum outcome (*read_folder)(struct request *rq, bool plus);
	void (*end)(struct request *rq, enum outcome outcome); /* what becomes of it then */
	void (*interrupted)(struct asker *a); /* a signal came for the caller, who may be waiting */
};

struct fuse_lowlevel_ops;
extern const struct fuse_lowlevel_ops fuse_ops; /* what libfuse calls back */

/*
 * Have one message from the kernel handled. again: it was handled before, and left *as. true: it is
 * to be put aside, as *as says.
 */
bool transport_take(void *msg, size_t len, bool again, struct aside *as,
		    const struct handlers *handlers);

#endif
