/* row_codecs.c - rows of every element type to float32 and back, one function per type and a table.
 * Written to be read; linear_*.c has fused versions of the common ones. See blocks.h. */
#include "blocks.h"

#include <math.h>
#include <string.h>

/* ---- plain types ---- */

#define PLAIN_TO_F32(name, c_type, expression)                                                     \
  static void name##_to_f32(float *out, const void *bytes, int64_t n) {                            \
    for (int64_t i = 0; i < n; i++) {                                                              \
      c_type v;                                                                                    \
      memcpy(&v, (const char *)bytes + (size_t)i * sizeof v, sizeof v);                            \
      out[i] = expression;                                                                         \
    }                                                                                              \
  }
#define PLAIN_FROM_F32(name, c_type, expression)                                                   \
  static void name##_from_f32(void *bytes, const float *x, int64_t n) {                            \
    for (int64_t i = 0; i < n; i++) {                                                              \
      c_type v = expression;                                                                       \
      memcpy((char *)bytes + (size_t)i * sizeof v, &v, sizeof v);                                  \
    }                                                                                              \
  }

/* sign, 4 exponent bits (bias 7), 3 mantissa bits; no infinities, 0x7f is NaN (OCP FP8) */
static float e4m3(uint8_t v) {
  int exponent = v >> 3 & 15, mantissa = v & 7;
  float x =
      exponent == 0 ? ldexpf((float)mantissa, -9) : ldexpf((float)(8 + mantissa), exponent - 10);
  if ((v & 0x7f) == 0x7f) x = NAN;
  return (v & 0x80) != 0 ? -x : x;
}

/* sign, 5 exponent bits, 2 mantissa bits: the upper byte of a binary16 */
static float e5m2(uint8_t v) {
  return lb__f16_to_f32((uint16_t)(v << 8));
}

PLAIN_TO_F32(f32, float, v)
PLAIN_TO_F32(f16, uint16_t, lb__f16_to_f32(v))
PLAIN_TO_F32(bf16, uint16_t, lb__bf16_to_f32(v))
PLAIN_TO_F32(f64, double, (float)v)
PLAIN_TO_F32(f8_e4m3, uint8_t, e4m3(v))
PLAIN_TO_F32(f8_e5m2, uint8_t, e5m2(v))
PLAIN_TO_F32(i64, int64_t, (float)v)
PLAIN_TO_F32(i32, int32_t, (float)v)
PLAIN_TO_F32(i16, int16_t, (float)v)
PLAIN_TO_F32(i8, int8_t, (float)v)
PLAIN_TO_F32(u64, uint64_t, (float)v)
PLAIN_TO_F32(u32, uint32_t, (float)v)
PLAIN_TO_F32(u16, uint16_t, (float)v)
PLAIN_TO_F32(u8, uint8_t, (float)v)
PLAIN_TO_F32(bool, uint8_t, v != 0 ? 1.0f : 0.0f)

PLAIN_FROM_F32(f32, float, x[i])
PLAIN_FROM_F32(f16, uint16_t, lb__f32_to_f16(x[i]))
PLAIN_FROM_F32(bf16, uint16_t, lb__f32_to_bf16(x[i]))
PLAIN_FROM_F32(f64, double, (double)x[i])

/* ---- blocks of 32 ---- */

