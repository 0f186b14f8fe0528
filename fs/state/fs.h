/* SPDX-License-Identifier: MIT */
/*
 * The daemon's own structs. Everything in here is an index over the engine files, or a request
 * that has not been answered yet; a restarted worker builds it anew.
 *
 * Locking: one daemon lock (fs.lock) is held by whichever thread works: the loop thread from the
 * moment that it has a request until it has dealt with it, the event thread while it deals with a
 * deadline. Nothing waits under it: replies are written, engine mutexes are taken with a time
 * limit. Order: fs.lock, then libfuse's own locks, then one object's mutex, then the
 * mount file's mutex.
 */
#ifndef IPCFS_FS_H
#define IPCFS_FS_H

#define FUSE_USE_VERSION 314

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "base/timer.h"
#include "object/engine.h"
#include "names/names.h"
#include "object/type.h"

#define ENTRY_TIMEOUT 3600.0         /* names change through this mount alone */
#define PLUS_TIMEOUT  0.01           /* attributes handed out by READDIRPLUS */
#define ONE_TICK      1e-9           /* the kernel rounds up */
#define CTL_SIZE      4096           /* what a file of a .ctl says, as in sysfs; and NAME@SECONDS */
#define MAX_IO        (1024u * 1024) /* bytes of one READ or WRITE */

/* ---- inode numbers: what the kernel calls a file ---- */

/*
 * nodeid = sub << 40 | id for the object itself (sub 0), the ends of a two-way pipe and the files
 * of its .ctl; with bit 63 set it is an alias: generation << 32 | its block in the mount file.
 */
#define NODEID_ALIAS    (1ull << 63)
#define FH_PLAIN        (1ull << 63) /* in an open file's: it has no record (plain.c) */
#define FH_GEN          0x7fffffffu  /* of a handle's generation */
#define NODEID(id, sub) ((uint64_t)(sub) << 40 | (id))

/* ---- fh: what the kernel calls an open file ---- */

/*
 * generation << 32 | block of the handle in the object's file, so that it means the same to a
 * restarted worker. (Whatever generation the file says: bit 63 is that of plain files, which have
 * no record; plain.c.)
 */
static inline uint64_t fh_of(uint32_t gen, ref_t handle)
{
	return (uint64_t)(gen & FH_GEN) << 32 | handle;
}

static inline ref_t fh_ref(uint64_t fh)
{
	return (ref_t)fh;
}

static inline uint32_t fh_gen(uint64_t fh)
{
	return (uint32_t)(fh >> 32);
}

/* The handle that it means; NULL. */
static inline struct ipc_handle *fh_handle(struct ipc_obj *o, uint64_t fh)
{
	return ipc_handle(o, fh_ref(fh), fh_gen(fh));
}

enum sub {
	SUB_SELF,
	SUB_END_A,
	SUB_END_B,
	SUB_CTL,      /* the directory NAME.ctl */
	SUB_CTL_FILE, /* + the number of a row: ctl/rows.h */
};

struct options {
	char *state; /* state directory */
	char *memory, *objects, *message, *framing, *take;
	uint64_t memory_limit, object_limit, message_limit;
	uint32_t new_framing, new_take;
	int debug, foreground;
	int no_resend; /* tests: as on a kernel without FUSE_NOTIFY_RESEND */
};

struct parked;
struct request;
struct poller;
struct object;

/* A name. */
struct node {
	uint64_t id;
	ref_t ref; /* its block in the mount file */
	uint32_t type;
	const struct ipc_type *ops; /* NULL: a plain directory */
	struct node *parent;        /* NULL: the root, or removed */
	struct node *first, *last;  /* directories: entries by cookie */
	struct node *next, *prev;
	uint32_t subdirs, entries;
	uint64_t cookie;
	struct object *ob; /* mapped; NULL */
	uint64_t size;     /* the size column when it was last mapped */
	bool size_known;
	uint64_t lent;    /* as which inode the kernel has attributes of it: lent.c; 0 */
	uint32_t aliases; /* that there are of it */
	uint64_t listed;  /* until then it may have those of a READDIRPLUS; 0 */
	bool refused;     /* its engine file cannot be used, as the log says */
	UT_hash_handle by_id, by_name, by_cookie;
	uint32_t key_len;
	char key[]; /* parent's id, then the name */
};

/* An object that is mapped. */
struct object {
	struct ipc_obj o;
	struct node *node;
	struct parked *parked;  /* park.c: by waiter */
	struct parked *telling; /* settle.c: those that are to be answered at the end of the turn */
	struct object *lru_next, *lru_prev;
	/* memory.c: somebody waits for memory with it */
	bool hungry;
	struct object *hungry_next, *hungry_prev;
	/* turn.c: to be looked at when the turn ends */
	bool look;
	struct object *look_next;
	/* damaged.c */
	bool told; /* whoever waited knows that it is damaged */
	struct poller *pollers;
	bool adopted;       /* checked, and its handles are this mount's */
	bool direct;        /* direct clients may change it at any time */
	int data_fd;        /* array: its memory; -1 */
	unsigned int pins;  /* who needs it beyond the turn: requests that wait in another object */
	struct timer timer; /* poll.c: limits and pollers of what does not wait */
	/* held.c */
	uint64_t held;       /* since when somebody who is not stopped keeps its lock; 0: nobody */
	uint64_t held_since; /* since when it is this one */
	uint32_t held_word;  /* who */
	bool held_failed;    /* for too long */
	bool untold;         /* settle_told_in() was not possible */
	bool late_polls;     /* some handles polled while it was: poll.c */
	struct object *held_next, *held_prev;
	struct kept *kept; /* its requests that are put aside */
	struct to_finish *to_finish;
};

