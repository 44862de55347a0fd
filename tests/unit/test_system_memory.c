/* test_system_memory.c - how much room there is, on the machine that runs the test. */
#include "base/system_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static void test_memory(void **state) {
  (void)state;
  uint64_t left = lb__system_memory_available();
  print_message("           %.2f GB\n", (double)left / 1e9);
  assert_true(left > 1 << 20);
  assert_true(left < (uint64_t)1 << 50);
}

static void test_disk(void **state) {
  (void)state;
  assert_true(lb__system_disk_available("/") > 0);
  uint64_t here = lb__system_disk_available("."),
           deep = lb__system_disk_available("no/such/folder");
  assert_true(here > 0 && deep > 0);
  assert_true(lb__system_disk_available("/no/such/folder/at/all") > 0);
  assert_true(lb__system_disk_available("") > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory), cmocka_unit_test(test_disk)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
