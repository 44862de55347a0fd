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

/* ---- activations, a row after the other ---- */

enum { HALF_GROUP = LB__STORED_GROUP / 2, FLOATS_STEP = 8 };

static bool in_lanes(int64_t N) {
  return kernels->lanes_from > 0 && N >= kernels->lanes_from;
}

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

typedef struct rounding {
  const float *x;
  int64_t N, I;
  void *rows;
} rounding;

/* Rounded numbers of a group: integers, their step size, and that times the sum of each half. */
typedef struct group {
  int8_t values[LB__STORED_GROUP];
  float scale, first, second, both;
} group;

static group round_group(const float *x) {
  group g;
  lb__int8_selected()->quantize(g.values, &g.scale, x, LB__STORED_GROUP);
  float first = (float)lb__int8_sum(g.values, HALF_GROUP);
  float second = (float)lb__int8_sum(g.values + HALF_GROUP, HALF_GROUP);
  g.first = g.scale * first;
  g.second = g.scale * second;
  g.both = g.scale * (first + second);
  return g;
}

static void round_row(const lb__stored_row *r, const float *x, int64_t I) {
  memset(r->scales[0], 0, (size_t)((char *)r->values - (char *)r->scales[0])); /* pads all four */
  for (int64_t i = 0; i < I / LB__STORED_GROUP; i++) {
    group g = round_group(x + i * LB__STORED_GROUP);
    memcpy(r->values + i * LB__STORED_GROUP, g.values, sizeof g.values);
    r->scales[1][i] = r->scales[0][2 * i] = r->scales[0][2 * i + 1] = g.scale;
    r->offsets[0][2 * i] = g.first;
    r->offsets[0][2 * i + 1] = g.second;
    r->offsets[1][i] = g.both;
  }
}

static void round_some(void *ctx, int64_t begin, int64_t end) {
  const rounding *j = ctx;
  for (int64_t n = begin; n < end; n++) {
    lb__stored_row r = row_at(j->rows, j->I, n);
    round_row(&r, j->x + n * j->I, j->I);
  }
}

/* ---- activations, a row in each lane ---- */

static size_t block_bytes(int64_t I) {
  int64_t floats = 4 * (I / LB__STORED_GROUP) * LB__STORED_LANES;
  return padded((size_t)floats * sizeof(float) + (size_t)(I * LB__STORED_LANES));
}

static lb__stored_block block_at(void *memory, int64_t I, int64_t b) {
  int64_t floats = I / LB__STORED_GROUP * LB__STORED_LANES;
  lb__stored_block x = {.scales = (float *)(void *)((char *)memory + (size_t)b * block_bytes(I))};
  x.offsets[0] = x.scales + floats;
  x.offsets[1] = x.offsets[0] + 2 * floats;
  x.values = (int8_t *)(x.offsets[1] + floats);
  return x;
}

/* Row t of a block. */
static void place_lane(const lb__stored_block *b, int64_t t, const float *x, int64_t I) {
  for (int64_t i = 0; i < I / LB__STORED_GROUP; i++) {
    group g = round_group(x + i * LB__STORED_GROUP);
    int8_t *to = b->values + (i * LB__STORED_GROUP * LB__STORED_LANES + t * LB__STORED_DEPTH);
    for (int64_t k = 0; k < LB__STORED_GROUP; k += LB__STORED_DEPTH)
      memcpy(to + k * LB__STORED_LANES, g.values + k, LB__STORED_DEPTH);
    b->scales[i * LB__STORED_LANES + t] = g.scale;
    b->offsets[0][2 * i * LB__STORED_LANES + t] = g.first;
    b->offsets[0][(2 * i + 1) * LB__STORED_LANES + t] = g.second;
    b->offsets[1][i * LB__STORED_LANES + t] = g.both;
  }
}

/* Blocks begin .. end - 1. */
static void round_lanes(void *ctx, int64_t begin, int64_t end) {
  const rounding *j = ctx;
  for (int64_t b = begin; b < end; b++) {
    lb__stored_block block = block_at(j->rows, j->I, b);
    int64_t n = b * LB__STORED_LANES, rows = smaller(LB__STORED_LANES, j->N - n);
    if (rows < LB__STORED_LANES) memset(block.scales, 0, block_bytes(j->I));
    for (int64_t t = 0; t < rows; t++) place_lane(&block, t, j->x + (n + t) * j->I, j->I);
  }
}

