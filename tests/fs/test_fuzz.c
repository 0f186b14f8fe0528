/* SPDX-License-Identifier: MIT */
/*
 * Many requests at random, most of them nearly right; the seed decides everything (IPCFS_SEED). Each
 * is answered once, and in the end all files are sound. A file handle comes with its own inode, as
 * the kernel has it.
 */
#include "client/lib.h"
#include "crash.h"
#include "state/nodeid.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define FILES 64

static unsigned int seed;
static struct file files[FILES];
static uint64_t inos[256];
static unsigned int n_inos;

static unsigned int any(unsigned int n)
{
	return (unsigned int)rand_r(&seed) % n;
}

static uint64_t any64(void)
{
	return (uint64_t)rand_r(&seed) << 42 ^ (uint64_t)rand_r(&seed) << 21 ^
	       (uint64_t)rand_r(&seed);
}

static const char *any_name(void)
{
	static const char *const names[] = {
		"a.queue",  "b.queue",   "a.pipe",      "a.event",    "a.sem",
		"a.lock",   "a.rlock",   "a.cond",      "a.barrier",  "a.value",
		"dir",      "two.pipe",  "a",           "b",          "a.queue@1",
		"a.lock@0", "a.sem@.01", "a.queue.ctl", "a.lock.ctl", "two.pipe.ctl",
		".ctl",     "status",    "lease",       "join",       "drain",
		"stream",   "ack",       "nack",        "done",       "maxsize",
		"maxbytes", "framing",   "cancel",      "holders",    "waiters",
		"peek",     "dead",      "revive",      "discard",    "max_attempts",
		"undo",     "scope",     "bound",       "typecode",   "changed",
		"lock",     "limits",    "deadlocks",   "shm",        "x",
		"",         "@",         "a@b@c",
	};

	return names[any(COUNT(names))];
}

static const char *any_text(void)
{
	static const char *const texts[] = {
		"line\n",
		"two\nlines\n",
		"unfinished",
		"1",
		"1\n",
		"2\n2\n",
		"0",
		"set\n",
		"clear\n",
		"all\n",
		"release",
		"reset",
		"abort",
		"record",
		"handle",
		"process",
		"+=1",
		"-=2.5\n",
		"cas 1 2",
		"18446744073709551615",
		"-1",
		"\n\n\n",
		"q",
		"text",
		"99",
		"b.lock",
		"a.lock\n",
		"the quick brown fox jumps over the lazy dog and is put into a queue for all to see\n",
	};

	return texts[any(COUNT(texts))];
}

static uint64_t any_ino(void)
{
	switch (any(40)) {
	case 0:
		return any64();
	case 1:
		return NODEID(any(20), any(80));
	case 2:
	case 3:
	case 4:
		return DIR_ROOT;
	default:
		return n_inos ? inos[any(n_inos)] : DIR_ROOT;
	}
}

static const struct file *any_file(void)
{
	static struct file f;

	f = files[any(FILES)];
	switch (any(50)) {
	case 0:
		f.fh = any64();
		break;
	case 2:
		f.flags ^= O_NONBLOCK;
		break;
	case 3:
		f.fh &= 0xffffffff; /* the right place, no generation */
		break;
	}
	return &f;
}

static void remember(rq n, bool file, int flags)
{
	const struct request *r = k_answer(n);
	uint64_t ino;

	if (r->error)
		return;
	if (r->opcode != FUSE_OPEN) {
		ino = entry_ino(n, NULL);
		inos[n_inos < 256 ? n_inos++ : any(256)] = ino;
	}
	if (file) {
		unsigned int i = any(FILES);
		struct fuse_in_header *h = (struct fuse_in_header *)r->msg;

		if (files[i].fh)
			f_release(&files[i]);
		files[i] = opened(n, h->nodeid, flags);
	}
}

/* Nonsense that is long enough, and ends. */
static void any_bytes(uint32_t opcode)
{
	union {
		uint64_t words[40];
		struct fuse_write_in write;
		struct fuse_ioctl_in ioctl;
		struct fuse_batch_forget_in forget;
	} body = { { 0 } };
	uint64_t ino = any_ino();

	for (unsigned int i = 0, n = any(32); i < n; i++)
		body.words[i] = any(3) ? any(5) : any64();
	if (any(2)) {
		const struct file *f = any_file();

		body.words[0] = f->fh;
		ino = f->ino; /* the fh of one object says nothing to another */
	}
	if (opcode == FUSE_WRITE)
		body.write.size = any(200);
	if (opcode == FUSE_IOCTL)
		body.ioctl.in_size = any(64);
	if (opcode == FUSE_BATCH_FORGET)
		body.forget.count = any(10);
	k_send(opcode, ino, &body, sizeof(body), NULL, 0);
}

