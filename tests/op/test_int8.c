/* test_int8.c - packed 8-bit products: every kernel set gives the very bits of the reference, for
 * any number of threads; the result is near the exact product; numbers that are not finite stay in
 * their row. */
#include "op_case_parts.h"

#include "kernels/kernels.h"
#include "tensor/tensor_data.h"

#include <math.h>
#include <string.h>

static lb_error err;

static void fill(lb__kernel_table *table, const char *sets) {
  if (lb__kernels_fill(table, sets, &err) != LB_OK) fail_msg("%s", err.message);
}

static void run(const lb__kernel_table *table, const lb__linear_args *args) {
  size_t size = table->linear_workspace != NULL ? table->linear_workspace(args) : 0;
  void *scratch = aligned_alloc(64, (size + 127) / 64 * 64);
  assert_non_null(scratch);
  memset(scratch, 0xFF, size);
  assert_int_equal(table->linear(args, scratch), LB_OK);
  free(scratch);
}

/* A product of N rows by a weight [O,I]; packed by the table that multiplies. */
typedef struct product {
  lb_tensor x, weight, bias, out;
} product;

static product make_product(int64_t N, int64_t I, int64_t O, lb_dtype dtype) {
  return (product){.x = floats(2, N, I, 1),
                   .weight = random_weight(dtype, O, I),
                   .bias = floats(1, O, 1, 1),
                   .out = floats(2, N, O, 1)};
}

static void product_deinit(product *p) {
  lb__tensor_deinit(&p->x);
  lb__tensor_deinit(&p->weight);
  lb__tensor_deinit(&p->bias);
  lb__tensor_deinit(&p->out);
}

/* Packs, multiplies, and returns the results as bits; the caller frees. */
static uint32_t *multiply(const char *sets, product *p, int threads) {
  lb__kernel_table table;
  int before = lb_threads_get();
  lb_threads_set(threads);
  fill(&table, sets);
  lb__packed *packed = NULL;
  assert_int_equal(table.pack_weight(&packed, &p->weight, LB__COMPUTE_INT8, false), LB_OK);
  p->weight.packed = packed;
  memset(lb__tensor_data(&p->out), 0xFF, p->out.size_bytes);
  lb__linear_args args = {.out = &p->out,
                          .x = &p->x,
                          .weight = &p->weight,
                          .bias = &p->bias,
                          .compute = LB__COMPUTE_INT8};
  run(&table, &args);
  lb__tensor_unpack(&p->weight);
  lb_threads_set(before);
  uint32_t *bits = malloc(p->out.size_bytes);
  assert_non_null(bits);
  memcpy(bits, lb__tensor_data(&p->out), p->out.size_bytes);
  return bits;
}

/* Rows around the kernels' tiles; inputs with groups of 64, of 128, of one odd row; outputs around
 * panels of 16. */
