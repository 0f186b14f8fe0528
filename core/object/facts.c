/* SPDX-License-Identifier: MIT */
/* See facts.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "object/facts.h"
#include "object/type.h"

uint64_t facts_count(const struct ipc_facts *f, const char *key)
{
	const char *value = f->get(f, key);

	return value ? strtoull(value, NULL, 10) : 0;
}

bool facts_hold(const struct ipc_facts *f, const char *key)
{
	const char *value = f->get(f, key);

	return value && *value && strcmp(value, "0") && strcmp(value, "no");
}

int words_amount(uint64_t n, const char *one, char *ret, size_t size)
{
	return n ? snprintf(ret, size, "%" PRIu64 " %s%s", n, one, n == 1 ? "" : "s") :
		   snprintf(ret, size, "empty");
}

int ipc_words(const struct ipc_type *type, const struct ipc_facts *f, char *ret, size_t size)
{
	return type->words ? type->words(f, ret, size) : snprintf(ret, size, "%" PRIu64, f->size);
}
