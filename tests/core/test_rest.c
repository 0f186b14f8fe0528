/* SPDX-License-Identifier: MIT */
/* Objects that nobody has open: what they cost, and which of them are as they were created. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/heap.h"
#include "test.h"

static int64_t file_size(const struct ipc_obj *o)
{
	struct stat st;
	char name[24];

	snprintf(name, sizeof(name), "%llu", (unsigned long long)o->id);
	CHECK_INT(fstatat(env.env.dirfd, name, &st, 0), 0);
	CHECK_INT(st.st_blocks * 512, st.st_size);
	return st.st_size;
}

/* It rests; the file has this many pages, and no more is accounted. */
static void rests_with(struct ipc_obj *o, uint64_t pages)
{
	int64_t others = env.used - (int64_t)heap_held(o);

	ipc_rest(o);
	heap_shrink(o);
	obj_ok(o, "at rest");
	CHECK_INT(file_size(o), pages * IPC_PAGE);
	CHECK_INT(env.used - others, pages * IPC_PAGE);
	CHECK_INT(o->pages, pages - 1);
}

static const uint32_t all[] = { IPC_QUEUE, IPC_PIPE, IPC_EVENT,   IPC_SEM,   IPC_LOCK,
				IPC_RLOCK, IPC_COND, IPC_BARRIER, IPC_VALUE, IPC_ARRAY };

/* Whatever was done with it that left nothing: it is blank, and goes on as one that is new. */
static void use(struct ipc_obj *o)
{
	ref_t a = h_open(o), b = h_open(o);

	if (ipc_is_stream(o->ops)) {
		for (int i = 0; i < 200; i++)
			CHECK_INT(put(o, a, "some message\n"), 13);
		for (int i = 0; i < 200; i++)
			get(o, b);
	}
	if (o->ops->flock && o->type != IPC_SEM) { /* (which has no permit to borrow) */
		CHECK_INT(lock_it(o, a, LOCK_EX), 0);
		CHECK_INT(lock_it(o, b, LOCK_EX | LOCK_NB), -EAGAIN);
	}
	ipc_attach(o, handle_at(o, b), 7, 7);
	close_it(o, a);
	close_it(o, b);
	/* (What was put is unfinished until somebody says that it is done.) */
	if (ipc_is(o, TYPE_JOIN))
		CHECK_INT(ipc_done(o, 0, 200), 0);
}

TEST(rest_leaves_the_header)
{
	for (unsigned int i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct ipc_obj *o = obj_new(all[i]);

		CHECK(ipc_is_blank(o, NULL));
		for (int again = 0; again < 3; again++) {
			use(o);
			CHECK(!ipc_is_stream(o->ops) || !ipc_is_blank(o, NULL));
			rests_with(o, 1);
			CHECK(ipc_is_blank(o, NULL));
			obj_unlock(o);
			CHECK_INT(obj_lock(o, -1), 0);
			CHECK(ipc_is_blank(o, NULL));
		}
	}
}

/* Something that stays, of each type. */
static void leave_something(struct ipc_obj *o, ref_t h)
{
	struct ipc_cmd text = { .verb = CMD_TEXT, .text = "a short text", .text_len = 12 };
	struct ipc_call c = call_new(h, OP_WRITE);

	if (ipc_is(o, TYPE_TEXT))
		CHECK_INT(ipc_give(o, &c, &text), 0);
	else if (ipc_is_stream(o->ops))
		CHECK_INT(put(o, h, "one short message, or the text\n"), 31);
	else if (o->type == IPC_EVENT)
		CHECK_INT(give(o, h, CMD_SET, 0), 0);
	else if (o->type == IPC_SEM)
		CHECK_INT(give(o, h, CMD_ADD, 1), 0);
	if (o->ops->flock && o->type != IPC_SEM)
		CHECK_INT(lock_it(o, h, LOCK_EX), 0);
}

