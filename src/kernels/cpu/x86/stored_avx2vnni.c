/* stored_avx2vnni.c - products with stored blocks by the VPDPBUSD of AVX-512 VNNI: of 256 bits for
 * a row of weights and a few of activations; of 512 bits with a row of activations in each lane. */
#include "simd.h"

/* Eight sums of four products of unsigned and signed bytes. */
LB__INLINE veci dot(veci weights, veci inputs) {
  return _mm256_dpbusd_epi32(_mm256_setzero_si256(), weights, inputs);
}

#include "stored.inc"

/* ---- a row of activations in each lane ---- */

enum { TOGETHER = 4 }; /* rows of weights that meet a vector of activations */

/* A chunk of a row of weights: integers from 0 on, a step size and an offset for each group. */
typedef struct chunk {
  uint8_t q[CHUNK_GROUPS * UNIT];
  float d[CHUNK_GROUPS], m[CHUNK_GROUPS];
} chunk;

LB__INLINE void decode(chunk *c, const uint8_t *block, int half, layout l, int n_groups) {
  vec d, m;
  l.scales(&d, &m, block, half, n_groups);
  for (int k = 0; k < n_groups * l.group / UNIT; k++) {
    veci w =
        l.blocks > 1 ? l.values(block + k * l.bytes, 0) : l.values(block, half * (UNIT / 8) + k);
    if (l.is_signed) w = _mm256_xor_si256(w, _mm256_set1_epi8(-128));
    _mm256_storeu_si256((__m256i *)(void *)(c->q + k * UNIT), w);
  }
  v_store(c->d, d);
  v_store(c->m, l.is_signed ? v_mul(d, v_set(-128.0f)) : m);
}

/* In assembly because GCC 12 copies the sum before and after its own builtin. */
LB__INLINE void add_products(__m512i *sum, const uint8_t *weights, __m512i inputs) {
  __m512i quad = _mm512_set1_epi32(word_at(weights));
  __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(quad), "v"(inputs));
}

/* Group g of the chunks, which begins at input i. */
LB__INLINE void add_group(__m512 y[TOGETHER], const lb__stored_block *x, int64_t i,
                          const chunk c[TOGETHER], int g, int group) {
  __m512i sum[TOGETHER];
  for (int k = 0; k < TOGETHER; k++) sum[k] = _mm512_setzero_si512();
  for (int q = 0; q < group; q += LB__STORED_DEPTH) {
    __m512i inputs = _mm512_loadu_si512(x->values + (i + q) * LB__STORED_LANES);
    for (int k = 0; k < TOGETHER; k++) add_products(&sum[k], c[k].q + g * group + q, inputs);
  }
  __m512 scale = _mm512_loadu_ps(x->scales + i / LB__STORED_GROUP * LB__STORED_LANES);
  __m512 offset = _mm512_loadu_ps(x->offsets[group == UNIT] + i / group * LB__STORED_LANES);
  for (int k = 0; k < TOGETHER; k++) {
    __m512 products = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[k]), scale);
    y[k] = _mm512_fmadd_ps(products, _mm512_set1_ps(c[k].d[g]), y[k]);
    y[k] = _mm512_fmadd_ps(offset, _mm512_set1_ps(c[k].m[g]), y[k]);
  }
}

/* Inputs i .. of n_blocks blocks; sums of the outputs from o on. */
LB__INLINE void add_chunks(lb__stored_sums *sums, int64_t o, const lb__stored_block *x,
                           int64_t n_blocks, int64_t i, const chunk c[TOGETHER], layout l,
                           int n_groups) {
  for (int64_t b = 0; b < n_blocks; b++) {
    __m512 y[TOGETHER];
    for (int k = 0; k < TOGETHER; k++) y[k] = _mm512_load_ps(sums[b][o + k]);
    for (int g = 0; g < n_groups; g++) add_group(y, &x[b], i + g * l.group, c, g, l.group);
    for (int k = 0; k < TOGETHER; k++) _mm512_store_ps(sums[b][o + k], y[k]);
  }
}

LB__INLINE void lanes_of(lb__stored_sums *sums, const lb__stored_block *x, int64_t n_blocks,
                         int64_t I, const char *rows, size_t row_bytes, int64_t n_outputs,
                         layout l) {
  memset(sums, 0, (size_t)n_blocks * sizeof *sums);
  int64_t chunk_inputs = CHUNK_GROUPS * l.group;
  for (int64_t o = 0; o < n_outputs; o += TOGETHER)
    for (int64_t i = 0, at = 0; i < I; i += chunk_inputs, at++) {
      int n_groups = I - i < chunk_inputs ? (int)((I - i) / l.group) : CHUNK_GROUPS;
      chunk c[TOGETHER];
      for (int k = 0; k < TOGETHER; k++) { /* past the end: the last row again */
        const char *row = rows + (size_t)(o + k < n_outputs ? o + k : n_outputs - 1) * row_bytes;
        const uint8_t *block = (const uint8_t *)row + at / l.halves * l.blocks * l.bytes;
        decode(&c[k], block, (int)(at % l.halves), l, n_groups);
      }
      add_chunks(sums, o, x, n_blocks, i, c, l, n_groups);
    }
}

#define DEFINE(type, values, scales, bytes, group, blocks, halves)                                 \
  static void lanes_##type(lb__stored_sums *sums, const lb__stored_block *x, int64_t n_blocks,     \
                           int64_t I, const char *rows, size_t row_bytes, int64_t n_outputs) {     \
    lanes_of(sums, x, n_blocks, I, rows, row_bytes, n_outputs,                                     \
             (layout){values_##values, scales_##scales, bytes, group, blocks, halves,              \
                      LB_DTYPE_##type == LB_DTYPE_Q8_0});                                          \
  }
TYPES(DEFINE)
#undef DEFINE
#define LANES_NAME(type, ...) [LB_DTYPE_##type] = lanes_##type,

void lb__stored_select_avx2vnni(void) {
  static const lb__stored_kernels kernels = {
      .name = "avx512vnni", .dots = {TYPES(NAME)}, .lanes_from = 6, .lanes = {TYPES(LANES_NAME)}};
  lb__stored_select(&kernels);
}
