/* blocks.h - the bytes of every element type: one row to float32 and back.
 * Layouts of the GGUF blocks: ggml-common.h of ggml-org/ggml (MIT), restated in docs/formats.md.
 * All numbers are little-endian; blocks may lie at any address. */
#ifndef LB_KERNELS_CPU_BLOCKS_H
#define LB_KERNELS_CPU_BLOCKS_H

#include <limbeck/dtype.h>

/* n elements (whole blocks) at `bytes` to floats, and back. */
typedef void lb__row_to_f32_fn(float *out, const void *bytes, int64_t n);
typedef void lb__row_from_f32_fn(void *bytes, const float *x, int64_t n);

lb__row_to_f32_fn *lb__row_to_f32(lb_dtype dtype);     /* never NULL for a dtype of the map */
lb__row_from_f32_fn *lb__row_from_f32(lb_dtype dtype); /* NULL for block types but Q8_0, Q4_0 */

float lb__f16_to_f32(uint16_t h);
uint16_t lb__f32_to_f16(float x); /* round to nearest even */
static inline float lb__bf16_to_f32(uint16_t h) {
  union {
    uint32_t u;
    float f;
  } bits = {.u = (uint32_t)h << 16};
  return bits.f;
}
uint16_t lb__f32_to_bf16(float x); /* round to nearest even; a NaN stays one */

#endif
