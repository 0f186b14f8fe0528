/* SPDX-License-Identifier: MIT */
/* Values and arrays; and numbers as text. */
#include <inttypes.h>
#include <poll.h>
#include <sys/file.h>

#include "object/answer.h"
#include "object/hand.h"
#include "object/waiter.h"
#include "object/number.h"
#include "test.h"

/* "+=5", "-=5", "cas A B", or a text. */
static int set(struct ipc_obj *o, ref_t h, const char *text)
{
	struct ipc_call c = call_new(h, OP_WRITE);
	struct ipc_cmd cmd = { .verb = CMD_TEXT, .text = text };
	const char *space;
	int r;

	if (text[0] && text[1] == '=') {
		cmd = (struct ipc_cmd){ .verb = CMD_PLUS,
					.text = text + 2,
					.n = *text == '-' ? -1 : 1 };
	} else if (!strncmp(text, "cas ", 4)) {
		space = strrchr(text, ' ');
		cmd = (struct ipc_cmd){ .verb = CMD_CAS,
					.old = text + 4,
					.old_len = (size_t)(space - text) - 4,
					.text = space + 1 };
	}
	cmd.text_len = strlen(cmd.text);
	r = ipc_give(o, &c, &cmd);
	ipc_pump(o);
	return r;
}

static int add(struct ipc_obj *o, ref_t h, int64_t n)
{
	return give(o, h, CMD_PLUS, n);
}

static const char *text_of(struct ipc_obj *o)
{
	static char buf[IPC_VALUE_MAX + 1];

	buf[ipc_value_text(o, buf, IPC_VALUE_MAX)] = 0;
	return buf;
}

TEST(value_text)
{
	struct ipc_obj *o = obj_new(IPC_VALUE);
	ref_t a = h_open(o), r = h_new(o, HANDLE_OBJECT, R, HANDLE_POSITION);
	static char large[IPC_VALUE_MAX + 2];

	CHECK_STR(get(o, r), "\n");
	CHECK_INT(ipc_size(o), 0);
	CHECK_INT(set(o, a, "hello, world"), 0);
	CHECK_INT(ipc_size(o), 12);
	CHECK_STR(get(o, r), "hello, world\n");
	CHECK_INT(set(o, a, ""), 0);
	CHECK_STR(get(o, r), "\n");
	memset(large, 'x', IPC_VALUE_MAX + 1);
	CHECK_INT(set(o, a, large), -EMSGSIZE);
	large[IPC_VALUE_MAX] = 0;
	CHECK_INT(set(o, a, large), 0);
	CHECK_INT(strlen(get(o, r)), IPC_VALUE_MAX + 1);
	CHECK_INT(give(o, a, CMD_SET, 1), -EINVAL);
	CHECK_INT(ipc_poll(o, a), POLLIN | POLLOUT);
}

TEST(value_plus)
{
	struct ipc_obj *o = obj_new(IPC_VALUE);
	ref_t a = h_open(o);

	CHECK_INT(set(o, a, "+=5"), 0);
	CHECK_STR(text_of(o), "5");
	CHECK_INT(set(o, a, "-=7"), 0);
	CHECK_STR(text_of(o), "-2");
	CHECK_INT(add(o, a, INT64_MIN), -ERANGE);
	CHECK_INT(add(o, a, INT64_MAX), 0);
	CHECK_STR(text_of(o), "9223372036854775805");
	CHECK_INT(set(o, a, "+=3"), -ERANGE);
	CHECK_INT(set(o, a, "+=x"), -EINVAL);
	CHECK_STR(text_of(o), "9223372036854775805");
	CHECK_INT(set(o, a, "0.1"), 0);
	CHECK_INT(set(o, a, "+=0.2"), 0);
	CHECK_STR(text_of(o), "0.30000000000000004");
	CHECK_INT(set(o, a, "1.5"), 0);
	CHECK_INT(set(o, a, "+=1"), 0);
	CHECK_STR(text_of(o), "2.5");
	CHECK_INT(set(o, a, "word"), 0);
	CHECK_INT(set(o, a, "+=1"), -EINVAL);
	CHECK_STR(text_of(o), "word");
}

