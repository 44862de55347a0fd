/* faults.c - see faults.h. Not thread-safe: operations under test must allocate from one thread. */
#include "faults.h"

#include "base/files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { RUNAWAY = 200000 };

/* ---- allocations ---- */
static struct {
  _Atomic int calls;
  int fail_at;
  bool forever;
  _Atomic long alive;
} memory;

static bool memory_fails(void) {
  int call = ++memory.calls;
  if (memory.fail_at == 0) return false;
  return memory.forever ? call >= memory.fail_at : call == memory.fail_at;
}

static void *fault_alloc(void *ctx, size_t size) {
  (void)ctx;
  void *p = memory_fails() ? NULL : malloc(size);
  memory.alive += p != NULL;
  return p;
}

static void *fault_resize(void *ctx, void *pointer, size_t old_size, size_t new_size) {
  (void)ctx, (void)old_size;
  return memory_fails() ? NULL : realloc(pointer, new_size);
}

static void fault_release(void *ctx, void *pointer) {
  (void)ctx;
  memory.alive -= pointer != NULL;
  free(pointer);
}

void fault_allocations_begin(int fail_at, bool forever) {
  static const lb_allocator faulty = {fault_alloc, fault_resize, fault_release, NULL};
  memory.calls = 0;
  memory.alive = 0;
  memory.fail_at = fail_at;
  memory.forever = forever;
  lb_allocator_set(&faulty);
}

void fault_allocations_end(int *n_calls, long *n_leaked) {
  lb_allocator_set(NULL);
  *n_calls = memory.calls;
  *n_leaked = memory.alive;
}

static void after(const fault_case *c, lb_status st, bool left_behind) {
  if (c->check != NULL) c->check(c->ctx, st, left_behind);
}

static int each_allocation(const fault_case *c, bool forever) {
  for (int n = 1; n < RUNAWAY; n++) {
    lb_error err = {0};
    int calls;
    long leaked;
    if (c->prepare != NULL) c->prepare(c->ctx);
    fault_allocations_begin(n, forever);
    lb_status st = c->run(c->ctx, &err);
    fault_allocations_end(&calls, &leaked);
    if (leaked != 0) fail_msg("allocation %d failed: %ld allocations leaked", n, leaked);
    if (calls < n) { /* the fault was never met: a clean run */
      if (st != LB_OK) fail_msg("without a fault: %s", err.message);
      after(c, st, false);
      return n - 1;
    }
    if (st == LB_OK && !c->may_survive) fail_msg("allocation %d failed and nobody noticed", n);
    if (st != LB_OK && st != LB_E_NOMEM)
      fail_msg("allocation %d failed: want out of memory, found: %s", n, err.message);
    if (st != LB_OK && err.message[0] == '\0')
      fail_msg("allocation %d failed without a message", n);
    after(c, st, false);
  }
  fail_msg("the operation never ends");
  return 0;
}

int fault_each_allocation(const fault_case *c) {
  return each_allocation(c, false) + each_allocation(c, true);
}

/* ---- system calls ---- */
enum call {
  OPEN,
  READ,
  WRITE,
  FSYNC,
  CLOSE,
  RENAME,
  UNLINK,
  MKDIR,
  MMAP,
  FTRUNCATE,
  RMDIR,
  OPENDIR
};
static const char *const call_names[] = {"open",  "read",      "write",  "fsync",
                                         "close", "rename",    "unlink", "mkdir",
                                         "mmap",  "ftruncate", "rmdir",  "opendir"};
static struct {
  int calls, fail_at;
  bool forever, only_interruptible, cut_short;
  int error;
  enum call failed; /* the first that failed */
  bool met;
  long open_files;
} io;

static bool io_fails(enum call what) {
  if (io.only_interruptible && what != OPEN && what != READ && what != WRITE) return false;
  io.calls++;
  if (io.fail_at == 0) return false;
  if (!(io.forever ? io.calls >= io.fail_at : io.calls == io.fail_at)) return false;
  if (!io.met) io.failed = what;
  io.met = true;
  errno = io.error;
  return true;
}

static int fault_open(const char *path, int flags, mode_t mode) {
  int fd = io_fails(OPEN) ? -1 : lb__io_default()->open(path, flags, mode);
  io.open_files += fd >= 0;
  return fd;
}

static size_t maybe_half(size_t size) {
  return io.cut_short && size > 1 ? size / 2 : size;
}

static ssize_t fault_read(int fd, void *bytes, size_t size) {
  return io_fails(READ) ? -1 : lb__io_default()->read(fd, bytes, maybe_half(size));
}