static float half_at(const uint8_t *p) {
  return lb__f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

/* {half d; u8 qs[16]}: x[j] = (low nibble - 8) d, x[j+16] = (high nibble - 8) d */
static void q4_0_to_f32(float *out, const void *bytes, int64_t n) {
  for (const uint8_t *b = bytes; n > 0; n -= 32, b += 18, out += 32) {
    float d = half_at(b);
    for (int j = 0; j < 16; j++) {
      out[j] = (float)((b[2 + j] & 15) - 8) * d;
      out[j + 16] = (float)((b[2 + j] >> 4) - 8) * d;
    }
  }
}

/* {half d, m; u8 qs[16]}: x = q d + m */
static void q4_1_to_f32(float *out, const void *bytes, int64_t n) {
  for (const uint8_t *b = bytes; n > 0; n -= 32, b += 20, out += 32) {
    float d = half_at(b), m = half_at(b + 2);
    for (int j = 0; j < 16; j++) {
      out[j] = (float)(b[4 + j] & 15) * d + m;
      out[j + 16] = (float)(b[4 + j] >> 4) * d + m;
    }
  }
}

/* The fifth bits of a Q5 block: bit j belongs to x[j]. */
static uint32_t fifth_bits(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* {half d; u8 qh[4], qs[16]}: x = (nibble + 16 bit - 16) d */
static void q5_0_to_f32(float *out, const void *bytes, int64_t n) {
  for (const uint8_t *b = bytes; n > 0; n -= 32, b += 22, out += 32) {
    float d = half_at(b);
    uint32_t high = fifth_bits(b + 2);
    for (int j = 0; j < 16; j++) {
      int low = (b[6 + j] & 15) | (int)(high >> j & 1) << 4;
      int top = (b[6 + j] >> 4) | (int)(high >> (j + 16) & 1) << 4;
      out[j] = (float)(low - 16) * d;
      out[j + 16] = (float)(top - 16) * d;
    }
  }
}

/* {half d, m; u8 qh[4], qs[16]} */
static void q5_1_to_f32(float *out, const void *bytes, int64_t n) {
  for (const uint8_t *b = bytes; n > 0; n -= 32, b += 24, out += 32) {
    float d = half_at(b), m = half_at(b + 2);
    uint32_t high = fifth_bits(b + 4);
    for (int j = 0; j < 16; j++) {
      int low = (b[8 + j] & 15) | (int)(high >> j & 1) << 4;
      int top = (b[8 + j] >> 4) | (int)(high >> (j + 16) & 1) << 4;
      out[j] = (float)low * d + m;
      out[j + 16] = (float)top * d + m;
    }
  }
}

/* {half d; i8 qs[32]} */
static void q8_0_to_f32(float *out, const void *bytes, int64_t n) {
  for (const uint8_t *b = bytes; n > 0; n -= 32, b += 34, out += 32) {
    float d = half_at(b);
    for (int j = 0; j < 32; j++) out[j] = (float)(int8_t)b[2 + j] * d;
  }
}

static float largest_magnitude(const float *x, int n, float *signed_value) {
  float most = 0.0f;
  *signed_value = 0.0f;
  for (int j = 0; j < n; j++)
    if (fabsf(x[j]) > most) most = fabsf(x[j]), *signed_value = x[j];
  return most;
}

static void put_half(uint8_t *p, float x) {
  uint16_t h = lb__f32_to_f16(x);
  p[0] = (uint8_t)h, p[1] = (uint8_t)(h >> 8);
}

/* As ggml's quantize_row_q8_0_ref: d = max|x| / 127, round half away from zero. */
static void q8_0_from_f32(void *bytes, const float *x, int64_t n) {
  for (uint8_t *b = bytes; n > 0; n -= 32, b += 34, x += 32) {
    float unused, d = largest_magnitude(x, 32, &unused) / 127.0f;
    float inverse = d != 0.0f ? 1.0f / d : 0.0f;
    put_half(b, d);
    for (int j = 0; j < 32; j++) b[2 + j] = (uint8_t)(int8_t)roundf(x[j] * inverse);
  }
}

/* As ggml's quantize_row_q4_0_ref: the value of largest magnitude becomes -8. */
static void q4_0_from_f32(void *bytes, const float *x, int64_t n) {
  for (uint8_t *b = bytes; n > 0; n -= 32, b += 18, x += 32) {
    float most;
    (void)largest_magnitude(x, 32, &most);
    float d = most / -8.0f, inverse = d != 0.0f ? 1.0f / d : 0.0f;
    put_half(b, d);
    for (int j = 0; j < 16; j++) {
      int low = (int)(x[j] * inverse + 8.5f), top = (int)(x[j + 16] * inverse + 8.5f);
      b[2 + j] = (uint8_t)((low > 15 ? 15 : low) | (top > 15 ? 15 : top) << 4);
    }
  }
}

/* ---- super-blocks of 256 ---- */

/* {u8 scales[16], qs[64]; half d, dmin}: sixteen groups of 16; scale and minimum are nibbles */
static void q2_k_to_f32(float *out, const void *bytes, int64_t n) {
  for (const uint8_t *b = bytes; n > 0; n -= 256, b += 84, out += 256) {
    float d = half_at(b + 80), dmin = half_at(b + 82);
    for (int i = 0; i < 256; i++) {
      int half = i / 128, group = i / 16, shift = 2 * (i % 128 / 32);
      int q = b[16 + 32 * half + i % 32] >> shift & 3;
      out[i] = d * (float)(b[group] & 15) * (float)q - dmin * (float)(b[group] >> 4);
    }
  }
}

/* The 6-bit scales of a Q3_K block: low nibbles in 8 bytes, two high bits in 4 more. */
static int q3_k_scale(const uint8_t *s, int group) {
  int low = group < 8 ? s[group] & 15 : s[group - 8] >> 4;
  int high = s[8 + group % 4] >> (2 * (group / 4)) & 3;
  return (low | high << 4) - 32;
}

/* {u8 hmask[32], qs[64], scales[12]; half d}: two low bits, one high bit that subtracts 4 if unset
 */
static void q3_k_to_f32(float *out, const void *bytes, int64_t n) {
  for (const uint8_t *b = bytes; n > 0; n -= 256, b += 110, out += 256) {
    float d = half_at(b + 108);
    for (int i = 0; i < 256; i++) {
      int low = b[32 + 32 * (i / 128) + i % 32] >> (2 * (i % 128 / 32)) & 3;
      int high = b[i % 32] >> (i / 32) & 1;
      out[i] = d * (float)q3_k_scale(b + 96, i / 16) * (float)(low - (high != 0 ? 0 : 4));
    }
  }
}

/* The 6-bit scale and minimum of sub-block j of a Q4_K or Q5_K block. */
static void scale_and_min(const uint8_t *s, int j, float *scale, float *min) {
  if (j < 4) {
    *scale = (float)(s[j] & 63);
    *min = (float)(s[j + 4] & 63);
  } else {
    *scale = (float)((s[j + 4] & 15) | (s[j - 4] >> 6) << 4);
    *min = (float)(s[j + 4] >> 4 | (s[j] >> 6) << 4);
  }
}

/* {half d, dmin; u8 scales[12], qs[128]}: per 64 elements 32 low nibbles, then 32 high ones */
static void q4_k_to_f32(float *out, const void *bytes, int64_t n) {
  for (const uint8_t *b = bytes; n > 0; n -= 256, b += 144, out += 256) {
    float d = half_at(b), dmin = half_at(b + 2), scale, min;
    for (int j = 0; j < 8; j++) {
      const uint8_t *q = b + 16 + 32 * (j / 2);
      scale_and_min(b + 4, j, &scale, &min);
      float ds = d * scale, m = dmin * min;
      for (int l = 0; l < 32; l++)
        out[32 * j + l] = ds * (float)(j % 2 == 0 ? q[l] & 15 : q[l] >> 4) - m;
    }
  }
}

/* {half d, dmin; u8 scales[12], qh[32], qs[128]}: as Q4_K with a fifth bit, bit j of qh[l] */
static void q5_k_to_f32(float *out, const void *bytes, int64_t n) {
  for (const uint8_t *b = bytes; n > 0; n -= 256, b += 176, out += 256) {
    float d = half_at(b), dmin = half_at(b + 2), scale, min;
    for (int j = 0; j < 8; j++) {
      const uint8_t *q = b + 48 + 32 * (j / 2);
      scale_and_min(b + 4, j, &scale, &min);
      float ds = d * scale, m = dmin * min;
      for (int l = 0; l < 32; l++) {
        int low = j % 2 == 0 ? q[l] & 15 : q[l] >> 4, high = b[16 + l] >> j & 1;
        out[32 * j + l] = ds * (float)(low | high << 4) - m;
      }
    }
  }
}

/* {u8 ql[128], qh[64]; i8 scales[16]; half d}: four low bits, two high bits, minus 32 */
static void q6_k_to_f32(float *out, const void *bytes, int64_t n) {
  for (const uint8_t *b = bytes; n > 0; n -= 256, b += 210, out += 256) {
    float d = half_at(b + 208);
    for (int i = 0; i < 256; i++) {
      int half = i / 128, quarter = i % 128 / 32, l = i % 32;
      int low = b[64 * half + 32 * (quarter % 2) + l] >> (quarter / 2 * 4) & 15;
      int high = b[128 + 32 * half + l] >> (2 * quarter) & 3;
      out[i] = d * (float)(int8_t)b[192 + i / 16] * (float)((low | high << 4) - 32);
    }
  }
}

/* ---- the table ---- */

static const struct {
  lb__row_to_f32_fn *to_f32;
  lb__row_from_f32_fn *from_f32;
} codecs[LB_DTYPE_COUNT] = {
    [LB_DTYPE_F32] = {f32_to_f32, f32_from_f32},
    [LB_DTYPE_F16] = {f16_to_f32, f16_from_f32},
    [LB_DTYPE_BF16] = {bf16_to_f32, bf16_from_f32},
    [LB_DTYPE_F64] = {f64_to_f32, f64_from_f32},
    [LB_DTYPE_F8_E4M3] = {f8_e4m3_to_f32, NULL},
    [LB_DTYPE_F8_E5M2] = {f8_e5m2_to_f32, NULL},
    [LB_DTYPE_I64] = {i64_to_f32, NULL},
    [LB_DTYPE_I32] = {i32_to_f32, NULL},
    [LB_DTYPE_I16] = {i16_to_f32, NULL},
    [LB_DTYPE_I8] = {i8_to_f32, NULL},
    [LB_DTYPE_U64] = {u64_to_f32, NULL},
    [LB_DTYPE_U32] = {u32_to_f32, NULL},
    [LB_DTYPE_U16] = {u16_to_f32, NULL},
    [LB_DTYPE_U8] = {u8_to_f32, NULL},
    [LB_DTYPE_BOOL] = {bool_to_f32, NULL},
    [LB_DTYPE_Q4_0] = {q4_0_to_f32, q4_0_from_f32},
    [LB_DTYPE_Q4_1] = {q4_1_to_f32, NULL},
    [LB_DTYPE_Q5_0] = {q5_0_to_f32, NULL},
    [LB_DTYPE_Q5_1] = {q5_1_to_f32, NULL},
    [LB_DTYPE_Q8_0] = {q8_0_to_f32, q8_0_from_f32},
    [LB_DTYPE_Q2_K] = {q2_k_to_f32, NULL},
    [LB_DTYPE_Q3_K] = {q3_k_to_f32, NULL},
    [LB_DTYPE_Q4_K] = {q4_k_to_f32, NULL},
    [LB_DTYPE_Q5_K] = {q5_k_to_f32, NULL},
    [LB_DTYPE_Q6_K] = {q6_k_to_f32, NULL},
};

lb__row_to_f32_fn *lb__row_to_f32(lb_dtype dtype) {
  return codecs[dtype].to_f32;
}

lb__row_from_f32_fn *lb__row_from_f32(lb_dtype dtype) {
  return codecs[dtype].from_f32;
}
