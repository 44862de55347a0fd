/* test_stored.c - products with weights as they lie in blocks: every kernel set agrees with the
 * reference, for every type; threads do not matter; rows that were rounded once for several weights
 * give the same bits; many rows give the very bits of a weight that was packed once. */
#include "op_case_parts.h"

#include "base/threads.h"
#include "kernels/kernels.h"
#include "tensor/tensor_data.h"

#include <math.h>
#include <string.h>

static lb_error err;

static const lb_dtype types[] = {LB_DTYPE_Q4_0, LB_DTYPE_Q4_1, LB_DTYPE_Q5_0, LB_DTYPE_Q5_1,
                                 LB_DTYPE_Q8_0, LB_DTYPE_Q2_K, LB_DTYPE_Q3_K, LB_DTYPE_Q4_K,
                                 LB_DTYPE_Q5_K, LB_DTYPE_Q6_K};
enum { N_TYPES = sizeof types / sizeof *types, O = 21, MANY = 131 };

typedef struct product {
  lb_tensor x, weight, bias, out;
  lb__linear_args args;
} product;

static void product_init(product *p, int64_t N, int64_t I, lb_dtype dtype) {
  p->x = floats(2, N, I, 1);
  p->weight = random_weight(dtype, O, I);
  p->bias = floats(1, O, 1, 1);
  p->out = floats(2, N, O, 1);
  p->args = (lb__linear_args){.out = &p->out,
                              .x = &p->x,
                              .weight = &p->weight,
                              .bias = &p->bias,
                              .compute = LB__COMPUTE_STORED};
}

static void product_deinit(product *p) {
  lb__tensor_deinit(&p->x);
  lb__tensor_deinit(&p->weight);
  lb__tensor_deinit(&p->bias);
  lb__tensor_deinit(&p->out);
}

/* Leaves the result in p->out. */
static void multiply(product *p, const char *sets, int threads, bool prepared) {
  lb__kernel_table filled, *table = &filled;
  int before = lb_threads_get();
  lb_threads_set(threads);
  if (lb__kernels_fill(table, sets, &err) != LB_OK) fail_msg("%s", err.message);
  memset(lb__tensor_data(&p->out), 0xFF, p->out.size_bytes);
  op_result ignored, *result = &ignored;
  size_t size = table->linear_prepared_bytes(&p->args);
  p->args.prepared = prepared ? aligned_alloc(64, size) : NULL;
  if (prepared) table->linear_prepare(&p->args, p->args.prepared);
  RUN(linear, p->args);
  assert_int_equal(result->status, LB_OK);
  free(p->args.prepared);
  p->args.prepared = NULL;
  lb_threads_set(before);
}

static float *copy_of(const product *p) {
  float *copy = malloc(p->out.size_bytes);
  assert_non_null(copy);
  memcpy(copy, lb__tensor_data(&p->out), p->out.size_bytes);
  return copy;
}

/* Largest difference beside the size of the wanted numbers. */
static double error_of(const product *p, const float *wanted) {
  double worst = 0.0, norm = 0.0;
  int64_t n = lb__tensor_elements(&p->out);
  for (int64_t i = 0; i < n; i++) {
    worst = fmax(worst, fabs((double)lb__tensor_f32(&p->out)[i] - (double)wanted[i]));
    norm += (double)wanted[i] * (double)wanted[i];
  }
  return worst / sqrt(norm / (double)n);
}

static void same_bits(const product *p, const float *wanted, const char *what) {
  if (memcmp(lb__tensor_data(&p->out), wanted, p->out.size_bytes) != 0)
    fail_msg("%s: other bits; %s", what, lb_dtype_name(p->weight.dtype));
}

/* Lengths that end within a chunk of eight groups, and in one. */
static int64_t inputs_of(lb_dtype dtype, int which) {
  static const int64_t small[] = {32, 288, 576}, large[] = {256, 512, 1280};
  return lb_dtype_block_elements(dtype) == 256 ? large[which] : small[which];
}

