/* SPDX-License-Identifier: MIT */
/* The table of .ctl files: how each is shown, and what may be written to it. */
#include "state/array.h"
#include "object/command.h"
#include "ctl/ctl.h"
#include "state/memory.h"
#include "wait/monitor.h"
#include "object/number.h"

#include <inttypes.h>

#include "object/text.h"
#include "object/type.h"

#define BIT(t)		(1u << (t))
#define QUEUE		BIT(IPC_QUEUE)
#define PIPE		BIT(IPC_PIPE)
#define SEMS		(BIT(IPC_SEM) | BIT(IPC_LOCK) | BIT(IPC_RLOCK))
#define ANY		((BIT(IPC_TYPES) - 1) & ~1u)

#define B(ob)		((ob)->o.h->b)

/* ---- numbers and words ---- */

#define SHOW_NUMBER(name, field)						\
	static void show_##name(struct object *ob, FILE *f)			\
	{									\
		fprintf(f, "%" PRIu64 "\n", (uint64_t)B(ob).field);		\
	}

SHOW_NUMBER(maxsize, queue.maxsize)
SHOW_NUMBER(maxbytes, queue.maxbytes)
SHOW_NUMBER(closed, queue.closed)
SHOW_NUMBER(size, queue.mq[0].count)
SHOW_NUMBER(unfinished, queue.unfinished)
SHOW_NUMBER(max_attempts, queue.max_attempts)
SHOW_NUMBER(sem_value, sem.value)
SHOW_NUMBER(bound, sem.bound)
SHOW_NUMBER(undo, sem.undo)
SHOW_NUMBER(event_value, event.set)

static int store_number(struct object *ob, uint64_t *field, const char *s, size_t len)
{
	uint64_t n;
	int r = number_count(s, len, &n);

	if (r == 0)
		ipc_setting64(&ob->o, field, n);
	return r;
}

static int store_flag(struct object *ob, uint32_t *field, const char *s, size_t len)
{
	uint64_t n;
	int r = number_count(s, len, &n);

	if (r == 0 && n > 1)
		r = -EINVAL;
	if (r == 0)
		ipc_setting32(&ob->o, field, (uint32_t)n);
	return r;
}

static int store_maxsize(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	return store_number(ob, &B(ob).queue.maxsize, s, len);
}

static int store_maxbytes(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	return store_number(ob, &B(ob).queue.maxbytes, s, len);
}

static int store_max_attempts(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	return store_number(ob, &B(ob).queue.max_attempts, s, len);
}

static int store_closed(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	return store_flag(ob, &B(ob).queue.closed, s, len);
}

static int store_undo(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	return store_flag(ob, &B(ob).sem.undo, s, len);
}

SHOW_NUMBER(jobserver, sem.jobserver)

static int store_jobserver(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	return store_flag(ob, &B(ob).sem.jobserver, s, len);
}

static int store_bound(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	uint64_t n;
	int r = number_count(s, len, &n);

	if (r == 0 && n && n < B(ob).sem.value)
		r = -ERANGE;
	if (r == 0)
		ipc_setting64(&ob->o, &B(ob).sem.bound, n);
	return r;
}

static const char *const scopes[SCOPES] = {
	[SCOPE_HANDLE] = "handle", [SCOPE_PROCESS] = "process", [SCOPE_OPENER] = "opener",
};
static const char *const framings[] = {
	[FRAMING_LINE] = "line", [FRAMING_RECORD] = "record", [FRAMING_BYTES] = "bytes",
};

static int word(const char *s, size_t len, const char *const *words, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (strlen(words[i]) == len && !memcmp(words[i], s, len))
			return (int)i;
	return -EINVAL;
}

static void show_scope(struct object *ob, FILE *f)
{
	fprintf(f, "%s\n", scopes[B(ob).sem.scope % SCOPES]);
}

