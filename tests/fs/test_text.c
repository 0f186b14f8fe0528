/* SPDX-License-Identifier: MIT */
/* Text and commands: tables, and whatever else may come. */
#include <inttypes.h>

#include "object/command.h"
#include "kernel.h"
#include "object/number.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

TEST(text_limit)
{
	static const struct {
		const char *text;
		int r;
		int64_t ns;
	} table[] = {
		{ "0", 0, 0 },         { "2.5", 0, 2500000000 },   { "inf", 0, INT64_MAX },
		{ "Inf", -EINVAL, 0 }, { "infinity", -EINVAL, 0 }, { "in", -EINVAL, 0 },
		{ "", -EINVAL, 0 },    { "-1", -EINVAL, 0 },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		int64_t ns = 0;
		int r = text_limit(table[i].text, strlen(table[i].text), &ns);

		if (r != table[i].r || (r == 0 && ns != table[i].ns))
			test_fail(__FILE__, __LINE__, "\"%s\": %d, %" PRId64, table[i].text, r, ns);
	}
}

TEST(text_size)
{
	static const struct {
		const char *text;
		int r;
		uint64_t n;
	} table[] = {
		{ "0", 0, 0 },
		{ "4096", 0, 4096 },
		{ "1k", 0, 1024 },
		{ "1K", 0, 1024 },
		{ "1KB", 0, 1024 },
		{ "1KiB", 0, 1024 },
		{ "64M", 0, 64 << 20 },
		{ "2G", 0, 2ull << 30 },
		{ "3T", 0, 3ull << 40 },
		{ "100B", 0, 100 },
		{ "25%", 0, 250 },
		{ "100%", 0, 1000 },
		{ "101%", -EINVAL, 0 },
		{ "%", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "M", -EINVAL, 0 },
		{ "1X", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "1.5G", -EINVAL, 0 },
		{ "16777215T", 0, 16777215ull << 40 },
		{ "16777216T", -EINVAL, 0 },
		{ "99999999999999999999", -EINVAL, 0 },
		{ "B", -EINVAL, 0 },
		{ "iB", -EINVAL, 0 },
		{ "i", -EINVAL, 0 },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		uint64_t n = 0;
		int r = text_size(table[i].text, 1000, &n);

		if (r != table[i].r || (r == 0 && n != table[i].n))
			test_fail(__FILE__, __LINE__, "\"%s\": %d, %" PRIu64, table[i].text, r, n);
	}
	CHECK_INT(text_size("25%", 0, &(uint64_t){ 0 }), -EINVAL);
}

TEST(text_trim)
{
	static const struct {
		const char *text, *want;
	} table[] = {
		{ "", "" },       { " ", "" },      { "\n", "" },
		{ " a ", "a" },   { "a\r\n", "a" }, { "\t a b \n\n", "a b" },
		{ "\na", "\na" },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		const char *s = table[i].text;
		size_t len = strlen(s);
		char got[16];

		text_trim(&s, &len);
		snprintf(got, sizeof(got), "%.*s", (int)len, s);
		CHECK_STR(got, table[i].want);
	}
	/* A NUL is no blank. */
	{
		const char *s = "a\0";
		size_t len = 2;

		text_trim(&s, &len);
		CHECK_INT(len, 2);
	}
}

static void print_command(char *buf, size_t size, uint32_t type, const char *text, size_t len)
{
	static const char *const verbs[] = { "add",   "set",   "clear", "notify", "parties",
					     "reset", "abort", "text",  "plus",   "cas" };
	struct ipc_cmd c;
	const struct ipc_type *t = ipc_type_of(type);
	int r = t ? ipc_command(t, text, len, &c) : -EINVAL;

	if (r < 0)
		snprintf(buf, size, "%s", strerrorname_np(-r));
	else if (c.verb == CMD_CAS)
		snprintf(buf, size, "cas <%.*s> <%.*s>", (int)c.old_len, c.old, (int)c.text_len,
			 c.text);
	else if (c.text)
		snprintf(buf, size, "%s %" PRId64 " <%.*s>", verbs[c.verb], c.n, (int)c.text_len,
			 c.text);
	else
		snprintf(buf, size, "%s %" PRId64, verbs[c.verb], c.n);
}

