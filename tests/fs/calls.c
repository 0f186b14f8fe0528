/* SPDX-License-Identifier: MIT */
#include "calls.h"
#include "state/nodeid.h"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int last_error;

#define TEXTS 16

static char *text_slot(size_t size)
{
	static char *slots[TEXTS];
	static unsigned int next;
	char **s = &slots[next++ % TEXTS];

	*s = realloc(*s, size);
	CHECK(*s);
	return *s;
}

const char *errno_text(int e)
{
	char *s = text_slot(32);

	if (!e)
		return "ok";
	snprintf(s, 32, "!%s", strerrorname_np(e < 0 ? -e : e));
	return s;
}

const char *told(rq n)
{
	const struct request *r;
	char *s;

	if (!k_answered(n))
		return "!WAITS";
	r = k_answer(n);
	if (r->error)
		return errno_text(r->error);
	if (r->opcode == FUSE_WRITE) {
		s = text_slot(16);
		snprintf(s, 16, "%u", ((struct fuse_write_out *)r->data)->size);
		return s;
	}
	if (r->opcode != FUSE_READ && r->opcode != FUSE_READLINK)
		return "ok";
	s = text_slot(r->len + 1);
	memcpy(s, r->data, r->len + 1);
	return s;
}

/* ---- names ---- */

static rq named(uint32_t opcode, uint64_t dir, const void *body, size_t len, const char *name)
{
	return k_send(opcode, dir, body, len, name, strlen(name) + 1);
}

rq q_lookup(uint64_t dir, const char *name)
{
	return named(FUSE_LOOKUP, dir, NULL, 0, name);
}

uint64_t entry_ino(rq n, struct fuse_attr *ret)
{
	const struct request *r = k_answer(n);
	const struct fuse_entry_out *e = (const struct fuse_entry_out *)r->data;

	last_error = r->error;
	if (r->error)
		return 0;
	CHECK(r->len >= sizeof(*e));
	if (ret)
		*ret = e->attr;
	return e->nodeid;
}

uint64_t lookup(uint64_t dir, const char *name)
{
	return entry_ino(q_lookup(dir, name), NULL);
}

rq q_mknod(uint64_t dir, const char *name)
{
	struct fuse_mknod_in in = { .mode = S_IFREG | 0644 };

	return named(FUSE_MKNOD, dir, &in, sizeof(in), name);
}

rq q_mkdir(uint64_t dir, const char *name)
{
	struct fuse_mkdir_in in = { .mode = 0755 };

	return named(FUSE_MKDIR, dir, &in, sizeof(in), name);
}

rq q_unlink(uint64_t dir, const char *name)
{
	return named(FUSE_UNLINK, dir, NULL, 0, name);
}

rq q_rmdir(uint64_t dir, const char *name)
{
	return named(FUSE_RMDIR, dir, NULL, 0, name);
}

rq q_rename(uint64_t dir, const char *name, uint64_t to, const char *newname)
{
	struct fuse_rename2_in in = { .newdir = to };
	char names[4096];
	size_t n = strlen(name) + 1;

	CHECK(n + strlen(newname) < sizeof(names));
	strcpy(names, name);
	strcpy(names + n, newname);
	return k_send(FUSE_RENAME2, dir, &in, sizeof(in), names, n + strlen(newname) + 1);
}

rq q_chmod(uint64_t ino, unsigned int mode)
{
	struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = S_IFREG | mode };

	return k_send(FUSE_SETATTR, ino, &in, sizeof(in), NULL, 0);
}

rq q_getattr(uint64_t ino)
{
	struct fuse_getattr_in in = { 0 };

	return k_send(FUSE_GETATTR, ino, &in, sizeof(in), NULL, 0);
}

uint64_t make(const char *name)
{
	uint64_t ino = entry_ino(q_mknod(DIR_ROOT, name), NULL);

	if (!ino)
		test_fail(__FILE__, __LINE__, "%s: %s", name, errno_text(last_error));
	return ino;
}

long long size_of(uint64_t ino)
{
	const struct request *r = k_answer(q_getattr(ino));

	if (r->error)
		return r->error;
	return (long long)((struct fuse_attr_out *)r->data)->attr.size;
}