static int store_scope(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	int r = word(s, len, scopes, SCOPES);

	if (r >= 0)
		ipc_setting32(&ob->o, &B(ob).sem.scope, (uint32_t)r);
	return r < 0 ? r : 0;
}

static void show_framing(struct object *ob, FILE *f)
{
	fprintf(f, "%s\n", framings[B(ob).queue.framing % 3]);
}

static int store_framing(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	int r = word(s, len, framings, 3);

	if (r == (ob->o.type == IPC_QUEUE ? FRAMING_BYTES : FRAMING_LINE))
		r = -EINVAL;
	if (r >= 0)
		ipc_setting32(&ob->o, &B(ob).queue.framing, (uint32_t)r);
	return r < 0 ? r : 0;
}

static const char *const takes[] = { [TAKE_ANY] = "any", [TAKE_RW] = "rw" };

static void show_take(struct object *ob, FILE *f)
{
	fprintf(f, "%s\n", takes[ob->o.h->take % 2]);
}

static int store_take(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	int r = word(s, len, takes, 2);

	if (r >= 0)
		ipc_setting32(&ob->o, &ob->o.h->take, (uint32_t)r);
	return r < 0 ? r : 0;
}

static void show_bytes(struct object *ob, FILE *f)
{
	fprintf(f, "%" PRIu64 "\n", B(ob).queue.mq[0].bytes + B(ob).queue.mq[1].bytes);
}

static void show_readers(struct object *ob, FILE *f)
{
	fprintf(f, "%u\n", B(ob).queue.mq[0].readers + B(ob).queue.mq[1].readers);
}

static void show_writers(struct object *ob, FILE *f)
{
	fprintf(f, "%u\n", B(ob).queue.mq[0].writers + B(ob).queue.mq[1].writers);
}

/* ---- barrier, value, array ---- */

SHOW_NUMBER(parties, barrier.parties)
SHOW_NUMBER(broken, barrier.broken)

static void show_waiting(struct object *ob, FILE *f)
{
	fprintf(f, "%" PRIu64 "\n", ipc_size(&ob->o));
}

static int store_parties(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	struct ipc_call c = { .unique = unique };
	struct ipc_cmd cmd;
	int r = ipc_command(ob->o.ops, s, len, &cmd);

	if (r == 0 && cmd.verb != CMD_PARTIES)
		r = -EINVAL;
	return r < 0 ? r : ipc_give(&ob->o, &c, &cmd);
}

static void show_code(uint32_t code, FILE *f)
{
	if (code)
		fprintf(f, "%c\n", (int)code);
	else
		fprintf(f, "text\n");
}

static void show_value_typecode(struct object *ob, FILE *f)
{
	show_code(B(ob).value.typecode, f);
}

static void show_array_typecode(struct object *ob, FILE *f)
{
	show_code(B(ob).array.typecode, f);
}

static int store_value_typecode(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	if (len == 4 && !memcmp(s, "text", 4))
		return ipc_value_typecode(&ob->o, unique, 0);
	if (len != 1 || !number_size((uint32_t)*s))
		return -EINVAL;
	return ipc_value_typecode(&ob->o, unique, (uint32_t)*s);
}

static int store_array_typecode(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	if (len != 1 || !number_size((uint32_t)*s))
		return -EINVAL;
	ipc_setting32(&ob->o, &B(ob).array.typecode, (uint32_t)*s);
	return 0;
}

/* ---- commands ---- */

static int store_cancel(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	uint64_t pid = 0;

	if (!(len == 3 && !memcmp(s, "all", 3)) &&
	    (number_count(s, len, &pid) < 0 || !pid || pid > INT32_MAX))
		return -EINVAL;
	/* Who waits is known by thread; a pid means all threads of it. */
	if (pid)
		for (unsigned int i = 0; i < IPC_LINES; i++)
			LIST_EACH(&ob->o, &ob->o.h->lines[i], r) {
				struct ipc_waiter *w = waiter_at(&ob->o, r);

				if (!w->pid)
					w->pid = proc_pid(w->tid);
			}
	ipc_cancel(&ob->o, (uint32_t)pid);
	return 0;
}

