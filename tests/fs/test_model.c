/* SPDX-License-Identifier: MIT */
/*
 * Writers, readers, lease workers and lock users at random, interrupted and with the worker dying
 * at random points: every line arrives exactly once and each writer's in order, no permit is lost
 * and a lock has one holder. Every other time there are also readers that close in the middle of a
 * line, which then comes again, and later than others. The seed decides everything (IPCFS_SEED).
 */
#include <errno.h>

#include "crash.h"

#define WRITERS  4
#define READERS  4
#define LEASERS  2
#define NIBBLERS 2
#define LOCKERS  3
#define LINES    4000

static unsigned int seed;

static unsigned int any(unsigned int n)
{
	return (unsigned int)rand_r(&seed) % n;
}

/* Nothing was done: a signal, or on an old kernel the end of the worker. */
static bool sent_away(const struct request *r)
{
	return r->error == -EINTR || (k.old && r->error == -ECONNABORTED);
}

/* ---- lines ---- */

static struct writer {
	struct file f;
	rq req;
	char text[64];
	unsigned int next; /* the number of the next line to put */
} writers[WRITERS];

static struct reader {
	struct file f, ack;
	rq req, ack_req;
	unsigned int last[WRITERS]; /* number + 1 of the last line it got of each */
	char id[16];
} readers[READERS + LEASERS];

static struct nibbler {
	struct file f;
	rq req, closing;
	bool open;
	char text[64]; /* what it has of its line */
	size_t len;
} nibblers[NIBBLERS];

static unsigned int n_nibblers, put_back;

static unsigned char came[WRITERS][LINES];

static void line_came(struct reader *r, const char *s)
{
	unsigned int w, n;

	if (sscanf(s, "%u %u\n", &w, &n) != 2 || w >= WRITERS || n >= LINES)
		test_fail(__FILE__, __LINE__, "\"%s\" is no line that was written", s);
	if (came[w][n]++)
		test_fail(__FILE__, __LINE__, "writer %u's line %u came twice", w, n);
	/* What was given back comes again later. */
	if (r && n < r->last[w] && !n_nibblers)
		test_fail(__FILE__, __LINE__, "writer %u's line %u came after %u", w, n,
			  r->last[w] - 1);
	if (r)
		r->last[w] = n + 1;
}

static void write_some(struct writer *w)
{
	unsigned int n = 1 + any(3), me = (unsigned int)(w - writers);

	if (w->req || w->next + n >= LINES)
		return;
	*w->text = 0;
	for (unsigned int i = 0; i < n; i++)
		sprintf(w->text + strlen(w->text), "%u %u\n", me, w->next + i);
	k.pid = 5000100 + me;
	w->req = q_put(&w->f, w->text);
}

static void wrote(struct writer *w)
{
	const struct request *r = &k.reqs[w->req];
	unsigned int n;

	if (!w->req || !r->answered)
		return;
	CHECK(r->error == 0 || sent_away(r));
	n = r->error ? 0 : ((struct fuse_write_out *)r->data)->size;
	CHECK(n <= strlen(w->text) && (n == 0 || w->text[n - 1] == '\n'));
	for (unsigned int i = 0; i < n; i++)
		w->next += w->text[i] == '\n';
	w->req = 0;
}

static void read_some(struct reader *r)
{
	bool leases = r >= readers + READERS;

	if (r->req || r->ack_req)
		return;
	k.pid = 5000200 + (unsigned int)(r - readers);
	if (leases && *r->id)
		r->ack_req = q_put(&r->ack, r->id);
	else
		r->req = q_read(&r->f);
}

static void did_read(struct reader *r)
{
	const struct request *q = &k.reqs[r->req], *a = &k.reqs[r->ack_req];

	if (r->ack_req && a->answered) {
		CHECK_INT(a->error, 0);
		r->ack_req = 0;
		*r->id = 0;
	}
	if (!r->req || !q->answered)
		return;
	r->req = 0;
	if (q->error) {
		CHECK(sent_away(q));
		return;
	}
	if (r >= readers + READERS) {
		size_t n = strcspn(q->data, "\t");

		CHECK(n < sizeof(r->id));
		memcpy(r->id, q->data, n);
		r->id[n] = 0;
		line_came(r, q->data + n + 1);
	} else {
		line_came(r, q->data);
	}
}

