/* test_relation.c - what must be true of attention relations, whatever kernel runs: a student like
 * its teacher has no loss, the first row of a document says nothing, documents do not see each
 * other, and head counts need only divide the widths. */
#include "kernels/kernels.h"
#include "tensor/tape.h"
#include "tensor/tensor_data.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { N = 90 };
static const int32_t bounds[] = {0, 1, 1, 70, 90};

static lb__stream stream;
static lb_error err;

static lb_tensor *random_rows(int64_t width, uint32_t seed) {
  lb_tensor *t;
  const int64_t shape[] = {N, width};
  assert_int_equal(lb__stream_tensor(&t, &stream, LB_DTYPE_F32, 2, shape, NULL), LB_OK);
  for (int64_t i = 0; i < N * width; i++) {
    seed = seed * 1664525u + 1013904223u;
    double x = (double)(seed >> 8) / (1 << 23) - 1.0;
    lb__tensor_f32(t)[i] = (float)(2.0 * x);
  }
  return t;
}

static lb_tensor *starts(void) {
  lb_tensor *t;
  assert_int_equal(lb__stream_i32(&t, &stream, bounds, 5, NULL), LB_OK);
  return t;
}

static double value(const lb_tensor *x, const lb_tensor *target, int64_t heads) {
  double sum = 0.0;
  lb_status st = lb__op_relation(&stream, &sum, x, target, starts(), heads, 1.0, &err);
  if (st != LB_OK) fail_msg("%s", err.message);
  return sum;
}

/* losses of every row, through the kernel in use. */
static const double *losses_of(const lb_tensor *x, const lb_tensor *target, int64_t heads) {
  lb_tensor *losses;
  const int64_t shape[] = {N};
  assert_int_equal(lb__stream_tensor(&losses, &stream, LB_DTYPE_F64, 1, shape, NULL), LB_OK);
  lb__relation_args a = {.losses = losses, .x = x, .target = target, .heads = heads, .scale = 1.0};
  a.cu_seqlens = starts();
  const lb__kernel_table *table = lb__kernels();
  void *scratch = aligned_alloc(64, (table->relation_workspace(&a) + 64) / 64 * 64);
  assert_int_equal(table->relation(&a, scratch), LB_OK);
  free(scratch);
  return lb__tensor_data(losses);
}

/* Exactly nothing, not nearly: both sides take the same path. */
static void test_student_like_its_teacher(void **state) {
  (void)state;
  lb__gradient slot = {0};
  lb_tensor *x = random_rows(48, 1), gradient = *random_rows(48, 1);
  lb__tape tape;
  lb__tape_begin(&tape, &stream);
  slot.size_bytes = x->size_bytes;
  slot.memory_ = lb__tensor_data(&gradient);
  lb__tensor_zero(&gradient);
  x->gradient = &slot;
  assert_true(value(x, x, 4) == 0.0);
  assert_int_equal(lb__tape_backward(&stream, &err), LB_OK);
  for (int64_t i = 0; i < lb__tensor_elements(&gradient); i++)
    assert_true(lb__tensor_f32(&gradient)[i] == 0.0f);
  lb__stream_reset(&stream);
}

/* Other numbers, same relations: softmax(X X^T) does not know the basis (here: columns reversed
 * within each head). */
static void test_only_relations_count(void **state) {
  (void)state;
  lb_tensor *x = random_rows(48, 2), *y = random_rows(48, 2), *z = random_rows(48, 3);
  for (int64_t n = 0; n < N; n++)
    for (int64_t c = 0; c < 48; c++)
      lb__tensor_f32(y)[n * 48 + c] = lb__tensor_f32(x)[n * 48 + c / 12 * 12 + 11 - c % 12];
  assert_true(fabs(value(x, y, 4)) < 1e-4);
  assert_true(value(x, z, 4) > 1.0);
  lb__stream_reset(&stream);
}

static void test_first_rows_say_nothing(void **state) {
  (void)state;
  const double *losses = losses_of(random_rows(40, 4), random_rows(24, 5), 4);
  for (int64_t n = 0; n < N; n++) {
    bool first = n == 0 || n == 1 || n == 70;
    if (first ? losses[n] != 0.0 : !(losses[n] > 0.0))
      fail_msg("row %lld: %g", (long long)n, losses[n]);
  }
  lb__stream_reset(&stream);
}

/* Changing one document changes no other one's losses. */
static void test_documents_are_apart(void **state) {
  (void)state;
  lb_tensor *x = random_rows(40, 6), *target = random_rows(40, 7);
  const double *before = losses_of(x, target, 5);
  for (int64_t i = 70 * 40; i < 90 * 40; i++) lb__tensor_f32(x)[i] *= -3.0f;
  const double *after = losses_of(x, target, 5);
  assert_memory_equal(before, after, 70 * sizeof *before);
  assert_true(before[89] != after[89]);
  lb__stream_reset(&stream);
}

static void test_any_head_counts(void **state) {
  (void)state;
  static const int64_t widths[][3] = {
      {12, 96, 144}, {3, 96, 144}, {48, 48, 96}, {1, 7, 5}, {7, 7, 14}};
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
    double sum = value(random_rows(widths[i][1], 8), random_rows(widths[i][2], 9), widths[i][0]);
    assert_true(isfinite(sum) && sum > 0.0);
  }
  double sum = 5.0;
  assert_int_equal(lb__op_relation(&stream, &sum, random_rows(96, 1), random_rows(144, 1), starts(),
                                   32, 1.0, &err),
                   LB_E_SHAPE);
  assert_non_null(strstr(err.message, "relation: x [90,96] F32 and target [90,144] F32"));
  assert_non_null(strstr(err.message, "divides both widths, not 32"));
  assert_true(sum == 5.0);
  lb__stream_reset(&stream);
}

static int begin(void **state) {
  (void)state;
  lb__stream_init(&stream, lb__device_cpu());
  return lb__kernels_install(&err) == LB_OK ? 0 : -1;
}

static int end(void **state) {
  (void)state;
  lb__stream_deinit(&stream);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_student_like_its_teacher), cmocka_unit_test(test_only_relations_count),
      cmocka_unit_test(test_first_rows_say_nothing),   cmocka_unit_test(test_documents_are_apart),
      cmocka_unit_test(test_any_head_counts),
  };
  return cmocka_run_group_tests(tests, begin, end);
}
