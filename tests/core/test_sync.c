/* SPDX-License-Identifier: MIT */
/* Events, semaphores, locks. */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/file.h>

#include "object/hold.h"
#include "object/completion.h"
#include "test.h"

#define S(o) (&(o)->h->b.sem)

TEST(event)
{
	struct ipc_obj *o = obj_new(IPC_EVENT);
	ref_t h = h_open(o), w[10];

	CHECK_STR(get(o, h), "!EAGAIN");
	for (unsigned int i = 0; i < 10; i++)
		w[i] = get_waits(o, h, OP_READ, i % 3 ? 100 + i : 0);
	CHECK_INT(ipc_poll(o, h), POLLOUT);
	CHECK_INT(give(o, h, CMD_ADD, 1), -EINVAL);
	CHECK_INT(give(o, h, CMD_SET, 0), 0);
	CHECK_INT(give(o, h, CMD_CLEAR, 0), 0);
	for (unsigned int i = 0; i < 10; i++) /* all that waited go, though it is clear again */
		CHECK_STR(finish(o, w[i]), "1\n");
	CHECK_INT(ipc_size(o), 0);
	give(o, h, CMD_SET, 0);
	CHECK_INT(ipc_size(o), 1);
	CHECK_STR(get(o, h), "1\n");
	CHECK_STR(get(o, h), "1\n");
	CHECK_INT(ipc_poll(o, h), POLLIN | POLLOUT);
}

TEST(sem_permits)
{
	struct ipc_obj *o = obj_new(IPC_SEM);
	ref_t h = h_open(o), a, b;

	CHECK_STR(get(o, h), "!EAGAIN");
	CHECK_INT(give(o, h, CMD_ADD, 2), 0);
	CHECK_INT(ipc_size(o), 2);
	CHECK_STR(get(o, h), "1\n");
	CHECK_STR(get(o, h), "1\n");
	a = get_waits(o, h, OP_READ, 100);
	b = lock_waits(o, h, LOCK_EX, 101);
	CHECK_INT(give(o, h, CMD_ADD, 1), 0);
	CHECK_STR(finish(o, a), "1\n");
	CHECK_STR(finish(o, b), "!WAITS");
	CHECK_STR(get(o, h), "!EAGAIN");
	CHECK_INT(give(o, h, CMD_ADD, 2), 0);
	CHECK_STR(finish(o, b), "0");
	CHECK_INT(ipc_size(o), 1);
	CHECK_INT(o->h->holds.count, 1);
	CHECK_INT(lock_it(o, h, LOCK_EX), 0); /* has it */
	CHECK_INT(ipc_size(o), 1);
	close_it(o, h);
	CHECK_INT(ipc_size(o), 2);
}

TEST(sem_bound)
{
	struct ipc_obj *o = obj_new(IPC_SEM);
	ref_t h = h_open(o);

	S(o)->bound = 3;
	CHECK_INT(give(o, h, CMD_ADD, 4), -ERANGE);
	CHECK_INT(give(o, h, CMD_ADD, 3), 0);
	CHECK_INT(give(o, h, CMD_ADD, 1), -ERANGE);
	CHECK_INT(give(o, h, CMD_ADD, 0), 0);
	CHECK_INT(give(o, h, CMD_ADD, -1), -EINVAL);
	CHECK_INT(give(o, h, CMD_ADD, INT64_MAX), -ERANGE);
	CHECK_INT(ipc_size(o), 3);
	S(o)->bound = 0;
	CHECK_INT(give(o, h, CMD_ADD, INT64_MAX), -ERANGE);
	CHECK_INT(give(o, h, CMD_ADD, INT64_MAX - 3), 0);
	CHECK_INT(ipc_size(o), INT64_MAX);
}

