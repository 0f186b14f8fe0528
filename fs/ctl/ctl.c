/* SPDX-License-Identifier: MIT */
/* .ctl directories, and reading and writing their plain files: see ctl.h. */
#include "wait/ask.h"
#include "ctl/ctl.h"
#include "ctl/show.h"
#include "ctl/survey.h"

#include <inttypes.h>

#include "file/statedir.h"
#include "object/completion.h"
#include "object/text.h"
#include "state/blank.h"
#include "wait/door.h"

/* ---- the directory ---- */

/* The row behind c (NULL: the first) of those that are in this directory; NULL: no more. */
static const struct ctl_file *next_in(const struct target *dir, const struct ctl_file *c)
{
	c = c ? c + 1 : ctl_table(dir->node);
	while (c && c->name && c->limit != (dir->sub != SUB_CTL))
		c++;
	return c && c->name ? c : NULL;
}

const struct ctl_file *ctl_of(const struct target *t)
{
	const struct ctl_file *c = t->sub >= SUB_CTL_FILE ? ctl_table(t->node) : NULL;

	while (c && c->name && ctl_sub(c) != t->sub)
		c++;
	return c && c->name ? c : NULL;
}

bool ctl_is_dir(const struct target *t)
{
	const struct ctl_file *c = ctl_of(t);

	return t->sub == SUB_CTL || (c && c->access == CTL_DIRECTORY);
}

bool ctl_exists(const struct target *t)
{
	return t->sub == SUB_CTL ? ctl_table(t->node) != NULL : ctl_of(t) != NULL;
}

const struct ctl_file *ctl_lookup(const struct target *dir, const char *name, size_t len)
{
	const struct ctl_file *c = NULL;

	while ((c = next_in(dir, c)))
		if (text_is(name, len, c->name))
			break;
	return c;
}

const struct ctl_file *ctl_next(const struct target *dir, unsigned int after)
{
	const struct target t = { .node = dir->node, .sub = after };
	const struct ctl_file *c = after ? ctl_of(&t) : NULL;

	if (after && !c)
		return NULL;
	do
		c = next_in(dir, c);
	while (c && c->unlisted);
	return c;
}

static mode_t mode_of(enum ctl_access access, mode_t object)
{
	mode_t readable = object & 0444;

	switch (access) {
	case CTL_DIRECTORY: /* whoever may read the object may go in */
		return S_IFDIR | readable | readable >> 2;
	case CTL_SETTING:
	case CTL_OWNER:
		return S_IFREG | readable | 0200;
	case CTL_DATA:
		return S_IFREG | (object & 0666);
	case CTL_PUTS:
		return S_IFREG | (object & 0222);
	case CTL_COMMAND: /* readable but empty, so that grep does not complain */
		return S_IFREG | readable | readable >> 1;
	case CTL_PRIVATE:
		return S_IFREG | 0400;
	case CTL_LINK:
		return S_IFLNK | 0777;
	default:
		return S_IFREG | readable;
	}
}

void ctl_attr(const struct target *t, struct stat *st)
{
	const struct ctl_file *c = ctl_of(t);
	bool dir = ctl_is_dir(t);
	char target[4200];

	st->st_nlink = dir ? 2 : 1;
	st->st_size = dir ? 0 : CTL_SIZE;
	if (dir || c)
		st->st_mode = mode_of(dir ? CTL_DIRECTORY : c->access, st->st_mode);
	if (c && c->access == CTL_LINK && ctl_readlink(t, target, sizeof(target)) == 0)
		st->st_size = (off_t)strlen(target);
}

int ctl_readlink(const struct target *t, char *buf, size_t size)
{
	const struct ctl_file *c = ctl_of(t);
	struct state_name name;

	if (!c || c->access != CTL_LINK)
		return -EINVAL;
	name = strcmp(c->name, "data") ? state_engine(t->node->id) : state_data(t->node->id);
	snprintf(buf, size, "%s/" STATE_OBJECTS "/%s", fs.opt.state, name.s);
	return 0;
}

/* ---- reading and writing ---- */

/* Anything longer than a word cannot be shown while the object is stalled. */
static bool needs_lock(const struct object *ob, const struct ctl_file *c)
{
	if (c)
		return !c->in_status && !c->unlocked;
	return ob->o.ops->look != NULL;
}

static void show_object(struct object *ob, const struct ctl_file *c, FILE *f)
{
	if (!ob->o.locked && needs_lock(ob, c)) {
		fprintf(f, "stalled: ");
		show_stalled(ob, f);
	} else if (c && c->show_all) {
		c->show_all(ob, ctl_table(ob->node), f);
	} else if (c) {
		c->show(ob, f);
	} else {
		show_look(ob, f);
	}
}

