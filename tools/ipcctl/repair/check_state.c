// SPDX-License-Identifier: MIT
/*
 * ipcctl check, off-line: every engine file of a state directory.
 *
 * Checks work on private mappings of the files (copy on write), so rolling back what a dead process
 * left half done changes nothing. Only --repair writes, and only to files that are sound; damaged
 * ones are moved aside whole, for anyone who can make use of them.
 */
#include "repair/check_state.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "repair/check_parts.h"
#include "util.h"

static void check_files(struct state *s)
{
	uint64_t *ids;
	size_t n = state_files(s, &ids);

	for (size_t i = 0; i < n; i++) {
		if (state_find(s, ids[i]))
			continue;
		s->result->damaged++;
		printf("objects/%llu: no name refers to it\n", (unsigned long long)ids[i]);
		if (!s->repair || state_put_aside(s, state_engine(ids[i])) < 0 ||
		    state_put_aside(s, state_data(ids[i])) < 0)
			continue;
		s->result->repaired++;
		printf("objects/%llu: moved to objects/%llu.damaged\n", (unsigned long long)ids[i],
		       (unsigned long long)ids[i]);
	}
	free(ids);
}

static int open_state(struct state *s, const char *dir)
{
	bool has_names;
	int r;

	s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0) {
		r = -errno;
		complain(dir, "%s", strerror(-r));
		return r;
	}
	if (flock(s->dir, LOCK_EX | LOCK_NB) < 0) {
		complain(dir, "is in use; check the mount point instead, or unmount it first");
		return -EBUSY;
	}
	has_names = faccessat(s->dir, STATE_MOUNT, F_OK, 0) == 0;
	if (s->repair && has_names && mkdirat(s->dir, STATE_OBJECTS, 0700) == 0)
		printf("objects/: was missing, and is now empty\n");
	s->objects = openat(s->dir, STATE_OBJECTS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->objects < 0) {
		r = -errno;
		complain(dir,
			 r != -ENOENT ? "objects: %s" :
			 has_names    ? "objects/ is missing" :
					"neither an ipcfs mount nor a state directory",
			 strerror(-r));
		return r;
	}
	s->env.dirfd = s->objects;
	return 0;
}

int check_state(const char *dir, bool repair, struct check_result *ret)
{
	struct state s = { .dir = -1,
			   .objects = -1,
			   .repair = repair,
			   .result = ret,
			   .memory_limit = 1ull << 30 };
	int r = open_state(&s, dir);

	if (r == 0)
		r = check_names(&s, dir);
	for (size_t i = 0; i < s.n && r == 0; i++) {
		if (s.items[i].id == IPC_ROOT_ID)
			continue;
		if (s.items[i].type != IPC_DIR)
			check_object(&s, &s.items[i]);
	}
	if (r == 0)
		check_files(&s);
	for (size_t i = 0; i < s.n; i++)
		free(s.items[i].name);
	free(s.items);
	close_fd(&s.objects);
	close_fd(&s.dir);
	return r;
}
