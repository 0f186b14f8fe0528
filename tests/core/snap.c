/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "snap.h"

/* Not locked: the mutex is part of the picture. */
void snap_take(struct snap *n, const struct ipc_obj *o)
{
	n->obj = *o;
	n->used = env.used;
	n->len = o->heap_off + (size_t)o->h->pages * IPC_PAGE;
	n->bytes = malloc(n->len);
	memcpy(n->bytes, o->base, n->len);
}

void snap_restore(const struct snap *n, struct ipc_obj *o)
{
	*o = n->obj;
	env.used = n->used;
	memcpy(o->base, n->bytes, n->len);
}

void snap_free(struct snap *n)
{
	free(n->bytes);
}

void churn(struct ipc_obj *o)
{
	ref_t r[5];

	for (size_t size = 32; size <= 2048; size += 16) {
		for (int i = 0; i < 5; i++) {
			while (!(r[i] = heap_alloc(o, size)))
				if (heap_grow(o, true) < 0)
					return;
			memset(at(o, r[i], size), 0xa5, size);
			commit(o);
		}
		for (int i = 0; i < 5; i++) {
			heap_free(o, r[i * 3 % 5]);
			commit(o);
		}
	}
}

void settle(struct ipc_obj *o)
{
	ipc_pump(o);
	if (o->type == IPC_QUEUE || o->type == IPC_PIPE)
		put_turns(o);
}

void ops_register(const char *prefix, void (*run)(const void *arg), unsigned int without)
{
	for (const struct op *const *t = op_tables; *t; t++)
		for (const struct op *op = *t; op->name; op++) {
			struct test *test;
			char *name;

			if (op->flags & without)
				continue;
			test = calloc(1, sizeof(*test));
			if (!test || asprintf(&name, "%s: %s", prefix, op->name) < 0)
				abort();
			*test = (struct test){ .name = name, .run = run, .arg = op };
			test_add(test);
		}
}