static void any_request(void)
{
	static const int opens[] = { RO,
				     WO,
				     BOTH,
				     RO | O_NONBLOCK,
				     BOTH | O_NONBLOCK,
				     WO | O_DIRECT,
				     BOTH | O_TRUNC,
				     RO | O_NOFOLLOW,
				     BOTH | O_APPEND,
				     3 };
	static const int locks[] = { LOCK_EX, LOCK_SH, LOCK_UN, LOCK_EX | LOCK_NB,
				     LOCK_SH | LOCK_NB };
	int flags = opens[any(COUNT(opens))];
	uint32_t op;

	k.pid = 5000000 + any(20);
	switch (any(30)) {
	case 0:
	case 1:
		remember(q_lookup(any_ino(), any_name()), false, 0);
		break;
	case 2:
		remember(q_mknod(any_ino(), any_name()), false, 0);
		break;
	case 3:
		remember(q_mkdir(any_ino(), any_name()), false, 0);
		break;
	case 4:
		remember(q_create(DIR_ROOT, any_name(), flags), true, flags);
		break;
	case 5:
	case 6:
	case 7:
		remember(q_open(any_ino(), flags), true, flags);
		break;
	case 8:
		if (!any(4))
			q_unlink(any_ino(), any_name());
		break;
	case 9:
		q_rename(any_ino(), any_name(), any_ino(), any_name());
		break;
	case 10:
		if (!any(4))
			q_rmdir(any_ino(), any_name());
		break;
	case 11:
		q_flush(any_file());
		break;
	case 12:
		q_poll(any_file(), any(3) ? any64() : 0, any(256));
		break;
	case 13:
		if (!any(8))
			q_ioctl(any_file(), any(2) ? LIB_IOC_CLOSE : LIB_IOC_SYNC, 0);
		else if (any(3))
			q_ioctl(any_file(), any(2) ? 0x40086901 : 0x80086903,
				(int64_t)any(1000000) - 1);
		else
			q_ioctl_data(any_file(), LIB_IOC_ADD,
				     &(struct lib_add){ .n = (int64_t)any64(),
							.wants_value = any(2) });
		break;
	case 14:
		interrupt(any(2) ? k_next() + any(3) : any(k_next()));
		break;
	case 15:
		forget(any_ino(), any(3));
		break;
	case 16:
		q_chmod(any_ino(), any(01000));
		break;
	case 17:
		op = any(60);
		/* RELEASE: a closed handle's number may be something else's by the next request. */
		if (op != FUSE_DESTROY && op != FUSE_INIT && op != FUSE_RELEASE &&
		    op != FUSE_NOTIFY_REPLY) /* libfuse loses one that it did not ask for */
			any_bytes(op);
		break;
	case 18:
	case 19:
	case 20:
		q_flock(any_file(), locks[any(COUNT(locks))]);
		break;
	case 21:
	case 22:
	case 23:
	case 24:
		q_put(any_file(), any_text());
		break;
	default:
		q_read_at(any_file(), any(4) ? 4096 : any(4), any(3) ? 0 : any(100));
	}
}

/* Nobody waits any more. */
static void end_waits(void)
{
	k_sync();
	for (rq n = 1, end = k.n; n < end; n++)
		if (!k.reqs[n].answered)
			interrupt(n);
	k_sync();
}

static void fuzz(unsigned int from, unsigned int rounds, bool kills)
{
	daemon_start_with(&(struct options){ .memory_limit = 8 << 20, .object_limit = 40 });
	memset(files, 0, sizeof(files));
	n_inos = 0;
	seed = from + (getenv("IPCFS_SEED") ? (unsigned int)atoi(getenv("IPCFS_SEED")) * 10 : 0);
	for (unsigned int i = 0; i < rounds; i++) {
		for (unsigned int j = 0; j < 200; j++)
			any_request();
		if (kills && any(2))
			daemon_kill_and_restart();
		end_waits();
		/* A condition's waiter may take its lock back first; when the holders go, all end. */
		if (i % 8 == 7)
			for (unsigned int j = 0; j < FILES; j++) {
				if (files[j].fh)
					f_release(&files[j]);
				files[j].fh = 0;
			}
		k.n_polls = 0;
		k_forget_answered();
	}
	for (unsigned int j = 0; j < FILES; j++)
		if (files[j].fh)
			f_release(&files[j]);
	end_waits();
	/* After all this it still works. */
	CHECK_STR(say(".ctl/limits/objects", "1M"), "2");
	CHECK_STR(say(".ctl/limits/memory", "64M"), "3");
	CHECK_STR(told(q_mknod(DIR_ROOT, "last.queue")), "ok");
	CHECK_STR(say("last.queue", "x\n"), "2");
	CHECK_STR(drain("last.queue"), "x\n");
	daemon_end();
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 150
#else
#define ROUNDS 500
#endif

TEST(fuzz_one)
{
	fuzz(1, ROUNDS, false);
}

TEST(fuzz_two)
{
	fuzz(2, ROUNDS, false);
}

TEST(fuzz_with_restarts)
{
	fuzz(3, ROUNDS / 2, true);
}
