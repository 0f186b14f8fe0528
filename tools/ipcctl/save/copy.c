// SPDX-License-Identifier: MIT
#include "save/copy.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "guard.h"
#include "object.h"
#include "save/engine.h"
#include "save/record.h"

#define VALUE_LIMIT 8192

static void save_owner(const struct stat *st, FILE *out)
{
	char *mode CLEANUP(free_string) = str("%04o", (unsigned int)st->st_mode & 07777);

	record_text(out, "mode", mode);
	record_number(out, "uid", st->st_uid);
	record_number(out, "gid", st->st_gid);
}

static int save_settings(const struct target *t, FILE *out)
{
	struct facts settings CLEANUP(facts_free) = { .n = 0 };
	int r = settings_read(t, &settings);

	for (size_t i = 0; r >= 0 && i < settings.n; i++) {
		const struct fact *f = &settings.list[i];
		char *pair CLEANUP(free_string) = str("%s=%s", f->key, f->value);

		/* Whether it is closed is copied with its messages, under one lock. */
		if (strcmp(f->key, "closed"))
			record_text(out, "setting", pair);
	}
	return r;
}

static int save_text(const struct target *t, FILE *out)
{
	struct buf b CLEANUP(buf_free) = { .data = NULL };
	int r = read_file_at(AT_FDCWD, t->name, O_NOFOLLOW, VALUE_LIMIT, &b);

	if (r < 0)
		return r;
	b.len -= b.len && b.data[b.len - 1] == '\n';
	record_begin(out, "text", NULL, 0, b.len);
	fwrite(b.data, 1, b.len, out);
	record_end(out);
	return 0;
}

/* As long as it was when it was opened, whatever happens to it meanwhile. */
static int save_data(const struct target *t, FILE *out)
{
	int fd CLEANUP(close_fd) = open(t->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
	char chunk[65536];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	record_begin(out, "data", NULL, 0, st.st_size);
	for (off_t at = 0; at < st.st_size;) {
		size_t want = st.st_size - at < (off_t)sizeof(chunk) ? (size_t)(st.st_size - at) :
								       sizeof(chunk);
		ssize_t n = pread(fd, chunk, want, at);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0) {
			memset(chunk, 0, want);
			n = want;
		}
		guard_progress();
		if (n > 0)
			at += fwrite(chunk, 1, n, out);
		if (ferror(out))
			return -EIO;
	}
	record_end(out);
	return 0;
}

/* What holders have travels with nobody: it is free in the copy. */
static int save_permits(const struct target *t, const struct facts *status, FILE *out)
{
	uint64_t n = facts_number(status, "value");
	int r = 0;

	if (facts_number(status, "holders") && t->type->traits & TYPE_LOCK)
		n = 1;
	else if (facts_number(status, "holders"))
		r = engine_permits(t, &n);
	if (r == 0)
		record_number(out, "permits", n);
	return r;
}

/* What takes no memory is as it was made: there is nothing in it, and it needs no engine file. */
static int save_messages(const struct target *t, FILE *out)
{
	struct facts status CLEANUP(facts_free) = { .n = 0 };
	struct facts stats CLEANUP(facts_free) = { .n = 0 };
	const char *memory;
	int r = facts_read(t->ctl, "status", &status);

	if (r < 0)
		return r;
	memory = facts_get(&status, "memory");
	if (!memory || strcmp(memory, "0"))
		return engine_save_messages(t, out);
	if (facts_read(t->ctl, "stats", &stats) == 0 && t->type->traits & TYPE_JOIN)
		record_number(out, "last-id", facts_number(&stats, "puts"));
	return 0;
}

static int save_content(const struct target *t, FILE *out)
{
	struct facts status CLEANUP(facts_free) = { .n = 0 };
	int r;

	if (ipc_is_stream(t->type))
		return save_messages(t, out);
	if (t->type->traits & TYPE_TEXT)
		return save_text(t, out);
	if (t->type->traits & TYPE_MEMORY)
		return save_data(t, out);
	r = facts_read(t->ctl, "status", &status);
	if (r < 0)
		return r;
	if (t->type->verbs & VERB(CMD_ADD))
		return save_permits(t, &status, out);
	if (t->type->verbs & VERB(CMD_SET))
		record_number(out, "set", facts_number(&status, "value"));
	if (t->type->verbs & VERB(CMD_ABORT))
		record_number(out, "broken", facts_number(&status, "broken"));
	return 0;
}

int save_object(const char *path, FILE *out)
{
	struct target t CLEANUP(target_close) = TARGET_INIT;
	struct stat st;
	int r = target_open(path, &t);

	if (r < 0)
		return r;
	if (lstat(t.name, &st) < 0)
		return -errno;
	fputs(SAVE_FIRST_LINE, out);
	record_text(out, "type", t.type->name);
	if (S_ISDIR(st.st_mode))
		record_text(out, "two-way", "1");
	save_owner(&st, out);
	r = save_settings(&t, out);
	if (r >= 0)
		r = save_content(&t, out);
	record_text(out, "end", "");
	return r < 0 ? r : ferror(out) ? -EIO : 0;
}

int save_directory(int fd, FILE *out)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	fputs(SAVE_FIRST_LINE, out);
	record_text(out, "type", "directory");
	save_owner(&st, out);
	record_text(out, "end", "");
	return ferror(out) ? -EIO : 0;
}
