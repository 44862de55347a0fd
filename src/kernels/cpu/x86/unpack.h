/* unpack.h - 32 consecutive weights of any dtype into float vectors: the one place where SIMD code
 * knows block layouts (explained in reference/ref_blocks.c; results are bit-identical to it).
 * `part` counts groups of 32 within a block of 256; it is 0 for the others. */
#ifndef LB_KERNELS_UNPACK_H
#define LB_KERNELS_UNPACK_H

#include "simd.h"

enum { GROUP = 32, VECS = GROUP / LANES };
typedef void unpack_fn(vec out[VECS], const uint8_t *block, int part);

/* scale * q, and scale * q + min with both roundings */
LB__INLINE vec scaled(veci q, vec scale) {
  return v_mul(v_of_i(q), scale);
}
LB__INLINE vec scaled_plus(veci q, vec scale, vec min) {
  return v_add(scaled(q, scale), min);
}
LB__INLINE vec scaled_minus(veci q, vec scale, vec min) {
  return v_sub(scaled(q, scale), min);
}

/* ---- plain dtypes: 32 elements are a "block" ---- */

LB__INLINE void unpack_f32(vec out[VECS], const uint8_t *p, int part) {
  (void)part;
  for (int i = 0; i < VECS; i++) out[i] = v_load((const float *)(const void *)(p + 4 * LANES * i));
}
LB__INLINE void unpack_f16(vec out[VECS], const uint8_t *p, int part) {
  (void)part;
  for (int i = 0; i < VECS; i++) out[i] = v_load_half(p + 2 * LANES * i);
}
LB__INLINE void unpack_bf16(vec out[VECS], const uint8_t *p, int part) {
  (void)part;
  for (int i = 0; i < VECS; i++) out[i] = v_of_bits(i_left(i_load_u16(p + 2 * LANES * i), 16));
}

/* ---- blocks of 32: vectors 0 .. VECS/2-1 are low nibbles, the others high nibbles ---- */

/* Nibbles of vector i as integers. */
LB__INLINE veci nibbles(const uint8_t *qs, int i) {
  veci bytes = i_load_u8(qs + LANES * (i % (VECS / 2)));
  return i < VECS / 2 ? i_and(bytes, i_set(15)) : i_right(bytes, 4);
}
/* Bit (LANES * i + lane) of a 32-bit word, as 0 or 16. */
LB__INLINE veci fifth_bits(const uint8_t *qh, int i) {
  int32_t word;
  memcpy(&word, qh, sizeof word);
  veci bits = i_right_each(i_right(i_set(word), LANES * i), i_lanes());
  return i_left(i_and(bits, i_set(1)), 4);
}

LB__INLINE void unpack_q4_0(vec out[VECS], const uint8_t *b, int part) {
  (void)part;
  vec d = v_set(half_at(b));
  for (int i = 0; i < VECS; i++) out[i] = scaled(i_sub(nibbles(b + 2, i), i_set(8)), d);
}
LB__INLINE void unpack_q4_1(vec out[VECS], const uint8_t *b, int part) {
  (void)part;
  vec d, m;
  halves_at(&d, &m, b);
  for (int i = 0; i < VECS; i++) out[i] = scaled_plus(nibbles(b + 4, i), d, m);
}
LB__INLINE void unpack_q5_0(vec out[VECS], const uint8_t *b, int part) {
  (void)part;
  vec d = v_set(half_at(b));
  for (int i = 0; i < VECS; i++)
    out[i] = scaled(i_sub(i_or(nibbles(b + 6, i), fifth_bits(b + 2, i)), i_set(16)), d);
}
LB__INLINE void unpack_q5_1(vec out[VECS], const uint8_t *b, int part) {
  (void)part;
  vec d, m;
  halves_at(&d, &m, b);
  for (int i = 0; i < VECS; i++)
    out[i] = scaled_plus(i_or(nibbles(b + 8, i), fifth_bits(b + 4, i)), d, m);
}
LB__INLINE void unpack_q8_0(vec out[VECS], const uint8_t *b, int part) {
  (void)part;
  vec d = v_set(half_at(b));
  for (int i = 0; i < VECS; i++) out[i] = scaled(i_load_i8(b + 2 + LANES * i), d);
}

