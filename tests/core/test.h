/* SPDX-License-Identifier: MIT */
/*
 * What the core tests stand on, beside ../kit/runner.h. Objects come from obj_new() and live in a
 * fresh folder of shared memory; after each test every one of them is checked (ipc_check) and taken
 * away.
 *
 * Text is the language of the tests: get(), finish() and the like give what a reader would see, or
 * "!EAGAIN" for an error, so that one CHECK_STR says all.
 */
#ifndef TEST_H
#define TEST_H

#include "file/heap.h"
#include "object/type.h"
#include "runner.h"

/* ---- the process's side of the engine ---- */

struct test_env {
	struct ipc_env env;  /* first: account() and damaged() get its address */
	int64_t used;        /* what all files take, as accounted */
	int64_t limit;       /* 0: none */
	long calls, fail_at; /* requests for memory; the one that is refused */
	const char *damage;  /* why the last object was given up */
};

extern struct test_env env;

/* A new object, mapped and locked. */
struct ipc_obj *obj_new(uint32_t type);
struct ipc_obj *obj_new_reserve(uint32_t type, uint64_t reserve);
/* Another mapping of the same file, not locked. */
struct ipc_obj *obj_again(const struct ipc_obj *o);
/* Check it now; it does not return if something is wrong. */
void obj_ok(struct ipc_obj *o, const char *when);
/* Everything that counts in it as text, without addresses and times; free() it. */
char *obj_dump(struct ipc_obj *o);
/* Use up all memory that the heap has, and give it back. */
void heap_fill(struct ipc_obj *o);
void heap_unfill(struct ipc_obj *o);

/* ---- operations ---- */

#define R  0 /* open(2)'s modes */
#define W  1
#define RW 2

ref_t h_new(struct ipc_obj *o, uint32_t kind, uint32_t oflags, uint32_t flags);
static inline ref_t h_open(struct ipc_obj *o) /* a stream */
{
	return h_new(o, HANDLE_OBJECT, RW, 0);
}

struct ipc_call call_new(ref_t h, uint32_t op);
extern int (*call_grow)(struct ipc_call *c); /* of each of them; NULL: in place */
const char *error_text(int64_t r);           /* "!EAGAIN", or the number */

int64_t put(struct ipc_obj *o, ref_t h, const char *text); /* or -EAGAIN */
int64_t put_bytes(struct ipc_obj *o, ref_t h, const void *data, size_t len);
ref_t put_waits(struct ipc_obj *o, ref_t h, const char *text, uint64_t unique);
/* Remember what the writer of this request writes. */
void putter_remember(uint64_t unique, const char *text);
/* Let the putters whose turn it is go on, until there is none. */
void put_turns(struct ipc_obj *o);
const char *get(struct ipc_obj *o, ref_t h); /* "" is the end */
const char *get_some(struct ipc_obj *o, ref_t h, uint32_t op, size_t max);
ref_t get_waits(struct ipc_obj *o, ref_t h, uint32_t op, uint64_t unique);
int give(struct ipc_obj *o, ref_t h, enum ipc_verb verb, int64_t n);
int lock_it(struct ipc_obj *o, ref_t h, int how); /* or -EAGAIN */
ref_t lock_waits(struct ipc_obj *o, ref_t h, int how, uint64_t unique);
/* What a waiter was given, which is then done with; "!WAITS". */
const char *finish(struct ipc_obj *o, ref_t w);
/* What the answer in hand is. */
const char *in_hand(struct ipc_obj *o, ref_t h);
void close_it(struct ipc_obj *o, ref_t h);
const char *leave(struct ipc_obj *o, ref_t w, int why);

#endif
