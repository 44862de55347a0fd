/* linear_bwd_tuned.c - gradients of linear by matrix products:
 *     dx [N,I] += dout [N,O] weight [O,I]        dweight [O,I] += dout^T [O,N] x [N,I]
 *
 * A result is cut into tiles, each one thread's work from start to end. Weights in float32 are used
 * where they lie; others (frozen layers in blocks) are decoded a panel of rows at a time, once for
 * all tiles, and dx takes one product for each panel. Tiles and panels depend on shapes only, so
 * results do not depend on the number of threads. */
#include "linear_parts.h"

#include "base/threads.h"
#include "blocks.h"
#include "cast_tuned.h"
#include "sizes.h"
#include "tiles.h"
#include "tensor/tensor_data.h"

enum { PANEL_ROWS = 512 };

static lb__gemm_add_fn *gemm, *gemm_bf16;

void lb__linear_bwd_select_gemm(lb__gemm_add_fn *function) {
  gemm = function;
}
void lb__linear_bwd_select_gemm_bf16(lb__gemm_add_fn *function) {
  gemm_bf16 = function;
}

/* ---- one product ---- */

typedef struct job {
  const lb__linear_bwd_args *args;
  int64_t N, I, O;
  bool bf16;
  /* floats, or bfloat16 when that computes: dout [N,O], x [N,I], panel [panel_rows,I] of weight
   * rows first_row .. */
  const void *dout, *x, *panel;
  int64_t first_row, panel_rows;
  lb__tiles tiles;
  /* workspace */
  lb_status *failed; /* [tiles] */
  void *rounded_dout, *rounded_x, *decoded;
  char *scratch; /* a float row for each thread, where weights are rounded */
} job;

static const char *at(const job *j, const void *matrix, int64_t element) {
  return (const char *)matrix + (size_t)element * (j->bf16 ? sizeof(uint16_t) : sizeof(float));
}

/* One element: a product of this shape has no second tile (see tiles.h). */
static void add_element(const job *j, const lb__gemm_add *g) {
  double sum = 0.0;
  lb__row_to_f32_fn *load = lb__ref_row_to_f32(j->bf16 ? LB_DTYPE_BF16 : LB_DTYPE_F32);
  for (int64_t k = 0; k < g->K; k++) {
    float a, b;
    load(&a, at(j, g->a, k * (g->a_transposed ? g->lda : 1)), 1);
    load(&b, at(j, g->b, k * g->ldb), 1);
    sum += (double)a * (double)b;
  }
  *g->c += (float)sum;
}

static lb_status multiply(const job *j, const lb__gemm_add *g) {
  if (j->tiles.n > 1) return (j->bf16 ? gemm_bf16 : gemm)(g);
  add_element(j, g);
  return LB_OK;
}

/* A tile of dx, over the panel's rows. */
static lb_status add_dx_tile(const job *j, int64_t row, int64_t column) {
  lb__gemm_add g = {.c = lb__tensor_f32(j->args->dx) + row * j->I + column,
                    .ldc = j->I,
                    .a = at(j, j->dout, row * j->O + j->first_row),
                    .lda = j->O,
                    .b = at(j, j->panel, column),
                    .ldb = j->I,
                    .M = smaller(j->tiles.row_step, j->N - row),
                    .N = smaller(j->tiles.column_step, j->I - column),
                    .K = j->panel_rows};
  return multiply(j, &g);
}

static lb_status add_dweight_tile(const job *j, int64_t row, int64_t column) {
  lb__gemm_add g = {.c = lb__tensor_f32(j->args->dweight) + row * j->I + column,
                    .ldc = j->I,
                    .a = at(j, j->dout, row),
                    .a_transposed = true,
                    .lda = j->O,
                    .b = at(j, j->x, column),
                    .ldb = j->I,
                    .M = smaller(j->tiles.row_step, j->O - row),
                    .N = smaller(j->tiles.column_step, j->I - column),
                    .K = j->N};
  return multiply(j, &g);
}

static void dx_tiles(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  for (int64_t i = begin; i < end; i++)
    j->failed[i] = add_dx_tile(j, i / j->tiles.n_across * j->tiles.row_step,
                               i % j->tiles.n_across * j->tiles.column_step);
}

static void dweight_tiles(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  for (int64_t i = begin; i < end; i++)
    j->failed[i] = add_dweight_tile(j, i / j->tiles.n_across * j->tiles.row_step,
                                    i % j->tiles.n_across * j->tiles.column_step);
}

static lb_status run_tiles(job *j, lb__range_fn *fn) {
  lb__parallel_for_dynamic(j->tiles.n, 1, fn, j);
  for (int64_t i = 0; i < j->tiles.n; i++)
    if (j->failed[i] != LB_OK) return j->failed[i];
  return LB_OK;
}

/* ---- dx ---- */

/* Weights of the computing type are used where they lie, if they lie as C wants them to. */
static bool needs_decoding(const job *j) {
  lb_dtype computes = j->bf16 ? LB_DTYPE_BF16 : LB_DTYPE_F32;
  size_t size = lb_dtype_block_bytes(computes);
  const lb_tensor *w = j->args->weight;
  return w->dtype != computes || (uintptr_t)lb__tensor_data(w) % size != 0;
}

