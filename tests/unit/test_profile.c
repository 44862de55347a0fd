/* test_profile.c - the profiler counts calls and multiplications by hand-made figures, in the part
 * that was entered, and nothing while it is off. */
#include "ops/profile.h"

#include "kernels/kernels.h"
#include "tensor/tape.h"
#include "tensor/tensor_data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N = 6, I = 8, O = 5, HEADS = 2, D = 4, FORWARD = 1, BACKWARD = 2 };

static lb_error err;
static lb__stream stream;
static lb__profile profile;

#define OK(call)                                                                                   \
  do {                                                                                             \
    if ((call) != LB_OK) fail_msg("%s", err.message);                                              \
  } while (0)

static int set_up(void **state) {
  (void)state;
  lb__stream_init(&stream, lb__device_cpu());
  profile = (lb__profile){0};
  return lb__kernels_install(&err) == LB_OK ? 0 : -1;
}
static int tear_down(void **state) {
  (void)state;
  lb__profile_use(NULL);
  lb__stream_deinit(&stream);
  return 0;
}

static lb_tensor *zeros(int rank, int64_t a, int64_t b, int64_t c) {
  lb_tensor *t;
  OK(lb__stream_tensor(&t, &stream, LB_DTYPE_F32, rank, (int64_t[]){a, b, c}, &err));
  lb__tensor_zero(t);
  return t;
}

static void want(lb_tensor *t, lb__gradient *g) {
  *g = (lb__gradient){calloc(1, t->size_bytes), t->size_bytes};
  assert_non_null(g->memory_);
  t->gradient = g;
}

static double flop_of(int part, lb__op op) {
  double sum = 0.0;
  for (int c = 0; c < LB__COMPUTE_COUNT; c++) sum += profile.cells[part][op].flop[c];
  return sum;
}

static void test_linear_forward_and_backward(void **state) {
  (void)state;
  lb_tensor *x = zeros(2, N, I, 1), *weight = zeros(2, O, I, 1), *y;
  lb__gradient dx, dweight;
  want(x, &dx);
  want(weight, &dweight);
  lb__tape tape;
  lb__profile_use(&profile);
  lb__tape_begin(&tape, &stream);
  assert_int_equal(lb__profile_enter(FORWARD), 0);
  OK(lb__op_linear(&stream, &y, x, weight, NULL, &err));
  y->gradient->memory_ = lb__arena_alloc_tensor(&stream.arena, y->size_bytes);
  assert_non_null(y->gradient->memory_);
  memset(y->gradient->memory_, 0, y->size_bytes);
  assert_int_equal(lb__profile_enter(BACKWARD), FORWARD);
  OK(lb__tape_backward(&stream, &err));
  assert_int_equal(profile.cells[FORWARD][LB__OP_linear].n_calls, 1);
  assert_true(flop_of(FORWARD, LB__OP_linear) == 2.0 * N * I * O);
  assert_true(flop_of(BACKWARD, LB__OP_linear_bwd) == 4.0 * N * I * O);
  assert_true(profile.cells[FORWARD][LB__OP_linear].flop[LB__COMPUTE_F32] == 2.0 * N * I * O);
  assert_int_equal(profile.cells[BACKWARD][LB__OP_linear].n_calls, 0);
  free(dx.memory_);
  free(dweight.memory_);
}

/* Documents of 4 and 2 tokens: 10 and 3 pairs; with a window of 2: 7 and 3. */
static void test_attention_counts_visible_pairs(void **state) {
  (void)state;
  static const int32_t begin[] = {0, 4, 6};
  lb_tensor *cu_seqlens, *y, *q = zeros(3, N, HEADS, D);
  OK(lb__stream_i32(&cu_seqlens, &stream, begin, 3, &err));
  lb__attention_args args = {.q = q, .k = q, .v = q, .cu_seqlens = cu_seqlens, .scale = 1.0f};
  lb__profile_use(&profile);
  OK(lb__op_attention(&stream, &y, args, &err));
  assert_true(flop_of(0, LB__OP_attention) == 4.0 * HEADS * D * 13);
  args.window = 2;
  lb__profile_enter(FORWARD);
  OK(lb__op_attention(&stream, &y, args, &err));
  assert_true(flop_of(FORWARD, LB__OP_attention) == 4.0 * HEADS * D * 10);
}

static void test_off(void **state) {
  (void)state;
  lb_tensor *y, *x = zeros(2, N, I, 1);
  OK(lb__op_scale(&stream, &y, x, 2.0f, &err));
  assert_int_equal(lb__profile_enter(FORWARD), 0);
  lb__profile_use(&profile);
  lb__profile_use(NULL);
  OK(lb__op_scale(&stream, &y, x, 2.0f, &err));
  assert_int_equal(profile.cells[0][LB__OP_scale].n_calls, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_linear_forward_and_backward, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_attention_counts_visible_pairs, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_off, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
