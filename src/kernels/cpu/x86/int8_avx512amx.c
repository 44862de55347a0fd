/* int8_avx512amx.c - rotated 8-bit products with AMX: a tile of 16 rows by 64 inputs times a tile
 * of 64 inputs by 16 outputs, which is how a panel's weights lie, adds to 16 x 16 sums of 32 bits.
 *
 * Sums of a group go through memory to be scaled in float. Tiles work in order: a store that waits
 * for its sums holds up the next product, so a group is stored after the next one was issued, and
 * two pairs of tiles take turns. */
#include "int8.inc"

enum {
  TILE_ROWS = 16,
  TILE_DEPTH = 64, /* inputs of a tile */
  LEAST_ROWS = 24, /* below, VNNI is as fast (measured) */
  CHUNK = 512      /* inputs: two panels of so many stay in the first-level cache */
};

/* Tiles 0, 1 and 2, 3 hold sums of two panels; 4 rows; 6 and 7 panels. */
typedef struct tile_config {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_config;

static void configure(int64_t R) {
  tile_config c = {.palette = 1};
  for (int i = 0; i < 8; i++) {
    c.rows[i] = i < 6 ? (uint8_t)R : TILE_ROWS;
    c.row_bytes[i] = 64;
  }
  /* GCC 12's builtin says that it reads the first 8 bytes only */
  __asm__ volatile("ldtilecfg %0" : : "m"(c));
}

/* R rows by one or two panels. */
typedef struct block {
  walk at;
  int64_t R, group_bytes, panel_bytes; /* bytes of a row's group; of a panel */
  float *out;                          /* of the first row and output */
  int64_t ldo, n_out;                  /* outputs that exist */
} block;

typedef int32_t group_sums[2][TILE_ROWS][LB__INT8_PANEL];

/* Group g into tiles a and b, and from there to memory; a tile's number must be literal. */
#define TILES(a, b)                                                                                \
  LB__INLINE void multiply_##a(const block *k, int64_t g, const int P) {                           \
    const int8_t *x = k->at.x + g * k->group_bytes * k->R;                                         \
    const uint8_t *w = k->at.values + g * k->group_bytes * LB__INT8_PANEL;                         \
    _tile_zero(a);                                                                                 \
    if (P > 1) _tile_zero(b);                                                                      \
    for (int64_t d = 0; d < k->group_bytes; d += TILE_DEPTH) {                                     \
      _tile_loadd(4, x + d * k->R, TILE_DEPTH);                                                    \
      _tile_loadd(6, w + d * LB__INT8_PANEL, 64);                                                  \
      _tile_dpbsud(a, 4, 6);                                                                       \
      if (P > 1) _tile_loadd(7, w + k->panel_bytes + d * LB__INT8_PANEL, 64);                      \
      if (P > 1) _tile_dpbsud(b, 4, 7);                                                            \
    }                                                                                              \
  }                                                                                                \
  LB__INLINE void store_##a(group_sums sums, const int P) {                                        \
    _tile_stored(a, sums[0], 64);                                                                  \
    if (P > 1) _tile_stored(b, sums[1], 64);                                                       \
  }
TILES(0, 1)
TILES(2, 3)

LB__INLINE vec scaled(const block *k, group_sums sums, int64_t g, int64_t r, int panel, vec y) {
  vec scale = v_load(k->at.scales + (panel * k->at.n_groups + g) * LB__INT8_PANEL);
  __m512i more = _mm512_set1_epi32(k->at.x_sums[g * k->R + r]);
  __m512i sum = _mm512_add_epi32(_mm512_load_si512(sums[panel][r]), more);
  return v_fma(v_mul(v_of_i(sum), scale), v_set(k->at.x_scales[g * k->R + r]), y);
}

