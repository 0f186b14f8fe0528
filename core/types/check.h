/* SPDX-License-Identifier: MIT */
/* Parts of ipc_check(), for the checks of types. -EIO, and k->why. */
#ifndef IPC_CHECK_H
#define IPC_CHECK_H

#include "object/engine.h"

/* A message that answers may refer to as well. */
int check_shared(struct ipc_obj *o, ref_t msg, struct ipc_check *k);
int check_mq(struct ipc_obj *o, struct ipc_mq *q, struct ipc_check *k);
int check_leases(struct ipc_obj *o, struct ipc_list *l, bool leased, struct ipc_check *k);
int check_msg(struct ipc_obj *o, ref_t msg, struct ipc_check *k);
int check_block(struct ipc_obj *o, ref_t r, size_t size, struct ipc_check *k);

#endif
