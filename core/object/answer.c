/* SPDX-License-Identifier: MIT */
/*
 * Answers: what a read gives, as text, before and after it has been given.
 *
 * An answer is a number, or messages. It stays with its handle after it has been read (the "answer
 * in hand"), because programs read in pieces and seek back over what they did not use, and because
 * a daemon that dies between taking and replying must be able to give the same answer again. Its
 * text is made from these fields whenever it is needed, so a restarted daemon makes the same text.
 *
 * A message counts as taken once its last byte has been given out. Until then it is only in hand:
 * when the handle closes, however it dies, the message goes back whole, to the head of its queue or
 * pipe (answer_leave). The rules in full:
 *
 *	- A newline that was added to a line does not count as one of its bytes.
 *	- `off` is how far the answer was given out: the furthest point that any read reached. So a
 *	  reader that has seen all of it and seeks back has taken it. A reply that a dead daemon may
 *	  have sent counts as given out: either its request comes again, or the reply arrived.
 *	- An answer of several messages (stream, drain) always fits into the read that it answers, as
 *	  do the bytes of a byte pipe. They are taken with that read.
 *	- A read at a position past the message skips what is left of it: taken. A read at an earlier
 *	  position starts over: the message goes back, and comes again if nobody else is waiting.
 *	- Going back counts as an attempt if max_attempts is set; after the last, the message becomes a
 *	  dead letter.
 *	- What goes back was counted when it was put: it may exceed maxsize and maxbytes, goes into a
 *	  closed queue too, and is still unfinished.
 *
 * When several handles give messages back, those of the handle that closes last come out first.
 */
#include <stdio.h>
#include <string.h>

#include "file/heap.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/msg.h"
#include "object/type.h"

void answer_number(struct ipc_answer *a, int64_t n)
{
	char text[24];

	*a = (struct ipc_answer){ .kind = ANSWER_NUMBER, .number = n, .len = 2 };
	if (n < 0 || n > 9)
		a->len = (uint64_t)snprintf(text, sizeof(text), "%lld\n", (long long)n);
}

void answer_token(struct ipc_answer *a)
{
	*a = (struct ipc_answer){ .kind = ANSWER_TOKEN, .len = 1 };
}

void answer_end(struct ipc_answer *a)
{
	*a = (struct ipc_answer){ .kind = ANSWER_END };
}

static size_t copy_text(const char *text, size_t len, size_t *off, char *buf, size_t size)
{
	size_t n;

	if (*off >= len) {
		*off -= len;
		return 0;
	}
	n = len - *off < size ? len - *off : size;
	memcpy(buf, text + *off, n);
	*off = 0;
	return n;
}

/* Copy the bytes of its messages from `off` on. */
static size_t copy_messages(struct ipc_obj *o, const struct ipc_answer *a, size_t off, char *buf,
			    size_t size)
{
	bool newline = a->kind == ANSWER_LINES || a->kind == ANSWER_LEASE;
	struct msg_walk w = { 0 };
	size_t done = 0, skip = a->skip;
	ref_t msg = a->first;

	for (uint32_t i = 0; i < a->count && done < size && !o->damage; i++) {
		struct ipc_msg *m = msg_at(o, msg);
		size_t len = m->len > skip ? m->len - skip : 0;

		if (msg_again(o, &w, msg))
			break;
		if (off < len) {
			done += msg_copy(o, msg, skip + off, buf + done, size - done);
			off = 0;
		} else {
			off -= len;
		}
		if (newline && done < size)
			done += copy_text("\n", 1, &off, buf + done, size - done);
		skip = 0;
		msg = m->next;
	}
	return done;
}

size_t answer_copy(struct ipc_obj *o, const struct ipc_answer *a, size_t off, char *buf,
		   size_t size)
{
	/*
	 * Read once: another process may change it, and the value checked must be the value used.
	 */
	uint64_t len_all = __atomic_load_n(&a->len, __ATOMIC_RELAXED);
	char text[32];
	size_t done = 0;
	int n;

	if (off >= len_all)
		return 0;
	if (size > len_all - off)
		size = len_all - off;
	if (a->kind == ANSWER_NUMBER) {
		n = snprintf(text, sizeof(text), "%lld\n", (long long)a->number);
		return copy_text(text, (size_t)n, &off, buf, size);
	}
	if (a->kind == ANSWER_TOKEN)
		return copy_text("+", 1, &off, buf, size);
	if (a->kind == ANSWER_LEASE || a->kind == ANSWER_LEASE_RAW) {
		n = snprintf(text, sizeof(text), "%lld\t", (long long)a->number);
		done = copy_text(text, (size_t)n, &off, buf, size);
	}
	return done + copy_messages(o, a, off, buf + done, size - done);
}

void answer_move(struct ipc_obj *o, struct ipc_answer *to, const struct ipc_answer *from)
{
	const uint64_t *f = (const uint64_t *)from;
	uint64_t *t = (uint64_t *)to;

	for (unsigned int i = 0; i < sizeof(*to) / 8; i++)
		set64_at(o, t + i, f[i]);
}

void answer_drop(struct ipc_obj *o, struct ipc_answer *a)
{
	while (a->count && !o->damage) {
		ref_t msg = a->first;

		set32(o, a->first, msg_at(o, msg)->next);
		set32(o, a->count, a->count - 1);
		msg_put(o, msg);
		if (log_room(o) < 90)
			commit(o);
	}
	set32(o, a->kind, ANSWER_NONE);
	set64(o, a->len, 0);
	set64(o, a->off, 0);
	set32(o, a->skip, 0);
	commit(o);
}

void answer_leave(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_answer *a)
{
	bool message = a->kind == ANSWER_LINES || a->kind == ANSWER_RAW, begun = true;

	if (message && o->ops->back && answer_left(a) > (a->kind == ANSWER_LINES)) {
		/* If there is no memory for a dead letter, the message goes back instead. */
		while (o->ops->back(o, hd, a, begun) == -ENOMEM && begun) {
			obj_rollback(o);
			begun = heap_grow(o, true) == 0;
		}
		o->work = true;
	}
	answer_drop(o, a);
}
