/* SPDX-License-Identifier: MIT */
/* For store_load(): what wait/ and ctl/ do when state/ has something to tell or to ask. */
#ifndef IPCFS_OBSERVER_H
#define IPCFS_OBSERVER_H

#include "state/store.h"

extern const struct state_observer observer;

#endif
