/* int8_avx512vnni.c - rotated 8-bit products with VPDPBUSD: four unsigned times four signed bytes,
 * added to 32 bits, in each of 16 lanes. Nothing saturates. */
#include "int8.inc"

/* In assembly because GCC 12 copies the sum before and after its own builtin. */
LB__INLINE void add_products(__m512i *sum, __m512i weights, __m512i inputs) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(weights), "v"(inputs));
}

/* Asks for the memory of a result before it is computed. Lines of results lie a row of the output
 * apart; stores that wait for them fill the queue that the sums of the next tile need: up to 1.2
 * times as fast on Zen 5 (docs/decisions/0014). Asking beyond the end of memory is harmless. */
LB__INLINE void ask_for(const lb__int8_part *p, int64_t row, int64_t o) {
  __builtin_prefetch(p->out + row * p->ldo + o, 1);
}

#define UNROLL _Pragma("GCC unroll 12")

/* R rows by P panels; a group's sums stay in registers, R * P <= 24. Per quad of inputs: P loads of
 * weights, R broadcasts, R * P products, which are the bottleneck where R * P is large. */
LB__INLINE void tile(const lb__int8_part *p, int64_t row, int64_t panel, const int R, const int P) {
  walk at = walk_from(p, row, panel);
  int64_t panel_values = at.n_groups * at.quads * LB__INT8_PANEL * LB__INT8_DEPTH;
  int64_t panel_scales = at.n_groups * LB__INT8_PANEL;
  vec y[12][4];
  UNROLL for (int r = 0; r < R; r++) UNROLL for (int k = 0; k < P; k++) {
    ask_for(p, row + r, (panel + k) * LB__INT8_PANEL);
    y[r][k] = v_set(0.0f);
  }
  for (int64_t g = 0; g < at.n_groups; g++) {
    __m512i sum[12][4];
    UNROLL for (int r = 0; r < R; r++) UNROLL for (int k = 0; k < P; k++) sum[r][k] =
        _mm512_set1_epi32(at.x_sums[g * R + r]);
    for (int64_t q = 0; q < at.quads; q++, at.values += LB__INT8_PANEL * LB__INT8_DEPTH) {
      __m512i weights[4];
      UNROLL for (int k = 0; k < P; k++) weights[k] =
          _mm512_loadu_si512(at.values + k * panel_values);
      UNROLL for (int r = 0; r < R; r++, at.x += LB__INT8_DEPTH) {
        int32_t quad;
        memcpy(&quad, at.x, sizeof quad);
        __m512i inputs = _mm512_set1_epi32(quad);
        UNROLL for (int k = 0; k < P; k++) add_products(&sum[r][k], weights[k], inputs);
      }
    }
    UNROLL for (int k = 0; k < P; k++) {
      vec scale = v_load(at.scales + k * panel_scales + g * LB__INT8_PANEL);
      UNROLL for (int r = 0; r < R; r++) y[r][k] =
          v_fma(v_mul(v_of_i(sum[r][k]), scale), v_set(at.x_scales[g * R + r]), y[r][k]);
    }
  }
  UNROLL for (int r = 0; r < R; r++) UNROLL for (int k = 0; k < P; k++)
      put(p, row + r, (panel + k) * LB__INT8_PANEL, y[r][k]);
}

enum { FEW_ROWS = 6 };

typedef void tile_fn(const lb__int8_part *p, int64_t row, int64_t panel);
#define TILE(R, P)                                                                                 \
  static void tile_##R##_##P(const lb__int8_part *p, int64_t row, int64_t panel) {                 \
    tile(p, row, panel, R, P);                                                                     \
  }
#define TILES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#define ONE(R)   TILE(R, 1)
#define TWO(R)   TILE(R, 2)
TILES(ONE)
TILES(TWO)
TILE(1, 4)
TILE(2, 4)
TILE(3, 4)
TILE(4, 4)
TILE(5, 4)
TILE(6, 4)

#define NAME_1(R) tile_##R##_1,
#define NAME_2(R) tile_##R##_2,
static tile_fn *const one_panel[] = {NULL, TILES(NAME_1)};
static tile_fn *const two_panels[] = {NULL, TILES(NAME_2)};
static tile_fn *const four_panels[] = {NULL,     tile_1_4, tile_2_4, tile_3_4,
                                       tile_4_4, tile_5_4, tile_6_4};

static void product(const lb__int8_part *p) {
  int64_t panel = p->panel, panels_end = panel + p->n_panels, end = p->row + p->n_rows;
  if (p->row == 0 && p->x->N <= FEW_ROWS)
    for (; panel + 4 <= panels_end; panel += 4) four_panels[p->n_rows](p, p->row, panel);
  while (panel < panels_end) { /* the panels stay in the first-level cache, the rows go by */
    int64_t wide = panels_end - panel >= 2 ? 2 : 1;
    tile_fn *const *tiles = wide == 2 ? two_panels : one_panel;
    for (int64_t row = p->row; row < end;) {
      int64_t n = lb__int8_block_rows(p->x, row);
      tiles[n](p, row, panel);
      row += n;
    }
    panel += wide;
  }
}

const lb__int8_kernels lb__int8_avx512vnni = {.name = "avx512vnni",
                                              .rotate = rotate,
                                              .quantize = quantize,
                                              .product = product,
                                              .rows = LB__INT8_ROWS,
                                              .depth = LB__INT8_DEPTH};

void lb__int8_select_avx512vnni(void) {
  lb__int8_select(&lb__int8_avx512vnni);
}
