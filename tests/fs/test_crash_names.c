/* SPDX-License-Identifier: MIT */
/* Changes of the namespace, with the worker dying everywhere. */
#include <sys/stat.h>
#include <unistd.h>

#include "crash.h"
#include "state/nodeid.h"

static unsigned int objects(void)
{
	struct fuse_statfs_out st;
	const struct request *r = k_answer(k_send(FUSE_STATFS, DIR_ROOT, NULL, 0, NULL, 0));

	CHECK(r->len >= sizeof(st.st) - sizeof(st.st.spare));
	memcpy(&st, r->data, r->len < sizeof(st) ? r->len : sizeof(st));
	return (unsigned int)(st.st.files - st.st.ffree);
}

/* The object of this name; its inode may be an alias. */
static uint64_t object_at(uint64_t dir, const char *name)
{
	struct fuse_attr attr = { 0 };

	entry_ino(q_lookup(dir, name), &attr);
	return attr.ino;
}

CRASH(mknod)

static void setup_mknod(void)
{
}

static void ask_mknod(void)
{
	r1 = q_mknod(DIR_ROOT, "a.queue");
	r2 = q_mknod(DIR_ROOT, "a.queue");
	r3 = q_mknod(DIR_ROOT, "b.lock");
}

static void verify_mknod(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(told(r2), "!EEXIST");
	CHECK_STR(told(r3), "ok");
	CHECK_INT(entry_ino(r1, NULL), lookup(DIR_ROOT, "a.queue"));
	CHECK_INT(objects(), 2);
	CHECK_STR(say("a.queue", "x\n"), "2");
}

CRASH_OLD(mknod)

CRASH(create)

/* One that is gone would have it closed, if it dies behind the answer. */
static void setup_create(void)
{
	k.pid = (uint32_t)getpid();
}

static void ask_create(void)
{
	r1 = q_create(DIR_ROOT, "a.pipe", WO | O_EXCL);
	r2 = q_create(DIR_ROOT, "a.pipe", WO | O_EXCL);
}

static void verify_create(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(told(r2), "!EEXIST");
	f1 = opened(r1, 0, WO);
	CHECK_STR(f_put(&f1, "x"), "1");
	CHECK_STR(show_word("a.pipe.ctl/writers"), "1");
	CHECK_INT(objects(), 1);
	f_release(&f1);
	CHECK_STR(show_word("a.pipe.ctl/writers"), "0");
}

CRASH_OLD(create)

CRASH(mkdir)

static void setup_mkdir(void)
{
}

static void ask_mkdir(void)
{
	r1 = q_mkdir(DIR_ROOT, "d");
	r2 = q_mkdir(DIR_ROOT, "p.pipe");
}

static void verify_mkdir(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(told(r2), "ok");
	CHECK(lookup(lookup(DIR_ROOT, "p.pipe"), "a"));
	CHECK_STR(told(q_mknod(entry_ino(r1, NULL), "x.queue")), "ok");
	CHECK_INT(objects(), 2);
}

CRASH_OLD(mkdir)

CRASH(unlink)

static void setup_unlink(void)
{
	make("a.queue");
	make("b.queue");
}

static void ask_unlink(void)
{
	r1 = q_unlink(DIR_ROOT, "a.queue");
	r2 = q_unlink(DIR_ROOT, "a.queue");
}

static void verify_unlink(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(told(r2), "!ENOENT");
	CHECK(lookup(DIR_ROOT, "b.queue"));
	CHECK(access(object_path(2), F_OK) < 0);
	CHECK_INT(objects(), 1);
}

CRASH_OLD(unlink)

CRASH(unlink_of_an_open_one)

static void setup_unlink_of_an_open_one(void)
{
	make("a.queue");
	f1 = open_name("a.queue", BOTH);
	CHECK_STR(f_put(&f1, "x\n"), "2");
}

static void ask_unlink_of_an_open_one(void)
{
	r1 = q_unlink(DIR_ROOT, "a.queue");
	r2 = q_mknod(DIR_ROOT, "a.queue");
}

