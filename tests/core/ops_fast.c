/* SPDX-License-Identifier: MIT */
/*
 * The fast ways of direct clients: locks held by the fast word, and short messages that are put and
 * taken many at once.
 */
#include <sys/file.h>

#include "file/heap.h"
#include "object/count.h"
#include "object/fast.h"
#include "file/lock.h"
#include "ops.h"
#include "types/queue.h"

#define S(s) (&(s)->o->h->b.sem)
#define Q(s) (&(s)->o->h->b.queue)
#define MOST 64

static char text[MOST][2048];

/* ---- locks ---- */

static void more_memory(struct ipc_obj *o)
{
	while (o->h->pages < 40)
		CHECK_INT(heap_grow(o, true), 0);
}

static void take_word(struct scene *s, int i)
{
	CHECK(fast_take(S(s), fast_holder(s->h[i], handle_at(s->o, s->h[i])->gen)));
}

/* As a direct client's object, with nothing put aside yet. */
static void fresh(struct scene *s)
{
	more_memory(s->o);
	s->h[0] = h_open(s->o);
	s->h[1] = h_open(s->o);
	S(s)->direct = 1;
}

/* The word says who has it, and will until somebody takes the object's lock once more. */
static void held_by(struct scene *s, int i)
{
	fresh(s);
	obj_unlock(s->o);
	take_word(s, i);
	ipc_lock_take(&s->o->h->m.lock, -1);
	s->o->locked = true;
}

static void held(struct scene *s)
{
	held_by(s, 0);
}

static void held_by_other(struct scene *s)
{
	held_by(s, 1);
}

#define RUN(name, ...)                                     \
	static void name(struct scene *s, uint64_t unique) \
	{                                                  \
		__VA_ARGS__;                               \
	}
RUN(take, run_read(s, unique, OP_READ, 65536))
RUN(lock_ex, run_flock(s, unique, LOCK_EX))
RUN(lock_sh, run_flock(s, unique, LOCK_SH))
RUN(lock_un, run_flock(s, unique, LOCK_UN))
RUN(give_one, run_give(s, unique, CMD_ADD, 1))
RUN(open_h, run_open(s, unique))
RUN(close_h, run_close(s, s->h[0]))
RUN(give_back, (void)unique; run_give_back(s, s->h[0]))
RUN(close_all, (void)unique; ipc_close_all(s->o))
RUN(nothing, (void)s; (void)unique)

/* All that a client does that takes the lock by the word: from one who unlocks to the next. */
static void take_it(struct scene *s, uint64_t unique)
{
	(void)unique;
	obj_unlock(s->o);
	if (S(s)->fast == FAST_FREE)
		take_word(s, 0);
	CHECK_INT(obj_lock(s->o, -1), 0);
}

static void take_it_and_release(struct scene *s, uint64_t unique)
{
	obj_unlock(s->o);
	if (S(s)->fast == FAST_FREE) {
		take_word(s, 0);
		fast_release(S(s), fast_holder(s->h[0], handle_at(s->o, s->h[0])->gen));
	}
	CHECK_INT(obj_lock(s->o, -1), 0);
	(void)unique;
}

/* ---- permits and events ---- */

static uint64_t *count_word(struct scene *s)
{
	return (uint64_t *)(void *)(s->o->base + s->o->ops->count.at);
}

static void clear_event(struct scene *s)
{
	s->h[0] = h_open(s->o);
	s->h[1] = h_open(s->o);
}

static void three(struct scene *s)
{
	clear_event(s);
	give(s->o, s->h[0], CMD_ADD, 3);
}

static void three_of_three(struct scene *s)
{
	three(s);
	ipc_setting64(s->o, &S(s)->bound, 3);
}

/* It has changed by the word, and the object will know when somebody takes its lock once more. */
static void by_word(struct scene *s, uint64_t event)
{
	obj_unlock(s->o);
	if (s->o->type == IPC_SEM)
		CHECK(count_take(count_word(s)));
	else
		CHECK(count_set(count_word(s), event));
	ipc_lock_take(&s->o->h->m.lock, -1);
	s->o->locked = true;
}

static void two(struct scene *s)
{
	three(s);
	by_word(s, 0);
}

static void two_of_three(struct scene *s)
{
	three_of_three(s);
	by_word(s, 0);
}

static void set_event(struct scene *s)
{
	clear_event(s);
	by_word(s, 1);
}

static void cleared_event(struct scene *s)
{
	clear_event(s);
	give(s->o, s->h[0], CMD_SET, 0);
	by_word(s, 0);
}

/* All that a client does that goes by the word: from one who unlocks to the next. */
static void use_word(struct scene *s, uint64_t unique)
{
	(void)unique;
	obj_unlock(s->o);
	if (s->o->type == IPC_SEM)
		count_take(count_word(s));
	else
		count_set(count_word(s), 1);
	CHECK_INT(obj_lock(s->o, -1), 0);
}

static void give_word(struct scene *s, uint64_t unique)
{
	(void)unique;
	obj_unlock(s->o);
	count_give(count_word(s), 1);
	CHECK_INT(obj_lock(s->o, -1), 0);
}

