/* simd.h - a vector of floats, as wide as the including file's instruction set: 16 lanes in
 * *_avx512.c, 8 in *_avx2.c. Kernels are written once, in *.inc files, over these few names.
 *
 * Products and sums are fused only where v_fma says so (cmake/flags.cmake switches contraction
 * off), so that results are the same however a loop is cut. */
#ifndef LB_KERNELS_SIMD_H
#define LB_KERNELS_SIMD_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

/* Unoptimised, GCC's intrinsics are macros that convert masks carelessly. */
#if !defined(__OPTIMIZE__)
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

#define LB__INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__) && defined(__AVX512BW__)

#define LB__ISA(name) name##_avx512
#define LB__ISA_NAME  "avx512"
enum { LANES = 16 };
typedef __m512 vec;
typedef __m512i veci;
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
/* Logical shifts; written in GCC's vector language because it makes constant counts immediate. */
LB__INLINE veci i_right(veci a, int n) {
  return (veci)((words)a >> n);
}
LB__INLINE veci i_left(veci a, int n) {
  return (veci)((words)a << n);
}

LB__INLINE vec v_set(float x) {
  return _mm512_set1_ps(x);
}
LB__INLINE vec v_load(const float *p) {
  return _mm512_loadu_ps(p);
}
LB__INLINE void v_store(float *p, vec x) {
  _mm512_storeu_ps(p, x);
}
/* The first n lanes, 0 < n <= LANES; the others are 0 and never touched in memory. */
LB__INLINE __mmask16 first_lanes(int64_t n) {
  return (__mmask16)((1u << n) - 1u);
}
LB__INLINE vec v_load_part(const float *p, int64_t n) {
  return _mm512_maskz_loadu_ps(first_lanes(n), p);
}
LB__INLINE void v_store_part(float *p, vec x, int64_t n) {
  _mm512_mask_storeu_ps(p, first_lanes(n), x);
}
LB__INLINE vec v_add(vec a, vec b) {
  return _mm512_add_ps(a, b);
}
LB__INLINE vec v_sub(vec a, vec b) {
  return _mm512_sub_ps(a, b);
}
LB__INLINE vec v_mul(vec a, vec b) {
  return _mm512_mul_ps(a, b);
}
LB__INLINE vec v_div(vec a, vec b) {
  return _mm512_div_ps(a, b);
}
LB__INLINE vec v_sqrt(vec x) {
  return _mm512_sqrt_ps(x);
}
LB__INLINE vec v_fma(vec a, vec b, vec c) {
  return _mm512_fmadd_ps(a, b, c);
}
LB__INLINE vec v_fnma(vec a, vec b, vec c) {
  return _mm512_fnmadd_ps(a, b, c);
} /* c - a b */
/* The second operand where either is NaN. */
LB__INLINE vec v_max(vec a, vec b) {
  return _mm512_max_ps(a, b);
}
LB__INLINE vec v_min(vec a, vec b) {
  return _mm512_min_ps(a, b);
}
LB__INLINE vec v_round(vec x) {
  return _mm512_roundscale_ps(x, 0);
}
LB__INLINE vec v_abs(vec x) {
  return _mm512_abs_ps(x);
}
/* a where |x| < limit, else b */
LB__INLINE vec v_where_below(vec x, vec limit, vec a, vec b) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(v_abs(x), limit, _CMP_LT_OQ), b, a);
}
/* a where x > 0, else b */
LB__INLINE vec v_where_positive(vec x, vec a, vec b) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ), b, a);
}
LB__INLINE unsigned v_greater(vec a, vec b) {
  return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}
LB__INLINE unsigned v_is_nan(vec a) {
  return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
}
/* x * 2^n, n integral */
LB__INLINE vec v_scale(vec x, vec n) {
  return _mm512_scalef_ps(x, n);
}

