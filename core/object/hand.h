/* SPDX-License-Identifier: MIT */
/*
 * A handle's hand: the answer that was read last. The unread rests of other answers queue behind
 * it. For what an answer is, see answer.h.
 */
#ifndef IPC_HAND_H
#define IPC_HAND_H

#include "object/engine.h"

/*
 * Does the answer in hand serve a read at this position (any, for a stream)? If so, from *ret_off
 * on. Committed.
 */
bool ipc_in_hand(struct ipc_obj *o, struct ipc_handle *hd, uint64_t pos, uint64_t *ret_off);
/* Count n more bytes of the answer in hand as read. Committed. */
void ipc_advance(struct ipc_obj *o, struct ipc_handle *hd, uint64_t n);
/* For a request: give out up to c->max bytes from `off`; returns how many. Committed. */
uint64_t ipc_answer_read(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c,
			 uint64_t off);
/* If the hand is empty, move the next rest into it. Committed. */
void ipc_next_rest(struct ipc_obj *o, struct ipc_handle *hd);
/* The handle asks for its next answer, at this position: drop the one in hand. Commits. */
void hand_pass(struct ipc_obj *o, struct ipc_handle *hd, uint64_t pos);

#endif
