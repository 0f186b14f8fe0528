/* SPDX-License-Identifier: MIT */
/*
 * What ipcctl top reads and writes on a mount is done by a process of its own, since a call on a mount
 * whose daemon is stopped returns when that goes on, and no sooner. It is told what to do by a pipe and
 * answers by another; when it does not, top goes on all the same.
 */
#ifndef IPCCTL_FEED_H
#define IPCCTL_FEED_H

#include <sys/types.h>

#include "util.h"

enum ask {
	ASK_STATS,  /* what: a mount; its .ctl/stats */
	ASK_WHO,    /* what: an object; its waiters and holders, as text */
	ASK_CANCEL, /* what: an object; who: a pid or "all" */
};

struct feed {
	pid_t pid;
	int to, from; /* from: to be polled */
	struct buf in;
	char *last;         /* the text of the answer that was given out last */
	unsigned int asked; /* answers that are still to come */
	int64_t since;      /* when the first of them was asked for */
};

struct answer {
	enum ask ask;
	int number; /* as it was asked with */
	int status; /* 0 or -errno */
	char *text; /* until the next call; may be changed */
};

int feed_start(struct feed *f);
void feed_ask(struct feed *f, enum ask ask, int number, const char *what, const char *who);
/* Read what has come. -EPIPE: it has died. */
int feed_read(struct feed *f);
/* The next whole answer. */
bool feed_next(struct feed *f, struct answer *ret);
/* Without waiting for it. */
void feed_end(struct feed *f);

#endif