LB__INLINE veci i_set(int x) {
  return _mm512_set1_epi32(x);
}
LB__INLINE veci i_and(veci a, veci b) {
  return _mm512_and_si512(a, b);
}
LB__INLINE veci i_or(veci a, veci b) {
  return _mm512_or_si512(a, b);
}
LB__INLINE veci i_sub(veci a, veci b) {
  return _mm512_sub_epi32(a, b);
}
LB__INLINE veci i_right_each(veci a, veci n) {
  return _mm512_srlv_epi32(a, n);
}
LB__INLINE veci i_lanes(void) {
  return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
LB__INLINE vec v_of_i(veci a) {
  return _mm512_cvtepi32_ps(a);
}
LB__INLINE vec v_of_bits(veci a) {
  return _mm512_castsi512_ps(a);
}
LB__INLINE veci i_of_bits(vec a) {
  return _mm512_castps_si512(a);
}
LB__INLINE veci i_load_u8(const uint8_t *p) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
LB__INLINE veci i_load_i8(const uint8_t *p) {
  return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
LB__INLINE veci i_load_u16(const uint8_t *p) {
  return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
LB__INLINE vec v_load_half(const uint8_t *p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
LB__INLINE __m256 upper_half(vec x) {
  return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(x), 1));
}
LB__INLINE __m256 fold_sum(vec x) {
  return _mm256_add_ps(_mm512_castps512_ps256(x), upper_half(x));
}
LB__INLINE __m256 fold_max(vec x) {
  return _mm256_max_ps(_mm512_castps512_ps256(x), upper_half(x));
}

/* The 64-bit product of each lane and m, unsigned, in two halves. */
LB__INLINE void i_product(veci *high, veci *low, veci a, uint32_t m) {
  veci factor = _mm512_set1_epi64((int64_t)m);
  veci even = _mm512_mul_epu32(a, factor);
  veci odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), factor);
  *high = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
  *low = _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
}

/* Of each group of four lanes: the lower or upper two numbers of a and b in turn; the same for
 * pairs of numbers. */
#define V_LOW(a, b)  _mm512_unpacklo_ps(a, b)
#define V_HIGH(a, b) _mm512_unpackhi_ps(a, b)
#define V_LOW_PAIRS(a, b)                                                                          \
  _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)))
#define V_HIGH_PAIRS(a, b)                                                                         \
  _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)))
/* Column 4 l + c of four times four rows: group l of each x[4 g + c]. */
LB__INLINE void gather_groups(vec out[16], const vec x[16], int c) {
  vec a = _mm512_shuffle_f32x4(x[c], x[4 + c], 0x88),
      b = _mm512_shuffle_f32x4(x[8 + c], x[12 + c], 0x88);
  out[c] = _mm512_shuffle_f32x4(a, b, 0x88);
  out[8 + c] = _mm512_shuffle_f32x4(a, b, 0xDD);
  a = _mm512_shuffle_f32x4(x[c], x[4 + c], 0xDD),
  b = _mm512_shuffle_f32x4(x[8 + c], x[12 + c], 0xDD);
  out[4 + c] = _mm512_shuffle_f32x4(a, b, 0x88);
  out[12 + c] = _mm512_shuffle_f32x4(a, b, 0xDD);
}

#else

#define LB__ISA(name) name##_avx2
#define LB__ISA_NAME  "avx2"
enum { LANES = 8 };
typedef __m256 vec;
typedef __m256i veci;
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
/* Logical shifts; written in GCC's vector language because it makes constant counts immediate. */
LB__INLINE veci i_right(veci a, int n) {
  return (veci)((words)a >> n);
}
LB__INLINE veci i_left(veci a, int n) {
  return (veci)((words)a << n);
}

LB__INLINE vec v_set(float x) {
  return _mm256_set1_ps(x);
}
LB__INLINE vec v_load(const float *p) {
  return _mm256_loadu_ps(p);
}
LB__INLINE void v_store(float *p, vec x) {
  _mm256_storeu_ps(p, x);
}
LB__INLINE veci i_set(int x) {
  return _mm256_set1_epi32(x);
}
LB__INLINE veci i_lanes(void) {
  return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
}
/* The first n lanes, 0 < n <= LANES; the others are 0 and never touched in memory. */
LB__INLINE __m256i first_lanes(int64_t n) {
  return _mm256_cmpgt_epi32(i_set((int)n), i_lanes());
}
LB__INLINE vec v_load_part(const float *p, int64_t n) {
  return _mm256_maskload_ps(p, first_lanes(n));
}
LB__INLINE void v_store_part(float *p, vec x, int64_t n) {
  _mm256_maskstore_ps(p, first_lanes(n), x);
}
LB__INLINE vec v_add(vec a, vec b) {
  return _mm256_add_ps(a, b);
}
LB__INLINE vec v_sub(vec a, vec b) {
  return _mm256_sub_ps(a, b);
}
LB__INLINE vec v_mul(vec a, vec b) {
  return _mm256_mul_ps(a, b);
}
LB__INLINE vec v_div(vec a, vec b) {
  return _mm256_div_ps(a, b);
}
LB__INLINE vec v_sqrt(vec x) {
  return _mm256_sqrt_ps(x);
}
LB__INLINE vec v_fma(vec a, vec b, vec c) {
  return _mm256_fmadd_ps(a, b, c);
}
LB__INLINE vec v_fnma(vec a, vec b, vec c) {
  return _mm256_fnmadd_ps(a, b, c);
} /* c - a b */
/* The second operand where either is NaN. */
LB__INLINE vec v_max(vec a, vec b) {
  return _mm256_max_ps(a, b);
}
LB__INLINE vec v_min(vec a, vec b) {
  return _mm256_min_ps(a, b);
}
LB__INLINE vec v_round(vec x) {
  return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
LB__INLINE vec v_abs(vec x) {
  return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}
/* a where |x| < limit, else b */
LB__INLINE vec v_where_below(vec x, vec limit, vec a, vec b) {
  return _mm256_blendv_ps(b, a, _mm256_cmp_ps(v_abs(x), limit, _CMP_LT_OQ));
}
/* a where x > 0, else b */
LB__INLINE vec v_where_positive(vec x, vec a, vec b) {
  return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_GT_OQ));
}
LB__INLINE unsigned v_greater(vec a, vec b) {
  return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ));
}
LB__INLINE unsigned v_is_nan(vec a) {
  return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}