/* ---- blocks of 256 ---- */

/* Two bits of 32 bytes: group `part % 4` of half `part / 4`. */
LB__INLINE veci two_bits(const uint8_t *qs, int part, int i) {
  veci bytes = i_load_u8(qs + 32 * (part / 4) + LANES * i);
  return i_and(i_right(bytes, part % 4 * 2), i_set(3));
}
LB__INLINE void unpack_q2_k(vec out[VECS], const uint8_t *b, int part) {
  float d = half_at(b + 80), dmin = half_at(b + 82);
  for (int i = 0; i < VECS; i++) {
    int scale = b[2 * part + LANES * i / 16];
    vec dl = v_set(d * (float)(scale & 15)), ml = v_set(dmin * (float)(scale >> 4));
    out[i] = scaled_minus(two_bits(b + 16, part, i), dl, ml);
  }
}

LB__INLINE int q3_k_scale(const uint8_t *scales, int j) {
  int low = j < 8 ? scales[j] & 15 : scales[j - 8] >> 4;
  int high = scales[8 + j % 4] >> (2 * (j / 4)) & 3;
  return (low | high << 4) - 32;
}
LB__INLINE void unpack_q3_k(vec out[VECS], const uint8_t *b, int part) {
  float d = half_at(b + 108);
  for (int i = 0; i < VECS; i++) {
    veci third = i_and(i_right(i_load_u8(b + LANES * i), part), i_set(1));
    veci q = i_or(two_bits(b + 32, part, i), i_left(third, 2)); /* q - 4 where the bit is not set */
    vec dl = v_set(d * (float)q3_k_scale(b + 96, 2 * part + LANES * i / 16));
    out[i] = scaled(i_sub(q, i_set(4)), dl);
  }
}

LB__INLINE void k_scale_min(float *scale, float *min, const uint8_t *s, int j) {
  int sc = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
  int m = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | (s[j] >> 6) << 4;
  *scale = (float)sc;
  *min = (float)m;
}
LB__INLINE void unpack_q4_k(vec out[VECS], const uint8_t *b, int part) {
  float scale, min;
  k_scale_min(&scale, &min, b + 4, part);
  vec dl = v_set(half_at(b) * scale), ml = v_set(half_at(b + 2) * min);
  for (int i = 0; i < VECS; i++) {
    veci q = i_right(i_load_u8(b + 16 + 32 * (part / 2) + LANES * i), part % 2 * 4);
    out[i] = scaled_minus(i_and(q, i_set(15)), dl, ml);
  }
}
LB__INLINE void unpack_q5_k(vec out[VECS], const uint8_t *b, int part) {
  float scale, min;
  k_scale_min(&scale, &min, b + 4, part);
  vec dl = v_set(half_at(b) * scale), ml = v_set(half_at(b + 2) * min);
  for (int i = 0; i < VECS; i++) {
    veci q = i_right(i_load_u8(b + 48 + 32 * (part / 2) + LANES * i), part % 2 * 4);
    veci fifth = i_and(i_right(i_load_u8(b + 16 + LANES * i), part), i_set(1));
    out[i] = scaled_minus(i_or(i_and(q, i_set(15)), i_left(fifth, 4)), dl, ml);
  }
}
LB__INLINE void unpack_q6_k(vec out[VECS], const uint8_t *b, int part) {
  int half = part / 4, g = part % 4;
  float d = half_at(b + 208);
  for (int i = 0; i < VECS; i++) {
    veci low = i_right(i_load_u8(b + 64 * half + 32 * (g % 2) + LANES * i), 4 * (g / 2));
    veci high = i_right(i_load_u8(b + 128 + 32 * half + LANES * i), 2 * g);
    veci q = i_or(i_and(low, i_set(15)), i_left(i_and(high, i_set(3)), 4));
    vec dl = v_set(d * (float)(int8_t)b[192 + 2 * part + LANES * i / 16]);
    out[i] = scaled(i_sub(q, i_set(32)), dl);
  }
}

#endif
