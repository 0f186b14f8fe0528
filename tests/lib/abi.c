/* SPDX-License-Identifier: MIT */
/*
 * What a program that was compiled against ipcfs.h relies on: types of calls and numbers. Whoever
 * has to change a line here has to change the soversion (meson.build). The names that are
 * exported are in core/client/libipcfs.symbols.
 */
#include <sys/types.h>

#include "ipcfs.h"

#define IS(call, type) _Static_assert(__builtin_types_compatible_p(__typeof__(call), type), #call)

IS(ipcfs_open, ipcfs_obj *(const char *, int, mode_t));
IS(ipcfs_close, void(ipcfs_obj *));
IS(ipcfs_is_direct, int(const ipcfs_obj *));
IS(ipcfs_fd, int(const ipcfs_obj *));
IS(ipcfs_put, int(ipcfs_obj *, const void *, size_t, int64_t));
IS(ipcfs_get, ssize_t(ipcfs_obj *, void *, size_t, int64_t));
IS(ipcfs_put_many, int(ipcfs_obj *, const struct iovec *, int, int64_t));
IS(ipcfs_get_many, int(ipcfs_obj *, struct iovec *, int, int64_t));
IS(ipcfs_put_begin, void *(ipcfs_obj *, size_t));
IS(ipcfs_put_commit, int(ipcfs_obj *, void *, size_t, int64_t));
IS(ipcfs_put_cancel, int(ipcfs_obj *, void *));
IS(ipcfs_get_begin, ssize_t(ipcfs_obj *, const void **, int64_t));
IS(ipcfs_get_end, int(ipcfs_obj *, const void *));
IS(ipcfs_done, int(ipcfs_obj *, unsigned int));
IS(ipcfs_join, int(ipcfs_obj *, int64_t));
IS(ipcfs_acquire, int(ipcfs_obj *, int64_t));
IS(ipcfs_release, int(ipcfs_obj *, unsigned int));
IS(ipcfs_wait, int(ipcfs_obj *, int64_t));
IS(ipcfs_set, int(ipcfs_obj *));
IS(ipcfs_clear, int(ipcfs_obj *));
IS(ipcfs_notify, int(ipcfs_obj *, unsigned int));
IS(ipcfs_add, int(ipcfs_obj *, int64_t, int64_t *));
IS(ipcfs_cas, int(ipcfs_obj *, int64_t, int64_t));
IS(ipcfs_value, int64_t(const ipcfs_obj *));
IS(ipcfs_data, void *(ipcfs_obj *, size_t *));

_Static_assert(IPCFS_FOREVER == -1 && IPCFS_ALL == 0xffffffff, "arguments");
_Static_assert(IPCFS_IOC_TIMEOUT == _IOW('i', 1, int64_t) &&
		       IPCFS_IOC_DEADLINE == _IOW('i', 2, int64_t) &&
		       IPCFS_IOC_NEXT == _IOR('i', 3, int64_t),
	       "ioctls");