size_t lb__stored_rows_bytes(int64_t N, int64_t I) {
  if (in_lanes(N)) return (size_t)pieces(N, LB__STORED_LANES) * block_bytes(I);
  return (size_t)N * row_bytes(I);
}

void lb__stored_round_rows(void *memory, const lb_tensor *x) {
  rounding j = {.x = lb__tensor_f32(x), .N = x->shape[0], .I = x->shape[1], .rows = memory};
  if (in_lanes(j.N))
    lb__parallel_for(pieces(j.N, LB__STORED_LANES), 1 + 1024 / j.I, round_lanes, &j);
  else
    lb__parallel_for(j.N, 1 + 16384 / j.I, round_some, &j);
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

/* LB__STORED_OUTPUTS weight rows, which stay in the first-level cache, meet all activations. */
static void weight_rows(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  for (int64_t o = begin; o < end; o += LB__STORED_OUTPUTS)
    for (int64_t n = 0; n < j->N; n += LB__STORED_MOST_DOTS)
      some_rows(j, n, o, smaller(o + LB__STORED_OUTPUTS, end));
}

enum { MOST_BLOCKS = LB__STORED_MOST_ROWS / LB__STORED_LANES };

/* `sums` of the blocks from `first` on. */
static void put_lanes(const job *j, lb__stored_sums *sums, int64_t first, int64_t o,
                      int64_t n_outputs) {
  int64_t begin = first * LB__STORED_LANES;
  for (int64_t n = begin; n < smaller(j->N, begin + LB__STORED_MOST_ROWS); n++) {
    float *out = j->out + n * j->O + o;
    lb__stored_sums *block = sums + (n - begin) / LB__STORED_LANES;
    for (int64_t k = 0; k < n_outputs; k++)
      out[k] = (*block)[k][n % LB__STORED_LANES] + (j->bias != NULL ? j->bias[o + k] : 0.0f);
  }
}

/* Up to MOST_BLOCKS blocks meet LB__STORED_OUTPUTS weight rows from o on. */
static void some_lanes(const job *j, int64_t first, int64_t o) {
  lb__stored_block x[MOST_BLOCKS];
  _Alignas(64) lb__stored_sums sums[MOST_BLOCKS];
  int64_t n_blocks = smaller(MOST_BLOCKS, pieces(j->N, LB__STORED_LANES) - first);
  int64_t n = smaller(LB__STORED_OUTPUTS, j->O - o);
  for (int64_t b = 0; b < n_blocks; b++) x[b] = block_at(j->args->prepared, j->I, first + b);
  const char *rows = j->weight + (size_t)o * j->row_bytes;
  if (first == 0) lb__fetch_ahead(rows, (size_t)n * j->row_bytes);
  kernels->lanes[j->args->weight->dtype](sums, x, n_blocks, j->I, rows, j->row_bytes, n);
  put_lanes(j, sums, first, o, n);
}

/* The same with activations in lanes; begin and end count LB__STORED_OUTPUTS rows. */
static void weight_lanes(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  for (int64_t i = begin; i < end; i++)
    for (int64_t first = 0; first * LB__STORED_LANES < j->N; first += MOST_BLOCKS)
      some_lanes(j, first, i * LB__STORED_OUTPUTS);
}

lb_status lb__stored_linear(const lb__linear_args *args) {
  const lb_tensor *w = args->weight;
  job j = {.args = args, .weight = lb__tensor_data(w), .out = lb__tensor_f32(args->out)};
  j.N = args->x->shape[0], j.I = w->shape[1], j.O = w->shape[0];
  if (args->bias != NULL) j.bias = lb__tensor_f32(args->bias);
  j.row_bytes = w->size_bytes / (size_t)j.O;
  int64_t grain = 1 + 65536 / (j.I * j.N);
  if (in_lanes(j.N))
    lb__parallel_for(pieces(j.O, LB__STORED_OUTPUTS), pieces(grain, LB__STORED_OUTPUTS),
                     weight_lanes, &j);
  else
    lb__parallel_for(j.O, grain, weight_rows, &j);
  return LB_OK;
}
