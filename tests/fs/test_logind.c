/* SPDX-License-Identifier: MIT */
/* What systemd-logind would do, by its settings: the tree of a machine in a folder of the test's. */
#include "base/logind.h"

#include <ftw.h>
#include <sys/stat.h>

#include "runner.h"

static char root[64];

static void put_file(const char *path, const char *text)
{
	char full[256];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = 0;
		mkdir(full, 0755);
	}
	f = fopen(full, "w");
	CHECK(f);
	fputs(text, f);
	fclose(f);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void machine_end(void)
{
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void machine(void)
{
	strcpy(root, "/tmp/ipcfs-logind.XXXXXX");
	CHECK(mkdtemp(root));
	put_file("/run/systemd/system/x", "");
	put_file("/run/systemd/seats/x", "");
}

static bool removes(uid_t uid)
{
	return logind_removes(root, uid, "ada");
}

TEST(logind_where_it_runs)
{
	strcpy(root, "/tmp/ipcfs-logind.XXXXXX");
	CHECK(mkdtemp(root));
	CHECK(!removes(1000));
	put_file("/run/systemd/seats/x", ""); /* left from an installation, perhaps */
	CHECK(!removes(1000));
	put_file("/run/systemd/system/x", "");
	CHECK(removes(1000));
	machine_end();
}

TEST(logind_spares)
{
	machine();
	CHECK(!removes(0));
	CHECK(!removes(999));
	CHECK(removes(1000));
	put_file("/var/lib/systemd/linger/bob", "");
	CHECK(removes(1000));
	put_file("/var/lib/systemd/linger/ada", "");
	CHECK(!removes(1000));
	machine_end();
}

TEST(logind_settings)
{
	machine();
	put_file("/usr/lib/systemd/logind.conf", "[Login]\n#RemoveIPC=no\n#Other=yes\n");
	CHECK(!removes(1000)); /* the default that it was built with */
	put_file("/usr/lib/systemd/logind.conf",
		 "[Login]\n#RemoveIPC=no\nRemoveIPC=yes\n#RemoveIPC=no\n");
	CHECK(removes(1000));
	put_file("/etc/systemd/logind.conf", "[Login]\nKillUserProcesses=yes\nRemoveIPC = off \n");
	CHECK(!removes(1000)); /* instead of the other, not after it */
	machine_end();
}

TEST(logind_drop_ins)
{
	machine();
	put_file("/etc/systemd/logind.conf", "[Login]\nRemoveIPC=no\n");
	put_file("/usr/lib/systemd/logind.conf.d/50-a.conf", "[Login]\nRemoveIPC=yes\n");
	CHECK(removes(1000));
	put_file("/etc/systemd/logind.conf.d/40-b.conf", "[Login]\nRemoveIPC=no\n");
	CHECK(removes(1000)); /* the order is that of the names */
	put_file("/etc/systemd/logind.conf.d/60-c.conf", "[Login]\nRemoveIPC=0\n");
	CHECK(!removes(1000));
	put_file("/etc/systemd/logind.conf.d/60-c.conf", "");
	CHECK(removes(1000));
	put_file("/run/systemd/logind.conf.d/50-a.conf", "[Login]\n");
	CHECK(!removes(1000)); /* that name counts here, not there */
	put_file("/run/systemd/logind.conf.d/99-d.txt", "[Login]\nRemoveIPC=yes\n");
	CHECK(!removes(1000));
	machine_end();
}