/* out += the sums of group g; the first group overwrites. */
LB__INLINE void scale(const block *k, group_sums sums, int64_t g, const int P) {
  float *out = k->out;
  int64_t last = k->n_out - (P - 1) * LB__INT8_PANEL; /* outputs of the last panel */
  for (int64_t r = 0; r < k->R; r++, out += k->ldo) {
    vec y[2] = {v_set(0.0f), v_set(0.0f)};
    if (g > 0 && P > 1) y[0] = v_load(out);
    if (g > 0) y[P - 1] = v_load_part(out + (P - 1) * LB__INT8_PANEL, last);
    if (P > 1) v_store(out, scaled(k, sums, g, r, 0, y[0]));
    v_store_part(out + (P - 1) * LB__INT8_PANEL, scaled(k, sums, g, r, P - 1, y[P - 1]), last);
  }
}

LB__INLINE void groups(const block *k, int64_t first, int64_t end, const int P) {
  _Alignas(64) group_sums sums;
  int64_t g = first;
  for (; g + 1 < end; g += 2) {
    multiply_0(k, g, P);
    if (g > first) {
      store_2(sums, P);
      scale(k, sums, g - 1, P);
    }
    multiply_2(k, g + 1, P);
    store_0(sums, P);
    scale(k, sums, g, P);
  }
  if (g < end) multiply_0(k, g, P);
  if (g > first) {
    store_2(sums, P);
    scale(k, sums, g - 1, P);
  }
  if (g < end) {
    store_0(sums, P);
    scale(k, sums, g, P);
  }
}

static void add_bias(const lb__int8_part *p, int64_t row, int64_t R, int64_t o, int64_t n) {
  for (int64_t r = row; p->bias != NULL && r < row + R; r++)
    for (int64_t i = o; i < o + n; i++) p->out[r * p->ldo + i] += p->bias[i];
}

/* Rows `row` to `end` in blocks of R by P panels, a chunk of the inputs after the other. */
LB__INLINE void panels(const lb__int8_part *p, int64_t row, int64_t end, int64_t R, int64_t panel,
                       const int P) {
  const lb__int8_cut *cut = &p->weight->cut;
  int64_t o = panel * LB__INT8_PANEL, n_out = p->weight->O - o,
          group_bytes = cut->quads * LB__INT8_DEPTH;
  int64_t step = CHUNK / group_bytes > 0 ? CHUNK / group_bytes : 1;
  if (n_out > P * LB__INT8_PANEL) n_out = P * LB__INT8_PANEL;
  for (int64_t g = 0; g < cut->n_groups; g += step)
    for (int64_t r = row; r < end; r += R) {
      block k = {.at = walk_from(p, r, panel), .R = R, .group_bytes = group_bytes};
      k.panel_bytes = cut->n_groups * group_bytes * LB__INT8_PANEL;
      k.out = p->out + r * p->ldo + o, k.ldo = p->ldo, k.n_out = n_out;
      groups(&k, g, g + step < cut->n_groups ? g + step : cut->n_groups, P);
    }
  add_bias(p, row, end - row, o, n_out);
}

static void blocks(const lb__int8_part *p, int64_t row, int64_t end, int64_t R) {
  int64_t panel = p->panel, panels_end = panel + p->n_panels;
  configure(R);
  for (; panel + 2 <= panels_end; panel += 2) panels(p, row, end, R, panel, 2);
  for (; panel < panels_end; panel++) panels(p, row, end, R, panel, 1);
  _tile_release();
}

static void product(const lb__int8_part *p) {
  int64_t end = p->row + p->n_rows, whole = p->row + p->n_rows / TILE_ROWS * TILE_ROWS;
  if (whole > p->row) blocks(p, p->row, whole, TILE_ROWS);
  if (end > whole) blocks(p, whole, end, end - whole);
}

static const lb__int8_kernels int8_kernels = {.name = "amx",
                                              .rotate = rotate,
                                              .quantize = quantize,
                                              .product = product,
                                              .rows = TILE_ROWS,
                                              .depth = TILE_DEPTH,
                                              .least_rows = LEAST_ROWS,
                                              .otherwise = &lb__int8_avx512vnni};

void lb__int8_select_avx512amx(void) {
  lb__int8_select(&int8_kernels);
}
