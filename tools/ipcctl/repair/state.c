// SPDX-License-Identifier: MIT
#include "repair/state.h"

#include <fcntl.h>
#include <string.h>

/* A value's text is at most 4096 bytes and a newline. */
#define VALUE_LIMIT	8192

static char *count(uint64_t n, const char *one)
{
	return str("%llu %s%s", (unsigned long long)n, one, n == 1 ? "" : "s");
}

static bool is_set(const struct facts *f, const char *key)
{
	const char *value = facts_get(f, key);

	return value && *value && strcmp(value, "0") && strcmp(value, "no");
}

static char *queue_text(uint64_t size, const struct facts *f)
{
	char *text CLEANUP(free_string) = size ? count(size, "message") : xstrdup("empty");
	uint64_t maxsize = facts_number(f, "maxsize");

	return str("%s%s%s", text, maxsize && size >= maxsize ? ", full" : "",
		   is_set(f, "closed") ? ", closed" : "");
}

static char *sem_text(uint64_t size, const struct facts *f)
{
	uint64_t bound = facts_number(f, "bound");

	if (!bound)
		return str("%llu free", (unsigned long long)size);
	return str("%llu of %llu free", (unsigned long long)size, (unsigned long long)bound);
}

static char *barrier_text(uint64_t size, const struct facts *f)
{
	uint64_t parties = facts_number(f, "parties");

	if (is_set(f, "broken"))
		return xstrdup("broken");
	if (!parties)
		return str("%llu waiting, no parties", (unsigned long long)size);
	return str("%llu of %llu waiting", (unsigned long long)size, (unsigned long long)parties);
}

/* The text itself: an O_NOFOLLOW handle only looks. */
static char *value_text(int dirfd, const char *name, uint64_t size)
{
	struct buf b CLEANUP(buf_free) = { .data = NULL };

	if (read_file_at(dirfd, name, O_NOFOLLOW, VALUE_LIMIT, &b) < 0)
		return count(size, "byte");	/* not ours to read; its size is */
	if (b.len && b.data[b.len - 1] == '\n')
		b.data[--b.len] = '\0';
	return b.len ? buf_steal(&b) : xstrdup("empty");
}

static char *array_text(uint64_t size, const struct facts *f)
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

char *state_text(int dirfd, const char *name, enum type type, const struct stat *st,
		 const struct facts *facts)
{
	uint64_t size = st->st_size;

	if (!facts)
		return xstrdup("damaged");
	if (facts_get(facts, "stalled"))
		return str("stalled: %s", facts_get(facts, "stalled"));
	if (S_ISDIR(st->st_mode))
		return two_way_text(dirfd, name);
	switch (type) {
	case TYPE_QUEUE:
		return queue_text(size, facts);
	case TYPE_PIPE:
		return size ? count(size, "byte") : xstrdup("empty");
	case TYPE_EVENT:
		return xstrdup(size ? "set" : "clear");
	case TYPE_SEM:
		return sem_text(size, facts);
	case TYPE_LOCK:
	case TYPE_RLOCK:
		return xstrdup(size ? "free" : "held");
	case TYPE_COND:
		return str("%llu waiting", (unsigned long long)size);
	case TYPE_BARRIER:
		return barrier_text(size, facts);
	case TYPE_VALUE:
		return value_text(dirfd, name, size);
	case TYPE_ARRAY:
		return array_text(size, facts);
	default:
		return xstrdup("");
	}
}
