/* SPDX-License-Identifier: MIT */
/* The state directory: state.c. Each refusal gives -errno, and a sentence in *ret_why. */
#ifndef IPCFS_STATE_H
#define IPCFS_STATE_H

struct options;

/* Find and lock it for a new mount; it and its files are made if they are missing. */
int state_open(struct options *opt, const char **ret_why);
void state_close(void);
/* Its files, which must exist: opens fs.objects_fd, and gives a descriptor of the mount file. */
int state_open_files(const char **ret_why);
/* The mount file could not be used. damage: what obj_damage() was told, if it was. */
int state_refuse_mount_file(int error, const char *damage, const char **ret_why);
int state_refuse(int error, const char **ret_why, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
