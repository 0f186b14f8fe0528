/* SPDX-License-Identifier: MIT */
/*
 * The processes that there are, and which files of one filesystem they have open: what /proc says at
 * one moment. Nothing here asks that filesystem, nor any other, so nothing waits: not for a server
 * that does not answer, and not for the daemon that looks.
 */
#ifndef IPCFS_CENSUS_H
#define IPCFS_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct census_process {
	uint32_t pid, parent, uid;
	uint32_t threads;
	uint64_t start; /* CLOCK_BOOTTIME ns */
	bool looked_at; /* census_first_look() */
	char state;     /* as in /proc/PID/stat */
	bool closed;    /* which files it has open is not to be seen: another user's */
};

/* A descriptor of a process. */
struct census_file {
	uint32_t pid;
	int fd;
	uint64_t nodeid; /* as the kernel calls the inode in requests; 0: not known */
	uint64_t ino;
	uint32_t flags; /* open(2)'s */
};

struct census {
	dev_t dev;
	uint64_t slept;                   /* ns that the machine was suspended since it booted */
	struct census_process *processes; /* by pid; kernel threads are left out */
	size_t n_processes;
	struct census_file *files;
	size_t n_files;
	struct census_mount *mounts; /* those met: are they the filesystem's? */
	size_t n_mounts;
};

void census_begin(struct census *c, dev_t dev);
void census_one(struct census *c, uint32_t pid); /* this process alone; again: no harm */
void census_all(struct census *c);
void census_free(struct census *c);
const struct census_process *census_find(const struct census *c, uint32_t pid); /* NULL */
/*
 * The same if it was there at that time (CLOCK_MONOTONIC ns), so it is not a later one with the same
 * number. (When the machine slept is not known; one that may have been there was.)
 */
const struct census_process *census_find_since(const struct census *c, uint32_t pid, uint64_t when);
/* true: it is there, and this is the first call for it. */
bool census_first_look(struct census *c, uint32_t pid);
/* How many of its threads sleep until a child ends. *ret: which child; 0: any. */
uint32_t census_waits_for_child(uint32_t pid, uint32_t *ret_child);
/* Does its main thread sleep in a read of a pipe; which one? Needs the right to trace it. */
bool census_reads_pipe(uint32_t pid, uint64_t *ret_pipe);
bool census_writes_pipe(uint32_t pid, uint64_t pipe); /* has it open for writing */
/* Are both descriptors one open file? Also true if the kernel does not tell. */
bool census_same(const struct census_file *a, const struct census_file *b);
/* An order in which descriptors of one open file are adjacent. */
int census_order(const struct census_file *a, const struct census_file *b);

#endif
