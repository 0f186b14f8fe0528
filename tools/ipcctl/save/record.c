// SPDX-License-Identifier: MIT
#include "save/record.h"

#include <inttypes.h>
#include <string.h>

#include "guard.h"

void record_begin(FILE *out, const char *kind, const uint64_t *numbers, size_t n_numbers,
		  size_t len)
{
	fputs(kind, out);
	for (size_t i = 0; i < n_numbers; i++)
		fprintf(out, " %" PRIu64, numbers[i]);
	fprintf(out, " %zu\n", len);
	guard_progress();
}

void record_end(FILE *out)
{
	putc('\n', out);
}

void record_text(FILE *out, const char *kind, const char *text)
{
	record_begin(out, kind, NULL, 0, strlen(text));
	fputs(text, out);
	record_end(out);
}

void record_number(FILE *out, const char *kind, uint64_t n)
{
	char *text CLEANUP(free_string) = str("%" PRIu64, n);

	record_text(out, kind, text);
}

/* KIND NUMBER... LENGTH; the length is the last number. */
static int parse_line(char *line, struct record *r, size_t *ret_len)
{
	char *save, *word = strtok_r(line, " ", &save);
	uint64_t len;

	if (!word || strlen(word) >= sizeof(r->kind))
		return -EBADMSG;
	strcpy(r->kind, word);
	r->n_numbers = 0;
	word = strtok_r(NULL, " ", &save);
	for (;;) {
		if (!word || parse_u64(word, &len) < 0)
			return -EBADMSG;
		word = strtok_r(NULL, " ", &save);
		if (!word)
			break;
		if (r->n_numbers == RECORD_NUMBERS)
			return -EBADMSG;
		r->number[r->n_numbers++] = len;
	}
	*ret_len = len;
	return 1;
}

int record_read(FILE *in, struct record *ret)
{
	char line[160], chunk[65536];
	size_t len, n;

	guard_progress();
	if (!fgets(line, sizeof(line), in))
		return ferror(in) ? -EIO : 0;
	n = strlen(line);
	if (line[n - 1] != '\n')
		return -EBADMSG;
	line[n - 1] = '\0';
	if (parse_line(line, ret, &len) < 0)
		return -EBADMSG;
	ret->bytes.len = 0;
	buf_add(&ret->bytes, "", 0);
	for (; len; len -= n) {
		n = fread(chunk, 1, len < sizeof(chunk) ? len : sizeof(chunk), in);
		if (!n)
			return ferror(in) ? -EIO : -EBADMSG;
		buf_add(&ret->bytes, chunk, n);
	}
	return getc(in) == '\n' ? 1 : -EBADMSG;
}

int record_value(const struct record *r, uint64_t *ret)
{
	return parse_u64(r->bytes.data, ret);
}
