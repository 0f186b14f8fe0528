/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_POLL_H
#define IPCFS_POLL_H

#include "device/request.h"

enum outcome file_poll(struct request *rq); /* the handler of POLL */

#endif
