/* SPDX-License-Identifier: MIT */
/*
 * Numbers as text: the one parser and printer of the engine, the daemon, the library and the tools.
 * Pure functions, independent of the program's locale. Elements have multiprocessing's type codes:
 *
 * 	c  one byte		u  one Unicode character (4 bytes)
 * 	b B h H i I l L q Q	integers of 1, 2, 4, 8, 8 bytes; a capital has no sign
 * 	f d			float, double
 *
 * Printing gives the shortest decimal that reads back as the same number. A byte or character
 * that is not printable (or blank, or a backslash) is printed as \xHH or \UHHHHHHHH.
 */
#ifndef IPC_NUMBER_H
#define IPC_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NUMBER_TEXT_MAX 32 /* bytes that printing may need, and a zero byte */

/* The size of an element of this type in bytes; 0: there is no such type. */
size_t number_size(uint32_t code);
/*
 * Text to the element: -EINVAL not an element, -ERANGE out of the type's range; then `item` is
 * unchanged.
 */
int number_parse(uint32_t code, const char *text, size_t len, void *item);
/* The element as text, with a zero byte at its end; returns its length. */
size_t number_print(uint32_t code, const void *item, char buf[NUMBER_TEXT_MAX]);

/* A whole number: digits and perhaps a sign. -EINVAL; -ERANGE more than 64 bits. */
int number_whole(const char *text, size_t len, __int128 *ret);
/* Any number except infinity and nan, in decimal. -EINVAL, -ERANGE. */
int number_real(const char *text, size_t len, double *ret);
/*
 * Any number, truncated to a whole one. An empty text is 0. -EINVAL; -ERANGE more than 64 bits with
 * sign.
 */
int number_int64(const char *text, size_t len, int64_t *ret);
/* Only digits. -EINVAL; -ERANGE more than 64 bits. */
int number_count(const char *text, size_t len, uint64_t *ret);
/*
 * Seconds, such as "2.5", in nanoseconds. Rounded up: a limit that is not 0 never becomes "do not
 * wait". -EINVAL, also if it does not fit into 64 bits.
 */
int number_seconds(const char *text, size_t len, int64_t *ret);
/* Nanoseconds as seconds, with as many digits as they need; returns the length. */
size_t number_print_seconds(uint64_t ns, char buf[NUMBER_TEXT_MAX]);

/*
 * text + (negate ? -other : other), as text: as integers if both look whole (and the type is no
 * float), else as doubles. code 0: of no type, so integers of 64 bits with sign. -EINVAL, -ERANGE.
 */
int number_add(uint32_t code, const char *text, size_t len, const char *other, size_t other_len,
	       bool negate, char buf[NUMBER_TEXT_MAX]);

#endif
