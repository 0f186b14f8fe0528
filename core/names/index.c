/* SPDX-License-Identifier: MIT */
/*
 * The index: nodes by id, and by directory and name.
 *
 * A hash table that grows by one bucket when a node is added (linear hashing), so that no request
 * ever waits for a table to be rebuilt. There are as many buckets as nodes. As many bits of a hash
 * count as the number of buckets has; if there is no such bucket yet, one bit fewer. A new bucket n
 * takes over the nodes that belong to it from the bucket whose number is n without its highest bit.
 *
 * The buckets are in pages, and mount.index lists the pages. When its block is full, it is replaced
 * by one of twice the size. The largest has room for 8 million buckets; with more names than that,
 * chains become longer, and that is all.
 *
 * Each mount file has its own key for the hash (SipHash-1-3), so nobody can choose names that all
 * end up in one bucket. A chain longer than CHAIN_MOST means that the file is damaged, so every
 * walk ends.
 */
#include "file/heap.h"
#include "names/index.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

#define PAGES_LEAST 8u
#define PAGES_MOST  16384u /* the largest block of the heap */
#define SHRINK_MOST 4u     /* buckets fewer when there is one node fewer */

void index_init(struct ipc_mount *b)
{
	struct timespec ts;

	if (getrandom(b->key, sizeof(b->key), GRND_NONBLOCK) == sizeof(b->key))
		return;
	clock_gettime(CLOCK_REALTIME, &ts); /* early at boot: harder to guess than nothing */
	b->key[0] = (uint64_t)ts.tv_nsec << 32 ^ (uint64_t)ts.tv_sec;
	b->key[1] = (uint64_t)(uintptr_t)&ts ^ b->key[0] * 0x9e3779b97f4a7c15u;
}

/* ---- the hash ---- */

static inline uint64_t turned(uint64_t v, int bits)
{
	return v << bits | v >> (64 - bits);
}

