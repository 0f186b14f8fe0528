// SPDX-License-Identifier: MIT
#include "repair/state.h"

#include <fcntl.h>
#include <string.h>

/* A value's text is at most 4096 bytes and a newline. */
#define VALUE_LIMIT 8192

static char *count(uint64_t n, const char *one)
{
	return str("%llu %s%s", (unsigned long long)n, one, n == 1 ? "" : "s");
}

static bool is_set(const struct facts *f, const char *key)
{
	const char *value = facts_get(f, key);

	return value && *value && strcmp(value, "0") && strcmp(value, "no");
}

static char *queue_text(int dirfd, const char *name, uint64_t size, const struct facts *f)
{
	char *text CLEANUP(free_string) = size ? count(size, "message") : xstrdup("empty");
	uint64_t maxsize = facts_number(f, "maxsize");

	return str("%s%s%s", text, maxsize && size >= maxsize ? ", full" : "",
		   is_set(f, "closed") ? ", closed" : "");
}

static char *sem_text(int dirfd, const char *name, uint64_t size, const struct facts *f)
{
	uint64_t bound = facts_number(f, "bound");

	if (!bound)
		return str("%llu free", (unsigned long long)size);
	return str("%llu of %llu free", (unsigned long long)size, (unsigned long long)bound);
}

static char *barrier_text(int dirfd, const char *name, uint64_t size, const struct facts *f)
{
	uint64_t parties = facts_number(f, "parties");

	if (is_set(f, "broken"))
		return xstrdup("broken");
	if (!parties)
		return str("%llu waiting, no parties", (unsigned long long)size);
	return str("%llu of %llu waiting", (unsigned long long)size, (unsigned long long)parties);
}

/* The text itself: an O_NOFOLLOW handle only looks. */
static char *value_text(int dirfd, const char *name, uint64_t size, const struct facts *f)
{
	struct buf b CLEANUP(buf_free) = { .data = NULL };

	if (read_file_at(dirfd, name, O_NOFOLLOW, VALUE_LIMIT, &b) < 0)
		return count(size, "byte"); /* not ours to read; its size is */
	if (b.len && b.data[b.len - 1] == '\n')
		b.data[--b.len] = '\0';
	return b.len ? buf_steal(&b) : xstrdup("empty");
}

static char *array_text(int dirfd, const char *name, uint64_t size, const struct facts *f)
{
	const char *typecode = facts_get(f, "typecode");
	char *bytes CLEANUP(free_string) = format_bytes(size);
	char *items CLEANUP(free_string) = NULL;

	if (!facts_get(f, "length") || !typecode)
		return xstrdup(bytes);
	items = count(facts_number(f, "length"), "item");
	return str("%s of %s, %s", items, typecode, bytes);
}

static char *two_way_text(int dirfd, const char *name)
{
	char *text[2];
	char *both;

	for (int i = 0; i < 2; i++) {
		char *end CLEANUP(free_string) = str("%s/%c", name, 'a' + i);
		struct stat st;

		if (fstatat(dirfd, end, &st, AT_SYMLINK_NOFOLLOW) < 0)
			text[i] = xstrdup("?");
		else
			text[i] = format_bytes(st.st_size);
	}
	both = str("two-way, a %s, b %s", text[0], text[1]);
	free(text[0]);
	free(text[1]);
	return both;
}

static char *pipe_text(int dirfd, const char *name, uint64_t size, const struct facts *f)
{
	return size ? count(size, "byte") : xstrdup("empty");
}

static char *event_text(int dirfd, const char *name, uint64_t size, const struct facts *f)
{
	return xstrdup(size ? "set" : "clear");
}

static char *lock_text(int dirfd, const char *name, uint64_t size, const struct facts *f)
{
	return xstrdup(size ? "free" : "held");
}

static char *cond_text(int dirfd, const char *name, uint64_t size, const struct facts *f)
{
	return str("%llu waiting", (unsigned long long)size);
}

static const struct {
	const struct ipc_type *type;
	char *(*text)(int dirfd, const char *name, uint64_t size, const struct facts *f);
} texts[] = {
	{ &ipc_queue_type, queue_text }, { &ipc_pipe_type, pipe_text },
	{ &ipc_event_type, event_text }, { &ipc_sem_type, sem_text },
	{ &ipc_lock_type, lock_text },   { &ipc_rlock_type, lock_text },
	{ &ipc_cond_type, cond_text },   { &ipc_barrier_type, barrier_text },
	{ &ipc_value_type, value_text }, { &ipc_array_type, array_text },
};

char *state_text(int dirfd, const char *name, const struct ipc_type *type, const struct stat *st,
		 const struct facts *facts)
{
	uint64_t size = (uint64_t)st->st_size;

	if (!facts)
		return xstrdup("damaged");
	if (facts_get(facts, "stalled"))
		return str("stalled: %s", facts_get(facts, "stalled"));
	if (S_ISDIR(st->st_mode))
		return two_way_text(dirfd, name);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].type == type)
			return texts[i].text(dirfd, name, size, facts);
	return str("%llu", (unsigned long long)size);
}
