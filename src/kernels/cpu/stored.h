/* stored.h - products with weights as they lie in a file's blocks (LB__COMPUTE_STORED): nothing is
 * kept beside the file. Few rows of activations (thin products) are rounded to 8 bits in groups of
 * 32 inputs and multiplied with the very integers of the blocks; with many rows (thick products) it
 * pays to pack panels of the weight on the way (packed.h).
 *
 * A block of 32 or 256 weights is groups of 16 or 32 of which each is  d q + m  with unsigned
 * integers q and two floats. With x = s p in the same groups (p integers):
 *     x . w = sum over groups:  s d (p . q)  +  m s sum(p) */
#ifndef LB_KERNELS_STORED_H
#define LB_KERNELS_STORED_H

#include "ops/kernel_table.h"

enum {
  LB__STORED_GROUP = 32,    /* inputs with one step size */
  LB__STORED_MOST_DOTS = 4, /* rows of activations that meet a row of weights at once */
  LB__STORED_LANES = 16,    /* rows of activations that share a vector, where that is faster */
  LB__STORED_OUTPUTS = 16,  /* rows of weights that such vectors meet */
  LB__STORED_DEPTH = 4,     /* inputs of a lane that lie together */
  LB__STORED_MOST_ROWS = 96 /* with more it pays to pack panels (measured: src/kernels/README.md) */
};

/* A row of activations. Group sizes: [0] 16, [1] 32. The arrays of floats end in zeros up to a
 * multiple of 8; a group with a number that is not finite has NaN for both. */
typedef struct lb__stored_row {
  int8_t *values;                /* [I], -127 .. 127 */
  float *scales[2], *offsets[2]; /* step sizes s; s times the sum of a group */
} lb__stored_row;

/* sums[t] = x[t] . row for n_rows <= LB__STORED_MOST_DOTS */
typedef void lb__stored_dots_fn(float *sums, const lb__stored_row *x, int64_t n_rows, int64_t I,
                                const void *row);

/* LB__STORED_LANES rows of activations, one in each lane; those past the end are zero. Groups as
 * above. */
typedef struct lb__stored_block {
  int8_t *values;             /* [I / 4, 16, 4] */
  float *scales, *offsets[2]; /* [I / 32, 16]; [I / 16, 16] and [I / 32, 16] */
} lb__stored_block;

/* n_outputs <= LB__STORED_OUTPUTS rows of weights and n_blocks blocks:
 * sums[b][o][t] = row t of x[b] . row o */
typedef float lb__stored_sums[LB__STORED_OUTPUTS][LB__STORED_LANES];
typedef void lb__stored_lanes_fn(lb__stored_sums *sums, const lb__stored_block *x, int64_t n_blocks,
                                 int64_t I, const char *rows, size_t row_bytes, int64_t n_outputs);

/* By type of the weight; NULL: no such products. */
typedef struct lb__stored_kernels {
  const char *name;
  lb__stored_dots_fn *dots[LB_DTYPE_COUNT];
  int64_t lanes_from; /* rows from which on `lanes` is faster; 0: it is not there */
  lb__stored_lanes_fn *lanes[LB_DTYPE_COUNT];
} lb__stored_kernels;
extern const lb__stored_kernels lb__stored_reference;
void lb__stored_select(const lb__stored_kernels *kernels); /* called by cpu_select.c */

bool lb__stored_has(lb_dtype dtype);

/* All rows of x [N,I], I a multiple of 32, by all threads, into memory of
 * lb__stored_rows_bytes. */
size_t lb__stored_rows_bytes(int64_t N, int64_t I);
void lb__stored_round_rows(void *memory, const lb_tensor *x);

/* args->prepared: rows that lb__stored_round_rows made of x. */
lb_status lb__stored_linear(const lb__linear_args *args);

#endif
