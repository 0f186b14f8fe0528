/* SPDX-License-Identifier: MIT */
/* Which process keeps which open file: those of a file of the test's, seen through /proc. */
#include "ctl/keepers.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"
#include "state/nodeid.h"

static struct keepers k;
static char path[] = "/tmp/keepers-XXXXXX";
static pid_t heirs[4];
static unsigned int n_heirs;

/* A child that has these descriptors and no other of the file's; it lives until end(). */
static uint32_t heir(const int *keep, unsigned int n, const int *all, unsigned int n_all)
{
	int ready[2];
	char c;

	CHECK(pipe(ready) == 0);
	heirs[n_heirs] = fork();
	if (heirs[n_heirs] == 0) {
		for (unsigned int i = 0; i < n_all; i++) {
			bool kept = false;

			for (unsigned int j = 0; j < n; j++)
				kept |= all[i] == keep[j];
			if (!kept)
				close(all[i]);
		}
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	CHECK(read(ready[0], &c, 1) == 1);
	close(ready[0]);
	close(ready[1]);
	return (uint32_t)heirs[n_heirs++];
}

static int open_file(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

/* A handle of the file, as its object would have it. */
static void add_handle(uint32_t opener)
{
	struct stat st;

	CHECK(stat(path, &st) == 0);
	k.handles = realloc(k.handles, (k.n_handles + 1) * sizeof(*k.handles));
	k.handles[k.n_handles] = (struct kept_handle){
		.ref = (ref_t)k.n_handles + 1,
		.id = nodeid_id(st.st_ino),
		.mode = O_RDONLY,
		.opener = opener,
		.since = ipc_now(),
	};
	k.objects[0].n = ++k.n_handles;
}

static void begin(void)
{
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/tmp/keepers-XXXXXX");
	fd = mkstemp(path);
	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	close(fd);
	n_heirs = 0;
	k = (struct keepers){ 0 };
	census_begin(&k.census, st.st_dev);
	k.objects = calloc(1, sizeof(*k.objects));
	k.n_objects = 1;
}

/* No inode number of the kernel's for it: those are for FUSE. */
static void look(void)
{
	keepers_look(&k);
	for (size_t i = 0; i < k.census.n_files; i++)
		k.census.files[i].nodeid = 0;
	for (size_t i = 0; i < k.n_handles; i++)
		k.handles[i].nodeid = 1;
}

static void end(void)
{
	while (n_heirs) {
		kill(heirs[--n_heirs], SIGKILL);
		waitpid(heirs[n_heirs], NULL, 0);
	}
	keepers_free(&k);
	unlink(path);
}

static bool names(const struct kept *kept, uint32_t pid)
{
	for (size_t i = 0; i < kept->n; i++)
		if (kept->pids[i] == pid)
			return true;
	return false;
}

TEST(keepers_opener_and_heirs)
{
	uint32_t me = (uint32_t)getpid(), one, two;
	struct kept kept;
	int fd[2];

	begin();
	fd[0] = open_file();
	add_handle(me);
	one = heir(fd, 1, fd, 1);
	two = heir(fd, 0, fd, 1);
	look();
	keepers_find(&k, 0, 99999999, &kept);
	CHECK(kept.exact && kept.n == 2 && kept.pids[0] == me && names(&kept, one));
	CHECK(!names(&kept, two));
	free(kept.pids);
	close(fd[0]);
	end();
}

/* Who took it is named first, if it has it. */
TEST(keepers_taker_first)
{
	uint32_t me = (uint32_t)getpid(), one, two;
	struct kept kept;
	int fd;

	begin();
	fd = open_file();
	add_handle(me);
	one = heir(&fd, 1, &fd, 1);
	two = heir(&fd, 0, &fd, 1);
	look();
	keepers_find(&k, 0, one, &kept);
	CHECK(kept.n == 2 && kept.pids[0] == one && kept.pids[1] == me);
	CHECK(keepers_has(&k, 0, one, ipc_now()));
	CHECK(!keepers_has(&k, 0, two, ipc_now()));
	free(kept.pids);
	close(fd);
	end();
}

/* Its opener has closed it: it is the one that nobody else's handle explains. */
TEST(keepers_opener_has_closed)
{
	struct kept kept;
	uint32_t one;
	int fd[2];

	begin();
	fd[0] = open_file();
	add_handle(99999999); /* has ended */
	one = heir(fd, 1, fd, 1);
	close(fd[0]);
	fd[1] = open_file();
	add_handle((uint32_t)getpid());
	look();
	keepers_find(&k, 0, 99999998, &kept);
	CHECK(kept.exact && kept.n == 1 && kept.pids[0] == one);
	free(kept.pids);
	keepers_find(&k, 1, 99999998, &kept);
	CHECK(kept.exact && kept.n == 1 && kept.pids[0] == (uint32_t)getpid());
	free(kept.pids);
	close(fd[1]);
	end();
}

/* A process with two handles, one of which only its child has by now: all are named. */
TEST(keepers_one_of_two)
{
	uint32_t me = (uint32_t)getpid(), one;
	struct kept kept;
	int fd[2];

	begin();
	fd[0] = open_file();
	fd[1] = open_file();
	add_handle(me);
	add_handle(me);
	one = heir(fd, 1, fd, 2);
	close(fd[0]);
	look();
	for (unsigned int i = 0; i < 2; i++) {
		keepers_find(&k, i, me, &kept);
		CHECK(!kept.exact && kept.n == 2 && kept.pids[0] == me && names(&kept, one));
		free(kept.pids);
	}
	close(fd[1]);
	end();
}

TEST(keepers_nobody)
{
	struct kept kept;

	begin();
	add_handle((uint32_t)getpid());
	look();
	keepers_find(&k, 0, 99999999, &kept);
	CHECK(!kept.n && !kept.sure);
	free(kept.pids);
	end();
}

/* Of a descriptor that was duplicated there is one open file; of a second open(), two. */
TEST(keepers_same_file)
{
	struct kept kept;
	int fd[3];

	begin();
	fd[0] = open_file();
	fd[1] = dup(fd[0]);
	add_handle((uint32_t)getpid());
	look();
	keepers_find(&k, 0, 1, &kept);
	CHECK(kept.exact && kept.n == 1);
	CHECK(k.n_groups == 1);
	free(kept.pids);
	close(fd[0]);
	close(fd[1]);
	end();
}