static void verify_unlink_of_an_open_one(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(told(r2), "ok");
	CHECK_STR(f_get(&f1), "x\n");
	CHECK_INT(objects(), 2);
	f_release(&f1);
	CHECK_INT(objects(), 1);
	CHECK(access(object_path(2), F_OK) < 0);
}

CRASH_OLD(unlink_of_an_open_one)

CRASH(rmdir)

static void setup_rmdir(void)
{
	CHECK_STR(told(q_mkdir(DIR_ROOT, "d")), "ok");
	CHECK_STR(told(q_mkdir(DIR_ROOT, "p.pipe")), "ok");
}

static void ask_rmdir(void)
{
	r1 = q_rmdir(DIR_ROOT, "d");
	r2 = q_unlink(NODEID(3, 0), "a");
	r3 = q_rmdir(DIR_ROOT, "p.pipe");
}

static void verify_rmdir(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(told(r2), "ok");
	CHECK_STR(told(r3), "ok");
	CHECK_INT(lookup(DIR_ROOT, "d"), 0);
	CHECK_INT(lookup(DIR_ROOT, "p.pipe"), 0);
	CHECK_INT(objects(), 0);
}

CRASH_OLD(rmdir)

CRASH(rename)

static void setup_rename(void)
{
	CHECK_STR(told(q_mkdir(DIR_ROOT, "d")), "ok");
	make("a.queue");
	f1 = open_name("a.queue", BOTH);
	CHECK_STR(f_put(&f1, "x\n"), "2");
}

static void ask_rename(void)
{
	uint64_t d = NODEID(2, 0);

	r1 = q_rename(DIR_ROOT, "a.queue", d, "b.queue");
	r2 = q_rename(d, "b.queue", DIR_ROOT, "c.queue");
}

static void verify_rename(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(told(r2), "ok");
	CHECK_INT(lookup(DIR_ROOT, "a.queue"), 0);
	CHECK_INT(object_at(DIR_ROOT, "c.queue"), 3);
	CHECK_STR(told(q_rmdir(DIR_ROOT, "d")), "ok");
	CHECK_STR(f_get(&f1), "x\n");
}

CRASH_OLD(rename)

CRASH(rename_over)

static void setup_rename_over(void)
{
	make("a.queue");
	make("b.queue");
	f1 = open_name("a.queue", BOTH);
	CHECK_STR(f_put(&f1, "x\n"), "2");
}

static void ask_rename_over(void)
{
	r1 = q_rename(DIR_ROOT, "a.queue", DIR_ROOT, "b.queue");
}

static void verify_rename_over(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_INT(lookup(DIR_ROOT, "a.queue"), 0);
	CHECK_INT(object_at(DIR_ROOT, "b.queue"), 2);
	CHECK_INT(objects(), 1);
	CHECK(access(object_path(3), F_OK) < 0);
}

CRASH_OLD(rename_over)

/* The one that goes is open: it stays until it is closed. */
CRASH(rename_over_an_open_one)

static void setup_rename_over_an_open_one(void)
{
	setup_rename_over();
	f2 = open_name("b.queue", BOTH);
	CHECK_STR(f_put(&f2, "y\n"), "2");
}

static void ask_rename_over_an_open_one(void)
{
	ask_rename_over();
}

static void verify_rename_over_an_open_one(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(f_get(&f2), "y\n");
	CHECK_INT(objects(), 2);
	f_release(&f2);
	CHECK_INT(objects(), 1);
	CHECK_STR(f_get(&f1), "x\n");
}

CRASH_OLD(rename_over_an_open_one)

CRASH(chmod)

static void setup_chmod(void)
{
	engine_file(make("a.queue"));
}

static void ask_chmod(void)
{
	r1 = q_chmod(NODEID(2, 0), 0666);
}

static void verify_chmod(void)
{
	struct fuse_attr attr;
	struct stat st;

	CHECK_STR(told(r1), "ok");
	entry_ino(q_lookup(DIR_ROOT, "a.queue"), &attr);
	CHECK_INT(attr.mode & 0777, 0666);
	CHECK(stat(object_path(2), &st) == 0);
	CHECK_INT(st.st_mode & 0777, 0666);
}

CRASH_OLD(chmod)
