/* SPDX-License-Identifier: MIT */
/*
 * An object as text: what its users could tell apart. Not in it: addresses, times, and the completion
 * of the last request (header.unique), which the crash proof looks at by itself.
 */
#define _GNU_SOURCE
#include "file/list.h"
#include "names/names.h"
#include "object/answer.h"
#include "object/msg.h"
#include "object/stats.h"
#include "object/waiter.h"
#include "types/queue.h"
#include "test.h"

static unsigned int index_of(struct ipc_obj *o, ref_t handle)
{
	unsigned int n = 0;

	LIST_EACH(o, &o->h->handles, r) {
		n++;
		if (r == handle)
			return n;
	}
	return 0;
}

static void text_of(FILE *f, struct ipc_obj *o, ref_t msg)
{
	struct ipc_msg *m = msg_at(o, msg);
	char *text = malloc(m->len + 1u);
	uint32_t sum = 0;

	msg_copy(o, msg, 0, text, m->len);
	for (uint32_t i = 0; i < m->len; i++)
		sum = sum * 31 + (unsigned char)text[i];
	fprintf(f, "[%u#%x*%u^%u %.*s]", m->len, sum, m->refs, m->attempts,
		m->len < 20 ? (int)m->len : 20, text);
	free(text);
}

static void message(FILE *f, struct ipc_obj *o, ref_t msg)
{
	fprintf(f, "%llu:", (unsigned long long)msg_at(o, msg)->id);
	text_of(f, o, msg);
}

static void answer(FILE *f, struct ipc_obj *o, const struct ipc_answer *a)
{
	ref_t r = a->first;

	if (a->kind == ANSWER_NONE)
		return;
	fprintf(f, " answer kind=%u count=%u skip=%u len=%llu off=%llu base=%llu number=%lld ",
		a->kind, a->count, a->skip, (unsigned long long)a->len, (unsigned long long)a->off,
		(unsigned long long)a->base, (long long)a->number);
	for (uint32_t i = 0; i < a->count; i++) {
		message(f, o, r);
		r = msg_at(o, r)->next;
	}
}

static void waiters(FILE *f, struct ipc_obj *o, const char *name, struct ipc_list *l)
{
	if (l->count)
		fprintf(f, "%s\n", name);
	LIST_EACH(o, l, r) {
		struct ipc_waiter *w = waiter_at(o, r);

		fprintf(f,
			"  of %u op=%u state=%u flags=%x unique=%llu arg=%llu need=%u result=%lld depth=%u",
			index_of(o, w->handle), w->op, w->state, w->flags & ~WAITER_WOKEN,
			(unsigned long long)w->unique, (unsigned long long)w->arg, w->need,
			(long long)w->result, w->depth);
		answer(f, o, &w->got);
		fputc('\n', f);
	}
}

static void messages(FILE *f, struct ipc_obj *o, struct ipc_mq *q)
{
	fprintf(f, "mq count=%u bytes=%llu skip=%u ", q->count, (unsigned long long)q->bytes,
		q->skip);
	if (o->type == IPC_PIPE)
		fprintf(f, "readers=%u writers=%u opens=%u,%u ", q->readers, q->writers,
			q->opens[0], q->opens[1]);
	for (ref_t r = q->head; r; r = msg_at(o, r)->next)
		message(f, o, r);
	fputc('\n', f);
}

static void leases(FILE *f, struct ipc_obj *o, const char *name, struct ipc_list *l)
{
	LIST_EACH(o, l, r) {
		struct ipc_lease *e = AT(o, ipc_lease, r);

		fprintf(f, "%s of %u ", name, index_of(o, e->handle));
		message(f, o, e->msg);
		fputc('\n', f);
	}
}

static bool delay(void *arg, struct ipc_obj *o, ref_t r)
{
	fprintf(arg, "delayed rank=%u ", delay_at(o, r)->above.rank);
	message(arg, o, delay_at(o, r)->msg);
	fputc('\n', arg);
	return true;
}

static void node(FILE *f, struct ipc_obj *o, ref_t r)
{
	struct ipc_node *n = node_at(o, r);

	fprintf(f, "node %llu in %llu cookie=%llu type=%u mode=%o %u:%u active=%u %s found=%d\n",
		(unsigned long long)n->id, (unsigned long long)n->parent,
		(unsigned long long)n->cookie, n->type, n->mode, n->uid, n->gid, n->active, n->name,
		names_find(o, n->parent, n->name, n->name_len) == r);
	if (n->type != IPC_DIR) {
		if (n->stats)
			fprintf(f, " puts=%llu gets=%llu\n",
				(unsigned long long)names_stats(o, r)->puts,
				(unsigned long long)names_stats(o, r)->gets);
		return;
	}
	fprintf(f, " entries=%u subdirs=%u:", AT(o, ipc_dir, n->dir)->entries,
		AT(o, ipc_dir, n->dir)->subdirs);
	for (ref_t e = 0; (e = names_next(o, r, e));)
		fprintf(f, " %s", node_at(o, e)->name);
	fputc('\n', f);
}

