/* ref_blocks.c - GGUF's quantised blocks to float32, and float32 to Q8_0 and Q4_0.
 *
 * A block stores small integers q and one or two half-precision scales:
 *   type 0   x = d * q            (q signed, or unsigned with a fixed offset)
 *   type 1   x = d * q + m        (q unsigned)
 * The K types group 256 elements, cut into sub-blocks of 16 or 32 whose own 4- or 6-bit scales
 * multiply the block's half. Each product is rounded in the order written here, which is the order
 * of ggml, so that results are bit-identical to it. */
#include "kernels/cpu/blocks.h"
#include "kernels/cpu/halves.h"

#include <math.h>

enum { QK = 32, QK_K = 256 };

static float q_times(float scale, int q) {
  return scale * (float)q;
}

/* ---- blocks of 32: nibble j holds element j, its upper half element j + 16 ---- */

/* Q4_0 { half d; u8 qs[16] }   x = d * (q - 8) */
static void q4_0(float *out, const uint8_t *block) {
  float d = lb__load_half(block);
  const uint8_t *qs = block + 2;
  for (int j = 0; j < 16; j++) {
    out[j] = q_times(d, (qs[j] & 15) - 8);
    out[j + 16] = q_times(d, (qs[j] >> 4) - 8);
  }
}

/* Q4_1 { half d, m; u8 qs[16] }   x = d * q + m */
static void q4_1(float *out, const uint8_t *block) {
  float d = lb__load_half(block), m = lb__load_half(block + 2);
  const uint8_t *qs = block + 4;
  for (int j = 0; j < 16; j++) {
    out[j] = q_times(d, qs[j] & 15) + m;
    out[j + 16] = q_times(d, qs[j] >> 4) + m;
  }
}

/* The fifth bit of element i is bit i of a 32-bit word. */
static int fifth_bit(const uint8_t *qh, int i) {
  return (qh[i / 8] >> (i % 8) & 1) << 4;
}

/* Q5_0 { half d; u8 qh[4]; u8 qs[16] }   x = d * (q - 16) */
static void q5_0(float *out, const uint8_t *block) {
  float d = lb__load_half(block);
  const uint8_t *qh = block + 2, *qs = block + 6;
  for (int j = 0; j < 16; j++) {
    out[j] = q_times(d, ((qs[j] & 15) | fifth_bit(qh, j)) - 16);
    out[j + 16] = q_times(d, ((qs[j] >> 4) | fifth_bit(qh, j + 16)) - 16);
  }
}

/* Q5_1 { half d, m; u8 qh[4]; u8 qs[16] }   x = d * q + m */
static void q5_1(float *out, const uint8_t *block) {
  float d = lb__load_half(block), m = lb__load_half(block + 2);
  const uint8_t *qh = block + 4, *qs = block + 8;
  for (int j = 0; j < 16; j++) {
    out[j] = q_times(d, (qs[j] & 15) | fifth_bit(qh, j)) + m;
    out[j + 16] = q_times(d, (qs[j] >> 4) | fifth_bit(qh, j + 16)) + m;
  }
}

/* Q8_0 { half d; i8 qs[32] }   x = d * q */
static void q8_0(float *out, const uint8_t *block) {
  float d = lb__load_half(block);
  for (int j = 0; j < QK; j++) out[j] = q_times(d, (int8_t)block[2 + j]);
}

/* ---- blocks of 256 ---- */

/* Q2_K { u8 scales[16]; u8 qs[64]; half d, dmin }: sub-blocks of 16, x = d*scale*q - dmin*min,
 * scale and min being the nibbles of a byte. Each half of 128 elements uses 32 bytes of qs: bits
 * 0-1 of all of them first, then bits 2-3, ... */
static void q2_k(float *out, const uint8_t *block) {
  const uint8_t *scales = block, *qs = block + 16;
  float d = lb__load_half(block + 80), dmin = lb__load_half(block + 82);
  for (int i = 0; i < QK_K; i++) {
    int half = i / 128, shift = i % 128 / 32 * 2, scale = scales[i / 16];
    int q = qs[32 * half + i % 32] >> shift & 3;
    float dl = q_times(d, scale & 15), ml = q_times(dmin, scale >> 4);
    out[i] = q_times(dl, q) - ml;
  }
}

/* Scale j of Q3_K's sixteen, from 12 bytes: low four bits in a nibble of bytes 0-7, high two bits
 * in bytes 8-11. Stored plus 32. */
