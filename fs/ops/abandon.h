/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_ABANDON_H
#define IPCFS_ABANDON_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The kernel cannot resend what was not answered: everybody who waits gets ECONNABORTED. true: so
 * did the request `unique`.
 */
bool abandon_waiters(uint64_t unique);

#endif
