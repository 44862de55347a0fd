/* files.c - paths, folders, reading and mapping (files.h). Owns: the table of system calls. The
 * atomic save is in save.c. */
#include "files.h"

#include "fail.h"
#include "file_calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the system calls ---- */

static int system_open(const char *path, int flags, mode_t mode) {
  return open(path, flags, mode);
}

static void *system_mmap(size_t size, int fd) {
  return mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
}

static const lb__io system_io = {.open = system_open,
                                 .read = read,
                                 .write = write,
                                 .fsync = fsync,
                                 .close = close,
                                 .rename = rename,
                                 .unlink = unlink,
                                 .mkdir = mkdir,
                                 .mmap = system_mmap,
                                 .ftruncate = ftruncate,
                                 .rmdir = rmdir,
                                 .opendir = opendir};
static const lb__io *current_io = &system_io;

void lb__io_set(const lb__io *io) {
  current_io = io != NULL ? io : &system_io;
}

const lb__io *lb__io_default(void) {
  return &system_io;
}

const lb__io *lb__io_get(void) {
  return current_io;
}

int lb__open_retry(const char *path, int flags, mode_t mode) {
  int fd;
  do fd = current_io->open(path, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

lb_status lb__fail_path(lb_error *err, const char *path) {
  return lb__fail(err, errno == ENOMEM ? LB_E_NOMEM : LB_E_IO, "'%s': %s", path, strerror(errno));
}

/* ---- paths ---- */

char *lb__path_join(const char *folder, const char *name) {
  size_t n = strlen(folder);
  bool needs_slash = n > 0 && folder[n - 1] != '/';
  return lb__format("%s%s%s", folder, needs_slash ? "/" : "", name);
}

static const char *temporary_root(void) {
  const char *folder = getenv("TMPDIR");
  return folder != NULL && folder[0] != '\0' ? folder
                                             : "/var/tmp"; /* a disk, where /tmp may be memory */
}

char *lb__temporary_path(const char *name) {
  return lb__format("%s/%s-%ld.tmp", temporary_root(), name, (long)getpid());
}

const char *lb__path_base(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

char *lb__path_name(const char *path) {
  size_t end = strlen(path), begin;
  while (end > 1 && path[end - 1] == '/') end--;
  for (begin = end; begin > 0 && path[begin - 1] != '/';) begin--;
  return lb__strndup(path + begin, end - begin);
}

bool lb__path_ends_with(const char *path, const char *ending) {
  size_t n = strlen(path), m = strlen(ending);
  return n >= m && memcmp(path + n - m, ending, m) == 0;
}

bool lb__path_is_folder(const char *path) {
  struct stat s;
  return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

bool lb__path_is_file(const char *path) {
  struct stat s;
  return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

bool lb__path_same(const char *a, const char *b) {
  struct stat x, y;
  return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool lb__path_is_plain_name(const char *name) {
  if (name[0] == '\0' || strchr(name, '/') != NULL) return false;
  return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* ---- folders ---- */

void lb__name_list_free(char **names, size_t n) {
  for (size_t i = 0; i < n; i++) lb__free(names[i]);
  lb__free(names);
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static lb_status list_names(char ***names, size_t *n, DIR *folder, const char *path,
                            lb_error *err) {
  size_t capacity = 0;
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(folder);
    if (entry == NULL) return errno == 0 ? LB_OK : lb__fail_path(err, path);
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (!lb__grow(names, &capacity, *n + 1, sizeof **names)) return lb__fail_nomem(err, path);
    (*names)[*n] = lb__strdup(entry->d_name);
    if ((*names)[*n] == NULL) return lb__fail_nomem(err, path);
    (*n)++;
  }
}

lb_status lb__folder_list(char ***names, size_t *n, const char *folder, lb_error *err) {
  *names = NULL;
  *n = 0;
  DIR *open_folder = current_io->opendir(folder);
  if (open_folder == NULL) return lb__fail_path(err, folder);
  lb_status st = list_names(names, n, open_folder, folder, err);
  closedir(open_folder);
  if (st != LB_OK) {
    lb__name_list_free(*names, *n);
    *names = NULL;
    *n = 0;
    return st;
  }
  if (*n > 1) qsort(*names, *n, sizeof **names, compare_names);
  return LB_OK;
}

/* Asks what is there only after mkdir has failed, and whatever its reason: a parent on a read-only
 * file system exists, and mkdir says EROFS. */
static lb_status make_one_folder(const char *path, lb_error *err) {
  if (current_io->mkdir(path, 0777) == 0) return LB_OK;
  int reason = errno;
  if (lb__path_is_folder(path)) return LB_OK;
  errno = reason;
  return lb__fail_path(err, path);
}

lb_status lb__folder_make(const char *path, lb_error *err) {
  if (path[0] == '\0') return lb__fail(err, LB_E_ARG, "'': not the name of a folder");
  char *prefix = lb__strdup(path);
  if (prefix == NULL) return lb__fail_nomem(err, path);
  lb_status st = LB_OK;
  for (char *slash = prefix; st == LB_OK && (slash = strchr(slash + 1, '/')) != NULL;) {
    *slash = '\0';
    st = make_one_folder(prefix, err);
    *slash = '/';
  }
  if (st == LB_OK) st = make_one_folder(path, err);
  lb__free(prefix);
  return st;
}

/* mkdir, unlike a look beforehand, tells whether the folder is ours. */
lb_status lb__temporary_folder(char **out, const char *name, lb_error *err) {
  enum { TRIES = 1000 };
  *out = NULL;
  for (int i = 0;; i++) {
    char *path = lb__format("%s/%s-%ld-%d.tmp", temporary_root(), name, (long)getpid(), i);
    if (path == NULL) return lb__fail_nomem(err, "a path");
    if (current_io->mkdir(path, 0700) == 0) {
      *out = path;
      return LB_OK;
    }
    lb_status st = errno == EEXIST && i < TRIES ? LB_OK : lb__fail_path(err, path);
    lb__free(path);
    if (st != LB_OK) return st;
  }
}

lb_status lb__file_remove(const char *path, lb_error *err) {
  if (current_io->unlink(path) == 0 || errno == ENOENT) return LB_OK;
  return lb__fail_path(err, path);
}

static lb_status remove_in(const char *folder, const char *name, lb_error *err) {
  char path[4096];
  if (snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path)
    return lb__file_remove(path, err);
  errno = ENAMETOOLONG;
  return lb__fail_path(err, folder);
}

/* Without allocating: this tidies up after memory has run out. */
static lb_status remove_files_in(const char *path, lb_error *err) {
  DIR *folder = current_io->opendir(path);
  if (folder == NULL) return lb__fail_path(err, path);
  lb_status st = LB_OK;
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(folder);
    if (entry == NULL && errno != 0) st = lb__fail_path(err, path);
    if (entry == NULL || st != LB_OK) break;
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      st = remove_in(path, entry->d_name, err);
  }
  closedir(folder);
  return st;
}

lb_status lb__folder_remove(const char *path, lb_error *err) {
  if (current_io->rmdir(path) == 0 || errno == ENOENT) return LB_OK;
  if (errno != ENOTEMPTY && errno != EEXIST) return lb__fail_path(err, path);
  lb_status st = remove_files_in(path, err);
  if (st == LB_OK && current_io->rmdir(path) != 0 && errno != ENOENT) st = lb__fail_path(err, path);
  return st;
}

lb_status lb__path_rename(const char *from, const char *to, lb_error *err) {
  return current_io->rename(from, to) == 0 ? LB_OK : lb__fail_path(err, to);
}

/* Some file systems (network, FUSE) cannot sync a folder and say EINVAL; there is nothing more one
 * can do on those. */
lb_status lb__path_sync(const char *path, lb_error *err) {
  int fd = lb__open_retry(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
  if (fd < 0) return lb__fail_path(err, path);
  lb_status st = LB_OK;
  if (current_io->fsync(fd) != 0 && errno != EINVAL) st = lb__fail_path(err, path);
  current_io->close(fd);
  return st;
}

/* ---- reading ---- */

static const char *kind_name(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

/* Opens a regular file and tells its size. Anything else is refused: a pipe planted in a model
 * folder would make us wait for ever (O_NONBLOCK lets the open itself return), a device never
 * end. */
lb_status lb__open_regular(int *fd, size_t *size, const char *path, lb_error *err) {
  struct stat s;
  *size = 0;
  *fd = lb__open_retry(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
  if (*fd < 0) return lb__fail_path(err, path);
  lb_status st = LB_OK;
  if (fstat(*fd, &s) != 0)
    st = lb__fail_path(err, path);
  else if (!S_ISREG(s.st_mode))
    st = lb__fail(err, LB_E_IO, "'%s': want a file, found %s", path, kind_name(s.st_mode));
  else if ((uintmax_t)s.st_size > PTRDIFF_MAX)
    st = lb__fail(err, LB_E_LIMIT, "'%s': the file is too large for this machine", path);
  if (st != LB_OK) {
    current_io->close(*fd);
    *fd = -1;
    return st;
  }
  *size = (size_t)s.st_size;
  return LB_OK;
}

/* Reads to the end of the file, which may have grown or, in /proc, said it was empty. */
static lb_status read_all(lb__buf *b, int fd, size_t size_hint, const char *path, lb_error *err) {
  size_t capacity = size_hint < b->max ? size_hint + 1 : b->max;
  if (!lb__grow(&b->bytes, &b->capacity, capacity + 1, 1)) return lb__fail_nomem(err, path);
  b->bytes[0] = '\0';
  for (;;) {
    if (b->size + 1 >= b->capacity && !lb__grow(&b->bytes, &b->capacity, b->size + 4096, 1))
      return lb__fail_nomem(err, path);
    ssize_t got = current_io->read(fd, b->bytes + b->size, b->capacity - b->size - 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return lb__fail_path(err, path);
    if (got == 0) break;
    b->size += (size_t)got;
    if (b->size > b->max)
      return lb__fail(err, LB_E_LIMIT, "'%s': larger than the limit of %zu bytes", path, b->max);
  }
  b->bytes[b->size] = '\0';
  return LB_OK;
}

lb_status lb__file_read(char **bytes, size_t *size, const char *path, size_t max_size,
                        lb_error *err) {
  *bytes = NULL;
  *size = 0;
  int fd;
  size_t file_size;
  lb_status st = lb__open_regular(&fd, &file_size, path, err);
  if (st != LB_OK) return st;
  lb__buf b;
  lb__buf_init(&b, max_size);
  if (file_size > max_size)
    st = lb__fail(err, LB_E_LIMIT, "'%s': %zu bytes, the limit is %zu", path, file_size, max_size);
  else
    st = read_all(&b, fd, file_size, path, err);
  current_io->close(fd); /* nothing was written: a failure here loses nothing */
  if (st == LB_OK) {
    *bytes = b.bytes;
    *size = b.size;
  } else {
    lb__buf_deinit(&b);
  }
  return st;
}

lb_status lb__file_map(lb__mapping *out, const char *path, lb_error *err) {
  *out = (lb__mapping){0};
  int fd;
  size_t size;
  lb_status st = lb__open_regular(&fd, &size, path, err);
  if (st != LB_OK) return st;
  if (size > 0) { /* mmap refuses an empty file */
    const void *bytes = current_io->mmap(size, fd);
    if (bytes == MAP_FAILED)
      st = lb__fail_path(err, path);
    else
      *out = (lb__mapping){bytes, size};
  }
  current_io->close(fd); /* the mapping stays */
  return st;
}

/* ---- reading in pieces ---- */

lb_status lb__reader_open(lb__reader *r, const char *path, lb_error *err) {
  size_t size;
  *r = (lb__reader){.fd = -1};
  char *copy = lb__strdup(path);
  if (copy == NULL) return lb__fail_nomem(err, path);
  lb_status st = lb__open_regular(&r->fd, &size, path, err);
  if (st != LB_OK) {
    lb__free(copy);
    return st;
  }
  r->path = copy;
  r->size = size;
  return LB_OK;
}

lb_status lb__reader_read(lb__reader *r, void *bytes, size_t size, size_t *n, lb_error *err) {
  ssize_t got;
  *n = 0;
  do got = current_io->read(r->fd, bytes, size);
  while (got < 0 && errno == EINTR);
  if (got < 0) return lb__fail_path(err, r->path);
  *n = (size_t)got;
  r->offset += (size_t)got;
  return LB_OK;
}

void lb__reader_close(lb__reader *r) {
  if (r->path != NULL) current_io->close(r->fd);
  lb__free(r->path);
  *r = (lb__reader){.fd = -1};
}

void lb__mapped_forget(const void *bytes, size_t size) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGE_SIZE), begin = (uintptr_t)bytes;
  uintptr_t end = (begin + size) / page * page; /* pages that lie wholly inside */
  begin = (begin + page - 1) / page * page;
  if (begin < end) (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void lb__file_unmap(lb__mapping *m) {
  if (m->bytes != NULL) munmap((void *)(uintptr_t)m->bytes, m->size);
  *m = (lb__mapping){0};
}
