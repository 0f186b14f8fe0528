// SPDX-License-Identifier: MIT
#include "state.h"

#include <fcntl.h>
#include <string.h>

#include "object/facts.h"

#define TEXT_LIMIT 8192 /* a text is at most IPC_VALUE_MAX bytes and a newline */

struct known {
	struct ipc_facts facts;
	const struct facts *status;
};

static const char *get(const struct ipc_facts *f, const char *key)
{
	return facts_get(((const struct known *)f)->status, key);
}

/* The text itself: an O_NOFOLLOW handle only looks. NULL: it is not ours to read. */
static char *read_text(int dirfd, const char *name)
{
	struct buf b CLEANUP(buf_free) = { .data = NULL };

	if (read_file_at(dirfd, name, O_NOFOLLOW, TEXT_LIMIT, &b) < 0)
		return NULL;
	if (b.len && b.data[b.len - 1] == '\n')
		b.data[--b.len] = '\0';
	return b.len ? buf_steal(&b) : xstrdup("empty");
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

char *state_text(int dirfd, const char *name, const struct ipc_type *type, const struct stat *st,
		 const struct facts *facts)
{
	struct known known = { { (uint64_t)st->st_size, get }, facts };
	char *bytes CLEANUP(free_string) = NULL;
	char words[128];
	char *text;

	if (!facts)
		return xstrdup("damaged");
	if (facts_get(facts, "stalled"))
		return str("stalled: %s", facts_get(facts, "stalled"));
	if (S_ISDIR(st->st_mode))
		return two_way_text(dirfd, name);
	if (type->traits & TYPE_TEXT && (text = read_text(dirfd, name)))
		return text;
	ipc_words(type, &known.facts, words, sizeof(words));
	if (!(type->traits & TYPE_MEMORY))
		return xstrdup(words);
	bytes = format_bytes(known.facts.size);
	return str("%s%s%s", words, *words ? ", " : "", bytes);
}
