/* SPDX-License-Identifier: MIT */
/*
 * The system calls of programs, as the requests that the kernel makes of them.
 *
 * Text is the language of the tests: told() gives what the caller of a request would be told, data
 * for a read, a number for a write, "ok", "!EINTR" for an error, or "!WAITS". It is the same
 * string until the 16th call after.
 */
#ifndef TEST_CALLS_H
#define TEST_CALLS_H

#include <fcntl.h>
#include <sys/file.h>

#include "kernel.h"

struct file { /* an open file description */
	uint64_t ino, fh;
	int flags;    /* open(2)'s */
	uint32_t how; /* FOPEN_* */
};

#define DIR_ROOT FUSE_ROOT_ID
#define RO       O_RDONLY
#define WO       O_WRONLY
#define BOTH     O_RDWR

const char *told(rq r);
const char *errno_text(int e); /* "!EINTR"; 0: "ok" */

/* ---- names ---- */

uint64_t lookup(uint64_t dir, const char *name); /* 0: see last_error */
extern int last_error;
rq q_lookup(uint64_t dir, const char *name);
/* The inode of the entry that a request for one gave; 0. */
uint64_t entry_ino(rq r, struct fuse_attr *ret);
rq q_mknod(uint64_t dir, const char *name);
rq q_mkdir(uint64_t dir, const char *name);
rq q_unlink(uint64_t dir, const char *name);
rq q_rmdir(uint64_t dir, const char *name);
rq q_rename(uint64_t dir, const char *name, uint64_t to, const char *newname);
rq q_chmod(uint64_t ino, unsigned int mode);
rq q_getattr(uint64_t ino);
uint64_t make(const char *name); /* in the root; its inode */
long long size_of(uint64_t ino);
#define CTL_SHM 5 /* the number of ctl/shm: fs/ctl/rows.h */
/* The path of an object's engine file; there is one from now on. */
const char *engine_file(uint64_t ino);
/* The engine file of an object, mapped until the next call; and how long it is. */
struct ipc_header *engine(uint64_t ino, size_t *ret_size);
/* As if a process that is stopped had its lock; and no more. */
void engine_stall(uint64_t ino);
void engine_go_on(uint64_t ino);
void forget(uint64_t ino, uint64_t n);

/* ---- files ---- */

rq q_open(uint64_t ino, int flags);
rq q_create(uint64_t dir, const char *name, int flags);
/* The file of an OPEN or CREATE that went well. */
struct file opened(rq r, uint64_t ino, int flags);
struct file open_ino(uint64_t ino, int flags);
struct file open_name(const char *name, int flags); /* "q.queue", "q.queue.ctl/lease" */
rq q_read_at(const struct file *f, size_t size, uint64_t pos);
rq q_read(const struct file *f); /* 4096 bytes from 0 */
rq q_write(const struct file *f, const void *data, size_t len);
rq q_put(const struct file *f, const char *text);
rq q_flush(const struct file *f);
rq q_release(const struct file *f);
rq q_flock(const struct file *f, int how); /* LOCK_NB: does not wait */
rq q_poll(const struct file *f, uint64_t kh, uint32_t events);
rq q_ioctl(const struct file *f, unsigned int cmd, int64_t v);
rq q_ioctl_data(const struct file *f, unsigned int cmd, const void *data);
void interrupt(rq r);

/* The same, answered or parked. */
const char *f_get(const struct file *f);
const char *f_put(const struct file *f, const char *text);
const char *f_lock(const struct file *f, int how);
const char *f_flush(const struct file *f);
void f_close(const struct file *f); /* FLUSH if the file wants it, RELEASE */
void f_release(const struct file *f);
uint32_t ready(const struct file *f); /* POLLIN, …, as they stand */
/* Write a text to a file of that name; what the write said. */
const char *say(const char *name, const char *text);
const char *show(const char *name);      /* all of a plain file */
const char *show_word(const char *name); /* without the newline */

#endif
