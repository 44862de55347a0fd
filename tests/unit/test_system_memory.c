/* test_system_memory.c - how much room there is, on the machine that runs the test. */
#include "base/memory.h"
#include "base/system_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void test_memory(void **state) {
  (void)state;
  uint64_t left = lb__system_memory_available();
  print_message("           %.2f GB\n", (double)left / 1e9);
  assert_true(left > 1 << 20);
  assert_true(left < (uint64_t)1 << 50);
}

/* What was asked for and touched is counted. */
static void test_resident(void **state) {
  (void)state;
  enum { SIZE = 64 << 20 };
  uint64_t before = lb__system_memory_resident();
  char *block = lb__alloc(SIZE);
  memset(block, 1, SIZE);
  uint64_t after = lb__system_memory_resident();
  assert_true(before > 1 << 16 && block[SIZE / 2] == 1);
  assert_true(after - before > SIZE / 2 && after - before < 2 * SIZE);
  lb__free(block);
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
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory), cmocka_unit_test(test_resident),
                                     cmocka_unit_test(test_disk)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
