/* SPDX-License-Identifier: MIT */
/*
 * Messages: bytes in one block, or in a chain of segments when they do not fit into one. Of a
 * length such as 64 KiB the header would take a block of twice the size: then it is in a block of
 * its own, and leads to that of the bytes (MSG_APART).
 *
 * The first segment's `len` counts the whole message; every segment but the last is full. A
 * message is freed when nothing refers to it any more: its place (queue, lease, dead letters) is
 * one reference, an answer in hand that shows it another.
 *
 * A long one has more segments than one change could free: it goes to the header's `trash`, which
 * ipc_pump() empties block by block.
 */
#include <string.h>

#include "file/heap.h"
#include "file/log.h"
#include "object/msg.h"

#define SEGMENT_MAX 65536u /* the largest block */
#define MSG_WHOLE   (SEGMENT_MAX - sizeof(struct ipc_msg))

/* Once: another process may write it, and what was checked must be what is used. */
static uint32_t len_now(const struct ipc_msg *m)
{
	return __atomic_load_n(&m->len, __ATOMIC_RELAXED);
}

static size_t room(struct ipc_obj *o, ref_t seg)
{
	size_t size = heap_size(o, seg);

	return size > sizeof(struct ipc_msg) ? size - sizeof(struct ipc_msg) : 0;
}

static ref_t segment_new(struct ipc_obj *o, size_t want)
{
	size_t size = want + sizeof(struct ipc_msg);
	ref_t r = heap_alloc(o, size > SEGMENT_MAX ? SEGMENT_MAX : size);

	if (r)
		*msg_at(o, r) = (struct ipc_msg){ .refs = 1 };
	return r;
}

/* total: of the message when all of it is there; 0: nobody knows. */
static bool append(struct ipc_obj *o, ref_t msg, ref_t *last, const char *data, size_t len,
		   size_t total)
{
	struct ipc_msg *m = msg_at(o, msg);
	size_t done = 0;

	while (done < len) {
		struct ipc_msg *s = msg_at(o, *last);
		size_t have = len_now(*last == msg ? m : s), cap = room(o, *last), n;

		if (have < cap) {
			n = len - done < cap - have ? len - done : cap - have;
			memcpy((char *)at(o, *last, sizeof(*s) + have + n) + sizeof(*s) + have,
			       data + done, n);
			if (*last != msg)
				set32(o, s->len, have + n);
			set32(o, m->len, len_now(m) + n);
			done += n;
		} else {
			size_t all = len_now(m), least = total > all ? total - all : len - done;
			/* A long line that comes in small pieces gets ever larger segments. */
			ref_t more = segment_new(o, !total && all > least ? all : least);

			if (!more)
				return false;
			set32(o, s->more, more);
			*last = more;
		}
	}
	return true;
}

bool msg_append(struct ipc_obj *o, ref_t msg, ref_t *last, const char *data, size_t len)
{
	return append(o, msg, last, data, len, 0);
}

/* Would its bytes alone just fit into a page block, but not with the header? */
static bool fits_apart(size_t len)
{
	size_t size = IPC_PAGE;

	if (len <= HEAP_RUN_MOST || len > SEGMENT_MAX)
		return false;
	while (size < len)
		size *= 2;
	return size - len < sizeof(struct ipc_msg);
}

static ref_t new_apart(struct ipc_obj *o, const char *data, size_t len)
{
	ref_t msg = segment_new(o, 0), bytes = msg ? heap_alloc(o, len) : 0;

	if (!bytes)
		return 0;
	if (data)
		memcpy(at(o, bytes, len), data, len);
	msg_at(o, msg)->more = bytes | MSG_APART;
	msg_at(o, msg)->len = (uint32_t)len;
	return msg;
}

ref_t msg_new(struct ipc_obj *o, const char *data, size_t len)
{
	struct ipc_msg *m;
	ref_t msg, last;

	if (fits_apart(len))
		return new_apart(o, data, len);
	msg = last = segment_new(o, len);
	if (!msg)
		return 0;
	if (len > MSG_WHOLE)
		return append(o, msg, &last, data, len, len) ? msg : 0;
	m = at(o, msg, sizeof(*m) + len);
	if (data && len)
		memcpy(m->data, data, len);
	m->len = (uint32_t)len;
	return msg;
}

