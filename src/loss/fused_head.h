/* fused_head.h - from final hidden states to losses and gradients without ever holding logits.
 *
 * Both heads are applied to a chunk of tokens, the divergence kernel turns the chunk of student
 * logits into losses and their gradient in place, and that gradient goes straight on into the
 * hidden states' gradient and the head's: no [tokens, vocabulary] tensor exists, only [chunk,
 * vocabulary]. (The idea: Liger-Kernel's fused linear losses, arXiv:2410.10989; here with the
 * teacher's head.) Owns: chunks, sums, the common vocabulary. Refuses: knowing models. */
#ifndef LB_LOSS_FUSED_HEAD_H
#define LB_LOSS_FUSED_HEAD_H

#include "ops/ops.h"

enum { LB__HEAD_TERMS_MAX = LB__DIVERGENCE_TERMS_MAX };

/* Rows that are computed at a time unless the caller says otherwise: so many that reading the head
 * and its gradient again for each chunk hardly shows; fewer of a large vocabulary, because a chunk
 * of logits is held for each model. Measured: docs/decisions/0011. */
static inline int64_t lb__head_chunk(int64_t vocab) {
  return vocab <= 65536 ? 512 : 256;
}

/* One model's end: hidden [M,C] F32 for M rows, weight [V,C] (any dtype unless it wants a
 * gradient). */
typedef struct lb__head_side {
  const lb_tensor *hidden, *weight;
  float softcap;       /* 0: none */
  lb__compute compute; /* of this head's product */
} lb__head_side;

typedef struct lb__fused_head_args {
  lb__head_side student;
  const lb__head_side *teacher; /* NULL when no term needs it */
  const lb_tensor *targets;     /* [M] I32 in [0, vocab), or -100: no CE there */
  const lb_tensor *weights;     /* [M] F32 or NULL: 1 */
  int64_t vocab;                /* the true common vocabulary: <= both heads' rows */
  const lb__divergence_term *terms;
  size_t n_terms;
  double scale;         /* of gradients: 1 / trained tokens of the optimizer batch */
  int64_t chunk_tokens; /* 0: lb__head_chunk */
  bool want_facts;
  double *row_facts; /* [M, LB__N_ROW_FACTS] of the caller: each row's own, besides the sums; NULL:
                        not wanted. It needs want_facts */
} lb__fused_head_args;

typedef struct lb__fused_head_sums { /* added to, so that micro-batches accumulate */
  double terms[LB__HEAD_TERMS_MAX];  /* sum over rows of w * factor * L_t, in nats */
  double weight;                     /* sum of w */
  double facts[LB__N_ROW_FACTS];     /* sums over rows, unweighted */
  int64_t n_rows;
} lb__fused_head_sums;

/* While the stream records: adds scale * coefficient * gradient to the gradients of the student's
 * head at once, and to student.hidden's when the tape is walked. Otherwise only values.
 * @error LB_E_SHAPE, LB_E_DTYPE, LB_E_ARG (vocab, a temperature, a term without its teacher), NOMEM
 * @exact the same bits for any number of threads; chunk size changes only rounding
 * @test  tests/unit/test_fused_head.c */
lb_status lb__fused_head(lb__stream *s, lb__fused_head_sums *sums, const lb__fused_head_args *args,
                         lb_error *err);

#endif
