/* compare.h - a student beside its teacher on held-out documents: how surprised each is by the
 * text, how far apart their predictions are, how fast each reads. Owns: means over measured
 * positions, and each document's part of them. Refuses: keeping logits (loss/fused_head.h makes
 * them a chunk at a time), gradients.
 */
#ifndef LB_EVALUATE_COMPARE_H
#define LB_EVALUATE_COMPARE_H

#include "data/corpus.h"
#include "model/forward.h"

typedef struct lb__side_figures { /* all NaN: there is no such model */
  double ce, perplexity;          /* nats per measured token, at temperature 1; exp of it */
  double tokens_per_second;       /* reading: every token through the layers and the head */
} lb__side_figures;

typedef struct lb__comparison {
  lb__side_figures student, teacher;
  double accuracy; /* share of positions where the student's best token is the text's */
  double forward_kl, reverse_kl; /* KL(teacher || student) and back, nats; NaN without a teacher */
  double agreement;              /* share where both find the same token best; NaN likewise */
  int64_t n_documents, n_tokens, n_measured; /* read; positions with a target, which are measured */
  int64_t n_cut; /* documents that were longer than a model's context and lost their end */
} lb__comparison;

/* [lb__corpus_n_documents] sums over each document's measured positions, nats: zero where there is
 * none, NaN without a teacher. The caller's arrays. */
typedef struct lb__document_kl {
  double *forward, *reverse;
} lb__document_kl;

/* Reads the documents with both models. Only positions with a target are measured, over the first
 * `vocab` tokens of both vocabularies (the true common size).
 * @param documents  both arrays are overwritten; may be NULL
 * @param teacher  may be NULL, and may be the student itself
 * @param cancel   non-zero there: LB_E_CANCELLED; may be NULL
 * @error LB_E_ARG (no document; an id or target outside a vocabulary), LB_E_NUMERIC (a model's
 *        predictions are not finite), LB_E_CANCELLED, LB_E_NOMEM   @test tests/unit/test_compare.c
 */
lb_status lb__compare_models(lb__comparison *out, const lb__document_kl *documents,
                             lb_model *teacher, lb_model *student, const lb__corpus *held_out,
                             int64_t vocab, const volatile int *cancel, lb_error *err);

#endif
