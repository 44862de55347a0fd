/* sampler.h - from a row of logits to a token: Transformers' processors and warpers, in its order.
 *
 *   repetition_penalty, min_new_tokens                      every search (lb__row_process)
 *   temperature, top_k, top_p, min_p                        sampling only (lb__row_warp)
 *   draw                                                    inverse CDF (lb__row_draw)
 *
 * A removed token has the logit -inf. Works on host rows of V floats; sums are in double.
 * Refuses: knowing where logits come from. */
#ifndef LB_GENERATE_SAMPLER_H
#define LB_GENERATE_SAMPLER_H

#include <limbeck/generate.h>

#include "base/random.h"

/* Scratch for one row at a time, made once per generation. */
typedef struct lb__sampler {
  int64_t vocab_size;
  float *row;      /* [V] the row being worked on */
  double *weights; /* [V] exp(logit - max) */
  int32_t *heap;   /* [V] candidates of top_k and top_p */
  uint32_t *seen;  /* [V] == mark: this id was met already */
  uint32_t mark;
} lb__sampler;

lb_status lb__sampler_init(lb__sampler *s, int64_t vocab_size, lb_error *err);
void lb__sampler_deinit(lb__sampler *s);

/* What came before the token being chosen. */
typedef struct lb__history {
  const int32_t *prompt, *fresh; /* ids */
  size_t n_prompt, n_fresh;
} lb__history;

/* Whether lb__row_process would change anything at this step. */
bool lb__row_is_processed(const lb_generate_options *o, size_t n_fresh);

/* On s->row, which holds logits (or, in beam search, log-probabilities: as Transformers does). */
void lb__row_process(lb__sampler *s, const lb_generate_options *o, const int32_t *eos_ids,
                     size_t n_eos_ids, lb__history history);
void lb__row_warp(lb__sampler *s, const lb_generate_options *o);

/* The token at u of the cumulative distribution of s->row, u in [0, 1).
 * @return -1 when no token is possible */
int32_t lb__row_draw(lb__sampler *s, double u);
/* The first of the largest. -1 when no token is possible. */
int32_t lb__row_argmax(const lb__sampler *s);
/* log(sum(exp(row))) in double; not finite when the row is not, or holds only -inf. */
double lb__row_logsumexp(const float *row, int64_t n);

/* The number in [0, 1) that belongs to a token: a pure function of its four coordinates. */
double lb__sample_uniform(uint64_t seed, size_t prompt, size_t sequence, size_t step);

#endif
