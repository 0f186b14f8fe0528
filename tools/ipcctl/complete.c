// SPDX-License-Identifier: MIT
/*
 * What a shell may complete a word to: by the tables that --help prints, so a new command is
 * completed without anything done here. Its `args` and the name of an option's argument say what
 * belongs there: NAME, MOUNT, DIRECTORY, KEY=VALUE, PID, COMMAND; TYPES, STATES, COLUMNS, FRAMING.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "ipcctl.h"
#include "mounts.h"
#include "object.h"

#define PATIENCE (NSEC_PER_SEC) /* the user is waiting */

struct completion {
	const char *word;   /* what is being completed */
	const char *before; /* of it: what stays as it is */
	size_t n_before;
};

/* Offers BEFORE + TEXT + AFTER if that is how the word may go on. */
static void offer(const struct completion *c, const char *text, const char *after,
		  const char *description)
{
	const char *typed = c->word + c->n_before;

	if (strncmp(text, typed, strlen(typed)) || strpbrk(text, "\n\t"))
		return;
	printf("%.*s%s%s\t%s\n", (int)c->n_before, c->before, text, after, description);
}

/* The part of the word up to and including the last of these characters stays. */
static void keep_until(struct completion *c, const char *characters)
{
	for (size_t n = strlen(c->word); n > c->n_before; n--) {
		if (!strchr(characters, c->word[n - 1]))
			continue;
		c->before = c->word;
		c->n_before = n;
		return;
	}
}

static bool has_files(const char *name)
{
	char *ctl CLEANUP(free_string) = str("%s.ctl", name);

	return !access(ctl, F_OK);
}

/*
 * Directories and objects; the directory of its .ctl files, which is in no list, as soon as the dot
 * and its first letter stand there.
 */
static void offer_entry(const struct completion *c, const char *folder, const struct dirent *e)
{
	char *path CLEANUP(free_string) = str("%s%s", folder, e->d_name);
	const char *typed = c->word + c->n_before;
	const struct ipc_type *type = type_of(e->d_name);
	size_t n = strlen(e->d_name);
	struct stat st;

	guard_progress();
	if (e->d_name[0] == '.' && strncmp(typed, e->d_name, 2))
		return;
	if (type) {
		char *ctl CLEANUP(free_string) = str("%s.ctl", e->d_name);

		offer(c, e->d_name, "", type->name);
		if (!strncmp(typed, e->d_name, n) && !strncmp(typed + n, ".c", 2) &&
		    has_files(path))
			offer(c, ctl, "/", "its control files");
	} else if (!stat(path, &st) && S_ISDIR(st.st_mode)) {
		offer(c, e->d_name, "/", "directory");
	} else if (strstr(folder, ".ctl/")) {
		offer(c, e->d_name, "", "control file");
	}
}

static void offer_paths(struct completion c)
{
	char *folder CLEANUP(free_string) = NULL;
	DIR *dir;
	struct dirent *e;

	keep_until(&c, "/");
	folder = str("%.*s", (int)c.n_before, c.before);
	dir = opendir(*folder ? folder : ".");
	while (dir && (e = readdir(dir))) {
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			offer_entry(&c, folder, e);
	}
	if (dir)
		closedir(dir);
}

static void offer_mounts(const struct completion *c)
{
	struct mounts mounts CLEANUP(mounts_free) = { .n = 0 };

	if (mounts_read(&mounts) < 0)
		return;
	for (size_t i = 0; i < mounts.n; i++)
		offer(c, mounts.list[i].path, "/", "mount");
}

/* KEY=: the settings of the object, or of the mount, that is the first operand. */
static void offer_settings(const struct completion *c, const char *name)
{
	struct target t CLEANUP(target_close) = TARGET_INIT;
	struct facts settings CLEANUP(facts_free) = { .n = 0 };

	if (strchr(c->word, '=') || target_open(name, &t) < 0 || settings_read(&t, &settings) < 0)
		return;
	for (size_t i = 0; i < settings.n; i++)
		offer(c, settings.list[i].key, "=", settings.list[i].value);
}

/* Those who wait for the object. */
static void offer_pids(const struct completion *c, const char *name)
{
	struct target t CLEANUP(target_close) = TARGET_INIT;
	struct table who CLEANUP(table_free) = { .columns = who_columns, .n_columns = N_WHO };

	if (target_open(name, &t) < 0 || who_read(&t, "waiters", &who) < 0)
		return;
	for (size_t i = 0; i < who.n_rows; i++) {
		char **cells = who.rows[i].cells;

		if (cells[WHO_PID])
			offer(c, cells[WHO_PID], "", cells[WHO_COMMAND] ? cells[WHO_COMMAND] : "");
	}
	offer(c, "all", "", "everybody");
}

static void offer_types(const struct completion *c)
{
	for (uint32_t id = 0; id < IPC_DIR; id++) {
		const struct ipc_type *t = ipc_type_of(id);

		if (t)
			offer(c, t->name, "", t->suffix);
	}
}

