/* int8_avx2.c - rotated 8-bit products with VPMADDWD, on bytes widened to 16 bits: VPMADDUBSW would
 * be twice as fast but saturates. */
#include "int8.inc"

/* Row `r` of a block of R rows by one panel: 16 outputs of four inputs each are four loads of 16
 * bytes; an output's four products arrive as two sums. */
static void tile(const lb__int8_part *p, int64_t first, int64_t r, int64_t R, int64_t panel) {
  walk at = walk_from(p, first, panel);
  vec y[2] = {{0}};
  for (int64_t g = 0; g < at.n_groups; g++) {
    __m256i sum[4] = {{0}};
    for (int64_t q = 0; q < at.quads; q++, at.values += LB__INT8_PANEL * LB__INT8_DEPTH) {
      int32_t quad;
      memcpy(&quad, at.x + ((g * at.quads + q) * R + r) * LB__INT8_DEPTH, sizeof quad);
      __m256i inputs = _mm256_broadcastq_epi64(_mm_cvtepi8_epi16(_mm_cvtsi32_si128(quad)));
      for (int k = 0; k < 4; k++) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(at.values + 16 * k));
        sum[k] = _mm256_add_epi32(sum[k], _mm256_madd_epi16(inputs, _mm256_cvtepu8_epi16(bytes)));
      }
    }
    for (int k = 0; k < 2; k++) {
      __m256i halves = _mm256_hadd_epi32(sum[2 * k], sum[2 * k + 1]);
      __m256i whole =
          _mm256_add_epi32(_mm256_permute4x64_epi64(halves, 0xD8), i_set(at.x_sums[g * R + r]));
      vec scale = v_load(at.scales + g * LB__INT8_PANEL + 8 * k);
      y[k] = v_fma(v_mul(v_of_i(whole), scale), v_set(at.x_scales[g * R + r]), y[k]);
    }
  }
  for (int k = 0; k < 2; k++) put(p, first + r, panel * LB__INT8_PANEL + 8 * k, y[k]);
}

static void product(const lb__int8_part *p) {
  for (int64_t panel = p->panel; panel < p->panel + p->n_panels; panel++)
    for (int64_t row = p->row; row < p->row + p->n_rows; row++) {
      int64_t first = row / LB__INT8_ROWS * LB__INT8_ROWS;
      tile(p, first, row - first, lb__int8_block_rows(p->x, first), panel);
    }
}

static const lb__int8_kernels int8_kernels = {.name = "avx2",
                                              .rotate = rotate,
                                              .quantize = quantize,
                                              .product = product,
                                              .rows = LB__INT8_ROWS,
                                              .depth = LB__INT8_DEPTH};

void lb__int8_select_avx2(void) {
  lb__int8_select(&int8_kernels);
}
