/* SPDX-License-Identifier: MIT */
/*
 * Inside libipcfs. client_open.c opens and closes; client.c and client_value.c check each call and
 * choose the way: client_file.c does it through the mount, client_direct.c in the engine file (with
 * client_session.c, client_wait.c, client_soon.c and, for the simplest case, client_now.c). Both use the same handle,
 * so each operation may go either way.
 *
 * Threads. What changes in an ipcfs_obj after it was opened is atomic, or under `lock`; what
 * changes in `map` belongs to the thread that holds the object's own lock (obj_lock), and its
 * damage is atomic.
 *
 * Fork. The first operation of a child opens the object again (client_enter()), so that each
 * process has its own handle and the death of one returns what that one had.
 */
#ifndef IPC_CLIENT_H
#define IPC_CLIENT_H

#include <fcntl.h>
#include <pthread.h>

#include "object/engine.h"
#include "client/ipcfs.h"
#include "client/lib.h"
#include "object/type.h"

struct ipcfs_obj {
	int fd;
	int oflags;
	unsigned int forks;  /* client_forks when fd was opened, */
	pid_t pid;           /* and by whom */
	unsigned int copied; /* own_forks then: does any other process have the descriptor? */
	struct lib_attach at;
	const struct ipc_type *type;
	bool direct;                  /* map may be used */
	bool short_cut;               /* client_now.c may, too */
	struct ipc_sem *fast;         /* its lock, if it may be taken by the fast word; NULL */
	uint64_t *permits;            /* the fast count, of a semaphore; NULL */
	uint64_t *event;              /* the same of an event */
	const struct ipc_handle *own; /* its handle's record in the file */
	bool damaged;                 /* atomic */
	uint32_t spin;                /* atomic; rounds to spin before the next sleep */
	uint32_t yields;              /* atomic; spins that ended at their shortest */
	struct ipc_obj map;
	struct living *living; /* NULL: others cannot see whether this process lives */
	struct ipc_env env;
	pthread_mutex_t lock;    /* a value's change and its result; data */
	pthread_mutex_t limited; /* file mode: a flock with a time limit, which is the handle's */
	unsigned int lent; /* atomic; counts flock_limited(): odd while it has lent its limit */
	bool writing;      /* atomic; file mode: somebody writes to fd, and may wait */
	void *data;        /* array */
	size_t data_len;
	struct old_data *old_data;
	struct begun *begun; /* under `lock`: client_begin.c */
};

/* Absolute, as in struct ipc_call: IPC_NEVER, 0 not at all. */
static inline int64_t deadline_of(int64_t timeout_ns)
{
	int64_t t;

	if (timeout_ns < 0)
		return IPC_NEVER;
	if (timeout_ns == 0)
		return 0;
	return __builtin_add_overflow((int64_t)ipc_now(), timeout_ns, &t) ? IPC_NEVER : t;
}

/*
 * What is left of it, as a time limit: at least 1 ns, so that it times out and does not just try.
 */
static inline int64_t left_of(int64_t deadline)
{
	int64_t t;

	if (deadline == IPC_NEVER)
		return -1;
	if (deadline == 0)
		return 0;
	t = deadline - (int64_t)ipc_now();
	return t > 0 ? t : 1;
}

/* Permits are taken by reading and given by number; the locks of other types are for flock. */
static inline bool is_permits(const struct ipc_type *t)
{
	return t->verbs & VERB(CMD_ADD);
}

/* ---- client_open.c ---- */

extern unsigned int client_forks; /* between the first process that used the library and this one */

/* Open the same file once more, with a handle of its own. Its fd or -errno. */
int client_reopen(const struct ipcfs_obj *o);
/* The first operation of a child process: a handle of its own. */
int client_enter_child(struct ipcfs_obj *o);

/* Begin an operation that reads or writes (`mode`; O_RDWR: either is enough). */
static inline int client_enter(struct ipcfs_obj *o, int mode)
{
	int have = o->oflags & O_ACCMODE;

	if (mode != O_RDWR && have != O_RDWR && have != mode)
		return -EBADF;
	if (__builtin_expect(__atomic_load_n(&o->forks, __ATOMIC_ACQUIRE) == client_forks, 1))
		return 0;
	return client_enter_child(o);
}

