/* linear_stored.c - thin products with weights as they are stored. Owns: how rounded activations
 * lie, the cut among threads. The arithmetic: stored.h. */
#include "base/threads.h"
#include "fetch.h"
#include "packed.h"
#include "sizes.h"
#include "stored.h"
#include "tensor/tensor_data.h"

static const lb__stored_kernels *kernels = &lb__stored_reference;

void lb__stored_select(const lb__stored_kernels *selected) {
  kernels = selected;
}

bool lb__stored_has(lb_dtype dtype) {
  return kernels->dots[dtype] != NULL;
}

/* ---- activations ---- */

enum { HALF_GROUP = LB__STORED_GROUP / 2, FLOATS_STEP = 8 };

static int64_t floats_of(int64_t I, int64_t group) {
  return pieces(I / group, FLOATS_STEP) * FLOATS_STEP;
}

/* A row: step sizes and offsets of small groups, of whole ones, values. */
static size_t row_bytes(int64_t I) {
  int64_t floats = 2 * (floats_of(I, HALF_GROUP) + floats_of(I, LB__STORED_GROUP));
  return padded((size_t)floats * sizeof(float) + (size_t)I);
}

static lb__stored_row row_at(void *memory, int64_t I, int64_t n) {
  lb__stored_row r;
  int64_t small = floats_of(I, HALF_GROUP), large = floats_of(I, LB__STORED_GROUP);
  r.scales[0] = (float *)(void *)((char *)memory + (size_t)n * row_bytes(I));
  r.offsets[0] = r.scales[0] + small;
  r.scales[1] = r.offsets[0] + small;
  r.offsets[1] = r.scales[1] + large;
  r.values = (int8_t *)(r.offsets[1] + large);
  return r;
}

size_t lb__stored_rows_bytes(int64_t N, int64_t I) {
  return (size_t)N * row_bytes(I);
}

typedef struct rounding {
  const float *x;
  int64_t I;
  void *rows;
} rounding;

static void round_row(const lb__stored_row *r, const float *x, int64_t I) {
  const lb__int8_kernels *k = lb__int8_selected();
  memset(r->scales[0], 0, (size_t)((char *)r->values - (char *)r->scales[0])); /* pads all four */
  for (int64_t g = 0; g < I / LB__STORED_GROUP; g++) {
    int8_t *values = r->values + g * LB__STORED_GROUP;
    float scale;
    k->quantize(values, &scale, x + g * LB__STORED_GROUP, LB__STORED_GROUP);
    float first = (float)lb__int8_sum(values, HALF_GROUP);
    float second = (float)lb__int8_sum(values + HALF_GROUP, HALF_GROUP);
    r->scales[1][g] = r->scales[0][2 * g] = r->scales[0][2 * g + 1] = scale;
    r->offsets[0][2 * g] = scale * first;
    r->offsets[0][2 * g + 1] = scale * second;
    r->offsets[1][g] = scale * (first + second);
  }
}

static void round_some(void *ctx, int64_t begin, int64_t end) {
  const rounding *j = ctx;
  for (int64_t n = begin; n < end; n++) {
    lb__stored_row r = row_at(j->rows, j->I, n);
    round_row(&r, j->x + n * j->I, j->I);
  }
}

void lb__stored_round_rows(void *memory, const lb_tensor *x) {
  rounding j = {.x = lb__tensor_f32(x), .I = x->shape[1], .rows = memory};
  lb__parallel_for(x->shape[0], 1 + 16384 / j.I, round_some, &j);
}

/* ---- the product ---- */

typedef struct job {
  const lb__linear_args *args;
  const char *weight;
  const float *bias;
  float *out;
  int64_t N, I, O;
  size_t row_bytes;
} job;

/* LB__STORED_MOST_DOTS rows from n on meet weight rows begin .. end-1. */
static void some_rows(const job *j, int64_t n, int64_t begin, int64_t end) {
  lb__stored_row x[LB__STORED_MOST_DOTS];
  int64_t count = smaller(LB__STORED_MOST_DOTS, j->N - n);
  for (int64_t t = 0; t < count; t++) x[t] = row_at(j->args->prepared, j->I, n + t);
  lb__stored_dots_fn *dots = kernels->dots[j->args->weight->dtype];
  for (int64_t o = begin; o < end; o++) {
    float sums[LB__STORED_MOST_DOTS], bias = j->bias != NULL ? j->bias[o] : 0.0f;
    const char *row = j->weight + (size_t)o * j->row_bytes;
    if (n == 0) lb__fetch_ahead(row, j->row_bytes);
    dots(sums, x, count, j->I, row);
    for (int64_t t = 0; t < count; t++) j->out[(n + t) * j->O + o] = sums[t] + bias;
  }
}

/* A few weight rows, which stay in the first-level cache, meet all activations. */
static void weight_rows(void *ctx, int64_t begin, int64_t end) {
  enum { FEW = 16 };
  const job *j = ctx;
  for (int64_t o = begin; o < end; o += FEW)
    for (int64_t n = 0; n < j->N; n += LB__STORED_MOST_DOTS)
      some_rows(j, n, o, smaller(o + FEW, end));
}

lb_status lb__stored_linear(const lb__linear_args *args) {
  const lb_tensor *w = args->weight;
  job j = {.args = args, .weight = lb__tensor_data(w), .out = lb__tensor_f32(args->out)};
  j.N = args->x->shape[0], j.I = w->shape[1], j.O = w->shape[0];
  if (args->bias != NULL) j.bias = lb__tensor_f32(args->bias);
  j.row_bytes = w->size_bytes / (size_t)j.O;
  lb__parallel_for(j.O, 1 + 65536 / (j.I * j.N), weight_rows, &j);
  return LB_OK;
}
