/* elementwise.h - what elementwise.inc and backward.inc share: how work is cut, sums of rows,
 * activations. Partial vectors go through the same arithmetic as full ones. */
#ifndef LB_KERNELS_ELEMENTWISE_H
#define LB_KERNELS_ELEMENTWISE_H

#include "simd.h"

#include "ops/ops.h"

#include <math.h>

/* ---- cutting ---- */

LB__INLINE int64_t lanes_at(int64_t i, int64_t n) {
  return n - i < LANES ? n - i : LANES;
}

/* Ranges of about this many elements are worth a thread. */
enum { THREAD_ELEMENTS = 8192 };

LB__INLINE int64_t rows_grain(int64_t row_length) {
  return 1 + THREAD_ELEMENTS / (row_length + 1);
}

/* Elements in chunks of CHUNK; the cut never falls inside a vector. */
enum { CHUNK = 1024 };

/* ---- sums of rows ---- */

LB__INLINE float sum_of(const float *x, int64_t n) {
  vec a = v_set(0.0f), b = a;
  int64_t i = 0;
  for (; i + 2 * LANES <= n; i += 2 * LANES) {
    a = v_add(a, v_load(x + i));
    b = v_add(b, v_load(x + i + LANES));
  }
  for (; i < n; i += LANES) a = v_add(a, v_load_part(x + i, lanes_at(i, n)));
  return v_sum(v_add(a, b));
}

/* sum of (x - mean)^2 */
LB__INLINE float squares_of(const float *x, int64_t n, float mean) {
  vec a = v_set(0.0f), b = a, m = v_set(mean);
  int64_t i = 0;
  for (; i + 2 * LANES <= n; i += 2 * LANES) {
    vec d = v_sub(v_load(x + i), m), e = v_sub(v_load(x + i + LANES), m);
    a = v_fma(d, d, a);
    b = v_fma(e, e, b);
  }
  for (; i < n; i += LANES) { /* lanes past the end hold the mean, so that they add nothing */
    float rest[LANES];
    for (int64_t k = 0; k < LANES; k++) rest[k] = i + k < n ? x[i + k] : mean;
    vec d = v_sub(v_load(rest), m);
    a = v_fma(d, d, a);
  }
  return v_sum(v_add(a, b));
}

/* ---- activations ---- */

LB__INLINE vec act_value(vec x, lb__act_kind kind) {
  if (kind == LB__ACT_RELU) return v_max(v_set(0.0f), x); /* operand order: NaN passes */
  if (kind == LB__ACT_SILU) return v_over_1_plus_exp_minus(x, x);
  /* 0.5 x (1 + tanh u) = x / (1 + exp(-2u)),  2u = 2 sqrt(2/pi) (x + 0.044715 x^3) */
  vec square = v_mul(x, x);
  vec u = v_mul(v_mul(x, v_set(1.59576912f)), v_fma(square, v_set(0.044715f), v_set(1.0f)));
  return v_over_1_plus_exp_minus(x, u);
}

/* act(x) and its derivative, for all kinds but the erf form. With s = 1 / (1 + exp(-w)):
 *     x s has the derivative s + x s (1 - s) dw/dx
 * and 1 - s = exp(-w) s, which loses no digits where s is near 1. */
LB__INLINE void act_value_and_slope(vec *value, vec *slope, vec x, lb__act_kind kind) {
  vec one = v_set(1.0f), zero = v_set(0.0f), w = x, dw = one;
  if (kind == LB__ACT_RELU) {
    *value = v_max(zero, x);
    *slope = v_where_positive(x, one, v_mul(x, zero)); /* NaN stays NaN */
    return;
  }
  if (kind == LB__ACT_GELU_TANH) {
    vec square = v_mul(x, x), c = v_set(1.59576912f);
    w = v_mul(v_mul(x, c), v_fma(square, v_set(0.044715f), one));
    dw = v_mul(c, v_fma(square, v_set(0.134145f), one));
  }
  w = v_max(v_set(-80.0f), w); /* exp(80) is finite; operand order: NaN passes */
  vec e = v_exp(v_sub(zero, w)), s = v_div(one, v_add(one, e)), xs = v_mul(x, s);
  *value = xs;
  *slope = v_fma(v_mul(xs, v_mul(e, s)), dw, s);
}

#endif
