/* blocks.c - which function decodes or encodes a row of a dtype. See blocks.h. */
#include "blocks.h"
#include "halves.h"

#include <math.h>

lb__row_to_f32_fn *lb__ref_row_to_f32(lb_dtype dtype) {
  return lb_dtype_is_block(dtype) ? lb__ref_block_to_f32(dtype) : lb__ref_plain_to_f32(dtype);
}

/* ---- those that were selected ---- */

static lb__row_to_f32_fn *decoders[LB_DTYPE_COUNT];
static lb__row_from_f32_fn *encoders[LB_DTYPE_COUNT];

void lb__row_to_f32_select(lb_dtype dtype, lb__row_to_f32_fn *decoder) {
  decoders[dtype] = decoder;
}
void lb__row_from_f32_select(lb_dtype dtype, lb__row_from_f32_fn *encoder) {
  encoders[dtype] = encoder;
}

lb__row_to_f32_fn *lb__row_to_f32(lb_dtype dtype) {
  return decoders[dtype] != NULL ? decoders[dtype] : lb__ref_row_to_f32(dtype);
}

const float *lb__row_floats(lb_dtype dtype, const void *row, int64_t n, float *scratch) {
  if (dtype == LB_DTYPE_F32 && (uintptr_t)row % sizeof(float) == 0) return row;
  lb__row_to_f32(dtype)(scratch, row, n);
  return scratch;
}

/* ---- encoders ---- */

static void to_f32(void *row, const float *x, int64_t n) {
  if (n > 0) memmove(row, x, (size_t)n * sizeof *x);
}

static void to_f16(void *row, const float *x, int64_t n) {
  uint16_t *out = row;
  for (int64_t i = 0; i < n; i++) out[i] = lb__half_from_f32(x[i]);
}

static void to_bf16(void *row, const float *x, int64_t n) {
  uint16_t *out = row;
  for (int64_t i = 0; i < n; i++) out[i] = lb__bf16_from_f32(x[i]);
}

static void to_f64(void *row, const float *x, int64_t n) {
  double *out = row;
  for (int64_t i = 0; i < n; i++) out[i] = (double)x[i];
}

lb__row_from_f32_fn *lb__row_from_f32(lb_dtype dtype) {
  if (encoders[dtype] != NULL) return encoders[dtype];
  switch (dtype) {
  case LB_DTYPE_F32: return to_f32;
  case LB_DTYPE_F16: return to_f16;
  case LB_DTYPE_BF16: return to_bf16;
  case LB_DTYPE_F64: return to_f64;
  case LB_DTYPE_Q8_0: return lb__ref_quantize_q8_0;
  case LB_DTYPE_Q4_0: return lb__ref_quantize_q4_0;
  default: return NULL;
  }
}

/* A block's scale is a half: at most 65504, times 127 (Q8_0) or 8 (Q4_0). */
bool lb__row_fits(lb_dtype dtype, const float *x, int64_t n) {
  if (!lb_dtype_is_block(dtype)) return true;
  float limit = 65504.0f * (dtype == LB_DTYPE_Q8_0 ? 127.0f : 8.0f);
  for (int64_t i = 0; i < n; i++)
    if (!(fabsf(x[i]) <= limit)) return false; /* NaN too */
  return true;
}