TEST(value_cas)
{
	struct ipc_obj *o = obj_new(IPC_VALUE);
	ref_t a = h_open(o);

	CHECK_INT(set(o, a, "cas 1 2"), -EAGAIN);
	CHECK_INT(set(o, a, "cas 0 2"), 0); /* an empty one counts as 0 */
	CHECK_INT(set(o, a, "cas 2 x"), 0);
	CHECK_INT(set(o, a, "cas 2 y"), -EAGAIN);
	CHECK_STR(text_of(o), "x");
	CHECK_INT(set(o, a, "1"), 0);
	CHECK_INT(ipc_value_typecode(o, 0, 'd'), 0);
	CHECK_INT(set(o, a, "cas 1.0 2.50"), 0); /* numbers, not texts */
	CHECK_STR(text_of(o), "2.5");
	CHECK_INT(set(o, a, "cas 2.5 z"), -EINVAL);
}

TEST(value_typecode)
{
	struct ipc_obj *o = obj_new(IPC_VALUE);
	ref_t a = h_open(o);

	CHECK_INT(ipc_value_typecode(o, 0, 'z'), -EINVAL);
	CHECK_INT(ipc_value_typecode(o, 0, 'B'), 0);
	CHECK_STR(text_of(o), "0");
	CHECK_INT(set(o, a, "+=255"), 0);
	CHECK_INT(set(o, a, "+=1"), -ERANGE);
	CHECK_INT(set(o, a, "256"), -ERANGE);
	CHECK_INT(set(o, a, "-1"), -ERANGE);
	CHECK_INT(set(o, a, "1.0"), -EINVAL);
	CHECK_INT(set(o, a, "+=0.5"), -EINVAL);
	CHECK_INT(set(o, a, ""), -EINVAL);
	CHECK_INT(set(o, a, " +007 "), 0);
	CHECK_STR(text_of(o), "7");
	CHECK_INT(ipc_value_typecode(o, 0, 'f'), 0);
	CHECK_INT(set(o, a, "0.1"), 0);
	CHECK_STR(text_of(o), "0.1");
	CHECK_INT(set(o, a, "1e39"), -ERANGE);
	CHECK_INT(ipc_value_typecode(o, 0, 'i'), -EINVAL);
	CHECK_INT(ipc_value_typecode(o, 0, 0), 0);
	CHECK_INT(set(o, a, "18446744073709551615"), 0);
	CHECK_INT(ipc_value_typecode(o, 0, 'q'), -ERANGE);
	CHECK_INT(ipc_value_typecode(o, 0, 'Q'), 0);
	CHECK_INT(set(o, a, "-=1"), 0);
	CHECK_STR(text_of(o), "18446744073709551614");
}

/* What its own write made, whatever others wrote since, and before what it had not read yet. */
TEST(value_own)
{
	struct ipc_obj *o = obj_new(IPC_VALUE);
	ref_t a = h_open(o), b = h_open(o), w = h_new(o, HANDLE_OBJECT, W, 0);
	struct ipc_handle *hd = handle_at(o, a);

	CHECK_INT(set(o, a, "+=1"), 0);
	CHECK_INT(set(o, b, "+=1"), 0);
	CHECK_INT(set(o, w, "+=1"), 0);
	CHECK_INT(handle_at(o, w)->hand.kind, ANSWER_NONE);
	CHECK_INT(answer_left(&hd->hand), 2);
	CHECK_STR(in_hand(o, a), "1\n");
	CHECK_STR(in_hand(o, b), "2\n");
	ipc_advance(o, hd, 1);
	CHECK_INT(set(o, a, "+=10"), 0); /* instead of the rest */
	CHECK_INT(hd->hand.off, 0);
	CHECK_STR(in_hand(o, a), "13\n");
	CHECK_INT(set(o, a, "+=x"), -EINVAL); /* a refused one changes nothing */
	CHECK_STR(in_hand(o, a), "13\n");
	CHECK_INT(set(o, a, "13"), 0); /* the same text again */
	CHECK_STR(in_hand(o, a), "13\n");
	CHECK_INT(set(o, b, "14"), 0);
	CHECK_STR(get(o, a), "14\n");
}

