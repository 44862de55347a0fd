/* test_ops.c - what ops refuse, in which words; and that they leave no scratch behind. What they
 * compute is in tests/op and tests/golden. */
#include "kernels/kernels.h"
#include "tensor/tape.h"
#include "tensor/tensor_data.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static lb__stream stream;
static lb_error err;

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

static lb_tensor *make(lb_dtype dtype, int rank, int64_t a, int64_t b, int64_t c) {
  lb_tensor *t;
  const int64_t shape[] = {a, b, c};
  assert_int_equal(lb__stream_tensor(&t, &stream, dtype, rank, shape, NULL), LB_OK);
  memset(lb__tensor_data(t), 0, t->size_bytes);
  return t;
}

static lb_tensor *f32(int rank, int64_t a, int64_t b, int64_t c) {
  return make(LB_DTYPE_F32, rank, a, b, c);
}

static lb_tensor *i32(int64_t n) {
  return make(LB_DTYPE_I32, 1, n, 1, 1);
}

#define REFUSES(status, text, call)                                                                \
  do {                                                                                             \
    assert_int_equal(call, status);                                                                \
    if (strstr(err.message, text) == NULL) fail_msg("want '%s' in '%s'", text, err.message);       \
  } while (0)

static void test_linear(void **state) {
  (void)state;
  lb_tensor *y, *x = f32(2, 4, 576, 1), *w = make(LB_DTYPE_Q4_1, 2, 1536, 512, 1);
  REFUSES(LB_E_SHAPE,
          "linear: x [4,576] F32 and weight [1536,512] Q4_1: x has 576 input features, weight has "
          "512",
          lb__op_linear(&stream, &y, x, w, NULL, &err));
  assert_null(y);
  lb_tensor *ints = make(LB_DTYPE_I32, 2, 3, 576, 1);
  REFUSES(LB_E_DTYPE, "linear: weight [3,576] I32: want a float or block type",
          lb__op_linear(&stream, &y, x, ints, NULL, &err));
  lb_tensor *w2 = f32(2, 3, 576, 1), *bias = f32(1, 4, 1, 1);
  REFUSES(LB_E_SHAPE, "want bias [3]", lb__op_linear(&stream, &y, x, w2, bias, &err));
  REFUSES(LB_E_DTYPE, "want F32", lb__op_linear(&stream, &y, ints, w2, NULL, &err));
  REFUSES(LB_E_SHAPE, "want 2 extents, not 1", lb__op_linear(&stream, &y, bias, w2, NULL, &err));
}

static void test_rows(void **state) {
  (void)state;
  lb_tensor *y, *x = f32(2, 4, 8, 1), *ids = i32(3);
  REFUSES(LB_E_DTYPE, "embed: ids", lb__op_embed(&stream, &y, x, x, 1.0f, &err));
  REFUSES(LB_E_SHAPE, "embed: weight", lb__op_embed(&stream, &y, ids, ids, 1.0f, &err));
  lb_tensor *bytes = make(LB_DTYPE_U8, 2, 4, 4, 1);
  REFUSES(LB_E_DTYPE, "embed: weight", lb__op_embed(&stream, &y, ids, bytes, 1.0f, &err));
  REFUSES(LB_E_DTYPE, "gather_rows: rows", lb__op_gather_rows(&stream, &y, x, x, &err));
  lb__logits_stats_args r;
  REFUSES(LB_E_ARG, "top_k 9: want 1 to 8", lb__op_logits_stats(&stream, &r, x, NULL, 9, &err));
  REFUSES(LB_E_ARG, "top_k 0", lb__op_logits_stats(&stream, &r, x, NULL, 0, &err));
  REFUSES(LB_E_SHAPE, "one target for each row", lb__op_logits_stats(&stream, &r, x, ids, 1, &err));
  assert_null(r.top_ids);
}

