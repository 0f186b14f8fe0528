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
/*
 * Does the answer in hand serve a read at this position (of a stream: any)? Then from *ret_off on.
 * Committed.
 */
bool ipc_in_hand(struct ipc_obj *o, struct ipc_handle *hd, uint64_t pos, uint64_t *ret_off);
/* Count n more bytes of the answer in hand as read. Committed. */
void ipc_advance(struct ipc_obj *o, struct ipc_handle *hd, uint64_t n);
/* For a request: give out up to c->max bytes of it from `off`; returns how many. Committed. */
uint64_t ipc_answer_read(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c,
			 uint64_t off);
/* Move a waiting rest into the hand, if the hand is empty. Committed. */
void ipc_next_rest(struct ipc_obj *o, struct ipc_handle *hd);
/* Drop the answer's messages. Commits. */
void answer_drop(struct ipc_obj *o, struct ipc_answer *a);
/*
 * It is no longer kept for its handle: messages that were not given out completely go back to where
 * they were taken from. Commits, possibly in steps; after a death it may be repeated.
 */
void answer_leave(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_answer *a);
/* The handle asks for the next one, at this position: drop the one in hand. Commits. */
void answer_pass(struct ipc_obj *o, struct ipc_handle *hd, uint64_t pos);
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
