/* test_arena.c - arenas: alignment, budget, reset, marks, and that a repeated step allocates
 * nothing. */
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

static int n_calls, n_alive, fail_from; /* fail_from: every call from this one on fails; 0 none */

static void *counting_alloc(void *ctx, size_t size) {
  (void)ctx;
  n_calls++;
  if (fail_from != 0 && n_calls >= fail_from) return NULL;
  n_alive++;
  return malloc(size);
}

static void *no_resize(void *ctx, void *p, size_t old_size, size_t new_size) {
  (void)ctx, (void)p, (void)old_size, (void)new_size;
  return NULL;
}

static void counting_release(void *ctx, void *p) {
  (void)ctx;
  if (p != NULL) n_alive--;
  free(p);
}

static int use_counting(void **state) {
  (void)state;
  static const lb_allocator a = {counting_alloc, no_resize, counting_release, NULL};
  n_calls = n_alive = fail_from = 0;
  lb_allocator_set(&a);
  return 0;
}

static int stop_counting(void **state) {
  (void)state;
  lb_allocator_set(NULL);
  return n_alive != 0;
}

static void test_alignment_and_no_overlap(void **state) {
  (void)state;
  lb__arena a;
  lb__arena_init(&a, 0);
  enum { N = 3000 };
  static unsigned char *parts[N];
  for (size_t i = 0; i < N; i++) {
    bool tensor = i % 3 == 0;
    size_t size = i % 200 + 1;
    parts[i] = tensor ? lb__arena_alloc_tensor(&a, size) : lb__arena_alloc(&a, size);
    assert_int_equal((uintptr_t)parts[i] % (tensor ? 64 : 16), 0);
    memset(parts[i], (int)(i % 251), size);
  }
  for (size_t i = 0; i < N; i++)
    for (size_t k = 0; k < i % 200 + 1; k++) assert_int_equal(parts[i][k], i % 251);
  lb__arena_deinit(&a);
}

static void test_zeroed_and_strings(void **state) {
  (void)state;
  lb__arena a;
  lb__arena_init(&a, 0);
  memset(lb__arena_alloc(&a, 1000), 0xFF, 1000);
  lb__arena_reset(&a);
  const unsigned char *zeros = lb__arena_new(&a, 100, 10);
  for (int i = 0; i < 1000; i++) assert_int_equal(zeros[i], 0);
  assert_string_equal(lb__arena_strndup(&a, "abcdef", 3), "abc");
  assert_string_equal(lb__arena_strndup(&a, NULL, 0), "");
  assert_non_null(lb__arena_alloc(&a, 0));
  lb__arena_deinit(&a);
}

static void test_absurd_sizes(void **state) {
  (void)state;
  lb__arena a;
  lb__arena_init(&a, 0);
  assert_null(lb__arena_alloc(&a, SIZE_MAX));
  assert_null(lb__arena_alloc(&a, SIZE_MAX - 63));
  assert_null(lb__arena_new(&a, SIZE_MAX / 2, 3));
  assert_null(lb__arena_strndup(&a, "x", SIZE_MAX));
  assert_non_null(lb__arena_alloc(&a, 100));
  assert_null(lb__arena_alloc(&a, SIZE_MAX - 63)); /* also behind a used block */
  lb__arena_deinit(&a);
}

static void test_budget(void **state) {
  (void)state;
  lb__arena a;
  lb__arena_init(&a, 1 << 20);
  assert_null(lb__arena_alloc_tensor(&a, (1 << 20) + 1));
  assert_non_null(lb__arena_alloc_tensor(&a, 1 << 20)); /* all of it */
  assert_null(lb__arena_alloc(&a, 1));
  lb__arena_reset(&a);
  size_t n = 0;
  while (lb__arena_alloc_tensor(&a, 4096) != NULL) n++;
  assert_int_equal(n, 256);
  assert_true(a.held <= a.budget);
  lb__arena_deinit(&a);
}

/* Small budgets too, whose size is no multiple of anything. */
static void test_small_budget(void **state) {
  (void)state;
  lb__arena a;
  lb__arena_init(&a, 1000);
  assert_null(lb__arena_alloc(&a, 1001));
  assert_non_null(lb__arena_alloc(&a, 900));
  assert_null(lb__arena_alloc(&a, 200));
  assert_true(a.held <= 1000);
  lb__arena_deinit(&a);
}

static void one_step(lb__arena *a) {
  for (size_t i = 1; i <= 60; i++) {
    assert_non_null(lb__arena_alloc_tensor(a, i * 1777));
    assert_non_null(lb__arena_alloc(a, i));
  }
}

