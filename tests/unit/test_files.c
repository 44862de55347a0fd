/* test_files.c - paths, folders, reading and mapping, with calls that are interrupted, come up
 * short, or fail. */
#include "base/files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static lb_error err;
static char folder[] = "/tmp/limbeck_files_XXXXXX";
static char buffer[4096];

static const char *path_of(const char *name) {
  snprintf(buffer, sizeof buffer, "%s/%s", folder, name);
  return buffer;
}

static void write_file(const char *name, const char *bytes, size_t size) {
  FILE *f = fopen(path_of(name), "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, size, f), size);
  assert_int_equal(fclose(f), 0);
}

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) == NULL;
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
  return 0;
}

/* ---- paths and folders ---- */

static void test_paths(void **state) {
  (void)state;
  static const char *const joins[][3] = {
      {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}};
  for (size_t i = 0; i < 4; i++) {
    char *joined = lb__path_join(joins[i][0], joins[i][1]);
    assert_string_equal(joined, joins[i][2]);
    lb__free(joined);
  }
  assert_string_equal(lb__path_base("a/b/c.txt"), "c.txt");
  assert_string_equal(lb__path_base("c.txt"), "c.txt");
  assert_string_equal(lb__path_base("a/"), "");
  static const char *const names[][2] = {{"a/b", "b"}, {"a/b/", "b"}, {"b//", "b"}, {"b", "b"},
                                         {".", "."},   {"/", ""},     {"", ""}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char *name = lb__path_name(names[i][0]);
    assert_string_equal(name, names[i][1]);
    lb__free(name);
  }
}