ref_t msg_line(struct ipc_obj *o, const char *data, size_t len, ref_t *ret_last)
{
	*ret_last = segment_new(o, len);
	if (*ret_last) {
		ref_t msg = *ret_last;

		return append(o, msg, ret_last, data, len, len) ? msg : 0;
	}
	return 0;
}

ref_t msg_join(struct ipc_obj *o, ref_t line, size_t skip, const char *data, size_t len)
{
	size_t left = len_now(msg_at(o, line)), total = left - skip + len;
	ref_t msg = skip <= left ? segment_new(o, total) : 0, last = msg;
	bool room_for_all = msg;

	for (ref_t seg = line; seg && left && room_for_all && !o->damage;
	     seg = msg_at(o, seg)->more) {
		size_t cap = room(o, seg), n = left < cap ? left : cap;
		const char *p =
			(char *)at(o, seg, sizeof(struct ipc_msg) + n) + sizeof(struct ipc_msg);

		left = cap ? left - n : 0;
		if (skip < n)
			room_for_all = append(o, msg, &last, p + skip, n - skip, total);
		skip -= skip < n ? skip : n;
	}
	return room_for_all && append(o, msg, &last, data, len, total) ? msg : 0;
}

char *msg_bytes(struct ipc_obj *o, ref_t msg, size_t off, size_t len)
{
	struct ipc_msg *m = msg_at(o, msg);
	ref_t more = __atomic_load_n(&m->more, __ATOMIC_RELAXED);
	ref_t block = more & MSG_APART ? more & ~MSG_APART : msg;
	size_t head = more & MSG_APART ? 0 : sizeof(*m), size = heap_size(o, block);
	char *p;

	if (size < head || off + len > size - head || off + len < len)
		return NULL;
	p = at(o, block, head + off + len);
	return o->damage ? NULL : p + head + off;
}

size_t msg_fill(struct ipc_obj *o, ref_t msg, const char *data, size_t len)
{
	struct ipc_msg *m = msg_at(o, msg);
	size_t cap = room(o, msg), have = len_now(m), n;

	if (m->more || have >= cap)
		return 0;
	n = len < cap - have ? len : cap - have;
	memcpy((char *)at(o, msg, sizeof(*m) + have + n) + sizeof(*m) + have, data, n);
	set32(o, m->len, have + n);
	return n;
}

void msg_free(struct ipc_obj *o, ref_t msg)
{
	struct ipc_msg *m = msg_at(o, msg);

	o->work = o->freed = true;
	if (m->more & MSG_APART)
		heap_free(o, m->more & ~MSG_APART);
	if (!m->more || m->more & MSG_APART) {
		heap_free(o, msg);
		return;
	}
	set32(o, m->next, o->h->trash);
	set32(o, o->h->trash, msg);
}

void msg_sweep(struct ipc_obj *o)
{
	ref_t r;

	while ((r = o->h->trash) && !o->damage) {
		struct ipc_msg *m = msg_at(o, r);

		if (m->more)
			set32(o, msg_at(o, m->more)->next, m->next);
		set32(o, o->h->trash, m->more ? m->more : m->next);
		heap_free(o, r);
		commit(o);
		o->freed = true;
	}
}

static void set_refs(struct ipc_obj *o, struct ipc_msg *m, unsigned int refs, unsigned int attempts)
{
	struct {
		uint16_t refs, attempts;
	} n = { (uint16_t)refs, (uint16_t)attempts };
	uint32_t word;

	memcpy(&word, &n, 4);
	set32_at(o, (uint32_t *)(void *)&m->refs, word);
}

void msg_get(struct ipc_obj *o, ref_t msg)
{
	struct ipc_msg *m = msg_at(o, msg);

	set_refs(o, m, m->refs + 1u, m->attempts);
}

