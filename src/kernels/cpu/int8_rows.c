/* int8_rows.c - rows of floats, rotated and rounded to 8 bits. Owns: how inputs are cut into
 * groups, and how rounded activations lie. The arithmetic: packed.h. */
#include "base/threads.h"
#include "packed.h"
#include "sizes.h"
#include "tensor/tensor_data.h"

static const lb__int8_kernels *kernels = &lb__int8_reference;

void lb__int8_select(const lb__int8_kernels *selected) {
  kernels = selected;
}
const lb__int8_kernels *lb__int8_selected(void) {
  return kernels;
}
const lb__int8_kernels *lb__int8_kernels_for(int64_t N, const lb__int8_cut *c) {
  const lb__int8_kernels *k = kernels;
  while (k->otherwise != NULL && (N < k->least_rows || c->quads * LB__INT8_DEPTH % k->depth != 0))
    k = k->otherwise;
  return k;
}

/* Small groups round more finely, but each costs a scaling of the sums (docs/decisions/0007). */
lb__int8_cut lb__int8_cut_of(int64_t I) {
  enum { LEAST = 64, MOST = 128 };
  int64_t block = smaller(I & -I, MOST);
  lb__int8_cut c = {.I = I, .size = block >= LEAST ? block : I, .block = block};
  c.n_groups = I / c.size;
  c.quads = pieces(c.size, LB__INT8_DEPTH);
  return c;
}

/* ---- one row ---- */

static size_t floats_bytes(int64_t n) {
  return padded((size_t)n * sizeof(float));
}

size_t lb__int8_scratch_bytes(const lb__int8_cut *c) {
  return floats_bytes(c->I) + floats_bytes(c->n_groups) + padded((size_t)lb__int8_row_bytes(c));
}

lb__int8_scratch lb__int8_scratch_at(void *memory, const lb__int8_cut *c) {
  char *scales = (char *)memory + floats_bytes(c->I);
  return (lb__int8_scratch){.x = memory,
                            .scales = (float *)(void *)scales,
                            .bytes = (int8_t *)scales + floats_bytes(c->n_groups)};
}

/* Padding is 0. */
void lb__int8_round_row(const lb__int8_scratch *s, const float *x, const lb__int8_cut *c) {
  kernels->rotate(s->x, x, c->I, c->block);
  for (int64_t g = 0; g < c->n_groups; g++) {
    int8_t *group = s->bytes + g * c->quads * LB__INT8_DEPTH;
    kernels->quantize(group, &s->scales[g], s->x + g * c->size, c->size);
    for (int64_t i = c->size; i < c->quads * LB__INT8_DEPTH; i++) group[i] = 0;
  }
}

/* ---- all rows: values, step sizes, sums; then scratch for each thread ---- */

static size_t values_bytes(int64_t N, const lb__int8_cut *c) {
  return padded((size_t)(N * lb__int8_row_bytes(c)));
}

size_t lb__int8_rows_bytes(int64_t N, const lb__int8_cut *c) {
  return values_bytes(N, c) + 2 * floats_bytes(N * c->n_groups) +
         lb__int8_scratch_bytes(c) * (size_t)lb_threads_get();
}

lb__int8_rows lb__int8_rows_at(void *memory, int64_t N, const lb__int8_cut *c) {
  char *scales = (char *)memory + values_bytes(N, c);
  char *sums = scales + floats_bytes(N * c->n_groups);
  return (lb__int8_rows){.kernels = lb__int8_kernels_for(N, c),
                         .N = N,
                         .values = memory,
                         .scales = (float *)(void *)scales,
                         .sums = (int32_t *)(void *)sums};
}

typedef struct rounding {
  lb__int8_cut cut;
  lb__int8_rows rows;
  const float *x;
  char *scratch;
} rounding;

/* The bytes of a row, `depth` at a time; which is constant where that matters. */
static inline void spread(int8_t *to, const int8_t *bytes, int64_t n, int64_t R, int64_t depth) {
  for (int64_t d = 0; d < n; d += depth) memcpy(to + d * R, bytes + d, (size_t)depth);
}

/* Row n of the activations into its block. */
static void place_row(const rounding *j, int64_t n, const lb__int8_scratch *s) {
  int64_t rows = j->rows.kernels->rows, first = n / rows * rows, r = n - first;
  int64_t R = lb__int8_block_rows(&j->rows, first), quads = j->cut.quads;
  int8_t *values = j->rows.values + first * lb__int8_row_bytes(&j->cut);
  for (int64_t g = 0; g < j->cut.n_groups; g++) {
    int64_t at = first * j->cut.n_groups + g * R + r, n_bytes = quads * LB__INT8_DEPTH;
    j->rows.sums[at] = -LB__INT8_ZERO * lb__int8_sum(s->bytes + g * n_bytes, n_bytes);
    j->rows.scales[at] = s->scales[g];
  }
  int64_t bytes = lb__int8_row_bytes(&j->cut);
  if (j->rows.kernels->depth == LB__INT8_DEPTH)
    spread(values + r * LB__INT8_DEPTH, s->bytes, bytes, R, LB__INT8_DEPTH);
  else
    spread(values + r * j->rows.kernels->depth, s->bytes, bytes, R, j->rows.kernels->depth);
}

static void round_some(void *ctx, int64_t begin, int64_t end) {
  const rounding *j = ctx;
  size_t each = lb__int8_scratch_bytes(&j->cut);
  lb__int8_scratch s = lb__int8_scratch_at(j->scratch + each * (size_t)lb__thread_index(), &j->cut);
  for (int64_t n = begin; n < end; n++) {
    lb__int8_round_row(&s, j->x + n * j->cut.I, &j->cut);
    place_row(j, n, &s);
  }
}

void lb__int8_round_rows(void *memory, const lb_tensor *x) {
  rounding j = {.cut = lb__int8_cut_of(x->shape[1]), .x = lb__tensor_f32(x)};
  j.rows = lb__int8_rows_at(memory, x->shape[0], &j.cut);
  j.scratch = (char *)j.rows.sums + floats_bytes(j.rows.N * j.cut.n_groups);
  lb__parallel_for(j.rows.N, 1 + 16384 / j.cut.I, round_some, &j);
}
