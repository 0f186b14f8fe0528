/* SPDX-License-Identifier: MIT */
/*
 * Requests that no kernel makes, and many that one could: the daemon answers each once and goes
 * on. What libfuse takes on trust stays true: a name ends, a WRITE has the bytes that it says.
 */
#include "crash.h"
#include "state/nodeid.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

TEST(bad_file_handles)
{
	static const uint64_t fhs[] = { 0,
					1,
					0x100000001,
					UINT64_MAX,
					1ull << 63,
					(1ull << 63) | 5,
					0xffffffff00000000,
					0x00000000ffffffff,
					0x0000000100000100 };
	struct file f, good;

	daemon_start();
	make("a.queue");
	make("a.lock");
	good = open_name("a.queue", BOTH);
	for (size_t i = 0; i < COUNT(fhs); i++) {
		f = (struct file){ .ino = good.ino, .fh = fhs[i], .flags = BOTH };
		/* A plain file that is not known is one that ended with its worker: empty. */
		CHECK_STR(f_get(&f), fhs[i] >> 63 ? "" : "!EBADF");
		CHECK_STR(f_put(&f, "x\n"), fhs[i] >> 63 ? "!EACCES" : "!EBADF");
		CHECK_STR(f_lock(&f, LOCK_EX), fhs[i] >> 63 || !fhs[i] ? "!EOPNOTSUPP" : "!EBADF");
		CHECK_STR(f_flush(&f), "ok");
		CHECK_STR(told(q_ioctl(&f, 0x12345678, 1)), "!ENOTTY");
		CHECK_STR(told(q_poll(&f, 0, 1)), "ok");
		f_release(&f);
	}
	/* The right handle of the wrong object. */
	f = (struct file){ .ino = lookup(DIR_ROOT, "a.lock"), .fh = good.fh, .flags = BOTH };
	CHECK_STR(f_lock(&f, LOCK_EX), "!EBADF");
	CHECK_STR(f_put(&good, "x\n"), "2");
	daemon_end();
}

TEST(bad_nodeids)
{
	static const uint64_t inos[] = {
		0,          99,         NODEID(1, 1),     NODEID(1, 1000), NODEID(99, 5),
		UINT64_MAX, 1ull << 63, (1ull << 63) | 4, 1ull << 62,      3ull << 40
	};
	struct fuse_setattr_in set = { .valid = FATTR_MODE, .mode = 0600 };

	daemon_start();
	make("a.queue");
	for (size_t i = 0; i < COUNT(inos); i++) {
		CHECK_INT(lookup(inos[i], "x"), 0);
		k_answer(q_getattr(inos[i]));
		k_answer(q_open(inos[i], BOTH));
		k_answer(k_send(FUSE_SETATTR, inos[i], &set, sizeof(set), NULL, 0));
		k_answer(k_send(FUSE_READLINK, inos[i], NULL, 0, NULL, 0));
		CHECK(told(q_mknod(inos[i], "a.lock"))[0] == '!');
		CHECK(told(q_unlink(inos[i], "a.queue"))[0] == '!');
		CHECK(told(q_rmdir(inos[i], "a.queue"))[0] == '!');
		CHECK(told(q_rename(inos[i], "a.queue", DIR_ROOT, "b.queue"))[0] == '!');
		CHECK(told(q_rename(DIR_ROOT, "a.queue", inos[i], "b.queue"))[0] == '!');
		forget(inos[i], 1000);
	}
	CHECK(lookup(DIR_ROOT, "a.queue"));
	daemon_end();
}

TEST(bad_unknown_opcodes)
{
	char body[256] = { 0 };

	daemon_start();
	for (uint32_t op = 0; op < 4200; op += op < 100 ? 1 : 97) {
		rq n;

		if (op == FUSE_FORGET || op == FUSE_BATCH_FORGET || op == FUSE_INTERRUPT ||
		    op == FUSE_NOTIFY_REPLY || op == FUSE_DESTROY)
			continue;
		n = k_send(op, DIR_ROOT, body, sizeof(body), NULL, 0);
		CHECK(k_answer(n)->error <= 0);
	}
	daemon_end();
}

/* Programs can do these. */
TEST(bad_directories)
{
	static const char *const names[] = { "d", "p.pipe", "p.pipe.ctl", ".ctl" };
	struct fuse_setattr_in times = { .valid = FATTR_ATIME | FATTR_MTIME,
					 .atime = INT64_MAX,
					 .mtime = (uint64_t)INT64_MIN };

	daemon_start();
	CHECK_STR(told(q_mkdir(DIR_ROOT, "d")), "ok");
	CHECK_STR(told(q_mkdir(DIR_ROOT, "p.pipe")), "ok");
	for (size_t i = 0; i < COUNT(names); i++) {
		struct file f = { .ino = lookup(DIR_ROOT, names[i]), .flags = RO };

		CHECK_STR(f_lock(&f, LOCK_EX), "!EOPNOTSUPP");
		CHECK_STR(told(q_open(f.ino, RO)), "!EISDIR");
		if (i < 2)
			k_answer(k_send(FUSE_SETATTR, f.ino, &times, sizeof(times), NULL, 0));
	}
	CHECK_STR(told(q_rename(DIR_ROOT, "d", lookup(DIR_ROOT, "d"), "e")), "!EINVAL");
	daemon_end();
}

