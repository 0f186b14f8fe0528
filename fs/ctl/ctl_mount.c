/* SPDX-License-Identifier: MIT */
/* The mount's own .ctl files, and those of .ctl/limits. */
#include <string.h>

#include "base/proc.h"
#include "ctl/graph.h"
#include "ctl/rows.h"
#include "ctl/survey.h"
#include "object/text.h"
#include "state/fs.h"
#include "state/memory.h"

static void show_version(FILE *f)
{
	fprintf(f, "%s\n", IPCFS_VERSION);
}

#define LIMIT(name, field, parse, least, most)                     \
	static void show_limit_##name(FILE *f)                     \
	{                                                          \
		fprintf(f, "%" PRIu64 "\n", mount_body()->field);  \
	}                                                          \
	static int store_limit_##name(const char *s, size_t len)   \
	{                                                          \
		char text[32];                                     \
		uint64_t n;                                        \
		if (len >= sizeof(text))                           \
			return -EINVAL;                            \
		memcpy(text, s, len);                              \
		text[len] = 0;                                     \
		if (parse(text, &n) < 0)                           \
			return -EINVAL;                            \
		if (n < (least) || n > (most))                     \
			return -ERANGE;                            \
		ipc_setting64(&fs.mount, &mount_body()->field, n); \
		memory_limit_changed();                            \
		return 0;                                          \
	}

static int parse_memory(const char *s, uint64_t *n)
{
	return text_size(s, proc_memory_total(), n);
}

static int parse_plain(const char *s, uint64_t *n)
{
	return text_size(s, 0, n);
}

LIMIT(memory, memory_limit, parse_memory, 65536, 1ull << 46)
LIMIT(objects, object_limit, parse_plain, 1, 1ull << 31)
LIMIT(message, message_limit, parse_plain, 1, IPC_MESSAGE_MAX)

#define PRIVATE(i, n, fn)                                                   \
	{                                                                   \
		.id = i, .name = n, .access = CTL_PRIVATE, .show_mount = fn \
	}
#define SURVEY(i, n, form)                                                \
	{                                                                 \
		.id = i, .name = n, .access = CTL_PRIVATE, .survey = form \
	}
#define A_LIMIT(i, n)                                                        \
	{                                                                    \
		.id = i, .name = #n, .access = CTL_SETTING, .limit = true,   \
		.show_mount = show_limit_##n, .store_mount = store_limit_##n \
	}

const struct ctl_file ctl_mount[] = {
	{ .id = 44, .name = "status", .show_mount = show_mount_status },
	{ .id = 45, .name = "version", .show_mount = show_version },
	PRIVATE(46, "waiters", show_mount_waiters),
	PRIVATE(47, "holders", show_mount_holders),
	PRIVATE(48, "deadlocks", show_deadlocks),
	PRIVATE(80, "graph", show_graph),
	SURVEY(90, "stats", &survey_rows),
	SURVEY(91, "metrics", &survey_metrics),
	{ .id = 49, .name = "limits", .access = CTL_DIRECTORY },
	A_LIMIT(50, memory),
	A_LIMIT(51, objects),
	A_LIMIT(52, message),
	CTL_END,
};
