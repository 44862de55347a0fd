/* test_memory.c - checked sizes, the replaceable allocator, growing arrays and buffers. */
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

/* ---- an allocator that counts, and can be told to fail ---- */

typedef struct counting {
  int alive, calls, fail_at; /* fail_at: the number of the call that fails, 0 never */
} counting;

static void *counting_alloc(void *ctx, size_t size) {
  counting *c = ctx;
  if (++c->calls == c->fail_at) return NULL;
  c->alive++;
  return malloc(size);
}

static void *counting_resize(void *ctx, void *p, size_t old_size, size_t new_size) {
  counting *c = ctx;
  (void)old_size;
  if (++c->calls == c->fail_at) return NULL;
  return realloc(p, new_size);
}

static void counting_release(void *ctx, void *p) {
  counting *c = ctx;
  if (p != NULL) c->alive--;
  free(p);
}

static counting the_count;

static int use_counting(void **state) {
  (void)state;
  static const lb_allocator a = {counting_alloc, counting_resize, counting_release, &the_count};
  the_count = (counting){0};
  lb_allocator_set(&a);
  return 0;
}

static int stop_counting(void **state) {
  (void)state;
  lb_allocator_set(NULL);
  return the_count.alive != 0; /* a leak fails the test */
}

/* ---- sizes ---- */

static void test_checked_sizes(void **state) {
  (void)state;
  size_t out;
  assert_true(lb__ck_add(&out, SIZE_MAX - 1, 1) && out == SIZE_MAX);
  assert_false(lb__ck_add(&out, SIZE_MAX, 1));
  assert_true(lb__ck_mul(&out, SIZE_MAX / 2, 2) && out == SIZE_MAX - 1);
  assert_false(lb__ck_mul(&out, SIZE_MAX / 2 + 1, 2));
  assert_true(lb__ck_mul(&out, 0, SIZE_MAX) && out == 0);
  assert_true(lb__ck_pad(&out, 0, 64) && out == 0);
  assert_true(lb__ck_pad(&out, 1, 64) && out == 64);
  assert_true(lb__ck_pad(&out, 64, 64) && out == 64);
  assert_true(lb__ck_pad(&out, SIZE_MAX - 63, 64) && out == SIZE_MAX - 63);
  assert_false(lb__ck_pad(&out, SIZE_MAX - 62, 64));
}

static void test_absurd_sizes_are_refused(void **state) {
  (void)state;
  char *p = lb__alloc(1);
  assert_non_null(p);
  assert_null(lb__alloc(SIZE_MAX));
  assert_null(lb__alloc((size_t)PTRDIFF_MAX + 1));
  assert_null(lb__alloc_array(SIZE_MAX / 4, 8));
  assert_null(lb__new_array(SIZE_MAX / 4, 8));
  assert_null(lb__alloc_aligned(SIZE_MAX - 8));
  assert_null(lb__resize(p, 1, SIZE_MAX));
  assert_null(lb__strndup("x", SIZE_MAX));
  assert_int_equal(the_count.calls, 1); /* none of them reached the allocator */
  lb__free(p);
}

/* ---- allocating ---- */

static void test_zeroed_and_empty(void **state) {
  (void)state;
  unsigned char *p = lb__new_array(100, 3);
  for (int i = 0; i < 300; i++) assert_int_equal(p[i], 0);
  void *empty = lb__alloc(0), *nothing = lb__alloc_array(0, 8);
  assert_non_null(empty);
  assert_non_null(nothing);
  empty = lb__resize(empty, 0, 10);
  assert_non_null(empty);
  empty = lb__resize(empty, 10, 0);
  assert_non_null(empty);
  lb__free(p);
  lb__free(empty);
  lb__free(nothing);
  lb__free(NULL);
}

static void test_aligned(void **state) {
  (void)state;
  for (size_t size = 0; size < 200; size += 7) {
    char *p = lb__alloc_aligned(size);
    assert_int_equal((uintptr_t)p % 64, 0);
    memset(p, 1, size);
    lb__free_aligned(p);
  }
  lb__free_aligned(NULL);
}

static void test_strings(void **state) {
  (void)state;
  char *a = lb__strdup("abc"), *b = lb__strndup("a\0b", 3), *c = lb__format("%s-%d", "x", 42);
  char *d = lb__strndup(NULL, 0);
  assert_string_equal(a, "abc");
  assert_memory_equal(b, "a\0b", 4);
  assert_string_equal(c, "x-42");
  assert_string_equal(d, "");
  lb__free(a);
  lb__free(b);
  lb__free(c);
  lb__free(d);
}