/* ---- readers that close in the middle of a line ---- */

/* With a worker that is not about to die. */
static void nibblers_open(void)
{
	for (struct nibbler *b = nibblers; b < nibblers + n_nibblers; b++)
		if (!b->open && !b->closing) {
			b->f = open_name("a.queue", RO);
			b->open = true;
			b->len = 0;
		}
}

static void nibble(struct nibbler *b)
{
	k.pid = 5000400 + (unsigned int)(b - nibblers);
	if (!b->open || b->req)
		return;
	if (b->len && any(2)) {
		b->closing = q_release(&b->f);
		b->open = false;
		put_back++;
		return;
	}
	/* No line is as short as what it reads first. */
	b->req = q_read_at(&b->f, b->len ? 40 : 1 + any(2), b->len);
}

static void did_nibble(struct nibbler *b)
{
	const struct request *r = &k.reqs[b->req];

	if (b->closing && k.reqs[b->closing].answered)
		b->closing = 0;
	if (!b->req || !r->answered)
		return;
	b->req = 0;
	if (r->error) {
		CHECK(sent_away(r));
		return;
	}
	CHECK(b->len + r->len < sizeof(b->text));
	memcpy(b->text + b->len, r->data, r->len);
	b->len += r->len;
	b->text[b->len] = 0;
	if (b->len < 3)
		return;
	line_came(NULL, b->text);
	b->closing = q_release(&b->f); /* (it would go on at a position behind the line) */
	b->open = false;
}

/* ---- a lock and a semaphore ---- */

static struct locker {
	struct file lock, sem;
	rq req, sem_req;
	bool has, wants;
} lockers[LOCKERS];

static void use_locks(struct locker *l)
{
	k.pid = 5000300 + (unsigned int)(l - lockers);
	if (!l->req) {
		l->wants = !l->has;
		l->req = q_flock(&l->lock, l->wants ? LOCK_EX : LOCK_UN);
	}
	if (!l->sem_req)
		l->sem_req = any(2) ? q_read(&l->sem) : q_put(&l->sem, "1\n1\n");
}

static int permits;

static void used_locks(struct locker *l)
{
	const struct request *r = &k.reqs[l->req], *s = &k.reqs[l->sem_req];

	if (l->req && r->answered) {
		CHECK(r->error == 0 || (l->wants && sent_away(r)));
		if (!r->error)
			l->has = l->wants;
		l->req = 0;
	}
	if (l->sem_req && s->answered) {
		CHECK(s->error == 0 || sent_away(s));
		if (!s->error)
			permits += s->opcode == FUSE_READ ? -1 : 2;
		l->sem_req = 0;
	}
}

/* ---- all of it ---- */

static void collect(void)
{
	unsigned int holders = 0;

	for (unsigned int i = 0; i < WRITERS; i++)
		wrote(&writers[i]);
	for (unsigned int i = 0; i < READERS + LEASERS; i++)
		did_read(&readers[i]);
	for (unsigned int i = 0; i < n_nibblers; i++)
		did_nibble(&nibblers[i]);
	for (unsigned int i = 0; i < LOCKERS; i++) {
		used_locks(&lockers[i]);
		holders += lockers[i].has;
	}
	CHECK(holders <= 1);
}

static void maybe_interrupt(rq n, unsigned int one_in)
{
	if (n && !k.reqs[n].answered && !k.reqs[n].interrupted && any(one_in) == 0)
		interrupt(n);
}

static void interrupt_some(unsigned int one_in)
{
	for (unsigned int i = 0; i < WRITERS; i++)
		maybe_interrupt(writers[i].req, one_in);
	for (unsigned int i = 0; i < READERS + LEASERS; i++)
		maybe_interrupt(readers[i].req, one_in);
	for (unsigned int i = 0; i < n_nibblers; i++)
		maybe_interrupt(nibblers[i].req, one_in);
	for (unsigned int i = 0; i < LOCKERS; i++) {
		if (lockers[i].wants)
			maybe_interrupt(lockers[i].req, one_in);
		maybe_interrupt(lockers[i].sem_req, one_in);
	}
}

