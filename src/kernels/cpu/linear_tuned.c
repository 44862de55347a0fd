/* linear_tuned.c - linear, put together from parts that suit the machine.
 *
 *   thin  (few tokens: generation)  every weight is used once or a few times, so reading it is the
 *                                   cost: dot products that decode a row on the way.
 *   thick (many tokens: prompts)    arithmetic is the cost: panels of weight rows are decoded into
 * a thread's own scratch and go to a matrix product.
 *
 * The cut into panels depends on shapes only and each panel is one thread's work from start to end,
 * so results do not depend on the number of threads. */
#include "linear_parts.h"

#include "base/threads.h"
#include "blocks.h"
#include "cast_tuned.h"
#include "fetch.h"
#include "halves.h"
#include "linear_quantized.h"
#include "sizes.h"
#include "tiles.h"
#include "tensor/tensor_data.h"

/* Up to this many tokens dot products win (measured: src/kernels/README.md). */
enum { MOST_THIN = 6 };
/* A decoded panel should leave room in a 1-2 MB second-level cache for x and out. */
enum { PANEL_BYTES = 512 * 1024, ROWS_STEP = 48 /* oneDNN's register tile is 48 wide */ };

static lb__dots_fn *dots_of[LB_DTYPE_COUNT];
static lb__gemm_fn *gemm;
static lb__gemm_bf16_fn *gemm_bf16;

void lb__linear_select_dots(lb_dtype dtype, lb__dots_fn *dots) {
  dots_of[dtype] = dots;
}
void lb__linear_select_gemm(lb__gemm_fn *function) {
  gemm = function;
}
void lb__linear_select_gemm_bf16(lb__gemm_bf16_fn *function) {
  gemm_bf16 = function;
}

typedef struct job {
  const lb__linear_args *args;
  const float *x, *bias; /* [N,I], [O] or NULL */
  const char *weight;
  float *out; /* [N,O] */
  int64_t N, I, O;
  size_t row_bytes;
  /* thick only */
  int64_t panel_rows, tokens_step, n_panels, n_token_blocks;
  char *scratch; /* a decoded panel for each thread */
  size_t scratch_each;
  uint16_t *x_bf16;  /* x rounded, when bfloat16 computes */
  lb_status *failed; /* [n_tasks] */
} job;

static job describe(const lb__linear_args *a) {
  job j = {.args = a, .N = a->x->shape[0], .I = a->x->shape[1], .O = a->weight->shape[0]};
  j.x = lb__tensor_f32(a->x);
  j.weight = lb__tensor_data(a->weight);
  j.bias = a->bias != NULL ? lb__tensor_f32(a->bias) : NULL;
  j.out = lb__tensor_f32(a->out);
  j.row_bytes = j.O > 0 ? a->weight->size_bytes / (size_t)j.O : 0;
  return j;
}

/* ---- portable dot products, for any dtype: decode a piece, multiply ---- */

enum { PIECE = 256, SUMS = 16 };

static void plain_dots(float *sums, const float *x, int64_t n_tokens, int64_t I, const char *row,
                       lb_dtype dtype) {
  size_t piece_bytes =
      (size_t)(PIECE / lb_dtype_block_elements(dtype)) * lb_dtype_block_bytes(dtype);
  float w[PIECE], partial[LB__MOST_DOTS][SUMS] = {{0}};
  for (int64_t i = 0; i < I; i += PIECE, row += piece_bytes) {
    int64_t n = smaller(PIECE, I - i);
    lb__row_to_f32(dtype)(w, row, n);
    for (int64_t t = 0; t < n_tokens; t++)
      for (int64_t k = 0; k < n; k++) partial[t][k % SUMS] += w[k] * x[t * I + i + k];
  }
  for (int64_t t = 0; t < n_tokens; t++) {
    double sum = 0.0;
    for (int k = 0; k < SUMS; k++) sum += (double)partial[t][k];
    sums[t] = (float)sum;
  }
}

/* ---- thin ---- */

static void thin_rows(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  lb_dtype dtype = j->args->weight->dtype;
  float sums[LB__MOST_DOTS];
  for (int64_t o = begin; o < end; o++) {
    const char *row = j->weight + (size_t)o * j->row_bytes;
    float bias = j->bias != NULL ? j->bias[o] : 0.0f;
    lb__fetch_ahead(row, j->row_bytes);
    for (int64_t n = 0; n < j->N; n += LB__MOST_DOTS) {
      int64_t count = smaller(LB__MOST_DOTS, j->N - n);
      if (dots_of[dtype] != NULL)
        dots_of[dtype](sums, j->x + n * j->I, count, j->I, row);
      else
        plain_dots(sums, j->x + n * j->I, count, j->I, row, dtype);
      for (int64_t t = 0; t < count; t++) j->out[(n + t) * j->O + o] = sums[t] + bias;
    }
  }
}

static void run_thin(job *j) {
  int64_t row_cost = (int64_t)j->row_bytes + j->I * j->N;
  lb__parallel_for(j->O, 1 + 16384 / (row_cost + 1), thin_rows, j);
}

/* ---- thick ---- */

static bool uses_bf16(const lb__linear_args *a) {
  return a->compute == LB__COMPUTE_BF16 && gemm_bf16 != NULL;
}

static bool is_thick(const job *j) {
  return gemm != NULL && j->N > MOST_THIN && j->I > 0 && j->O > 1;
}

/* Weights of the computing type are used where they lie, if they lie as C wants floats to. */
static bool needs_decoding(const job *j) {
  lb_dtype computes = uses_bf16(j->args) ? LB_DTYPE_BF16 : LB_DTYPE_F32;
  size_t size = lb_dtype_block_bytes(computes);
  return j->args->weight->dtype != computes || (uintptr_t)j->weight % size != 0;
}

