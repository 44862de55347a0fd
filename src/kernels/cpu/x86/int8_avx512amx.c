/* int8_avx512amx.c - rotated 8-bit products with AMX: a tile of 16 rows by 64 inputs times a tile
 * of 64 inputs by 16 outputs, which is how a panel's weights lie, adds to 16 x 16 sums of 32 bits.
 *
 * Sums of a group go through memory to be scaled in float; while that happens, the next group
 * multiplies. */
#include "int8.inc"

enum {
  TILE_ROWS = 16,
  TILE_DEPTH = 64,             /* inputs of a tile */
  BLOCK_ROWS = 2 * TILE_ROWS,  /* two tiles of rows by two panels: four tiles of sums */
  LEAST_ROWS = 2 * BLOCK_ROWS, /* below, VNNI is as fast (measured) */
  PANEL_BYTES = LB__INT8_PANEL * TILE_DEPTH
};

/* Tiles 0 to 3 hold sums: [tile of rows][panel]; 4 and 5 rows; 6 and 7 panels. */
typedef struct tile_config {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_config;

/* For blocks of R rows. A tile of no rows is not used. */
static void configure(int64_t R) {
  tile_config c = {.palette = 1};
  uint8_t first = (uint8_t)(R < TILE_ROWS ? R : TILE_ROWS), second = (uint8_t)(R - first);
  const uint8_t rows[8] = {first, first, second, second, first, second, TILE_ROWS, TILE_ROWS};
  for (int i = 0; i < 8; i++)
    if (rows[i] > 0) c.rows[i] = rows[i], c.row_bytes[i] = 64;
  _tile_loadconfig(&c);
}

typedef int32_t group_sums[2][2][TILE_ROWS][LB__INT8_PANEL];

/* Group g of a block of R rows and of P panels: the sums, to memory. */
LB__INLINE void multiply(group_sums sums, const walk *at, int64_t g, int64_t R,
                         const bool two_tiles, const int P) {
  int64_t depth = at->quads * LB__INT8_DEPTH, panel = at->n_groups * depth * LB__INT8_PANEL;
  const int8_t *x = at->x + g * depth * R;
  const uint8_t *w = at->values + g * depth * LB__INT8_PANEL;
  _tile_zero(0);
  if (P > 1) _tile_zero(1);
  if (two_tiles) _tile_zero(2);
  if (two_tiles && P > 1) _tile_zero(3);
  for (int64_t d = 0; d < depth; d += TILE_DEPTH, x += R * TILE_DEPTH, w += PANEL_BYTES) {
    _tile_loadd(6, w, 64);
    _tile_loadd(4, x, TILE_DEPTH);
    _tile_dpbsud(0, 4, 6);
    if (P > 1) _tile_loadd(7, w + panel, 64);
    if (P > 1) _tile_dpbsud(1, 4, 7);
    if (two_tiles) _tile_loadd(5, x + TILE_ROWS * TILE_DEPTH, TILE_DEPTH);
    if (two_tiles) _tile_dpbsud(2, 5, 6);
    if (two_tiles && P > 1) _tile_dpbsud(3, 5, 7);
  }
  _tile_stored(0, sums[0][0], 64);
  if (P > 1) _tile_stored(1, sums[0][1], 64);
  if (two_tiles) _tile_stored(2, sums[1][0], 64);
  if (two_tiles && P > 1) _tile_stored(3, sums[1][1], 64);
}

/* y [R][P] += the sums of group g, scaled. */
LB__INLINE void scale(vec y[BLOCK_ROWS][2], group_sums sums, const walk *at, int64_t g, int64_t R,
                      const int P) {
  vec scales[2];
  for (int k = 0; k < P; k++)
    scales[k] = v_load(at->scales + (k * at->n_groups + g) * LB__INT8_PANEL);
  for (int64_t r = 0; r < R; r++) {
    __m512i more = _mm512_set1_epi32(at->x_sums[g * R + r]);
    vec x_scale = v_set(at->x_scales[g * R + r]);
    for (int k = 0; k < P; k++) {
      __m512i sum = _mm512_load_si512(sums[r / TILE_ROWS][k][r % TILE_ROWS]);
      vec scaled = v_mul(v_of_i(_mm512_add_epi32(sum, more)), scales[k]);
      y[r][k] = v_fma(scaled, x_scale, y[r][k]);
    }
  }
}

LB__INLINE void block(const lb__int8_part *p, int64_t row, int64_t panel, int64_t R,
                      const bool two_tiles, const int P) {
  walk at = walk_from(p, row, panel);
  _Alignas(64) group_sums sums[2];
  vec y[BLOCK_ROWS][2];
  for (int64_t r = 0; r < R; r++)
    for (int k = 0; k < P; k++) y[r][k] = v_set(0.0f);
  for (int64_t g = 0; g < at.n_groups; g++) {
    multiply(sums[g % 2], &at, g, R, two_tiles, P);
    if (g > 0) scale(y, sums[(g - 1) % 2], &at, g - 1, R, P);
  }
  scale(y, sums[(at.n_groups - 1) % 2], &at, at.n_groups - 1, R, P);
  for (int64_t r = 0; r < R; r++)
    for (int k = 0; k < P; k++) put(p, row + r, (panel + k) * LB__INT8_PANEL, y[r][k]);
}

/* Blocks of R rows from `row` to `end`: the panels stay in the first-level cache, the rows go by.
 */
LB__INLINE void blocks(const lb__int8_part *p, int64_t row, int64_t end, int64_t R,
                       const bool two_tiles) {
  int64_t panel = p->panel, panels_end = panel + p->n_panels;
  configure(R);
  for (; panel + 2 <= panels_end; panel += 2)
    for (int64_t r = row; r < end; r += R) block(p, r, panel, R, two_tiles, 2);
  for (; panel < panels_end; panel++)
    for (int64_t r = row; r < end; r += R) block(p, r, panel, R, two_tiles, 1);
}

static void product(const lb__int8_part *p) {
  int64_t whole = p->n_rows / BLOCK_ROWS * BLOCK_ROWS, rest = p->n_rows - whole;
  if (whole > 0) blocks(p, p->row, p->row + whole, BLOCK_ROWS, true);
  if (rest > TILE_ROWS)
    blocks(p, p->row + whole, p->row + p->n_rows, rest, true);
  else if (rest > 0)
    blocks(p, p->row + whole, p->row + p->n_rows, rest, false);
  _tile_release();
}

static const lb__int8_kernels int8_kernels = {.name = "amx",
                                              .rotate = rotate,
                                              .quantize = quantize,
                                              .product = product,
                                              .rows = BLOCK_ROWS,
                                              .depth = TILE_DEPTH,
                                              .least_rows = LEAST_ROWS,
                                              .otherwise = &lb__int8_avx512vnni};

void lb__int8_select_avx512amx(void) {
  lb__int8_select(&int8_kernels);
}