static void test_norms(void **state) {
  (void)state;
  lb_tensor *y, *x = f32(2, 4, 8, 1), *w = f32(1, 7, 1, 1), *b = f32(1, 8, 1, 1);
  REFUSES(LB_E_SHAPE, "rms_norm: x [4,8] F32 and weight [7] F32: want weight [8]",
          lb__op_rms_norm(&stream, &y, x, w, 1e-5f, 0, &err));
  REFUSES(LB_E_SHAPE, "want bias [8]", lb__op_layer_norm(&stream, &y, x, b, w, 1e-5f, &err));
  REFUSES(LB_E_SHAPE, "at least one extent",
          lb__op_rms_norm(&stream, &y, f32(0, 1, 1, 1), w, 1e-5f, 0, &err));
}

static void test_attention(void **state) {
  (void)state;
  lb_tensor *y, *starts = i32(2), *q = f32(3, 4, 6, 8);
  lb__attention_args a = {.q = q, .k = f32(3, 4, 4, 8), .v = f32(3, 4, 4, 8), .cu_seqlens = starts};
  REFUSES(LB_E_SHAPE, "want heads to be a multiple of kv-heads",
          lb__op_attention(&stream, &y, a, &err));
  a.k = f32(3, 4, 3, 9);
  REFUSES(LB_E_SHAPE, "want the same shape", lb__op_attention(&stream, &y, a, &err));
  a.v = f32(3, 4, 3, 9);
  REFUSES(LB_E_SHAPE, "want the same head size", lb__op_attention(&stream, &y, a, &err));
  a.k = a.v = f32(3, 5, 3, 8);
  REFUSES(LB_E_SHAPE, "as many keys as queries", lb__op_attention(&stream, &y, a, &err));
  a.k = a.v = f32(3, 4, 3, 8);
  a.window = -1;
  REFUSES(LB_E_ARG, "window -1", lb__op_attention(&stream, &y, a, &err));
  a.window = 0;
  a.scale = INFINITY;
  REFUSES(LB_E_ARG, "scale inf", lb__op_attention(&stream, &y, a, &err));
  a.scale = 1;
  a.page_table = make(LB_DTYPE_I32, 2, 1, 2, 1);
  REFUSES(LB_E_ARG, "needs kv_lens", lb__op_attention(&stream, &y, a, &err));
  a.kv_lens = i32(1);
  a.page_size = 3;
  REFUSES(LB_E_SHAPE, "whole pages of page_size 3", lb__op_attention(&stream, &y, a, &err));
  a.kv_lens = i32(2);
  REFUSES(LB_E_SHAPE, "for each of 1 documents", lb__op_attention(&stream, &y, a, &err));
}

static void test_attention_that_is_recorded(void **state) {
  (void)state;
  lb_tensor *y, *k = f32(3, 4, 2, 8);
  lb__gradient slot = {.size_bytes = k->size_bytes};
  lb__attention_args a = {.q = f32(3, 4, 2, 8), .k = k, .v = k, .cu_seqlens = i32(2), .scale = 1};
  lb__tape tape;
  lb__tape_begin(&tape, &stream);
  k->gradient = &slot;
  a.page_table = make(LB_DTYPE_I32, 2, 1, 2, 1);
  a.kv_lens = i32(1);
  a.page_size = 2;
  REFUSES(LB_E_ARG, "a cache have no gradient", lb__op_attention(&stream, &y, a, &err));
  assert_null(y);
  a.page_table = NULL;
  assert_int_equal(lb__op_attention(&stream, &y, a, &err), LB_OK);
  assert_int_equal(tape.n_nodes, 1);
  assert_non_null(y->gradient);
  lb__tape_end(&stream);
}