/* What there is to show of the mount; a command shows nothing. */
static int mount_snapshot(const struct ctl_file *c, char **ret_text, size_t *ret_len)
{
	FILE *f;

	if (c->survey)
		return survey_all(c->survey, ret_text, ret_len);
	f = open_memstream(ret_text, ret_len);
	if (!f)
		return -ENOMEM;
	if (c->show_mount)
		c->show_mount(f);
	return fclose(f) != 0 ? -ENOMEM : 0;
}

/* Looking takes no memory: of what has no file there is an image. */
static int enter_to_show(struct request *rq, struct object **ret)
{
	int r = 0;

	*ret = node_is_blank(rq->t.node) ? blank_image(rq->t.node) : object_of(rq->t.node, &r);
	if (!*ret || (*ret)->o.locked)
		return *ret ? 0 : r;
	return object_look(*ret, rq);
}

int ctl_snapshot(struct request *rq, char **ret_text, size_t *ret_len)
{
	const struct ctl_file *c = ctl_of(&rq->t);
	struct object *ob;
	bool damaged;
	FILE *f;
	int r = 0;

	if (c && !c->show && !c->show_all)
		return mount_snapshot(c, ret_text, ret_len);
	r = enter_to_show(rq, &ob);
	if (r < 0)
		return r;
	f = open_memstream(ret_text, ret_len);
	if (f)
		show_object(ob, c, f);
	damaged = ob->o.damage;
	if (ob->node->ob) /* (and no image) */
		object_unlock(ob);
	if (f && c && c->show_found)
		c->show_found(f);
	if (!f || fclose(f) != 0)
		return -ENOMEM;
	if (damaged)
		free(*ret_text);
	return damaged ? -EIO : 0;
}

static int store_line(const struct ctl_file *c, struct object *ob, const char *s, size_t len,
		      uint64_t unique)
{
	text_trim(&s, &len);
	if (ob)
		return c->store(ob, s, len, unique);
	return c->store_mount(s, len);
}

/*
 * Each command of a write has its own completion record, by the request's number and the command's:
 * so a write that is resent after a restart continues after the last one done. (Uniques count
 * requests; 44 bits last for years.)
 */
static uint64_t line_unique(uint64_t unique, unsigned int line)
{
	return unique | (uint64_t)line << 44;
}

/* How many commands of a resent write the last worker had done. */
static unsigned int lines_done(const struct request *rq, struct object *ob)
{
	unsigned int n = 1;
	int64_t result;
	bool partial;

	if (!rq->by.resent)
		return 0;
	for (size_t i = 0; i < rq->size; i++)
		n += rq->data[i] == '\n';
	while (n && !ipc_completion_find(&ob->o, line_unique(rq->by.unique, n - 1), 0, &result,
					 &partial))
		n--;
	return n;
}

/* A setting is a single word: all the bytes. Commands: one on each line. */
static ssize_t store_lines(const struct request *rq, struct object *ob)
{
	const struct ctl_file *c = ctl_of(&rq->t);
	unsigned int line = 0, before = ob ? lines_done(rq, ob) : 0;
	const char *s = rq->data;
	size_t done = 0, len = rq->size;
	int r;

	do {
		const char *nl = c->access == CTL_SETTING ? NULL :
							    memchr(s + done, '\n', len - done);
		size_t n = nl ? (size_t)(nl - s) + 1 - done : len - done;

		r = line < before ?
			    0 :
			    store_line(c, ob, s + done, n, line_unique(rq->by.unique, line));
		if (r < 0)
			break;
		line++;
		done += n;
	} while (done < len);
	return done ? (ssize_t)done : r;
}

static int wrote(struct request *rq, ssize_t n)
{
	if (n >= 0)
		done_number(rq, REPLY_WRITTEN, (uint64_t)n);
	return n < 0 ? (int)n : 0;
}

static int store_in_object(struct request *rq)
{
	return wrote(rq, store_lines(rq, rq->ob));
}

int ctl_write(struct request *rq)
{
	const struct ctl_file *c = ctl_of(&rq->t);
	struct object *ob;
	int r;

	if (!c || (!c->store && !c->store_mount))
		return -EACCES;
	if (!c->store)
		return wrote(rq, store_lines(rq, NULL));
	ob = object_of(rq->t.node, &r);
	return ob ? object_change(ob, rq, store_in_object) : r;
}