/* Chooses panel_rows and tokens_step: tiles of the result, where weights are used in place; else so
 * that a decoded panel fits. At least two tasks: alone, oneDNN would take all threads, and its sums
 * could depend on their number. */
static void cut(job *j) {
  if (!needs_decoding(j)) {
    lb__tiles t = lb__cut_tiles(j->N, j->O);
    j->panel_rows = t.column_step;
    j->n_panels = t.n_across;
    j->tokens_step = t.row_step;
    j->n_token_blocks = t.n / t.n_across;
    return;
  }
  int64_t rows = PANEL_BYTES / (j->I * (int64_t)sizeof(float)) / ROWS_STEP * ROWS_STEP;
  if (rows < ROWS_STEP) rows = ROWS_STEP;
  while (rows > ROWS_STEP && j->O / rows < 8) rows -= ROWS_STEP;
  if (rows >= j->O) rows = (j->O + 1) / 2;
  j->panel_rows = rows;
  j->n_panels = (j->O + rows - 1) / rows;
  j->tokens_step = j->N;
  if (j->n_panels < 6 && j->N >= 64) j->tokens_step = (j->N + 1) / 2;
  j->n_token_blocks = (j->N + j->tokens_step - 1) / j->tokens_step;
}

static void decode_panel(const job *j, void *panel, int64_t first, int64_t rows) {
  const char *row = j->weight + (size_t)first * j->row_bytes;
  if (!uses_bf16(j->args)) {
    lb__row_to_f32_fn *decode = lb__row_to_f32(j->args->weight->dtype);
    for (int64_t r = 0; r < rows; r++, row += j->row_bytes)
      decode((float *)panel + r * j->I, row, j->I);
    return;
  }
  lb__row_from_f32_fn *round = lb__row_from_f32(LB_DTYPE_BF16);
  uint16_t *out = panel;
  float *decoded = (float *)(void *)(out + rows * j->I + rows * j->I % 2);
  for (int64_t r = 0; r < rows; r++, row += j->row_bytes)
    round(out + r * j->I, lb__row_floats(j->args->weight->dtype, row, j->I, decoded), j->I);
}

static void add_bias(const job *j, int64_t n0, int64_t n, int64_t o0, int64_t rows) {
  for (int64_t i = n0; j->bias != NULL && i < n0 + n; i++)
    for (int64_t o = o0; o < o0 + rows; o++) j->out[i * j->O + o] += j->bias[o];
}

static lb_status run_task(const job *j, int64_t task) {
  int64_t o = task / j->n_token_blocks * j->panel_rows, rows = smaller(j->panel_rows, j->O - o);
  int64_t n = task % j->n_token_blocks * j->tokens_step, tokens = smaller(j->tokens_step, j->N - n);
  const void *w = j->weight + (size_t)o * j->row_bytes;
  if (needs_decoding(j)) {
    void *panel = j->scratch + (size_t)lb__thread_index() * j->scratch_each;
    decode_panel(j, panel, o, rows);
    w = panel;
  }
  float *out = j->out + n * j->O + o;
  lb_status st = uses_bf16(j->args)
                     ? gemm_bf16(out, j->O, j->x_bf16 + n * j->I, w, tokens, rows, j->I)
                     : gemm(out, j->O, j->x + n * j->I, w, tokens, rows, j->I);
  if (st == LB_OK) add_bias(j, n, tokens, o, rows);
  return st;
}

static void run_tasks(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  for (int64_t task = begin; task < end; task++) j->failed[task] = run_task(j, task);
}

/* Workspace: one status for each task, x in bfloat16, one panel for each thread. */
static size_t status_bytes(const job *j) {
  return padded((size_t)(j->n_panels * j->n_token_blocks) * sizeof(lb_status));
}
static size_t x_bytes(const job *j) {
  return uses_bf16(j->args) ? padded((size_t)(j->N * j->I) * sizeof(uint16_t)) : 0;
}
static size_t panel_bytes(const job *j) {
  if (!needs_decoding(j)) return 0;
  return padded((size_t)((j->panel_rows + 1) * j->I + 1) * sizeof(float));
}

size_t lb__tuned_linear_workspace(const lb__linear_args *args) {
  if (lb__quantized_wanted(args)) return lb__quantized_linear_workspace(args);
  job j = describe(args);
  if (!is_thick(&j)) return 0;
  cut(&j);
  return status_bytes(&j) + x_bytes(&j) + panel_bytes(&j) * (size_t)lb_threads_get();
}

static lb_status run_thick(job *j, void *workspace) {
  cut(j);
  j->failed = workspace;
  j->x_bf16 = (uint16_t *)(void *)((char *)workspace + status_bytes(j));
  j->scratch = (char *)workspace + status_bytes(j) + x_bytes(j);
  j->scratch_each = panel_bytes(j);
  if (uses_bf16(j->args)) lb__rows_to_bf16(j->x_bf16, j->x, j->N, j->I);
  int64_t n_tasks = j->n_panels * j->n_token_blocks;
  lb__parallel_for_dynamic(n_tasks, 1, run_tasks, j);
  for (int64_t i = 0; i < n_tasks; i++)
    if (j->failed[i] != LB_OK) return j->failed[i];
  return LB_OK;
}

lb_status lb__tuned_linear(const lb__linear_args *args, void *workspace) {
  if (lb__quantized_wanted(args)) return lb__quantized_linear(args, workspace);
  job j = describe(args);
  if (j.N == 0 || j.O == 0) return LB_OK;
  if (is_thick(&j)) return run_thick(&j, workspace);
  run_thin(&j);
  return LB_OK;
}
