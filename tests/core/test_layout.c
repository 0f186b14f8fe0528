/* SPDX-License-Identifier: MIT */
/*
 * Two builds whose files look different have different fingerprints, wherever the difference is.
 * (That no field is missing in the list is seen when it is compiled.)
 */
#include "env.h"
#include "format/layout.h"
#include "test.h"

#define MOST 512

static struct layout_fact changed[MOST];
static unsigned int n;
static uint32_t now;

static void copy(void)
{
	const struct layout_fact *f = layout_facts(&n);

	CHECK(n < MOST);
	memcpy(changed, f, n * sizeof(*f));
	now = layout_fingerprint();
	CHECK_INT(layout_hash(changed, n), now);
}

/* Of one struct: the name up to the dot. */
static bool same_struct(const char *a, const char *b)
{
	size_t len = strcspn(a, ".");

	return a[len] && !strncmp(a, b, len + 1);
}

static void must_differ(const char *what, unsigned int i)
{
	if (layout_hash(changed, n) == now)
		test_fail(__FILE__, __LINE__, "%s %s", changed[i].name, what);
}

TEST(layout_swapped_fields)
{
	copy();
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int k = i + 1; k < n && same_struct(changed[i].name, changed[k].name);
		     k++) {
			struct layout_fact a = changed[i], b = changed[k];

			if (a.size != b.size || a.offset == b.offset)
				continue;
			/* Changed places in the struct, and then in the list as well. */
			changed[i].offset = b.offset;
			changed[k].offset = a.offset;
			must_differ("and another field swapped", i);
			changed[i].name = b.name;
			changed[k].name = a.name;
			changed[i].offset = a.offset;
			changed[k].offset = b.offset;
			must_differ("and another field swapped, in the list too", i);
			changed[i] = a;
			changed[k] = b;
		}
}

TEST(layout_grown_field)
{
	for (unsigned int i = 0; copy(), i < n; i++) {
		changed[i].size += 4;
		must_differ("has grown", i);
		changed[i].size -= 8;
		must_differ("has shrunk", i);
		copy();
		changed[i].offset += 4;
		must_differ("has moved", i);
	}
}

/* A field for another: grown by what its neighbour lost. */
TEST(layout_border_moved)
{
	copy();
	for (unsigned int i = 0; i + 1 < n; i++) {
		if (!same_struct(changed[i].name, changed[i + 1].name) || changed[i + 1].size < 4)
			continue;
		changed[i].size += 4;
		changed[i + 1].offset += 4;
		changed[i + 1].size -= 4;
		must_differ("took some of the next one", i);
		copy();
	}
}

TEST(layout_more_or_fewer_fields)
{
	copy();
	CHECK(layout_hash(changed, n - 1) != now);
	for (unsigned int i = 0; i < n; i++) {
		copy();
		memmove(changed + i, changed + i + 1, (n - i - 1) * sizeof(*changed));
		CHECK(layout_hash(changed, n - 1) != now);
	}
}
