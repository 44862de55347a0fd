/* file_calls.h - what files.c, save.c and append.c share. Nobody else includes it. */
#ifndef LB_BASE_FILE_CALLS_H
#define LB_BASE_FILE_CALLS_H

#include "files.h"

const lb__io *lb__io_get(void);
int lb__open_retry(const char *path, int flags, mode_t mode); /* again after EINTR; O_CLOEXEC */
lb_status lb__fail_path(lb_error *err, const char *path);     /* "'path': <errno in words>" */
/* Opens a regular file for reading and tells its size; anything else is refused. */
lb_status lb__open_regular(int *fd, size_t *size, const char *path, lb_error *err);
/* Makes a new or renamed entry last through a power cut: fsync of the folder that path lies in. */
lb_status lb__sync_folder_of(const char *path, lb_error *err);

#endif