static void test_dropout(void **state) {
  (void)state;
  lb_tensor *y, *x = f32(2, 4, 8, 1);
  REFUSES(LB_E_ARG, "dropout: dropout of 1 at site 0",
          lb__op_dropout(&stream, &y, x, (lb__dropout){.p = 1}, &err));
  REFUSES(LB_E_ARG, "in [0, 1)", lb__op_dropout(&stream, &y, x, (lb__dropout){.p = NAN}, &err));
  REFUSES(LB_E_ARG, "site below 65536",
          lb__op_dropout(&stream, &y, x, (lb__dropout){.site = 65536}, &err));
  REFUSES(LB_E_DTYPE, "dropout: x", lb__op_dropout(&stream, &y, i32(3), (lb__dropout){0}, &err));
  assert_null(y);
  lb__attention_args a = {.q = f32(3, 4, 2, 8), .cu_seqlens = i32(2), .scale = 1};
  a.k = a.v = a.q;
  a.dropout.p = -0.5f;
  REFUSES(LB_E_ARG, "attention: dropout of -0.5", lb__op_attention(&stream, &y, a, &err));
  assert_int_equal(lb__op_dropout(&stream, &y, x, (lb__dropout){0}, &err), LB_OK);
  assert_ptr_equal(lb__tensor_data(y), lb__tensor_data(x)); /* nothing to do: the same bytes */
}

static void test_relation(void **state) {
  (void)state;
  double sum = 0;
  lb_tensor *x = f32(2, 4, 8, 1), *starts = i32(2);
  REFUSES(LB_E_SHAPE, "want as many rows",
          lb__op_relation(&stream, &sum, x, f32(2, 5, 8, 1), starts, 2, 1, &err));
  REFUSES(LB_E_SHAPE, "divides both widths, not 0",
          lb__op_relation(&stream, &sum, x, x, starts, 0, 1, &err));
  REFUSES(LB_E_SHAPE, "divides both widths, not 4",
          lb__op_relation(&stream, &sum, x, f32(2, 4, 6, 1), starts, 4, 1, &err));
  REFUSES(LB_E_ARG, "scale nan", lb__op_relation(&stream, &sum, x, x, starts, 2, NAN, &err));
  REFUSES(LB_E_SHAPE, "one number more than documents",
          lb__op_relation(&stream, &sum, x, x, i32(0), 2, 1, &err));
}

static void test_rope_and_cache(void **state) {
  (void)state;
  lb_tensor *x = f32(3, 4, 2, 8), *k = f32(3, 4, 2, 8), *cache = f32(3, 9, 2, 8);
  REFUSES(LB_E_SHAPE, "one position for each row",
          lb__op_rope(&stream, x, i32(3), f32(1, 4, 1, 1), 1, &err));
  REFUSES(LB_E_SHAPE, "at most 4 frequencies",
          lb__op_rope(&stream, x, i32(4), f32(1, 5, 1, 1), 1, &err));
  REFUSES(LB_E_SHAPE, "one slot for each row",
          lb__op_kv_store(&stream, cache, cache, k, k, i32(3), &err));
  REFUSES(LB_E_SHAPE, "same kv-heads and head size",
          lb__op_kv_store(&stream, f32(3, 9, 2, 7), f32(3, 9, 2, 7), k, k, i32(4), &err));
}

static void test_elementwise(void **state) {
  (void)state;
  lb_tensor *y, *a = f32(2, 2, 3, 1), *b = f32(2, 3, 2, 1);
  REFUSES(LB_E_SHAPE, "add: x [2,3] F32 and delta [3,2] F32: want the same shape",
          lb__op_add_to(&stream, a, b, &err));
  REFUSES(LB_E_SHAPE, "act_mul: gate", lb__op_act_mul(&stream, &y, a, b, LB__ACT_SILU, &err));
  REFUSES(LB_E_DTYPE, "scale: x", lb__op_scale(&stream, &y, i32(3), 2, &err));
  REFUSES(LB_E_ARG, "softcap: cap 0", lb__op_softcap(&stream, &y, a, 0, &err));
  REFUSES(LB_E_ARG, "softcap: cap nan", lb__op_softcap(&stream, &y, a, NAN, &err));
  REFUSES(LB_E_DTYPE, "act: x", lb__op_act(&stream, &y, i32(3), LB__ACT_RELU, &err));
}