static inline void mix(uint64_t *v)
{
	v[0] += v[1];
	v[1] = turned(v[1], 13) ^ v[0];
	v[0] = turned(v[0], 32);
	v[2] += v[3];
	v[3] = turned(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = turned(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = turned(v[1], 17) ^ v[2];
	v[2] = turned(v[2], 32);
}

static inline void feed(uint64_t *v, uint64_t word)
{
	v[3] ^= word;
	mix(v);
	v[0] ^= word;
}

/* Of a number and some bytes. */
static uint64_t hash(const uint64_t *key, uint64_t number, const char *data, size_t len)
{
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
			  key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u };
	uint64_t word = 0;
	size_t n = len;

	feed(v, number);
	for (; n >= 8; n -= 8, data += 8) {
		memcpy(&word, data, 8);
		feed(v, word);
	}
	word = 0;
	memcpy(&word, data, n);
	feed(v, word | (uint64_t)(len + 8) << 56);
	v[2] ^= 0xff;
	mix(v);
	mix(v);
	mix(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t index_hash(struct ipc_obj *m, uint64_t number)
{
	return hash(MOUNT(m)->key, number, "", 0);
}

static uint64_t hash_of(struct ipc_obj *m, ref_t r, enum ipc_chain chain)
{
	struct ipc_node *n = node_at(m, r);
	size_t len;
	const char *name;

	if (chain == CHAIN_ID)
		return index_hash(m, n->id);
	name = name_at(m, r, &len);
	return hash(MOUNT(m)->key, n->parent, name, len);
}

/* ---- buckets ---- */

/* 2^k <= n < 2^(k+1): the first. */
static uint32_t power_below(uint32_t n)
{
	return 1u << (31 - __builtin_clz(n));
}

static uint32_t bucket_number(uint32_t buckets, uint64_t h)
{
	uint32_t p = power_below(buckets), n = (uint32_t)h & (2 * p - 1);

	return n < buckets ? n : n & (p - 1);
}

static ref_t *page_slot(struct ipc_obj *m, uint32_t bucket)
{
	uint32_t page = bucket / IPC_BUCKETS;

	if (page >= PAGES_MOST) {
		obj_damage(m, "more buckets than the index may have");
		page = 0;
	}
	return (ref_t *)at(m, MOUNT(m)->index, (page + 1) * sizeof(ref_t)) + page;
}

struct ipc_bucket *bucket_at(struct ipc_obj *m, uint32_t n)
{
	ref_t page = *page_slot(m, n);

	return (struct ipc_bucket *)at(m, page, IPC_PAGE) + n % IPC_BUCKETS;
}

uint32_t index_pages(struct ipc_obj *m)
{
	return MOUNT(m)->index ? (uint32_t)(heap_size(m, MOUNT(m)->index) / sizeof(ref_t)) : 0;
}

uint32_t index_bucket(struct ipc_obj *m, ref_t r, enum ipc_chain chain)
{
	return bucket_number(MOUNT(m)->buckets, hash_of(m, r, chain));
}

/* ---- chains ---- */

static bool too_long(struct ipc_obj *m, unsigned int n)
{
	if (n < CHAIN_MOST)
		return m->damage != NULL;
	obj_damage(m, "a chain of the index does not end");
	return true;
}

/* The first node of the bucket for this hash; 0. */
static ref_t chain_of(struct ipc_obj *m, uint64_t h, enum ipc_chain chain)
{
	uint32_t buckets = MOUNT(m)->buckets;

	return buckets ? bucket_at(m, bucket_number(buckets, h))->head[chain] : 0;
}

ref_t names_by_id(struct ipc_obj *m, uint64_t id)
{
	ref_t r = chain_of(m, index_hash(m, id), CHAIN_ID);

	for (unsigned int n = 0; r && !too_long(m, n); n++) {
		if (node_at(m, r)->id == id)
			return r;
		r = node_at(m, r)->same[CHAIN_ID];
	}
	return 0;
}

static bool is_called(struct ipc_obj *m, ref_t r, uint64_t parent, const char *name, size_t len)
{
	size_t its_len;
	const char *its = name_at(m, r, &its_len);

	return node_at(m, r)->parent == parent && its_len == len && !memcmp(its, name, len);
}

ref_t names_find(struct ipc_obj *m, uint64_t parent, const char *name, size_t len)
{
	ref_t r = chain_of(m, hash(MOUNT(m)->key, parent, name, len), CHAIN_NAME);

	for (unsigned int n = 0; r && !too_long(m, n); n++) {
		if (is_called(m, r, parent, name, len))
			return r;
		r = node_at(m, r)->same[CHAIN_NAME];
	}
	return 0;
}

void names_each(struct ipc_obj *m, bool (*fn)(void *arg, ref_t r), void *arg)
{
	for (uint32_t i = 0; i < MOUNT(m)->buckets; i++) {
		ref_t r = bucket_at(m, i)->head[CHAIN_ID];

		for (unsigned int n = 0; r && !too_long(m, n); n++) {
			if (!fn(arg, r))
				return;
			r = node_at(m, r)->same[CHAIN_ID];
		}
		if (m->damage)
			return;
	}
}

void index_insert(struct ipc_obj *m, ref_t r, enum ipc_chain chain)
{
	struct ipc_bucket *b = bucket_at(m, index_bucket(m, r, chain));

	set32(m, node_at(m, r)->same[chain], b->head[chain]);
	set32(m, b->head[chain], r);
}

void index_remove(struct ipc_obj *m, ref_t r, enum ipc_chain chain)
{
	ref_t *p = &bucket_at(m, index_bucket(m, r, chain))->head[chain];

	for (unsigned int n = 0; *p && !too_long(m, n); n++) {
		if (*p == r) {
			set32(m, *p, node_at(m, r)->same[chain]);
			return;
		}
		p = &node_at(m, *p)->same[chain];
	}
	obj_damage(m, "a node is not in the index");
}

/* ---- one bucket more, one less ---- */

/* Make room for one more page by doubling the table. The old one goes with the change. */
static int enlarge_table(struct ipc_obj *m, uint32_t pages)
{
	size_t old = pages * sizeof(ref_t), size = old ? 2 * old : PAGES_LEAST * sizeof(ref_t);
	ref_t r, was = MOUNT(m)->index;
	int e = names_alloc(m, &size, 1, false, &r);
	char *table;

	if (e < 0)
		return e;
	table = at(m, r, size);
	memset(table, 0, size);
	if (was) {
		memcpy(table, at(m, was, old), old);
		heap_free(m, was);
	}
	set32(m, MOUNT(m)->index, r);
	return names_commit(m);
}

/* A page for the next bucket. If a death leaves one behind, it is used the next time. */
static int add_page(struct ipc_obj *m, uint32_t bucket)
{
	const size_t size = IPC_PAGE;
	ref_t r;
	int e = names_alloc(m, &size, 1, false, &r);

	if (e < 0)
		return e;
	memset(at(m, r, size), 0, size);
	set32(m, *page_slot(m, bucket), r);
	return names_commit(m);
}

/* Those of bucket `from` that belong to the new one. */
static void split_chain(struct ipc_obj *m, uint32_t from, uint32_t to, enum ipc_chain chain)
{
	struct ipc_bucket *new = bucket_at(m, to);
	ref_t *p = &bucket_at(m, from)->head[chain];

	for (unsigned int n = 0; *p && !too_long(m, n); n++) {
		ref_t r = *p;
		struct ipc_node *node = node_at(m, r);

		if (bucket_number(to + 1, hash_of(m, r, chain)) != to) {
			p = &node->same[chain];
			continue;
		}
		set32(m, *p, node->same[chain]);
		set32(m, node->same[chain], new->head[chain]);
		set32(m, new->head[chain], r);
	}
}

int index_grow(struct ipc_obj *m)
{
	struct ipc_mount *b = MOUNT(m);
	uint32_t n = b->buckets, page = n / IPC_BUCKETS, pages = index_pages(m);
	int e = 0;

	if (n > b->nodes || page >= PAGES_MOST)
		return 0;
	if (page >= pages)
		e = enlarge_table(m, pages);
	if (e == 0 && n % IPC_BUCKETS == 0 && !*page_slot(m, n))
		e = add_page(m, n);
	if (e < 0)
		return e;
	for (enum ipc_chain chain = 0; n && chain < CHAINS; chain++)
		split_chain(m, n - power_below(n), n, chain);
	set32(m, b->buckets, n + 1);
	return names_commit(m);
}

/* The nodes of the last bucket go back to where they came from. */
static void merge_chain(struct ipc_obj *m, uint32_t from, uint32_t to, enum ipc_chain chain)
{
	struct ipc_bucket *last = bucket_at(m, from);
	ref_t *p = &bucket_at(m, to)->head[chain];

	if (!last->head[chain])
		return;
	for (unsigned int n = 0; *p && !too_long(m, n); n++)
		p = &node_at(m, *p)->same[chain];
	set32(m, *p, last->head[chain]);
	set32(m, last->head[chain], 0);
}

static void remove_bucket(struct ipc_obj *m)
{
	uint32_t n = MOUNT(m)->buckets - 1;

	for (enum ipc_chain chain = 0; chain < CHAINS; chain++)
		merge_chain(m, n, n - power_below(n), chain);
	set32(m, MOUNT(m)->buckets, n);
	if (n % IPC_BUCKETS == 0) {
		ref_t *slot = page_slot(m, n), page = *slot;

		set32(m, *slot, 0);
		heap_free(m, page);
	}
	names_commit(m);
}

void index_shrink(struct ipc_obj *m)
{
	struct ipc_mount *b = MOUNT(m);

	for (unsigned int n = 0; n < SHRINK_MOST && !m->damage; n++) {
		if (b->buckets < 2 || b->buckets / 4 <= b->nodes)
			return;
		remove_bucket(m);
	}
}
