/* linear_int8.c - packing weights as rotated 8-bit integers, and multiplying with them. Owns: the
 * order of the steps and their cut among threads. The steps themselves: packed.h. */
#include "base/threads.h"
#include "blocks.h"
#include "packed.h"
#include "sizes.h"
#include "tensor/tensor_data.h"

static const lb__int8_kernels *kernels = &lb__int8_reference;

void lb__int8_select(const lb__int8_kernels *selected) {
  kernels = selected;
}

/* Small groups round more finely, but each costs a scaling of the sums (docs/decisions/0007). */
static lb__int8_cut cut_inputs(int64_t I) {
  enum { LEAST = 64, MOST = 128 };
  int64_t block = smaller(I & -I, MOST);
  lb__int8_cut c = {.I = I, .size = block >= LEAST ? block : I, .block = block};
  c.n_groups = I / c.size;
  c.quads = pieces(c.size, LB__INT8_DEPTH);
  return c;
}

/* Bytes of one row of n_groups * quads quads. */
static int64_t row_bytes(const lb__int8_cut *c) {
  return c->n_groups * c->quads * LB__INT8_DEPTH;
}

/* A row of floats to bytes and step sizes of groups; padding is 0. `rotated` is scratch, and may be
 * x itself. */
static void quantize_row(int8_t *bytes, float *scales, float *rotated, const float *x,
                         const lb__int8_cut *c) {
  kernels->rotate(rotated, x, c->I, c->block);
  for (int64_t g = 0; g < c->n_groups; g++) {
    int8_t *group = bytes + g * c->quads * LB__INT8_DEPTH;
    kernels->quantize(group, &scales[g], rotated + g * c->size, c->size);
    for (int64_t i = c->size; i < c->quads * LB__INT8_DEPTH; i++) group[i] = 0;
  }
}

/* For each thread: a row of floats, of bytes, of step sizes. */
typedef struct scratch {
  float *x, *scales;
  int8_t *bytes;
} scratch;

static size_t scratch_bytes(const lb__int8_cut *c) {
  return padded((size_t)c->I * sizeof(float)) + padded((size_t)c->n_groups * sizeof(float)) +
         padded((size_t)row_bytes(c));
}

static scratch scratch_of(char *memory, const lb__int8_cut *c) {
  memory += scratch_bytes(c) * (size_t)lb__thread_index();
  scratch s = {.x = (float *)(void *)memory};
  memory += padded((size_t)c->I * sizeof(float));
  s.scales = (float *)(void *)memory;
  s.bytes = (int8_t *)memory + padded((size_t)c->n_groups * sizeof(float));
  return s;
}

/* ---- packing ---- */

static void free_weight(lb__packed *p) {
  lb__int8_weight *w = (lb__int8_weight *)p;
  lb__free_aligned(w->values);
  lb__free_aligned(w->scales);
  lb__free(w);
}

typedef struct packing {
  lb__int8_weight *w;
  const char *rows;
  size_t row_bytes;
  lb__row_to_f32_fn *decode;
  char *scratch;
} packing;

static void pack_row(const packing *p, int64_t o, const scratch *s) {
  lb__int8_weight *w = p->w;
  const lb__int8_cut *c = &w->cut;
  int64_t panel = o / LB__INT8_PANEL, lane = o % LB__INT8_PANEL;
  p->decode(s->x, p->rows + (size_t)o * p->row_bytes, c->I);
  quantize_row(s->bytes, s->scales, s->x, s->x, c);
  for (int64_t g = 0; g < c->n_groups; g++)
    w->scales[(panel * c->n_groups + g) * LB__INT8_PANEL + lane] = s->scales[g] / (float)c->block;
  uint8_t *to = w->values + panel * row_bytes(c) * LB__INT8_PANEL + lane * LB__INT8_DEPTH;
  for (int64_t q = 0; q < c->n_groups * c->quads; q++) { /* plus 128 is the other sign bit */
    uint32_t quad;
    memcpy(&quad, s->bytes + q * LB__INT8_DEPTH, sizeof quad);
    quad ^= 0x80808080u;
    memcpy(to + q * LB__INT8_PANEL * LB__INT8_DEPTH, &quad, sizeof quad);
  }
}