LB__INLINE veci i_and(veci a, veci b) {
  return _mm256_and_si256(a, b);
}
LB__INLINE veci i_or(veci a, veci b) {
  return _mm256_or_si256(a, b);
}
LB__INLINE veci i_sub(veci a, veci b) {
  return _mm256_sub_epi32(a, b);
}
LB__INLINE veci i_right_each(veci a, veci n) {
  return _mm256_srlv_epi32(a, n);
}
LB__INLINE vec v_of_i(veci a) {
  return _mm256_cvtepi32_ps(a);
}
LB__INLINE vec v_of_bits(veci a) {
  return _mm256_castsi256_ps(a);
}
LB__INLINE veci i_of_bits(vec a) {
  return _mm256_castps_si256(a);
}
LB__INLINE veci i_load_u8(const uint8_t *p) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}
LB__INLINE veci i_load_i8(const uint8_t *p) {
  return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}
LB__INLINE veci i_load_u16(const uint8_t *p) {
  return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
LB__INLINE vec v_load_half(const uint8_t *p) {
  return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
LB__INLINE void i_product(veci *high, veci *low, veci a, uint32_t m) {
  veci factor = _mm256_set1_epi64x((int64_t)m);
  veci even = _mm256_mul_epu32(a, factor);
  veci odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), factor);
  *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
  *low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
}
#define V_LOW(a, b)   _mm256_unpacklo_ps(a, b)
#define V_HIGH(a, b)  _mm256_unpackhi_ps(a, b)
#define V_LOW_PAIRS(a, b)                                                                          \
  _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)))
#define V_HIGH_PAIRS(a, b)                                                                         \
  _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)))
LB__INLINE void gather_groups(vec out[8], const vec x[8], int c) {
  out[c] = _mm256_permute2f128_ps(x[c], x[4 + c], 0x20);
  out[4 + c] = _mm256_permute2f128_ps(x[c], x[4 + c], 0x31);
}
LB__INLINE __m256 fold_sum(vec x) {
  return x;
}
LB__INLINE __m256 fold_max(vec x) {
  return x;
}

LB__INLINE vec power_of_two(veci n) { /* -126 <= n <= 127 */
  return v_of_bits(i_left(_mm256_add_epi32(n, i_set(127)), 23));
}
/* x * 2^n, n integral; in two steps, since 2^n itself may not be a float */
LB__INLINE vec v_scale(vec x, vec n) {
  veci whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
  return v_mul(v_mul(x, power_of_two(half)), power_of_two(i_sub(whole, half)));
}

#endif

/* ---- across lanes ---- */

/* Lane k of x[i] and lane i of x[k] change places. */
LB__INLINE void v_transpose(vec x[LANES]) {
  vec pairs[LANES], fours[LANES];
  for (int i = 0; i < LANES; i += 2) { /* two rows in turn */
    pairs[i] = V_LOW(x[i], x[i + 1]);
    pairs[i + 1] = V_HIGH(x[i], x[i + 1]);
  }
  for (int i = 0; i < LANES; i += 4) /* column 4 l + c of four rows, in group l of fours[i + c] */
    for (int h = 0; h < 2; h++) {
      fours[i + 2 * h] = V_LOW_PAIRS(pairs[i + h], pairs[i + 2 + h]);
      fours[i + 2 * h + 1] = V_HIGH_PAIRS(pairs[i + h], pairs[i + 2 + h]);
    }
  for (int c = 0; c < 4; c++) gather_groups(x, fours, c);
}

