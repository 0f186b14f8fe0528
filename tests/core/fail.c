/* SPDX-License-Identifier: MIT */
/*
 * Memory that is refused: for each operation of the tables and each n, the n-th request for memory
 * fails. Whatever the operation makes of it, the object is sound, and the change happened or did
 * not; a writer that waits for memory goes on when there is some.
 */
#include "snap.h"

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
	before = obj_dump(o);
	op->run(&s, UNIQUE);
	settle(o);
	after = obj_dump(o);
	obj_unlock(o);
	for (long n = 1; ; n++) {
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
		now = obj_dump(o);
		if (strcmp(now, after) && strcmp(now, before) && !(op->flags & STEPS))
			test_fail(__FILE__, __LINE__, "request %ld refused:\n%s\n--- not\n%s\n--- nor\n%s", n,
				  now, after, before);
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

__attribute__((constructor)) static void add(void)
{
	ops_register("fail", fail_each, 0);
}