TEST(sem_undo)
{
	struct ipc_obj *o = obj_new(IPC_SEM);
	ref_t h = h_open(o), g = h_open(o), w;

	give(o, g, CMD_ADD, 4);
	CHECK_STR(get(o, h), "1\n");
	S(o)->undo = 1;
	CHECK_STR(get(o, h), "1\n");
	CHECK_STR(get(o, h), "1\n");
	CHECK_INT(give(o, h, CMD_ADD, 1), 0); /* gives back one of its own */
	CHECK_INT(ipc_size(o), 2);
	CHECK_STR(get(o, g), "1\n");
	CHECK_STR(get(o, g), "1\n");
	w = get_waits(o, g, OP_READ, 100);
	close_it(o, h); /* one returns, one stays taken */
	CHECK_STR(finish(o, w), "1\n");
	CHECK_INT(handle_at(o, g)->holds, 1);
	CHECK_INT(o->h->holds.count, 1);
	ipc_process_ended(o, 100);
	CHECK_INT(ipc_size(o), 0); /* by then it is no matter of processes */
	S(o)->scope = SCOPE_PROCESS;
	ipc_process_ended(o, 99);
	CHECK_INT(ipc_size(o), 0);
	ipc_process_ended(o, 100);
	CHECK_INT(ipc_size(o), 3);
}

/* A descriptor that many processes share: each has a hold of its own. */
TEST(sem_scope_opener)
{
	struct ipc_obj *o = obj_new(IPC_SEM);
	ref_t h = h_open(o), g = h_open(o);

	give(o, g, CMD_ADD, 3);
	S(o)->undo = 1;
	S(o)->scope = SCOPE_OPENER;
	ipc_adopt(o, h, 7);
	CHECK_STR(get(o, h), "1\n");
	CHECK_INT(lock_it(o, h, LOCK_EX), 0);
	CHECK_STR(get(o, g), "1\n");
	ipc_process_ended(o, 100); /* who took by h, and opened g */
	CHECK_INT(ipc_size(o), handle_at(o, g)->opener == 100);
	ipc_process_ended(o, 7);
	CHECK_INT(handle_at(o, h)->holds, 0);
	CHECK_INT(ipc_check(o, &(struct ipc_check){ 0 }), 0);
}

TEST(sem_jobserver)
{
	struct ipc_obj *o = obj_new(IPC_SEM);
	ref_t read = h_open(o), write = h_open(o), w;

	give(o, write, CMD_ADD, 2);
	S(o)->bound = 2;
	S(o)->jobserver = 1;
	CHECK_STR(get(o, read), "+");
	CHECK_STR(get(o, read), "+");
	w = get_waits(o, read, OP_READ, 1);
	CHECK_INT(o->h->holds.count, 1);
	CHECK_INT(give(o, write, CMD_ADD, 1), 0); /* where another handle took it */
	CHECK_STR(finish(o, w), "+");
	CHECK_INT(give(o, write, CMD_ADD, 3), -ERANGE);
	CHECK_INT(give(o, write, CMD_ADD, 2), 0);
	CHECK_INT(o->h->holds.count, 0);
	CHECK_INT(ipc_size(o), 2);
	CHECK_STR(get(o, read), "+");
	ipc_process_ended(o, 100);
	CHECK_INT(ipc_size(o), 2);
	CHECK_STR(get(o, read), "+");
	close_it(o, read);
	CHECK_INT(ipc_size(o), 2);
	CHECK_INT(ipc_check(o, &(struct ipc_check){ 0 }), 0);
}

TEST(sem_undo_of_many_processes)
{
	struct ipc_obj *o = obj_new(IPC_SEM);
	ref_t h = h_open(o);

	S(o)->undo = 1;
	give(o, h, CMD_ADD, 100);
	for (uint32_t i = 0; i < 100; i++) {
		struct ipc_call c = call_new(h, OP_READ);

		c.pid = 200 + i;
		CHECK_INT(ipc_read(o, &c), 0);
	}
	CHECK_INT(o->h->holds.count, 100);
	CHECK_INT(give(o, h, CMD_ADD, 97), 0);
	CHECK_INT(o->h->holds.count, 3);
	CHECK_INT(ipc_size(o), 97);
	close_it(o, h);
	CHECK_INT(ipc_size(o), 100);
}

TEST(sem_dead_direct_clients)
{
	struct ipc_obj *o = obj_new(IPC_SEM);
	ref_t d = h_open(o), h = h_open(o);

	for (int i = 0; i < 3; i++)
		get_waits(o, d, OP_READ, 0);
	lock_waits(o, d, LOCK_EX, 0);
	give(o, h, CMD_ADD, 5);
	CHECK_INT(ipc_size(o), 1);
	close_it(o, d);
	CHECK_INT(ipc_size(o), 5);
}

