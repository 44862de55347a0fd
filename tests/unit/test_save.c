/* test_save.c - the atomic save: whichever call fails, readers find the old file or the new one,
 * whole, nothing else is left in the folder, and no descriptor stays open. */
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static lb_error err;
static char folder[] = "/tmp/limbeck_save_XXXXXX";
static char target[100];

/* ---- system calls of which one fails ---- */

typedef enum call { OPEN, WRITE, FSYNC, CLOSE, RENAME, UNLINK, N_CALLS } call;

static int n_calls, fail_at, fail_errno; /* calls are numbered from 1, of all kinds together */
static call failed_call;
static int n_of_kind[N_CALLS], n_open_files;
static size_t longest_write;

static bool fails(call kind) {
  n_of_kind[kind]++;
  if (++n_calls != fail_at) return false;
  failed_call = kind;
  errno = fail_errno;
  return true;
}

static int test_open(const char *path, int flags, mode_t mode) {
  if (fails(OPEN)) return -1;
  int fd = lb__io_default()->open(path, flags, mode);
  n_open_files += fd >= 0;
  return fd;
}

static ssize_t test_write(int fd, const void *bytes, size_t size) {
  if (fails(WRITE)) return -1;
  return lb__io_default()->write(fd, bytes, size < longest_write ? size : longest_write);
}

static int test_fsync(int fd) {
  return fails(FSYNC) ? -1 : lb__io_default()->fsync(fd);
}

static int test_close(int fd) {
  bool failed = fails(CLOSE);
  int reason = errno;
  n_open_files--; /* a close that fails has closed */
  lb__io_default()->close(fd);
  errno = reason;
  return failed ? -1 : 0;
}

static int test_rename(const char *from, const char *to) {
  return fails(RENAME) ? -1 : lb__io_default()->rename(from, to);
}

static int test_unlink(const char *path) {
  return fails(UNLINK) ? -1 : lb__io_default()->unlink(path);
}

static void use_test_calls(int failing, int reason) {
  static lb__io io;
  io = *lb__io_default();
  io.open = test_open;
  io.write = test_write;
  io.fsync = test_fsync;
  io.close = test_close;
  io.rename = test_rename;
  io.unlink = test_unlink;
  n_calls = n_open_files = 0;
  memset(n_of_kind, 0, sizeof n_of_kind);
  failed_call = N_CALLS;
  longest_write = SIZE_MAX;
  fail_at = failing;
  fail_errno = reason;
  lb__io_set(&io);
}

/* ---- the folder ---- */

