/* SPDX-License-Identifier: MIT */
/* An object that is being loaded: between load.c and load_messages.c. */
#ifndef IPCCTL_LOADING_H
#define IPCCTL_LOADING_H

#include "client/client.h"
#include "save/record.h"
#include "types/saved.h"
#include "util.h"

struct loading {
	char *path; /* for now */
	const struct ipc_type *type;
	bool two_way;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct setting {
		char *key, *value;
	} * settings; /* made when the content is there, which limits would refuse */
	size_t n_settings;
	char *lock;
	bool closed;
	struct saved_counts counts;
	ipcfs_obj *o; /* a queue or pipe, when the first message comes */
};

int loading_setting(const struct loading *l, const char *key, const char *value);
/* One message, into its place. */
int load_message(struct loading *l, const struct record *rec, enum saved_place place);
/* All are there. */
int end_messages(struct loading *l);

#endif