LB__INLINE float v_sum(vec x) {
  __m256 a = fold_sum(x);
  __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  b = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

LB__INLINE float v_largest(vec x) {
  __m256 a = fold_max(x);
  __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  b = _mm_max_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

/* One half-precision scale of a block, in float. */
LB__INLINE float half_at(const uint8_t *p) {
  uint16_t h;
  memcpy(&h, p, sizeof h);
  return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(h)));
}

/* Two of them that lie together, each in all lanes. */
LB__INLINE void halves_at(vec *first, vec *second, const uint8_t *p) {
  int32_t both;
  memcpy(&both, p, sizeof both);
  __m128 x = _mm_cvtph_ps(_mm_cvtsi32_si128(both));
  *first = v_set(_mm_cvtss_f32(x));
  *second = v_set(_mm_cvtss_f32(_mm_movehdup_ps(x)));
}

/* ---- functions: within 2 units in the last place of float32; NaN and infinities as libm ---- */

/* 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2; e^r - 1 - r by a polynomial (Cephes' expf). */
LB__INLINE vec v_exp(vec x) {
  x = v_min(v_set(89.0f), x); /* operand order: NaN passes */
  x = v_max(v_set(-104.0f), x);
  vec n = v_round(v_mul(x, v_set(1.44269504f)));
  vec r = v_fnma(n, v_set(0.693359375f), x); /* ln 2 in two parts, the first one short */
  r = v_fnma(n, v_set(-2.12194440e-4f), r);
  vec p = v_set(1.9875691500e-4f);
  p = v_fma(p, r, v_set(1.3981999507e-3f));
  p = v_fma(p, r, v_set(8.3334519073e-3f));
  p = v_fma(p, r, v_set(4.1665795894e-2f));
  p = v_fma(p, r, v_set(1.6666665459e-1f));
  p = v_fma(p, r, v_set(5.0000001201e-1f));
  p = v_fma(p, v_mul(r, r), v_add(r, v_set(1.0f)));
  return v_scale(p, n);
}

/* log x of normal numbers above 0 (nothing else is looked at): x = 2^n m, m from sqrt(1/2) to
 * sqrt(2), and log m by a polynomial in m - 1 (Cephes' logf). */
LB__INLINE vec v_log(vec x) {
  veci bits = i_of_bits(x);
  vec n = v_of_i(i_sub(i_right(bits, 23), i_set(126)));
  vec m = v_of_bits(i_or(i_and(bits, i_set(0x007fffff)), i_set(0x3f000000)));
  vec half_root = v_set(0.707106781f), one = v_set(1.0f);
  n = v_where_below(m, half_root, v_sub(n, one), n);
  m = v_sub(v_where_below(m, half_root, v_add(m, m), m), one);
  vec square = v_mul(m, m), p = v_set(7.0376836292e-2f);
  p = v_fma(p, m, v_set(-1.1514610310e-1f));
  p = v_fma(p, m, v_set(1.1676998740e-1f));
  p = v_fma(p, m, v_set(-1.2420140846e-1f));
  p = v_fma(p, m, v_set(1.4249322787e-1f));
  p = v_fma(p, m, v_set(-1.6668057665e-1f));
  p = v_fma(p, m, v_set(2.0000714765e-1f));
  p = v_fma(p, m, v_set(-2.4999993993e-1f));
  p = v_fma(p, m, v_set(3.3333331174e-1f));
  vec y = v_mul(v_mul(p, m), square);
  y = v_fma(n, v_set(-2.12194440e-4f), y);
  y = v_fma(v_set(-0.5f), square, y);
  return v_fma(n, v_set(0.693359375f), v_add(m, y));
}

/* 1 - 2 / (e^2x + 1), which is inexact near 0: there an odd polynomial (Cephes' tanhf). */
LB__INLINE vec v_tanh(vec x) {
  vec two = v_set(2.0f), one = v_set(1.0f), square = v_mul(x, x);
  vec large = v_sub(one, v_div(two, v_add(v_exp(v_mul(two, x)), one)));
  vec p = v_set(-5.70498872745e-3f);
  p = v_fma(p, square, v_set(2.06390887954e-2f));
  p = v_fma(p, square, v_set(-5.37397155531e-2f));
  p = v_fma(p, square, v_set(1.33314422036e-1f));
  p = v_fma(p, square, v_set(-3.33332819422e-1f));
  return v_where_below(x, v_set(0.625f), v_fma(v_mul(p, square), x, x), large);
}

/* 1 / (1 + e^-x) */
LB__INLINE vec v_over_1_plus_exp_minus(vec numerator, vec x) {
  return v_div(numerator, v_add(v_set(1.0f), v_exp(v_sub(v_set(0.0f), x))));
}

#endif
