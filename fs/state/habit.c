/* SPDX-License-Identifier: MIT */
/*
 * Will a lookup be followed by an open for writing? If so, LOOKUP returns an alias at once
 * (alias.c).
 *
 * This is guessed from recent history, like a branch predictor. If the guess is wrong, the kernel
 * asks once or twice more; nothing else depends on it.
 */
#include "state/alias.h"

#define HABITS    (1u << 12)
#define HEAT_MOST 4

struct habit {
	uint64_t base;
	uint32_t looker; /* got an alias, and has not opened it yet */
	uint8_t heat;
	bool looked;
};

static struct habit habits[HABITS];

static struct habit *habit_of(uint64_t base)
{
	struct habit *h = &habits[base * 0x9e3779b97f4a7c15ull >> (64 - 12)];

	if (h->base != base)
		*h = (struct habit){ .base = base };
	return h;
}

bool habit_looked(uint64_t base, uint32_t tid)
{
	struct habit *h = habit_of(base);

	if (h->looked && h->looker != tid && h->heat)
		h->heat--;
	h->looked = h->heat != 0;
	h->looker = tid;
	return h->looked;
}

void habit_opened(uint64_t base, uint32_t tid, bool write)
{
	struct habit *h = habit_of(base);

	if (h->looker == tid)
		h->looked = false;
	if (write)
		h->heat = h->heat > HEAT_MOST - 2 ? HEAT_MOST : (uint8_t)(h->heat + 2);
}