static void offer_columns(const struct completion *c, const struct command *cmd)
{
	for (size_t i = 0; i < cmd->n_columns; i++) {
		char *name CLEANUP(free_string) = xstrdup(cmd->columns[i].name);

		for (char *p = name; *p; p++)
			*p |= *p >= 'A' && *p <= 'Z' ? 0x20 : 0;
		offer(c, name, "", cmd->columns[i].help);
	}
}

static void offer_argument(struct completion c, const struct command *cmd, const char *what)
{
	static const char *const framings[] = { "line", "null", "netstring", "record" };
	static const char *const states[] = { "broken",   "clear", "closed",  "damaged",
					      "empty",    "free",  "full",    "held",
					      "messages", "set",   "stalled", "waiting" };

	keep_until(&c, "+-,");
	if (!strcmp(what, "TYPES"))
		offer_types(&c);
	else if (!strcmp(what, "COLUMNS") || !strcmp(what, "COLUMN"))
		offer_columns(&c, cmd);
	for (size_t i = 0; i < ARRAY_SIZE(states) && !strcmp(what, "STATES"); i++)
		offer(&c, states[i], "", "state");
	for (size_t i = 0; i < ARRAY_SIZE(framings) && !strcmp(what, "FRAMING"); i++)
		offer(&c, framings[i], "", "framing");
	if (!strcmp(what, "DIRECTORY") || !strcmp(what, "FILE"))
		puts(":file");
}

static const struct opt *find_option(const struct command *cmd, const char *word)
{
	size_t n = strcspn(word, "=");

	for (const struct opt *o = cmd->options; o && o->code; o++) {
		if (word[1] == '-' ?
			    n == strlen(o->name) + 2 && !strncmp(word + 2, o->name, n - 2) :
			    o->code < OPT_LONG && word[1] == o->code && !word[2])
			return o;
	}
	return NULL;
}

static void offer_options(const struct completion *c, const struct command *cmd)
{
	for (const struct opt *o = cmd->options; o && o->code; o++) {
		char *name CLEANUP(free_string) = str("--%s", o->name);

		offer(c, name, o->arg ? "=" : "", o->help);
	}
	offer(c, "--help", "", "show this help");
}

static void offer_operand(const struct completion *c, const struct command *cmd, const char *first,
			  int n)
{
	const char *args = cmd->args;

	if (strstr(args, "COMMAND") && n >= 1) {
		puts(n == 1 ? ":command" : ":file");
		return;
	}
	if (n >= 1 && strstr(args, "KEY=VALUE"))
		offer_settings(c, first);
	else if (n >= 1 && strstr(args, "PID"))
		offer_pids(c, first);
	else if (n == 0 || strstr(args, "...") || strstr(args, "DIRECTORY"))
		offer_paths(*c);
	if (n == 0 && !*c->word)
		offer_mounts(c);
	if (strstr(args, "STATE") || strstr(args, " DIR") || !strncmp(args, "DIR ", 4))
		puts(":file");
}

/* `words` begins behind the command; the last one is being completed. */
static void complete_word(const struct command *cmd, int n, char **words)
{
	struct completion c = { .word = words[n - 1], .before = "" };
	const char *first = NULL;
	bool options = true;
	int operands = 0;

	for (int i = 0; i < n - 1; i++) {
		const struct opt *o;

		if (!strcmp(words[i], "--") && (options || operands == 1)) {
			options = false;
		} else if (options && words[i][0] == '-' && words[i][1]) {
			o = find_option(cmd, words[i]);
			if (!o || !o->arg || strchr(words[i], '='))
				continue;
			if (i == n - 2) {
				offer_argument(c, cmd, o->arg);
				return;
			}
			i++;
		} else {
			first = first ? first : words[i];
			operands++;
			options = options && !cmd->options_first;
		}
	}
	if (options && c.word[0] == '-') {
		const struct opt *o = strchr(c.word, '=') ? find_option(cmd, c.word) : NULL;

		keep_until(&c, "=");
		if (o && o->arg)
			offer_argument(c, cmd, o->arg);
		else
			offer_options(&c, cmd);
	} else {
		offer_operand(&c, cmd, first, operands);
	}
}

int print_completions(const struct command *const *commands, size_t n_commands, int n_words,
		      char **words)
{
	struct completion c = { .before = "" };

	if (n_words < 1)
		return EXIT_USAGE;
	guard_patience(PATIENCE);
	guard_start(GUARD_OUTPUT);
	if (n_words > 1 && strcmp(words[0], "help")) {
		for (size_t i = 0; i < n_commands; i++) {
			if (!strcmp(commands[i]->name, words[0]))
				complete_word(commands[i], n_words - 1, words + 1);
		}
		return EXIT_SUCCESS;
	}
	c.word = words[n_words - 1];
	for (size_t i = 0; i < n_commands; i++)
		offer(&c, commands[i]->name, "", commands[i]->summary);
	offer(&c, "help", "", "shows what a command does");
	offer(&c, "--help", "", "shows the commands");
	offer(&c, "--version", "", "shows the version");
	return EXIT_SUCCESS;
}