/* What would wait for ever: those before and behind it go on waiting, in their order. */
TEST(lock_refused)
{
	struct ipc_obj *o = obj_new(IPC_LOCK);
	ref_t a = h_open(o), b = h_open(o), w[3];

	CHECK_INT(lock_it(o, a, LOCK_EX), 0);
	for (unsigned int i = 0; i < 3; i++)
		w[i] = i == 1 ? get_waits(o, b, OP_READ, 101) :
				lock_waits(o, h_open(o), LOCK_EX, 100 + i);
	ipc_refuse(o, w[1]);
	CHECK_STR(finish(o, w[1]), "!EDEADLK");
	CHECK_INT(lock_it(o, a, LOCK_UN), 0);
	CHECK_STR(finish(o, w[0]), "0");
	CHECK_STR(finish(o, w[2]), "!WAITS");
	CHECK_INT(o->h->holds.count, 1);
}

TEST(lock_basics)
{
	struct ipc_obj *o = obj_new(IPC_LOCK);
	ref_t a = h_open(o), b = h_open(o), w;

	CHECK_INT(ipc_size(o), 1);
	CHECK_INT(ipc_poll(o, a), POLLIN);
	CHECK_STR(get(o, a), "1\n");
	CHECK_INT(ipc_poll(o, a), POLLOUT);
	CHECK_STR(get(o, b), "!EAGAIN");
	CHECK_INT(lock_it(o, b, LOCK_EX), -EAGAIN);
	CHECK_INT(give(o, b, CMD_ADD, 2), -ERANGE);
	w = get_waits(o, b, OP_READ, 100);
	CHECK_INT(give(o, b, CMD_ADD, 1), 0); /* through another handle */
	CHECK_STR(finish(o, w), "1\n");
	CHECK_INT(ipc_size(o), 0);
	CHECK_INT(handle_at(o, a)->holds, 0);
	close_it(o, a);
	CHECK_INT(ipc_size(o), 0);
	close_it(o, b);
	CHECK_INT(ipc_size(o), 1);
	a = h_open(o);
	CHECK_INT(give(o, a, CMD_ADD, 1), -ERANGE);
	CHECK_INT(lock_it(o, a, LOCK_UN), 0);
}

TEST(lock_shared)
{
	struct ipc_obj *o = obj_new(IPC_LOCK);
	ref_t a = h_open(o), b = h_open(o), c = h_open(o), d = h_open(o), w, x;

	CHECK_INT(lock_it(o, a, LOCK_SH), 0);
	CHECK_INT(lock_it(o, b, LOCK_SH), 0);
	CHECK_INT(S(o)->shared, 2);
	w = lock_waits(o, c, LOCK_EX, 100);
	CHECK_INT(lock_it(o, d, LOCK_SH), -EAGAIN); /* in order of arrival */
	x = lock_waits(o, d, LOCK_SH, 101);
	CHECK_INT(lock_it(o, a, LOCK_UN), 0);
	CHECK_STR(finish(o, w), "!WAITS");
	CHECK_INT(lock_it(o, b, LOCK_UN), 0);
	CHECK_STR(finish(o, w), "0");
	CHECK_STR(finish(o, x), "!WAITS");
	CHECK_INT(lock_it(o, c, LOCK_SH), 0); /* lets d in, and nobody else before */
	CHECK_STR(finish(o, x), "0");
	CHECK_INT(S(o)->shared, 2);
	CHECK_INT(lock_it(o, d, LOCK_EX), -EAGAIN); /* as flock(2): loses what it had */
	CHECK_INT(S(o)->shared, 1);
	CHECK_INT(lock_it(o, c, LOCK_EX), 0);
	CHECK_INT(S(o)->shared, 0);
	CHECK_INT(ipc_size(o), 0);
	close_it(o, c);
	CHECK_INT(ipc_size(o), 1);
}

