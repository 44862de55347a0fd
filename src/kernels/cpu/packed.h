/* packed.h - weights laid out once for products of 8-bit integers (LB__COMPUTE_INT8).
 *
 * The inputs are cut into groups. In each group a weight row w and a row of activations x are
 * rotated by a Walsh-Hadamard matrix H, so that one large number does not spoil the step size of
 * all others:  w . x = (H w) . (H x) / size,  H H = size,  and rounded to 8 bits with a step size
 * of their own. What it costs in accuracy, and why so: docs/decisions/0007.
 *
 * The sums over a group are exact integers, and what is done to them in float is written down once,
 * in reference/ref_int8.c: all kernels give the same bits. */
#ifndef LB_KERNELS_PACKED_H
#define LB_KERNELS_PACKED_H

#include "ops/kernel_table.h"

enum {
  LB__INT8_VERSION = 1, /* raise it when other numbers come out: auto then measures anew */
  LB__INT8_PANEL = 16,  /* outputs that lie together */
  LB__INT8_DEPTH = 4,   /* inputs of one output that lie together: one 8-bit dot product */
  LB__INT8_ROWS = 12,   /* rows of activations that lie together, unless kernels say else */
  LB__INT8_ZERO = 128,  /* weights are stored as unsigned: value + 128 */
  LB__INT8_MOST_INPUTS = 1 << 16 /* one group of more could overflow its sum */
};

/* How I inputs are cut: groups of `size`, where a power of two of 64 to 256 divides I; else one
 * group, rotated in smaller blocks. Quads are LB__INT8_DEPTH inputs, the last one padded. */
typedef struct lb__int8_cut {
  int64_t I, size, block;  /* of a group; of a rotation, block <= size */
  int64_t n_groups, quads; /* quads of a group */
} lb__int8_cut;

/* Output o, group g, quad q of it, input k of that lies at
 * values[(((o / 16 * n_groups + g) * quads + q) * 16 + o % 16) * 4 + k]. */
typedef struct lb__int8_weight {
  lb__packed base;
  lb__int8_cut cut;
  int64_t O, panels; /* panels of LB__INT8_PANEL outputs; the last one may be padded */
  float *scales;     /* [panels, n_groups, 16] step sizes divided by `block` */
  uint8_t *values;   /* value + 128; padded inputs and outputs are value 0 */
} lb__int8_weight;

/* Rows of activations, in blocks of kernels->rows, the last one shorter. Of each row `depth` bytes
 * lie together: in a block of R rows, bytes d .. d + depth - 1 of row r begin at d * R + r * depth;
 * the step size and the sum of group g lie at g * R + r. */
typedef struct lb__int8_rows {
  const struct lb__int8_kernels *kernels; /* that multiply them */
  int64_t N;
  int8_t *values; /* -127 .. 127; padded inputs are 0 */
  float *scales;  /* step sizes; NaN where the group had a number that is not finite */
  int32_t *sums;  /* -128 times the sum of the group: makes up for LB__INT8_ZERO */
} lb__int8_rows;

/* A part of a product: rows of activations times panels of the weight, scaled, plus bias, into the
 * first O columns of out [N,ldo]. */
typedef struct lb__int8_part {
  const lb__int8_weight *weight;
  const lb__int8_rows *x;
  float *out;
  int64_t ldo;
  const float *bias;   /* [O] or NULL */
  int64_t row, n_rows; /* whole blocks of x, or up to its end */
  int64_t panel, n_panels;
} lb__int8_part;

/* What a set of kernels is made of. */
typedef struct lb__int8_kernels {
  const char *name;
  void (*rotate)(float *out, const float *x, int64_t n, int64_t block); /* out may be x */
  /* n values and their step size */
  void (*quantize)(int8_t *values, float *scale, const float *x, int64_t n);
  void (*product)(const lb__int8_part *part);
  int64_t rows, depth; /* how activations lie */
  /* For fewer rows than this, and groups that are no multiple of `depth`: others. */
  int64_t least_rows;
  const struct lb__int8_kernels *otherwise;
} lb__int8_kernels;
extern const lb__int8_kernels lb__int8_reference, lb__int8_avx512vnni;
void lb__int8_select(const lb__int8_kernels *kernels); /* called by cpu_select.c */
const lb__int8_kernels *lb__int8_selected(void);
/* Those that multiply N rows. */
const lb__int8_kernels *lb__int8_kernels_for(int64_t N, const lb__int8_cut *c);

static inline int64_t lb__int8_block_rows(const lb__int8_rows *x, int64_t first) {
  return x->N - first < x->kernels->rows ? x->N - first : x->kernels->rows;
}

/* ---- int8_rows.c ---- */

lb__int8_cut lb__int8_cut_of(int64_t I);
static inline int64_t lb__int8_row_bytes(const lb__int8_cut *c) { /* n_groups * quads quads */
  return c->n_groups * c->quads * LB__INT8_DEPTH;
}

static inline int32_t lb__int8_sum(const int8_t *values, int64_t n) {
  int32_t sum = 0;
  for (int64_t i = 0; i < n; i++) sum += values[i];
  return sum;
}

/* A row of floats, of bytes, of step sizes: what rounding one row wants. */
typedef struct lb__int8_scratch {
  float *x, *scales;
  int8_t *bytes;
} lb__int8_scratch;
size_t lb__int8_scratch_bytes(const lb__int8_cut *c);
lb__int8_scratch lb__int8_scratch_at(void *memory, const lb__int8_cut *c);

/* x [cut->I] rotated and rounded to s->bytes and s->scales; x may be s->x. */
void lb__int8_round_row(const lb__int8_scratch *s, const float *x, const lb__int8_cut *c);

/* All rows of x [N,I], by all threads, into memory of lb__int8_rows_bytes. */
size_t lb__int8_rows_bytes(int64_t N, const lb__int8_cut *c);
lb__int8_rows lb__int8_rows_at(void *memory, int64_t N, const lb__int8_cut *c);
void lb__int8_round_rows(void *memory, const lb_tensor *x);

/* ---- int8_pack.c ---- */

/* Panels of a weight that lies in rows of any type. */
typedef struct lb__int8_panels {
  lb__int8_cut cut;
  int64_t O;
  const char *rows;
  size_t row_bytes;
  lb_dtype dtype;
} lb__int8_panels;
lb__int8_panels lb__int8_panels_of(const lb_tensor *weight);

/* Panels first .. of the source, as many as `out` has outputs for, by the calling thread. */
void lb__int8_pack_panels(lb__int8_weight *out, const lb__int8_panels *source, int64_t first,
                          const lb__int8_scratch *s);
/* Of `panels` panels: out->values and out->scales in memory of this size. */
size_t lb__int8_panels_bytes(int64_t panels, const lb__int8_cut *c);
void lb__int8_panels_at(lb__int8_weight *out, void *memory);

/* Table entry. */
lb_status lb__int8_pack(lb__packed **out, const lb_tensor *weight, lb__compute compute,
                        bool drop_pages);

/* ---- linear_int8.c ---- */

/* args->prepared: rows that lb__int8_round_rows made of x. Without a packed weight, panels of the
 * stored one are packed on the way and dropped again. */
lb_status lb__int8_linear(const lb__linear_args *args, void *workspace);
size_t lb__int8_linear_workspace(const lb__linear_args *args);

#endif