/* Open, used, and with what it holds: the page of its header. */
TEST(used_objects_are_one_page)
{
	for (unsigned int i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct ipc_obj *o = obj_new(all[i]);
		ref_t a = h_open(o), b = h_open(o);

		leave_something(o, a);
		CHECK_INT(file_size(o), IPC_PAGE);
		obj_ok(o, "in use");
		close_it(o, a);
		close_it(o, b);
		rests_with(o, 1);
	}
}

/* A page for what does not fit in there, and no table. */
TEST(some_messages_are_two_pages)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	static char text[3000];
	ref_t h = h_open(o);

	memset(text, 'x', sizeof(text));
	text[1000] = '\n';
	CHECK_INT(put_bytes(o, h, text, 1001), 1001);
	CHECK_INT(file_size(o), 2 * IPC_PAGE);
	CHECK_INT(strlen(get(o, h)), 1001);
	close_it(o, h);
	rests_with(o, 1);
	h = h_open(o);
	for (int i = 0; i < 50; i++)
		CHECK_INT(put(o, h, "a short one\n"), 12);
	close_it(o, h);
	rests_with(o, 2);
	h = h_open(o);
	for (int i = 0; i < 50; i++)
		CHECK_STR(get(o, h), "a short one\n");
	close_it(o, h);
	rests_with(o, 1);
}

TEST(rest_not_while_open)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o);
	int64_t size = file_size(o);

	ipc_rest(o);
	heap_shrink(o);
	CHECK(file_size(o) <= size);
	CHECK(!ipc_is_blank(o, NULL));
	CHECK_INT(put(o, h, "x\n"), 2);
	CHECK_STR(get(o, h), "x\n");
}

TEST(rest_keeps_what_it_holds)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o);

	for (int i = 0; i < 100; i++)
		CHECK_INT(put(o, h, "to be taken before\n"), 19);
	CHECK_INT(put(o, h, "kept\n"), 5);
	for (int i = 0; i < 100; i++)
		get(o, h);
	close_it(o, h);
	ipc_rest(o);
	heap_shrink(o);
	obj_ok(o, "at rest");
	CHECK(file_size(o) <= 6 * IPC_PAGE);
	CHECK(!ipc_is_blank(o, NULL));
	h = h_open(o);
	CHECK_STR(get(o, h), "kept\n");
	close_it(o, h);
	rests_with(o, 1);
}

/* However much it has held. */
TEST(rest_of_one_that_was_large)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	static char big[60001];
	ref_t h = h_open(o);

	memset(big, 'x', 60000);
	big[60000] = '\n';
	for (int i = 0; i < 150; i++)
		CHECK_INT(put_bytes(o, h, big, sizeof(big)), sizeof(big));
	CHECK(o->h->pages > 2 * IPC_SEGMENT);
	for (int i = 0; i < 149; i++)
		get(o, h);
	heap_trim(o, true); /* with holes */
	get(o, h);
	close_it(o, h);
	rests_with(o, 1);
	h = h_open(o);
	for (int i = 0; i < 20; i++)
		CHECK_INT(put_bytes(o, h, big, sizeof(big)), sizeof(big));
	obj_ok(o, "grown again");
}

/* The one that died had cut the heap, and not the file. */
TEST(rest_after_a_death)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE), *other;
	char name[24];
	ref_t h;
	int fd;

	h = h_open(o);
	for (int i = 0; i < 200; i++)
		CHECK_INT(put(o, h, "some message\n"), 13);
	for (int i = 0; i < 200; i++)
		get(o, h);
	close_it(o, h);
	ipc_rest(o);
	heap_shrink(o);
	/* As long as it was, and with what was in it. */
	snprintf(name, sizeof(name), "%llu", (unsigned long long)o->id);
	fd = openat(env.env.dirfd, name, O_RDWR | O_CLOEXEC);
	CHECK_INT(ftruncate(fd, 40 * IPC_PAGE), 0);
	close(fd);
	obj_unlock(o);
	other = obj_again(o);
	memset(other->base + IPC_PAGE, 0xa5, 39 * IPC_PAGE);
	CHECK_INT(obj_lock(other, -1), 0);
	obj_ok(other, "with a longer file");
	h = h_open(other);
	for (int i = 0; i < 200; i++)
		CHECK_INT(put(other, h, "some message\n"), 13);
	obj_ok(other, "grown into it");
	close_it(other, h);
}

