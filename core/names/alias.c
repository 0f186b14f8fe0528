/* SPDX-License-Identifier: MIT */
/* Aliases of inodes, and generations: see names.h. */
#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "names/index.h"

#define M MOUNT

/* From 1 to NAMES_GEN_MOST, and then from 1 again. */
static uint32_t next_gen(struct ipc_obj *m)
{
	uint32_t gen = M(m)->next_gen & NAMES_GEN_MOST;

	gen = gen ? gen : 1;
	set32(m, M(m)->next_gen, gen + 1);
	return gen;
}

int alias_add(struct ipc_obj *m, uint64_t nodeid, int64_t timeout, uint32_t tid, ref_t *ret)
{
	ref_t r;
	const size_t size = sizeof(struct ipc_alias);
	int e = names_alloc(m, &size, 1, true, &r);

	if (e < 0)
		return e;
	*alias_at(m, r) = (struct ipc_alias){
		.nodeid = nodeid,
		.timeout = timeout,
		.gen = next_gen(m),
		.tid = tid,
	};
	list_push(m, &M(m)->aliases, r);
	*ret = r;
	return names_commit(m);
}

void alias_remove(struct ipc_obj *m, ref_t r)
{
	list_remove(m, &M(m)->aliases, r);
	heap_free(m, r);
	commit(m);
}

void names_forget_aliases(struct ipc_obj *m)
{
	while (M(m)->aliases.head && !m->damage)
		alias_remove(m, M(m)->aliases.head);
}

uint32_t names_next_gen(struct ipc_obj *m)
{
	uint32_t gen = next_gen(m);

	commit(m);
	return gen;
}
