/* test_checkpoint_folder.c - a checkpoint appears whole or not at all: whichever call fails, from
 * wherever the process is cut off, the newest that verifies is the old one or the new one. */
#include "train/checkpoint_folder.h"

#include "base/fail.h"
#include "base/files.h"
#include "faults.h"
#include "scratch.h"

#include <limbeck/environment.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

static char *top;
static const char *output; /* top/run */
static lb_error err;

/* ---- the log ---- */
static char last_warning[512];
static int n_warnings;

static void on_log(void *ctx, lb_log_level level, const char *text) {
  (void)ctx;
  if (level != LB_LOG_WARN) return;
  n_warnings++;
  snprintf(last_warning, sizeof last_warning, "%s", text);
}

/* ---- helpers ---- */

static lb_status write_file(const char *folder, const char *name, const char *text, lb_error *e) {
  char *path = lb__path_join(folder, name);
  if (path == NULL) return lb__fail_nomem(e, name);
  lb_status st = lb__file_save(path, text, strlen(text), e);
  lb__free(path);
  return st;
}

static lb_status save_step(int64_t step, int64_t limit, lb_error *e) {
  lb__folder_save s;
  char text[64];
  snprintf(text, sizeof text, "weights of step %lld", (long long)step);
  lb_status st = lb__checkpoint_begin(&s, output, step, e);
  if (st != LB_OK) return st;
  st = write_file(s.folder, "model.bin", text, e);
  if (st == LB_OK) st = write_file(s.folder, "state.json", "{}", e);
  if (st == LB_OK) st = lb__checkpoint_commit(&s, limit, e);
  lb__checkpoint_abort(&s);
  return st;
}

static void must_save(int64_t step, int64_t limit) {
  if (save_step(step, limit, &err) != LB_OK) fail_msg("%s", err.message);
}

/* -1: none */
static int64_t newest(void) {
  char *path;
  int64_t step;
  if (lb__checkpoint_newest(&path, &step, output, &err) != LB_OK) fail_msg("%s", err.message);
  if (path == NULL) return -1;
  assert_int_equal(lb__checkpoint_verify(path, NULL), LB_OK);
  lb__free(path);
  return step;
}

static const char *in_checkpoint(int64_t step, const char *name) {
  char relative[128];
  snprintf(relative, sizeof relative, "checkpoint-%lld/%s", (long long)step, name);
  return scratch_path(output, relative);
}

static bool has_checkpoint(int64_t step) {
  return lb__path_is_folder(in_checkpoint(step, ""));
}

static int begin(void **state) {
  (void)state;
  static char path[600];
  top = scratch_new();
  snprintf(path, sizeof path, "%s/run", top);
  output = path;
  err = (lb_error){0};
  n_warnings = 0;
  lb_log_set(on_log, NULL);
  return 0;
}

static int end(void **state) {
  (void)state;
  lb__io_set(NULL); /* also when a test failed in the middle */
  lb_log_set(NULL, NULL);
  scratch_remove(top);
  return 0;
}

/* ---- what it does ---- */

static void test_saved_and_found(void **state) {
  (void)state;
  assert_int_equal(newest(), -1); /* not even the folder is there */
  must_save(5, 0);
  must_save(40, 0);
  must_save(7, 0);
  assert_int_equal(newest(), 40); /* as a number, not as text */
  assert_int_equal(scratch_count(output), 3);
  char *text = scratch_read(scratch_path(output, "checkpoint-40"), "model.bin", NULL);
  assert_string_equal(text, "weights of step 40");
  free(text);
}

static void test_rotation_keeps_the_newest(void **state) {
  (void)state;
  for (int64_t step = 1; step <= 5; step++) must_save(step, 2);
  assert_true(has_checkpoint(4) && has_checkpoint(5));
  assert_int_equal(scratch_count(output), 2);
  must_save(6, 1);
  assert_int_equal(scratch_count(output), 1);
  assert_int_equal(newest(), 6);
  assert_int_equal(n_warnings, 0);
}

/* After going back, the steps of the abandoned future are larger than the new one. */
static void test_rotation_never_removes_the_new_one(void **state) {
  (void)state;
  must_save(90, 0);
  must_save(100, 0);
  must_save(50, 1);
  assert_true(has_checkpoint(50));
  assert_int_equal(scratch_count(output), 1);
}

static void test_same_step_again(void **state) {
  (void)state;
  must_save(3, 0);
  scratch_write_text(output, "checkpoint-3/model.bin", "damaged");
  assert_int_equal(newest(), -1);
  must_save(3, 0);
  assert_int_equal(newest(), 3);
  assert_int_equal(scratch_count(output), 1);
}

