/* ref_floats.c - rows of plain dtypes to float32: 8-, 16- and 64-bit floats, integers, booleans.
 * Rows are read with memcpy because a mapped file may hold them at any address. */
#include "kernels/cpu/blocks.h"
#include "kernels/cpu/halves.h"

#include <math.h>

static void from_f32(float *out, const void *row, int64_t n) {
  if (n > 0) memcpy(out, row, (size_t)n * sizeof *out);
}

static void from_f16(float *out, const void *row, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = lb__load_half((const char *)row + 2 * i);
}

static void from_bf16(float *out, const void *row, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = lb__bf16_to_f32(lb__load_u16((const char *)row + 2 * i));
}

static void from_f64(float *out, const void *row, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    double x;
    memcpy(&x, (const char *)row + 8 * i, sizeof x);
    out[i] = (float)x;
  }
}

/* 1 sign, 4 exponent (bias 7), 3 mantissa bits; no infinity, all ones is NaN (OCP "E4M3FN"). */
static float f8_e4m3(uint8_t b) {
  int exponent = b >> 3 & 15, mantissa = b & 7;
  float magnitude = exponent == 0 ? ldexpf((float)mantissa, -9)
                    : exponent == 15 && mantissa == 7
                        ? NAN
                        : ldexpf((float)(8 + mantissa), exponent - 10);
  return b & 0x80 ? -magnitude : magnitude;
}

static void from_f8_e4m3(float *out, const void *row, int64_t n) {
  const uint8_t *bytes = row;
  for (int64_t i = 0; i < n; i++) out[i] = f8_e4m3(bytes[i]);
}

/* 1 sign, 5 exponent, 2 mantissa bits: the upper byte of a half. */
static void from_f8_e5m2(float *out, const void *row, int64_t n) {
  const uint8_t *bytes = row;
  for (int64_t i = 0; i < n; i++) out[i] = lb__half_to_f32((uint16_t)(bytes[i] << 8));
}

/* ---- integers ---- */

static uint64_t load_little_endian(const uint8_t *p, int size) {
  uint64_t value = 0;
  for (int i = size - 1; i >= 0; i--) value = value << 8 | p[i];
  return value;
}

static void from_unsigned(float *out, const uint8_t *row, int64_t n, int size) {
  for (int64_t i = 0; i < n; i++) out[i] = (float)load_little_endian(row + i * size, size);
}

static void from_signed(float *out, const uint8_t *row, int64_t n, int size) {
  int unused_bits = 64 - 8 * size;
  for (int64_t i = 0; i < n; i++) {
    uint64_t top = load_little_endian(row + i * size, size) << unused_bits;
    out[i] = (float)((int64_t)top >> unused_bits); /* shifts the sign back down */
  }
}

static void from_i64(float *out, const void *row, int64_t n) {
  from_signed(out, row, n, 8);
}
static void from_i32(float *out, const void *row, int64_t n) {
  from_signed(out, row, n, 4);
}
static void from_i16(float *out, const void *row, int64_t n) {
  from_signed(out, row, n, 2);
}
static void from_i8(float *out, const void *row, int64_t n) {
  from_signed(out, row, n, 1);
}
static void from_u64(float *out, const void *row, int64_t n) {
  from_unsigned(out, row, n, 8);
}
static void from_u32(float *out, const void *row, int64_t n) {
  from_unsigned(out, row, n, 4);
}
static void from_u16(float *out, const void *row, int64_t n) {
  from_unsigned(out, row, n, 2);
}
static void from_u8(float *out, const void *row, int64_t n) {
  from_unsigned(out, row, n, 1);
}
static void from_bool(float *out, const void *row, int64_t n) {
  const uint8_t *bytes = row;
  for (int64_t i = 0; i < n; i++) out[i] = bytes[i] != 0 ? 1.0f : 0.0f;
}

lb__row_to_f32_fn *lb__ref_plain_to_f32(lb_dtype dtype) {
  switch (dtype) {
  case LB_DTYPE_F32: return from_f32;
  case LB_DTYPE_F16: return from_f16;
  case LB_DTYPE_BF16: return from_bf16;
  case LB_DTYPE_F64: return from_f64;
  case LB_DTYPE_F8_E4M3: return from_f8_e4m3;
  case LB_DTYPE_F8_E5M2: return from_f8_e5m2;
  case LB_DTYPE_I64: return from_i64;
  case LB_DTYPE_I32: return from_i32;
  case LB_DTYPE_I16: return from_i16;
  case LB_DTYPE_I8: return from_i8;
  case LB_DTYPE_U64: return from_u64;
  case LB_DTYPE_U32: return from_u32;
  case LB_DTYPE_U16: return from_u16;
  case LB_DTYPE_U8: return from_u8;
  case LB_DTYPE_BOOL: return from_bool;
  default: return NULL;
  }
}
