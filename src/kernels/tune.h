/* tune.h - the fastest of the kernels that could do a kind of product, found by trying. Flags lie:
 * bfloat16 products are twice as fast as float32 on one CPU that has them, half as fast on another.
 *
 * The first candidate of a class that runs is taken unless another was measured to be faster by
 * LB__RATE_MARGIN: a noisy machine should not choose anew each day, since kernels differ in their
 * last digits. */
#ifndef LB_KERNELS_TUNE_H
#define LB_KERNELS_TUNE_H

#include "ops/kernel_table.h"

enum { LB__TUNE_CANDIDATES = 3 };

typedef struct lb__candidate {
  const char *name;     /* NULL: no more */
  bool runs;            /* on this machine, in the sets that are allowed */
  void (*select)(void); /* makes linear use it */
  double gflops;        /* of one thread; 0: not measured */
} lb__candidate;

/* A product x [N,I] times weight [O,I] that stands for others like it. */
typedef struct lb__product_class {
  const char *name, *text;
  int64_t N, I, O;
  lb_dtype dtype; /* of the weight; one that lb__row_from_f32 writes */
  lb__compute compute;
  lb__candidate candidates[LB__TUNE_CANDIDATES];
  int chosen; /* index of a candidate; -1: none runs */
} lb__product_class;

/* Selects a candidate of each class, one class after the other, and sets `chosen`. With
 * `may_measure` also `gflops`: measured now, or before on this machine with this program and these
 * libraries, which the user's cache folder remembers (base/files.h). A folder that cannot be
 * written only costs another measurement. */
void lb__tune(lb__product_class *classes, int n, bool may_measure);

#endif