static int make_folder(void **state) {
  (void)state;
  if (mkdtemp(folder) == NULL) return 1;
  snprintf(target, sizeof target, "%s/file.bin", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  char command[200];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return system(command);
}

static int restore_calls(void **state) {
  (void)state;
  lb__io_set(NULL);
  unlink(target);
  return 0;
}

static size_t n_files(void) {
  char **names;
  size_t n;
  assert_int_equal(lb__folder_list(&names, &n, folder, &err), LB_OK);
  lb__name_list_free(names, n);
  return n;
}

static void file_holds(const char *wanted) {
  char *bytes;
  size_t size;
  lb__io_set(NULL);
  assert_int_equal(lb__file_read(&bytes, &size, target, 1 << 20, NULL), LB_OK);
  assert_string_equal(bytes, wanted);
  lb__free(bytes);
}

/* ---- tests ---- */

static void test_save(void **state) {
  (void)state;
  lb__save s;
  assert_int_equal(lb__save_begin(&s, target, &err), LB_OK);
  assert_int_equal(lb__save_write(&s, "ab", 2, &err), LB_OK);
  assert_int_equal(lb__save_zeros(&s, 10000, &err), LB_OK);
  assert_int_equal(lb__save_write(&s, "yz", 2, &err), LB_OK);
  assert_int_equal(s.offset, 10004);
  assert_false(lb__path_is_file(target)); /* not before the commit */
  assert_int_equal(n_files(), 1);
  char *temporary = lb__path_join(folder, ".file.bin.tmp-");
  assert_memory_equal(s.temporary_path, temporary, strlen(temporary));
  lb__free(temporary);
  assert_int_equal(lb__save_commit(&s, &err), LB_OK);
  lb__save_abort(&s); /* fine after a commit, and again */
  lb__save_abort(&s);
  char *bytes;
  size_t size;
  assert_int_equal(lb__file_read(&bytes, &size, target, 1 << 20, &err), LB_OK);
  assert_int_equal(size, 10004);
  assert_memory_equal(bytes, "ab\0\0", 4);
  assert_memory_equal(bytes + 10000, "\0\0yz", 4);
  lb__free(bytes);
  assert_int_equal(n_files(), 1);
}

static void test_abort_keeps_the_old_file(void **state) {
  (void)state;
  lb__save s;
  assert_int_equal(lb__file_save(target, "old", 3, &err), LB_OK);
  assert_int_equal(lb__save_begin(&s, target, &err), LB_OK);
  assert_int_equal(lb__save_write(&s, "new", 3, &err), LB_OK);
  lb__save_abort(&s);
  file_holds("old");
  assert_int_equal(n_files(), 1);
  lb__save zeroed = {0};
  lb__save_abort(&zeroed);
  assert_int_equal(lb__save_write(&zeroed, "x", 1, &err), LB_E_ARG); /* descriptor 0 is not ours */
  assert_int_equal(lb__save_commit(&zeroed, &err), LB_E_ARG);
  assert_int_equal(lb__save_commit(&s, &err), LB_E_ARG);
}

/* The heart: one run for every call that a save makes. */
static void test_every_call_fails_once(void **state) {
  (void)state;
  bool seen[N_CALLS] = {false};
  for (int failing = 1;; failing++) {
    lb__io_set(NULL);
    assert_int_equal(lb__file_save(target, "old", 3, &err), LB_OK);
    use_test_calls(failing, EIO);
    lb_status st = lb__file_save(target, "new", 3, &err);
    bool renamed = n_of_kind[RENAME] == 1 && failed_call != RENAME;
    if (failed_call == N_CALLS) { /* none was left to fail */
      assert_int_equal(st, LB_OK);
      break;
    }
    seen[failed_call] = true;
    assert_int_equal(n_open_files, 0);
    if (!(failed_call == CLOSE && renamed)) { /* closing the folder: nothing depends on it */
      assert_int_equal(st, LB_E_IO);
      assert_non_null(strstr(err.message, "Input/output error"));
    }
    file_holds(renamed ? "new" : "old");
    assert_int_equal(n_files(), 1);
  }
  for (int kind = 0; kind < UNLINK; kind++) assert_true(seen[kind]);
  file_holds("new");
}

static void test_fsync_is_never_repeated(void **state) {
  (void)state;
  use_test_calls(3, EIO); /* open, write, fsync */
  assert_int_equal(lb__file_save(target, "new", 3, &err), LB_E_IO);
  assert_int_equal(failed_call, FSYNC);
  assert_int_equal(n_of_kind[FSYNC], 1);
  assert_int_equal(n_of_kind[RENAME], 0);
}

static void test_folders_that_cannot_be_synced(void **state) {
  (void)state;
  use_test_calls(7, EINVAL); /* open, write, fsync, close, rename, open folder, fsync */
  assert_int_equal(lb__file_save(target, "new", 3, &err), LB_OK);
  assert_int_equal(failed_call, FSYNC);
  assert_int_equal(n_of_kind[FSYNC], 2);
  file_holds("new");
}

static void test_interrupted_calls(void **state) {
  (void)state;
  static const call patient[] = {OPEN, WRITE, CLOSE};
  static const int at[] = {1, 2, 4};
  for (size_t i = 0; i < 3; i++) {
    use_test_calls(at[i], EINTR);
    assert_int_equal(lb__file_save(target, "new", 3, &err), LB_OK);
    assert_int_equal(failed_call, patient[i]);
    assert_int_equal(n_open_files, 0);
    file_holds("new");
  }
}

static void test_short_writes(void **state) {
  (void)state;
  use_test_calls(0, 0);
  longest_write = 2;
  assert_int_equal(lb__file_save(target, "0123456789", 10, &err), LB_OK);
  assert_int_equal(n_of_kind[WRITE], 5);
  file_holds("0123456789");
  use_test_calls(0, 0);
  longest_write = 0; /* write returns 0: an error, not a loop */
  assert_int_equal(lb__file_save(target, "x", 1, &err), LB_E_IO);
  assert_non_null(strstr(err.message, "No space left"));
  assert_int_equal(n_files(), 1);
}

/* After a failed write the save is lost, whatever the caller does next. */
static void test_failure_is_sticky(void **state) {
  (void)state;
  lb__save s;
  use_test_calls(2, ENOSPC);
  assert_int_equal(lb__save_begin(&s, target, &err), LB_OK);
  assert_int_equal(lb__save_write(&s, "a", 1, &err), LB_E_IO);
  assert_non_null(strstr(err.message, "No space left"));
  assert_int_equal(lb__save_write(&s, "b", 1, &err), LB_E_IO);
  assert_int_equal(lb__save_zeros(&s, 1, &err), LB_E_IO);
  assert_int_equal(lb__save_commit(&s, &err), LB_E_IO);
  assert_int_equal(n_of_kind[RENAME], 0);
  assert_int_equal(n_open_files, 0);
  assert_int_equal(n_files(), 0);
  assert_int_equal(lb__save_commit(&s, &err), LB_E_IO);
}

static void test_names_that_cannot_be_saved(void **state) {
  (void)state;
  lb__save s;
  char path[400];
  static const char *const bad[] = {"", "/", "/tmp/", "/tmp/..", "."};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(lb__save_begin(&s, bad[i], &err), LB_E_ARG);
  assert_int_equal(lb__save_begin(&s, folder, &err), LB_E_IO);
  assert_non_null(strstr(err.message, "is a folder"));
  snprintf(path, sizeof path, "%s/absent/file", folder);
  assert_int_equal(lb__save_begin(&s, path, &err), LB_E_IO);
  assert_non_null(strstr(err.message, "No such file or directory"));
  assert_int_equal(lb__save_write(&s, "x", 1, &err), LB_E_IO);
  lb__save_abort(&s);
  int n = snprintf(path, sizeof path, "%s/", folder);
  memset(path + n, 'x', 255);
  path[n + 255] = '\0'; /* a legal name that leaves no room for the temporary one */
  assert_int_equal(lb__file_save(path, "x", 1, &err), LB_E_IO);
}

/* A name left over by another process with our number is skipped, not overwritten. */
static void test_taken_temporary_name(void **state) {
  (void)state;
  lb__save s, t;
  assert_int_equal(lb__save_begin(&s, target, &err), LB_OK);
  unsigned counter = (unsigned)strtoul(strrchr(s.temporary_path, '-') + 1, NULL, 10);
  char taken[200];
  snprintf(taken, sizeof taken, "%s/.file.bin.tmp-%ld-%u", folder, (long)getpid(), counter + 1);
  int fd = open(taken, O_CREAT | O_WRONLY, 0600);
  assert_int_equal(write(fd, "theirs", 6), 6);
  close(fd);
  assert_int_equal(lb__save_begin(&t, target, &err), LB_OK); /* two at once are fine, too */
  assert_string_not_equal(t.temporary_path, taken);
  lb__save_abort(&s);
  assert_int_equal(lb__save_commit(&t, &err), LB_OK);
  struct stat info;
  assert_int_equal(stat(taken, &info), 0);
  assert_int_equal(info.st_size, 6);
  unlink(taken);
}

static void test_mode_and_relative_path(void **state) {
  (void)state;
  static const mode_t masks[] = {0, 027}, wanted[] = {0644, 0640};
  for (size_t i = 0; i < 2; i++) {
    struct stat info;
    mode_t old = umask(masks[i]);
    assert_int_equal(lb__file_save(target, "x", 1, &err), LB_OK);
    umask(old);
    assert_int_equal(stat(target, &info), 0);
    assert_int_equal(info.st_mode & 0777, wanted[i]);
  }
  char here[1000];
  assert_non_null(getcwd(here, sizeof here));
  assert_int_equal(chdir(folder), 0);
  assert_int_equal(lb__file_save("file.bin", "relative", 8, &err), LB_OK);
  assert_int_equal(chdir(here), 0);
  file_holds("relative");
}

#define CASE(test) cmocka_unit_test_teardown(test, restore_calls)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_save),
      CASE(test_abort_keeps_the_old_file),
      CASE(test_every_call_fails_once),
      CASE(test_fsync_is_never_repeated),
      CASE(test_folders_that_cannot_be_synced),
      CASE(test_interrupted_calls),
      CASE(test_short_writes),
      CASE(test_failure_is_sticky),
      CASE(test_names_that_cannot_be_saved),
      CASE(test_taken_temporary_name),
      CASE(test_mode_and_relative_path),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