TEST(bad_names)
{
	char longest[300];

	daemon_start();
	memset(longest, 'x', sizeof(longest));
	longest[299] = 0;
	CHECK_STR(told(q_mknod(DIR_ROOT, longest)), "!ENAMETOOLONG");
	memcpy(longest + 250, ".queue", 7);
	CHECK_STR(told(q_mknod(DIR_ROOT, longest)), "!ENAMETOOLONG");
	memcpy(longest + 249, ".queue", 7);
	CHECK_STR(told(q_mknod(DIR_ROOT, longest)), "ok");
	strcpy(longest + 255, ".ctl");
	CHECK(lookup(DIR_ROOT, longest));
	strcpy(longest + 255, "@2.5");
	CHECK(lookup(DIR_ROOT, longest));
	CHECK_STR(told(q_mknod(DIR_ROOT, "")), "!EINVAL");
	CHECK_STR(told(q_mknod(DIR_ROOT, "@.queue")), "!EINVAL");
	CHECK_STR(told(q_mknod(DIR_ROOT, "a.queue.ctl")), "!EINVAL");
	CHECK_STR(told(q_mkdir(DIR_ROOT, "a.queue")), "!EINVAL");
	CHECK_STR(told(q_lookup(DIR_ROOT, "")), "!ENOENT");
	CHECK_STR(told(q_lookup(DIR_ROOT, "@1")), "!ENOENT");
	CHECK_STR(told(q_lookup(DIR_ROOT, "nothing@1")), "!ENOENT");
	make("a.queue");
	CHECK_STR(told(q_lookup(DIR_ROOT, "a.queue@x")), "!EINVAL");
	CHECK_STR(told(q_lookup(DIR_ROOT, "a.queue@1@1")), "!ENOENT");
	CHECK_STR(told(q_lookup(DIR_ROOT, "a.queue.ctl@1")), "!ENOENT");
	daemon_end();
}

TEST(bad_sizes)
{
	static char most[1 << 20];
	struct file w, r;
	rq n;

	daemon_start();
	make("a.queue");
	w = open_name("a.queue", WO | O_DIRECT);
	r = open_name("a.queue", BOTH | O_DIRECT);
	memset(most, 'm', sizeof(most));
	CHECK_STR(told(q_write(&w, most, sizeof(most))), "!EMSGSIZE");
	CHECK_STR(told(q_write(&w, most, sizeof(most) - 4095)), "!EMSGSIZE");
	CHECK_INT(size_of(w.ino), 0);
	CHECK_STR(told(q_write(&w, most, sizeof(most) - 4096)), "1044480");
	n = q_read_at(&r, UINT32_MAX, 0);
	CHECK_INT(k_answer(n)->len, 1044480);
	CHECK(!memcmp(k_answer(n)->data, most, 1044480));
	/* no bytes at all */
	CHECK_STR(told(q_read_at(&r, 0, 0)), "!WAITS");
	CHECK(strcmp(told(q_write(&w, "", 0)), "!WAITS"));
	daemon_end();
}

/* ---- names that are none ---- */

static const char *long_name(size_t len, const char *end)
{
	static char name[4][1200];
	static unsigned int i;
	char *s = name[i++ % 4];

	memset(s, 'n', len - strlen(end));
	strcpy(s + len - strlen(end), end);
	return s;
}

