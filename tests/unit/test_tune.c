/* test_tune.c - which kernel is chosen follows from the numbers: measured, remembered, or absent.
 */
#include "base/files.h"
#include "kernels/kernels.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int selected;

static void select_first(void) {
  selected = 1;
}
static void select_second(void) {
  selected = 2;
}

/* Both are the same kernel: the numbers come from a file. */
static lb__product_class two_candidates(bool first_runs, bool second_runs) {
  return (lb__product_class){.name = "a product",
                             .N = 2,
                             .I = 32,
                             .O = 4,
                             .dtype = LB_DTYPE_F32,
                             .candidates = {{"first", first_runs, select_first, 0.0},
                                            {"second", second_runs, select_second, 0.0}}};
}

static int chosen_among(bool first_runs, bool second_runs, bool may_measure) {
  lb__product_class c = two_candidates(first_runs, second_runs);
  selected = 0;
  lb__tune(&c, 1, may_measure);
  assert_int_equal(selected, c.chosen + 1);
  return c.chosen;
}

static void test_order_decides_without_numbers(void **state) {
  (void)state;
  assert_int_equal(chosen_among(true, true, false), 0);
  assert_int_equal(chosen_among(false, true, false), 1);
  assert_int_equal(chosen_among(false, false, false), -1);
}

static void test_numbers_are_measured_and_remembered(void **state) {
  (void)state;
  char *folder = scratch_new(), **names;
  size_t n, size;
  assert_int_equal(setenv("LIMBECK_CACHE", folder, 1), 0);
  assert_true(chosen_among(true, true, true) >= 0);
  assert_int_equal(lb__folder_list(&names, &n, folder, NULL), LB_OK);
  assert_int_equal(n, 1);
  static const struct {
    const char *text;
    int chosen; /* -1: damaged, so it is measured and written anew */
  } files[] = {
      {"{\"a product\": {\"first\": 10.0, \"second\": 12.0}}", 0}, /* not enough of a gain */
      {"{\"a product\": {\"first\": 10.0, \"second\": 13.0}}", 1},
      {"{\"a product\": {\"first\": 10.0}}", -1},
      {"{\"a product\": {\"first\": 10.0, \"second\": \"fast\"}}", -1},
      {"{\"another\": {}}", -1},
      {"[]", -1},
      {"{", -1},
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    scratch_write_text(folder, names[0], files[i].text);
    int chosen = chosen_among(true, true, true);
    char *now = scratch_read(folder, names[0], &size);
    assert_true((strcmp(now, files[i].text) == 0) == (files[i].chosen >= 0));
    if (files[i].chosen >= 0) assert_int_equal(chosen, files[i].chosen);
    free(now);
  }
  lb__name_list_free(names, n);
  scratch_remove(folder);
}

static void test_a_folder_that_cannot_be_written_is_no_error(void **state) {
  (void)state;
  assert_int_equal(setenv("LIMBECK_CACHE", "/proc/no/such/folder", 1), 0);
  assert_true(chosen_among(true, true, true) >= 0);
}

int main(void) {
  assert_int_equal(lb__kernels_install(NULL), LB_OK);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_order_decides_without_numbers),
      cmocka_unit_test(test_numbers_are_measured_and_remembered),
      cmocka_unit_test(test_a_folder_that_cannot_be_written_is_no_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
