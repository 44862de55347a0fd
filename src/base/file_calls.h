/* file_calls.h - what files.c and save.c share. Nobody else includes it. */
#ifndef LB_BASE_FILE_CALLS_H
#define LB_BASE_FILE_CALLS_H

#include "files.h"

const lb__io *lb__io_get(void);
int lb__open_retry(const char *path, int flags, mode_t mode); /* again after EINTR; O_CLOEXEC */
lb_status lb__fail_path(lb_error *err, const char *path);     /* "'path': <errno in words>" */

#endif
