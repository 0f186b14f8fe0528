/* SPDX-License-Identifier: MIT */
/* Answers: what a read gives. The rules are in answer.c. */
#ifndef IPC_ANSWER_H
#define IPC_ANSWER_H

#include "object/engine.h"

enum ipc_answer_kind {
	ANSWER_NONE, /* nothing in hand */
	ANSWER_END,  /* end of file */
	ANSWER_NUMBER,
	ANSWER_RAW,       /* messages as they are */
	ANSWER_LINES,     /* messages, a newline after each */
	ANSWER_LEASE,     /* a lease: id, tab, message, newline */
	ANSWER_LEASE_RAW, /* the same without the newline */
	ANSWER_TOKEN,     /* one byte, a job's token */
};

/* Copy [off, off+size) of the answer's text. */
size_t answer_copy(struct ipc_obj *o, const struct ipc_answer *a, size_t off, char *buf,
		   size_t size);
/* Drop the answer's messages. Commits. */
void answer_drop(struct ipc_obj *o, struct ipc_answer *a);
/*
 * The handle no longer keeps it: messages that were not completely given out go back to where they
 * came from. Commits, possibly in steps; may be repeated after a death.
 */
void answer_leave(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_answer *a);
/* How much is left of the answer in hand, for a read of a stream. */
static inline uint64_t answer_left(const struct ipc_answer *a)
{
	return a->kind == ANSWER_NONE || a->off >= a->len ? 0 : a->len - a->off;
}

/* ---- for types ---- */

void answer_number(struct ipc_answer *a, int64_t n);
void answer_token(struct ipc_answer *a);
void answer_end(struct ipc_answer *a); /* end of file */
/* Part of the change under way; does not drop what `to` had. */
void answer_move(struct ipc_obj *o, struct ipc_answer *to, const struct ipc_answer *from);

#endif
