/* SPDX-License-Identifier: MIT */
/*
 * READs that the kernel makes for its page cache: for sendfile(2) and splice(2), and for a process
 * that touches a private mapping. (The kernel refuses a shared mapping by itself, but
 * fuse_file_mmap() has no way to refuse a private one.)
 *
 * sendfile and splice must be refused: they would stop at st_size, which is not a length here;
 * programs then use read(2). A mapping must be served, or its process dies of SIGBUS; it gets what
 * a look at the object shows, and zeros. The two kinds of READ look exactly the same. So we check
 * whether the process has mapped the file: in a separate thread, since reading /proc/PID/maps may
 * wait for a lock that the process's own threads hold while they wait for us.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "base/alloc.h"
#include "ctl/ctl.h"
#include "base/mounted.h"
#include "ctl/plain.h"

#define LOOKS_MOST 32 /* at a time */

struct look {
	struct asker *asker;
	uint32_t tid;
	uint64_t ino;  /* as in /proc/PID/maps */
	int otherwise; /* the error if it has not mapped the file; 0: end of file */
	size_t size;
	char *page; /* what it gets: `size` bytes */
};

static unsigned int looks; /* under the daemon lock */

static bool has_mapped(uint32_t tid, dev_t dev, uint64_t ino)
{
	unsigned int major, minor;
	char path[32], *line = NULL;
	bool found = false;
	size_t size = 0;
	uint64_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/maps", tid);
	f = fopen(path, "re");
	while (f && !found && getline(&line, &size, f) > 0)
		found = sscanf(line, "%*s %*s %*s %x:%x %" SCNu64, &major, &minor, &n) == 3 &&
			makedev(major, minor) == dev && n == ino;
	free(line);
	if (f)
		fclose(f);
	return found;
}

static void *look(void *arg)
{
	struct look *l = arg;
	dev_t dev;
	bool mapped = mount_is_ours(fs.opt.mountpoint, &dev) && has_mapped(l->tid, dev, l->ino);

	pthread_mutex_lock(&fs.lock);
	reply_send(l->asker, &(struct reply){
				     .kind = REPLY_DATA,
				     .error = mapped ? 0 : l->otherwise,
				     .data = l->page,
				     .len = mapped ? l->size : 0,
			     });
	looks--;
	pthread_mutex_unlock(&fs.lock);
	free(l->page);
	free(l);
	return NULL;
}

static int start(void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attr, run, arg);
	pthread_attr_destroy(&attr);
	return r == 0 ? 0 : -EINVAL;
}

static struct look *look_of(const struct request *rq, int otherwise)
{
	struct look *l = must_alloc(sizeof(*l));

	*l = (struct look){
		.asker = rq->asker,
		.tid = rq->by.tid,
		.ino = rq->t.base,
		.otherwise = otherwise,
		.size = rq->size,
		.page = must_alloc(rq->size + 1),
	};
	return l;
}

static int begin(struct request *rq, int otherwise)
{
	size_t size = rq->size, off = (size_t)rq->off;
	struct look *l;
	char *text = NULL;
	size_t len;
	int r;

	if (looks == LOOKS_MOST || size > MAX_IO)
		return -EINVAL;
	r = ctl_snapshot(rq, &text, &len);
	if (r < 0)
		return r;
	l = look_of(rq, otherwise);
	if (off < len)
		memcpy(l->page, text + off, len - off < size ? len - off : size);
	free(text);
	r = start(look, l);
	if (r < 0) {
		free(l->page);
		free(l);
		return r;
	}
	looks++;
	return 0;
}

enum outcome mapped_read(struct request *rq, int otherwise)
{
	int r = begin(rq, otherwise);

	return r < 0 ? done(rq, r) : WAIT;
}