static const struct {
  int64_t N, I, O;
  lb_dtype dtype;
} shapes[] = {
    {1, 64, 16, LB_DTYPE_F32},     {2, 576, 70, LB_DTYPE_Q4_1},  {6, 128, 64, LB_DTYPE_BF16},
    {7, 192, 65, LB_DTYPE_F16},    {12, 640, 33, LB_DTYPE_Q8_0}, {13, 36, 5, LB_DTYPE_F32},
    {25, 256, 40, LB_DTYPE_Q4_K},  {5, 7, 3, LB_DTYPE_F32},      {3, 1, 1, LB_DTYPE_F32},
    {700, 1024, 48, LB_DTYPE_F32}, {4, 100, 130, LB_DTYPE_F32},  {64, 192, 17, LB_DTYPE_F32},
    {65, 256, 48, LB_DTYPE_Q4_1},  {80, 576, 70, LB_DTYPE_F32},  {81, 128, 16, LB_DTYPE_BF16},
    {127, 640, 33, LB_DTYPE_F32},  {128, 100, 40, LB_DTYPE_F32}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static void same_bits(const char *what, const product *p, const uint32_t *a, const uint32_t *b) {
  if (memcmp(a, b, p->out.size_bytes) != 0)
    fail_msg("%s: [%lld,%lld] times [%lld,.]: other bits than the reference", what,
             (long long)p->x.shape[0], (long long)p->x.shape[1], (long long)p->weight.shape[0]);
}

static void test_all_kernels_give_the_same_bits(void **state) {
  (void)state;
  static const char *const sets[] = {"portable", "avx2", "avx512", "amx", "onednn,avx512,amx"};
  for (int i = 0; i < N_SHAPES; i++) {
    product p = make_product(shapes[i].N, shapes[i].I, shapes[i].O, shapes[i].dtype);
    uint32_t *wanted = multiply("reference", &p, 1);
    for (size_t k = 0; k < sizeof sets / sizeof *sets; k++) {
      uint32_t *got = multiply(sets[k], &p, 2); /* a set that this CPU lacks is left out */
      same_bits(sets[k], &p, got, wanted);
      free(got);
    }
    free(wanted);
    product_deinit(&p);
  }
}

static void test_threads_do_not_matter(void **state) {
  (void)state;
  static const int threads[] = {2, 3, 7};
  for (int i = 0; i < N_SHAPES; i++) {
    product p = make_product(shapes[i].N, shapes[i].I, shapes[i].O, shapes[i].dtype);
    uint32_t *wanted = multiply(NULL, &p, 1);
    for (size_t k = 0; k < sizeof threads / sizeof *threads; k++) {
      uint32_t *got = multiply(NULL, &p, threads[k]);
      same_bits("threads", &p, got, wanted);
      free(got);
    }
    free(wanted);
    product_deinit(&p);
  }
}

/* Relative error of the whole result, as a norm. */
static double error_of(const product *p, const uint32_t *bits) {
  lb__kernel_table exact;
  fill(&exact, "reference");
  lb_tensor out = floats(2, p->out.shape[0], p->out.shape[1], 1);
  lb__linear_args args = {.out = &out, .x = &p->x, .weight = &p->weight, .bias = &p->bias};
  run(&exact, &args);
  double difference = 0.0, norm = 0.0;
  for (int64_t i = 0; i < lb__tensor_elements(&out); i++) {
    float got;
    memcpy(&got, &bits[i], sizeof got);
    double wanted = (double)lb__tensor_f32(&out)[i], off = (double)got - wanted;
    difference += off * off;
    norm += wanted * wanted;
  }
  lb__tensor_deinit(&out);
  return sqrt(difference / norm);
}

static void test_near_the_exact_product(void **state) {
  (void)state;
  for (int i = 0; i < N_SHAPES; i++) {
    product p = make_product(shapes[i].N, shapes[i].I, shapes[i].O, shapes[i].dtype);
    uint32_t *bits = multiply(NULL, &p, 2);
    double error = error_of(&p, bits);
    if (!(error < 0.03)) fail_msg("shape %d: relative error %g", i, error);
    free(bits);
    product_deinit(&p);
  }
}

/* One input a thousand times as large as the others: without rotation they would all round to
 * nothing. */
static void test_an_outlier_does_not_hurt(void **state) {
  (void)state;
  product p = make_product(8, 576, 64, LB_DTYPE_F32);
  for (int64_t n = 0; n < 8; n++) lb__tensor_f32(&p.x)[n * 576 + 100] = 1000.0f;
  for (int64_t o = 0; o < 64; o++) lb__tensor_f32(&p.weight)[o * 576 + 100] = 0.0f;
  uint32_t *bits = multiply(NULL, &p, 2);
  double error = error_of(&p, bits);
  if (!(error < 6.0)) fail_msg("relative error %g", error); /* of what is 1000 times smaller */
  free(bits);
  product_deinit(&p);
}

static void test_not_finite_stays_in_its_row(void **state) {
  (void)state;
  static const char *const sets[] = {"reference", "avx2", "avx512"};
  static const float bad[] = {NAN, INFINITY, -INFINITY};
  for (size_t k = 0; k < sizeof sets / sizeof *sets; k++)
    for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
      product p = make_product(15, 192, 20, LB_DTYPE_F32);
      lb__tensor_f32(&p.x)[13 * 192 + 70] = bad[b];
      memset(lb__tensor_f32(&p.x) + 4 * 192, 0, 192 * sizeof(float)); /* and a row of zeros */
      free(multiply(sets[k], &p, 2));
      for (int64_t n = 0; n < 15; n++)
        for (int64_t o = 0; o < 20; o++) {
          float y = lb__tensor_f32(&p.out)[n * 20 + o];
          assert_true(isfinite(y) == (n != 13));
          if (n == 4) assert_true(y == lb__tensor_f32(&p.bias)[o]);
        }
      product_deinit(&p);
    }
}

static void test_refused(void **state) {
  (void)state;
  lb__kernel_table table;
  fill(&table, NULL);
  lb__packed *packed;
  lb_tensor wide = floats(2, 1, (1 << 16) + 1, 1), small = floats(2, 2, 8, 1);
  assert_int_equal(table.pack_weight(&packed, &wide, LB__COMPUTE_INT8, false), LB_E_UNSUPPORTED);
  assert_int_equal(table.pack_weight(&packed, &small, LB__COMPUTE_F32, false), LB_E_UNSUPPORTED);
  lb__tensor_deinit(&wide);
  lb__tensor_deinit(&small);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_all_kernels_give_the_same_bits),
      cmocka_unit_test(test_threads_do_not_matter),
      cmocka_unit_test(test_near_the_exact_product),
      cmocka_unit_test(test_an_outlier_does_not_hurt),
      cmocka_unit_test(test_not_finite_stays_in_its_row),
      cmocka_unit_test(test_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
