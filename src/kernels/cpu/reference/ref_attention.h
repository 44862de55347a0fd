/* ref_attention.h - the score of a query and a key, for forward and backward alike. */
#ifndef LB_KERNELS_REF_ATTENTION_H
#define LB_KERNELS_REF_ATTENTION_H

#include "reference.h"

#include "kernels/cpu/attention_keys.h"

#include <math.h>

/* n products of a from element i on and b from element j on. */
static inline double lb__ref_dot(const lb_tensor *a, int64_t i, const lb_tensor *b, int64_t j,
                                 int64_t n) {
  double sum = 0.0;
  for (int64_t c = 0; c < n; c++) sum += lb__ref_get(a, i + c) * lb__ref_get(b, j + c);
  return sum;
}

/* First element of row `row`, head h of a tensor [rows, heads, D]. */
static inline int64_t lb__ref_head_at(const lb_tensor *t, int64_t row, int64_t h) {
  return (row * t->shape[1] + h) * t->shape[2];
}

/* scale * q.k, soft-capped; `query` and `key` are elements of a->q and a->k. */
static inline double lb__ref_score(const lb__attention_args *a, int64_t query, int64_t key) {
  double score = lb__ref_dot(a->q, query, a->k, key, a->q->shape[2]) * (double)a->scale;
  double cap = (double)a->softcap;
  return cap > 0.0 ? cap * tanh(score / cap) : score;
}

/* Keys of the longest document: room for the scores of one query. */
static inline int64_t lb__ref_longest_document(const lb__attention_args *a) {
  int64_t longest = 0;
  for (int64_t i = 0; i < a->cu_seqlens->shape[0] - 1; i++) {
    int64_t n = lb__attention_document(a, i).n_keys;
    if (n > longest) longest = n;
  }
  return longest;
}

#endif