const char *engine_file(uint64_t ino)
{
	const char *path;

	if (ino & NODEID_ALIAS)
		ino = ((struct fuse_attr_out *)k_answer(q_getattr(ino))->data)->attr.ino;
	ino &= 0xffffffffff;
	path = object_path(ino);
	/* One that is blank has none, until somebody follows its ctl/shm. */
	if (access(path, F_OK) < 0)
		CHECK_INT(k_answer(k_send(FUSE_READLINK, NODEID(ino, SUB_CTL_FILE + CTL_SHM), NULL,
					  0, NULL, 0))
				  ->error,
			  0);
	return path;
}

struct ipc_header *engine(uint64_t ino, size_t *ret_size)
{
	static void *map;
	static size_t size;
	struct stat st;
	int fd;

	if (map)
		munmap(map, size);
	fd = open(engine_file(ino), O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	size = (size_t)st.st_size;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
	close(fd);
	if (ret_size)
		*ret_size = size;
	return map;
}

void engine_stall(uint64_t ino)
{
	__atomic_store_n(&engine(ino, NULL)->m.lock, (uint32_t)getpid(), __ATOMIC_RELEASE);
}

void engine_go_on(uint64_t ino)
{
	__atomic_store_n(&engine(ino, NULL)->m.lock, 0, __ATOMIC_RELEASE);
}

void forget(uint64_t ino, uint64_t n)
{
	struct fuse_forget_in in = { .nlookup = n };

	k_send(FUSE_FORGET, ino, &in, sizeof(in), NULL, 0);
}

/* ---- files ---- */

rq q_open(uint64_t ino, int flags)
{
	struct fuse_open_in in = { .flags = (uint32_t)flags };

	return k_send(FUSE_OPEN, ino, &in, sizeof(in), NULL, 0);
}

rq q_create(uint64_t dir, const char *name, int flags)
{
	struct fuse_create_in in = { .flags = (uint32_t)flags | O_CREAT, .mode = S_IFREG | 0644 };

	return named(FUSE_CREATE, dir, &in, sizeof(in), name);
}

struct file opened(rq n, uint64_t ino, int flags)
{
	const struct request *r = k_answer(n);
	size_t skip = r->opcode == FUSE_CREATE ? sizeof(struct fuse_entry_out) : 0;
	struct fuse_open_out out;

	if (r->error)
		test_fail(__FILE__, __LINE__, "open: %s", errno_text(r->error));
	CHECK_INT(r->len, skip + sizeof(out));
	memcpy(&out, r->data + skip, sizeof(out));
	if (skip)
		ino = ((struct fuse_entry_out *)r->data)->nodeid;
	return (struct file){ ino, out.fh, flags & ~(O_CREAT | O_EXCL | O_TRUNC), out.open_flags };
}

struct file open_ino(uint64_t ino, int flags)
{
	return opened(q_open(ino, flags), ino, flags);
}

/* As the kernel walks a path; and again when the open says ESTALE. */
static uint64_t walk(const char *path)
{
	uint64_t ino = DIR_ROOT;
	char name[300];

	while (*path) {
		size_t n = strcspn(path, "/");

		memcpy(name, path, n);
		name[n] = 0;
		ino = lookup(ino, name);
		if (!ino)
			test_fail(__FILE__, __LINE__, "%s: %s", name, errno_text(last_error));
		path += n + (path[n] == '/');
	}
	return ino;
}

struct file open_name(const char *name, int flags)
{
	uint64_t ino = walk(name);
	rq n = q_open(ino, flags);

