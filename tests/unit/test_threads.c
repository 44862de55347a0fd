/* test_threads.c - parallel loops: every item once, the same cut for the same count, no nesting. */
#include "base/threads.h"

#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MOST = 4000, MOST_RANGES = 4096 };

typedef struct record {
  atomic_int visits[MOST];
  atomic_int n_ranges, index_wrong;
  int64_t begins[MOST_RANGES], ends[MOST_RANGES];
} record;

static record *the_record;

static void visit(void *ctx, int64_t begin, int64_t end) {
  record *r = ctx;
  int i = atomic_fetch_add(&r->n_ranges, 1);
  r->begins[i] = begin;
  r->ends[i] = end;
  if (lb__thread_index() < 0 || lb__thread_index() >= lb_threads_get())
    atomic_fetch_add(&r->index_wrong, 1);
  for (int64_t k = begin; k < end; k++) atomic_fetch_add(&r->visits[k], 1);
}

typedef void loop_fn(int64_t n, int64_t grain, lb__range_fn *fn, void *ctx);

static void check_loop(loop_fn *loop, int64_t n, int64_t grain, bool at_least_grain) {
  record *r = the_record;
  memset(r, 0, sizeof *r);
  loop(n, grain, visit, r);
  for (int64_t k = 0; k < n; k++) assert_int_equal(r->visits[k], 1);
  assert_int_equal(r->index_wrong, 0);
  if (grain < 1) grain = 1;
  for (int i = 0; i < r->n_ranges; i++) {
    int64_t length = r->ends[i] - r->begins[i];
    if (at_least_grain) assert_true(length >= grain || length == n);
    if (!at_least_grain) assert_true(length == grain || r->ends[i] == n);
  }
  if (at_least_grain) assert_true(r->n_ranges <= lb_threads_get());
}

static void test_every_item_once(void **state) {
  (void)state;
  static const int64_t counts[] = {1, 2, 3, 7, 64, 1000, 3999}, grains[] = {0, 1, 3, 64, 5000};
  for (int threads = 1; threads <= 9; threads += 2) {
    lb_threads_set(threads);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
      for (size_t k = 0; k < sizeof grains / sizeof *grains; k++) {
        check_loop(lb__parallel_for, counts[i], grains[k], true);
        check_loop(lb__parallel_for_dynamic, counts[i], grains[k], false);
      }
  }
}

/* OpenMP may grant fewer threads than asked for; here it is told to. */
static void test_fewer_threads_than_wanted(void **state) {
  (void)state;
  lb_threads_set(1000);
  omp_set_dynamic(1);
  check_loop(lb__parallel_for, 3999, 1, true);
  check_loop(lb__parallel_for_dynamic, 3999, 1, false);
  omp_set_dynamic(0);
}

static void test_nothing_to_do(void **state) {
  (void)state;
  lb_threads_set(4);
  check_loop(lb__parallel_for, 0, 1, true);
  check_loop(lb__parallel_for, -5, 1, true);
  check_loop(lb__parallel_for_dynamic, 0, 1, false);
  check_loop(lb__parallel_for_dynamic, -5, 1, false);
  assert_int_equal(the_record->n_ranges, 0);
}

static void count_ranges(void *ctx, int64_t begin, int64_t end) {
  (void)begin, (void)end;
  atomic_fetch_add((atomic_int *)ctx, 1);
}

/* Extents near the end of int64 must not wrap while being cut. */
static void test_huge_counts(void **state) {
  (void)state;
  lb_threads_set(8);
  atomic_int n = 0;
  lb__parallel_for(INT64_MAX, 1, count_ranges, &n);
  assert_int_equal(n, 8);
  n = 0;
  lb__parallel_for_dynamic(INT64_MAX, INT64_MAX / 3, count_ranges, &n);
  assert_int_equal(n, 4);
  n = 0;
  lb__parallel_for(10, INT64_MAX, count_ranges, &n);
  assert_int_equal(n, 1);
}

/* ---- the cut: the same set of ranges whatever runs them ---- */

static int by_begin(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return x < y ? -1 : x > y;
}

static int sorted_begins(int64_t begins[MOST_RANGES]) {
  memset(the_record, 0, sizeof *the_record);
  lb__parallel_for(1000, 10, visit, the_record);
  memcpy(begins, the_record->begins, sizeof the_record->begins);
  qsort(begins, (size_t)the_record->n_ranges, sizeof *begins, by_begin);
  return the_record->n_ranges;
}