static int store_done(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	uint64_t n = 1;
	int r = len ? number_count(s, len, &n) : 0;

	return r < 0 ? r : ipc_done(&ob->o, unique, n);
}

static int store_ack(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	uint64_t id;

	return number_count(s, len, &id) < 0 ? -EINVAL : ipc_ack(&ob->o, unique, id);
}

static int store_nack(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	uint64_t id;

	return number_count(s, len, &id) < 0 ? -EINVAL : ipc_nack(&ob->o, unique, id);
}

static int dead_letters(struct object *ob, const char *s, size_t len, uint64_t unique,
			int (*fn)(struct ipc_obj *o, uint64_t unique, uint64_t id, bool all))
{
	bool all = len == 3 && !memcmp(s, "all", 3);
	uint64_t id = 0;

	if (!all && number_count(s, len, &id) < 0)
		return -EINVAL;
	return fn(&ob->o, unique, id, all);
}

static int store_revive(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	return dead_letters(ob, s, len, unique, ipc_revive);
}

static int store_discard(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	return dead_letters(ob, s, len, unique, ipc_discard);
}

/* ---- the mount's own ---- */

static void show_version(FILE *f)
{
	fprintf(f, "%s\n", IPCFS_VERSION);
}

#define LIMIT(name, field, parse, least, most)					\
	static void show_limit_##name(FILE *f)					\
	{									\
		fprintf(f, "%" PRIu64 "\n", mount_body()->field);		\
	}									\
	static int store_limit_##name(const char *s, size_t len)		\
	{									\
		char text[32];							\
		uint64_t n;							\
		if (len >= sizeof(text))					\
			return -EINVAL;						\
		memcpy(text, s, len);						\
		text[len] = 0;							\
		if (parse(text, &n) < 0)					\
			return -EINVAL;						\
		if (n < (least) || n > (most))					\
			return -ERANGE;						\
		ipc_setting64(&fs.mount, &mount_body()->field, n);		\
		memory_limit_changed();						\
		return 0;							\
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

/* ---- the table ---- */

#define FACT(n, t, fn)		{ .name = n, .types = t, .access = CTL_FACT, .in_status = true, .show = fn }
/* Made of words too, or of what needs no lock. */
#define SEEN(n, t, fn)		{ .name = n, .types = t, .access = CTL_FACT, .unlocked = true, .show = fn }
#define LIST(n, t, fn)		{ .name = n, .types = t, .access = CTL_FACT, .show = fn }
#define SETTING(n, t, fn, st)	{ .name = n, .types = t, .access = CTL_SETTING, .in_status = true, \
				  .show = fn, .store = st }
#define COMMAND(n, t, st)	{ .name = n, .types = t, .access = CTL_COMMAND, .store = st }
#define TAKES(n, t, k)		{ .name = n, .types = t, .access = CTL_FACT, .kind = k, .unlisted = true }

