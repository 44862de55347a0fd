/* op_case_parts.c - see op_case_parts.h. Tensors live on the heap, exactly as large as they should
 * be, so that AddressSanitizer sees a kernel that reads or writes past one. */
#include "op_case_parts.h"

#include "kernels/cpu/halves.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- making inputs ---- */

static uint64_t seed;

uint32_t random_bits(void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 32);
}

/* Roughly normal: the sum of three uniform numbers. */
float random_float(void) {
  double sum = -1.5;
  for (int i = 0; i < 3; i++) sum += random_bits() / 4294967296.0;
  return (float)(sum * 2.0);
}

lb_tensor make(lb_dtype dtype, int rank, int64_t a, int64_t b, int64_t c) {
  lb_tensor t;
  const int64_t shape[] = {a, b, c};
  assert_int_equal(lb__tensor_init(&t, dtype, rank, shape, NULL), LB_OK);
  memset(lb__tensor_data(&t), 0xFF, t.size_bytes); /* NaN: what a kernel forgets is seen */
  return t;
}

lb_tensor floats(int rank, int64_t a, int64_t b, int64_t c) {
  lb_tensor t = make(LB_DTYPE_F32, rank, a, b, c);
  for (int64_t i = 0; i < lb__tensor_elements(&t); i++) lb__tensor_f32(&t)[i] = random_float();
  return t;
}

lb_tensor ints(int64_t n, const int32_t *values) {
  lb_tensor t = make(LB_DTYPE_I32, 1, n, 1, 1);
  for (int64_t i = 0; i < n; i++) lb__tensor_i32(&t)[i] = values[i];
  return t;
}

lb_tensor random_ints(int64_t n, int64_t below) {
  lb_tensor t = make(LB_DTYPE_I32, 1, n, 1, 1);
  for (int64_t i = 0; i < n; i++) lb__tensor_i32(&t)[i] = (int32_t)(random_bits() % below);
  return t;
}

/* Where the half-precision scales of a block are; -1 ends. */
static const int *scale_offsets(lb_dtype dtype) {
  static const int none[] = {-1}, at_0[] = {0, -1}, at_0_2[] = {0, 2, -1}, at_80[] = {80, 82, -1},
                   at_108[] = {108, -1}, at_208[] = {208, -1};
  switch (dtype) {
  case LB_DTYPE_Q4_0:
  case LB_DTYPE_Q5_0:
  case LB_DTYPE_Q8_0: return at_0;
  case LB_DTYPE_Q4_1:
  case LB_DTYPE_Q5_1:
  case LB_DTYPE_Q4_K:
  case LB_DTYPE_Q5_K: return at_0_2;
  case LB_DTYPE_Q2_K: return at_80;
  case LB_DTYPE_Q3_K: return at_108;
  case LB_DTYPE_Q6_K: return at_208;
  default: return none;
  }
}

static lb_tensor random_blocks(lb_dtype dtype, int64_t rows, int64_t columns) {
  lb_tensor t = make(dtype, 2, rows, columns, 1);
  uint8_t *bytes = lb__tensor_data(&t);
  for (size_t i = 0; i < t.size_bytes; i++) bytes[i] = (uint8_t)random_bits();
  size_t size = lb_dtype_block_bytes(dtype);
  for (size_t block = 0; block < t.size_bytes; block += size)
    for (const int *at = scale_offsets(dtype); *at >= 0; at++) {
      uint16_t h = lb__half_from_f32(0.02f * random_float());
      memcpy(bytes + block + *at, &h, sizeof h);
    }
  return t;
}

lb_tensor random_weight(lb_dtype dtype, int64_t rows, int64_t columns) {
  if (lb_dtype_is_block(dtype)) return random_blocks(dtype, rows, columns);
  lb_tensor t = make(dtype, 2, rows, columns, 1);
  uint8_t *bytes = lb__tensor_data(&t);
  for (int64_t i = 0; i < rows * columns; i++) {
    float x = 0.1f * random_float();
    double wide = (double)x;
    uint16_t h = dtype == LB_DTYPE_F16 ? lb__half_from_f32(x) : lb__bf16_from_f32(x);
    switch (dtype) {
    case LB_DTYPE_F32: memcpy(bytes + 4 * i, &x, 4); break;
    case LB_DTYPE_F64: memcpy(bytes + 8 * i, &wide, 8); break;
    case LB_DTYPE_F16:
    case LB_DTYPE_BF16: memcpy(bytes + 2 * i, &h, 2); break;
    default: bytes[i] = (uint8_t)(random_bits() & 0xB7); break; /* F8: moderate, never NaN */
    }
  }
  return t;
}

