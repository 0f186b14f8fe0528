/* SPDX-License-Identifier: MIT */
/* Which .ctl files there are: one line for each type. */
#include "ctl/rows.h"
#include "state/fs.h"
#include "state/tree.h"

#ifdef IPC_COUNTER
extern const struct ipc_type ipc_counter_type;
extern const struct ctl_file ctl_counter[];
#endif

static const struct {
	const struct ipc_type *type;
	const struct ctl_file *files;
} tables[] = {
	{ &ipc_queue_type, ctl_queue },     { &ipc_pipe_type, ctl_pipe },
	{ &ipc_event_type, ctl_event },     { &ipc_sem_type, ctl_sem },
	{ &ipc_lock_type, ctl_lock },       { &ipc_rlock_type, ctl_lock },
	{ &ipc_cond_type, ctl_cond },       { &ipc_barrier_type, ctl_barrier },
	{ &ipc_value_type, ctl_value },     { &ipc_array_type, ctl_array },
#ifdef IPC_COUNTER /* tests/fs/counter.c, and in no other program */
	{ &ipc_counter_type, ctl_counter },
#endif
};

const struct ctl_file *ctl_table(const struct node *n)
{
	if (n == fs.root)
		return ctl_mount;
	for (size_t i = 0; n->ops && i < sizeof(tables) / sizeof(tables[0]); i++)
		if (tables[i].type == n->ops)
			return tables[i].files;
	return NULL;
}