static void test_plain_names(void **state) {
  (void)state;
  assert_true(lb__path_is_plain_name("model.safetensors"));
  assert_true(lb__path_is_plain_name("..."));
  assert_true(lb__path_is_plain_name(".hidden"));
  static const char *const bad[] = {"", ".", "..", "/", "a/b", "../a", "/etc/passwd", "a/"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_false(lb__path_is_plain_name(bad[i]));
}

static void test_kinds(void **state) {
  (void)state;
  write_file("kind", "x", 1);
  assert_true(lb__path_is_file(path_of("kind")));
  assert_false(lb__path_is_folder(path_of("kind")));
  assert_true(lb__path_is_folder(folder));
  assert_false(lb__path_is_file(folder));
  assert_false(lb__path_is_file(path_of("absent")));
  assert_false(lb__path_is_folder(path_of("absent")));
}

static void test_folder_make(void **state) {
  (void)state;
  assert_int_equal(lb__folder_make(path_of("p/q//r/"), &err), LB_OK);
  assert_true(lb__path_is_folder(path_of("p/q/r")));
  assert_int_equal(lb__folder_make(path_of("p/q/r"), &err), LB_OK); /* existing is fine */
  write_file("p/file", "x", 1);
  assert_int_equal(lb__folder_make(path_of("p/file"), &err), LB_E_IO);
  assert_non_null(strstr(err.message, "p/file': File exists"));
  assert_int_equal(lb__folder_make(path_of("p/file/below"), &err), LB_E_IO);
  assert_int_equal(lb__folder_make("", &err), LB_E_ARG);
}

static void test_folder_list(void **state) {
  (void)state;
  char **names;
  size_t n;
  assert_int_equal(lb__folder_make(path_of("list/sub"), &err), LB_OK);
  write_file("list/b", "", 0);
  write_file("list/a", "", 0);
  write_file("list/.c", "", 0);
  assert_int_equal(lb__folder_list(&names, &n, path_of("list"), &err), LB_OK);
  assert_int_equal(n, 4);
  static const char *const wanted[] = {".c", "a", "b", "sub"};
  for (size_t i = 0; i < 4; i++) assert_string_equal(names[i], wanted[i]);
  lb__name_list_free(names, n);
  assert_int_equal(lb__folder_list(&names, &n, path_of("list/sub"), &err), LB_OK);
  assert_int_equal(n, 0);
  lb__name_list_free(names, n);
  assert_int_equal(lb__folder_list(&names, &n, path_of("absent"), &err), LB_E_IO);
  assert_null(names);
  assert_int_equal(n, 0);
}

/* ---- reading and mapping ---- */

static void test_read(void **state) {
  (void)state;
  char *bytes;
  size_t size;
  write_file("r", "a\0bc", 4);
  assert_int_equal(lb__file_read(&bytes, &size, path_of("r"), 4, &err), LB_OK);
  assert_int_equal(size, 4);
  assert_memory_equal(bytes, "a\0bc", 5); /* and a NUL */
  lb__free(bytes);
  assert_int_equal(lb__file_read(&bytes, &size, path_of("r"), 3, &err), LB_E_LIMIT);
  assert_null(bytes);
  assert_non_null(strstr(err.message, "r': 4 bytes, the limit is 3"));
  write_file("empty", "", 0);
  assert_int_equal(lb__file_read(&bytes, &size, path_of("empty"), 0, &err), LB_OK);
  assert_int_equal(size, 0);
  assert_string_equal(bytes, "");
  lb__free(bytes);
}

static void test_reader(void **state) {
  (void)state;
  lb__reader r;
  char bytes[4];
  size_t n;
  write_file("pieces", "abcdefg", 7);
  assert_int_equal(lb__reader_open(&r, path_of("pieces"), &err), LB_OK);
  assert_int_equal(r.size, 7);
  static const char *const pieces[] = {"abc", "def", "g", ""};
  for (size_t i = 0; i < 4; i++) {
    assert_int_equal(lb__reader_read(&r, bytes, 3, &n, &err), LB_OK);
    assert_int_equal(n, strlen(pieces[i]));
    assert_memory_equal(bytes, pieces[i], n);
  }
  assert_int_equal(r.offset, 7);
  lb__reader_close(&r);
  lb__reader_close(&r); /* closed, as a zeroed one */
  assert_int_equal(lb__reader_open(&r, path_of("absent"), &err), LB_E_IO);
  lb__reader_close(&r);
  assert_int_equal(lb__reader_open(&r, folder, &err), LB_E_IO);
}

static void test_map(void **state) {
  (void)state;
  lb__mapping m;
  write_file("m", "mapped", 6);
  assert_int_equal(lb__file_map(&m, path_of("m"), &err), LB_OK);
  assert_int_equal(m.size, 6);
  assert_memory_equal(m.bytes, "mapped", 6);
  lb__file_unmap(&m);
  assert_null(m.bytes);
  lb__file_unmap(&m);
  write_file("empty", "", 0);
  assert_int_equal(lb__file_map(&m, path_of("empty"), &err), LB_OK);
  assert_null(m.bytes);
  assert_int_equal(m.size, 0);
  lb__file_unmap(&m);
}

/* Files that say they are empty but are not (/proc) are read to their end, under the limit. */
static void test_files_without_a_size(void **state) {
  (void)state;
  char *bytes;
  size_t size;
  if (access("/proc/self/maps", R_OK) != 0) skip();
  assert_int_equal(lb__file_read(&bytes, &size, "/proc/self/maps", 1 << 24, &err), LB_OK);
  assert_true(size > 100);
  lb__free(bytes);
  assert_int_equal(lb__file_read(&bytes, &size, "/proc/self/maps", 100, &err), LB_E_LIMIT);
  assert_null(bytes);
}

static void refused(const char *path, lb_status wanted, const char *message) {
  char *bytes;
  size_t size;
  lb__mapping m;
  assert_int_equal(lb__file_read(&bytes, &size, path, 100, &err), wanted);
  assert_null(bytes);
  assert_non_null(strstr(err.message, message));
  assert_int_equal(lb__file_map(&m, path, &err), wanted);
  assert_null(m.bytes);
  assert_non_null(strstr(err.message, message));
}

static void test_what_is_no_file(void **state) {
  (void)state;
  refused("/absent/file", LB_E_IO, "'/absent/file': No such file or directory");
  refused(folder, LB_E_IO, "want a file, found a folder");
  refused("/dev/zero", LB_E_IO, "want a file, found a device");
  assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
  refused(path_of("pipe"), LB_E_IO, "want a file, found a pipe"); /* and does not wait */
}

/* ---- calls that misbehave ---- */

static int n_interruptions, n_open_files;

static int fussy_open(const char *path, int flags, mode_t mode) {
  if (n_interruptions++ % 2 == 0) {
    errno = EINTR;
    return -1;
  }
  int fd = lb__io_default()->open(path, flags, mode);
  n_open_files += fd >= 0;
  return fd;
}

static ssize_t fussy_read(int fd, void *bytes, size_t size) {
  if (n_interruptions++ % 2 == 0) {
    errno = EINTR;
    return -1;
  }
  return lb__io_default()->read(fd, bytes, size < 3 ? size : 3);
}

static int counting_close(int fd) {
  n_open_files--;
  return lb__io_default()->close(fd);
}

static ssize_t failing_read(int fd, void *bytes, size_t size) {
  (void)fd, (void)bytes, (void)size;
  errno = EIO;
  return -1;
}

static void *failing_mmap(size_t size, int fd) {
  (void)size, (void)fd;
  errno = ENOMEM;
  return MAP_FAILED;
}

static void test_interrupted_and_short_reads(void **state) {
  (void)state;
  lb__io io = *lb__io_default();
  io.open = fussy_open;
  io.read = fussy_read;
  io.close = counting_close;
  n_open_files = n_interruptions = 0;
  write_file("long", "0123456789abcdefghij", 20);
  lb__io_set(&io);
  char *bytes;
  size_t size;
  assert_int_equal(lb__file_read(&bytes, &size, path_of("long"), 20, &err), LB_OK);
  assert_int_equal(size, 20);
  assert_string_equal(bytes, "0123456789abcdefghij");
  lb__free(bytes);
  assert_int_equal(n_open_files, 0);
}

static void test_failing_calls(void **state) {
  (void)state;
  lb__io io = *lb__io_default();
  io.read = failing_read;
  io.mmap = failing_mmap;
  io.close = counting_close;
  io.open = fussy_open;
  n_open_files = n_interruptions = 0;
  write_file("f", "x", 1);
  lb__io_set(&io);
  char *bytes;
  size_t size;
  lb__mapping m;
  assert_int_equal(lb__file_read(&bytes, &size, path_of("f"), 20, &err), LB_E_IO);
  assert_non_null(strstr(err.message, "f': Input/output error"));
  assert_null(bytes);
  assert_int_equal(lb__file_map(&m, path_of("f"), &err), LB_E_NOMEM);
  assert_null(m.bytes);
  assert_int_equal(n_open_files, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_paths),
      cmocka_unit_test(test_plain_names),
      cmocka_unit_test(test_kinds),
      cmocka_unit_test(test_folder_make),
      cmocka_unit_test(test_folder_list),
      cmocka_unit_test(test_read),
      cmocka_unit_test(test_reader),
      cmocka_unit_test(test_map),
      cmocka_unit_test(test_files_without_a_size),
      cmocka_unit_test(test_what_is_no_file),
      cmocka_unit_test_teardown(test_interrupted_and_short_reads, restore_calls),
      cmocka_unit_test_teardown(test_failing_calls, restore_calls),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