static void pack_rows(void *ctx, int64_t begin, int64_t end) {
  const packing *p = ctx;
  scratch s = scratch_of(p->scratch, &p->w->cut);
  for (int64_t o = begin; o < end; o++) pack_row(p, o, &s);
}

static bool allocate(lb__int8_weight *w) {
  size_t panel_bytes = (size_t)(row_bytes(&w->cut) * LB__INT8_PANEL);
  size_t panel_scales = (size_t)(w->cut.n_groups * LB__INT8_PANEL);
  size_t panels = (size_t)w->panels;
  w->values = lb__alloc_aligned(panels * panel_bytes);
  w->scales = lb__alloc_aligned(panels * panel_scales * sizeof *w->scales);
  if (w->values == NULL || w->scales == NULL) return false;
  /* only the last panel can have padded outputs */
  memset(w->values + (panels - 1) * panel_bytes, LB__INT8_ZERO, panel_bytes);
  memset(w->scales + (panels - 1) * panel_scales, 0, panel_scales * sizeof *w->scales);
  w->base.size_bytes = sizeof *w + panels * (panel_bytes + panel_scales * sizeof *w->scales);
  return true;
}

lb_status lb__int8_pack(lb__packed **out, const lb_tensor *weight, lb__compute compute) {
  enum { MOST_I = 1 << 16 /* one group of more could overflow its sum */ };
  *out = NULL;
  int64_t O = weight->shape[0], I = weight->shape[1];
  if (compute != LB__COMPUTE_INT8 || O == 0 || I == 0 || I > MOST_I) return LB_E_UNSUPPORTED;
  lb__int8_weight *w = lb__new(sizeof *w);
  if (w == NULL) return LB_E_NOMEM;
  *w = (lb__int8_weight){
      .base.free = free_weight, .cut = cut_inputs(I), .O = O, .panels = pieces(O, LB__INT8_PANEL)};
  packing p = {.w = w,
               .rows = lb__tensor_data(weight),
               .row_bytes = weight->size_bytes / (size_t)O,
               .decode = lb__row_to_f32(weight->dtype),
               .scratch = lb__alloc_aligned(scratch_bytes(&w->cut) * (size_t)lb_threads_get())};
  bool ok = p.scratch != NULL && allocate(w);
  if (ok) lb__parallel_for(O, LB__INT8_PANEL, pack_rows, &p);
  lb__free_aligned(p.scratch);
  if (!ok) {
    free_weight(&w->base);
    return LB_E_NOMEM;
  }
  *out = &w->base;
  return LB_OK;
}

/* ---- activations ---- */

typedef struct job {
  const lb__linear_args *args;
  const lb__int8_weight *w;
  const lb__int8_cut *cut;
  lb__int8_rows x;
  char *scratch;
  int64_t row_step, n_row_parts, panel_step;
} job;

/* Row n of the activations into its block. */
static void place_row(const job *j, int64_t n, const scratch *s) {
  int64_t first = n / LB__INT8_ROWS * LB__INT8_ROWS, r = n - first;
  int64_t R = lb__int8_block_rows(&j->x, first), quads = j->cut->quads;
  int8_t *values = j->x.values + first * row_bytes(j->cut) + r * LB__INT8_DEPTH;
  for (int64_t g = 0; g < j->cut->n_groups; g++) {
    int32_t sum = 0;
    for (int64_t i = 0; i < quads * LB__INT8_DEPTH; i++)
      sum += s->bytes[g * quads * LB__INT8_DEPTH + i];
    j->x.sums[first * j->cut->n_groups + g * R + r] = -LB__INT8_ZERO * sum;
    j->x.scales[first * j->cut->n_groups + g * R + r] = s->scales[g];
  }
  for (int64_t q = 0; q < j->cut->n_groups * quads; q++)
    memcpy(values + q * R * LB__INT8_DEPTH, s->bytes + q * LB__INT8_DEPTH, LB__INT8_DEPTH);
}