TEST(blank_is_what_its_defaults_say)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE), *e = obj_new(IPC_EVENT), *v = obj_new(IPC_VALUE);
	struct ipc_defaults record = { FRAMING_RECORD, TAKE_ANY }, look = { FRAMING_LINE, TAKE_RW };
	ref_t h;

	CHECK(!ipc_is_blank(o, &record));
	CHECK(!ipc_is_blank(o, &look));
	ipc_setting32(o, &o->h->b.queue.framing, FRAMING_RECORD);
	CHECK(ipc_is_blank(o, &record));
	CHECK(!ipc_is_blank(o, NULL));
	ipc_setting64(o, &o->h->b.queue.maxsize, 3);
	CHECK(!ipc_is_blank(o, &record));
	ipc_setting64(o, &o->h->b.queue.maxsize, 0);
	CHECK(ipc_is_blank(o, &record));
	ipc_setting32(e, &e->h->take, TAKE_RW);
	CHECK(!ipc_is_blank(e, NULL));
	CHECK(ipc_is_blank(e, &look));
	h = h_open(v);
	CHECK_INT(give(v, h, CMD_PLUS, 7), 0);
	close_it(v, h);
	ipc_rest(v);
	CHECK(!ipc_is_blank(v, NULL));
}

/* A file that is used again has nothing of what was in it. */
TEST(renewed_is_as_new)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE), *e = obj_new_reserve(IPC_EVENT, 16 << 20);
	uint32_t pages;
	ref_t h = h_open(o);

	for (int i = 0; i < 20; i++)
		CHECK_INT(put(o, h, "a secret\n"), 9);
	o->h->m.lock = 0;
	pages = o->pages;
	ipc_renew(o, o->id, &ipc_event_type, NULL);
	CHECK_INT(o->pages, pages);
	CHECK_INT(o->h->pages, pages);
	for (size_t i = 0; i + 6 < IPC_PAGE * (1 + (size_t)pages); i++)
		CHECK(memcmp(o->base + i, "secret", 6));
	o->locked = false;
	CHECK_INT(obj_lock(o, -1), 0);
	obj_ok(o, "renewed");
	CHECK(!memcmp(&o->h->b, &e->h->b, sizeof(o->h->b)));
	h = h_open(o);
	CHECK_INT(give(o, h, CMD_SET, 0), 0);
	CHECK_INT(o->pages, pages); /* no more was needed */
	close_it(o, h);
}

TEST(made_and_mapped)
{
	struct ipc_obj *o = calloc(1, sizeof(*o));
	int64_t used = env.used;
	uint32_t pages;
	ref_t h;

	CHECK(o);
	CHECK_INT(ipc_make(&env.env, env.env.dirfd, "99", 99, &ipc_pipe_type, 16 << 20, NULL, o),
		  0);
	CHECK_INT(env.used - used, IPC_PAGE);
	CHECK_INT(obj_lock(o, -1), 0);
	obj_ok(o, "made");
	pages = o->h->pages;
	h = h_open(o);
	CHECK_INT(put(o, h, "text"), 4);
	CHECK_INT(o->h->pages, pages);
	obj_ok(o, "used");
	obj_unlock(o);
	CHECK_INT(ipc_make(&env.env, env.env.dirfd, "99", 99, &ipc_pipe_type, 16 << 20, NULL, o),
		  -EEXIST);
	obj_unmap(o);
	free(o);
	env.limit = env.used + IPC_PAGE - 1;
	o = calloc(1, sizeof(*o));
	used = env.used;
	CHECK_INT(ipc_make(&env.env, env.env.dirfd, "98", 98, &ipc_pipe_type, 16 << 20, NULL, o),
		  -ENOSPC);
	CHECK_INT(faccessat(env.env.dirfd, "98", F_OK, 0), -1);
	CHECK_INT(env.used, used);
	free(o);
	CHECK_INT(unlinkat(env.env.dirfd, "99", 0), 0);
}
