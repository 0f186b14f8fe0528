/* SPDX-License-Identifier: MIT */
#include "file/heap.h"
#include "names/index.h"

int names_alloc(struct ipc_obj *m, const size_t *size, unsigned int n, bool essential, ref_t *ret)
{
	for (;;) {
		unsigned int got = 0;
		int r;

		while (got < n && (ret[got] = heap_alloc(m, size[got])))
			got++;
		if (m->damage)
			return -EIO;
		if (got == n)
			return 0;
		obj_rollback(m);
		r = m->damage ? -EIO : heap_grow(m, essential);
		if (r < 0)
			return r == -EIO ? r : -ENOSPC;
	}
}