static void begin(void)
{
	memset(writers, 0, sizeof(writers));
	memset(readers, 0, sizeof(readers));
	memset(lockers, 0, sizeof(lockers));
	memset(nibblers, 0, sizeof(nibblers));
	memset(came, 0, sizeof(came));
	put_back = 0;
	permits = 0;
	daemon_start();
	make("a.queue");
	make("a.lock");
	make("a.sem");
	CHECK_STR(say("a.queue.ctl/maxsize", "3"), "1");
	for (unsigned int i = 0; i < WRITERS; i++)
		writers[i].f = open_name("a.queue", WO);
	for (unsigned int i = 0; i < READERS + LEASERS; i++) {
		readers[i].f = open_name(i < READERS ? "a.queue" : "a.queue.ctl/lease", BOTH);
		readers[i].ack = open_name("a.queue.ctl/ack", WO);
	}
	for (unsigned int i = 0; i < LOCKERS; i++) {
		lockers[i].lock = open_name("a.lock", RO);
		lockers[i].sem = open_name("a.sem", BOTH);
	}
}

static void step(void)
{
	bool dies = any(4) == 0;

	nibblers_open();
	if (dies)
		daemon_fault(1 + any(400));
	for (unsigned int i = 3 + any(8); i > 0; i--)
		switch (any(n_nibblers ? 7 : 5)) {
		case 5:
		case 6:
			nibble(&nibblers[any(n_nibblers)]);
			break;
		case 0:
		case 1:
			write_some(&writers[any(WRITERS)]);
			break;
		case 2:
		case 3:
			read_some(&readers[any(READERS + LEASERS)]);
			break;
		default:
			use_locks(&lockers[any(LOCKERS)]);
		}
	interrupt_some(12);
	k_sync();
	if (daemon_died()) {
		if (any(3) == 0 && !k.old) /* there, one that two have died of is given up */
			daemon_fault_at_start(1 + any(100));
		daemon_restart();
	} else if (any(20) == 0) {
		daemon_kill_and_restart();
	}
	collect();
}

/* Nobody writes any more: what was put and not taken is there. */
static void settle_up(void)
{
	unsigned int outstanding = 1;

	for (unsigned int tries = 0; outstanding; tries++) {
		if (tries == 100)
			test_fail(__FILE__, __LINE__, "%u requests are never answered",
				  outstanding);
		outstanding = 0;
		interrupt_some(1);
		k_sync();
		collect();
		for (unsigned int i = 0; i < WRITERS; i++)
			outstanding += writers[i].req != 0;
		for (unsigned int i = 0; i < READERS + LEASERS; i++)
			outstanding += readers[i].req || readers[i].ack_req;
		for (unsigned int i = 0; i < n_nibblers; i++)
			outstanding += nibblers[i].req || nibblers[i].closing;
	}
	for (unsigned int i = 0; i < n_nibblers; i++)
		if (nibblers[i].open)
			f_release(&nibblers[i].f);
	for (const char *s = drain("a.queue"); *s; s = strchr(s, '\n') + 1)
		line_came(NULL, s);
	for (unsigned int w = 0; w < WRITERS; w++)
		for (unsigned int n = 0; n < LINES; n++)
			if (came[w][n] != (n < writers[w].next))
				test_fail(__FILE__, __LINE__, "writer %u's line %u came %u times",
					  w, n, came[w][n]);
	CHECK_INT(atoi(show_word("a.sem.ctl/value")), permits);
}

TEST(model_of_everything)
{
	const char *from = getenv("IPCFS_SEED");
	unsigned int first = from ? (unsigned int)atoi(from) : 1;

	for (unsigned int s = first; s < first + 3; s++) {
		daemon_clean();
		snprintf(test_where, sizeof(test_where), "seed %u: ", s);
		seed = s;
		if (s % 3 == 0)
			daemon_old_kernel();
		n_nibblers = s % 2 ? NIBBLERS : 0;
		begin();
		for (unsigned int i = 0; i < 400; i++)
			step();
		settle_up();
		/* It is no test if nothing happens. */
		CHECK(k.sh->restarts > 20 && writers[0].next > 50 &&
		      (!n_nibblers || put_back > 20));
		daemon_end();
	}
	*test_where = 0;
}
