/* tile.h - products of small matrices whose sums stay in registers: what attention, its backward
 * and relations are made of. A tile is TILE keys wide; rows are padded to whole vectors. */
#ifndef LB_KERNELS_TILE_H
#define LB_KERNELS_TILE_H

#include "simd.h"

#include <stdbool.h>

enum { TILE = 64 };

static inline int64_t padded(int64_t n) {
  return (n + LANES - 1) / LANES * LANES;
}

/* ---- out [rows, width] += a [rows, depth] * b [depth, width], width whole vectors. Element (r, k)
 * of a is a[r * lda + k * step]: lda 1 reads a matrix [depth, rows] as its transpose. ---- */

LB__INLINE void product(float *out, int64_t ldo, const float *a, int64_t lda, int64_t step,
                        const float *b, int64_t ldb, int64_t depth, const int R, const int W,
                        const bool add) {
  vec sum[4][4];
  for (int r = 0; r < R; r++)
    for (int w = 0; w < W; w++) sum[r][w] = add ? v_load(out + r * ldo + w * LANES) : v_set(0.0f);
  for (int64_t k = 0; k < depth; k++)
    for (int r = 0; r < R; r++) {
      vec x = v_set(a[r * lda + k * step]);
      for (int w = 0; w < W; w++) sum[r][w] = v_fma(x, v_load(b + k * ldb + w * LANES), sum[r][w]);
    }
  for (int r = 0; r < R; r++)
    for (int w = 0; w < W; w++) v_store(out + r * ldo + w * LANES, sum[r][w]);
}

LB__INLINE void product_rows(float *out, int64_t ldo, const float *a, int64_t lda, int64_t step,
                             const float *b, int64_t ldb, int64_t rows, int64_t depth, const int W,
                             const bool add) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4)
    product(out + r * ldo, ldo, a + r * lda, lda, step, b, ldb, depth, 4, W, add);
  for (; r < rows; r++)
    product(out + r * ldo, ldo, a + r * lda, lda, step, b, ldb, depth, 1, W, add);
}

LB__INLINE void any_product(float *out, int64_t ldo, const float *a, int64_t lda, int64_t step,
                            const float *b, int64_t ldb, int64_t rows, int64_t depth, int64_t width,
                            const bool add) {
  int64_t w = 0; /* four rows of two vectors fill AVX2's registers, of four AVX-512's */
#if defined(__AVX512F__)
  for (; w + 4 * LANES <= width; w += 4 * LANES)
    product_rows(out + w, ldo, a, lda, step, b + w, ldb, rows, depth, 4, add);
#endif
  for (; w + 2 * LANES <= width; w += 2 * LANES)
    product_rows(out + w, ldo, a, lda, step, b + w, ldb, rows, depth, 2, add);
  for (; w < width; w += LANES)
    product_rows(out + w, ldo, a, lda, step, b + w, ldb, rows, depth, 1, add);
}

static inline void add_product(float *out, int64_t ldo, const float *a, int64_t lda, int64_t step,
                               const float *b, int64_t ldb, int64_t rows, int64_t depth,
                               int64_t width) {
  any_product(out, ldo, a, lda, step, b, ldb, rows, depth, width, true);
}

/* The same without what was there. */
static inline void set_product(float *out, int64_t ldo, const float *a, int64_t lda, int64_t step,
                               const float *b, int64_t ldb, int64_t rows, int64_t depth,
                               int64_t width) {
  any_product(out, ldo, a, lda, step, b, ldb, rows, depth, width, false);
}

/* e^x of x <= 0, at least e^-87: nothing beside a sum of 1, and a normal number. Denormal ones (and
 * e^-inf on the way to 0) cost some hundred cycles each. */
LB__INLINE vec v_weight(vec x) {
  return v_exp(v_max(v_set(-87.0f), x)); /* operand order: NaN passes */
}

/* ---- rows of D numbers, to and from rows of Dp ---- */

static inline void load_row(float *to, const float *row, float factor, int64_t D, int64_t Dp) {
  for (int64_t c = 0; c < D; c++) to[c] = row[c] * factor;
  for (int64_t c = D; c < Dp; c++) to[c] = 0.0f;
}

/* Row i of n <= LANES rows of D numbers, times factor, becomes column i of to [D, ld]; columns n ..
 * LANES - 1 are zero. */
static inline void load_columns(float *to, int64_t ld, const float *const *rows, float factor,
                                int64_t n, int64_t D) {
  for (int64_t c = 0; c < D; c += LANES) {
    int64_t part = D - c < LANES ? D - c : LANES;
    vec x[LANES];
    for (int64_t i = 0; i < LANES; i++)
      x[i] = i < n ? v_mul(v_load_part(rows[i] + c, part), v_set(factor)) : v_set(0.0f);
    v_transpose(x);
    for (int64_t i = 0; i < part; i++) v_store(to + (c + i) * ld, x[i]);
  }
}

/* n <= TILE rows of D numbers, ld apart, as the columns of to [D, TILE]; columns from n on are
 * zero. */
static inline void load_tile(float *to, const float *from, int64_t ld, float factor, int64_t n,
                             int64_t D) {
  for (int64_t k = 0; k < TILE; k += LANES) {
    const float *rows[LANES];
    for (int64_t i = 0; i < LANES; i++) rows[i] = from + (k + i < n ? k + i : 0) * ld;
    load_columns(to + k, TILE, rows, factor, n - k, D);
  }
}

/* row += factor * from */
static inline void add_row(float *row, const float *from, float factor, int64_t D) {
  for (int64_t c = 0; c < D; c++) row[c] += factor * from[c];
}

#endif