TEST(value_changed)
{
	struct ipc_obj *o = obj_new(IPC_VALUE);
	ref_t a = h_open(o), c = h_new(o, HANDLE_CHANGED, R, HANDLE_POSITION), d, w;

	CHECK_STR(get(o, c), "!EAGAIN");
	CHECK_INT(ipc_poll(o, c), 0);
	w = get_waits(o, c, OP_READ, 1);
	CHECK_INT(waiter_at(o, w)->op, OP_CHANGED);
	CHECK_INT(set(o, a, ""), 0); /* no change */
	CHECK_STR(finish(o, w), "!WAITS");
	CHECK_INT(set(o, a, "1"), 0);
	CHECK_INT(set(o, a, "2"), 0); /* the answer is what it was then */
	CHECK_STR(finish(o, w), "1\n");
	CHECK_INT(ipc_poll(o, c), POLLIN);
	d = h_new(o, HANDLE_CHANGED, RW, 0);
	CHECK_STR(get(o, c), "2\n");
	CHECK_STR(get(o, c), "!EAGAIN");
	CHECK_STR(get(o, d), "!EAGAIN");
	w = get_waits(o, d, OP_READ, 2);
	CHECK_STR(leave(o, w, -ETIMEDOUT), "!ETIMEDOUT");
	CHECK_INT(set(o, a, "3"), 0);
	close_it(o, a);
	CHECK_STR(get(o, d), "3\n");
}

TEST(value_lock)
{
	struct ipc_obj *o = obj_new(IPC_VALUE), *p = obj_new(IPC_ARRAY);
	ref_t a = h_open(o), b = h_open(o), w;

	CHECK_INT(lock_it(o, a, LOCK_EX), 0);
	CHECK_INT(set(o, b, "1"), 0); /* advisory, as flock(2) is */
	w = lock_waits(o, b, LOCK_SH, 1);
	CHECK_INT(lock_it(o, a, LOCK_UN), 0);
	CHECK_STR(finish(o, w), "0");
	CHECK_INT(lock_it(o, a, LOCK_EX), -EAGAIN);

	a = h_open(p);
	b = h_open(p);
	CHECK_INT(lock_it(p, a, LOCK_EX), 0);
	w = lock_waits(p, b, LOCK_EX, 1);
	close_it(p, a);
	CHECK_STR(finish(p, w), "0");
	CHECK_INT(p->h->b.array.typecode, 'B');
	ipc_setting64(p, &p->h->b.array.length, 12345);
	CHECK_INT(ipc_size(p), 12345);
	CHECK_INT(ipc_poll(p, b), POLLIN | POLLOUT);
}

/* Who wants to know what came of it as a whole number is refused where there is none. */
TEST(value_plus_whole)
{
	struct ipc_obj *o = obj_new(IPC_VALUE);
	ref_t a = h_open(o);
	struct ipc_cmd cmd = { .verb = CMD_PLUS, .n = 1 };
	struct ipc_call c = call_new(a, OP_WRITE);

	c.whole = true;
	CHECK_INT(set(o, a, "41.5"), 0);
	CHECK_INT(ipc_give(o, &c, &cmd), 0);
	CHECK_INT(c.got.number, 42);
	CHECK_STR(text_of(o), "42.5");
	CHECK_INT(set(o, a, "1e300"), 0);
	CHECK_INT(ipc_give(o, &c, &cmd), -ERANGE);
	CHECK_STR(text_of(o), "1e300");
	CHECK_INT(ipc_value_typecode(o, 0, 'd'), 0);
	CHECK_INT(set(o, a, "nan"), 0);
	CHECK_INT(ipc_give(o, &c, &cmd), -EINVAL);
	CHECK_STR(text_of(o), "nan");
	CHECK_INT(set(o, a, "0"), 0);
	CHECK_INT(ipc_value_typecode(o, 0, 'Q'), 0);
	CHECK_INT(set(o, a, "9223372036854775807"), 0);
	CHECK_INT(ipc_give(o, &c, &cmd), -ERANGE);
	CHECK_STR(text_of(o), "9223372036854775807");
	CHECK_INT(add(o, a, 1), 0);
	CHECK_STR(text_of(o), "9223372036854775808");
}

/* ---- numbers ---- */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *again(uint32_t code, const char *text)
{
	static char buf[NUMBER_TEXT_MAX];
	uint64_t item = 0;
	int r = number_parse(code, text, strlen(text), &item);

	if (r < 0)
		return error_text(r);
	CHECK_INT(number_print(code, &item, buf), strlen(buf));
	return buf;
}

