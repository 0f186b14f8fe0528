/* SPDX-License-Identifier: MIT */
#include "kernel.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

struct kernel k = { .fd = -1, .worker_fd = -1, .pidfd = -1 };

#define LARGEST (2u << 20)

int k_patience(void)
{
	return (int)patience(30) * 1000;
}

/* ---- sending ---- */

static void transmit(const struct request *r)
{
	while (send(k.fd, r->msg, r->msg_len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno != EAGAIN)
			test_fail(__FILE__, __LINE__, "send of %zu bytes: %s", r->msg_len,
				  strerror(errno));
		/* The worker may be waiting for us to take its answers. */
		if (!k_receive(k_patience()))
			test_fail(__FILE__, __LINE__, "the worker reads no more");
	}
}

rq k_next(void)
{
	return k.n ? k.n : 1;
}

/* Takes over `msg`. */
static rq add(char *msg, size_t len)
{
	struct fuse_in_header *h = (struct fuse_in_header *)msg;
	rq n = k_next();

	if (n >= k.cap) {
		k.cap = k.cap ? 2 * k.cap : 1024;
		k.reqs = realloc(k.reqs, k.cap * sizeof(*k.reqs));
		CHECK(k.reqs);
		k.reqs[0] = (struct request){ .answered = true };
	}
	k.reqs[n] = (struct request){ .opcode = h->opcode, .msg = msg, .msg_len = len };
	k.n = n + 1;
	h->unique = 2 * (uint64_t)n;
	/* The kernel numbers an INTERRUPT after its request, and waits for no answer. */
	if (h->opcode == FUSE_INTERRUPT)
		h->unique = ((struct fuse_interrupt_in *)(h + 1))->unique | 1;
	if (h->opcode == FUSE_INTERRUPT || h->opcode == FUSE_FORGET ||
	    h->opcode == FUSE_BATCH_FORGET || h->opcode == FUSE_NOTIFY_REPLY)
		k.reqs[n].answered = true;
	transmit(&k.reqs[n]);
	return n;
}

rq k_send_raw(void *msg, size_t len)
{
	char *copy = malloc(len);

	CHECK(copy && len >= sizeof(struct fuse_in_header));
	memcpy(copy, msg, len);
	return add(copy, len);
}

rq k_send(uint32_t opcode, uint64_t nodeid, const void *body, size_t len, const void *more,
	  size_t more_len)
{
	struct fuse_in_header h = {
		.len = (uint32_t)(sizeof(h) + len + more_len),
		.opcode = opcode,
		.nodeid = nodeid,
		.uid = k.uid,
		.gid = getegid(),
		.pid = k.pid,
	};
	char *msg = malloc(h.len);

	CHECK(msg);
	memcpy(msg, &h, sizeof(h));
	if (len)
		memcpy(msg + sizeof(h), body, len);
	if (more_len)
		memcpy(msg + sizeof(h) + len, more, more_len);
	return add(msg, h.len);
}

void k_resend(rq n)
{
	struct request *r = &k.reqs[n];
	struct fuse_in_header *h = (struct fuse_in_header *)r->msg;

	CHECK(r->msg && !r->answered);
	if (!r->unread) {
		r->resent = true;
		h->unique |= RESENT;
	}
	r->unread = false;
	transmit(r);
	if (r->interrupted) {
		struct fuse_interrupt_in in = { .unique = h->unique };

		k_send(FUSE_INTERRUPT, 0, &in, sizeof(in), NULL, 0);
	}
}

void k_resend_all(void)
{
	rq end = k.n; /* without the INTERRUPTs that this adds */

	for (rq n = 1; n < end; n++) /* those that a worker had, before those that none had */
		if (!k.reqs[n].answered && !k.reqs[n].unread && !k.old)
			k_resend(n);
	for (rq n = 1; n < end; n++)
		if (!k.reqs[n].answered && k.reqs[n].unread)
			k_resend(n);
}

void k_gone(rq n)
{
	CHECK(!k.worker && !k.reqs[n].answered);
	k.reqs[n].answered = true;
}

void k_take_unread(void)
{
	static char buf[LARGEST];
	struct fuse_in_header *h = (struct fuse_in_header *)buf;

	while (recv(k.worker_fd, buf, sizeof(buf), MSG_DONTWAIT) > 0) {
		rq n = (rq)((h->unique & ~RESENT) / 2);

		if (h->opcode != FUSE_INTERRUPT && n < k.n && !k.reqs[n].answered)
			k.reqs[n].unread = !(h->unique & RESENT);
	}
}

/* ---- receiving ---- */

