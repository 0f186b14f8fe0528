/* SPDX-License-Identifier: MIT */
/* The files of single objects: what they take, and a page of one that cannot be read any more. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/statedir.h"
#include "object/type.h"
#include "state/files.h"
#include "state/fs.h"

static void remove_file(const char *name)
{
	struct stat st;

	if (fstatat(fs.objects_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		fs.env.account(&fs.env, -(int64_t)st.st_blocks * 512, true);
	unlinkat(fs.objects_fd, name, 0);
}

void files_remove_engine(uint64_t id)
{
	remove_file(state_engine(id).s);
}

void files_remove_data(uint64_t id)
{
	remove_file(state_data(id).s);
}

void files_remove(uint64_t id, const struct ipc_type *t)
{
	if (!t)
		return;
	files_remove_engine(id);
	if (t->traits & TYPE_MEMORY)
		files_remove_data(id);
}

/*
 * SIGBUS: a mapped engine file was truncated by someone with write access, or its disk is failing.
 * Zeros take the place of the page. The address tells whose page it is, since nothing in a file
 * leads out of its own mapping.
 */
bool files_contain(const struct ipc_obj *o, uintptr_t page)
{
	return o->base && page >= (uintptr_t)o->base && page - (uintptr_t)o->base < o->map_len;
}

bool files_zero_page(const struct ipc_obj *o, uintptr_t page)
{
	return files_contain(o, page) &&
	       mmap((void *)page, IPC_PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}