static void test_cast_and_transpose(void **state) {
  (void)state;
  lb_tensor *x = f32(2, 2, 32, 1), *q = make(LB_DTYPE_Q8_0, 2, 2, 32, 1);
  REFUSES(LB_E_DTYPE, "want F32, F16, BF16, F64, Q8_0 or Q4_0",
          lb__op_cast(make(LB_DTYPE_Q4_1, 2, 2, 32, 1), x, &err));
  REFUSES(LB_E_SHAPE, "want the same shape", lb__op_cast(f32(2, 32, 2, 1), x, &err));
  lb__tensor_f32(x)[40] = NAN;
  REFUSES(LB_E_NUMERIC, "cast: kernel", lb__op_cast(q, x, &err));
  lb__tensor_f32(x)[40] = 1e30f;
  REFUSES(LB_E_NUMERIC, "cast: kernel", lb__op_cast(q, x, &err));
  REFUSES(LB_E_DTYPE, "not blocks", lb__op_transpose(x, q, &err));
  REFUSES(LB_E_SHAPE, "want out [32,2]", lb__op_transpose(f32(2, 2, 32, 1), x, &err));
}

/* The arena holds the result after an op and nothing else. */
static void test_optimizer(void **state) {
  (void)state;
  double sum = 0;
  lb_tensor *p = f32(2, 3, 4, 1), *g = f32(1, 12, 1, 1), *m = f32(1, 12, 1, 1),
            *v = f32(1, 11, 1, 1);
  REFUSES(LB_E_DTYPE, "sum_squares: x [3] I32: want F32", lb__op_sum_squares(&sum, i32(3), &err));
  lb__adamw_args a = {.parameter = p, .gradient = g, .exp_avg = m, .exp_avg_sq = v, .step = 1};
  REFUSES(LB_E_SHAPE, "adamw: parameter [3,4] F32 and exp_avg_sq [11] F32: want as many elements",
          lb__op_adamw(&a, &err));
  a.exp_avg_sq = i32(12);
  REFUSES(LB_E_DTYPE, "adamw: exp_avg_sq [12] I32: want F32", lb__op_adamw(&a, &err));
  a.exp_avg_sq = f32(1, 12, 1, 1);
  a.step = 0;
  REFUSES(LB_E_ARG, "steps count from 1", lb__op_adamw(&a, &err));
  a.step = 1;
  a.beta2 = 1;
  REFUSES(LB_E_ARG, "want 0 <= beta < 1", lb__op_adamw(&a, &err));
  a.beta2 = NAN;
  REFUSES(LB_E_ARG, "want 0 <= beta < 1", lb__op_adamw(&a, &err));
  a.beta2 = 0.9;
  a.eps = -1;
  REFUSES(LB_E_ARG, "eps -1", lb__op_adamw(&a, &err));
  a.eps = 1e-8;
  assert_int_equal(lb__op_adamw(&a, &err), LB_OK);
}

static void test_scratch_is_given_back(void **state) {
  (void)state;
  lb_tensor *y, *x = f32(2, 64, 96, 1), *w = make(LB_DTYPE_Q8_0, 2, 200, 96, 1);
  lb__arena_mark before = lb__arena_get_mark(&stream.arena);
  assert_int_equal(lb__op_linear(&stream, &y, x, w, NULL, &err), LB_OK);
  size_t used = stream.arena.in_use - before.in_use;
  assert_true(used >= y->size_bytes && used < y->size_bytes + 1024);
}

/* A stream in double takes tensors in double, and computes in it whatever kernels are selected. */
static void test_double(void **state) {
  (void)state;
  lb_tensor *y, *x = f32(2, 1, 2, 1), *wide = make(LB_DTYPE_F64, 2, 1, 2, 1);
  REFUSES(LB_E_DTYPE, "linear: x [1,2] F64: want F32",
          lb__op_linear(&stream, &y, wide, x, NULL, &err));
  stream.real = LB_DTYPE_F64;
  REFUSES(LB_E_DTYPE, "linear: x [1,2] F32: want F64",
          lb__op_linear(&stream, &y, x, wide, NULL, &err));
  REFUSES(LB_E_DTYPE, "add: delta [1,2] F32: want F64", lb__op_add_to(&stream, wide, x, &err));
  REFUSES(LB_E_DTYPE, "linear: bias [1] F32: want F64",
          lb__op_linear(&stream, &y, wide, wide, f32(1, 1, 1, 1), &err));
  const double digits = 1.0 + 0x1p-40, one[] = {1.0, 0.0};
  double *values = lb__tensor_data(wide), got;
  values[0] = digits;
  lb_tensor *w = make(LB_DTYPE_F64, 2, 1, 2, 1);
  memcpy(lb__tensor_data(w), one, sizeof one);
  assert_int_equal(lb__op_linear(&stream, &y, wide, w, NULL, &err), LB_OK);
  assert_int_equal(y->dtype, LB_DTYPE_F64);
  assert_int_equal(lb__tensor_read(y, 0, &got, sizeof got, &err), LB_OK);
  assert_true(got == digits);
  assert_int_equal(lb__op_linear(&stream, &y, w, wide, NULL, &err), LB_OK); /* weights too */
  assert_int_equal(lb__tensor_read(y, 0, &got, sizeof got, &err), LB_OK);
  assert_true(got == digits);
  stream.real = LB_DTYPE_F32;
}

