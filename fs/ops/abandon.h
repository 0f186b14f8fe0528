/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_ABANDON_H
#define IPCFS_ABANDON_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The kernel cannot send again what was not answered: whoever waits gets ECONNABORTED. Whether
 * the request `unique` was among them.
 */
bool abandon_waiters(uint64_t unique);

#endif
