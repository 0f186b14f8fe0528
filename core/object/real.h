/* SPDX-License-Identifier: MIT */
/* Text of floating-point numbers, for number.c: float (`single`) and double. */
#ifndef IPC_REAL_H
#define IPC_REAL_H

#include "object/number.h"

/* Surrounding blanks are ignored. */
void number_trim(const char **text, size_t *len);
/* In decimal. -EINVAL, -ERANGE. */
int real_parse(const char *text, size_t len, bool single, double *ret);
/* Signed inf, infinity or nan, as printing may give. */
bool real_special(const char *s, size_t len, double *ret);
size_t real_print(double x, bool single, char buf[NUMBER_TEXT_MAX]);

#endif
