/* SPDX-License-Identifier: MIT */
/* rlock: depth, ownership, who gets it next; and lending it to a condition. */
#include <poll.h>
#include <sys/file.h>

#include "object/hold.h"
#include "object/lend.h"
#include "test.h"

TEST(rlock_depth)
{
	struct ipc_obj *o = obj_new(IPC_RLOCK);
	ref_t a = h_open(o), b = h_open(o);

	CHECK_INT(ipc_size(o), 1);
	CHECK_STR(get(o, a), "1\n");
	CHECK_STR(get(o, a), "2\n");
	CHECK_INT(ipc_size(o), 0);
	CHECK_STR(get(o, b), "!EAGAIN");
	CHECK_INT(give(o, b, CMD_ADD, 1), -EPERM);
	CHECK_INT(give(o, a, CMD_ADD, 3), -ERANGE);
	CHECK_INT(give(o, a, CMD_ADD, 1), 0);
	CHECK_STR(get(o, b), "!EAGAIN");
	CHECK_INT(give(o, a, CMD_ADD, 1), 0);
	CHECK_INT(give(o, a, CMD_ADD, 1), -EPERM);
	CHECK_STR(get(o, b), "1\n");
	CHECK_INT(give(o, b, CMD_SET, 1), -EINVAL);
}

TEST(rlock_flock)
{
	struct ipc_obj *o = obj_new(IPC_RLOCK);
	ref_t a = h_open(o), b = h_open(o);

	CHECK_INT(lock_it(o, a, LOCK_EX), 0);
	CHECK_INT(lock_it(o, a, LOCK_SH), 0);
	CHECK_INT(lock_it(o, b, LOCK_EX), -EAGAIN);
	CHECK_STR(get(o, a), "2\n");
	CHECK_INT(lock_it(o, a, LOCK_UN), 0);
	CHECK_INT(lock_it(o, a, LOCK_UN), 0);
	CHECK_INT(lock_it(o, b, LOCK_EX), -EAGAIN);
	CHECK_INT(give(o, a, CMD_ADD, 1), 0);
	CHECK_INT(lock_it(o, b, LOCK_EX), 0);
	/* A release by writing takes the flock's level too, when it is the last. */
	CHECK_INT(give(o, b, CMD_ADD, 1), 0);
	CHECK_INT(ipc_size(o), 1);
	CHECK_INT(o->h->holds.count, 0);
}

TEST(rlock_line)
{
	struct ipc_obj *o = obj_new(IPC_RLOCK);
	ref_t a = h_open(o), b = h_open(o), c = h_open(o), w[4];

	CHECK_STR(get(o, a), "1\n");
	w[0] = get_waits(o, b, OP_READ, 1);
	w[1] = get_waits(o, c, OP_READ, 2);
	w[2] = lock_waits(o, b, LOCK_EX, 3);
	w[3] = get_waits(o, b, OP_READ, 4);
	CHECK_STR(get(o, a), "2\n"); /* the owner passes those who wait */
	CHECK_INT(give(o, a, CMD_ADD, 2), 0);
	/* Whatever else the new owner waits for is its too. */
	CHECK_STR(finish(o, w[0]), "1\n");
	CHECK_STR(finish(o, w[2]), "0");
	CHECK_STR(finish(o, w[3]), "3\n");
	CHECK_STR(finish(o, w[1]), "!WAITS");
	close_it(o, b);
	CHECK_STR(finish(o, w[1]), "1\n");
}

TEST(rlock_undo)
{
	struct ipc_obj *o = obj_new(IPC_RLOCK);
	ref_t a = h_open(o), b = h_open(o), w;

	ipc_setting32(o, &o->h->b.sem.undo, 0);
	CHECK_STR(get(o, a), "1\n");
	close_it(o, a);
	obj_ok(o, "taken for good");
	w = get_waits(o, b, OP_READ, 1);
	CHECK_STR(finish(o, w), "!WAITS");
	CHECK_INT(give(o, b, CMD_ADD, 1), -EPERM);
	ipc_setting32(o, &o->h->b.sem.undo, 1);
	ipc_pump(o);
	CHECK_STR(finish(o, w), "1\n");
}

TEST(rlock_process)
{
	struct ipc_obj *o = obj_new(IPC_RLOCK);
	ref_t a = h_open(o), b = h_open(o), w;
	struct ipc_call c = call_new(a, OP_READ);

	CHECK_STR(get(o, a), "1\n");
	c.pid = 200;
	CHECK_INT(ipc_read(o, &c), 0); /* a child that shares the descriptor */
	w = get_waits(o, b, OP_READ, 1);
	ipc_setting32(o, &o->h->b.sem.scope, SCOPE_PROCESS);
	ipc_process_ended(o, 200);
	ipc_pump(o);
	CHECK_STR(finish(o, w), "!WAITS");
	ipc_process_ended(o, 100);
	ipc_pump(o);
	CHECK_STR(finish(o, w), "1\n");
}

