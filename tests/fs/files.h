/* SPDX-License-Identifier: MIT */
/* Which files there are in STATE/objects. */
#ifndef TEST_FILES_H
#define TEST_FILES_H

#include "calls.h"

unsigned int files_of(uint64_t ino);            /* of this object, an array's memory too */
unsigned int files_like(const char *beginning); /* whose names begin so */
bool file_has(uint64_t ino, const char *text);  /* is this text in its engine file? */

#endif
