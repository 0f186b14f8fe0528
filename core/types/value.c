/* SPDX-License-Identifier: MIT */
/*
 * value: a text of up to 4096 bytes that is read and changed as a whole.
 *
 * The text is one message, and a change makes a new one; answers that show the old text keep it
 * alive (ipc_msg.refs). `version` counts the changes; writing the same text again is not a change.
 * A `text` of 0 means that it was never set; an empty message is made when an answer needs one.
 *
 * With a typecode (number.h) the text is always in the form in which that type prints it, so equal
 * numbers have equal texts. Only a character may then be empty.
 *
 * A write through a handle that can also read leaves its result in that handle as the answer in
 * hand, at the position where the write ended. So a read there returns it, whatever others have
 * written since. Both are one change. (Handles of libipcfs have no position: their next read
 * returns it.)
 *
 * A handle of `changed` remembers the version that it saw last (ipc_handle.seen), initially the one
 * at its open; its reader waits in CHANGED for a different one. The lock is only for flock (permit.c).
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/completion.h"
#include "object/facts.h"
#include "object/look.h"
#include "object/msg.h"
#include "object/number.h"
#include "object/fast.h"
#include "object/stats.h"
#include "object/type.h"
#include "object/waiter.h"
#include "types/check.h"
#include "types/permit.h"
#include "types/value_text.h"

#define V(o)       (&(o)->h->b.value)
#define SHARES_MAX 60000u /* ipc_msg.refs has 16 bits */

enum { WAITQ_CHANGED, WAITQ_LOCK };

size_t ipc_value_text(struct ipc_obj *o, char *buf, size_t size)
{
	return V(o)->text ? msg_copy(o, V(o)->text, 0, buf, size) : 0;
}

/* The text as an answer: one more reference to it. -ENOMEM. */
static int show(struct ipc_obj *o, struct ipc_answer *a)
{
	char buf[IPC_VALUE_MAX];
	ref_t msg = V(o)->text;

	if (!msg) {
		msg = msg_new(o, "", 0);
		if (!msg)
			return -ENOMEM;
		set32(o, V(o)->text, msg);
	}
	if (msg_at(o, msg)->refs < SHARES_MAX) {
		msg_get(o, msg);
	} else {
		msg = msg_new(o, buf, ipc_value_text(o, buf, sizeof(buf)));
		if (!msg)
			return -ENOMEM;
	}
	*a = (struct ipc_answer){
		.kind = ANSWER_LINES, .first = msg, .count = 1, .len = msg_at(o, msg)->len + 1u
	};
	return 0;
}

static int value_read(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	bool changed = hd->kind == HANDLE_CHANGED;

	if (changed)
		c->op = OP_CHANGED;
	if (changed && hd->seen == V(o)->version)
		return waiter_add(o, c, WAITQ_CHANGED, 0);
	if (changed)
		set64(o, hd->seen, V(o)->version);
	STAT_ADD(o, gets, 1);
	return show(o, &c->got);
}

static uint64_t value_next(struct ipc_obj *o, struct ipc_handle *hd)
{
	(void)hd;
	return (V(o)->text ? msg_at(o, V(o)->text)->len : 0) + 1;
}

static void value_opened(struct ipc_obj *o, struct ipc_handle *hd)
{
	set64(o, hd->seen, V(o)->version);
}

/* ---- changing it ---- */

/* Set the text, and put it into the handle's hand (NULL: nobody's) at this position. */
static int set_text(struct ipc_obj *o, struct ipc_handle *hd, uint64_t base, const char *text,
		    size_t len)
{
	struct ipc_value *v = V(o);
	struct ipc_answer got, before = { 0 };
	char now[IPC_VALUE_MAX];
	size_t now_len = ipc_value_text(o, now, sizeof(now));
	ref_t old = 0, msg;

	if (now_len != len || memcmp(now, text, len)) {
		msg = msg_new(o, text, len);
		if (!msg)
			return -ENOMEM;
		old = v->text;
		set32(o, v->text, msg);
		set64(o, v->length, len);
		set64(o, v->version, v->version + 1);
	}
	if (hd) {
		if (show(o, &got) < 0)
			return -ENOMEM;
		got.base = base;
		before = hd->hand;
		answer_move(o, &hd->hand, &got);
	}
	if (old)
		msg_put(o, old);
	if (before.count) /* the answer to a read of this value: one message */
		msg_put(o, before.first);
	return 0;
}

static int value_give(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c,
		      const struct ipc_cmd *cmd)
{
	bool reads = !c->at_once && hd->kind == HANDLE_OBJECT && (hd->oflags & O_ACCMODE) == O_RDWR;
	char now[IPC_VALUE_MAX], buf[IPC_VALUE_MAX];
	size_t now_len = ipc_value_text(o, now, sizeof(now)), len = 0;
	int r = value_made(V(o)->typecode, cmd, now, now_len, buf, &len);

	if (r == 0 && c->whole)
		r = number_int64(buf, len, &c->got.number);
	return r < 0 ? r : set_text(o, reads ? hd : NULL, c->end, buf, len);
}

