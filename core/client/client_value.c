/* SPDX-License-Identifier: MIT */
/* libipcfs: the calls for values and arrays. See client.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/client.h"
#include "file/statedir.h"
#include "object/type.h"

/* The result of a change is read, so a caller that asks for it needs read access. */
static int enter_value(struct ipcfs_obj *o, const int64_t *ret)
{
	int r;

	if (!(o->type->traits & TYPE_TEXT))
		return -EINVAL;
	r = client_enter(o, ret ? O_RDONLY : O_WRONLY);
	return r < 0 ? r : client_enter(o, O_WRONLY);
}

int ipcfs_add(ipcfs_obj *o, int64_t n, int64_t *ret_value)
{
	int r = enter_value(o, ret_value);

	if (r < 0)
		return r;
	r = direct_give(o, &(struct ipc_cmd){ .verb = CMD_PLUS, .n = n }, ret_value);
	return r != IPC_ELSEWHERE ? r : file_add(o, n, ret_value);
}

int ipcfs_cas(ipcfs_obj *o, int64_t old, int64_t new_value)
{
	char text[64], was[24], is[24];
	struct ipc_cmd cmd = { .verb = CMD_CAS, .old = was, .text = is };
	int r = enter_value(o, NULL);

	if (r < 0)
		return r;
	cmd.old_len = (size_t)snprintf(was, sizeof(was), "%lld", (long long)old);
	cmd.text_len = (size_t)snprintf(is, sizeof(is), "%lld", (long long)new_value);
	snprintf(text, sizeof(text), "cas %s %s", was, is);
	r = direct_give(o, &cmd, NULL);
	return r != IPC_ELSEWHERE ? r : file_cas(o, text);
}

int64_t ipcfs_value(const ipcfs_obj *object)
{
	struct ipcfs_obj *o = (struct ipcfs_obj *)(uintptr_t)object; /* the lock is in it */
	struct stat st;
	int64_t n = 0;
	int r = client_enter(o, o->type->traits & TYPE_TEXT ? O_RDONLY : O_RDWR);

	if (r == 0)
		r = direct_value(o, &n);
	if (r == IPC_ELSEWHERE) {
		if (o->type->traits & TYPE_TEXT)
			r = file_value(o, &n);
		else if ((r = fstat(o->fd, &st) < 0 ? -errno : 0) == 0)
			n = st.st_size;
	}
	if (r < 0) {
		errno = -r;
		return INT64_MIN;
	}
	return n;
}

struct old_data { /* an earlier mapping of an array, until the close */
	struct old_data *next;
	void *data;
	size_t len;
};

void client_drop_data(struct ipcfs_obj *o)
{
	if (o->data)
		munmap(o->data, o->data_len);
	while (o->old_data) {
		struct old_data *d = o->old_data;

		o->old_data = d->next;
		munmap(d->data, d->len);
		free(d);
	}
}

/* With o->lock. An earlier mapping stays: the caller may still use it. */
static int map_data(struct ipcfs_obj *o)
{
	char path[sizeof(o->at.path) + 8];
	struct old_data *old = NULL;
	struct stat st, named;
	void *p = NULL;
	int fd, r = 0;

	snprintf(path, sizeof(path), "%s" STATE_DATA, o->at.path);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || stat(o->at.path, &named) < 0 || named.st_dev != o->at.dev ||
	    named.st_ino != o->at.ino)
		r = -EACCES; /* another mount namespace's */
	else if (o->data && o->data_len == (size_t)st.st_size)
		goto out;
	if (r == 0 && o->data && !(old = malloc(sizeof(*old))))
		r = -ENOMEM;
	if (r == 0 && st.st_size) {
		p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		r = p == MAP_FAILED ? -errno : 0;
	} else if (r == 0) {
		r = -ENODATA; /* there is nothing to map yet */
	}
	if (r < 0) {
		free(old);
		goto out;
	}
	if (old) {
		*old = (struct old_data){ o->old_data, o->data, o->data_len };
		o->old_data = old;
	}
	o->data = p;
	o->data_len = (size_t)st.st_size;
out:
	close(fd);
	return r;
}

void *ipcfs_data(ipcfs_obj *o, size_t *length)
{
	void *data;
	int r = client_enter(o, O_RDWR);

	if (r == 0 && !(o->type->traits & TYPE_MEMORY))
		r = -EINVAL;
	if (r == 0 && (o->oflags & O_ACCMODE) != O_RDWR)
		r = -EBADF;
	if (r < 0) {
		errno = -r;
		return NULL;
	}
	pthread_mutex_lock(&o->lock);
	r = map_data(o);
	data = r < 0 ? NULL : o->data;
	if (data && length)
		*length = o->data_len;
	pthread_mutex_unlock(&o->lock);
	if (r < 0)
		errno = -r;
	return data;
}
