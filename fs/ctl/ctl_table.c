/* SPDX-License-Identifier: MIT */
/* Which .ctl files there are: one line for each type. And what is in all their tables. */
#include "base/proc.h"
#include "ctl/rows.h"
#include "object/number.h"
#include "state/fs.h"
#include "state/object.h"
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

int ctl_store_number(struct object *ob, uint64_t *field, const char *s, size_t len)
{
	uint64_t n;
	int r = number_count(s, len, &n);

	if (r == 0)
		ipc_setting64(&ob->o, field, n);
	return r;
}

int ctl_store_flag(struct object *ob, uint32_t *field, const char *s, size_t len)
{
	uint64_t n;
	int r = number_count(s, len, &n);

	if (r == 0 && n > 1)
		r = -EINVAL;
	if (r == 0)
		ipc_setting32(&ob->o, field, (uint32_t)n);
	return r;
}

int ctl_word(const char *s, size_t len, const char *const *words, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (strlen(words[i]) == len && !memcmp(words[i], s, len))
			return (int)i;
	return -EINVAL;
}

static const char *const takes[] = { [TAKE_ANY] = "any", [TAKE_RW] = "rw" };

void show_take(struct object *ob, FILE *f)
{
	fprintf(f, "%s\n", takes[ob->o.h->take % 2]);
}

int store_take(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	int r = ctl_word(s, len, takes, 2);

	if (r >= 0)
		ipc_setting32(&ob->o, &ob->o.h->take, (uint32_t)r);
	return r < 0 ? r : 0;
}

int store_cancel(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	uint64_t pid = 0;

	if (!(len == 3 && !memcmp(s, "all", 3)) &&
	    (number_count(s, len, &pid) < 0 || !pid || pid > INT32_MAX))
		return -EINVAL;
	/* Who waits is known by thread; a pid means all threads of it. */
	if (pid)
		ipc_name_waiters(&ob->o, proc_pid);
	ipc_cancel(&ob->o, (uint32_t)pid);
	return 0;
}
