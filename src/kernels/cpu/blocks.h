/* blocks.h - rows of any dtype to float32 and back. Owns: the two lookup tables.
 *
 * A row is n elements, a whole number of blocks; it may lie at any address (weights are used where
 * they lie in a mapped file). Block layouts: docs/formats.md and reference/ref_blocks.c. */
#ifndef LB_KERNELS_BLOCKS_H
#define LB_KERNELS_BLOCKS_H

#include <limbeck/dtype.h>

typedef void lb__row_to_f32_fn(float *out, const void *row, int64_t n);
typedef void lb__row_from_f32_fn(void *row, const float *x, int64_t n);

/* The decoder of a dtype: the fastest for this CPU that was selected, else the reference. All give
 * bit-identical results. Never NULL. */
lb__row_to_f32_fn *lb__row_to_f32(lb_dtype dtype);
lb__row_to_f32_fn *lb__ref_row_to_f32(lb_dtype dtype);

/* A row's floats: where they lie, or decoded into scratch [n]. */
const float *lb__row_floats(lb_dtype dtype, const void *row, int64_t n, float *scratch);

/* The encoder: F32 F16 BF16 F64 round to nearest even; Q8_0 and Q4_0 make the very blocks of
 * ggml's quantize_row_*_ref. NULL for other dtypes. Block encoders want finite numbers:
 * lb__row_fits. */
lb__row_from_f32_fn *lb__row_from_f32(lb_dtype dtype);
bool lb__row_fits(lb_dtype dtype, const float *x, int64_t n);

/* Called by cpu_select.c, once: a faster decoder or encoder for a dtype, with the same bits. */
void lb__row_to_f32_select(lb_dtype dtype, lb__row_to_f32_fn *decoder);
void lb__row_from_f32_select(lb_dtype dtype, lb__row_from_f32_fn *encoder);

/* Filled by reference/ref_floats.c and reference/ref_blocks.c: NULL where they have none. */
lb__row_to_f32_fn *lb__ref_plain_to_f32(lb_dtype dtype);
lb__row_to_f32_fn *lb__ref_block_to_f32(lb_dtype dtype);
void lb__ref_quantize_q8_0(void *row, const float *x, int64_t n);
void lb__ref_quantize_q4_0(void *row, const float *x, int64_t n);

#endif