static void decode_rows(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  const lb_tensor *w = j->args->weight;
  size_t row_bytes = w->size_bytes / (size_t)j->O;
  const char *rows = (const char *)lb__tensor_data(w) + (size_t)j->first_row * row_bytes;
  float *row = (float *)(void *)(j->scratch + (size_t)(lb__thread_index() * j->I) * sizeof(float));
  for (int64_t r = begin; r < end; r++) {
    void *out = (char *)(uintptr_t)at(j, j->decoded, r * j->I);
    const char *stored = rows + (size_t)r * row_bytes;
    if (j->bf16)
      lb__row_from_f32(LB_DTYPE_BF16)(out, lb__row_floats(w->dtype, stored, j->I, row), j->I);
    else
      lb__row_to_f32(w->dtype)(out, stored, j->I);
  }
}

static lb_status add_dx(job *j) {
  j->tiles = lb__cut_tiles(j->N, j->I);
  bool decode = needs_decoding(j);
  int64_t step = decode ? PANEL_ROWS : j->O;
  lb_status st = LB_OK;
  for (int64_t o = 0; o < j->O && st == LB_OK; o += step) {
    j->first_row = o;
    j->panel_rows = smaller(step, j->O - o);
    j->panel = decode ? j->decoded : lb__tensor_data(j->args->weight);
    if (decode) lb__parallel_for(j->panel_rows, 8, decode_rows, j);
    st = run_tiles(j, dx_tiles);
  }
  return st;
}

/* ---- dbias ---- */

enum { BIAS_COLUMNS = 64 };

/* Columns in groups of BIAS_COLUMNS; summed in double, in order of n. */
static void dbias_groups(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  const float *dout = lb__tensor_f32(j->args->dout);
  for (int64_t group = begin; group < end; group++) {
    int64_t first = group * BIAS_COLUMNS, count = smaller(BIAS_COLUMNS, j->O - first);
    double sums[BIAS_COLUMNS] = {0};
    for (int64_t n = 0; n < j->N; n++)
      for (int64_t k = 0; k < count; k++) sums[k] += (double)dout[n * j->O + first + k];
    for (int64_t k = 0; k < count; k++) lb__tensor_f32(j->args->dbias)[first + k] += (float)sums[k];
  }
}

/* ---- all of it ---- */

/* Takes parts of the workspace, one after the other. base NULL: only their sizes are wanted. */
typedef struct parts {
  char *base;
  size_t used;
} parts;

static void *take(parts *p, bool wanted, int64_t elements, size_t size) {
  void *part = p->base != NULL ? p->base + p->used : NULL;
  if (wanted) p->used += ((size_t)elements * size + 63) & ~(size_t)63;
  return part;
}

/* Returns the size of all of it. */
static size_t lay_out(job *j, void *workspace) {
  const lb__linear_bwd_args *a = j->args;
  parts p = {.base = workspace};
  bool decode = a->dx != NULL && needs_decoding(j);
  size_t half = sizeof(uint16_t);
  int64_t dx = lb__cut_tiles(j->N, j->I).n, dweight = lb__cut_tiles(j->O, j->I).n;
  j->failed = take(&p, true, dx > dweight ? dx : dweight, sizeof(lb_status));
  j->rounded_dout = take(&p, j->bf16, j->N * j->O, half);
  j->rounded_x = take(&p, j->bf16 && a->dweight != NULL, j->N * j->I, half);
  j->decoded = take(&p, decode, smaller(PANEL_ROWS, j->O) * j->I, j->bf16 ? half : sizeof(float));
  j->scratch = take(&p, decode && j->bf16, lb_threads_get() * j->I, sizeof(float));
  return p.used;
}

static job describe(const lb__linear_bwd_args *a) {
  return (job){.args = a,
               .N = a->x->shape[0],
               .I = a->x->shape[1],
               .O = a->weight->shape[0],
               .bf16 = a->compute == LB__COMPUTE_BF16 && gemm_bf16 != NULL,
               .dout = lb__tensor_data(a->dout),
               .x = lb__tensor_data(a->x)};
}

size_t lb__tuned_linear_bwd_workspace(const lb__linear_bwd_args *args) {
  job j = describe(args);
  return lay_out(&j, NULL);
}

static const void *rounded(void *out, const lb_tensor *x) {
  lb__rows_to_bf16(out, lb__tensor_f32(x), x->shape[0], x->shape[1]);
  return out;
}

lb_status lb__tuned_linear_bwd(const lb__linear_bwd_args *args, void *workspace) {
  job j = describe(args);
  if (j.N == 0 || j.O == 0) return LB_OK;
  lay_out(&j, workspace);
  if (args->dbias != NULL)
    lb__parallel_for((j.O + BIAS_COLUMNS - 1) / BIAS_COLUMNS, 1 + 16384 / (j.N * BIAS_COLUMNS),
                     dbias_groups, &j);
  if (j.I == 0) return LB_OK;
  if (j.bf16) j.dout = rounded(j.rounded_dout, args->dout);
  lb_status st = args->dx != NULL ? add_dx(&j) : LB_OK;
  if (st != LB_OK || args->dweight == NULL) return st;
  if (j.bf16) j.x = rounded(j.rounded_x, args->x);
  j.tiles = lb__cut_tiles(j.O, j.I);
  return run_tiles(&j, dweight_tiles);
}