	if (k_answer(n)->error == -ESTALE) {
		ino = walk(name);
		n = q_open(ino, flags);
	}
	return opened(n, ino, flags);
}

rq q_read_at(const struct file *f, size_t size, uint64_t pos)
{
	struct fuse_read_in in = {
		.fh = f->fh,
		.offset = pos,
		.size = (uint32_t)size,
		.flags = (uint32_t)f->flags,
		.read_flags = FUSE_READ_LOCKOWNER, /* as read(2), which goes past the cache */
	};

	return k_send(FUSE_READ, f->ino, &in, sizeof(in), NULL, 0);
}

rq q_read(const struct file *f)
{
	return q_read_at(f, 4096, 0);
}

rq q_write(const struct file *f, const void *data, size_t len)
{
	struct fuse_write_in in = {
		.fh = f->fh,
		.size = (uint32_t)len,
		.flags = (uint32_t)f->flags,
	};

	return k_send(FUSE_WRITE, f->ino, &in, sizeof(in), data, len);
}

rq q_put(const struct file *f, const char *text)
{
	return q_write(f, text, strlen(text));
}

rq q_flush(const struct file *f)
{
	struct fuse_flush_in in = { .fh = f->fh, .lock_owner = k.pid };

	return k_send(FUSE_FLUSH, f->ino, &in, sizeof(in), NULL, 0);
}

rq q_release(const struct file *f)
{
	struct fuse_release_in in = {
		.fh = f->fh,
		.flags = (uint32_t)f->flags,
		.release_flags = FUSE_RELEASE_FLOCK_UNLOCK,
	};

	return k_send(FUSE_RELEASE, f->ino, &in, sizeof(in), NULL, 0);
}

rq q_flock(const struct file *f, int how)
{
	struct fuse_lk_in in = { .fh = f->fh, .owner = f->fh, .lk_flags = FUSE_LK_FLOCK };
	uint32_t opcode = how & LOCK_NB || how == LOCK_UN ? FUSE_SETLK : FUSE_SETLKW;

	in.lk.type = (how & ~LOCK_NB) == LOCK_UN ? F_UNLCK :
		     (how & ~LOCK_NB) == LOCK_SH ? F_RDLCK :
						   F_WRLCK;
	in.lk.end = INT64_MAX;
	return k_send(opcode, f->ino, &in, sizeof(in), NULL, 0);
}

rq q_poll(const struct file *f, uint64_t kh, uint32_t events)
{
	struct fuse_poll_in in = {
		.fh = f->fh,
		.kh = kh,
		.flags = kh ? FUSE_POLL_SCHEDULE_NOTIFY : 0,
		.events = events,
	};

	return k_send(FUSE_POLL, f->ino, &in, sizeof(in), NULL, 0);
}

rq q_ioctl_data(const struct file *f, unsigned int cmd, const void *data)
{
	struct fuse_ioctl_in in = {
		.fh = f->fh,
		.cmd = cmd,
		.in_size = _IOC_DIR(cmd) & _IOC_WRITE ? _IOC_SIZE(cmd) : 0,
		.out_size = _IOC_DIR(cmd) & _IOC_READ ? _IOC_SIZE(cmd) : 0,
	};

	return k_send(FUSE_IOCTL, f->ino, &in, sizeof(in), data, in.in_size);
}

rq q_ioctl(const struct file *f, unsigned int cmd, int64_t v)
{
	return q_ioctl_data(f, cmd, &v);
}

void interrupt(rq n)
{
	struct fuse_interrupt_in in = { .unique = 2 * (uint64_t)n };

	if (n < k.n) {
		in.unique |= k.reqs[n].resent ? RESENT : 0;
		k.reqs[n].interrupted = true;
	}
	k_send(FUSE_INTERRUPT, 0, &in, sizeof(in), NULL, 0);
}

/* ---- whole calls ---- */

const char *f_get(const struct file *f)
{
	return told(q_read(f));
}

const char *f_put(const struct file *f, const char *text)
{
	return told(q_put(f, text));
}

const char *f_lock(const struct file *f, int how)
{
	return told(q_flock(f, how));
}

const char *f_flush(const struct file *f)
{
	return told(q_flush(f));
}

void f_release(const struct file *f)
{
	k_answer(q_release(f));
}

void f_close(const struct file *f)
{
	if (!(f->how & (1 << 5))) /* FOPEN_NOFLUSH */
		f_flush(f);
	f_release(f);
}

uint32_t ready(const struct file *f)
{
	const struct request *r = k_answer(q_poll(f, 0, 0));

	CHECK_INT(r->error, 0);
	return ((struct fuse_poll_out *)r->data)->revents;
}

const char *say(const char *name, const char *text)
{
	struct file f = open_name(name, WO);
	const char *s = f_put(&f, text);

	f_close(&f);
	return s;
}

const char *show(const char *name)
{
	struct file f = open_name(name, RO);
	const char *s = told(q_read_at(&f, 65536, 0));

	f_close(&f);
	return s;
}

const char *show_word(const char *name)
{
	char *s = (char *)(uintptr_t)show(name);

	s[strcspn(s, "\n")] = 0;
	return s;
}
