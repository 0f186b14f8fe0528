/* SPDX-License-Identifier: MIT */
/* Messages, and the queues in which they wait (struct ipc_mq). */
#ifndef IPC_MSG_H
#define IPC_MSG_H

#include "object/engine.h"

#define MSG_MOST (2u << 20) /* bytes: no message is longer, whatever its `len` says */

/*
 * A message with these bytes; 0: no memory, and o->grow_order is set. Its maker has the only
 * reference. Without data: of at most MSG_LENT bytes, which are written later.
 */
ref_t msg_new(struct ipc_obj *o, const char *data, size_t len);
#define MSG_LENT 65536u
/* The same for one to which bytes will be added: msg_append(). */
ref_t msg_line(struct ipc_obj *o, const char *data, size_t len, ref_t *ret_last);
/* A message with the bytes of such a one from `skip` on, and these. */
ref_t msg_join(struct ipc_obj *o, ref_t line, size_t skip, const char *data, size_t len);
/* Where [off, off + len) of it is, if that is in one piece; NULL. */
char *msg_bytes(struct ipc_obj *o, ref_t msg, size_t off, size_t len);
/* Add bytes to one that nothing reads yet. `last`: its last segment. false: no memory. */
bool msg_append(struct ipc_obj *o, ref_t msg, ref_t *last, const char *data, size_t len);
/* Add what fits into its last segment; returns how much. Only for a message without `more`. */
size_t msg_fill(struct ipc_obj *o, ref_t msg, const char *data, size_t len);
void msg_free(struct ipc_obj *o, ref_t msg);
/* Free the long messages that msg_free() put aside. Commits. */
void msg_sweep(struct ipc_obj *o);
/* Drop a reference; the last one frees it. */
void msg_put(struct ipc_obj *o, ref_t msg);
void msg_get(struct ipc_obj *o, ref_t msg);
/* Copy out up to `size` bytes from `off`. */
size_t msg_copy(struct ipc_obj *o, ref_t msg, size_t off, char *buf, size_t size);
void msg_attempt(struct ipc_obj *o, ref_t msg, unsigned int attempts);

static inline struct ipc_msg *msg_at(struct ipc_obj *o, ref_t r)
{
	return AT(o, ipc_msg, r);
}

/*
 * Detects a cycle while walking messages, as the count in the file cannot be trusted. (The message
 * compared with advances in ever longer steps, so every cycle is found.)
 */
struct msg_walk {
	ref_t seen;
	uint32_t steps, until;
};

static inline bool msg_again(struct ipc_obj *o, struct msg_walk *w, ref_t r)
{
	if (__builtin_expect(r == w->seen && r, 0)) {
		obj_damage(o, "messages form a cycle");
		return true;
	}
	if (w->steps++ >= w->until) {
		w->seen = r;
		w->until = 2 * w->steps;
	}
	return false;
}

void mq_push(struct ipc_obj *o, struct ipc_mq *q, ref_t msg);
void mq_push_head(struct ipc_obj *o, struct ipc_mq *q, ref_t msg);
/* Put linked messages back at the head. */
void mq_return(struct ipc_obj *o, struct ipc_mq *q, ref_t first, uint32_t count);
ref_t mq_pop(struct ipc_obj *o, struct ipc_mq *q);
/* Walk the waiting messages: f(arg, one of them) until it returns false. */
void ipc_peek(struct ipc_obj *o, struct ipc_mq *q,
	      bool (*f)(void *arg, struct ipc_obj *o, ref_t msg), void *arg);

#endif
