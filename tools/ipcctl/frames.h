/* SPDX-License-Identifier: MIT */
/*
 * How messages stand one behind another on standard input and output:
 *
 *	line		each ends in a newline
 *	null		each ends in a NUL byte, as with xargs -0
 *	netstring	LENGTH:bytes, as in djb's netstrings: any bytes, any number of messages
 *	record		one message, which is all there is
 */
#ifndef IPCCTL_FRAMES_H
#define IPCCTL_FRAMES_H

#include <stdio.h>

#include "util.h"

enum frame { FRAME_LINE, FRAME_NULL, FRAME_NETSTRING, FRAME_RECORD };

#define FRAME_OPTION                                                                   \
	{                                                                              \
		'f', "framing", "FRAMING", "line (default), null, netstring or record" \
	}

int frame_parse(const char *name, enum frame *ret);
/* 1: the next message is in *ret; 0: there are no more; -EBADMSG: no netstring; negative errno. */
int frame_read(FILE *in, enum frame how, struct buf *ret);
void frame_write(FILE *out, enum frame how, const void *data, size_t len);

#endif
