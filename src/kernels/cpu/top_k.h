/* top_k.h - the K best of a row, kept sorted while the row is read from the left. Shared by all
 * kernels of logits_stats, so that ties and NaN mean the same everywhere: equal logits go to the
 * smaller id, NaN comes after everything. */
#ifndef LB_KERNELS_TOP_K_H
#define LB_KERNELS_TOP_K_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct lb__top_k {
  int32_t *ids; /* [K] */
  float *logits;
  int64_t count, K;
} lb__top_k;

static inline bool lb__top_k_better(float x, float y) {
  return x > y || (isnan(y) && !isnan(x));
}

/* Offers logit x of id; ids come in increasing order. */
static inline void lb__top_k_offer(lb__top_k *t, int32_t id, float x) {
  if (t->count == t->K && !lb__top_k_better(x, t->logits[t->K - 1])) return;
  int64_t i = t->count < t->K ? t->count++ : t->K - 1;
  for (; i > 0 && lb__top_k_better(x, t->logits[i - 1]); i--) {
    t->logits[i] = t->logits[i - 1];
    t->ids[i] = t->ids[i - 1];
  }
  t->logits[i] = x;
  t->ids[i] = id;
}

#endif
