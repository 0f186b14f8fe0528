/* SPDX-License-Identifier: MIT */
/* The .ctl files of queues and pipes. */
#include "ctl/rows.h"
#include "object/number.h"
#include "object/text.h"
#include "state/object.h"

SHOW_NUMBER(maxsize, queue.maxsize)
SHOW_NUMBER(maxbytes, queue.maxbytes)
SHOW_NUMBER(closed, queue.closed)
SHOW_NUMBER(size, queue.mq[0].count)
SHOW_NUMBER(unfinished, queue.unfinished)
SHOW_NUMBER(max_attempts, queue.max_attempts)
SHOW_NUMBER(delayed, queue.delayed.count)

static void show_ttr(struct object *ob, FILE *f)
{
	char text[NUMBER_TEXT_MAX];

	number_print_seconds(B(ob).queue.ttr, text);
	fprintf(f, "%s\n", text);
}

static int store_ttr(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	int64_t ns;
	int r = number_seconds(s, len, &ns);

	if (r == 0)
		ipc_setting64(&ob->o, &B(ob).queue.ttr, (uint64_t)ns);
	return r;
}

static int store_maxsize(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	return ctl_store_number(ob, &B(ob).queue.maxsize, s, len);
}

static int store_maxbytes(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	return ctl_store_number(ob, &B(ob).queue.maxbytes, s, len);
}

static int store_max_attempts(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	return ctl_store_number(ob, &B(ob).queue.max_attempts, s, len);
}

static int store_closed(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	return ctl_store_flag(ob, &B(ob).queue.closed, s, len);
}

static const char *const framings[] = {
	[FRAMING_LINE] = "line",
	[FRAMING_RECORD] = "record",
	[FRAMING_BYTES] = "bytes",
};

static void show_framing(struct object *ob, FILE *f)
{
	fprintf(f, "%s\n", framings[B(ob).queue.framing % 3]);
}

/* All but one, which this type does not have. */
static int set_framing(struct object *ob, const char *s, size_t len, int barred)
{
	int r = ctl_word(s, len, framings, 3);

	if (r == barred)
		r = -EINVAL;
	if (r >= 0)
		ipc_setting32(&ob->o, &B(ob).queue.framing, (uint32_t)r);
	return r < 0 ? r : 0;
}

static int store_queue_framing(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	return set_framing(ob, s, len, FRAMING_BYTES);
}

static int store_pipe_framing(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	return set_framing(ob, s, len, FRAMING_LINE);
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

/* ID, or ID SECONDS */
static int store_nack(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	size_t n = text_word(s, len);
	int64_t delay = 0;
	uint64_t id;

	if (number_count(s, n, &id) < 0)
		return -EINVAL;
	s += n;
	len -= n;
	text_trim(&s, &len);
	if (len && number_seconds(s, len, &delay) < 0)
		return -EINVAL;
	return ipc_nack(&ob->o, unique, id, delay);
}

static int store_touch(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	uint64_t id;

	return number_count(s, len, &id) < 0 ? -EINVAL : ipc_touch(&ob->o, unique, id);
}

static int store_remove(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	uint64_t id;

	return number_count(s, len, &id) < 0 ? -EINVAL : ipc_remove(&ob->o, unique, id);
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

const struct ctl_file ctl_queue[] = {
	CTL_COMMON,
	SETTING(6, "maxsize", show_maxsize, store_maxsize),
	SETTING(7, "maxbytes", show_maxbytes, store_maxbytes),
	SETTING(8, "framing", show_framing, store_queue_framing),
	SETTING(9, "closed", show_closed, store_closed),
	FACT(10, "size", show_size),
	FACT(11, "bytes", show_bytes),
	FACT(12, "unfinished", show_unfinished),
	COMMAND(13, "done", store_done),
	TAKES(14, "join", HANDLE_JOIN),
	LIST(15, "peek", show_look),
	TAKES(16, "drain", HANDLE_DRAIN),
	TAKES(17, "stream", HANDLE_STREAM),
	TAKES(18, "lease", HANDLE_LEASE),
	COMMAND(19, "ack", store_ack),
	COMMAND(20, "nack", store_nack),
	LIST(21, "leased", show_leased),
	SETTING(22, "max_attempts", show_max_attempts, store_max_attempts),
	LIST(23, "dead", show_dead),
	COMMAND(24, "revive", store_revive),
	COMMAND(25, "discard", store_discard),
	SETTING(70, "ttr", show_ttr, store_ttr),
	COMMAND(71, "touch", store_touch),
	FACT(72, "delayed", show_delayed),
	LIST(73, "list", show_list),
	COMMAND(74, "remove", store_remove),
	PUTS(75, "front", HANDLE_FRONT),
	PUTS(76, "later", HANDLE_LATER),
	TAKES(91, "finished", HANDLE_CHANGED),
	CTL_TAKE,
	CTL_END,
};

const struct ctl_file ctl_pipe[] = {
	CTL_COMMON,
	SETTING(7, "maxbytes", show_maxbytes, store_maxbytes),
	SETTING(8, "framing", show_framing, store_pipe_framing),
	FACT(11, "bytes", show_bytes),
	LIST(15, "peek", show_look),
	FACT(26, "readers", show_readers),
	FACT(27, "writers", show_writers),
	CTL_TAKE,
	CTL_END,
};
