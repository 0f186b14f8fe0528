/* SPDX-License-Identifier: MIT */
/*
 * queue_put_now() and queue_get_now(): what they leave to the ordinary way, and that both ways mixed
 * come to the same as a plain array of messages would.
 */
#define _GNU_SOURCE
#include <poll.h>

#include "file/heap.h"
#include "file/log.h"
#include "object/msg.h"
#include "object/waiter.h"
#include "types/queue.h"
#include "test.h"

#define Q(o) (&(o)->h->b.queue)
#define MOST 64 /* messages in one call, more than one change takes */

static char text[MOST][3001], space[MOST][3001];
static struct iovec in[MOST], out[MOST];

/* The n-th message's bytes: none is 0. */
static void fill(char *p, uint32_t seq, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (char)('a' + (seq * 7 + i) % 26);
	p[len] = 0;
}

/* The words of it; how many. */
static unsigned int put_now(struct ipc_obj *o, const char *words)
{
	unsigned int n = 0, k = 0, some;

	for (const char *p = words; *p; n++) {
		size_t len = strcspn(p, " ");

		in[n] = (struct iovec){ (void *)(uintptr_t)p, len };
		p += len + (p[len] == ' ');
	}
	while (k < n && (some = queue_put_now(o, IPC_MESSAGE_MAX, in + k, n - k)))
		k += some;
	return k;
}

/* What it took, with a space behind each. */
static const char *get_now(struct ipc_obj *o, unsigned int n, size_t size)
{
	static char all[MOST * 3001];
	char *p = all;

	for (unsigned int i = 0; i < n; i++)
		out[i] = (struct iovec){ space[i], size };
	n = queue_get_now(o, out, n);
	for (unsigned int i = 0; i < n; i++)
		p += sprintf(p, "%.*s ", (int)out[i].iov_len, space[i]);
	*p = 0;
	return all;
}

static struct ipc_obj *queue(void)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);

	h_open(o);
	while (heap_grow(o, true) == 0 && o->h->pages < 64)
		;
	return o;
}

TEST(now_in_order)
{
	struct ipc_obj *o = queue();
	ref_t h = h_open(o);

	CHECK_STR(get_now(o, 3, 10), "");
	CHECK_INT(put_now(o, "one two  four"), 4);
	CHECK_INT(Q(o)->unfinished, 4);
	CHECK_INT(Q(o)->mq[0].bytes, 10);
	CHECK_STR(get(o, h), "one\n");
	CHECK_STR(get_now(o, 1, 10), "two ");
	CHECK_INT(put(o, h, "five\n"), 5);
	CHECK_STR(get_now(o, 9, 10), " four five ");
	CHECK_STR(get_now(o, 9, 10), "");
	CHECK_INT(Q(o)->unfinished, 5);
	CHECK_INT(put_now(o, "six"), 1);
	CHECK_INT(Q(o)->mq[0].count, 1);
}

TEST(now_keeps_the_limits)
{
	struct ipc_obj *o = queue();

	Q(o)->maxsize = 3;
	CHECK_INT(put_now(o, "1 2 3 4"), 3);
	CHECK_INT(put_now(o, "5"), 0);
	Q(o)->maxsize = 2; /* lowered below what is there */
	CHECK_INT(put_now(o, "5"), 0);
	CHECK_STR(get_now(o, 9, 9), "1 2 3 ");
	Q(o)->maxsize = 0;
	Q(o)->maxbytes = 5;
	CHECK_INT(put_now(o, "123456"), 0); /* which is too large: as it ever was told */
	CHECK_INT(put_now(o, "12 34 5 6"), 3);
	CHECK_INT(put_now(o, "6"), 0);
	CHECK_INT(put_now(o, " 6"), 1); /* an empty one has room */
	Q(o)->maxbytes = 2;
	CHECK_INT(put_now(o, "6"), 0);
	CHECK_STR(get_now(o, 9, 9), "12 34 5  ");
	in[0] = (struct iovec){ text[0], 100 };
	CHECK_INT(queue_put_now(o, 99, in, 1), 0);
	Q(o)->maxbytes = 0;
	CHECK_INT(queue_put_now(o, 100, in, 1), 1);
	in[0].iov_len = HEAP_RUN_MOST; /* not with its header */
	CHECK_INT(queue_put_now(o, IPC_MESSAGE_MAX, in, 1), 0);
	ipc_setting32(o, &Q(o)->closed, 1);
	CHECK_INT(put_now(o, "1"), 0);
	CHECK_INT(strlen(get_now(o, 9, 100)), 1);
	CHECK_STR(get_now(o, 9, 9), "");
}

