/* SPDX-License-Identifier: MIT */
/* The list of all kinds of channel. */
#include <string.h>

#include "channel.h"

const struct channel_type *channel_type(const char *name)
{
	static const struct channel_type *const all[] = {
		ipcfs_channels, unix_channels, token_channels, redis_channels, boost_channels,
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (const struct channel_type *t = all[i]; t->name; t++)
			if (!strcmp(t->name, name))
				return t;
	die("no such peer: %s", name);
}