static void notification(const struct fuse_out_header *h, const char *body, size_t len)
{
	switch (h->error) {
	case FUSE_NOTIFY_POLL:
		CHECK_INT(len, sizeof(uint64_t));
		if (k.n_polls == 16)
			return; /* a fuzz does not look */
		memcpy(&k.polls[k.n_polls++], body, sizeof(uint64_t));
		return;
	case FUSE_NOTIFY_INVAL_INODE: {
		struct fuse_notify_inval_inode_out out;

		CHECK_INT(len, sizeof(out));
		memcpy(&out, body, sizeof(out));
		CHECK(out.off < 0); /* attributes alone: with data the kernel may wait for us */
		k.invalid = out.ino;
		k.n_invalid++;
		return;
	}
	case FUSE_NOTIFY_INVAL_ENTRY:
		CHECK(len > sizeof(struct fuse_notify_inval_entry_out));
		CHECK(len - sizeof(struct fuse_notify_inval_entry_out) <= sizeof(k.expired));
		strcpy(k.expired, body + sizeof(struct fuse_notify_inval_entry_out));
		return;
	case 7: /* FUSE_NOTIFY_RESEND */
		CHECK_INT(len, 0);
		k.resends++;
		return;
	default:
		test_fail(__FILE__, __LINE__, "notification %d", h->error);
	}
}

static void store(const struct fuse_out_header *h, const char *body, size_t len)
{
	rq n = (rq)((h->unique & ~RESENT) / 2);
	struct request *r = &k.reqs[n];

	if (h->unique & 1) { /* an INTERRUPT came before its request: try again */
		CHECK_INT(h->error, -EAGAIN);
		k.again++;
		return;
	}
	if (!n || n >= k.n)
		test_fail(__FILE__, __LINE__, "an answer to request %u, which was never made", n);
	if (r->answered && (k.old || r->opcode == FUSE_INIT))
		return; /* the new worker cannot know that it was: ENOENT, no harm */
	if (r->answered)
		test_fail(__FILE__, __LINE__, "request %u (opcode %u) is answered twice", n,
			  r->opcode);
	CHECK_INT(!!(h->unique & RESENT), r->resent);
	CHECK(h->error <= 0 && h->error > -512); /* else the kernel refuses it */
	CHECK(!h->error || !len);
	r->answered = true;
	r->error = h->error;
	r->len = len;
	r->data = malloc(len + 1);
	CHECK(r->data);
	memcpy(r->data, body, len);
	r->data[len] = 0;
}

/* One message, if there is one. */
static bool take_one(void)
{
	static char buf[LARGEST];
	struct fuse_out_header *h = (struct fuse_out_header *)buf;
	ssize_t n = recv(k.fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0)
		return false;
	CHECK(n >= (ssize_t)sizeof(*h));
	CHECK_INT(h->len, n);
	if (h->unique)
		store(h, buf + sizeof(*h), (size_t)n - sizeof(*h));
	else
		notification(h, buf + sizeof(*h), (size_t)n - sizeof(*h));
	return true;
}

bool k_receive(int ms)
{
	struct pollfd p[2] = { { k.fd, POLLIN, 0 }, { k.worker ? k.pidfd : -1, POLLIN, 0 } };

	if (take_one())
		return true;
	poll(p, 2, ms);
	return take_one();
}

const struct request *k_answer(rq n)
{
	while (!k.reqs[n].answered)
		if (!k_receive(k_patience()))
			test_fail(__FILE__, __LINE__, "no answer to request %u (opcode %u)%s", n,
				  k.reqs[n].opcode, daemon_died() ? ": the worker is dead" : "");
	return &k.reqs[n];
}

void k_sync(void)
{
	struct fuse_getattr_in in = { 0 };
	rq n = k_send(FUSE_GETATTR, FUSE_ROOT_ID, &in, sizeof(in), NULL, 0);

	while (!k.reqs[n].answered && !daemon_died())
		if (!k_receive(k_patience()) && !daemon_died())
			test_fail(__FILE__, __LINE__, "the worker does not answer");
}

bool k_answered(rq n)
{
	if (!k.reqs[n].answered && !daemon_died())
		k_sync();
	return k.reqs[n].answered;
}

static void request_free(struct request *r)
{
	free(r->data);
	free(r->msg);
	r->data = r->msg = NULL;
}

void k_forget_answered(void)
{
	for (rq n = 1; n < k.n; n++)
		if (k.reqs[n].answered)
			request_free(&k.reqs[n]);
}

void k_free(void)
{
	for (rq n = 1; n < k.n; n++)
		request_free(&k.reqs[n]);
	free(k.reqs);
	k.reqs = NULL;
	k.n = k.cap = 0;
}