static void test_all_kernels_agree(void **state) {
  (void)state;
  static const char *const sets[] = {"portable", "avx2", "avx512", "onednn,avx512"};
  static const int64_t rows[] = {1, 2, 3, 4, 5, 8, 9, 16, 17, 40, 96};
  for (int t = 0; t < N_TYPES; t++)
    for (int which = 0; which < 3; which++)
      for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t N = rows[i];
        product p;
        product_init(&p, N, inputs_of(types[t], which), types[t]);
        multiply(&p, "reference", 1, false);
        float *wanted = copy_of(&p);
        for (size_t k = 0; k < sizeof sets / sizeof *sets; k++) {
          multiply(&p, sets[k], 2, false); /* a set that this CPU lacks is left out */
          double error = error_of(&p, wanted);
          if (!(error < 4e-6)) /* of sums in float32 */
            fail_msg("%s, %s, %lld rows: error %g", sets[k], lb_dtype_name(types[t]), (long long)N,
                     error);
        }
        free(wanted);
        product_deinit(&p);
      }
}

static void test_near_the_exact_product(void **state) {
  (void)state;
  for (int t = 0; t < N_TYPES; t++)
    for (int which = 0; which < 3; which++) {
      product p;
      product_init(&p, 3, inputs_of(types[t], which), types[t]);
      p.args.compute = LB__COMPUTE_F32;
      multiply(&p, "reference", 1, false);
      float *wanted = copy_of(&p);
      p.args.compute = LB__COMPUTE_STORED;
      multiply(&p, NULL, 1, false);
      double error = error_of(&p, wanted);
      if (!(error < 0.03)) fail_msg("%s: error %g", lb_dtype_name(types[t]), error);
      assert_true(error > 0.0); /* it did round */
      free(wanted);
      product_deinit(&p);
    }
}

static void test_threads_and_preparing_do_not_matter(void **state) {
  (void)state;
  static const int64_t rows[] = {1, 4, 6, 17, 96, MANY};
  for (int t = 0; t < N_TYPES; t++)
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
      product p;
      product_init(&p, rows[k], inputs_of(types[t], 2), types[t]);
      multiply(&p, NULL, 1, false);
      float *wanted = copy_of(&p);
      multiply(&p, NULL, 3, false);
      same_bits(&p, wanted, "three threads");
      multiply(&p, NULL, 2, true);
      same_bits(&p, wanted, "rounded before");
      free(wanted);
      product_deinit(&p);
    }
}

static void test_many_rows_are_int8(void **state) {
  (void)state;
  for (int t = 0; t < N_TYPES; t++) {
    product p;
    product_init(&p, MANY, inputs_of(types[t], 2), types[t]);
    multiply(&p, NULL, 2, false);
    float *stored = copy_of(&p);
    lb__kernel_table table;
    if (lb__kernels_fill(&table, NULL, &err) != LB_OK) fail_msg("%s", err.message);
    p.args.compute = LB__COMPUTE_INT8;
    assert_int_equal(table.pack_weight(&p.weight.packed, &p.weight, LB__COMPUTE_INT8, false),
                     LB_OK);
    multiply(&p, NULL, 2, false);
    same_bits(&p, stored, "packed once");
    free(stored);
    product_deinit(&p);
  }
}

static void test_not_finite_stays_in_its_row(void **state) {
  (void)state;
  static const char *const sets[] = {"reference", "avx2", "avx512"};
  for (size_t k = 0; k < sizeof sets / sizeof *sets; k++)
    for (int t = 0; t < N_TYPES; t++) {
      product p;
      product_init(&p, 5, inputs_of(types[t], 1), types[t]);
      int64_t I = p.x.shape[1];
      lb__tensor_f32(&p.x)[2 * I + I / 2] = k == 0 ? NAN : INFINITY;
      memset(lb__tensor_f32(&p.x) + 4 * I, 0, (size_t)I * sizeof(float)); /* and a row of zeros */
      multiply(&p, sets[k], 2, false);
      for (int64_t n = 0; n < 5; n++)
        for (int64_t o = 0; o < O; o++) {
          float y = lb__tensor_f32(&p.out)[n * O + o];
          assert_true(isfinite(y) == (n != 2));
          if (n == 4) assert_true(y == lb__tensor_f32(&p.bias)[o]);
        }
      product_deinit(&p);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_all_kernels_agree),
      cmocka_unit_test(test_near_the_exact_product),
      cmocka_unit_test(test_threads_and_preparing_do_not_matter),
      cmocka_unit_test(test_many_rows_are_int8),
      cmocka_unit_test(test_not_finite_stays_in_its_row),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
