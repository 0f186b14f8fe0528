/* SPDX-License-Identifier: MIT */
#include "files.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned int count(bool (*is_one)(const char *name, const void *arg), const void *arg)
{
	const struct dirent *e;
	unsigned int n = 0;
	DIR *d;

	k_sync(); /* what is to be done behind the last reply has been done */
	d = opendir(state_path("objects"));
	CHECK(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.' && is_one(e->d_name, arg);
	closedir(d);
	return n;
}

static bool is_of(const char *name, const void *arg)
{
	char *end;

	return strtoull(name, &end, 10) == *(const uint64_t *)arg && end != name;
}

unsigned int files_of(uint64_t ino)
{
	if (ino & 1ull << 63) /* an alias */
		ino = ((struct fuse_attr_out *)k_answer(q_getattr(ino))->data)->attr.ino;
	ino &= 0xffffffffff;
	return count(is_of, &ino);
}

static bool begins(const char *name, const void *arg)
{
	return !strncmp(name, arg, strlen(arg));
}

unsigned int files_like(const char *beginning)
{
	return count(begins, beginning);
}

bool file_has(uint64_t ino, const char *text)
{
	int fd = open(engine_file(ino), O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *all;
	bool has;

	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	all = malloc((size_t)st.st_size);
	CHECK(all && read(fd, all, (size_t)st.st_size) == st.st_size);
	has = memmem(all, (size_t)st.st_size, text, strlen(text)) != NULL;
	free(all);
	close(fd);
	return has;
}