TEST(now_leaves_special_messages)
{
	struct ipc_obj *o = queue();
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0);

	put_now(o, "first second third");
	CHECK_STR(get_now(o, 9, 5), "first "); /* the next is longer than the buffer */
	CHECK_STR(get_now(o, 9, 5), "");
	CHECK_INT(Q(o)->mq[0].count, 2);
	CHECK_STR(get(o, l), "2\tsecond\n");
	CHECK_INT(ipc_nack(o, 0, 2, 0), 0); /* is in the hand of l as well */
	CHECK_STR(get_now(o, 9, 9), "third ");
	CHECK_STR(get_now(o, 9, 9), "");
	CHECK_STR(get(o, h), "second\n");
	memset(text[0], 'l', 2500);
	strcpy(text[0] + 2500, "\n");
	CHECK_INT(put(o, h, text[0]), 2501);
	CHECK_STR(get_now(o, 1, 3000), ""); /* no block of a slab */
	CHECK_INT(strlen(get(o, h)), 2501);
}

TEST(now_does_not_pass_a_reader)
{
	struct ipc_obj *o = queue();
	ref_t h = h_open(o), a = get_waits(o, h, OP_READ, 100), b = get_waits(o, h, OP_READ, 0);

	CHECK_INT(put_now(o, "1 2 3"), 3);
	CHECK_STR(get_now(o, 9, 9), ""); /* though they were not served yet */
	ipc_pump(o);
	CHECK_STR(finish(o, a), "1\n");
	CHECK_STR(finish(o, b), "2\n");
	CHECK_STR(get_now(o, 9, 9), "3 ");
}

/* A queued putter may be passed, but only while it has waited for less than a millisecond. */
TEST(now_passes_a_putter_for_a_moment)
{
	struct ipc_obj *o = queue();
	ref_t h = h_open(o), w;

	Q(o)->maxsize = 2;
	CHECK_INT(put_now(o, "1 2"), 2);
	w = put_waits(o, h, "late\n", 100);
	CHECK_STR(get_now(o, 1, 9), "1 ");
	waiter_at(o, w)->since = ipc_now() + 100000000; /* just now, however slow we are */
	CHECK_INT(put_now(o, "3"), 1);
	CHECK_INT(put_now(o, "4"), 0); /* there is no room */
	CHECK_STR(get_now(o, 1, 9), "2 ");
	waiter_at(o, w)->since = ipc_now() - 1000001;
	CHECK_INT(put_now(o, "4"), 0);
	ipc_pump(o);
	CHECK_INT(waiter_at(o, w)->state, WAITER_TURN);
	CHECK_INT(put_now(o, "4"), 0);
	waiter_at(o, w)->since = ipc_now() + 100000000;
	CHECK_INT(put_now(o, "4"), 1); /* its turn has come, and is gone again */
	put_turns(o);
	CHECK_INT(o->h->waitqs[WAITQ_PUT].count, 1);
	CHECK_STR(get_now(o, 9, 9), "3 4 ");
	ipc_pump(o);
	put_turns(o);
	CHECK_STR(get_now(o, 9, 9), "late ");
}

TEST(now_without_memory)
{
	struct ipc_obj *o = queue();
	ref_t h = h_open(o);

	heap_fill(o);
	CHECK_INT(put_now(o, "1 2 3"), 0);
	CHECK_INT(o->h->log_len, 0);
	CHECK_INT(put(o, h, "1\n"), 2); /* the heap grows */
	CHECK_INT(put_now(o, "2 3"), 2);
	CHECK_STR(get_now(o, 9, 9), "1 2 3 ");
	heap_unfill(o);
}

/* ---- the model ---- */

#define MODEL_MOST 4000

static struct model {
	struct {
		uint32_t seq, len;
	} m[MODEL_MOST], leased[MODEL_MOST];
	uint64_t ids[MODEL_MOST];
	unsigned int n, leases;
	uint64_t bytes, unfinished;
	uint32_t seq, hand; /* the next message's number; which one the leaser shows */
	unsigned int now_puts, now_gets, left;
} mo;

static unsigned int seed;

static unsigned int any(unsigned int n)
{
	return (unsigned int)rand_r(&seed) % n;
}

static void push(uint32_t seq, uint32_t len)
{
	CHECK(mo.n < MODEL_MOST);
	mo.m[mo.n].seq = seq;
	mo.m[mo.n++].len = len;
	mo.bytes += len;
}

static void pop(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		mo.bytes -= mo.m[i].len;
	mo.n -= n;
	memmove(mo.m, mo.m + n, mo.n * sizeof(mo.m[0]));
}

static bool is(const char *p, size_t n, uint32_t seq, uint32_t len)
{
	char want[3001];

	fill(want, seq, len);
	return n == len && !memcmp(p, want, n);
}