/* ---- client_begin.c ---- */
void client_forget_begun(struct ipcfs_obj *o); /* at the close, and in a child */

/* ---- client_value.c ---- */
void client_drop_data(struct ipcfs_obj *o); /* at the close */

/* ---- client_file.c ---- */
/* atomic: as in struct ipc_call */
int file_put(struct ipcfs_obj *o, const void *msg, size_t len, bool atomic, int64_t deadline);
/* join: wait until nothing is unfinished. */
ssize_t file_read(struct ipcfs_obj *o, void *buf, size_t size, int64_t deadline, bool join);
/* Read a message, which stays in the hand of fd, a handle of its own: LIB_IOC_TAKE, or a close. */
ssize_t file_keep(struct ipcfs_obj *o, int fd, void *buf, size_t size, int64_t deadline);
/* A read whose answer is a number. */
int file_number(struct ipcfs_obj *o, int64_t deadline, int64_t *ret);
int file_command(struct ipcfs_obj *o, const char *text);
int file_flock(struct ipcfs_obj *o, int how, int64_t deadline);
int file_done(struct ipcfs_obj *o, unsigned int n);
int file_add(struct ipcfs_obj *o, int64_t n, int64_t *ret_value);
int file_cas(struct ipcfs_obj *o, const char *text);
int file_value(struct ipcfs_obj *o, int64_t *ret);

/* ---- client_now.c: false, -1: in the usual way ---- */
bool direct_put_now(struct ipcfs_obj *c, const void *msg, size_t len);
ssize_t direct_get_now(struct ipcfs_obj *c, void *buf, size_t size);

/* ---- client_direct.c: enum ipc_outcome or -errno ---- */
int direct_open(struct ipcfs_obj *o);
/* It has a handle, at o->at. */
void direct_opened(struct ipcfs_obj *o);
/* *ret_part: bytes of the next one, of a stream that took no more. */
int direct_put(struct ipcfs_obj *o, const struct iovec *msgs, int n, bool atomic, int64_t deadline,
	       int *ret_done, size_t *ret_part);
int direct_get(struct ipcfs_obj *o, struct iovec *bufs, int n, int64_t deadline, int *ret_got);
int direct_number(struct ipcfs_obj *o, uint32_t op, int64_t deadline, int64_t *ret);
int direct_give(struct ipcfs_obj *o, const struct ipc_cmd *cmd, int64_t *ret_value);
int direct_flock(struct ipcfs_obj *o, int how, int64_t deadline);
/* ---- client_long.c: messages that are begun in the engine file ---- */
int direct_put_begin(struct ipcfs_obj *c, size_t len, ref_t *ret_begun, void **ret_bytes);
/* -errno, IPC_ELSEWHERE: it is still begun. */
int direct_put_commit(struct ipcfs_obj *c, ref_t begun, const void *bytes, size_t len,
		      int64_t deadline);
/* *ret_copied: the bytes are a copy, which is the caller's. */
int direct_get_begin(struct ipcfs_obj *c, int64_t deadline, ref_t *ret_begun, void **ret_bytes,
		     size_t *ret_len, bool *ret_copied);
int direct_begun_end(struct ipcfs_obj *c, ref_t begun);
/* By the fast word (fast.h), spinning a little if `waits`. false: in the usual way. */
bool direct_take(struct ipcfs_obj *o, bool waits);
bool direct_release(struct ipcfs_obj *o);
/* A permit, by the fast count, with a little spinning. false: in the usual way. */
bool direct_permit_soon(struct ipcfs_obj *o);
/* Is its handle still one? Else the mount is gone, as the usual way will say. */
static inline bool direct_current(const struct ipcfs_obj *o)
{
	return __builtin_expect(__atomic_load_n(&o->own->gen, __ATOMIC_RELAXED) == o->at.gen, 1);
}
int direct_done(struct ipcfs_obj *o, unsigned int n);
int direct_value(struct ipcfs_obj *o, int64_t *ret);

/* ---- client_close.c ---- */
/* Its handle holds nothing that a close would have to give back. */
bool direct_holds_nothing(const struct ipcfs_obj *o);
/* From now on others can see whether this process is alive; to be repeated after a fork. */
void living_enter(struct ipcfs_obj *o);
void living_leave(struct ipcfs_obj *o);
void living_forked(void);

#endif