/* A failing write has often written something first. */
static ssize_t fault_write(int fd, const void *bytes, size_t size) {
  if (!io_fails(WRITE)) return lb__io_default()->write(fd, bytes, maybe_half(size));
  if (io.error != EINTR && size > 1) {
    ssize_t n = lb__io_default()->write(fd, bytes, size / 2);
    (void)n;
    errno = io.error;
  }
  return -1;
}

static int fault_fsync(int fd) {
  return io_fails(FSYNC) ? -1 : lb__io_default()->fsync(fd);
}

/* Linux gives the descriptor back even when close fails. */
static int fault_close(int fd) {
  bool fails = io_fails(CLOSE);
  int result = lb__io_default()->close(fd);
  io.open_files--;
  if (!fails) return result;
  errno = io.error;
  return -1;
}

static int fault_rename(const char *from, const char *to) {
  return io_fails(RENAME) ? -1 : lb__io_default()->rename(from, to);
}

static int fault_unlink(const char *path) {
  return io_fails(UNLINK) ? -1 : lb__io_default()->unlink(path);
}

static int fault_mkdir(const char *path, mode_t mode) {
  return io_fails(MKDIR) ? -1 : lb__io_default()->mkdir(path, mode);
}

static void *fault_mmap(size_t size, int fd) {
  return io_fails(MMAP) ? MAP_FAILED : lb__io_default()->mmap(size, fd);
}

static int fault_ftruncate(int fd, off_t size) {
  return io_fails(FTRUNCATE) ? -1 : lb__io_default()->ftruncate(fd, size);
}

static int fault_rmdir(const char *path) {
  return io_fails(RMDIR) ? -1 : lb__io_default()->rmdir(path);
}

static DIR *fault_opendir(const char *path) {
  return io_fails(OPENDIR) ? NULL : lb__io_default()->opendir(path);
}

static const lb__io faulty_io = {fault_open,  fault_read,      fault_write,  fault_fsync,
                                 fault_close, fault_rename,    fault_unlink, fault_mkdir,
                                 fault_mmap,  fault_ftruncate, fault_rmdir,  fault_opendir};

static void count_io_anew(void) {
  io.calls = 0;
  io.met = false;
  io.open_files = 0;
  lb__io_set(&faulty_io);
}

void fault_io_begin(int fail_at, bool forever) {
  io.fail_at = fail_at;
  io.error = EIO;
  io.forever = forever;
  count_io_anew();
}

void fault_io_end(int *n_calls, long *n_open) {
  lb__io_set(NULL);
  *n_calls = io.calls;
  *n_open = io.open_files;
}

static lb_status run_with_io(const fault_case *c, lb_error *err) {
  lb_status st;
  if (c->prepare != NULL) c->prepare(c->ctx);
  count_io_anew();
  st = c->run(c->ctx, err);
  lb__io_set(NULL);
  if (io.open_files != 0)
    fail_msg("call %d (%s) failed: %ld files stay open", io.fail_at, call_names[io.failed],
             io.open_files);
  return st;
}

static int each_io(const fault_case *c, int error, bool forever) {
  for (int n = 1; n < RUNAWAY; n++) {
    lb_error err = {0};
    io.fail_at = n;
    io.error = error;
    io.forever = forever;
    lb_status st = run_with_io(c, &err);
    if (!io.met) {
      if (st != LB_OK) fail_msg("without a fault: %s", err.message);
      after(c, st, false);
      return n - 1;
    }
    bool cleanup =
        io.failed == CLOSE || io.failed == UNLINK || io.failed == MKDIR || io.failed == RMDIR;
    bool must_succeed = error == EINTR;
    if (must_succeed && st != LB_OK)
      fail_msg("call %d (%s) was interrupted: %s", n, call_names[io.failed], err.message);
    if (!must_succeed && !cleanup && st == LB_OK && !c->may_survive)
      fail_msg("call %d (%s) failed and nobody noticed", n, call_names[io.failed]);
    if (st != LB_OK && st != LB_E_IO)
      fail_msg("call %d (%s) failed: want an I/O error, found: %s", n, call_names[io.failed],
               err.message);
    after(c, st, forever || io.failed == UNLINK || io.failed == RMDIR);
  }
  fail_msg("the operation never ends");
  return 0;
}

static void cut_short(const fault_case *c) {
  lb_error err = {0};
  io.fail_at = 0;
  io.cut_short = true;
  lb_status st = run_with_io(c, &err);
  io.cut_short = false;
  if (st != LB_OK) fail_msg("short reads and writes: %s", err.message);
  after(c, st, false);
}

int fault_each_io(const fault_case *c) {
  int n = each_io(c, EIO, false) + each_io(c, ENOSPC, false) + each_io(c, EIO, true);
  io.only_interruptible = true;
  n += each_io(c, EINTR, false);
  io.only_interruptible = false;
  cut_short(c);
  return n;
}
