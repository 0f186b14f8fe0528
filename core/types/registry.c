/* SPDX-License-Identifier: MIT */
/* All types, one line each. */
#include <string.h>

#include "object/type.h"

#ifdef IPC_COUNTER
extern const struct ipc_type ipc_counter_type;
#endif

static const struct ipc_type *const types[] = {
	[IPC_QUEUE] = &ipc_queue_type,     [IPC_PIPE] = &ipc_pipe_type,
	[IPC_EVENT] = &ipc_event_type,     [IPC_SEM] = &ipc_sem_type,
	[IPC_LOCK] = &ipc_lock_type,       [IPC_RLOCK] = &ipc_rlock_type,
	[IPC_COND] = &ipc_cond_type,       [IPC_BARRIER] = &ipc_barrier_type,
	[IPC_VALUE] = &ipc_value_type,     [IPC_ARRAY] = &ipc_array_type,
#ifdef IPC_COUNTER /* tests/fs/counter.c; in no other program */
	[IPC_COUNTER] = &ipc_counter_type,
#endif
	[IPC_MOUNT] = &ipc_mount_type,
};

#define TYPES (sizeof(types) / sizeof(types[0]))

const struct ipc_type *ipc_type_of(uint32_t id)
{
	return id < TYPES ? types[id] : NULL;
}

const struct ipc_type *ipc_type_of_node(uint32_t kind)
{
	return ipc_type_of(kind == IPC_TWOWAY ? IPC_PIPE : kind == IPC_MOUNT ? IPC_NONE : kind);
}

const struct ipc_type *ipc_type_by_name(const char *name, size_t len)
{
	for (size_t i = 0; i < TYPES; i++) {
		const char *suffix = types[i] ? types[i]->suffix : NULL;
		size_t n = suffix ? strlen(suffix) : 0;

		if (n && len > n && !memcmp(name + len - n, suffix, n))
			return types[i];
	}
	return NULL;
}
