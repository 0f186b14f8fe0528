/* SPDX-License-Identifier: MIT */
/* The walk over all objects, some at a time: see survey.h. */
#include "ctl/survey.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file/statedir.h"
#include "object/type.h"
#include "state/blank.h"
#include "state/object.h"
#include "state/tree.h"
#include "wait/door.h"

#define PIECE 256u /* names that are looked at, or lines that are written, between two requests */

struct place { /* in a directory */
	uint64_t dir, cookie;
};

struct survey {
	const struct survey_form *form;
	struct place *way; /* from the root to where the walk is */
	size_t depth;
	struct surveyed *found;
	size_t n, next;
	unsigned int part;
	bool begun, walked, ended, failed; /* failed: for lack of memory */
	char *text;
	size_t len;
	FILE *f;
};

/* ---- one object ---- */

static uint64_t waiters_in(const struct ipc_header *h)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		n += __atomic_load_n(&h->waitqs[i].count, __ATOMIC_RELAXED);
	return n;
}

static void take_words(struct ipc_obj *o, struct surveyed *ret)
{
	ret->size = ipc_size(o);
	ret->waiters = waiters_in(o->h);
	ret->holders = o->h->holds.count + (o->ops->unlease ? ipc_leased(o)->count : 0);
}

static void take_down(struct ipc_obj *o, struct surveyed *ret)
{
	take_words(o, ret);
	ipc_counts(o, &ret->counts);
}

static void look_at_mapped(struct object *ob, struct surveyed *ret)
{
	ret->stalled = object_look(ob, NULL) != 0;
	if (ret->stalled)
		return;
	take_down(&ob->o, ret);
	ret->stalled = ob->o.damage;
	object_unlock(ob);
}

/* When a message was put, in the file of an object that is not mapped. */
static uint64_t put_at(int fd, ref_t msg)
{
	struct ipc_msg m;

	return msg && pread(fd, &m, sizeof(m), (off_t)msg * IPC_UNIT) == sizeof(m) ? m.since : 0;
}

/*
 * Of one that is not mapped the header is read. Nobody changes it but direct clients, if it has some: in
 * the middle of a change it says so.
 */
static void look_at_file(const struct node *n, struct surveyed *ret)
{
	static _Alignas(IPC_PAGE) struct ipc_header h;
	static struct ipc_env env = { .dirfd = -1, .alone = true };
	struct ipc_obj o = {
		.env = &env, .h = &h, .base = (char *)&h, .ops = n->ops, .locked = true
	};
	int fd = openat(fs.objects_fd, state_engine(n->id).s,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t got = fd < 0 ? -1 : pread(fd, &h, sizeof(h), 0);

	ret->stalled = got != sizeof(h) || h.id != n->id || h.m.lock || h.m.damaged || h.log_len;
	if (!ret->stalled) {
		take_words(&o, ret);
		ipc_counts_words(&o, &ret->counts);
		if (ret->counts.first)
			ret->counts.oldest = put_at(fd, ret->counts.first);
	}
	if (fd >= 0)
		close(fd);
}

static void look_at(struct node *n, struct surveyed *ret)
{
	char path[4200];

	tree_path(n, path, sizeof(path));
	*ret = (struct surveyed){ .path = strdup(path), .type = n->ops };
	if (node_is_blank(n))
		take_down(&blank_image(n)->o, ret);
	else if (node_mapped(n))
		look_at_mapped(n->ob, ret);
	else
		look_at_file(n, ret);
}

/* ---- the walk ---- */

/* An array with room for `n`; the old one stays if there is none. */
static void *room(struct survey *s, void *old, size_t n, size_t size)
{
	void *p = realloc(old, n * size);

	s->failed |= !p;
	return p ? p : old;
}

static void go_into(struct survey *s, uint64_t dir)
{
	s->way = room(s, s->way, s->depth + 1, sizeof(*s->way));
	if (!s->failed)
		s->way[s->depth++] = (struct place){ .dir = dir };
}

/* The next name. 0: none, and the walk is at its end if there is no way any more. */
static ref_t step(struct survey *s)
{
	struct place *p = &s->way[s->depth - 1];
	ref_t dir = names_by_id(&fs.mount, p->dir);
	ref_t r = dir && node_at(&fs.mount, dir)->type == IPC_DIR ?
			  names_after(&fs.mount, dir, p->cookie) :
			  0;

	if (r)
		p->cookie = node_at(&fs.mount, r)->cookie;
	else
		s->depth--;
	return r;
}

static void visit(struct survey *s, ref_t r)
{
	struct node *n = tree_at(r);

	if (n->ops && s->n % PIECE == 0)
		s->found = room(s, s->found, s->n + PIECE, sizeof(*s->found));
	if (!n->ops || s->failed)
		return;
	look_at(n, &s->found[s->n]);
	s->failed = !s->found[s->n].path;
	if (!s->failed)
		s->form->object(s->f, &s->found[s->n++]);
}

static void walk_on(struct survey *s)
{
	for (unsigned int i = 0; i < PIECE && s->depth && !s->failed; i++) {
		ref_t r = step(s);

		if (r && node_at(&fs.mount, r)->type == IPC_DIR)
			go_into(s, node_at(&fs.mount, r)->id);
		else if (r)
			visit(s, r);
	}
	s->walked = !s->depth;
	s->next = s->n; /* the first part is written */
}

/* ---- the text ---- */

static void write_on(struct survey *s)
{
	for (unsigned int i = 0; i < PIECE && !s->ended; i++) {
		if (s->next < s->n) {
			s->form->again(s->f, s->part, &s->found[s->next++]);
			continue;
		}
		s->next = 0;
		s->part++;
		s->ended = !s->form->part || !s->form->part(s->f, s->part);
		if (s->ended)
			s->form->end(s->f);
	}
}

void survey_free(struct survey *s)
{
	if (!s)
		return;
	if (s->f)
		fclose(s->f);
	free(s->text);
	for (size_t i = 0; i < s->n; i++)
		free(s->found[i].path);
	free(s->found);
	free(s->way);
	free(s);
}

struct survey *survey_new(const struct survey_form *form)
{
	struct survey *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->form = form;
	s->f = open_memstream(&s->text, &s->len);
	if (s->f)
		go_into(s, IPC_ROOT_ID);
	if (s->f && !s->failed)
		return s;
	survey_free(s);
	return NULL;
}

int survey_text(struct survey *s, size_t want, char **ret_text, size_t *ret_len)
{
	if (!s->begun)
		s->form->begin(s->f);
	s->begun = true;
	while (s->len < want && !s->ended) {
		if (s->walked)
			write_on(s);
		else
			walk_on(s);
		if (fflush(s->f) != 0 || s->failed)
			return -ENOMEM;
	}
	*ret_text = s->text;
	*ret_len = s->len;
	return 0;
}

int survey_all(const struct survey_form *form, char **ret_text, size_t *ret_len)
{
	struct survey *s = survey_new(form);
	char *text = NULL;
	int r = s ? survey_text(s, SIZE_MAX, &text, ret_len) : -ENOMEM;

	*ret_text = r == 0 ? strndup(text, *ret_len) : NULL;
	survey_free(s);
	return *ret_text ? 0 : -ENOMEM;
}