RUN(give_two, run_give(s, unique, CMD_ADD, 2))
RUN(clear_it, run_give(s, unique, CMD_CLEAR, 0))

/* ---- messages ---- */

static void empty(struct scene *s)
{
	more_memory(s->o);
	s->h[0] = h_open(s->o);
	s->h[1] = h_open(s->o);
	for (unsigned int i = 0; i < MOST; i++) /* so that each can be told from each */
		memset(text[i], (int)('A' + i % 50), sizeof(text[i]));
}

static void write_many(struct scene *s, unsigned int n, const size_t *len, unsigned int lens)
{
	struct iovec v[MOST];
	unsigned int done = 0, k;

	for (unsigned int i = 0; i < n; i++)
		v[i] = (struct iovec){ text[i], len[i % lens] };
	while (done < n && (k = queue_put_now(s->o, IPC_MESSAGE_MAX, v + done, n - done)))
		done += k;
	s->o->work = true;
}

static void write_same(struct scene *s, unsigned int n, size_t len)
{
	write_many(s, n, &len, 1);
}

static void read_many(struct scene *s, unsigned int n)
{
	static char space[MOST][2048];
	struct iovec v[MOST];

	for (unsigned int i = 0; i < n; i++)
		v[i] = (struct iovec){ space[i], sizeof(space[i]) };
	queue_get_now(s->o, v, n);
	s->o->work = true;
}

/* Free blocks of all pages, in no good order, and used ones between them. */
static void scattered(struct scene *s)
{
	static const size_t sizes[] = { 30, 60, 200, 700, 1300, 2000 };
	struct ipc_obj *o = s->o;

	empty(s);
	handle_at(o, s->h[1])->flags |= HANDLE_RECORD;
	for (unsigned int i = 0; i < 6; i++)
		for (unsigned int k = 0; k < 8; k++) {
			put_bytes(o, s->h[1], text[k], sizes[i]);
			put_bytes(o, s->h[1], text[k], 1);
		}
	for (unsigned int i = 0; i < 90; i++)
		get(o, s->h[1]);
	get_some(o, s->h[1], OP_STREAM, 1);
}

/* n messages of this length, and nothing else. */
static void filled(struct scene *s, unsigned int n, size_t len)
{
	empty(s);
	write_same(s, n, len);
	CHECK_INT(Q(s)->mq[0].count, n);
}

/* The same in pages that are full but for the free blocks of a few. */
static void mixed_up(struct scene *s)
{
	scattered(s);
	write_same(s, 3, 700);
	write_same(s, 3, 1300);
	write_same(s, 3, 2000);
}

static void small_full_pages(struct scene *s)
{
	filled(s, 40, 200);
}
static void one_small(struct scene *s)
{
	filled(s, 1, 10);
}
static void few_small(struct scene *s)
{
	filled(s, 3, 10);
}
/* The next message gets a block that another had. */
static void few_left(struct scene *s)
{
	filled(s, 5, 10);
	read_many(s, 2);
}
/* A page has one free block left; one block in use. */
static void page_almost_full(struct scene *s)
{
	filled(s, 18, 190);
}
static void page_almost_empty(struct scene *s)
{
	filled(s, 20, 190);
	read_many(s, 18);
}
static void large_full_pages(struct scene *s)
{
	filled(s, 12, 2000);
}

static void readers(struct scene *s)
{
	scattered(s);
	while (Q(s)->mq[0].count)
		get(s->o, s->h[1]);
	get_some(s->o, s->h[1], OP_STREAM, 1);
	for (unsigned int i = 0; i < 3; i++)
		s->w[i] = get_waits(s->o, s->h[1], OP_READ, i == 1 ? 0 : 101 + i);
}

static void putter(struct scene *s)
{
	filled(s, 3, 100);
	Q(s)->maxsize = 3;
	s->w[0] = put_waits(s->o, s->h[1], "waits\n", 101);
}

static const size_t lens[] = { 20, 200, 210, 1000, 1300, 1300, 2000, 2000, 2000, 0 };

RUN(put_one, (void)unique; write_same(s, 1, 10))
RUN(put_190, (void)unique; write_same(s, 1, 190))
RUN(put_largest, (void)unique; write_same(s, 1, 2032))
RUN(put_small, (void)unique; write_same(s, 48, 190))
RUN(put_large, (void)unique; write_same(s, 7, 2000))
RUN(put_all, (void)unique; write_many(s, 10, lens, 10))
RUN(get_one, (void)unique; read_many(s, 1))
RUN(get_all, (void)unique; read_many(s, 48))