TEST(number_table)
{
	static const struct {
		uint32_t code;
		const char *text, *printed;
	} t[] = {
		{ 'b', "-128", "-128" },
		{ 'b', "128", "!ERANGE" },
		{ 'B', "255", "255" },
		{ 'B', "-1", "!ERANGE" },
		{ 'h', "-32768", "-32768" },
		{ 'H', "65536", "!ERANGE" },
		{ 'i', "2147483647", "2147483647" },
		{ 'i', "2147483648", "!ERANGE" },
		{ 'I', "4294967295", "4294967295" },
		{ 'l', "-9223372036854775808", "-9223372036854775808" },
		{ 'l', "9223372036854775808", "!ERANGE" },
		{ 'L', "18446744073709551615", "18446744073709551615" },
		{ 'q', "-9223372036854775809", "!ERANGE" },
		{ 'Q', "18446744073709551616", "!ERANGE" },
		{ 'i', "", "!EINVAL" },
		{ 'i', "-", "!EINVAL" },
		{ 'i', "1 2", "!EINVAL" },
		{ 'i', "\t+5\n", "5" },
		{ 'i', "0x10", "!EINVAL" },
		{ 'i', "1e3", "!EINVAL" },
		{ 'd', "0.1", "0.1" },
		{ 'd', "1e22", "1e+22" },
		{ 'd', ".5", "0.5" },
		{ 'd', "5.", "5" },
		{ 'd', "1e", "!EINVAL" },
		{ 'd', ".", "!EINVAL" },
		{ 'd', "0x1p3", "!EINVAL" },
		{ 'd', "1e400", "!ERANGE" },
		{ 'd', "5e-324", "5e-324" },
		{ 'd', "-0.0", "-0" },
		{ 'd', "-Infinity", "-inf" },
		{ 'd', "nan", "nan" },
		{ 'd', "1,5", "!EINVAL" },
		{ 'd', "2.2250738585072014e-308", "2.2250738585072014e-308" },
		{ 'd', "1.7976931348623157e308", "1.7976931348623157e+308" },
		{ 'f', "0.1", "0.1" },
		{ 'f', "16777217", "16777216" },
		{ 'f', "3.5e38", "!ERANGE" },
		{ 'f', "1e-45", "1e-45" },
		{ 'f', "3.4028235e38", "3.4028235e+38" },
		{ 'c', "a", "a" },
		{ 'c', "ab", "!EINVAL" },
		{ 'c', "", "!EINVAL" },
		{ 'c', "\n", "\\x0a" },
		{ 'c', "\\xFF", "\\xff" },
		{ 'c', "\\", "\\x5c" },
		{ 'c', "\xff", "\\xff" },
		{ 'u', "\xc3\xa9", "\xc3\xa9" },
		{ 'u', "\xe2\x82\xac", "\xe2\x82\xac" },
		{ 'u', "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
		{ 'u', "\\U0001f600", "\xf0\x9f\x98\x80" },
		{ 'u', "\xc0\x80", "!EINVAL" },
		{ 'u', "\xed\xa0\x80", "!EINVAL" },
		{ 'u', "\xff", "!EINVAL" },
		{ 'u', " ", "\\U00000020" },
		{ 'u', "\\Udeadbeef", "\\Udeadbeef" },
		{ 'z', "1", "!EINVAL" },
		{ 1000, "1", "!EINVAL" },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		CHECK_STR(again(t[i].code, t[i].text), t[i].printed);
		if (*t[i].printed != '!')
			CHECK_STR(again(t[i].code, t[i].printed), t[i].printed);
	}
}

TEST(number_seconds)
{
	static const struct {
		const char *text;
		int r;
		int64_t ns;
	} table[] = {
		{ "0", 0, 0 },
		{ "1", 0, 1000000000 },
		{ "2.5", 0, 2500000000 },
		{ ".5", 0, 500000000 },
		{ "0.000000001", 0, 1 },
		{ "0.0000000019", 0, 2 },
		{ "0.00000000000000000001", 0, 1 },
		{ "0.5000000000", 0, 500000000 },
		{ "00", 0, 0 },
		{ "007", 0, 7000000000 },
		{ "1.", -EINVAL, 0 },
		{ ".", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
		{ "1.2.3", -EINVAL, 0 },
		{ "inf", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "1.5s", -EINVAL, 0 },
		{ "2,5", -EINVAL, 0 },
		{ "9000000000", 0, 9000000000000000000 },
		{ "9000000001", -EINVAL, 0 },
		{ "99999999999", -EINVAL, 0 },
		{ "18446744073709551616", -EINVAL, 0 },
		{ "9000000000.999999999", 0, 9000000000999999999 },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		int64_t ns = 0;
		int r = number_seconds(table[i].text, strlen(table[i].text), &ns);

		if (r != table[i].r || (r == 0 && ns != table[i].ns))
			test_fail(__FILE__, __LINE__, "\"%s\": %d, %" PRId64, table[i].text, r, ns);
	}
}

TEST(number_count)
{
	static const struct {
		const char *text;
		int r;
		uint64_t n;
	} table[] = {
		{ "0", 0, 0 },
		{ "7", 0, 7 },
		{ "0010", 0, 10 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "99999999999999999999999", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "1x", -EINVAL, 0 },
		{ "x", -EINVAL, 0 },
		{ "99999999999999999999999x", -EINVAL, 0 },
		{ "1\n", -EINVAL, 0 },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		uint64_t n = 0;
		int r = number_count(table[i].text, strlen(table[i].text), &n);

		if (r != table[i].r || (r == 0 && n != table[i].n))
			test_fail(__FILE__, __LINE__, "\"%s\": %d, %" PRIu64, table[i].text, r, n);
	}
}

TEST(number_int64)
{
	static const struct {
		const char *text;
		int r;
		int64_t n;
	} table[] = {
		{ "", 0, 0 },
		{ "\n", 0, 0 },
		{ "42", 0, 42 },
		{ " -7\n", 0, -7 },
		{ "+3", 0, 3 },
		{ "42.5", 0, 42 },
		{ "-42.9", 0, -42 },
		{ "1e3", 0, 1000 },
		{ ".5", 0, 0 },
		{ "9223372036854775807", 0, INT64_MAX },
		{ "-9223372036854775808", 0, INT64_MIN },
		{ "9223372036854775808", -ERANGE, 0 },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "1e19", -ERANGE, 0 },
		{ "-1e19", -ERANGE, 0 },
		{ "1e999", -ERANGE, 0 },
		{ "41,5", -EINVAL, 0 },
		{ "x", -EINVAL, 0 },
		{ "1x", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "inf", -EINVAL, 0 },
		{ "nan", -EINVAL, 0 },
		{ "1 2", -EINVAL, 0 },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		int64_t n = 0;
		int r = number_int64(table[i].text, strlen(table[i].text), &n);

		if (r != table[i].r || n != table[i].n)
			test_fail(__FILE__, __LINE__, "\"%s\": %d, %" PRId64, table[i].text, r, n);
	}
}

TEST(number_by_chance)
{
	char buf[NUMBER_TEXT_MAX];

	srand(3);
	for (unsigned int i = 0; i < 200000; i++) {
		uint64_t bits = (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand(),
			 back = 0;
		uint32_t code = (unsigned char)"cubBhHiIlLqQfd"[rand() % 14];
		size_t size = number_size(code), n;
		float f;
		double x;

		n = number_print(code, &bits, buf);
		CHECK(n && n < NUMBER_TEXT_MAX && strlen(buf) == n);
		CHECK_INT(number_parse(code, buf, n, &back), 0);
		memcpy(&f, &bits, sizeof(f));
		memcpy(&x, &bits, sizeof(x));
		if ((code == 'f' && f != f) || (code == 'd' && x != x))
			continue;
		if (memcmp(&bits, &back, size))
			test_fail(__FILE__, __LINE__, "%c: %llx printed as %s", (int)code,
				  (unsigned long long)bits, buf);
	}
}

TEST(number_garbage)
{
	static const char set_of[] = "0123456789+-.eExXinfaNU\\ \t\n\xff\xc3";
	char text[40], buf[NUMBER_TEXT_MAX];
	uint64_t item;

	srand(4);
	for (unsigned int i = 0; i < 200000; i++) {
		size_t len = (size_t)rand() % sizeof(text), cut = len ? (size_t)rand() % len : 0;
		uint32_t code = (unsigned char)"cubBhHiIlLqQfdz\0"[rand() % 16];

		for (size_t k = 0; k < len; k++)
			text[k] = set_of[(size_t)rand() % (sizeof(set_of) - 1)];
		if (number_parse(code, text, len, &item) == 0)
			CHECK(number_print(code, &item, buf) < NUMBER_TEXT_MAX);
		if (number_add(code, text, cut, text + cut, len - cut, rand() % 2, buf) == 0)
			CHECK(memchr(buf, 0, sizeof(buf)));
	}
}