/* The index is part of the inode number: add at the end. */
const struct ctl_file ctl_files[] = {
	FACT("type", ANY, show_type),
	SEEN("status", ANY, show_status),
	SEEN("waiters", ANY, show_waiters),
	SEEN("holders", ANY, show_holders),
	{ .name = "cancel", .types = ANY, .access = CTL_OWNER, .store = store_cancel },
	{ .name = "shm", .types = ANY, .access = CTL_LINK, .unlisted = true },

	SETTING("maxsize", QUEUE, show_maxsize, store_maxsize),
	SETTING("maxbytes", QUEUE | PIPE, show_maxbytes, store_maxbytes),
	SETTING("framing", QUEUE | PIPE, show_framing, store_framing),
	SETTING("closed", QUEUE, show_closed, store_closed),
	FACT("size", QUEUE, show_size),
	FACT("bytes", QUEUE | PIPE, show_bytes),
	FACT("unfinished", QUEUE, show_unfinished),
	COMMAND("done", QUEUE, store_done),
	TAKES("join", QUEUE, HANDLE_JOIN),
	LIST("peek", QUEUE | PIPE, show_look),
	TAKES("drain", QUEUE, HANDLE_DRAIN),
	TAKES("stream", QUEUE, HANDLE_STREAM),
	TAKES("lease", QUEUE, HANDLE_LEASE),
	COMMAND("ack", QUEUE, store_ack),
	COMMAND("nack", QUEUE, store_nack),
	LIST("leased", QUEUE, show_leased),
	SETTING("max_attempts", QUEUE, show_max_attempts, store_max_attempts),
	LIST("dead", QUEUE, show_dead),
	COMMAND("revive", QUEUE, store_revive),
	COMMAND("discard", QUEUE, store_discard),

	FACT("readers", PIPE, show_readers),
	FACT("writers", PIPE, show_writers),

	FACT("value", SEMS, show_sem_value),
	SETTING("bound", BIT(IPC_SEM), show_bound, store_bound),
	FACT("bound", BIT(IPC_LOCK) | BIT(IPC_RLOCK), show_bound),
	SETTING("undo", SEMS, show_undo, store_undo),
	SETTING("scope", SEMS, show_scope, store_scope),
	FACT("value", BIT(IPC_EVENT), show_event_value),

	SETTING("parties", BIT(IPC_BARRIER), show_parties, store_parties),
	FACT("waiting", BIT(IPC_BARRIER), show_waiting),
	FACT("broken", BIT(IPC_BARRIER), show_broken),
	SETTING("lock", BIT(IPC_COND) | BIT(IPC_VALUE) | BIT(IPC_ARRAY), show_lock, store_lock),
	SETTING("typecode", BIT(IPC_VALUE), show_value_typecode, store_value_typecode),
	TAKES("changed", BIT(IPC_VALUE), HANDLE_CHANGED),
	SETTING("typecode", BIT(IPC_ARRAY), show_array_typecode, store_array_typecode),
	SETTING("length", BIT(IPC_ARRAY), show_length, store_length),
	{ .name = "items", .types = BIT(IPC_ARRAY), .access = CTL_DATA, .unlocked = true,
	  .show = show_items, .store = store_items },
	{ .name = "data", .types = BIT(IPC_ARRAY), .access = CTL_LINK, .unlisted = true },

	{ .name = "status", .types = CTL_ROOT, .show_mount = show_mount_status },
	{ .name = "version", .types = CTL_ROOT, .show_mount = show_version },
	{ .name = "waiters", .types = CTL_ROOT, .access = CTL_PRIVATE,
	  .show_mount = show_mount_waiters },
	{ .name = "holders", .types = CTL_ROOT, .access = CTL_PRIVATE,
	  .show_mount = show_mount_holders },
	{ .name = "deadlocks", .types = CTL_ROOT, .access = CTL_PRIVATE,
	  .show_mount = show_deadlocks },
	{ .name = "limits", .types = CTL_ROOT, .access = CTL_DIRECTORY },
	{ .name = "memory", .types = CTL_LIMITS, .access = CTL_SETTING,
	  .show_mount = show_limit_memory, .store_mount = store_limit_memory },
	{ .name = "objects", .types = CTL_LIMITS, .access = CTL_SETTING,
	  .show_mount = show_limit_objects, .store_mount = store_limit_objects },
	{ .name = "message", .types = CTL_LIMITS, .access = CTL_SETTING,
	  .show_mount = show_limit_message, .store_mount = store_limit_message },
	SETTING("take", ANY, show_take, store_take),
	SETTING("jobserver", BIT(IPC_SEM), show_jobserver, store_jobserver),
};
const unsigned int ctl_count = sizeof(ctl_files) / sizeof(ctl_files[0]);