static bool has_room(struct ipc_obj *o, uint64_t more, uint64_t len)
{
	return (!Q(o)->maxsize || mo.n + more < Q(o)->maxsize) &&
	       (!Q(o)->maxbytes || mo.bytes + len <= Q(o)->maxbytes);
}

static void model_put(struct ipc_obj *o, ref_t rec)
{
	static const unsigned int most[] = { 30, 60, 300, 3000 };
	unsigned int n = 1 + any(any(3) ? 8 : MOST), size = most[any(4)], k, same = any(2);
	size_t limit = any(8) ? IPC_MESSAGE_MAX : 200, len = any(size + 1);
	bool may;

	for (unsigned int i = 0; i < n; i++) {
		in[i] = (struct iovec){ text[i], same ? len : any(size + 1) };
		fill(text[i], mo.seq + i, in[i].iov_len);
	}
	len = in[0].iov_len;
	may = !Q(o)->closed && len <= limit && len + sizeof(struct ipc_msg) <= HEAP_RUN_MOST &&
	      has_room(o, 0, len);
	k = queue_put_now(o, limit, in, n);
	if (may && !k) {
		CHECK_INT(heap_grow(o, true), 0);
		k = queue_put_now(o, limit, in, n);
	}
	CHECK_INT(k != 0, may);
	CHECK(k <= n);
	for (unsigned int i = 0; i < k; i++) {
		CHECK(in[i].iov_len <= limit && has_room(o, 0, in[i].iov_len));
		push(mo.seq++, (uint32_t)in[i].iov_len);
		mo.unfinished++;
		mo.now_puts++;
	}
	if (k == n)
		return;
	mo.left++;
	fill(text[0], mo.seq, in[k].iov_len);
	len = in[k].iov_len;
	if (Q(o)->maxbytes && len > Q(o)->maxbytes) {
		CHECK_INT(put_bytes(o, rec, text[0], len), -EMSGSIZE);
	} else if (Q(o)->closed) {
		CHECK_INT(put_bytes(o, rec, text[0], len), -EPIPE);
	} else if (!has_room(o, 0, len)) {
		CHECK_INT(put_bytes(o, rec, text[0], len), -EAGAIN);
	} else {
		CHECK_INT(put_bytes(o, rec, text[0], len), len);
		push(mo.seq++, (uint32_t)len);
		mo.unfinished++;
	}
}

static bool for_now(const struct iovec *buf, unsigned int i)
{
	return mo.m[i].len <= buf->iov_len && mo.m[i].len <= HEAP_RUN_MOST &&
	       mo.m[i].seq != mo.hand;
}

static void model_get(struct ipc_obj *o, ref_t rec)
{
	unsigned int n = 1 + any(any(3) ? 8 : MOST), k;
	struct iovec was[MOST];

	for (unsigned int i = 0; i < n; i++)
		was[i] = out[i] = (struct iovec){ space[i], any(4) ? 3000 : any(300) };
	k = queue_get_now(o, out, n);
	CHECK(k <= n && k <= mo.n);
	CHECK_INT(k != 0, mo.n && for_now(was, 0));
	for (unsigned int i = 0; i < k; i++) {
		CHECK(for_now(&was[i], i));
		CHECK(is(space[i], out[i].iov_len, mo.m[i].seq, mo.m[i].len));
		mo.now_gets++;
	}
	for (unsigned int i = k; i < n; i++)
		CHECK_INT(out[i].iov_len, was[i].iov_len);
	pop(k);
	if (k || any(2))
		return;
	mo.left++;
	if (mo.n) {
		const char *got = get(o, rec);

		CHECK(is(got, strlen(got), mo.m[0].seq, mo.m[0].len));
		pop(1);
	} else {
		CHECK_STR(get(o, rec), Q(o)->closed ? "" : "!EAGAIN");
	}
}

static void model_lease(struct ipc_obj *o, ref_t l)
{
	char *end;

	if (mo.n) {
		const char *got = get(o, l);

		mo.ids[mo.leases] = strtoull(got, &end, 10);
		CHECK_INT(*end, '\t');
		CHECK(is(end + 1, strlen(end + 1) - 1, mo.m[0].seq, mo.m[0].len));
		mo.leased[mo.leases].seq = mo.hand = mo.m[0].seq;
		mo.leased[mo.leases++].len = mo.m[0].len;
		pop(1);
	}
}

static void model_unlease(struct ipc_obj *o)
{
	unsigned int i;

	if (!mo.leases)
		return;
	i = any(3) ? mo.leases - 1 : any(mo.leases);
	if (any(3)) {
		CHECK_INT(ipc_nack(o, 0, mo.ids[i], 0), 0);
		push(mo.leased[i].seq, mo.leased[i].len);
	} else {
		CHECK_INT(ipc_ack(o, 0, mo.ids[i]), 0);
		mo.unfinished--;
	}
	mo.leases--;
	mo.leased[i] = mo.leased[mo.leases];
	mo.ids[i] = mo.ids[mo.leases];
}