const struct op ops_fast[] = {
	{ "fast lock comes into use", IPC_LOCK, fresh, nothing, 0 },
	{ "fast lock taken", IPC_LOCK, fresh, take_it, CLIENT },
	{ "fast lock taken and given back", IPC_LOCK, fresh, take_it_and_release, CLIENT | STEPS },
	{ "fast lock made a hold", IPC_LOCK, held, nothing, 0 },
	{ "fast lock read by another", IPC_LOCK, held_by_other, take, 0 },
	{ "fast lock shared by another", IPC_LOCK, held_by_other, lock_sh, 0 },
	{ "fast lock given back slowly", IPC_LOCK, held, give_one, 0 },
	{ "fast lock given back by another", IPC_LOCK, held_by_other, give_one, 0 },
	{ "fast lock and an open", IPC_LOCK, held_by_other, open_h, DAEMON },
	{ "fast lock close of its holder", IPC_LOCK, held, close_h, STEPS },
	{ "fast lock given back for a close", IPC_LOCK, held, give_back, STEPS },
	{ "fast lock close of all", IPC_LOCK, held, close_all, STEPS | DAEMON | GRANTS },
	{ "fast rlock taken", IPC_RLOCK, fresh, take_it, CLIENT },
	{ "fast rlock made a hold", IPC_RLOCK, held, nothing, 0 },
	{ "fast rlock taken once more", IPC_RLOCK, held, take, 0 },
	{ "fast rlock read by another", IPC_RLOCK, held_by_other, take, 0 },
	{ "fast rlock given back slowly", IPC_RLOCK, held, give_one, 0 },
	{ "fast rlock close of its holder", IPC_RLOCK, held, close_h, STEPS },
	{ "fast cond taken", IPC_COND, fresh, take_it, CLIENT },
	{ "fast cond waits", IPC_COND, held, take, 0 },
	{ "fast cond waits without the lock", IPC_COND, held_by_other, take, 0 },
	{ "fast cond unlocked slowly", IPC_COND, held, lock_un, 0 },
	{ "fast value locked by another", IPC_VALUE, held_by_other, lock_ex, 0 },
	{ "fast value close of its holder", IPC_VALUE, held, close_h, STEPS },
	{ "fast array taken", IPC_ARRAY, fresh, take_it, CLIENT },
	{ "fast array unlocked slowly", IPC_ARRAY, held, lock_un, 0 },
	{ "fast sem comes into use", IPC_SEM, three, nothing, 0 },
	{ "fast sem taken", IPC_SEM, three, use_word, CLIENT },
	{ "fast sem taken again", IPC_SEM, two_of_three, use_word, CLIENT },
	{ "fast sem given", IPC_SEM, two_of_three, give_word, CLIENT },
	{ "fast sem noted", IPC_SEM, two, nothing, 0 },
	{ "fast sem read", IPC_SEM, two, take, 0 },
	{ "fast sem borrowed", IPC_SEM, two, lock_ex, 0 },
	{ "fast sem given slowly", IPC_SEM, two, give_one, 0 },
	{ "fast sem given above its bound", IPC_SEM, two_of_three, give_two, 0 },
	{ "fast sem and an open", IPC_SEM, two, open_h, DAEMON },
	{ "fast sem and a close", IPC_SEM, two, close_h, STEPS },
	{ "fast event comes into use", IPC_EVENT, clear_event, nothing, 0 },
	{ "fast event set", IPC_EVENT, clear_event, use_word, CLIENT },
	{ "fast event read", IPC_EVENT, set_event, take, 0 },
	{ "fast event waited for", IPC_EVENT, cleared_event, take, 0 },
	{ "fast event cleared slowly", IPC_EVENT, set_event, clear_it, 0 },
	{ "now put into an empty queue", IPC_QUEUE, empty, put_one, CLIENT },
	{ "now put of one", IPC_QUEUE, scattered, put_one, CLIENT },
	{ "now put behind another", IPC_QUEUE, one_small, put_one, CLIENT },
	{ "now put into a freed block", IPC_QUEUE, few_left, put_one, CLIENT },
	{ "now put of the last in a page", IPC_QUEUE, page_almost_full, put_190, CLIENT },
	{ "now get of the first", IPC_QUEUE, few_small, get_one, CLIENT },
	{ "now get of the last in a page", IPC_QUEUE, page_almost_empty, get_one, CLIENT },
	{ "now put of the largest", IPC_QUEUE, scattered, put_largest, CLIENT },
	{ "now put of many small ones", IPC_QUEUE, scattered, put_small, CLIENT },
	{ "now put of large ones", IPC_QUEUE, scattered, put_large, CLIENT },
	{ "now put of all sizes", IPC_QUEUE, scattered, put_all, CLIENT | STEPS },
	{ "now put to readers", IPC_QUEUE, readers, put_all, CLIENT | STEPS },
	{ "now get of the last", IPC_QUEUE, one_small, get_one, CLIENT },
	{ "now get of one", IPC_QUEUE, mixed_up, get_one, CLIENT },
	{ "now get of many", IPC_QUEUE, mixed_up, get_all, CLIENT },
	{ "now get empties pages", IPC_QUEUE, small_full_pages, get_all, CLIENT },
	{ "now get of full pages", IPC_QUEUE, large_full_pages, get_all, CLIENT },
	{ "now get lets a putter go on", IPC_QUEUE, putter, get_one, CLIENT | STEPS },
	{ NULL },
};
