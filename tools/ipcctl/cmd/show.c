// SPDX-License-Identifier: MIT
/* ipcctl show: all about one object, or about a mount. */
#include <string.h>

#include "ipcctl.h"
#include "object.h"
#include "print/screen.h"

enum { SHOW_KEY, SHOW_VALUE, SHOW_KIND, N_SHOW };

static const struct column show_columns[N_SHOW] = {
	[SHOW_KEY] = { "KEY", COLUMN_TEXT, 0, "its name, as in NAME.ctl/" },
	[SHOW_VALUE] = { "VALUE", COLUMN_TEXT, COLUMN_CUT, "its current value" },
	[SHOW_KIND] = { "KIND", COLUMN_TEXT, 0, "setting (writing changes it) or fact" },
};

enum { BESIDE_FACT, BESIDE_FACT_VALUE, BESIDE_SETTING, BESIDE_SETTING_VALUE, N_BESIDE };

static const struct column beside_columns[N_BESIDE] = {
	[BESIDE_FACT] = { "FACT", COLUMN_TEXT, 0, "" },
	[BESIDE_FACT_VALUE] = { "VALUE", COLUMN_TEXT, COLUMN_CUT, "" },
	[BESIDE_SETTING] = { "SETTING", COLUMN_TEXT, 0, "" },
	[BESIDE_SETTING_VALUE] = { "VALUE", COLUMN_TEXT, COLUMN_CUT, "" },
};

static bool is_bytes(const char *key)
{
	static const char *const keys[] = {
		"memory", "bytes", "maxbytes", "memory_limit", "message_limit",
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!strcmp(key, keys[i]))
			return true;
	}
	return false;
}

static char *value_cell(const struct fact *fact, const struct table_options *o)
{
	char *readable CLEANUP(free_string) = NULL;
	uint64_t n;

	if (o->raw || o->bytes || !is_bytes(fact->key) || parse_u64(fact->value, &n) || n < 1024)
		return xstrdup(fact->value);
	readable = format_bytes(n);
	return str("%s (%s)", fact->value, readable);
}

static void print_facts(const struct target *t, const struct facts *facts,
			const struct table_options *o)
{
	struct table table CLEANUP(table_free) = { .columns = show_columns, .n_columns = N_SHOW };

	for (size_t i = 0; i < facts->n; i++) {
		char **row = table_add(&table);

		row[SHOW_KEY] = xstrdup(facts->list[i].key);
		row[SHOW_VALUE] = value_cell(&facts->list[i], o);
		row[SHOW_KIND] =
			xstrdup(target_is_setting(t, facts->list[i].key) ? "setting" : "fact");
	}
	table_print(&table, o, stdout);
}

/* For one screen: facts on the left and settings on the right. How many lines. */
static size_t print_beside(const struct target *t, const struct facts *facts,
			   const struct table_options *o)
{
	struct table table CLEANUP(table_free) = { .columns = beside_columns,
						   .n_columns = N_BESIDE };
	size_t n[2] = { 0, 0 };

	for (size_t i = 0; i < facts->n; i++) {
		bool right = target_is_setting(t, facts->list[i].key);
		size_t r = n[right]++;
		char **row = r < table.n_rows ? table.rows[r].cells : table_add(&table);

		row[right ? BESIDE_SETTING : BESIDE_FACT] = xstrdup(facts->list[i].key);
		row[right ? BESIDE_SETTING_VALUE : BESIDE_FACT_VALUE] =
			value_cell(&facts->list[i], o);
	}
	for (size_t r = 0; r < table.n_rows; r++) {
		for (size_t c = 0; c < N_BESIDE; c++) {
			if (!table.rows[r].cells[c])
				table.rows[r].cells[c] = xstrdup(" ");
		}
	}
	table_print(&table, o, stdout);
	return table.n_rows + !o->no_headings;
}

/*
 * Every line of an object's list names the same object, so text leaves it out. `room`: lines that
 * are left on the screen; 0: all.
 */