static void test_steady_state_allocates_nothing(void **state) {
  (void)state;
  lb__arena a;
  lb__arena_init(&a, 0);
  one_step(&a);
  size_t first_use = a.in_use;
  lb__arena_reset(&a);
  assert_int_equal(a.in_use, 0);
  int calls = n_calls;
  size_t held = a.held;
  for (int step = 0; step < 5; step++) {
    one_step(&a);
    assert_true(a.in_use >= first_use - 64 * 20 && a.in_use <= first_use + 64 * 20);
    lb__arena_reset(&a);
  }
  assert_int_equal(n_calls, calls);
  assert_int_equal(a.held, held);
  assert_true(a.high_water >= first_use);
  lb__arena_deinit(&a);
}

static void test_marks(void **state) {
  (void)state;
  lb__arena a;
  lb__arena_init(&a, 0);
  char *kept = lb__arena_strndup(&a, "kept", 4);
  lb__arena_mark mark = lb__arena_get_mark(&a);
  size_t in_use = a.in_use;
  one_step(&a);
  lb__arena_release(&a, mark);
  assert_int_equal(a.in_use, in_use);
  int calls = n_calls;
  for (int layer = 0; layer < 10; layer++) {
    one_step(&a);
    lb__arena_release(&a, mark);
  }
  assert_int_equal(n_calls, calls); /* the blocks were waiting */
  assert_string_equal(kept, "kept");
  lb__arena_deinit(&a);
}

static void test_mark_of_an_empty_arena(void **state) {
  (void)state;
  lb__arena a;
  lb__arena_init(&a, 0);
  lb__arena_mark mark = lb__arena_get_mark(&a);
  one_step(&a);
  lb__arena_release(&a, mark);
  assert_int_equal(a.in_use, 0);
  one_step(&a);
  lb__arena_reset(&a);
  one_step(&a);
  lb__arena_deinit(&a);
}

/* Blocks that wait but are too small make room for one that is wanted. */
static void test_spare_blocks_count_against_the_budget_only_while_useful(void **state) {
  (void)state;
  lb__arena a;
  lb__arena_init(&a, 1 << 20);
  lb__arena_mark mark = lb__arena_get_mark(&a);
  for (int i = 0; i < 8; i++) assert_non_null(lb__arena_alloc_tensor(&a, 100 * 1024));
  lb__arena_release(&a, mark);
  assert_non_null(lb__arena_alloc_tensor(&a, 1 << 20));
  assert_true(a.held <= a.budget);
  lb__arena_deinit(&a);
}

static void test_out_of_memory(void **state) {
  (void)state;
  for (int fail = 1; fail < 12; fail++) {
    lb__arena a;
    lb__arena_init(&a, 0);
    n_calls = 0;
    fail_from = fail;
    for (size_t i = 1; i <= 60; i++) (void)lb__arena_alloc_tensor(&a, i * 17770);
    lb__arena_reset(&a); /* may lose its memory, never its senses */
    fail_from = 0;
    one_step(&a);
    lb__arena_deinit(&a);
    assert_int_equal(n_alive, 0);
  }
}

/* Under AddressSanitizer, what was given back cannot be touched unnoticed. */
static void test_given_back_memory_is_poisoned(void **state) {
  (void)state;
#ifndef __SANITIZE_ADDRESS__
  skip();
#else
  lb__arena a;
  lb__arena_init(&a, 0);
  char *before = lb__arena_alloc(&a, 10);
  lb__arena_mark mark = lb__arena_get_mark(&a);
  char *after = lb__arena_alloc(&a, 100);
  assert_false(__asan_address_is_poisoned(after + 99));
  assert_true(__asan_address_is_poisoned(after + 104)); /* the end, to ASan's 8 bytes */
  lb__arena_release(&a, mark);
  assert_true(__asan_address_is_poisoned(after));
  assert_false(__asan_address_is_poisoned(before + 9));
  lb__arena_reset(&a);
  assert_true(__asan_address_is_poisoned(before));
  lb__arena_deinit(&a);
#endif
}

static void test_deinit_twice(void **state) {
  (void)state;
  lb__arena a;
  lb__arena_init(&a, 100);
  lb__arena_reset(&a);
  lb__arena_deinit(&a);
  lb__arena_deinit(&a);
}

#define COUNTED(test) cmocka_unit_test_setup_teardown(test, use_counting, stop_counting)

int main(void) {
  const struct CMUnitTest tests[] = {
      COUNTED(test_alignment_and_no_overlap),
      COUNTED(test_zeroed_and_strings),
      COUNTED(test_absurd_sizes),
      COUNTED(test_budget),
      COUNTED(test_small_budget),
      COUNTED(test_steady_state_allocates_nothing),
      COUNTED(test_marks),
      COUNTED(test_mark_of_an_empty_arena),
      COUNTED(test_spare_blocks_count_against_the_budget_only_while_useful),
      COUNTED(test_out_of_memory),
      COUNTED(test_given_back_memory_is_poisoned),
      COUNTED(test_deinit_twice),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
