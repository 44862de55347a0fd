/* halves.h - 16-bit floats to float32 and back, exactly, on any CPU. Rounding is to nearest, ties
 * to even; NaN stays NaN, what is too large becomes infinity, subnormals are kept. */
#ifndef LB_KERNELS_HALVES_H
#define LB_KERNELS_HALVES_H

#include <stdint.h>
#include <string.h>

static inline uint32_t lb__float_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float lb__float_of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* ---- IEEE half: 1 sign, 5 exponent (bias 15), 10 mantissa bits ---- */

static inline float lb__half_to_f32(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = h & 0x7FFFu;
  if (rest < 0x0400u) { /* subnormal: rest * 2^-24, exact in float32 */
    float magnitude = (float)rest * 0x1p-24f;
    return lb__float_of_bits(sign | lb__float_bits(magnitude));
  }
  if (rest >= 0x7C00u) return lb__float_of_bits(sign | 0x7F800000u | (rest & 0x3FFu) << 13);
  return lb__float_of_bits(sign | ((rest << 13) + (112u << 23))); /* bias 15 -> 127 */
}

static inline uint16_t lb__half_from_f32(float x) {
  uint32_t bits = lb__float_bits(x), sign = bits >> 16 & 0x8000u, rest = bits & 0x7FFFFFFFu;
  if (rest > 0x7F800000u) return (uint16_t)(sign | 0x7E00u | (rest >> 13 & 0x3FFu)); /* NaN */
  if (rest >= 0x477FF000u) return (uint16_t)(sign | 0x7C00u); /* 65520 and more round to infinity */
  if (rest < 0x38800000u) { /* below 2^-14: adding 0.5 rounds to multiples of 2^-24 for us */
    float shifted = lb__float_of_bits(rest) + 0.5f;
    return (uint16_t)(sign | (lb__float_bits(shifted) - 0x3F000000u));
  }
  rest += 0xFFFu + (rest >> 13 & 1u); /* half of the dropped bits, one less when already even */
  return (uint16_t)(sign | (rest - (112u << 23)) >> 13);
}

/* ---- bfloat16: the upper half of a float32 ---- */

static inline float lb__bf16_to_f32(uint16_t h) {
  return lb__float_of_bits((uint32_t)h << 16);
}

static inline uint16_t lb__bf16_from_f32(float x) {
  uint32_t bits = lb__float_bits(x);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)(bits >> 16 | 0x40u); /* quiet NaN */
  return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

/* A 16-bit little-endian number at any address: the scales inside quantised blocks. */
static inline uint16_t lb__load_u16(const void *p) {
  uint16_t h;
  memcpy(&h, p, sizeof h);
  return h;
}

static inline float lb__load_half(const void *p) {
  return lb__half_to_f32(lb__load_u16(p));
}

#endif
