/* SPDX-License-Identifier: MIT */
/* STATE/mount: the limits of the mount, the names and the aliases of inodes. See format.h. */
#ifndef IPC_FORMAT_MOUNT_H
#define IPC_FORMAT_MOUNT_H

#include "format/base.h"

#define IPC_RESTARTS 8        /* restarts in a row after which a request may still come again */
struct ipc_mount {            /* STATE/mount */
	uint64_t next_id;     /* [lock] of nodes */
	uint64_t next_cookie; /* [lock] of directory entries */
	uint64_t epoch;       /* [lock] counts clean mounts; handles of an earlier one are dead */
	uint64_t memory;      /* [lock] bytes that all engine files use */
	uint64_t memory_limit, object_limit, message_limit; /* [lock] */
	uint32_t framing;                                   /* [lock] of new queues */
	uint32_t next_gen;                                  /* [lock] of handles and aliases */
	struct ipc_list active;  /* [lock] struct ipc_node: in use, or without a name */
	struct ipc_list aliases; /* [lock] struct ipc_alias */
	uint64_t objects;        /* [lock] */
	uint64_t nodes;          /* [lock] all of them */
	uint64_t names;          /* [lock] those that are in a directory */
	uint64_t key[2];         /* [once] of the index's hash: nobody outside can aim at a chain */
	ref_t index;             /* [lock] references to pages of struct ipc_bucket; 0: none yet */
	uint32_t buckets;        /* [lock] in use */
	uint64_t unique;         /* [lock] the last request that changed the namespace, */
	int64_t result;          /* [lock] what it came to, */
	uint64_t result_id;      /* [lock] and the node that it made */
	uint32_t take;           /* [lock] of new objects: enum ipc_take */
	uint32_t pad;
	uint64_t making; /* [lock] the node whose engine file is being made or removed; 0 */
	uint64_t before[IPC_RESTARTS][2]; /* [lock] unique and result_id as each worker found them */
};

#define IPC_BUCKETS 512 /* in a page of the index */
#define IPC_LEVELS  6   /* of a directory's entries: names/order.c */

enum ipc_chain { CHAIN_ID, CHAIN_NAME, CHAINS };

/* A place of the index: whose id, and whose directory and name, have this hash. */
struct ipc_bucket {
	ref_t head[CHAINS]; /* [lock] struct ipc_node, through .same */
};

/* What a directory has more than an object. */
struct ipc_dir {
	struct {
		ref_t first, last; /* [lock] struct ipc_node, by cookie */
	} level[IPC_LEVELS];
	uint32_t entries; /* [lock] */
	uint32_t subdirs; /* [lock] */
};

/*
 * A name: a directory, or an object (whose state is in objects/ID). Behind the name, at a multiple
 * of 4, come its links in the levels 1 to height - 1 of its directory.
 */
struct ipc_node {
	struct ipc_link link;  /* [lock] mount.active */
	uint64_t id;           /* [once] also the name of its engine file, and st_ino */
	uint64_t parent;       /* [lock] 0: removed, but still open */
	uint64_t cookie;       /* [once] place in its directory */
	struct ipc_link order; /* [lock] its directory's level 0 */
	ref_t same[CHAINS];    /* [lock] the next in its bucket */
	union {
		ref_t dir;   /* [once] of a directory: struct ipc_dir */
		ref_t stats; /* [lock] of a blank object: struct ipc_stats, unless all are 0 */
	};
	uint32_t type;               /* [once] enum ipc_type_id */
	uint32_t mode;               /* [lock] permission bits, MODE_* */
	uint32_t uid, gid;           /* [lock] */
	uint32_t flags;              /* [lock] NODE_* */
	int64_t atime, mtime, ctime; /* [plain] CLOCK_REALTIME ns */
	uint64_t size;               /* [plain] what ls shows, unless NODE_MAPPED */
	uint32_t active;             /* [lock] some handle is open */
	uint16_t name_len;           /* [once] */
	uint16_t height;             /* [once] in how many levels it is */
	char name[];                 /* [once] a rename makes a new node block */
};

#define NODE_BLANK  1u /* the object is as it was created, and has no engine file */
#define NODE_SHARED 2u /* others may have its engine file open, which stays its own */
#define NODE_MAPPED 4u /* the object may have changed since `size` was recorded */
/* The settings with which it was created. */
#define NODE_FRAMING(flags)         ((flags) >> 8 & 0xff)
#define NODE_TAKE(flags)            ((flags) >> 16 & 0xff)
#define NODE_CREATED(framing, take) ((framing) << 8 | (take) << 16)

#define MODE_NO_A 0x10000u /* two-way pipe: this end was removed */
#define MODE_NO_B 0x20000u

/* A second inode number of an object, for one open file: fs/state/alias.c. */
struct ipc_alias {
	struct ipc_link link; /* [lock] mount.aliases */
	uint64_t nodeid;      /* [once] the inode that it stands for */
	int64_t timeout;      /* [once] ns, -1 none */
	uint64_t lookups; /* [plain] how often the kernel was told of it, and has not forgotten */
	uint64_t told;    /* [plain] the LOOKUP that was answered with it last */
	uint64_t opens;   /* [plain] how many of those lookups ended in an open file */
	uint64_t fh;      /* [plain] the open file on it; 0: none */
	uint64_t refused; /* [plain] as which inode its thread was refused; 0 */
	uint64_t unique;  /* [plain] the OPEN that was refused, or granted last */
	uint32_t gen;     /* [once] */
	uint32_t tid;     /* [plain] thread that may open it; ALIAS_ANYBODY */
	uint32_t flags;   /* [plain] ALIAS_* */
	uint32_t pad;
};

#define ALIAS_ANYBODY UINT32_MAX
#define ALIAS_PENDING 1u /* its thread was refused, and will open it */
#define ALIAS_SHARED  2u /* opened by descriptor: never handed out again */
#define ALIAS_LENT    4u /* the kernel has attributes that are valid for a moment: fs/state/lent.c */

static_assert(sizeof(struct ipc_node) == 112, "format");
static_assert(sizeof(struct ipc_bucket) * IPC_BUCKETS == IPC_PAGE, "format");
static_assert(sizeof(struct ipc_alias) == 88, "format");

#endif