void msg_put(struct ipc_obj *o, ref_t msg)
{
	struct ipc_msg *m = msg_at(o, msg);

	if (m->refs > 1)
		set_refs(o, m, m->refs - 1u, m->attempts);
	else
		msg_free(o, msg);
}

void msg_attempt(struct ipc_obj *o, ref_t msg, unsigned int attempts)
{
	struct ipc_msg *m = msg_at(o, msg);

	set_refs(o, m, m->refs, attempts > UINT16_MAX ? UINT16_MAX : attempts);
}

size_t msg_copy(struct ipc_obj *o, ref_t msg, size_t off, char *buf, size_t size)
{
	size_t left = len_now(msg_at(o, msg)), done = 0;

	if (left > MSG_MOST)
		left = MSG_MOST;
	if (msg_at(o, msg)->more & MSG_APART) {
		const char *from;

		done = off < left ? left - off : 0;
		done = done < size ? done : size;
		from = msg_bytes(o, msg, off, done);
		if (done && from)
			memcpy(buf, from, done);
		return from ? done : 0;
	}
	for (ref_t seg = msg; seg && left && done < size && !o->damage;
	     seg = msg_at(o, seg)->more) {
		size_t cap = room(o, seg), have = left < cap ? left : cap, n;

		if (!cap)
			break;
		left -= have;
		if (off >= have) {
			off -= have;
			continue;
		}
		n = have - off < size - done ? have - off : size - done;
		memcpy(buf + done,
		       (char *)at(o, seg, sizeof(struct ipc_msg) + off + n) +
			       sizeof(struct ipc_msg) + off,
		       n);
		done += n;
		off = 0;
	}
	return done;
}

/* ---- in order ---- */

void mq_push(struct ipc_obj *o, struct ipc_mq *q, ref_t msg)
{
	struct ipc_msg *m = msg_at(o, msg);

	set32(o, m->next, 0);
	if (q->tail)
		set32(o, msg_at(o, q->tail)->next, msg);
	else
		set32(o, q->head, msg);
	set32(o, q->tail, msg);
	set32(o, q->count, q->count + 1);
	set64(o, q->bytes, q->bytes + m->len);
}

void mq_push_head(struct ipc_obj *o, struct ipc_mq *q, ref_t msg)
{
	struct ipc_msg *m = msg_at(o, msg);

	set32(o, m->next, q->head);
	set32(o, q->head, msg);
	if (!q->tail)
		set32(o, q->tail, msg);
	set32(o, q->count, q->count + 1);
	set64(o, q->bytes, q->bytes + m->len);
}

void mq_return(struct ipc_obj *o, struct ipc_mq *q, ref_t first, uint32_t count)
{
	struct msg_walk walk = { 0 };
	uint64_t bytes = 0;
	ref_t last = 0, r = first;

	for (uint32_t i = 0; i < count && !o->damage && !msg_again(o, &walk, r); i++) {
		last = r;
		bytes += msg_at(o, r)->len;
		r = msg_at(o, r)->next;
	}
	if (!last)
		return;
	set32(o, msg_at(o, last)->next, q->head);
	set32(o, q->head, first);
	if (!q->tail)
		set32(o, q->tail, last);
	set32(o, q->count, q->count + count);
	set64(o, q->bytes, q->bytes + bytes);
}

ref_t mq_pop(struct ipc_obj *o, struct ipc_mq *q)
{
	ref_t msg = q->head;
	struct ipc_msg *m;

	if (!msg)
		return 0;
	m = msg_at(o, msg);
	set32(o, q->head, m->next);
	if (!m->next)
		set32(o, q->tail, 0);
	set32(o, q->count, q->count - 1);
	set64(o, q->bytes, q->bytes - m->len);
	return msg;
}

void ipc_peek(struct ipc_obj *o, struct ipc_mq *q,
	      bool (*f)(void *arg, struct ipc_obj *o, ref_t msg), void *arg)
{
	struct msg_walk w = { 0 };
	uint32_t n = 0;

	for (ref_t r = q->head; r && n++ < q->count && !o->damage; r = msg_at(o, r)->next)
		if (msg_again(o, &w, r) || !f(arg, o, r))
			return;
}
