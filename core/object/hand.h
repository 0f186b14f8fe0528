/* SPDX-License-Identifier: MIT */
/*
 * A handle's hand: the answer that was read last, and the rests of others that wait for their turn
 * there. What an answer is: answer.h.
 */
#ifndef IPC_HAND_H
#define IPC_HAND_H

#include "object/engine.h"

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
/* The handle asks for the next one, at this position: drop the one in hand. Commits. */
void hand_pass(struct ipc_obj *o, struct ipc_handle *hd, uint64_t pos);

#endif
