/* SPDX-License-Identifier: MIT */
/*
 * The numbers of the .ctl files. They are part of inode numbers, which the kernel keeps when another
 * program takes over: what stands here never changes, and a number is never given to another row. A
 * new row is added here with its number.
 */
#include <inttypes.h>

#include "ctl/ctl.h"
#include "kernel.h"
#include "state/fs.h"
#include "state/target.h"
#include "state/tree.h"

#define COMMON "type:0 status:1 waiters:2 holders:3 cancel:4 shm:5 stats:90 "
#define LOCK   COMMON "value:28 bound:30 undo:31 scope:32 take:53 "

static const struct {
	const struct ipc_type *type;
	const char *rows;
} tables[] = {
	{ &ipc_queue_type, COMMON
	  "maxsize:6 maxbytes:7 framing:8 closed:9 size:10 bytes:11 "
	  "unfinished:12 done:13 join:14 peek:15 drain:16 stream:17 lease:18 ack:19 nack:20 leased:21 "
	  "max_attempts:22 dead:23 revive:24 discard:25 ttr:70 touch:71 delayed:72 list:73 remove:74 front:75 later:76 finished:91 take:53 " },
	{ &ipc_pipe_type,
	  COMMON "maxbytes:7 framing:8 bytes:11 peek:15 readers:26 writers:27 take:53 " },
	{ &ipc_event_type, COMMON "value:33 take:53 " },
	{ &ipc_sem_type, COMMON "value:28 bound:29 undo:31 scope:32 take:53 jobserver:54 " },
	{ &ipc_lock_type, LOCK },
	{ &ipc_rlock_type, LOCK },
	{ &ipc_cond_type, COMMON "lock:37 take:53 " },
	{ &ipc_barrier_type, COMMON "parties:34 waiting:35 broken:36 take:53 " },
	{ &ipc_value_type, COMMON "lock:37 typecode:38 changed:39 take:53 " },
	{ &ipc_array_type, COMMON "lock:37 typecode:40 length:41 items:42 data:43 take:53 " },
};

static const char mount[] =
	"status:44 version:45 waiters:46 holders:47 deadlocks:48 graph:80 stats:90 metrics:91 limits:49 "
	"memory:50 objects:51 message:52 ";

static void check_rows(const struct ctl_file *files, const char *want)
{
	bool seen[1000] = { false };
	char got[1000] = "";
	size_t len = 0;

	CHECK(files);
	for (const struct ctl_file *c = files; c->name; c++) {
		CHECK(c->id < 1000 && !seen[c->id]);
		seen[c->id] = true;
		len += (size_t)snprintf(got + len, sizeof(got) - len, "%s:%u ", c->name, c->id);
	}
	CHECK_STR(got, want);
}

TEST(ctl_numbers)
{
	struct node *root = fs.root, dir = { .type = IPC_DIR };

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		struct node n = { .ops = tables[i].type };

		check_rows(ctl_table(&n), tables[i].rows);
	}
	for (uint32_t kind = 0; kind < 100; kind++) { /* no type is without a table */
		struct node n = { .ops = ipc_type_of_node(kind) };

		CHECK(!n.ops || ctl_table(&n));
	}
	CHECK(!ctl_table(&dir));
	fs.root = &dir;
	check_rows(ctl_table(&dir), mount);
	fs.root = root;
}

/* A listing goes on behind the row that it gave last, wherever that stands now. */
TEST(ctl_listing)
{
	struct node n = { .ops = &ipc_sem_type };
	struct target dir = { .node = &n, .sub = SUB_CTL };
	const struct ctl_file *c = NULL;
	char got[200] = "";

	while ((c = ctl_next(&dir, c ? ctl_sub(c) : 0)))
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s ", c->name);
	CHECK_STR(
		got,
		"type status waiters holders cancel stats value bound undo scope take jobserver ");
	CHECK(!ctl_next(&dir, SUB_CTL_FILE + 6)); /* a queue's */
	CHECK(!ctl_lookup(&dir, "maxsize", 7) && !ctl_lookup(&dir, "un", 2));
	CHECK_INT(ctl_lookup(&dir, "undo", 4)->id, 31);
}
