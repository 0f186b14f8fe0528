/* SPDX-License-Identifier: MIT */
/* What is known about an object from outside, and how its type puts that into words. */
#ifndef IPC_FACTS_H
#define IPC_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ipc_type;

struct ipc_facts {
	uint64_t size; /* as in ls -l */
	/* The text of a file in .ctl; NULL: not known. */
	const char *(*get)(const struct ipc_facts *f, const char *key);
};

/*
 * What the size means: "3 messages, full", "2 of 4 free", "held". Like snprintf(). Makes do with
 * the size if nothing else is known.
 */
int ipc_words(const struct ipc_type *type, const struct ipc_facts *f, char *ret, size_t size);

/* ---- for types ---- */

uint64_t facts_count(const struct ipc_facts *f, const char *key); /* or 0 */
bool facts_hold(const struct ipc_facts *f, const char *key); /* known, and neither 0 nor "no" */
/* "1 byte", "2 bytes"; none: "empty" */
int words_amount(uint64_t n, const char *one, char *ret, size_t size);

#endif
