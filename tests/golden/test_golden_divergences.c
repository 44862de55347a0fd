/* test_golden_divergences.c - losses and gradients of every divergence against PyTorch in double
 * (generate/divergences.py), with the kernels that this machine selects and with those in double.
 */
#include "golden_file.h"

#include "kernels/kernels.h"
#include "tensor/tensor_data.h"
#include "../tolerances.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { V = 131 };

typedef struct divergence_case {
  const char *name;
  lb__divergence_term term;
  float student_softcap, teacher_softcap;
} divergence_case;

#define TERM(kind, T, factor, beta)                                                                \
  {                                                                                                \
    LB__DIVERGENCE_##kind, 1.0, T, factor, {                                                       \
      beta                                                                                         \
    }                                                                                              \
  }
static const divergence_case cases[] = {
    {"cross_entropy", TERM(cross_entropy, 1, 1, 0), 0, 0},
    {"cross_entropy_capped", TERM(cross_entropy, 1, 1, 0), 5, 0},
    {"forward_kl", TERM(forward_kl, 1, 1, 0), 0, 0},
    {"forward_kl_warm", TERM(forward_kl, 2, 4, 0), 0, 0},
    {"forward_kl_capped", TERM(forward_kl, 2, 4, 0), 5, 8},
    {"reverse_kl", TERM(reverse_kl, 1, 1, 0), 0, 0},
    {"reverse_kl_warm", TERM(reverse_kl, 3, 1, 0), 0, 0},
    {"jsd_half", TERM(generalized_jsd, 1, 1, 0.5), 0, 0},
    {"jsd_0.1", TERM(generalized_jsd, 2, 1, 0.1), 0, 0},
    {"jsd_0.9", TERM(generalized_jsd, 0.9, 1, 0.9), 0, 0},
    {"jsd_0", TERM(generalized_jsd, 1.5, 1, 0), 0, 0},
    {"jsd_1", TERM(generalized_jsd, 1.5, 1, 1), 0, 0},
    {"tvd", TERM(tvd, 1, 1, 0), 0, 0},
};

static golden_file file;
static lb__stream stream;

static int begin(void **state) {
  (void)state;
  golden_file_open(&file, LIMBECK_SOURCE_DIR "/tests/golden/ops/divergences.safetensors");
  lb__stream_init(&stream, lb__device_cpu());
  return lb__kernels_install(NULL) == LB_OK ? 0 : -1;
}

static int end(void **state) {
  (void)state;
  lb__stream_deinit(&stream);
  golden_file_close(&file);
  return 0;
}

/* A float32 tensor of the file, in the stream's real type. */
static lb_tensor *real_tensor(const char *name) {
  golden_tensor g = golden_file_tensor(&file, "F32", "%s", name);
  lb_tensor *t;
  const int64_t shape[] = {(int64_t)g.shape[0], (int64_t)g.shape[1]};
  assert_int_equal(lb__stream_tensor(&t, &stream, stream.real, g.rank, shape, NULL), LB_OK);
  for (size_t i = 0; i < g.n; i++)
    if (stream.real == LB_DTYPE_F64)
      ((double *)lb__tensor_data(t))[i] = (double)g.f32[i];
    else
      lb__tensor_f32(t)[i] = g.f32[i];
  return t;
}

static double value_at(const lb_tensor *t, size_t i) {
  return t->dtype == LB_DTYPE_F64 ? ((const double *)lb__tensor_data(t))[i]
                                  : (double)lb__tensor_f32(t)[i];
}

/* A gradient of JSD is a small difference of numbers of about log 2: what is rounded is at least
 * 0.1. */
static void expect(const lb_tensor *got, const char *what, const char *name) {
  golden_tensor want = golden_file_tensor(&file, "F64", "%s.%s", what, name);
  double largest = 0.1, tolerance = LB_TOL_GOLDEN_DIVERGENCE_F32;
  if (stream.real == LB_DTYPE_F64) tolerance = LB_TOL_GOLDEN_DIVERGENCE_F64;
  assert_int_equal(lb__tensor_elements(got), want.n);
  for (size_t i = 0; i < want.n; i++) largest = fmax(largest, fabs(want.f64[i]));
  for (size_t i = 0; i < want.n; i++) {
    double error = fabs(value_at(got, i) - want.f64[i]);
    if (!(error <= tolerance * largest))
      fail_msg("%s of %s [%zu]: %.12g, PyTorch says %.12g (%.2g of the largest)", what, name, i,
               value_at(got, i), want.f64[i], error / largest);
  }
}

/* A row of weight 0 is not looked at: PyTorch gives it a loss, we say 0; its gradient is 0 to both.
 */
static void put_unweighted_loss(lb_tensor *losses, const lb_tensor *weights, const char *name) {
  golden_tensor want = golden_file_tensor(&file, "F64", "losses.%s", name);
  double *values = lb__tensor_data(losses);
  for (size_t n = 0; n < want.n; n++) {
    if (value_at(weights, n) != 0.0) continue;
    assert_true(values[n] == 0.0);
    values[n] = want.f64[n];
  }
}

static void check(const divergence_case *c) {
  golden_tensor ids = golden_file_tensor(&file, "I32", "targets");
  lb_tensor *student = real_tensor("student"), *weights = real_tensor("weights"), *targets, *losses;
  const int64_t N = student->shape[0];
  assert_int_equal(lb__stream_i32(&targets, &stream, ids.i32, N, NULL), LB_OK);
  assert_int_equal(lb__stream_tensor(&losses, &stream, LB_DTYPE_F64, 2, (int64_t[]){1, N}, NULL),
                   LB_OK);
  lb__divergence_args args = {.student = student,
                              .losses = losses,
                              .teacher = real_tensor("teacher"),
                              .targets = targets,
                              .weights = weights,
                              .vocab = V,
                              .student_softcap = c->student_softcap,
                              .teacher_softcap = c->teacher_softcap,
                              .terms = &c->term,
                              .n_terms = 1,
                              .scale = 1.0,
                              .gradient = true};
  lb_error err = {0};
  if (lb__op_divergence(&stream, &args, &err) != LB_OK) fail_msg("%s", err.message);
  put_unweighted_loss(losses, weights, c->name);
  expect(losses, "losses", c->name);
  expect(student, "gradient", c->name);
  lb__stream_reset(&stream);
}

static void check_all(lb_dtype real) {
  stream.real = real;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check(&cases[i]);
  assert_int_equal(golden_file_count(&file, "losses."), sizeof cases / sizeof *cases);
}

static void test_float32(void **state) {
  (void)state;
  check_all(LB_DTYPE_F32);
}

static void test_double(void **state) {
  (void)state;
  check_all(LB_DTYPE_F64);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_float32),
      cmocka_unit_test(test_double),
  };
  return cmocka_run_group_tests(tests, begin, end);
}
