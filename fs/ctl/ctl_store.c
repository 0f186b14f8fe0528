/* SPDX-License-Identifier: MIT */
/* What is written to .ctl files of many types. */
#include <string.h>

#include "base/proc.h"
#include "ctl/rows.h"
#include "object/number.h"
#include "state/object.h"

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
	/* Waiters record threads; a pid means all threads of that process. */
	if (pid)
		ipc_name_waiters(&ob->o, proc_pid);
	ipc_cancel(&ob->o, (uint32_t)pid);
	return 0;
}