/* ---- growing ---- */

static void test_grow(void **state) {
  (void)state;
  int *numbers = NULL;
  size_t capacity = 0;
  for (size_t i = 0; i < 1000; i++) {
    assert_true(lb__grow(&numbers, &capacity, i + 1, sizeof *numbers));
    numbers[i] = (int)i;
  }
  for (size_t i = 0; i < 1000; i++) assert_int_equal(numbers[i], i);
  assert_true(the_count.calls < 12); /* doubling, not one call per element */
  lb__free(numbers);
}

static void test_grow_failure_changes_nothing(void **state) {
  (void)state;
  int *numbers = NULL;
  size_t capacity = 0;
  assert_true(lb__grow(&numbers, &capacity, 10, sizeof *numbers));
  int *before = numbers;
  size_t old_capacity = capacity;
  assert_false(lb__grow(&numbers, &capacity, SIZE_MAX / 2, sizeof *numbers));
  the_count.fail_at = the_count.calls + 1;
  assert_false(lb__grow(&numbers, &capacity, 100, sizeof *numbers));
  assert_ptr_equal(numbers, before);
  assert_int_equal(capacity, old_capacity);
  lb__free(numbers);
}

/* ---- buffers ---- */

static void test_buffer(void **state) {
  (void)state;
  lb_error err;
  lb__buf b;
  lb__buf_init(&b, 1000);
  assert_string_equal(lb__buf_text(&b), "");
  assert_true(lb__buf_add_text(&b, "one"));
  assert_true(lb__buf_add_char(&b, ' '));
  assert_true(lb__buf_printf(&b, "%d%%", 100));
  assert_true(lb__buf_add(&b, NULL, 0));
  assert_string_equal(lb__buf_text(&b), "one 100%");
  assert_int_equal(b.size, 8);
  assert_int_equal(lb__buf_check(&b, "text", &err), LB_OK);
  lb__buf_clear(&b);
  assert_string_equal(lb__buf_text(&b), "");
  assert_true(lb__buf_add_text(&b, "two"));
  char *taken = lb__buf_take(&b);
  assert_string_equal(taken, "two");
  assert_null(b.bytes);
  lb__free(taken);
  taken = lb__buf_take(&b); /* an empty buffer gives an empty string */
  assert_string_equal(taken, "");
  lb__free(taken);
  lb__buf_deinit(&b);
  lb__buf_deinit(&b);
}

static void test_buffer_maximum(void **state) {
  (void)state;
  lb_error err;
  lb__buf b;
  lb__buf_init(&b, 5);
  assert_true(lb__buf_add_text(&b, "12345"));
  assert_false(lb__buf_add_char(&b, '6'));
  assert_false(lb__buf_add(&b, "", 0)); /* sticky */
  assert_string_equal(lb__buf_text(&b), "12345");
  assert_int_equal(lb__buf_check(&b, "line", &err), LB_E_LIMIT);
  assert_string_equal(err.message, "line: longer than the limit of 5 bytes");
  assert_null(lb__buf_take(&b));
  lb__buf_clear(&b);
  assert_false(lb__buf_printf(&b, "%s", "123456"));
  assert_string_equal(lb__buf_text(&b), "");
  lb__buf_clear(&b);
  assert_true(lb__buf_printf(&b, "%s", "12345"));
  lb__buf_deinit(&b);
}

static void test_buffer_out_of_memory(void **state) {
  (void)state;
  lb_error err;
  lb__buf b;
  lb__buf_init(&b, SIZE_MAX);
  the_count.fail_at = 1;
  assert_false(lb__buf_add_text(&b, "x"));
  assert_string_equal(lb__buf_text(&b), "");
  assert_int_equal(lb__buf_check(&b, "line", &err), LB_E_NOMEM);
  assert_string_equal(err.message, "out of memory: line");
  lb__buf_deinit(&b);
}

#define COUNTED(test) cmocka_unit_test_setup_teardown(test, use_counting, stop_counting)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_checked_sizes),
      COUNTED(test_absurd_sizes_are_refused),
      COUNTED(test_zeroed_and_empty),
      COUNTED(test_aligned),
      COUNTED(test_strings),
      COUNTED(test_grow),
      COUNTED(test_grow_failure_changes_nothing),
      COUNTED(test_buffer),
      COUNTED(test_buffer_maximum),
      COUNTED(test_buffer_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