TEST(lock_waiters_leave)
{
	struct ipc_obj *o = obj_new(IPC_LOCK);
	ref_t a = h_open(o), b = h_open(o), c = h_open(o), w, x, y;

	lock_it(o, a, LOCK_SH);
	w = lock_waits(o, b, LOCK_EX, 100);
	x = lock_waits(o, c, LOCK_SH, 101);
	y = lock_waits(o, b, LOCK_SH, 102);
	CHECK_STR(leave(o, w, -EINTR), "!EINTR"); /* those behind may go on */
	CHECK_STR(finish(o, x), "0");
	CHECK_STR(finish(o, y), "0");
	CHECK_INT(S(o)->shared, 3);
	close_it(o, b);
	CHECK_INT(S(o)->shared, 2);
}

TEST(wrong_operations)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE), *e = obj_new(IPC_EVENT);
	ref_t h = h_open(o), g = h_open(e);

	CHECK_INT(lock_it(o, h, LOCK_EX), -EOPNOTSUPP);
	CHECK_INT(lock_it(e, g, LOCK_EX), -EOPNOTSUPP);
	CHECK_INT(give(o, h, CMD_SET, 0), -EINVAL);
	CHECK_INT(put(e, g, "1"), -EINVAL);
}

TEST(handles_and_generations)
{
	struct ipc_obj *o = obj_new(IPC_EVENT);
	ref_t h = h_open(o);
	uint32_t gen = handle_at(o, h)->gen;

	CHECK(ipc_handle(o, h, gen));
	CHECK(!ipc_handle(o, h, gen + 1));
	CHECK(!ipc_handle(o, 0, gen));
	CHECK(!ipc_handle(o, UINT32_MAX, gen));
	CHECK(!ipc_handle(o, 1, gen));
	close_it(o, h);
	CHECK(!ipc_handle(o, h, gen));
	for (int i = 0; i < 200; i++)
		h_open(o);
	obj_ok(o, "with many handles");
	ipc_close_all(o);
	CHECK_INT(o->h->handles.count, 0);
}

TEST(completions_of_requests)
{
	struct ipc_obj *o = obj_new(IPC_SEM);
	struct ipc_cmd cmd = { .verb = CMD_ADD, .n = 1 };
	struct ipc_call c = call_new(h_open(o), OP_WRITE);
	int64_t result;
	bool partial;

	for (c.unique = 1; c.unique <= 5; c.unique++) {
		CHECK_INT(ipc_give(o, &c, &cmd), 0);
		ipc_restarted(o);
		ipc_restarted(o);
	}
	c.unique = 6;
	CHECK_INT(ipc_give(o, &c, &cmd), 0);
	for (uint64_t u = 1; u <= 7; u++)
		CHECK_INT(ipc_completion_find(o, u, c.handle, &result, &partial), u >= 2 && u <= 6);
	CHECK(!ipc_completion_find(o, 6, 0, &result, &partial));
	CHECK(!ipc_completion_find(o, 0, 0, &result, &partial));
	ipc_close_all(o);
	CHECK(!ipc_completion_find(o, 6, c.handle, &result, &partial));
}

/* The first half of a close: what was held is free, and the handle goes on. */
TEST(give_back)
{
	struct ipc_obj *o = obj_new(IPC_RLOCK);
	ref_t a = h_open(o), b = h_open(o);

	CHECK_STR(get(o, a), "1\n");
	CHECK_STR(get(o, a), "2\n");
	ipc_give_back(o, a);
	CHECK_INT(ipc_size(o), 1);
	CHECK_INT(handle_at(o, a)->holds, 0);
	CHECK_STR(get(o, b), "1\n");
	ipc_give_back(o, a); /* again: no harm */
	CHECK_INT(ipc_size(o), 0);
	ipc_give_back(o, b);
	CHECK_STR(get(o, a), "1\n");
}

TEST(give_back_leaves_a_pipe_open)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t w = h_new(o, HANDLE_OBJECT, W, 0), r = h_new(o, HANDLE_OBJECT, R, HANDLE_POSITION);

	CHECK_INT(put(o, w, "x"), 1);
	CHECK_STR(get(o, r), "x");
	ipc_give_back(o, w);
	CHECK_INT(ipc_poll(o, r), 0);
	CHECK_INT(put(o, w, "y"), 1);
	close_it(o, w);
	CHECK_STR(get(o, r), "y");
	CHECK_STR(get(o, r), "");
}