/* The terms of a divergence: tests/unit/test_fused_head.c. */
static void test_losses(void **state) {
  (void)state;
  double sum = 3.0;
  lb_tensor *x = f32(2, 4, 8, 1), *y = f32(2, 4, 7, 1), *vector = f32(1, 8, 1, 1), *ids = i32(4);
  REFUSES(LB_E_SHAPE, "mse: x [4,8] F32 and target [4,7] F32: want the same shape",
          lb__op_mse(&stream, &sum, x, y, 1.0, &err));
  REFUSES(LB_E_SHAPE, "mse: x [8] F32", lb__op_mse(&stream, &sum, vector, vector, 1.0, &err));
  REFUSES(LB_E_DTYPE, "mse: target", lb__op_mse(&stream, &sum, x, ids, 1.0, &err));
  assert_true(sum == 3.0);
  lb_tensor *losses = make(LB_DTYPE_F64, 2, 0, 4, 1), *three = i32(3);
  lb__divergence_args good = {.student = x, .teacher = y, .losses = losses, .vocab = 7}, a = good;
  assert_int_equal(lb__op_divergence(&stream, &a, &err), LB_OK);
#define REFUSES_DIVERGENCE(status, text, change)                                                   \
  a = good, a.change;                                                                              \
  REFUSES(status, text, lb__op_divergence(&stream, &a, &err))
  REFUSES_DIVERGENCE(LB_E_ARG, "teacher [4,7] F32: the common vocabulary is 8, want 1 to 7",
                     vocab = 8);
  REFUSES_DIVERGENCE(LB_E_SHAPE, "want the same rows", teacher = f32(2, 3, 8, 1));
  REFUSES_DIVERGENCE(LB_E_DTYPE, "divergence: student", student = ids);
  REFUSES_DIVERGENCE(LB_E_SHAPE, "want one for each row", targets = three);
  REFUSES_DIVERGENCE(LB_E_DTYPE, "divergence: weights", weights = ids);
  REFUSES_DIVERGENCE(LB_E_DTYPE, "divergence: losses", losses = y);
  REFUSES_DIVERGENCE(LB_E_SHAPE, "losses [0,4] F64: want [1,4]", n_terms = 1);
  REFUSES_DIVERGENCE(LB_E_SHAPE, "facts [4,2] F64: want [4,6]",
                     facts = make(LB_DTYPE_F64, 2, 4, 2, 1));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_linear),
      cmocka_unit_test(test_rows),
      cmocka_unit_test(test_norms),
      cmocka_unit_test(test_attention),
      cmocka_unit_test(test_attention_that_is_recorded),
      cmocka_unit_test(test_dropout),
      cmocka_unit_test(test_relation),
      cmocka_unit_test(test_rope_and_cache),
      cmocka_unit_test(test_elementwise),
      cmocka_unit_test(test_cast_and_transpose),
      cmocka_unit_test(test_optimizer),
      cmocka_unit_test(test_losses),
      cmocka_unit_test(test_scratch_is_given_back),
      cmocka_unit_test(test_double),
  };
  return cmocka_run_group_tests(tests, begin, end);
}
