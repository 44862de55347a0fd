/* test_sha256.c - known digests, sizes around a piece, and what is refused. */
#include "base/sha256.h"
#include "faults.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char *folder;

static void check(const char *bytes, size_t size, const char *wanted) {
  char hex[LB__SHA256_HEX_SIZE];
  uint64_t found;
  scratch_write(folder, "f", bytes, size);
  assert_int_equal(lb__sha256_file(hex, &found, scratch_path(folder, "f"), NULL), LB_OK);
  assert_string_equal(hex, wanted);
  assert_int_equal(found, size);
}

/* FIPS 180-2's examples. */
static void test_known_digests(void **state) {
  (void)state;
  check("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  check("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  char *many = malloc(1000000);
  memset(many, 'a', 1000000);
  check(many, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  free(many);
}

static void test_what_is_no_file_is_refused(void **state) {
  (void)state;
  char hex[LB__SHA256_HEX_SIZE];
  uint64_t size;
  lb_error err = {0};
  assert_int_equal(lb__sha256_file(hex, &size, folder, &err), LB_E_IO);
  assert_non_null(strstr(err.message, "a folder"));
  assert_int_equal(lb__sha256_file(hex, &size, scratch_path(folder, "none"), &err), LB_E_IO);
  assert_string_equal(hex, "");
}

static lb_status run(void *ctx, lb_error *err) {
  char hex[LB__SHA256_HEX_SIZE];
  uint64_t size;
  return lb__sha256_file(hex, &size, ctx, err);
}

static void test_faults(void **state) {
  (void)state;
  char *big = calloc(1, 3000000);
  scratch_write(folder, "big", big, 3000000);
  free(big);
  fault_case c = {.run = run, .ctx = (char *)scratch_path(folder, "big")};
  assert_true(fault_each_allocation(&c) > 0);
  assert_true(fault_each_io(&c) > 3);
}

static int begin(void **state) {
  (void)state;
  folder = scratch_new();
  return 0;
}
static int end(void **state) {
  (void)state;
  scratch_remove(folder);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known_digests),
      cmocka_unit_test(test_what_is_no_file_is_refused),
      cmocka_unit_test(test_faults),
  };
  return cmocka_run_group_tests(tests, begin, end);
}
