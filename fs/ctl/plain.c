/* SPDX-License-Identifier: MIT */
/*
 * Plain files: .ctl files that do not wait, and handles that only look. Each open file has its text
 * as of the open. A restarted worker takes the text again, and continues at the next whole line.
 */
#include <string.h>
#include <unistd.h>

#include "state/array.h"
#include "state/blank.h"
#include "ctl/ctl.h"
#include "ctl/plain.h"
#include "ctl/survey.h"

struct snapshot {
	uint64_t fh;
	char *text;
	size_t len;
	int fd;                /* an array's memory, instead; -1 */
	struct survey *survey; /* … or what makes the text as it is read; NULL */
	size_t shift; /* … and how much further on in it than it is read, after a restart */
	UT_hash_handle hh;
};

static struct snapshot *snapshots;
/* Never one that an earlier worker gave: its files may still be open. */
uint64_t plain_next(void)
{
	static uint32_t opened;

	return fh_plain(fs.restarts, ++opened);
}

static struct snapshot *snapshot_of(uint64_t fh)
{
	struct snapshot *s;

	HASH_FIND(hh, snapshots, &fh, sizeof(fh), s);
	return s;
}

/* For an array, the handle looks at the memory itself, which is not under a lock. */
static int open_memory(const struct target *t, int *ret_fd)
{
	int r;
	struct object *ob = object_of(t->node, &r);

	if (ob)
		r = *ret_fd = array_memory(ob);
	return r < 0 ? r : 0;
}

int plain_open(struct request *rq, uint64_t fh)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	const struct target *t = &rq->t;
	const struct ctl_file *c = ctl_of(t);
	int r;

	if (!s)
		return -ENOMEM;
	s->fd = -1;
	if (c && c->survey)
		r = (s->survey = survey_new(c->survey)) ? 0 : -ENOMEM;
	else if (t->sub == SUB_SELF && node_is(t->node, TYPE_MEMORY) && node_is_blank(t->node))
		r = (s->text = strdup("")) ? 0 : -ENOMEM;
	else if (t->sub == SUB_SELF && node_is(t->node, TYPE_MEMORY))
		r = open_memory(t, &s->fd);
	else
		r = ctl_snapshot(rq, &s->text, &s->len);
	if (r < 0) {
		free(s);
		return r;
	}
	s->fh = fh;
	HASH_ADD(hh, snapshots, fh, sizeof(s->fh), s);
	return 0;
}

void plain_close(uint64_t fh)
{
	struct snapshot *s = snapshot_of(fh);

	if (!s)
		return;
	HASH_DEL(snapshots, s);
	if (s->fd >= 0)
		close(s->fd);
	if (s->survey)
		survey_free(s->survey);
	else
		free(s->text);
	free(s);
}

void io_cleanup(void)
{
	while (snapshots)
		plain_close(snapshots->fh);
}

/* The text may have become longer or shorter since its first `off` bytes were read. */
static void go_on_at_a_line(struct snapshot *s, size_t off)
{
	char *end;

	if (!off || off >= s->len || s->text[off - 1] == '\n')
		return;
	end = memchr(s->text + off, '\n', s->len - off);
	if (end) {
		size_t rest = (size_t)(end + 1 - (s->text + off));

		s->len -= rest;
		memmove(s->text + off, end + 1, s->len - off);
	} else {
		s->len = off;
	}
}

/* Have the text up to there, and some more. */
static int make_text(struct snapshot *s, size_t off)
{
	return s->survey ? survey_text(s->survey, off + 1, &s->text, &s->len) : 0;
}

/* The same as go_on_at_a_line() for a text that is still being made, and so must not be moved. */
static int shift_to_a_line(struct snapshot *s, size_t off)
{
	int r;

	for (s->shift = 0; (r = make_text(s, off + s->shift)) == 0; s->shift++)
		if (!off || off + s->shift >= s->len || s->text[off + s->shift - 1] == '\n')
			break;
	return r;
}

static enum outcome read_memory(struct request *rq, int fd)
{
	size_t size = rq->size < MAX_IO ? rq->size : MAX_IO;
	ssize_t n = pread(fd, reply_buffer(), size, (off_t)rq->off);

	return done_buffer(rq, n < 0 ? -errno : n);
}

/* It was opened under an earlier worker; or a handle of an object looks for the first time. */
static int open_late(struct request *rq)
{
	int r = target_of(rq->ino, &rq->t);

	if (r == 0)
		r = plain_open(rq, rq->fh);
	if (r < 0)
		return r;
	if (snapshot_of(rq->fh)->survey)
		return shift_to_a_line(snapshot_of(rq->fh), (size_t)rq->off);
	go_on_at_a_line(snapshot_of(rq->fh), (size_t)rq->off);
	return 0;
}

enum outcome plain_read(struct request *rq)
{
	struct snapshot *s = snapshot_of(rq->fh);
	int r = s ? 0 : open_late(rq);
	size_t off = (size_t)rq->off;

	if (r < 0)
		return done(rq, r);
	s = snapshot_of(rq->fh);
	if (s->fd >= 0)
		return read_memory(rq, s->fd);
	off += s->shift;
	r = make_text(s, off);
	if (r < 0)
		return done(rq, r);
	if (off >= s->len && rq->by_cache && target_of(rq->ino, &rq->t) == 0)
		return mapped_read(rq, 0);
	if (off >= s->len)
		return done_data(rq, NULL, 0);
	return done_data(rq, s->text + off, s->len - off < rq->size ? s->len - off : rq->size);
}
