/* SPDX-License-Identifier: MIT */
/*
 * Every field of every struct in this folder: what two builds must agree on.
 *
 * 	F(s, f)	 a field
 * 	U(s, f)	 one that shares its place with another (a union's): counted there
 * 	E(s, f)	 what follows a struct, of any length
 *
 * The listed fields and paddings must make up the whole struct, or it does not compile (layout.c):
 * so a field that is not listed is noticed.
 */
#ifndef IPC_LAYOUT_H
#define IPC_LAYOUT_H

#include "format/format.h"

/* clang-format off */

#define LAYOUT_ipc_undo(s, F, U, E) \
	F(s, where) F(s, old)

#define LAYOUT_ipc_stats(s, F, U, E) \
	F(s, puts) F(s, gets) F(s, others) F(s, waits) F(s, wakes) F(s, timeouts) \
	F(s, cancels) F(s, most)

#define LAYOUT_ipc_page_state(s, F, U, E) \
	F(s, u) U(s, u.word) U(s, u.first) U(s, u.carved) U(s, u.used) U(s, u.kind) \
	U(s, u.size) F(s, l) U(s, l.word) U(s, l.next) U(s, l.prev)

#define LAYOUT_ipc_list(s, F, U, E) \
	F(s, head) F(s, tail) F(s, count) F(s, pad)

#define LAYOUT_ipc_link(s, F, U, E) \
	F(s, next) F(s, prev)

#define LAYOUT_ipc_msg(s, F, U, E) \
	F(s, next) F(s, more) F(s, len) F(s, refs) F(s, attempts) F(s, id) \
	F(s, since) E(s, data)

#define LAYOUT_ipc_answer(s, F, U, E) \
	F(s, kind) F(s, first) F(s, count) F(s, skip) F(s, len) F(s, off) F(s, base) \
	F(s, number)

#define LAYOUT_ipc_handle(s, F, U, E) \
	F(s, link) F(s, gen) F(s, kind) F(s, poll_link) F(s, flags) F(s, oflags) F(s, tid) \
	F(s, pid) F(s, uid) F(s, opener) F(s, since) F(s, nodeid) F(s, open_unique) \
	F(s, timeout) F(s, deadline) F(s, poll_kh) F(s, poll_events) F(s, waiters) \
	F(s, holds) F(s, leases) F(s, rests) F(s, peer_opens) U(s, lent_levels) \
	U(s, lent_flock) F(s, line_pid) U(s, lent_pid) F(s, line) F(s, line_last) \
	F(s, parked) F(s, standing) F(s, seen) F(s, companion) F(s, hand) F(s, poll_told) \
	F(s, poll_state) F(s, poll_late) F(s, pad) F(s, poll_level) F(s, clock)

#define LAYOUT_ipc_waiter(s, F, U, E) \
	F(s, link) F(s, handle) F(s, op) F(s, waitq) F(s, state) F(s, futex) F(s, flags) \
	F(s, tid) F(s, pid) F(s, uid) F(s, need) F(s, since) F(s, deadline) F(s, unique) \
	F(s, arg) F(s, result) F(s, got) F(s, hold) F(s, depth)

#define LAYOUT_ipc_hold(s, F, U, E) \
	F(s, link) F(s, handle) F(s, op) F(s, count) F(s, tid) F(s, pid) F(s, uid) \
	F(s, since)

#define LAYOUT_ipc_lease(s, F, U, E) \
	F(s, link) F(s, msg) F(s, handle) F(s, tid) F(s, pid) F(s, since)

#define LAYOUT_ipc_delay(s, F, U, E) \
	F(s, below) U(s, below.word) U(s, below.left) U(s, below.right) F(s, above) \
	U(s, above.word) U(s, above.up) U(s, above.rank) F(s, msg) F(s, pad) F(s, due)

#define LAYOUT_ipc_delayed(s, F, U, E) \
	F(s, root) F(s, count) F(s, bytes)

#define LAYOUT_ipc_mq(s, F, U, E) \
	F(s, head) F(s, tail) F(s, count) F(s, skip) F(s, bytes) F(s, readers) \
	F(s, writers) F(s, opens) U(s, most)

#define LAYOUT_ipc_queue(s, F, U, E) \
	F(s, maxsize) F(s, maxbytes) F(s, unfinished) F(s, mq) F(s, framing) F(s, closed) \
	F(s, max_attempts) F(s, leased) F(s, dead) F(s, ttr) F(s, delayed) F(s, ended)

#define LAYOUT_ipc_sem(s, F, U, E) \
	F(s, value) F(s, bound) F(s, undo) F(s, scope) F(s, shared) F(s, owner) \
	U(s, given) F(s, fast) F(s, fast_tid) F(s, direct) F(s, spare) F(s, jobserver) \
	F(s, taken)