int ipc_value_typecode(struct ipc_obj *o, uint64_t unique, uint32_t code)
{
	struct ipc_call c = { .unique = unique };
	char now[IPC_VALUE_MAX], buf[IPC_VALUE_MAX];
	size_t len = ipc_value_text(o, now, sizeof(now));
	bool number = code && code != 'c' && code != 'u';
	int r;

	if (code && !number_size(code))
		return -EINVAL;
	if (!len && number)
		now[len++] = '0';
	r = len ? value_normal(code, now, len, buf, &len) : 0;
	while (r == 0) {
		set32(o, V(o)->typecode, code);
		r = set_text(o, NULL, 0, buf, len);
		if (r == 0)
			break;
		obj_rollback(o);
		r = heap_grow(o, true);
	}
	if (r < 0)
		return r;
	call_record(o, &c, 0, false);
	commit(o);
	o->work = true;
	return 0;
}

/* ---- the rest ---- */

static void value_pump(struct ipc_obj *o)
{
	struct ipc_answer got;

	LIST_EACH(o, &o->h->waitqs[WAITQ_CHANGED], r) {
		struct ipc_handle *hd = handle_at(o, waiter_at(o, r)->handle);

		if (hd->seen == V(o)->version)
			continue;
		while (show(o, &got) < 0) {
			obj_rollback(o);
			if (heap_grow(o, true) < 0)
				return;
		}
		set64(o, hd->seen, V(o)->version);
		STAT_ADD(o, gets, 1);
		waiter_grant(o, r, (int64_t)got.len, &got);
	}
	permit_pump(o);
}

static unsigned int value_poll(struct ipc_obj *o, struct ipc_handle *hd)
{
	if (hd->kind == HANDLE_CHANGED)
		return hd->seen != V(o)->version ? POLLIN : 0;
	return POLLIN | POLLOUT;
}

/* Everybody with `changed` open hears of each change. */
static uint64_t value_units(struct ipc_obj *o, struct ipc_handle *hd, bool out, uint64_t *ret)
{
	*ret = !out && hd->kind == HANDLE_CHANGED ? V(o)->version : 0;
	return 0;
}

static uint64_t value_size(struct ipc_obj *o)
{
	return __atomic_load_n(&V(o)->length, __ATOMIC_RELAXED);
}

/* Changes and reads; the lock's. */
static void value_counts(const struct ipc_obj *o, struct ipc_counts *c)
{
	permit_counts_inner(o, c);
	c->puts += V(o)->version;
}

static void value_look(struct ipc_obj *o, struct ipc_sink *to)
{
	char text[IPC_VALUE_MAX + 1];
	size_t len = ipc_value_text(o, text, IPC_VALUE_MAX);

	text[len] = '\n';
	to->put(to, text, len + 1);
}

static int value_check(struct ipc_obj *o, struct ipc_check *k)
{
	const struct ipc_value *v = V(o);
	char text[IPC_VALUE_MAX], buf[IPC_VALUE_MAX];
	size_t len, n = 0;

	if (v->text && check_shared(o, v->text, k) < 0)
		return -EIO;
	if (v->length > IPC_VALUE_MAX || v->length != (v->text ? msg_at(o, v->text)->len : 0)) {
		k->why = "wrong length of the text";
		return -EIO;
	}
	len = ipc_value_text(o, text, sizeof(text));
	if (v->typecode && !number_size(v->typecode))
		k->why = "unknown type code";
	else if (v->typecode && len &&
		 (value_normal(v->typecode, text, len, buf, &n) < 0 || n != len ||
		  memcmp(buf, text, n)))
		k->why = "text does not match the type";
	return k->why ? -EIO : permit_check_lock(o, k);
}

static void value_rest(struct ipc_obj *o)
{
	fast_rest(o);
	STAT_FOLD(o, V(o)->version, puts);
}

static int value_words(const struct ipc_facts *f, char *ret, size_t size)
{
	return words_amount(f->size, "byte", ret, size);
}

const struct ipc_type ipc_value_type = {
	.id = IPC_VALUE,
	.name = "value",
	.suffix = ".value",
	.traits = TYPE_TEXT | TYPE_SETTABLE | TYPE_LASTING | TYPE_INNER_LOCK | TYPE_PID,
	.verbs = VERB(CMD_TEXT) | VERB(CMD_PLUS) | VERB(CMD_CAS),
	.lock_waitq = WAITQ_LOCK,
	.init = permit_init_lock,
	.read = value_read,
	.parse = value_parse,
	.give = value_give,
	.flock = permit_flock,
	.pump = value_pump,
	.poll = value_poll,
	.units = value_units,
	.size = value_size,
	.next = value_next,
	.opened = value_opened,
	.unhold = permit_unhold,
	.look = value_look,
	.words = value_words,
	.counts = value_counts,
	.check = value_check,
	.rest = value_rest,
	.entered = fast_entered,
	.leaving = fast_leaving,
};
