/* linear_parts.h - what the tuned linear (linear_tuned.c) and its backward (linear_bwd_tuned.c) are
 * put together from by cpu_select.c. */
#ifndef LB_KERNELS_LINEAR_PARTS_H
#define LB_KERNELS_LINEAR_PARTS_H

#include "ops/kernel_table.h"

/* Dot products of one weight row with up to LB__MOST_DOTS rows of x: sums[t] = x[t,:] . row.
 * Decodes the row on the way; accumulates in float32. */
enum { LB__MOST_DOTS = 4 };
typedef void lb__dots_fn(float *sums, const float *x, int64_t n_tokens, int64_t I, const void *row);
void lb__linear_select_dots(lb_dtype dtype, lb__dots_fn *dots);

/* out [M,N] with leading dimension ldo = x [M,K] * w [N,K] transposed, on the calling thread. */
typedef lb_status lb__gemm_fn(float *out, int64_t ldo, const float *x, const float *w, int64_t M,
                              int64_t N, int64_t K);
void lb__linear_select_gemm(lb__gemm_fn *gemm);

/* The same of bfloat16 factors, accumulated in float32. Returns LB_E_UNSUPPORTED when the library
 * cannot. Selected only where it is faster than float32. */
typedef lb_status lb__gemm_bf16_fn(float *out, int64_t ldo, const uint16_t *x, const uint16_t *w,
                                   int64_t M, int64_t N, int64_t K);
void lb__linear_select_gemm_bf16(lb__gemm_bf16_fn *gemm);

/* ---- backward ---- */

/* c [M,N] += a b: a [M,K], or [K,M] when it is transposed; b [K,N]; each row-major with its leading
 * dimension. a and b hold floats, or bfloat16 for the second function. */
typedef struct lb__gemm_add {
  float *c;
  const void *a, *b;
  int64_t ldc, lda, ldb, M, N, K;
  bool a_transposed;
} lb__gemm_add;
/* On the calling thread, inside a parallel loop. */
typedef lb_status lb__gemm_add_fn(const lb__gemm_add *g);
void lb__linear_bwd_select_gemm(lb__gemm_add_fn *gemm);      /* of floats; needed */
void lb__linear_bwd_select_gemm_bf16(lb__gemm_add_fn *gemm); /* NULL: floats are faster */

lb_status lb__tuned_linear_bwd(const lb__linear_bwd_args *args, void *workspace);
size_t lb__tuned_linear_bwd_workspace(const lb__linear_bwd_args *args);

/* ---- forward ---- */

lb_status lb__tuned_linear(const lb__linear_args *args, void *workspace);
size_t lb__tuned_linear_workspace(const lb__linear_args *args);

#endif
