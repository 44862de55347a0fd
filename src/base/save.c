/* save.c - the atomic save (files.h): temporary file in the same folder, fsync, rename, fsync of
 * the folder. Owns: the rule that a failed save leaves the old file and no temporary one.
 *
 * A failed fsync is final. Linux marks the lost pages clean, so a second fsync would report success
 * for data that never reached the disk (Rebello et al., "Can applications recover from fsync
 * failures?", USENIX ATC 2020). */
#include "fail.h"
#include "file_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

/* ---- beginning ---- */

/* "folder/.NAME.tmp-PID-N" beside "folder/NAME"; N makes it unique within the process. */
static char *temporary_name(const char *path) {
  static atomic_uint counter;
  const char *base = lb__path_base(path);
  return lb__format("%.*s.%s.tmp-%ld-%u", (int)(base - path), path, base, (long)getpid(),
                    atomic_fetch_add(&counter, 1));
}

/* Keeps the first failure: later calls return it and do nothing. */
static lb_status stick(lb__save *s, lb_status status) {
  if (s->status == LB_OK) s->status = status;
  return status;
}

static lb_status open_temporary(lb__save *s, lb_error *err) {
  for (;;) {
    s->temporary_path = temporary_name(s->path);
    if (s->temporary_path == NULL) return lb__fail_nomem(err, s->path);
    s->fd = lb__open_retry(s->temporary_path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
    if (s->fd >= 0) return LB_OK;
    /* Left by an earlier process with our number: not ours to remove, take the next name. */
    bool taken = errno == EEXIST;
    lb_status st = taken ? LB_OK : lb__fail_path(err, s->temporary_path);
    lb__free(s->temporary_path);
    s->temporary_path = NULL;
    if (!taken) return st;
  }
}

lb_status lb__save_begin(lb__save *s, const char *path, lb_error *err) {
  *s = (lb__save){.fd = -1};
  if (!lb__path_is_plain_name(lb__path_base(path)))
    return stick(s, lb__fail(err, LB_E_ARG, "'%s': not the name of a file", path));
  if (lb__path_is_folder(path)) return stick(s, lb__fail(err, LB_E_IO, "'%s': is a folder", path));
  s->path = lb__strdup(path);
  lb_status st = s->path != NULL ? open_temporary(s, err) : lb__fail_nomem(err, path);
  if (st != LB_OK) {
    lb__save_abort(s);
    s->status = st;
  }
  return st;
}

/* ---- writing ---- */

static lb_status fail_earlier(const lb__save *s, lb_error *err) {
  return lb__fail(err, s->status, "'%s': an earlier write failed", s->path != NULL ? s->path : "?");
}

lb_status lb__save_write(lb__save *s, const void *bytes, size_t size, lb_error *err) {
  const char *p = bytes;
  if (s->status != LB_OK) return fail_earlier(s, err);
  if (s->temporary_path == NULL)
    return lb__fail(err, LB_E_ARG, "a save was written to before it began or after it ended");
  while (size > 0) {
    ssize_t wrote = lb__io_get()->write(s->fd, p, size);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote == 0) errno = ENOSPC; /* no file system does this; trying for ever would be worse */
    if (wrote <= 0) return stick(s, lb__fail_path(err, s->path));
    p += wrote;
    size -= (size_t)wrote;
    s->offset += (uint64_t)wrote;
  }
  return LB_OK;
}

lb_status lb__save_zeros(lb__save *s, size_t size, lb_error *err) {
  static const char zeros[4096];
  lb_status st = LB_OK;
  while (size > 0 && st == LB_OK) {
    size_t part = size < sizeof zeros ? size : sizeof zeros;
    st = lb__save_write(s, zeros, part, err);
    size -= part;
  }
  return st;
}

/* ---- ending ---- */

static void forget(lb__save *s) {
  lb__free(s->path);
  lb__free(s->temporary_path);
  *s = (lb__save){.fd = -1, .status = s->status, .offset = s->offset};
}

/* The number is free again even when close fails, so it is never closed twice; EINTR says nothing
 * about the data, which fsync has put on the disk. */
static int close_once(lb__save *s) {
  int result = lb__io_get()->close(s->fd);
  s->fd = -1;
  return result != 0 && errno == EINTR ? 0 : result;
}

void lb__save_abort(lb__save *s) {
  if (s->temporary_path == NULL) { /* zeroed, ended, or never opened */
    lb__free(s->path);
    s->path = NULL;
    return;
  }
  if (s->fd >= 0) (void)close_once(s);
  (void)lb__io_get()->unlink(s->temporary_path);
  forget(s);
}

/* Makes the rename itself last through a power cut. */
lb_status lb__sync_folder_of(const char *path, lb_error *err) {
  size_t n = (size_t)(lb__path_base(path) - path);
  char *folder = n > 0 ? lb__strndup(path, n) : lb__strdup(".");
  lb_status st = folder != NULL ? lb__path_sync(folder, err) : lb__fail_nomem(err, path);
  lb__free(folder);
  return st;
}

lb_status lb__save_commit(lb__save *s, lb_error *err) {
  const lb__io *io = lb__io_get();
  lb_status st = LB_OK;
  if (s->status != LB_OK) {
    st = fail_earlier(s, err);
  } else if (s->temporary_path == NULL) {
    return lb__fail(err, LB_E_ARG, "a save was committed before it began or after it ended");
  } else if (io->fsync(s->fd) != 0 || close_once(s) != 0 ||
             io->rename(s->temporary_path, s->path) != 0) {
    st = stick(s, lb__fail_path(err, s->path));
  }
  if (st != LB_OK) {
    lb__save_abort(s);
    return st;
  }
  st = stick(s, lb__sync_folder_of(s->path, err)); /* the new file is in place in any case */
  forget(s);
  return st;
}

lb_status lb__file_save(const char *path, const void *bytes, size_t size, lb_error *err) {
  lb__save s;
  lb_status st = lb__save_begin(&s, path, err);
  if (st != LB_OK) return st;
  st = lb__save_write(&s, bytes, size, err);
  if (st == LB_OK) return lb__save_commit(&s, err);
  lb__save_abort(&s);
  return st;
}