static int q3_k_scale(const uint8_t *scales, int j) {
  int low = j < 8 ? scales[j] & 15 : scales[j - 8] >> 4;
  int high = scales[8 + j % 4] >> (2 * (j / 4)) & 3;
  return (low | high << 4) - 32;
}

/* Q3_K { u8 hmask[32]; u8 qs[64]; u8 scales[12]; half d }: low two bits as in Q2_K; the third bit
 * of element i is bit i/32 of hmask[i % 32], and subtracts 4 where it is NOT set. */
static void q3_k(float *out, const uint8_t *block) {
  const uint8_t *hmask = block, *qs = block + 32, *scales = block + 96;
  float d = lb__load_half(block + 108);
  for (int i = 0; i < QK_K; i++) {
    int half = i / 128, shift = i % 128 / 32 * 2;
    int q = qs[32 * half + i % 32] >> shift & 3;
    if ((hmask[i % 32] >> (i / 32) & 1) == 0) q -= 4;
    out[i] = q_times(q_times(d, q3_k_scale(scales, i / 16)), q);
  }
}

/* Scale and minimum j of eight, six bits each, from the 12 bytes of Q4_K and Q5_K: the first four
 * of both are the low six bits of bytes 0-3 and 4-7; the rest have their low nibbles in bytes 8-11
 * and their high two bits on top of those first ones. */
static void k_scale_min(int *scale, int *min, const uint8_t *s, int j) {
  if (j < 4) {
    *scale = s[j] & 63;
    *min = s[j + 4] & 63;
  } else {
    *scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
    *min = s[j + 4] >> 4 | (s[j] >> 6) << 4;
  }
}

/* Q4_K { half d, dmin; u8 scales[12]; u8 qs[128] }: sub-blocks of 32, x = d*scale*q - dmin*min.
 * 32 bytes of qs hold a pair of sub-blocks: low nibbles the first, high nibbles the second. */
static void q4_k(float *out, const uint8_t *block) {
  float d = lb__load_half(block), dmin = lb__load_half(block + 2);
  const uint8_t *scales = block + 4, *qs = block + 16;
  for (int j = 0; j < 8; j++) {
    int scale, min;
    k_scale_min(&scale, &min, scales, j);
    float dl = q_times(d, scale), ml = q_times(dmin, min);
    for (int l = 0; l < 32; l++) {
      int q = qs[32 * (j / 2) + l] >> (4 * (j % 2)) & 15;
      out[32 * j + l] = q_times(dl, q) - ml;
    }
  }
}

/* Q5_K { half d, dmin; u8 scales[12]; u8 qh[32]; u8 qs[128] }: Q4_K with a fifth bit, bit j of
 * qh[l] for element l of sub-block j. */
static void q5_k(float *out, const uint8_t *block) {
  float d = lb__load_half(block), dmin = lb__load_half(block + 2);
  const uint8_t *scales = block + 4, *qh = block + 16, *qs = block + 48;
  for (int j = 0; j < 8; j++) {
    int scale, min;
    k_scale_min(&scale, &min, scales, j);
    float dl = q_times(d, scale), ml = q_times(dmin, min);
    for (int l = 0; l < 32; l++) {
      int q = (qs[32 * (j / 2) + l] >> (4 * (j % 2)) & 15) | (qh[l] >> j & 1) << 4;
      out[32 * j + l] = q_times(dl, q) - ml;
    }
  }
}

/* Q6_K { u8 ql[128]; u8 qh[64]; i8 scales[16]; half d }: sub-blocks of 16, x = d*scale*(q - 32).
 * Each half of 128 elements has four groups g of 32: low nibbles of ql[0..31] and ql[32..63], then
 * the high nibbles of the same; the upper two bits of group g are bits 2g of qh[0..31]. */
static void q6_k(float *out, const uint8_t *block) {
  float d = lb__load_half(block + 208);
  for (int i = 0; i < QK_K; i++) {
    int half = i / 128, g = i % 128 / 32, l = i % 32;
    int low = block[64 * half + 32 * (g % 2) + l] >> (4 * (g / 2)) & 15;
    int high = block[128 + 32 * half + l] >> (2 * g) & 3;
    int scale = (int8_t)block[192 + i / 16];
    out[i] = q_times(q_times(d, scale), (low | high << 4) - 32);
  }
}

/* ---- rows ---- */

typedef void block_fn(float *out, const uint8_t *block);