/* ---- results ---- */

void keep(op_result *r, double value) {
  if (r->n == r->capacity) {
    r->capacity = r->capacity * 2 + 64;
    r->values = realloc(r->values, r->capacity * sizeof *r->values);
    assert_non_null(r->values);
  }
  r->values[r->n++] = value;
}

void keep_floats(op_result *r, const lb_tensor *t) {
  for (int64_t i = 0; i < lb__tensor_elements(t); i++) keep(r, (double)lb__tensor_f32(t)[i]);
}

void keep_doubles(op_result *r, const lb_tensor *t) {
  for (int64_t i = 0; i < lb__tensor_elements(t); i++)
    keep(r, ((const double *)lb__tensor_data(t))[i]);
}

void keep_ints(op_result *r, const lb_tensor *t) {
  for (int64_t i = 0; i < lb__tensor_elements(t); i++) keep(r, lb__tensor_i32(t)[i]);
}

void keep_bytes(op_result *r, const lb_tensor *t) {
  for (size_t i = 0; i < t->size_bytes; i++) keep(r, ((const uint8_t *)lb__tensor_data(t))[i]);
}

void op_result_deinit(op_result *r) {
  free(r->values);
  *r = (op_result){0};
}

static double error_allowed(double wanted, double largest, lb_tolerance t) {
  return t.relative * fabs(wanted) + t.of_largest * largest;
}

static double largest_finite(const op_result *r) {
  double largest = 0.0;
  for (size_t i = 0; i < r->n; i++)
    if (isfinite(r->values[i])) largest = fmax(largest, fabs(r->values[i]));
  return largest;
}

static bool value_agrees(double got, double wanted, double allowed) {
  if (isnan(wanted)) return isnan(got);
  return got == wanted || fabs(got - wanted) <= allowed;
}

bool op_results_agree(const op_result *got, const op_result *wanted, lb_tolerance tolerance,
                      char why[256]) {
  snprintf(why, 256, "status %d and %zu values, want %d and %zu", (int)got->status, got->n,
           (int)wanted->status, wanted->n);
  if (got->n != wanted->n || got->status != wanted->status) return false;
  double largest = largest_finite(wanted);
  for (size_t i = 0; i < got->n; i++) {
    double allowed = error_allowed(wanted->values[i], largest, tolerance);
    if (value_agrees(got->values[i], wanted->values[i], allowed)) continue;
    snprintf(why, 256, "value %zu of %zu is %.9g, want %.9g, allowed %.3g", i, got->n,
             got->values[i], wanted->values[i], allowed);
    return false;
  }
  return true;
}

double op_results_error(const op_result *got, const op_result *wanted, lb_tolerance tolerance) {
  double worst = 0.0, largest = largest_finite(wanted);
  for (size_t i = 0; i < got->n && i < wanted->n; i++) {
    double error = fabs(got->values[i] - wanted->values[i]);
    double allowed = error_allowed(wanted->values[i], largest, tolerance);
    if (isfinite(error) && error > 0.0 && allowed > 0.0) worst = fmax(worst, error / allowed);
  }
  return worst;
}

void op_case_run_seeded(const op_case *c, const lb__kernel_table *table, op_result *result,
                        op_case_run_fn *run) {
  seed = 12345;
  *result = (op_result){0};
  run(c, table, result);
}

static const op_case_list *const lists[] = {&op_cases_forward, &op_cases_backward,
                                            &op_cases_attention, &op_cases_loss,
                                            &op_cases_optimizer};

size_t op_case_count(void) {
  size_t n = 0;
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) n += lists[i]->n;
  return n;
}

const op_case *op_case_at(size_t i) {
  for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
    if (i < lists[k]->n) return &lists[k]->cases[i];
    i -= lists[k]->n;
  }
  return NULL;
}
