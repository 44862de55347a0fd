/* test_append.c - a file of whole records, whatever fails while it is written. */
#include "base/append.h"

#include "faults.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static char *folder;
static lb_error err;

static int setup(void **state) {
  (void)state;
  folder = scratch_new();
  return 0;
}

static int teardown(void **state) {
  (void)state;
  scratch_remove(folder);
  return 0;
}

static void expect_text(const char *name, const char *text) {
  char *found = scratch_read(folder, name, NULL);
  assert_string_equal(found, text);
  free(found);
}

static void test_appends_and_cuts(void **state) {
  (void)state;
  lb__append a;
  assert_int_equal(lb__append_open(&a, scratch_path(folder, "log"), 0, &err), LB_OK);
  assert_int_equal(lb__append_write(&a, "one\n", 4, &err), LB_OK);
  expect_text("log", "one\n"); /* at once, not at close */
  assert_int_equal(lb__append_write(&a, "two\n", 4, &err), LB_OK);
  assert_int_equal(lb__append_sync(&a, &err), LB_OK);
  assert_int_equal(a.size, 8);
  assert_int_equal(lb__append_close(&a, &err), LB_OK);
  assert_int_equal(lb__append_close(&a, &err), LB_OK);
  assert_int_equal(lb__append_open(&a, scratch_path(folder, "log"), 4, &err), LB_OK);
  assert_int_equal(lb__append_write(&a, "2\n", 2, &err), LB_OK);
  assert_int_equal(lb__append_close(&a, &err), LB_OK);
  expect_text("log", "one\n2\n");
}

static void test_refusals(void **state) {
  (void)state;
  lb__append a;
  scratch_write_text(folder, "short", "abc");
  assert_int_equal(lb__append_open(&a, scratch_path(folder, "short"), 4, &err), LB_E_ARG);
  assert_non_null(strstr(err.message, "want to keep 4 bytes, it has 3"));
  assert_int_equal(lb__append_write(&a, "x", 1, &err), LB_E_ARG); /* sticky */
  assert_int_equal(lb__append_close(&a, &err), LB_OK);
  expect_text("short", "abc");
  assert_int_equal(lb__append_write(&a, "x", 1, &err), LB_E_ARG);
  assert_non_null(strstr(err.message, "not open"));
  assert_int_equal(lb__append_open(&a, folder, 0, &err), LB_E_IO);
  assert_int_equal(lb__append_close(&a, &err), LB_OK);
}

/* ---- faults ---- */

static void prepare(void *ctx) {
  (void)ctx;
  scratch_write_text(folder, "faulty", "one\ntorn");
}

static lb_status run(void *ctx, lb_error *e) {
  (void)ctx;
  lb__append a;
  lb_status st = lb__append_open(&a, scratch_path(folder, "faulty"), 4, e);
  if (st == LB_OK) st = lb__append_write(&a, "two\n", 4, e);
  if (st == LB_OK) st = lb__append_sync(&a, e);
  if (st == LB_OK) st = lb__append_write(&a, "three\n", 6, e);
  lb_status closed = lb__append_close(&a, st == LB_OK ? e : NULL);
  return st == LB_OK ? closed : st;
}

/* Only whole records, in order; a torn end only when the disk would not cut it off either. */
static void check(void *ctx, lb_status status, bool left_behind) {
  (void)ctx;
  static const char whole[] = "one\ntwo\nthree\n";
  size_t size;
  char *found = scratch_read(folder, "faulty", &size);
  if (strcmp(found, "one\ntorn") == 0) { /* never opened */
    assert_int_not_equal(status, LB_OK);
  } else {
    assert_true(size <= strlen(whole));
    assert_memory_equal(found, whole, size);
    if (status == LB_OK) assert_int_equal(size, strlen(whole));
    if (!left_behind) assert_int_equal(found[size - 1], '\n');
  }
  free(found);
}

static void test_every_call_may_fail(void **state) {
  (void)state;
  fault_case c = {.run = run, .prepare = prepare, .check = check};
  assert_true(fault_each_allocation(&c) > 0);
  assert_true(fault_each_io(&c) > 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_appends_and_cuts),
                                     cmocka_unit_test(test_refusals),
                                     cmocka_unit_test(test_every_call_may_fail)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
