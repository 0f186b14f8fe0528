/* SPDX-License-Identifier: MIT */
/* What `ipcctl top` shows just now, and what a key does to it. */
#ifndef IPCCTL_TOP_STATE_H
#define IPCCTL_TOP_STATE_H

#include "top/feed.h"
#include "top/rows.h"
#include "util.h"

#define TOP_PATIENCE \
	(3 * NSEC_PER_SEC) /* after so long without an answer it is said that there is none */

enum prompt { PROMPT_NONE, PROMPT_FILTER, PROMPT_DELAY, PROMPT_CANCEL };

struct top {
	const char **mounts;
	char **prefixes; /* of the names: none, if there is one mount only */
	struct rows *rows;
	int *errors; /* of the last time: 0 or -errno */
	size_t n_mounts;
	struct feed feed;
	int signals;
	bool batch, dirty, leave;
	int64_t delay, due;   /* when to ask next */
	int64_t frames;       /* that are left; < 0: no limit */
	unsigned int answers; /* of the mounts that were asked last */
	bool asked_before;
	struct view view;
	char *selected; /* the object's name; NULL: none */
	size_t first;
	char *panel, *panel_of; /* its text, and the path of the object; NULL */
	bool help;
	enum prompt prompt;
	struct buf typed;
	char *note; /* what has become of what was asked for; NULL */
	int status;
};

/* state.c */
void top_ask(struct top *t);                            /* all mounts, and for the panel */
void top_answer(struct top *t, const struct answer *a); /* one has come */
void top_note(struct top *t, char *text);               /* takes it; NULL: none */
void top_show(struct top *t);
/* Where the object of this name is among the rows; n: nowhere. */
size_t top_index(const struct shown **rows, size_t n, const char *name);

/* keys.c */
void top_keys(struct top *t); /* whatever was typed */
void top_leave_panel(struct top *t);
void top_set_filter(struct top *t, const char *text); /* only names with this text */

#endif