/* Who asks, and by which request. */
struct caller {
	uint64_t unique; /* without the bit that says it was sent again */
	bool resent;
	uint32_t tid, uid, gid;
};

/* Is it the request of this number, sent again? */
static inline bool again_is(const struct caller *by, uint64_t unique)
{
	return by->resent && by->unique == unique;
}

/* What a nodeid means. */
struct target {
	struct node *node;
	unsigned int sub;
	int64_t timeout; /* ns, -1 none */
	ref_t alias;     /* 0: no alias */
	uint64_t nodeid;
	uint64_t base; /* the same without the alias */
};

/* What the folders above state/ want to know of it, and what it asks them: ops/observer.c. */
struct state_observer {
	bool (*ctl_exists)(const struct target *t); /* its node has a .ctl file of this number */
	void (*ctl_attr)(const struct target *t, struct stat *st);
	void (*damaged)(struct ipc_env *env, struct ipc_obj *o, const char *why);
	void (*kept)(struct object *ob);      /* somebody keeps its lock */
	void (*restarted)(struct object *ob); /* first used by a worker that follows another */
	void (*goes)(struct object *ob);      /* it is about to be unmapped */
};

struct fs {
	pthread_mutex_t lock;
	const struct state_observer *above;
	struct options opt;
	const char *mountpoint;
	struct fuse_session *se;
	int state_fd, objects_fd;
	struct ipc_env env, mount_env;
	struct ipc_obj mount;
	struct node *root, *by_id, *by_name, *by_cookie;
	struct object *lru; /* least recently used first */
	unsigned int mapped;
	struct object *hungry; /* the longest waiting first */
	struct object *look;
	uint64_t memory; /* as in the mount file, to look at without its lock */
	uint64_t started;
	/* what main.c and the supervisor say for .ctl/status */
	pid_t supervisor;
	uint32_t restarts;
};

extern struct fs fs;

static inline struct ipc_mount *mount_body(void)
{
	return &fs.mount.h->b.mount;
}

static inline struct ipc_node *node_block(const struct node *n)
{
	return node_at(&fs.mount, n->ref);
}

static inline bool node_is(const struct node *n, uint32_t trait)
{
	return n->ops && n->ops->traits & trait;
}

/* Also the folder that a two-way pipe is. */
static inline bool node_is_dir(const struct node *n)
{
	return n->type == IPC_DIR || n->type == IPC_TWOWAY;
}

static inline const char *node_name(const struct node *n)
{
	return n->key + sizeof(uint64_t);
}

/*
 * What an operation came to, as an engine file says: an error as the kernel takes it. (Another one
 * it refuses, and whoever waits for the reply would wait for ever.)
 */
static inline int error_of(int64_t result)
{
	return result >= 0 ? 0 : result > -512 ? (int)-result : EIO;
}

/* ---- store.c: the files of the state directory, which state.c opens ---- */
/* The mount file and the index; in the worker. A sentence in *ret_why when refused. */
int store_load(const struct state_observer *above, const char **ret_why);
void store_unload(void);
void store_bus_error(int sig, siginfo_t *si, void *context);
struct object *object_of(struct node *n,
			 int *ret_error); /* mapped now; to the end of the turn at least */
void object_unmap(struct object *ob);     /* turn.c only: it is freed */
/*
 * 0; -EIO damaged; -EBUSY: somebody keeps it; then it is settled when it can be
 * locked again (held.c). No longer than some ms.
 */
int object_lock(struct object *ob);
/* For what cannot be done later: some 200 ms. */
int object_lock_patiently(struct object *ob);
int object_try(struct object *ob); /* now, or -EBUSY */
void object_unlock(struct object *ob);
void store_remove(struct node *n); /* a node without a name, that is not mapped: with its files */
int object_create(uint64_t id, const struct ipc_type *t);
void object_remove_files(uint64_t id,
			 const struct ipc_type *t); /* NULL: a directory, without any */
uint64_t store_recount(void);
void store_chmod(struct node *n); /* the engine file's mode follows the object's */
uint64_t object_memory(struct object *ob);
/*
 * After a start: what a dead worker had begun to remove, no name leads to it and nobody has it
 * open.
 */
void store_sweep(void);

/* ---- tree.c: names ---- */
int tree_load(void);
void tree_unload(void);
struct node *tree_by_id(uint64_t id);
struct node *tree_find(const struct node *dir, const char *name, size_t len);
struct node *tree_after(struct node *dir, uint64_t cookie);
struct node *tree_insert(ref_t ref);
void tree_detach(struct node *n); /* out of its directory; stays known by id */
void tree_forget(struct node *n);
void tree_moved(struct node **n, ref_t ref); /* its block and name are new */
/* The target of a nodeid: -ESTALE if there is none any more. */
int target_of(uint64_t nodeid, struct target *ret);
void target_attr(const struct target *t, struct stat *st);
/* The path of a node inside the mount. */
void tree_path(const struct node *n, char *buf, size_t size);

#endif