#define LAYOUT_ipc_event(s, F, U, E) \
	F(s, set) F(s, fast) F(s, sets)

#define LAYOUT_ipc_cond(s, F, U, E) \
	F(s, lock) F(s, lock_id) F(s, to_notify) F(s, waiting)

#define LAYOUT_ipc_barrier(s, F, U, E) \
	F(s, parties) F(s, arrived) F(s, round) F(s, index) F(s, broken) F(s, was_reset)

#define LAYOUT_ipc_value(s, F, U, E) \
	F(s, lock) F(s, lock_id) F(s, text) F(s, typecode) F(s, length) F(s, version)

#define LAYOUT_ipc_array(s, F, U, E) \
	F(s, lock) F(s, lock_id) F(s, length) F(s, typecode) F(s, pad)

#define LAYOUT_ipc_mount(s, F, U, E) \
	F(s, next_id) F(s, next_cookie) F(s, epoch) F(s, memory) F(s, memory_limit) \
	F(s, object_limit) F(s, message_limit) F(s, framing) F(s, next_gen) F(s, active) \
	F(s, aliases) F(s, objects) F(s, nodes) F(s, names) F(s, key) F(s, index) \
	F(s, buckets) F(s, unique) F(s, result) F(s, result_id) F(s, take) \
	F(s, pad) F(s, making) F(s, before)

#define LAYOUT_ipc_bucket(s, F, U, E) \
	F(s, head)

#define LAYOUT_ipc_dir(s, F, U, E) \
	F(s, level) F(s, entries) F(s, subdirs)

#define LAYOUT_ipc_node(s, F, U, E) \
	F(s, link) F(s, id) F(s, parent) F(s, cookie) F(s, order) F(s, same) F(s, dir) U(s, stats) \
	F(s, type) F(s, mode) F(s, uid) F(s, gid) F(s, flags) F(s, atime) F(s, mtime) \
	F(s, ctime) F(s, size) F(s, active) F(s, name_len) F(s, height) E(s, name)

#define LAYOUT_ipc_alias(s, F, U, E) \
	F(s, link) F(s, nodeid) F(s, timeout) F(s, lookups) F(s, told) F(s, opens) \
	F(s, fh) F(s, refused) F(s, unique) F(s, gen) F(s, tid) F(s, flags) F(s, pad)

#define LAYOUT_ipc_completion(s, F, U, E) \
	F(s, unique) F(s, result) F(s, handle) F(s, partial)

#define LAYOUT_ipc_header(s, F, U, E) \
	F(s, magic) F(s, version) F(s, fingerprint) F(s, id) F(s, type) F(s, memory_low) \
	F(s, reserve) F(s, epoch) F(s, unique) F(s, result) F(s, unique_handle) \
	F(s, unique_partial) F(s, pad_to_lock) F(s, m) U(s, m.lock) U(s, m.damaged) \
	F(s, log_len) F(s, log) F(s, b) U(s, b.queue) U(s, b.sem) \
	U(s, b.event) U(s, b.cond) U(s, b.barrier) U(s, b.value) U(s, b.array) \
	U(s, b.mount) F(s, completions) F(s, pages) F(s, pages_used) F(s, pages_held) F(s, free) \
	F(s, free_top) F(s, holes) F(s, partial) F(s, trash) F(s, handles) F(s, holds) \
	F(s, polls) F(s, granted) F(s, woken) F(s, to_wake) F(s, take) F(s, rests) \
	F(s, waitqs) F(s, taken) F(s, free_least) F(s, roomy) F(s, stats) F(s, pad_to_slots) \
	F(s, slots_used) F(s, first) F(s, slots)

#define LAYOUT_STRUCTS(S) \
	S(ipc_undo) S(ipc_stats) S(ipc_page_state) S(ipc_list) S(ipc_link) S(ipc_msg) S(ipc_answer) \
	S(ipc_handle) S(ipc_waiter) S(ipc_hold) S(ipc_lease) S(ipc_delay) S(ipc_mq) S(ipc_delayed) S(ipc_queue) \
	S(ipc_sem) S(ipc_event) S(ipc_cond) S(ipc_barrier) S(ipc_value) S(ipc_array) \
	S(ipc_mount) S(ipc_bucket) S(ipc_dir) \
	S(ipc_node) S(ipc_alias) S(ipc_completion) S(ipc_header)

struct layout_fact {
	const char *name;		/* struct.field */
	uint32_t offset, size;
};

/* Copy all of them to `ret`; returns how many. */
const struct layout_fact *layout_facts(unsigned int *ret_n);
uint32_t layout_hash(const struct layout_fact *f, unsigned int n);
uint32_t layout_fingerprint(void);

/* clang-format on */

#endif
