/* SPDX-License-Identifier: MIT */
/*
 * Memory that is refused: for each operation of the tables and each n, the n-th request for memory
 * fails. Whatever the operation makes of it, the object is sound, and the change happened or did
 * not; a writer that waits for memory goes on when there is some.
 *
 * And memory that another process has to get, while the lock is anybody's (ipc_call.grow): the same
 * comes of each operation as when it grows the file itself.
 */
#include "file/heap.h"
#include "snap.h"

/* A writer that waits for memory is counted, but changes nothing by that. */
static char *without_waits(char *dump)
{
	char *from = strstr(dump, "waits="), *to = from ? strchr(from, '\n') : NULL;

	if (to)
		memmove(from, to, strlen(to) + 1);
	return dump;
}

static void fail_each(const void *arg)
{
	const struct op *op = arg;
	struct scene s = { .o = obj_new_reserve(op->type, 4 << 20) };
	struct ipc_obj *o = s.o;
	char *before, *after, *now;
	struct snap start;

	op->setup(&s);
	churn(o);
	settle(o);
	heap_fill(o);
	obj_unlock(o);
	snap_take(&start, o);
	CHECK_INT(obj_lock(o, -1), 0);
	before = without_waits(obj_dump(o));
	op->run(&s, UNIQUE);
	settle(o);
	after = without_waits(obj_dump(o));
	obj_unlock(o);
	for (long n = 1;; n++) {
		bool failed;

		snap_restore(&start, o);
		CHECK_INT(obj_lock(o, -1), 0);
		env.fail_at = env.calls + n;
		op->run(&s, UNIQUE);
		settle(o);
		failed = env.calls >= env.fail_at;
		env.fail_at = 0;
		o->freed = true;
		settle(o);
		now = without_waits(obj_dump(o));
		if (strcmp(now, after) && strcmp(now, before) && !(op->flags & STEPS))
			test_fail(__FILE__, __LINE__,
				  "request %ld refused:\n%s\n--- not\n%s\n--- nor\n%s", n, now,
				  after, before);
		free(now);
		heap_unfill(o);
		obj_ok(o, "after a refusal");
		if (!failed)
			break;
		obj_unlock(o);
	}
	free(before);
	free(after);
	free(s.text);
	snap_free(&start);
}

/* ---- by another process ---- */

static struct ipc_obj *growing;
static int files; /* the folder, for whoever may let files grow */
static unsigned int asked;

/* It has the lock meanwhile, sees to the others, and to the memory. */
static int ask_to_grow(struct ipc_call *c)
{
	uint32_t order = growing->grow_order;

	(void)c;
	asked++;
	ipc_pump(growing);
	obj_unlock(growing);
	CHECK_INT(obj_lock(growing, -1), 0);
	growing->grow_order = order;
	env.env.dirfd = files;
	CHECK_INT(heap_grow(growing, false), 0);
	env.env.dirfd = -1;
	return IPC_DONE;
}

static void ask_each(const void *arg)
{
	const struct op *op = arg;
	struct scene s = { .o = obj_new_reserve(op->type, 4 << 20) };
	struct ipc_obj *o = growing = s.o;
	char *after, *now;
	struct snap start;

	op->setup(&s);
	churn(o);
	settle(o);
	heap_fill(o);
	obj_unlock(o);
	snap_take(&start, o);
	CHECK_INT(obj_lock(o, -1), 0);
	op->run(&s, 0);
	settle(o);
	after = obj_dump(o);
	obj_unlock(o);

	snap_restore(&start, o);
	CHECK_INT(obj_lock(o, -1), 0);
	files = env.env.dirfd;
	env.env.dirfd = -1;
	call_grow = ask_to_grow;
	asked = 0;
	op->run(&s, 0);
	call_grow = NULL;
	env.env.dirfd = files;
	settle(o);
	now = obj_dump(o);
	if (strcmp(now, after))
		test_fail(__FILE__, __LINE__, "asked %u times:\n%s\n--- not\n%s", asked, now,
			  after);
	heap_unfill(o);
	obj_ok(o, "after it grew");
	free(after);
	free(now);
	free(s.text);
	snap_free(&start);
}

__attribute__((constructor)) static void add(void)
{
	ops_register("ask", ask_each, DAEMON | MEMORY);
	ops_register("fail", fail_each, 0);
}