static inline void decode(float *out, const void *row, int64_t n, lb_dtype dtype, block_fn *one) {
  int64_t elements = lb_dtype_block_elements(dtype);
  const uint8_t *block = row;
  for (int64_t i = 0; i < n; i += elements, block += lb_dtype_block_bytes(dtype))
    one(out + i, block);
}

static void row_q4_0(float *out, const void *row, int64_t n) {
  decode(out, row, n, LB_DTYPE_Q4_0, q4_0);
}
static void row_q4_1(float *out, const void *row, int64_t n) {
  decode(out, row, n, LB_DTYPE_Q4_1, q4_1);
}
static void row_q5_0(float *out, const void *row, int64_t n) {
  decode(out, row, n, LB_DTYPE_Q5_0, q5_0);
}
static void row_q5_1(float *out, const void *row, int64_t n) {
  decode(out, row, n, LB_DTYPE_Q5_1, q5_1);
}
static void row_q8_0(float *out, const void *row, int64_t n) {
  decode(out, row, n, LB_DTYPE_Q8_0, q8_0);
}
static void row_q2_k(float *out, const void *row, int64_t n) {
  decode(out, row, n, LB_DTYPE_Q2_K, q2_k);
}
static void row_q3_k(float *out, const void *row, int64_t n) {
  decode(out, row, n, LB_DTYPE_Q3_K, q3_k);
}
static void row_q4_k(float *out, const void *row, int64_t n) {
  decode(out, row, n, LB_DTYPE_Q4_K, q4_k);
}
static void row_q5_k(float *out, const void *row, int64_t n) {
  decode(out, row, n, LB_DTYPE_Q5_K, q5_k);
}
static void row_q6_k(float *out, const void *row, int64_t n) {
  decode(out, row, n, LB_DTYPE_Q6_K, q6_k);
}

lb__row_to_f32_fn *lb__ref_block_to_f32(lb_dtype dtype) {
  switch (dtype) {
  case LB_DTYPE_Q4_0: return row_q4_0;
  case LB_DTYPE_Q4_1: return row_q4_1;
  case LB_DTYPE_Q5_0: return row_q5_0;
  case LB_DTYPE_Q5_1: return row_q5_1;
  case LB_DTYPE_Q8_0: return row_q8_0;
  case LB_DTYPE_Q2_K: return row_q2_k;
  case LB_DTYPE_Q3_K: return row_q3_k;
  case LB_DTYPE_Q4_K: return row_q4_k;
  case LB_DTYPE_Q5_K: return row_q5_k;
  case LB_DTYPE_Q6_K: return row_q6_k;
  default: return NULL;
  }
}

/* ---- quantising ---- */

/* 1/d, or 0 when there is nothing to scale: d zero, or so small that 1/d is not finite (such a d
 * is zero as a half anyway). */
static float inverse(float d) {
  float id = d != 0.0f ? 1.0f / d : 0.0f;
  return isfinite(id) ? id : 0.0f;
}

static void store_half(uint8_t *p, float x) {
  uint16_t h = lb__half_from_f32(x);
  memcpy(p, &h, sizeof h);
}

void lb__ref_quantize_q8_0(void *row, const float *x, int64_t n) {
  uint8_t *block = row;
  for (int64_t i = 0; i < n; i += QK, x += QK, block += 34) {
    float largest = 0.0f;
    for (int j = 0; j < QK; j++) largest = fmaxf(largest, fabsf(x[j]));
    float d = largest / 127.0f, id = inverse(d);
    store_half(block, d);
    for (int j = 0; j < QK; j++) block[2 + j] = (uint8_t)(int8_t)roundf(x[j] * id);
  }
}

/* The element of largest magnitude gets q = 0, that is -8: the range is not symmetric.
 * ggml is compiled with fused multiply-add: one rounding, which double shows exactly. */
static int q4_0_nibble(float x, float id) {
  int q = (int)((double)x * (double)id + 8.5);
  return q > 15 ? 15 : q;
}

void lb__ref_quantize_q4_0(void *row, const float *x, int64_t n) {
  uint8_t *block = row;
  for (int64_t i = 0; i < n; i += QK, x += QK, block += 18) {
    float extreme = 0.0f;
    for (int j = 0; j < QK; j++)
      if (fabsf(x[j]) > fabsf(extreme)) extreme = x[j];
    float d = extreme / -8.0f, id = inverse(d);
    store_half(block, d);
    for (int j = 0; j < QK / 2; j++)
      block[2 + j] = (uint8_t)(q4_0_nibble(x[j], id) | q4_0_nibble(x[j + 16], id) << 4);
  }
}
