/* append.c - see append.h. */
#include "append.h"

#include "fail.h"
#include "file_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static lb_status stick(lb__append *a, lb_status status) {
  if (a->status == LB_OK) a->status = status;
  return status;
}

static int cut(int fd, uint64_t size) {
  int result;
  do result = lb__io_get()->ftruncate(fd, (off_t)size);
  while (result != 0 && errno == EINTR);
  return result;
}

static lb_status cut_to(lb__append *a, uint64_t keep, lb_error *err) {
  struct stat s;
  if (fstat(a->fd, &s) != 0) return lb__fail_path(err, a->path);
  if (!S_ISREG(s.st_mode)) return lb__fail(err, LB_E_IO, "'%s': not a regular file", a->path);
  if ((uint64_t)s.st_size < keep)
    return lb__fail(err, LB_E_ARG, "'%s': want to keep %llu bytes, it has %llu", a->path,
                    (unsigned long long)keep, (unsigned long long)s.st_size);
  if ((uint64_t)s.st_size > keep && cut(a->fd, keep) != 0) return lb__fail_path(err, a->path);
  a->size = keep;
  return LB_OK;
}

lb_status lb__append_open(lb__append *a, const char *path, uint64_t keep, lb_error *err) {
  *a = (lb__append){.fd = -1};
  a->path = lb__strdup(path);
  if (a->path == NULL) return stick(a, lb__fail_nomem(err, path));
  a->fd = lb__open_retry(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY, 0644);
  if (a->fd < 0) return stick(a, lb__fail_path(err, path));
  lb_status st = cut_to(a, keep, err);
  return st == LB_OK ? LB_OK : stick(a, st);
}

static lb_status check_open(const lb__append *a, lb_error *err) {
  if (a->path == NULL) return lb__fail(err, LB_E_ARG, "a log was written to that is not open");
  if (a->status == LB_OK) return LB_OK;
  return lb__fail(err, a->status, "'%s': an earlier write failed", a->path);
}

lb_status lb__append_write(lb__append *a, const void *bytes, size_t size, lb_error *err) {
  const char *p = bytes;
  size_t left = size;
  lb_status st = check_open(a, err);
  while (left > 0 && st == LB_OK) {
    ssize_t wrote = lb__io_get()->write(a->fd, p, left);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote == 0) errno = ENOSPC;
    if (wrote <= 0) {
      st = stick(a, lb__fail_path(err, a->path));
      (void)cut(a->fd, a->size); /* best effort; the message is the write's */
    } else {
      p += wrote;
      left -= (size_t)wrote;
    }
  }
  if (st == LB_OK) a->size += size;
  return st;
}

lb_status lb__append_sync(lb__append *a, lb_error *err) {
  lb_status st = check_open(a, err);
  if (st != LB_OK) return st;
  if (lb__io_get()->fsync(a->fd) != 0) return stick(a, lb__fail_path(err, a->path));
  if (a->is_synced) return LB_OK;
  st = lb__sync_folder_of(a->path, err);
  a->is_synced = st == LB_OK;
  return st == LB_OK ? LB_OK : stick(a, st);
}

lb_status lb__append_close(lb__append *a, lb_error *err) {
  lb_status st = LB_OK;
  if (a->path == NULL) return LB_OK;
  if (a->fd >= 0 && lb__io_get()->close(a->fd) != 0 && errno != EINTR)
    st = lb__fail_path(err, a->path);
  lb__free(a->path);
  *a = (lb__append){.fd = -1};
  return st;
}