TEST(bad_names_too_long)
{
	static const struct {
		size_t len;
		const char *end, *want;
	} table[] = {
		{ 255, ".queue", "!ENOENT" },
		{ 256, ".queue", "!ENAMETOOLONG" },
		{ 1024, "", "!ENAMETOOLONG" },
		{ 259, ".queue.ctl", "!ENOENT" },
		{ 260, ".queue.ctl", "!ENAMETOOLONG" },
		{ 259, "@2.5", "!ENOENT" },
		{ 260, "@2.5", "!ENAMETOOLONG" },
		{ 259, "@inf", "!ENOENT" },
		{ 300, "@0.0000000000000000000000000000000000000000000000001", "!ENOENT" },
		{ 256, "@", "!ENAMETOOLONG" },
		{ 256, "@x", "!ENAMETOOLONG" },
		{ 255, "@x", "!ENOENT" },
	};

	daemon_start();
	make("a.queue");
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *name = long_name(table[i].len, table[i].end);

		CHECK_INT(lookup(DIR_ROOT, name), 0);
		CHECK_STR(errno_text(last_error), table[i].want);
		CHECK_STR(told(q_unlink(DIR_ROOT, name)), table[i].want);
		CHECK_STR(told(q_rmdir(DIR_ROOT, name)), table[i].want);
		CHECK_STR(told(q_rename(DIR_ROOT, name, DIR_ROOT, "b.queue")), table[i].want);
	}
	CHECK_STR(told(q_mknod(DIR_ROOT, long_name(256, ".queue"))), "!ENAMETOOLONG");
	CHECK_STR(told(q_mkdir(DIR_ROOT, long_name(256, ""))), "!ENAMETOOLONG");
	CHECK_STR(told(q_rename(DIR_ROOT, "a.queue", DIR_ROOT, long_name(256, ".queue"))),
		  "!ENAMETOOLONG");
	CHECK_STR(told(q_mknod(DIR_ROOT, long_name(255, ".queue"))), "ok");
	CHECK(lookup(DIR_ROOT, long_name(255, ".queue")));
	CHECK(lookup(DIR_ROOT, long_name(259, ".queue.ctl")));
	CHECK(lookup(DIR_ROOT, long_name(267, ".queue@0.123456789")));
	daemon_end();
}

/* ---- what is asked for with a file ---- */

TEST(bad_execution)
{
	daemon_start();
	make("a.queue");
	make("a.array");
	CHECK_STR(say("a.queue", "#!/bin/sh\n"), "10");
	CHECK_STR(told(q_open(lookup(DIR_ROOT, "a.queue"), RO | 0x20)),
		  "!EACCES"); /* __FMODE_EXEC */
	CHECK_STR(told(q_open(lookup(DIR_ROOT, "a.array"), RO | 0x20)), "!EACCES");
	CHECK_STR(show("a.queue.ctl/peek"), "#!/bin/sh\n");
	daemon_end();
}

static const char *allocate(const struct file *f, uint32_t mode, uint64_t off, uint64_t len)
{
	struct fuse_fallocate_in in = { .fh = f->fh, .offset = off, .length = len, .mode = mode };

	return told(k_send(FUSE_FALLOCATE, f->ino, &in, sizeof(in), NULL, 0));
}

TEST(bad_allocation)
{
	struct file a, q, c;

	daemon_start();
	make("a.array");
	make("a.queue");
	a = open_name("a.array", BOTH);
	q = open_name("a.queue", BOTH);
	c = open_name("a.queue.ctl/maxsize", WO);
	CHECK_STR(allocate(&q, 0, 0, 10), "!EINVAL");
	CHECK_STR(allocate(&q, 1, 0, 10), "!EINVAL");
	CHECK_STR(allocate(&c, 0, 0, 10), "!EINVAL");
	CHECK_STR(allocate(&a, 0, 5, 10), "ok");
	CHECK_INT(size_of(a.ino), 15);
	CHECK_STR(allocate(&a, 0, 0, 10), "ok");
	CHECK_STR(allocate(&a, 1, 0, 100), "!EOPNOTSUPP"); /* FALLOC_FL_KEEP_SIZE */
	CHECK_STR(allocate(&a, 0, INT64_MAX, INT64_MAX), "!EFBIG");
	CHECK_STR(allocate(&a, 0, UINT64_MAX, UINT64_MAX), "!EFBIG");
	CHECK_INT(size_of(a.ino), 15);
	daemon_end();
}

/* Written by one who does not keep setuid and setgid bits: the kernel says so with each WRITE. */
static const char *put_as_stranger(const struct file *f, const char *text)
{
	struct fuse_write_in in = {
		.fh = f->fh,
		.size = (uint32_t)strlen(text),
		.flags = (uint32_t)f->flags,
		.write_flags = FUSE_WRITE_KILL_SUIDGID,
	};

	return told(k_send(FUSE_WRITE, f->ino, &in, sizeof(in), text, strlen(text)));
}

static unsigned int mode_after(const struct file *f, unsigned int mode, const char *text,
			       const char *want)
{
	const struct request *r;

	CHECK_STR(told(q_chmod(f->ino, mode)), "ok");
	CHECK_STR(put_as_stranger(f, text), want);
	r = k_answer(q_getattr(f->ino));
	return ((const struct fuse_attr_out *)r->data)->attr.mode & 07777;
}

TEST(bad_privileges)
{
	struct file f;

	daemon_start();
	make("a.queue");
	f = open_name("a.queue", WO);
	CHECK_INT(mode_after(&f, 06777, "x\n", "2"), 0777);
	CHECK_INT(mode_after(&f, 06767, "x\n", "2"), 02767);
	CHECK_STR(told(q_chmod(f.ino, 06777)), "ok");
	CHECK_STR(f_put(&f, "x\n"), "2");
	CHECK_STR(say("a.queue.ctl/closed", "1"), "1");
	CHECK_INT(mode_after(&f, 06777, "x\n", "!EPIPE"), 06777);
	daemon_end();
}
