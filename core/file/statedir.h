/* SPDX-License-Identifier: MIT */
/*
 * What is in a state directory, and what it is called. Nobody else spells these names.
 *
 *	mount		the names, permissions and limits
 *	objects/ID	an object's engine file
 *	objects/ID.data	an array's memory
 *	objects/ready-N	an engine file that is kept for the next object
 *	spare		room that is given up when the file system is full
 *
 * `ipcctl check --repair` keeps what it replaces, with STATE_DAMAGED appended.
 */
#ifndef IPC_STATEDIR_H
#define IPC_STATEDIR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATE_SHM     "/dev/shm" /* where state directories are, unless somebody says otherwise */
#define STATE_MOUNT   "mount"
#define STATE_NEW     "mount.new" /* a mount file that is being made */
#define STATE_OBJECTS "objects"
#define STATE_SPARE   "spare"
#define STATE_DATA    ".data"
#define STATE_DAMAGED ".damaged"

struct state_name {
	char s[32];
};

/* The names of an object's files in STATE_OBJECTS. */
static inline struct state_name state_engine(uint64_t id)
{
	struct state_name name;

	snprintf(name.s, sizeof(name.s), "%llu", (unsigned long long)id);
	return name;
}

static inline struct state_name state_data(uint64_t id)
{
	struct state_name name;

	snprintf(name.s, sizeof(name.s), "%llu" STATE_DATA, (unsigned long long)id);
	return name;
}

static inline struct state_name state_ready(unsigned int n)
{
	struct state_name name;

	snprintf(name.s, sizeof(name.s), "ready-%u", n);
	return name;
}

/* Whose file in STATE_OBJECTS is this: engine file, or (data) memory? false: it is no object's. */
static inline bool state_is_of(const char *file, uint64_t *ret_id, bool *ret_data)
{
	uint64_t id = strtoull(file, NULL, 10);

	*ret_id = id;
	*ret_data = strcmp(file, state_data(id).s) == 0;
	return *ret_data || strcmp(file, state_engine(id).s) == 0;
}

/*
 * Their mode, for an object of this mode: whoever may both read and write it can open them, and so
 * can the daemon.
 */
static inline uint32_t state_mode(uint32_t mode)
{
	uint32_t ret = geteuid() ? 0600 : 0;

	for (unsigned int shift = 0; shift <= 6; shift += 3)
		if ((mode >> shift & 6) == 6)
			ret |= 6u << shift;
	return ret;
}

#endif