static void model_compare(struct ipc_obj *o)
{
	unsigned int i = 0;

	obj_ok(o, "in the model");
	CHECK_INT(Q(o)->mq[0].count, mo.n);
	CHECK_INT(Q(o)->mq[0].bytes, mo.bytes);
	CHECK_INT(Q(o)->unfinished, mo.unfinished);
	for (ref_t r = Q(o)->mq[0].head; r; r = msg_at(o, r)->next, i++) {
		size_t n = msg_copy(o, r, 0, space[0], 3000);

		CHECK(is(space[0], n, mo.m[i].seq, mo.m[i].len));
	}
	CHECK_INT(i, mo.n);
}

TEST(now_model)
{
	struct ipc_obj *o = queue();
	ref_t rec = h_new(o, HANDLE_OBJECT, RW, HANDLE_RECORD), l = h_new(o, HANDLE_LEASE, R, 0);
	unsigned int puts = 8;

	mo = (struct model){ .seq = 1 };
	seed = 20241;
	for (unsigned int step = 0; step < 12000; step++) {
		if (step % 500 == 0) /* the queue fills for a while, and empties again */
			puts = 3 + any(10);
		if (mo.n > 2500)
			puts = 2;
		switch (any(20)) {
		case 0:
			ipc_setting64(o, &Q(o)->maxsize, any(2) ? 0 : any(100));
			break;
		case 1:
			ipc_setting64(o, &Q(o)->maxbytes, any(2) ? 0 : any(20000));
			break;
		case 2:
			ipc_setting32(o, &Q(o)->closed, !any(4));
			break;
		case 3:
			model_lease(o, l);
			break;
		case 4:
			model_unlease(o);
			break;
		default:
			if (any(16) < puts)
				model_put(o, rec);
			else
				model_get(o, rec);
		}
		ipc_pump(o);
		if (step % 128 == 0)
			model_compare(o);
	}
	model_compare(o);
	CHECK(mo.now_puts > 5000 && mo.now_gets > 3000 && mo.left > 500);
}

/* ---- the heap's runs ---- */

static void link_run(struct ipc_obj *o, const ref_t *r, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		AT(o, ipc_link, r[i])->next = i + 1 < n ? r[i + 1] : 0;
}

TEST(heap_runs)
{
	static ref_t r[4000];
	struct ipc_obj *o = queue();
	unsigned int have = 0;
	uint64_t before, after;

	CHECK_INT(heap_check(o, &before), 0);
	CHECK_INT(heap_run_size(HEAP_RUN_MOST), HEAP_RUN_MOST);
	CHECK_INT(heap_run_size(HEAP_RUN_MOST + 1), 0);
	CHECK_INT(heap_alloc_run(o, HEAP_RUN_MOST + 1, r, 1), 0);
	seed = 7;
	for (unsigned int step = 0; step < 4000; step++) {
		unsigned int n = 1 + any(60), k;

		if (have + n < 1500 && any(2)) {
			size_t size = 1 + any(any(2) ? 60 : HEAP_RUN_MOST);

			k = heap_alloc_run(o, size, r + have, n);
			CHECK(k <= n);
			for (unsigned int i = have; i < have + k; i++)
				CHECK(heap_size(o, r[i]) >= heap_run_size(size));
			link_run(o, r + have, k);
			if (!any(4)) {
				obj_rollback(o); /* as if it had not been */
				k = 0;
			} else if (!k) {
				obj_rollback(o);
				CHECK_INT(heap_grow(o, true), 0);
			}
			have += k;
		} else if (have) {
			n = n < have ? n : have;
			for (unsigned int i = 0; i < n && any(2); i++) { /* not as they came */
				unsigned int a = have - 1 - any(n);
				ref_t t = r[a];

				r[a] = r[have - 1];
				r[have - 1] = t;
			}
			link_run(o, r + have - n, n);
			if (!any(4)) /* bent: then each by itself */
				AT(o, ipc_link, r[have - n + any(n)])->next = any(2) ? 0 : r[0];
			k = heap_free_run(o, r + have - n, n);
			CHECK(k > 0);
			if (!any(4)) {
				obj_rollback(o);
				k = 0;
			}
			memmove(r + have - n, r + have - n + k, (n - k) * sizeof(r[0]));
			have -= k;
		}
		commit(o);
		if (step % 64 == 0) {
			CHECK_INT(heap_check(o, &after), 0);
			CHECK_INT(after, before + have);
		}
	}
	while (have) {
		heap_free(o, r[--have]);
		commit(o);
	}
	CHECK_INT(heap_check(o, &after), 0);
	CHECK_INT(after, before);
}
