/* draws.h - dropout's draws (cpu/dropout_draw.h), a vector of them at a time: Philox4x32-10 as in
 * base/random.c, of which a draw uses the first two words. */
#ifndef LB_KERNELS_DRAWS_H
#define LB_KERNELS_DRAWS_H

#include "simd.h"

#include "base/random.h"
#include "ops/ops.h"

#include <math.h>

/* A draw x of 64 bits zeroes when (x >> 11) * 2^-53 < p, which is x < limit. */
typedef struct draws {
  uint64_t first, key, step, limit;
  float kept; /* 1 / (1 - p) */
} draws;

static inline draws draws_of(const lb__dropout *d) {
  lb__random_key key = {d->seed, LB__PURPOSE_DROPOUT};
  double p = (double)d->p;
  return (draws){.first = (uint64_t)d->site << 48,
                 .key = lb__random_mixed(key),
                 .step = d->step,
                 .limit = (uint64_t)ceil(p * 0x1p53) << 11,
                 .kept = (float)(1.0 / (1.0 - p))};
}

LB__INLINE words w_set(uint32_t x) {
  return (words)i_set((int)x);
}

/* Elements i .. i + LANES - 1: 0 or 1 / (1 - p). */
LB__INLINE vec v_dropout(const draws *d, uint64_t i) {
  uint64_t index = d->first + i;
  words lanes = (words)i_lanes(), c0 = w_set((uint32_t)index) + lanes;
  words c1 = w_set((uint32_t)(index >> 32)) - (words)(c0 < lanes); /* the carry */
  words c2 = w_set((uint32_t)d->step), c3 = w_set((uint32_t)(d->step >> 32));
  uint32_t key0 = (uint32_t)d->key, key1 = (uint32_t)(d->key >> 32);
  for (int round = 0; round < 10; round++) {
    veci high0, low0, high1, low1;
    i_product(&high0, &low0, (veci)c0, 0xD2511F53u);
    i_product(&high1, &low1, (veci)c2, 0xCD9E8D57u);
    c0 = (words)high1 ^ c1 ^ w_set(key0);
    c1 = (words)low1;
    c2 = (words)high0 ^ c3 ^ w_set(key1);
    c3 = (words)low0;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  words low = w_set((uint32_t)d->limit), high = w_set((uint32_t)(d->limit >> 32));
  words kept = (words)(c1 > high) | ((words)(c1 == high) & (words)(c0 >= low));
  return v_of_bits(i_and((veci)kept, (veci)v_set(d->kept)));
}

#endif
