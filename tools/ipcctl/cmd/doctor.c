// SPDX-License-Identifier: MIT
/* ipcctl doctor: what this machine offers ipcfs, what it lacks, and how to fix it. */
#include "ipcctl.h"

#include <string.h>

#include "doctor/doctor.h"

enum { DOCTOR_RESULT, DOCTOR_CHECK, DOCTOR_FOUND, DOCTOR_CURE, N_DOCTOR };

static const char *verdict_color(const char *verdict)
{
	return !strcmp(verdict, "ok") ? "green" : !strcmp(verdict, "warn") ? "yellow" : "red";
}

static const struct column doctor_columns[N_DOCTOR] = {
	[DOCTOR_RESULT] = { "RESULT", COLUMN_TEXT, 0, "ok, warn (works with limits) or fail",
			    verdict_color },
	[DOCTOR_CHECK] = { "CHECK", COLUMN_TEXT, 0, "what was checked" },
	[DOCTOR_FOUND] = { "FOUND", COLUMN_TEXT, 0, "what is there, and what that means" },
	[DOCTOR_CURE] = { "CURE", COLUMN_TEXT, COLUMN_BELOW, "what to do about it" },
};

static const char *const verdicts[] = {
	[VERDICT_OK] = "ok",
	[VERDICT_WARN] = "warn",
	[VERDICT_FAIL] = "fail",
};

void finding(struct table *t, enum verdict verdict, const char *check, char *found, char *cure)
{
	char **row = table_add(t);

	row[DOCTOR_RESULT] = xstrdup(verdicts[verdict]);
	row[DOCTOR_CHECK] = xstrdup(check);
	row[DOCTOR_FOUND] = found;
	row[DOCTOR_CURE] = cure;
}

static size_t count(const struct table *t, enum verdict verdict)
{
	size_t n = 0;

	for (size_t r = 0; r < t->n_rows; r++)
		n += !strcmp(t->rows[r].cells[DOCTOR_RESULT], verdicts[verdict]);
	return n;
}

static int run_doctor(const struct command *cmd, int argc, char **argv)
{
	struct table t CLEANUP(table_free) = { .columns = doctor_columns, .n_columns = N_DOCTOR };
	struct table_options options = { .no_headings = true };
	struct json_object *json;
	size_t failed;
	int c;

	while ((c = next_option(cmd, argc, argv)) != -1)
		table_option(cmd, &options, c);
	if (argc - optind > 1)
		usage_error(cmd, "takes at most one mount point");
	doctor_kernel(&t);
	doctor_fuse(&t);
	doctor_machine(&t);
	doctor_sync(&t);
	doctor_mounts(&t, argv[optind]);
	failed = count(&t, VERDICT_FAIL);
	if (options.json) {
		json = json_object_new_object();
		json_object_object_add(json, "ok", json_object_new_boolean(!failed));
		json_object_object_add(json, "checks", table_json(&t, &options));
		json_print(json);
	} else {
		table_print(&t, &options, stdout);
		if (!options.raw)
			printf("\n%zu ok, %zu warnings, %zu failures\n", count(&t, VERDICT_OK),
			       count(&t, VERDICT_WARN), failed);
	}
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const struct opt doctor_options[] = {
	{ 'J', "json", NULL, "JSON" },
	{ 'r', "raw", NULL, "one blank between columns, for scripts" },
	{ 'o', "output", "COLUMNS", "print these columns, separated by commas" },
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_doctor = {
	.name = "doctor",
	.args = "[MOUNT]",
	.summary = "Checks what this machine offers to ipcfs, and its mounts",
	.details = "Changes nothing. It waits 2 seconds for a mount to answer.\n"
		   "Exit status: 0, or 1 if a check failed (warnings do not count).\n",
	.options = doctor_options,
	.columns = doctor_columns,
	.n_columns = N_DOCTOR,
	.usage_status = EXIT_USAGE,
	.run = run_doctor,
};
