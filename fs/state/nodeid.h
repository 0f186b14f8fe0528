/* SPDX-License-Identifier: MIT */
/* What the kernel calls a file (nodeid) and an open file (fh): numbers that every worker understands. */
#ifndef IPCFS_NODEID_H
#define IPCFS_NODEID_H

#include <stdint.h>

#include "names/names.h"
#include "object/engine.h"

/* ---- inode numbers: what the kernel calls a file ---- */

/*
 * nodeid = sub << 40 | id for the object itself (sub 0), the ends of a two-way pipe and the files
 * of its .ctl; with bit 63 set it is an alias: generation << 32 | its block in the mount file.
 */
#define NODEID_ALIAS    (1ull << 63)
#define FH_PLAIN        (1ull << 63) /* in an open file's: it has no record (plain.c) */
#define NODEID(id, sub) ((uint64_t)(sub) << 40 | (id))

/* If it is not an alias. */
static inline uint64_t nodeid_id(uint64_t nodeid)
{
	return nodeid & 0xffffffffff;
}

static inline unsigned int nodeid_sub(uint64_t nodeid)
{
	return (unsigned int)(nodeid >> 40);
}

static inline uint64_t nodeid_alias(uint32_t gen, ref_t alias)
{
	return NODEID_ALIAS | (uint64_t)(gen & NAMES_GEN_MOST) << 32 | alias;
}

enum sub {
	SUB_SELF,
	SUB_END_A,
	SUB_END_B,
	SUB_CTL,      /* the directory NAME.ctl */
	SUB_CTL_FILE, /* + the number of a row: ctl/rows.h */
};

/* ---- fh: what the kernel calls an open file ---- */

/*
 * generation << 32 | block of the handle in the object's file, so that it means the same to a
 * restarted worker. (Whatever generation the file says: bit 63 is that of plain files, which have
 * no record; plain.c.)
 */
static inline uint64_t fh_of(uint32_t gen, ref_t handle)
{
	return (uint64_t)(gen & NAMES_GEN_MOST) << 32 | handle;
}

static inline ref_t fh_ref(uint64_t fh)
{
	return (ref_t)fh;
}

static inline uint32_t fh_gen(uint64_t fh)
{
	return (uint32_t)(fh >> 32);
}

static inline uint64_t fh_plain(uint32_t restarts, uint32_t n)
{
	return FH_PLAIN | (uint64_t)(restarts & 0x7fffff) << 32 | n;
}

/* The handle that it means; NULL. */
static inline struct ipc_handle *fh_handle(struct ipc_obj *o, uint64_t fh)
{
	return ipc_handle(o, fh_ref(fh), fh_gen(fh));
}

#endif