static void names(FILE *f, struct ipc_obj *o)
{
	struct ipc_mount *m = &o->h->b.mount;

	fprintf(f, "next %llu %llu %u objects=%llu\n", (unsigned long long)m->next_id,
		(unsigned long long)m->next_cookie, m->next_gen, (unsigned long long)m->objects);
	for (uint64_t id = 1; id < m->next_id; id++) {
		ref_t r = names_by_id(o, id);

		if (r)
			node(f, o, r);
	}
	LIST_EACH(o, &m->active, r)
		fprintf(f, "in use or without a name: %llu\n",
			(unsigned long long)node_at(o, r)->id);
	LIST_EACH(o, &m->aliases, r) {
		struct ipc_alias *a = AT(o, ipc_alias, r);

		fprintf(f, "alias of %llu %lld gen=%u tid=%u\n", (unsigned long long)a->nodeid,
			(long long)a->timeout, a->gen, a->tid);
	}
}

/* Where is what the fast word is made of? To be told apart from a lock without it is what it is not. */
static bool is_fast(const struct ipc_obj *o, size_t off)
{
	if (o->ops->count.at)
		return off + offsetof(struct ipc_header, b) == o->ops->count.at;
	return o->ops->leaving && off >= offsetof(struct ipc_sem, fast) &&
	       off < sizeof(struct ipc_sem);
}

/* The types without references in their bodies are told by their bytes. */
static void body(FILE *f, struct ipc_obj *o)
{
	struct ipc_queue *q = &o->h->b.queue;

	switch (o->type) {
	case IPC_QUEUE:
	case IPC_PIPE:
		messages(f, o, &q->mq[0]);
		messages(f, o, &q->mq[1]);
		fprintf(f,
			"max=%llu,%llu framing=%u closed=%u unfinished=%llu of %llu ended=%llu attempts=%llu ttr=%llu\n",
			(unsigned long long)q->maxsize, (unsigned long long)q->maxbytes, q->framing,
			q->closed, (unsigned long long)q->unfinished,
			(unsigned long long)queue_last_id(o), (unsigned long long)q->ended,
			(unsigned long long)q->max_attempts, (unsigned long long)q->ttr);
		leases(f, o, "lease", &q->leased);
		leases(f, o, "dead", &q->dead);
		delay_each(o, delay, f);
		break;
	case IPC_MOUNT:
		names(f, o);
		break;
	case IPC_VALUE:
		if (o->h->b.value.text)
			message(f, o, o->h->b.value.text);
		fprintf(f, " version=%llu typecode=%u\n", (unsigned long long)o->h->b.value.version,
			o->h->b.value.typecode);
		break;
	case IPC_RLOCK:
		fprintf(f, "value=%llu owner=%u\n", (unsigned long long)o->h->b.sem.value,
			index_of(o, o->h->b.sem.owner));
		break;
	default:
		for (size_t i = 0; i < sizeof(o->h->b) / 8; i++)
			if (((uint64_t *)&o->h->b)[i] && !is_fast(o, i * 8))
				fprintf(f, "body[%zu]=%llx\n", i,
					(unsigned long long)((uint64_t *)&o->h->b)[i]);
	}
}

static void handles(FILE *f, struct ipc_obj *o)
{
	LIST_EACH(o, &o->h->handles, r) {
		struct ipc_handle *hd = handle_at(o, r);

		fprintf(f,
			"handle gen=%u kind=%u flags=%x waiters=%u holds=%u leases=%u rests=%u poll=%x",
			hd->gen, hd->kind, hd->flags, hd->waiters, hd->holds, hd->leases, hd->rests,
			hd->poll_events);
		if (hd->line) {
			fputs(" line ", f);
			text_of(f, o, hd->line); /* (it has no number yet) */
		}
		answer(f, o, &hd->hand);
		fputc('\n', f);
	}
	LIST_EACH(o, &o->h->holds, r) {
		struct ipc_hold *hold = AT(o, ipc_hold, r);

		fprintf(f, "hold of %u op=%u count=%u pid=%u\n", index_of(o, hold->handle),
			hold->op, hold->count, hold->pid);
	}
}

/* (How often somebody had to wait, or was woken, may be more after a death.) */
static void counts(FILE *f, struct ipc_obj *o)
{
	struct ipc_counts c;

	ipc_counts(o, &c);
	fprintf(f,
		"puts=%lld gets=%lld bytes=%lld,%lld locks=%lld waits=%llu wakes=%llu timeouts=%llu cancels=%llu\n",
		(long long)c.puts, (long long)c.gets, (long long)c.bytes_put,
		(long long)c.bytes_got, (long long)c.locks, (unsigned long long)c.waits,
		(unsigned long long)c.wakes, (unsigned long long)c.timeouts,
		(unsigned long long)c.cancels);
}

char *obj_dump(struct ipc_obj *o)
{
	char *text = NULL, name[24];
	size_t len;
	FILE *f = open_memstream(&text, &len);

	body(f, o);
	counts(f, o);
	handles(f, o);
	waiters(f, o, "granted", &o->h->granted);
	waiters(f, o, "woken", &o->h->woken);
	waiters(f, o, "rests", &o->h->rests);
	for (int i = 0; i < IPC_WAITQS; i++) {
		snprintf(name, sizeof(name), "line %d", i);
		waiters(f, o, name, &o->h->waitqs[i]);
	}
	fclose(f);
	return text;
}