static void test_abort_leaves_nothing(void **state) {
  (void)state;
  lb__folder_save s;
  assert_int_equal(lb__checkpoint_begin(&s, output, 1, &err), LB_OK);
  assert_int_equal(write_file(s.folder, "model.bin", "x", &err), LB_OK);
  assert_int_equal(newest(), -1); /* not there before it is whole */
  lb__checkpoint_abort(&s);
  assert_int_equal(scratch_count(output), 0);
  lb__checkpoint_abort(&s);
}

static void test_other_names_are_left_alone(void **state) {
  (void)state;
  must_save(1, 0);
  static const char *const others[] = {"checkpoint-", "checkpoint-9x", "checkpoint--9", "runs",
                                       "checkpoint-99999999999999999999"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    assert_int_equal(mkdir(scratch_path(output, others[i]), 0755), 0);
  must_save(2, 1);
  assert_int_equal(newest(), 2);
  assert_int_equal(lb__checkpoint_clean(output, &err), LB_OK);
  assert_int_equal(scratch_count(output), 6);
}

/* ---- damage ---- */

static void flip(const char *path, long at, int bit) {
  FILE *f = fopen(path, "r+b");
  assert_non_null(f);
  fseek(f, at, SEEK_SET);
  int byte = fgetc(f);
  fseek(f, at, SEEK_SET);
  fputc(byte ^ (1 << bit), f);
  fclose(f);
}

static long size_of(const char *path) {
  struct stat s;
  assert_int_equal(stat(path, &s), 0);
  return (long)s.st_size;
}

/* Every single bit of every file, the manifest too. */
static void test_every_flipped_bit_is_noticed(void **state) {
  (void)state;
  must_save(1, 0);
  must_save(2, 0);
  static const char *const names[] = {"model.bin", "state.json", "manifest.json"};
  for (size_t i = 0; i < 3; i++) {
    char path[700];
    snprintf(path, sizeof path, "%s", in_checkpoint(2, names[i]));
    for (long bit = 0; bit < 8 * size_of(path); bit++) {
      flip(path, bit / 8, (int)(bit % 8));
      if (newest() != 1) fail_msg("%s: bit %ld was flipped and nobody noticed", names[i], bit);
      flip(path, bit / 8, (int)(bit % 8));
    }
  }
  assert_int_equal(newest(), 2);
  assert_true(n_warnings > 1000);
}

static void test_missing_and_cut_files_are_noticed(void **state) {
  (void)state;
  must_save(1, 0);
  must_save(2, 0);
  must_save(3, 0);
  must_save(4, 0);
  assert_int_equal(remove(in_checkpoint(4, "manifest.json")), 0);
  assert_int_equal(newest(), 3);
  assert_non_null(strstr(last_warning, "has no manifest.json"));
  assert_int_equal(remove(in_checkpoint(3, "state.json")), 0);
  assert_int_equal(newest(), 2);
  assert_non_null(strstr(last_warning, "state.json': the file is missing"));
  scratch_write_text(output, "checkpoint-2/model.bin", "weights of");
  assert_int_equal(newest(), 1);
  assert_non_null(strstr(last_warning, "want 17 bytes, found 10"));
}

static void test_hostile_manifests(void **state) {
  (void)state;
#define HEAD "{\"format\":\"limbeck checkpoint\",\"version\":1,\"step\":1,\"files\":"
#define SUM  "\"sha256\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\""
  static const struct {
    const char *text, *wanted;
  } cases[] = {
      {"", "ends too early"},
      {"[]", "want an object"},
      {"{\"format\":\"zip\",\"version\":1,\"step\":1,\"files\":{}}", "want format"},
      {"{\"format\":\"limbeck checkpoint\",\"version\":2,\"step\":1}", "version 2"},
      {"{\"format\":\"limbeck checkpoint\",\"version\":1,\"step\":-1}", "negative step"},
      {"{\"format\":\"limbeck checkpoint\",\"version\":1,\"step\":1}", "found nothing"},
      {HEAD "{}}", "not empty"},
      {HEAD "[1]}", "found array"},
      {HEAD "{\"../secret\":{\"size\":0," SUM "}}}", "not the name of a file"},
      {HEAD "{\"/etc/passwd\":{\"size\":0," SUM "}}}", "not the name of a file"},
      {HEAD "{\"..\":{\"size\":0," SUM "}}}", "not the name of a file"},
      {HEAD "{\"manifest.json\":{\"size\":0," SUM "}}}", "not the name of a file"},
      {HEAD "{\"model.bin\":{\"size\":-1," SUM "}}}", "negative size"},
      {HEAD "{\"model.bin\":{\"size\":9223372036854775807," SUM "}}}", "found 17"},
      {HEAD "{\"model.bin\":{\"size\":17," SUM "}}}", "has changed"},
      {HEAD "{\"model.bin\":{\"size\":17,\"sha256\":5}}}", "want a string"},
      {HEAD "{\"model.bin\":7}}", "want an object"},
      {HEAD "{\"none\":{\"size\":0," SUM "}}}", "missing"},
      {HEAD "{\"model.bin\":{\"size\":17},\"model.bin\":{}}}", "duplicate key"},
  };
  must_save(1, 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    scratch_write_text(output, "checkpoint-1/manifest.json", cases[i].text);
    lb_status st = lb__checkpoint_verify(scratch_path(output, "checkpoint-1"), &err);
    if (st != LB_E_FORMAT || strstr(err.message, cases[i].wanted) == NULL)
      fail_msg("%s: '%s', want '%s'", cases[i].text, err.message, cases[i].wanted);
    assert_int_equal(newest(), -1);
  }
}

/* Seventeen megabytes of manifest are not read. */
static void test_huge_manifest(void **state) {
  (void)state;
  must_save(1, 0);
  size_t size = 17u << 20;
  char *spaces = malloc(size);
  assert_non_null(spaces);
  memset(spaces, ' ', size);
  scratch_write(output, "checkpoint-1/manifest.json", spaces, size);
  free(spaces);
  assert_int_equal(lb__checkpoint_verify(scratch_path(output, "checkpoint-1"), &err), LB_E_LIMIT);
  assert_int_equal(newest(), -1);
}

/* A pipe in place of a file must not make us wait. */
static void test_pipe_is_refused(void **state) {
  (void)state;
  must_save(1, 0);
  assert_int_equal(remove(in_checkpoint(1, "model.bin")), 0);
  assert_int_equal(mkfifo(in_checkpoint(1, "model.bin"), 0600), 0);
  assert_int_equal(newest(), -1);
}

/* ---- what killed runs leave ---- */

static void test_leftovers_are_cleaned(void **state) {
  (void)state;
  must_save(1, 0);
  must_save(2, 0);
  must_save(3, 0);
  assert_int_equal(mkdir(scratch_path(output, ".checkpoint-9.tmp-123"), 0755), 0);
  scratch_write_text(output, ".checkpoint-9.tmp-123/model.bin", "half");
  /* killed between removing and removed, and between stepping aside and coming back */
  assert_int_equal(rename(in_checkpoint(1, ""), scratch_path(output, ".checkpoint-1.gone")), 0);
  assert_int_equal(rename(in_checkpoint(3, ""), scratch_path(output, ".checkpoint-3.old")), 0);
  assert_int_equal(lb__checkpoint_clean(output, &err), LB_OK);
  assert_int_equal(scratch_count_hidden(output), 0);
  assert_int_equal(scratch_count(output), 2);
  assert_int_equal(newest(), 3);
  assert_int_equal(n_warnings, 0);
}

/* ---- the order that survives a power cut ----
 * What is not synced may be lost, and renames may reach the disk in any order: so every file must
 * be synced after its last write and before the folder gets its name, the folder's own list of
 * names too, and the parent before anything older is removed. */

enum { MOST_FILES = 64 };
static struct traced {
  char path[700];
  int fd;
  bool dirty;
} files[MOST_FILES];
static int n_files;
static bool is_renamed, parent_is_synced;

static struct traced *file_at(const char *path) {
  for (int i = 0; i < n_files; i++)
    if (strcmp(files[i].path, path) == 0) return &files[i];
  assert_true(n_files < MOST_FILES);
  snprintf(files[n_files].path, sizeof files[n_files].path, "%s", path);
  return &files[n_files++];
}

static struct traced *file_of(int fd) {
  for (int i = 0; i < n_files; i++)
    if (files[i].fd == fd) return &files[i];
  fail_msg("a file that was never opened");
  return NULL;
}

static int trace_open(const char *path, int flags, mode_t mode) {
  int fd = lb__io_default()->open(path, flags, mode);
  for (int i = 0; i < n_files; i++)
    if (files[i].fd == fd) files[i].fd = -1; /* the number is used again */
  if (fd >= 0) file_at(path)->fd = fd;
  return fd;
}

static ssize_t trace_write(int fd, const void *bytes, size_t size) {
  file_of(fd)->dirty = true;
  return lb__io_default()->write(fd, bytes, size);
}

static int trace_fsync(int fd) {
  struct traced *f = file_of(fd);
  f->dirty = false;
  if (is_renamed && strcmp(f->path, output) == 0) parent_is_synced = true;
  return lb__io_default()->fsync(fd);
}

/* A name changed in this folder. */
static void folder_is_dirty(const char *path) {
  char folder[700];
  snprintf(folder, sizeof folder, "%.*s", (int)(lb__path_base(path) - path - 1), path);
  file_at(folder)->dirty = true;
}

static int trace_rename(const char *from, const char *to) {
  if (strcmp(lb__path_base(to), "checkpoint-2") == 0) {
    for (int i = 0; i < n_files; i++)
      if (files[i].dirty && strncmp(files[i].path, from, strlen(from)) == 0)
        fail_msg("%s was not synced before the checkpoint got its name", files[i].path);
    is_renamed = true;
  } else if (strstr(to, ".gone") != NULL) {
    if (!parent_is_synced) fail_msg("an old checkpoint went before the new one was on disk");
  } else { /* a file gets its name: its bytes must be there */
    if (file_at(from)->dirty) fail_msg("%s was renamed before it was synced", from);
    folder_is_dirty(to);
  }
  return lb__io_default()->rename(from, to);
}

static void test_order_survives_a_power_cut(void **state) {
  (void)state;
  must_save(1, 0);
  lb__io io = *lb__io_default();
  io.open = trace_open;
  io.write = trace_write;
  io.fsync = trace_fsync;
  io.rename = trace_rename;
  n_files = 0;
  is_renamed = parent_is_synced = false;
  lb__io_set(&io);
  lb_status st = save_step(2, 1, &err);
  lb__io_set(NULL);
  assert_int_equal(st, LB_OK);
  assert_true(is_renamed && parent_is_synced);
  assert_true(n_files >= 5);
  assert_false(has_checkpoint(1));
}

/* ---- faults ---- */

typedef struct saving {
  int64_t step, limit;
} saving;

static lb_status run_save(void *ctx, lb_error *e) {
  const saving *s = ctx;
  return save_step(s->step, s->limit, e);
}

static void remove_all(void *ctx) {
  (void)ctx;
  scratch_remove(strdup(output));
  must_save(1, 0);
}

static bool has_half_written(void) {
  char **names;
  size_t n;
  bool found = false;
  assert_int_equal(lb__folder_list(&names, &n, output, &err), LB_OK);
  for (size_t i = 0; i < n; i++) found |= strstr(names[i], ".tmp-") != NULL;
  lb__name_list_free(names, n);
  return found;
}

/* As the next start does it: tidy up, look for the newest. */
static void check_old_or_new(void *ctx, lb_status status, bool left_behind) {
  const saving *s = ctx;
  if (!left_behind && has_half_written()) fail_msg("a failed save left something behind");
  assert_int_equal(lb__checkpoint_clean(output, &err), LB_OK);
  assert_int_equal(scratch_count_hidden(output), 0);
  int64_t found = newest();
  if (found != 1 && found != s->step) fail_msg("no checkpoint is left");
  if (status == LB_OK) assert_int_equal(found, s->step);
  char *text = scratch_read(in_checkpoint(found, ""), "model.bin", NULL);
  char wanted[64];
  snprintf(wanted, sizeof wanted, "weights of step %lld", (long long)found);
  assert_string_equal(text, wanted);
  free(text);
}

static void check_faults(int64_t step, int64_t limit) {
  saving s = {step, limit};
  fault_case c = {run_save, remove_all, check_old_or_new, &s, .may_survive = true};
  assert_true(fault_each_io(&c) > 50);
  assert_true(fault_each_allocation(&c) > 50);
}

static void test_faults_while_saving(void **state) {
  (void)state;
  check_faults(2, 0);
}
static void test_faults_while_rotating(void **state) {
  (void)state;
  check_faults(2, 1);
}
static void test_faults_while_replacing(void **state) {
  (void)state;
  check_faults(1, 1);
}

static lb_status run_newest(void *ctx, lb_error *e) {
  char *path;
  int64_t step;
  (void)ctx;
  lb_status st = lb__checkpoint_clean(output, e);
  if (st == LB_OK) st = lb__checkpoint_newest(&path, &step, output, e);
  if (st == LB_OK) lb__free(path);
  return st;
}

static void test_faults_while_finding(void **state) {
  (void)state;
  must_save(1, 0);
  must_save(2, 0);
  fault_case c = {.run = run_newest, .may_survive = true};
  assert_true(fault_each_io(&c) > 10);
  assert_true(fault_each_allocation(&c) > 10);
  assert_int_equal(newest(), 2);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
  const struct CMUnitTest tests[] = {
      TEST(test_saved_and_found),
      TEST(test_rotation_keeps_the_newest),
      TEST(test_rotation_never_removes_the_new_one),
      TEST(test_same_step_again),
      TEST(test_abort_leaves_nothing),
      TEST(test_other_names_are_left_alone),
      TEST(test_every_flipped_bit_is_noticed),
      TEST(test_missing_and_cut_files_are_noticed),
      TEST(test_hostile_manifests),
      TEST(test_huge_manifest),
      TEST(test_pipe_is_refused),
      TEST(test_leftovers_are_cleaned),
      TEST(test_order_survives_a_power_cut),
      TEST(test_faults_while_saving),
      TEST(test_faults_while_rotating),
      TEST(test_faults_while_replacing),
      TEST(test_faults_while_finding),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