TEST(rlock_poll)
{
	struct ipc_obj *o = obj_new(IPC_RLOCK);
	ref_t a = h_open(o), b = h_open(o);

	CHECK_INT(ipc_poll(o, a), POLLIN);
	CHECK_STR(get(o, a), "1\n");
	CHECK_INT(ipc_poll(o, a), POLLIN | POLLOUT);
	CHECK_INT(ipc_poll(o, b), 0);
}

TEST(lent_rlock)
{
	struct ipc_obj *o = obj_new(IPC_RLOCK);
	ref_t a = h_open(o), b = h_open(o);
	struct ipc_call c = call_new(0, 0);
	struct ipc_lent l;

	CHECK(!ipc_lent_find(o, 100, &l));
	CHECK_STR(get(o, a), "1\n");
	CHECK_STR(get(o, a), "2\n");
	CHECK_INT(lock_it(o, a, LOCK_EX), 0);
	CHECK(!ipc_lent_find(o, 999, &l));
	CHECK(ipc_lent_find(o, 100, &l));
	CHECK_INT(l.handle, a);
	ipc_lend(o, &l, 999);
	CHECK_INT(ipc_size(o), 0);
	ipc_lend(o, &l, 100);
	CHECK_INT(ipc_size(o), 1);
	CHECK_INT(handle_at(o, a)->lent_levels, 2);
	CHECK_INT(handle_at(o, a)->lent_flock, OP_FLOCK);
	ipc_lend(o, &l, 100);
	CHECK_STR(get(o, b), "1\n");
	c.unique = 7;
	c.deadline = 0;
	CHECK_INT(ipc_lent_retake(o, &c, &l), -EAGAIN);
	c.deadline = IPC_NEVER;
	CHECK_INT(ipc_lent_retake(o, &c, &l), IPC_WAIT);
	ipc_pump(o);
	CHECK_STR(finish(o, c.waiter), "!WAITS");
	CHECK_INT(give(o, b, CMD_ADD, 1), 0);
	CHECK_STR(finish(o, c.waiter), "0");
	CHECK_STR(get(o, a), "4\n");
	CHECK_INT(ipc_lent_retake(o, &c, &l), 0);
	CHECK_INT(lock_it(o, a, LOCK_UN), 0);
	CHECK_INT(give(o, a, CMD_ADD, 3), 0);
	CHECK_INT(ipc_size(o), 1);
	close_it(o, a);
	CHECK_INT(ipc_lent_retake(o, &c, &l), -EBADF);
}

TEST(lent_lock)
{
	struct ipc_obj *o = obj_new(IPC_LOCK);
	ref_t a = h_open(o), b = h_open(o);
	struct ipc_call c = call_new(0, 0);
	struct ipc_lent l;

	CHECK_STR(get(o, a), "1\n");
	CHECK(ipc_lent_find(o, 100, &l));
	ipc_lend(o, &l, 100);
	CHECK_INT(ipc_size(o), 1);
	c.unique = 7;
	c.deadline = 0; /* free: granted by the pump */
	CHECK_INT(ipc_lent_retake(o, &c, &l), IPC_WAIT);
	ipc_pump(o);
	CHECK_STR(finish(o, c.waiter), "0");
	CHECK(hold_find(o, a, OP_READ));
	CHECK_INT(give(o, a, CMD_ADD, 1), 0);

	CHECK_INT(lock_it(o, a, LOCK_SH), 0);
	CHECK_INT(lock_it(o, b, LOCK_SH), 0);
	CHECK(ipc_lent_find(o, 100, &l));
	ipc_lend(o, &l, 100);
	CHECK_INT(o->h->b.sem.shared, 1);
	c = call_new(0, 0);
	c.unique = 8;
	CHECK_INT(ipc_lent_retake(o, &c, &l), IPC_WAIT);
	ipc_pump(o);
	CHECK_STR(finish(o, c.waiter), "0");
	CHECK_INT(o->h->b.sem.shared, 2);
}

/* A condition's file may name any handle, and be written by who may not use the lock. */
TEST(lent_by_the_file_of_another)
{
	struct ipc_obj *o = obj_new(IPC_LOCK);
	ref_t a = h_open(o),
	      behind = (ref_t)((o->heap_off + (uint64_t)o->pages * IPC_PAGE) / IPC_UNIT);
	struct ipc_lent l = { a, handle_at(o, a)->gen };
	struct ipc_call c = call_new(0, 0);

	c.unique = 7;
	CHECK_STR(get(o, a), "1\n");
	ipc_lend(o, &l, 999);
	CHECK_INT(ipc_size(o), 0);
	CHECK_INT(give(o, a, CMD_ADD, 1), 0);
	CHECK_INT(ipc_lent_retake(o, &c, &l), -EBADF); /* it never lent anything */
	for (ref_t r = 0; r < 2048; r += 13) {
		l.handle = r;
		CHECK_INT(ipc_lent_retake(o, &c, &l), -EBADF);
		l.handle = behind - r;
		CHECK_INT(ipc_lent_retake(o, &c, &l), -EBADF);
		ipc_lend(o, &l, 100);
	}
	CHECK(!o->damage);
}