TEST(text_commands)
{
	static const struct {
		uint32_t type;
		const char *text, *want;
	} table[] = {
		{ IPC_EVENT, "1", "set 0" },
		{ IPC_EVENT, "set\n", "set 0" },
		{ IPC_EVENT, " 0 ", "clear 0" },
		{ IPC_EVENT, "clear", "clear 0" },
		{ IPC_EVENT, "", "EINVAL" },
		{ IPC_EVENT, "2", "EINVAL" },
		{ IPC_EVENT, "settle", "EINVAL" },
		{ IPC_SEM, "", "add 1" },
		{ IPC_SEM, "\n", "add 1" },
		{ IPC_SEM, "3\n", "add 3" },
		{ IPC_SEM, "0", "add 0" },
		{ IPC_SEM, "-1", "EINVAL" },
		{ IPC_SEM, "x", "EINVAL" },
		{ IPC_SEM, "release", "EINVAL" },
		{ IPC_SEM, "9223372036854775807", "ERANGE" },
		{ IPC_SEM, "9223372036854775806", "add 9223372036854775806" },
		{ IPC_SEM, "99999999999999999999", "ERANGE" },
		{ IPC_LOCK, "release", "add 1" },
		{ IPC_LOCK, "", "add 1" },
		{ IPC_RLOCK, "2", "add 2" },
		{ IPC_COND, "", "notify 1" },
		{ IPC_COND, "5", "notify 5" },
		{ IPC_COND, "all\n", "notify 9223372036854775807" },
		{ IPC_COND, "some", "EINVAL" },
		{ IPC_BARRIER, "4", "parties 4" },
		{ IPC_BARRIER, "reset", "reset 0" },
		{ IPC_BARRIER, "abort\n", "abort 0" },
		{ IPC_BARRIER, "", "EINVAL" },
		{ IPC_VALUE, "hello\n", "text 0 <hello>" },
		{ IPC_VALUE, "", "text 0 <>" },
		{ IPC_VALUE, " two words ", "text 0 < two words >" },
		{ IPC_VALUE, "a\nb\n", "text 0 <a\nb>" },
		{ IPC_VALUE, "+=1\n", "plus 1 <1>" },
		{ IPC_VALUE, "-= 2.5", "plus -1 <2.5>" },
		{ IPC_VALUE, "+=", "EINVAL" },
		{ IPC_VALUE, "+= ", "EINVAL" },
		{ IPC_VALUE, "+1", "text 0 <+1>" },
		{ IPC_VALUE, "cas 1 2", "cas <1> <2>" },
		{ IPC_VALUE, "cas  1   2\n", "cas <1> <2>" },
		{ IPC_VALUE, "cas 1", "EINVAL" },
		{ IPC_VALUE, "cas", "EINVAL" },
		{ IPC_VALUE, "cas 1 2 3", "EINVAL" },
		{ IPC_VALUE, "cascade", "text 0 <cascade>" },
		{ IPC_QUEUE, "x", "EINVAL" },
		{ IPC_ARRAY, "1", "EINVAL" },
		{ IPC_MOUNT, "1", "EINVAL" },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		char got[128];

		print_command(got, sizeof(got), table[i].type, table[i].text,
			      strlen(table[i].text));
		if (strcmp(got, table[i].want))
			test_fail(__FILE__, __LINE__, "type %u \"%s\": %s, not %s", table[i].type,
				  table[i].text, got, table[i].want);
	}
}

/* Bytes of a language that is nearly ours, in blocks of their own size: a sanitizer sees each over-read. */
TEST(text_fuzz)
{
	static const char *const parts[] = { "1",     "0",   "9",   ".",
					     "cas ",  " ",   "+=",  "-=",
					     "\n",    "all", "set", "release",
					     "abort", "\t",  "%",   "K",
					     "B",     "i",   "x",   "18446744073709551615",
					     "=",     "\r",  "cas" };
	unsigned int seed = 20;

	for (unsigned int i = 0; i < 300000; i++) {
		char text[256];
		size_t len = 0;
		struct ipc_cmd c;
		uint64_t n = 0;
		int64_t ns = 0;
		char *own;
		int r;

		for (int j = rand_r(&seed) % 7; j > 0; j--) {
			const char *p = parts[(unsigned int)rand_r(&seed) % COUNT(parts)];

			if (rand_r(&seed) % 16 == 0) {
				text[len++] = (char)rand_r(&seed);
				continue;
			}
			memcpy(text + len, p, strlen(p));
			len += strlen(p);
		}
		own = malloc(len + !len);
		CHECK(own);
		memcpy(own, text, len);
		r = ipc_command(ipc_type_of(1 + (uint32_t)rand_r(&seed) % IPC_ARRAY), own, len, &c);
		CHECK(r == 0 || r == -EINVAL || r == -ERANGE);
		if (r == 0 && c.text) {
			CHECK(c.text >= own && c.text + c.text_len <= own + len);
			CHECK(!c.old || (c.old >= own && c.old + c.old_len < c.text));
		}
		r = number_seconds(own, len, &ns);
		CHECK(r == 0 ? ns >= 0 : r == -EINVAL);
		r = number_count(own, len, &n);
		CHECK(r == 0 || r == -EINVAL || r == -ERANGE);
		free(own);
		text[len] = 0;
		r = text_size(text, 1 << 30, &n);
		CHECK(r == 0 || r == -EINVAL);
	}
}
