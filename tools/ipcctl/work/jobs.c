// SPDX-License-Identifier: MIT
#include "work/jobs.h"

#include <dirent.h>

#include "object.h"

#define LARGEST ((size_t)1 << 40)

static const char *state_color(const char *state)
{
	return !strcmp(state, "leased")                           ? "green" :
	       !strcmp(state, "dead") || !strcmp(state, "failed") ? "red" :
								    NULL;
}

const struct column jobs_columns[N_JOB] = {
	[JOB_ID] = { "ID", COLUMN_NUMBER, 0, "the ID of the message" },
	[JOB_STATE] = { "STATE", COLUMN_TEXT, 0,
			"ready, leased, delayed, dead; of results: done, failed", state_color },
	[JOB_ATTEMPT] = { "ATTEMPT", COLUMN_NUMBER, 0, "how often it was leased" },
	[JOB_AGE] = { "AGE", COLUMN_NUMBER, 0, "seconds since it was put" },
	[JOB_PID] = { "PID", COLUMN_NUMBER, 0, "the process that leased it" },
	[JOB_SECONDS] = { "SECONDS", COLUMN_NUMBER, 0, "since it was leased, or as it took" },
	[JOB_EXIT] = { "EXIT", COLUMN_NUMBER, 0, "the exit status of its last attempt" },
	[JOB_MESSAGE] = { "MESSAGE", COLUMN_TEXT, COLUMN_CUT, "the message" },
};

static bool asked_for(const struct jobs *j, const char *id)
{
	for (size_t i = 0; i < j->n_ids; i++) {
		if (!strcmp(j->ids[i], id))
			return true;
	}
	return !j->n_ids;
}

static int by_id(const void *a, const void *b)
{
	const struct job_place *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

char **jobs_row(const struct jobs *j, const char *id)
{
	struct job_place wanted, *found;

	if (!j->n_places || parse_u64(id, &wanted.id) < 0)
		return NULL;
	found = bsearch(&wanted, j->places, j->n_places, sizeof(wanted), by_id);
	return found ? j->table.rows[found->row].cells : NULL;
}

/* From here on jobs_row() finds what was added. */
static void sort_places(struct jobs *j)
{
	size_t n = j->table.n_rows;

	j->places = xrealloc(j->places, (n + 1) * sizeof(*j->places));
	for (size_t i = 0; i < n; i++) {
		j->places[i].row = i;
		if (parse_u64(j->table.rows[i].cells[JOB_ID], &j->places[i].id) < 0)
			j->places[i].id = UINT64_MAX;
	}
	qsort(j->places, n, sizeof(*j->places), by_id);
	j->n_places = n;
}

bool jobs_in_state(const struct jobs *j, const char *id, const char *state)
{
	char **row = jobs_row(j, id);

	return row && !strcmp(row[JOB_STATE], state);
}

void jobs_add_id(struct jobs *j, char *id)
{
	j->ids = xrealloc(j->ids, (j->n_ids + 1) * sizeof(*j->ids));
	j->ids[j->n_ids++] = id;
}

void jobs_free(struct jobs *j)
{
	for (size_t i = 0; i < j->n_ids; i++)
		free(j->ids[i]);
	free(j->ids);
	free(j->places);
	table_free(&j->table);
}

/* ---- reading ---- */

/* The next field, or the rest of the line for the last one. NULL: there is none. */
static char *field(char **line, bool last)
{
	return last ? *line : strsep(line, "\t");
}

static int each_line(struct jobs *j, const char *file, void (*fn)(struct jobs *j, char *line))
{
	struct buf text CLEANUP(buf_free) = { .data = NULL };
	int r = read_file_at(j->ctl, file, 0, LARGEST, &text);
	char *rest = text.data, *line;

	if (r < 0)
		return r;
	while ((line = strsep(&rest, "\n"))) {
		if (*line)
			fn(j, line);
	}
	return 0;
}

static char **add(struct jobs *j, const char *id, const char *state)
{
	char **row = table_add(&j->table);

	row[JOB_ID] = xstrdup(id);
	row[JOB_STATE] = xstrdup(state);
	return row;
}

/* ID, age, attempt, state, message */
static void add_listed(struct jobs *j, char *line)
{
	char *id = field(&line, false), *age = field(&line, false);
	char *attempt = field(&line, false), *state = field(&line, false);
	char **row;

	if (!state || !line || !asked_for(j, id))
		return;
	row = add(j, id, state);
	row[JOB_AGE] = xstrdup(age);
	row[JOB_ATTEMPT] = xstrdup(attempt);
	row[JOB_MESSAGE] = xstrdup(line);
}

/* ID, attempt, seconds, pid, message */
static void add_lease(struct jobs *j, char *line)
{
	char *id = field(&line, false), *attempt = field(&line, false);
	char *seconds = field(&line, false), *pid = field(&line, false);
	char **row = pid ? jobs_row(j, id) : NULL;

	if (!row || strcmp(row[JOB_STATE], "leased"))
		return;
	(void)attempt;
	row[JOB_SECONDS] = xstrdup(seconds);
	row[JOB_PID] = xstrdup(pid);
}

/* ID, message */
static void add_dead(struct jobs *j, char *line)
{
	char *id = field(&line, false);

	if (line && asked_for(j, id))
		add(j, id, "dead")[JOB_MESSAGE] = xstrdup(line);
}

int jobs_read(struct jobs *j)
{
	int r;

	table_free(&j->table);
	j->table = (struct table){ .columns = jobs_columns, .n_columns = N_JOB };
	r = each_line(j, "list", add_listed);
	if (r == 0)
		r = each_line(j, "dead", add_dead);
	sort_places(j);
	return r < 0 ? r : each_line(j, "leased", add_lease);
}

/* DIR/ID/status and message, of one that is not in the queue any more or is a dead letter. */
static void add_result(struct jobs *j, int dir, const char *id)
{
	char *status CLEANUP(free_string) = str("%s/status", id);
	char *file CLEANUP(free_string) = str("%s/message", id);
	struct facts facts CLEANUP(facts_free) = { .n = 0 };
	struct buf message CLEANUP(buf_free) = { .data = NULL };
	char **row = jobs_row(j, id);
	const char *code;

	if (!asked_for(j, id) || facts_read(dir, status, &facts) < 0)
		return;
	code = facts_get(&facts, "exit");
	if (!code || (row && strcmp(row[JOB_STATE], "dead")))
		return;
	if (!row) {
		row = add(j, id, strcmp(code, "0") ? "failed" : "done");
		if (read_file_at(dir, file, 0, LARGEST, &message) == 0)
			row[JOB_MESSAGE] = buf_steal(&message);
	}
	row[JOB_EXIT] = xstrdup(code);
	if (facts_get(&facts, "seconds"))
		row[JOB_SECONDS] = xstrdup(facts_get(&facts, "seconds"));
}

int jobs_read_results(struct jobs *j, const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		if (e->d_name[0] != '.')
			add_result(j, dirfd(dir), e->d_name);
	}
	closedir(dir);
	sort_places(j);
	return 0;
}
