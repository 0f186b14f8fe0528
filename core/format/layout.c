/* SPDX-License-Identifier: MIT */
/* The fingerprint of the layout: see layout.h. */
#include "format/layout.h"

#define SIZE(s, f) +sizeof(((struct s *)0)->f)
#define NOTHING(s, f)

#define COMPLETE(s)                                                                \
	static_assert(sizeof(struct s) == 0 LAYOUT_##s(s, SIZE, NOTHING, NOTHING), \
		      "a field of struct " #s                                      \
		      " is not in layout.h, or there is padding without one");
LAYOUT_STRUCTS(COMPLETE)

#define FACT(s, f) { #s "." #f, offsetof(struct s, f), sizeof(((struct s *)0)->f) },
#define END(s, f)  { #s "." #f, offsetof(struct s, f), 0 },
#define FACTS(s)   { #s, 0, sizeof(struct s) }, LAYOUT_##s(s, FACT, FACT, END)
#define NUMBER(n)  { #n, 0, n },

static const struct layout_fact facts[] = { LAYOUT_STRUCTS(FACTS) NUMBER(IPC_UNIT)
						    NUMBER(IPC_SEGMENT) };

const struct layout_fact *layout_facts(unsigned int *ret_n)
{
	*ret_n = sizeof(facts) / sizeof(facts[0]);
	return facts;
}

/* FNV-1a */
static uint32_t add(uint32_t hash, const void *data, size_t len)
{
	const unsigned char *p = data;

	while (len--)
		hash = (hash ^ *p++) * 16777619u;
	return hash;
}

uint32_t layout_hash(const struct layout_fact *f, unsigned int n)
{
	uint32_t hash = 2166136261u;

	for (; n--; f++) {
		hash = add(hash, f->name, __builtin_strlen(f->name) + 1);
		hash = add(hash, &f->offset, sizeof(f->offset));
		hash = add(hash, &f->size, sizeof(f->size));
	}
	return hash;
}

uint32_t layout_fingerprint(void)
{
	static uint32_t known;
	uint32_t now = __atomic_load_n(&known, __ATOMIC_RELAXED);
	unsigned int n;

	if (!now) {
		now = layout_hash(layout_facts(&n), sizeof(facts) / sizeof(facts[0]));
		__atomic_store_n(&known, now, __ATOMIC_RELAXED);
	}
	return now;
}
