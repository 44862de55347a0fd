/* half_floats.c - binary16, bfloat16 and the 8-bit floats, in plain integer arithmetic. */
#include "blocks.h"

#include <math.h>
#include <string.h>

static uint32_t bits_of(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

static float float_of(uint32_t u) {
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}

float lb__f16_to_f32(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, mantissa = h & 1023;
  if (exponent == 31) return float_of(sign | 0x7f800000u | mantissa << 13);
  if (exponent != 0) return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
  float magnitude = (float)mantissa * 0x1p-24f; /* subnormal: exact in float32 */
  return sign != 0 ? -magnitude : magnitude;
}

/* Drops the low `shift` bits of x, rounding to nearest, ties to even. */
static uint32_t round_shift(uint32_t x, int shift) {
  uint32_t half = 1u << (shift - 1), rest = x & ((1u << shift) - 1), kept = x >> shift;
  return kept + (rest > half || (rest == half && (kept & 1) != 0));
}

uint16_t lb__f32_to_f16(float x) {
  uint32_t u = bits_of(x), sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
  if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00); /* rounds to 65536 or more */
  if (magnitude >= 0x38800000u) return (uint16_t)(sign | round_shift(magnitude - 0x38000000u, 13));
  int shift = 126 - (int)(magnitude >> 23); /* subnormal half: 14 to 24 bits go */
  if (shift > 24) return (uint16_t)sign;
  return (uint16_t)(sign | round_shift((magnitude & 0x7fffff) | 0x800000, shift));
}

uint16_t lb__f32_to_bf16(float x) {
  uint32_t u = bits_of(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40);
  return (uint16_t)round_shift(u, 16);
}