static void print_who(const struct target *t, const char *title, struct table *who,
		      const struct table_options *o, size_t room)
{
	struct table_options options = *o;
	size_t left_out = 0;

	for (size_t c = 0; c < N_WHO; c++) {
		if (who_columns[c].flags & COLUMN_EXTRA ||
		    (c == WHO_OBJECT && t->kind == TARGET_OBJECT))
			continue;
		options.chosen[options.n_chosen++] = c;
	}
	if (!who->n_rows)
		return;
	for (; room && who->n_rows > room; left_out++)
		table_drop(who);
	printf("\n%s:\n", title);
	table_print(who, &options, stdout);
	if (left_out)
		printf("and %zu more\n", left_out);
}

/* Half of what is left of the screen for each list that has lines, but never less than 3 lines. */
static void print_one_screen(const struct target *t, const struct facts *facts,
			     struct table *waiters, struct table *holders,
			     const struct table_options *o)
{
	const size_t around = 5; /* an empty line, title, headings, "and more", and the prompt */
	size_t used = print_beside(t, facts, o);
	size_t lists = !!waiters->n_rows + !!holders->n_rows, room;

	room = screen.height > used ? (screen.height - used) / (lists ? lists : 1) : 0;
	room = room > around + 3 ? room - around : 3;
	print_who(t, "Waiters", waiters, o, room);
	print_who(t, "Holders", holders, o, room);
}

static void print_json(const struct target *t, const struct facts *facts,
		       const struct table *waiters, const struct table *holders)
{
	const struct table_options o = { .json = true };
	struct json_object *all = json_object_new_object(), *status = json_object_new_object(),
			   *settings = json_object_new_array();

	for (size_t i = 0; i < facts->n; i++) {
		const struct fact *f = &facts->list[i];

		json_object_object_add(status, f->key, json_value(f->value));
		if (target_is_setting(t, f->key))
			json_object_array_add(settings, json_text(f->key));
	}
	json_object_object_add(all, "name", json_text(t->name));
	json_object_object_add(all, "status", status);
	json_object_object_add(all, "settings", settings);
	json_object_object_add(all, "waiters", table_json(waiters, &o));
	json_object_object_add(all, "holders", table_json(holders, &o));
	json_print(all);
}

static int show(const char *path, const struct table_options *o)
{
	struct target t CLEANUP(target_close) = TARGET_INIT;
	struct facts facts CLEANUP(facts_free) = { .n = 0 };
	struct table waiters CLEANUP(table_free) = { .columns = who_columns, .n_columns = N_WHO };
	struct table holders CLEANUP(table_free) = { .columns = who_columns, .n_columns = N_WHO };
	int r = target_open(path, &t);

	if (r < 0) {
		target_complain(path, r);
		return r;
	}
	r = facts_read(t.ctl, "status", &facts);
	if (r >= 0)
		r = who_read(&t, "waiters", &waiters);
	if (r >= 0)
		r = who_read(&t, "holders", &holders);
	if (r < 0) {
		complain(path, "%s", r == -EIO ? "damaged (see the daemon's log)" : strerror(-r));
		return r;
	}
	if (o->json) {
		print_json(&t, &facts, &waiters, &holders);
		return 0;
	}
	if (screen.height && !o->raw) {
		print_one_screen(&t, &facts, &waiters, &holders, o);
		return 0;
	}
	print_facts(&t, &facts, o);
	print_who(&t, "Waiters", &waiters, o, 0);
	print_who(&t, "Holders", &holders, o, 0);
	return 0;
}

static int run_show(const struct command *cmd, int argc, char **argv)
{
	struct table_options options = { .json = false };
	int c;

	while ((c = next_option(cmd, argc, argv)) != -1)
		table_option(cmd, &options, c);
	if (optind + 1 != argc)
		usage_error(cmd, "needs one name");
	return show(argv[optind], &options) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const struct opt show_options[] = {
	{ 'J', "json", NULL, "JSON" },
	{ 'r', "raw", NULL, "one blank between columns, nothing rounded, for scripts" },
	{ 'b', "bytes", NULL, "sizes in bytes only" },
	{ OPT_NO_HEADINGS, "noheadings", NULL, "print no headings" },
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_show = {
	.name = "show",
	.args = "NAME|MOUNT",
	.summary = "Shows an object's state and settings, its waiters and its holders",
	.options = show_options,
	.columns = show_columns,
	.n_columns = N_SHOW,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_show,
};
