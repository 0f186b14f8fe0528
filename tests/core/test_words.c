/* SPDX-License-Identifier: MIT */
/* What each type says of its size, from what is known outside. */
#include <string.h>

#include "object/facts.h"
#include "object/type.h"
#include "test.h"

struct known {
	struct ipc_facts facts;
	const char *const *pairs; /* key, value, …, NULL */
};

static const char *known_get(const struct ipc_facts *f, const char *key)
{
	for (const char *const *p = ((const struct known *)f)->pairs; *p; p += 2)
		if (!strcmp(p[0], key))
			return p[1];
	return NULL;
}

/* line: the words that are expected, then the pairs. */
static void says(const char *name, uint64_t size, const char *const *line)
{
	struct known known = { { size, known_get }, line + 1 };
	char words[64];
	int n = ipc_words(ipc_type_by_name(name, strlen(name)), &known.facts, words, sizeof(words));

	CHECK_STR(words, line[0]);
	CHECK_INT(n, (int)strlen(line[0]));
}

#define SAYS(suffix, size, ...) says("a" suffix, size, (const char *const[]){ __VA_ARGS__, NULL })

TEST(words_of_streams)
{
	SAYS(".queue", 0, "empty");
	SAYS(".queue", 1, "1 message");
	SAYS(".queue", 3, "3 messages", "maxsize", "4", "closed", "0");
	SAYS(".queue", 4, "4 messages, full", "maxsize", "4");
	SAYS(".queue", 5, "5 messages, full, closed", "maxsize", "4", "closed", "1");
	SAYS(".queue", 0, "empty, closed", "maxsize", "0", "closed", "1");
	SAYS(".pipe", 0, "empty");
	SAYS(".pipe", 1, "1 byte");
	SAYS(".pipe", UINT64_MAX, "18446744073709551615 bytes");
}

TEST(words_of_locks)
{
	SAYS(".sem", 0, "0 free");
	SAYS(".sem", 2, "2 free", "bound", "0");
	SAYS(".sem", 2, "2 of 4 free", "bound", "4");
	SAYS(".lock", 0, "held");
	SAYS(".lock", 1, "free");
	SAYS(".rlock", 0, "held");
	SAYS(".rlock", 1, "free");
}

TEST(words_of_meetings)
{
	SAYS(".event", 0, "clear");
	SAYS(".event", 1, "set");
	SAYS(".cond", 2, "2 waiting");
	SAYS(".barrier", 1, "1 waiting, no parties");
	SAYS(".barrier", 1, "1 of 3 waiting", "parties", "3", "broken", "0");
	SAYS(".barrier", 0, "broken", "parties", "3", "broken", "1");
}

TEST(words_of_data)
{
	SAYS(".value", 0, "empty");
	SAYS(".value", 7, "7 bytes");
	SAYS(".array", 24, ""); /* its bytes say as much */
	SAYS(".array", 24, "", "length", "3");
	SAYS(".array", 24, "3 items of d", "typecode", "d", "length", "3");
	SAYS(".array", 8, "1 item of d", "typecode", "d", "length", "1");
}