static void quantize_rows(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  scratch s = scratch_of(j->scratch, j->cut);
  for (int64_t n = begin; n < end; n++) {
    const float *x = lb__tensor_f32(j->args->x) + n * j->cut->I;
    quantize_row(s.bytes, s.scales, s.x, x, j->cut);
    place_row(j, n, &s);
  }
}

/* ---- the product ---- */

/* Tasks are cut by shapes only. The rows of a task should stay in a second-level cache while all
 * panels go by, a panel in the first-level one. */
static void cut_tasks(job *j) {
  enum { ROWS_BYTES = 512 * 1024, ROWS_STEP = 4 * LB__INT8_ROWS, TASK_BYTES = 128 * 1024 };
  int64_t bytes = row_bytes(j->cut);
  j->row_step = ROWS_BYTES / bytes / ROWS_STEP * ROWS_STEP;
  if (j->row_step < ROWS_STEP) j->row_step = ROWS_STEP;
  j->n_row_parts = pieces(j->x.N, j->row_step);
  j->panel_step = TASK_BYTES / (bytes * LB__INT8_PANEL) / 4 * 4;
  if (j->panel_step < 4) j->panel_step = 4;
}

static void run_tasks(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  int64_t across = pieces(j->w->panels, j->panel_step);
  for (int64_t task = begin; task < end; task++) {
    lb__int8_part p = {.weight = j->w, .x = &j->x, .out = lb__tensor_f32(j->args->out)};
    p.bias = j->args->bias != NULL ? lb__tensor_f32(j->args->bias) : NULL;
    p.row = task / across * j->row_step;
    p.n_rows = smaller(j->row_step, j->x.N - p.row);
    p.panel = task % across * j->panel_step;
    p.n_panels = smaller(j->panel_step, j->w->panels - p.panel);
    kernels->product(&p);
  }
}

const lb__int8_weight *lb__int8_wanted(const lb__linear_args *args) {
  bool wanted = args->compute == LB__COMPUTE_INT8 && args->weight->packed != NULL &&
                args->x->dtype == LB_DTYPE_F32;
  return wanted ? (const lb__int8_weight *)args->weight->packed : NULL;
}

static job describe(const lb__linear_args *args) {
  job j = {.args = args, .w = lb__int8_wanted(args)};
  j.cut = &j.w->cut;
  j.x.N = args->x->shape[0];
  return j;
}

/* Workspace: values, step sizes, sums, scratch. */
static size_t values_bytes(const job *j) {
  return padded((size_t)(j->x.N * row_bytes(j->cut)));
}
static size_t groups_bytes(const job *j) {
  return padded((size_t)(j->x.N * j->cut->n_groups) * sizeof(float));
}

size_t lb__int8_linear_workspace(const lb__linear_args *args) {
  job j = describe(args);
  return values_bytes(&j) + 2 * groups_bytes(&j) + scratch_bytes(j.cut) * (size_t)lb_threads_get();
}

lb_status lb__int8_linear(const lb__linear_args *args, void *workspace) {
  job j = describe(args);
  char *memory = workspace;
  j.x.values = (int8_t *)memory;
  j.x.scales = (float *)(void *)(memory += values_bytes(&j));
  j.x.sums = (int32_t *)(void *)(memory += groups_bytes(&j));
  j.scratch = memory + groups_bytes(&j);
  lb__parallel_for(j.x.N, 1 + 16384 / j.cut->I, quantize_rows, &j);
  cut_tasks(&j);
  lb__parallel_for_dynamic(pieces(j.w->panels, j.panel_step) * j.n_row_parts, 1, run_tasks, &j);
  return LB_OK;
}
