/* dropout_draw.h - the draw of one element (contract: lb__dropout in ops/ops.h), shared by all
 * kernels, so that forward, backward and every kernel set zero the same elements. */
#ifndef LB_KERNELS_DROPOUT_DRAW_H
#define LB_KERNELS_DROPOUT_DRAW_H

#include "base/random.h"
#include "ops/ops.h"

/* 0, or 1 / (1 - p). */
static inline double lb__dropout_factor(const lb__dropout *d, uint64_t i) {
  double p = (double)d->p;
  if (!(p > 0.0)) return 1.0;
  lb__random_key key = {d->seed, LB__PURPOSE_DROPOUT};
  uint64_t index = ((uint64_t)d->site << 48) + i;
  return lb__random_uniform(key, d->step, index) < p ? 0.0 : 1.0 / (1.0 - p);
}

#endif