static int64_t outside[MOST_RANGES], inside[MOST_RANGES];
static int n_inside;

static void cut_inside(void *ctx, int64_t begin, int64_t end) {
  (void)ctx, (void)end;
  if (begin == 0) n_inside = sorted_begins(inside);
}

static void test_cut_does_not_depend_on_nesting(void **state) {
  (void)state;
  lb_threads_set(6);
  assert_int_equal(sorted_begins(outside), 6);
  lb__parallel_for(2, 1, cut_inside, NULL);
  assert_int_equal(n_inside, 6);
  assert_memory_equal(inside, outside, 6 * sizeof *inside);
}

/* ---- nesting ---- */

static atomic_int n_inner, n_moved;

static void inner(void *ctx, int64_t begin, int64_t end) {
  atomic_fetch_add(&n_inner, (int)(end - begin));
  if (lb__thread_index() != *(int *)ctx) atomic_fetch_add(&n_moved, 1);
}

static void outer(void *ctx, int64_t begin, int64_t end) {
  (void)ctx;
  for (int64_t i = begin; i < end; i++) {
    int index = lb__thread_index();
    lb__parallel_for(10, 1, inner, &index);
    lb__parallel_for_dynamic(10, 1, inner, &index);
    if (lb__thread_index() != index) atomic_fetch_add(&n_moved, 1);
  }
}

static void test_nested_loops_stay_on_their_thread(void **state) {
  (void)state;
  lb_threads_set(4);
  n_inner = n_moved = 0;
  lb__parallel_for(20, 1, outer, NULL);
  lb__parallel_for_dynamic(20, 1, outer, NULL);
  assert_int_equal(n_inner, 2 * 20 * 20);
  assert_int_equal(n_moved, 0);
  assert_int_equal(lb__thread_index(), 0);
}

/* Inside a caller's own OpenMP region the index stays below lb_threads_get(): scratch is sized by
 * it. */
static void test_inside_foreign_region(void **state) {
  (void)state;
  lb_threads_set(2);
  memset(the_record, 0, sizeof *the_record);
  omp_set_num_threads(4);
#pragma omp parallel
  lb__parallel_for(100, 1, visit, the_record);
  assert_int_equal(the_record->index_wrong, 0);
  for (int k = 1; k < 100; k++) assert_int_equal(the_record->visits[k], the_record->visits[0]);
}

/* ---- how many ---- */

static void test_thread_count(void **state) {
  (void)state;
  lb_threads_set(3);
  assert_int_equal(lb_threads_get(), 3);
  assert_int_equal(omp_get_max_threads(), 3); /* what oneDNN asks */
  lb_threads_set(1 << 30);
  assert_int_equal(lb_threads_get(), 1024);
  setenv("OMP_NUM_THREADS", "5,2", 1);
  lb_threads_set(0);
  assert_int_equal(lb_threads_get(), 5);
  setenv("OMP_NUM_THREADS", "99999999999999999999", 1);
  lb_threads_set(0);
  assert_int_equal(lb_threads_get(), 1024);
  setenv("OMP_NUM_THREADS", "many", 1);
  lb_threads_set(-1);
  assert_in_range(lb_threads_get(), 1, 1024);
  int cores = lb_threads_get();
  unsetenv("OMP_NUM_THREADS");
  lb_threads_set(0);
  assert_int_equal(lb_threads_get(), cores);
}

static int make_record(void **state) {
  (void)state;
  the_record = calloc(1, sizeof *the_record);
  return the_record == NULL;
}

static int free_record(void **state) {
  (void)state;
  free(the_record);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_item_once),
      cmocka_unit_test(test_fewer_threads_than_wanted),
      cmocka_unit_test(test_nothing_to_do),
      cmocka_unit_test(test_huge_counts),
      cmocka_unit_test(test_cut_does_not_depend_on_nesting),
      cmocka_unit_test(test_nested_loops_stay_on_their_thread),
      cmocka_unit_test(test_inside_foreign_region),
      cmocka_unit_test(test_thread_count),
  };
  return cmocka_run_group_tests(tests, make_record, free_record);
}
