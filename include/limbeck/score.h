/** limbeck/score.h - what a model thinks of given tokens: log-probabilities, the base of every
 *  evaluation. Documents lie end to end; logits exist for a chunk of tokens at a time.
 *
 *      lb_prompt document = {.ids = ids, .n_ids = n};
 *      lb_scores *scores;
 *      lb_status st = lb_score(&scores, model, &document, 1, &options, &err);
 *      lb_scores_get(scores, 0)->nll ...                                                     */
#ifndef LIMBECK_SCORE_H
#define LIMBECK_SCORE_H

#include <limbeck/generate.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lb_score_options {
  int64_t top_k; /* how many best tokens to report per position; default 0, at most 1024 */
} lb_score_options;
LB_API lb_score_options lb_score_options_default(void);

/** Of one document of n ids; position t describes the prediction made after reading ids[0..t]. */
typedef struct lb_score_row {
  size_t n;
  const float *logprobs;     /* [n] log-probability of ids[t] given ids[0..t-1], nats; [0] is NaN */
  const int32_t *argmax;     /* [n] */
  const float *logsumexp;    /* [n] of the raw logits */
  const int32_t *top_ids;    /* [n, top_k] best first */
  const float *top_logprobs; /* [n, top_k] */
  int64_t top_k;
  double nll; /* mean of -logprobs over t >= 1, nats per token; NaN when n < 2 */
} lb_score_row;

typedef struct lb_scores lb_scores;

/** @owns *out: lb_scores_free   @error LB_E_ARG (empty document, id outside the vocabulary, longer
 *  than the model's context; top_k), LB_E_NOMEM, LB_E_NUMERIC (logits not finite: which document,
 * after which token)   @test tests/unit/test_score.c */
LB_API LB_NODISCARD lb_status lb_score(lb_scores **out, lb_model *model, const lb_prompt *documents,
                                       size_t n_documents, const lb_score_options *options,
                                       lb_error *err);
LB_API void lb_scores_free(lb_scores *scores);
LB_API const lb_score_row *lb_scores_get(const lb_scores *scores, size_t document);

/* ---- what a faster precision costs ---- */

/** One precision beside float32, on given documents. KL(f32 || it) is of the prediction after each
 *  token, over the whole vocabulary, in nats. */
typedef struct lb_precision_figures {
  lb_precision precision;
  double mean_kl, p99_kl, worst_kl; /* over all tokens; of F32 exactly 0 */
  double agreement;                 /* share of tokens after which both find the same one best */
  double nll, perplexity;       /* as lb_score_row's, over all documents; NaN: nothing to predict */
  double read_rate, write_rate; /* tokens/s: reading these documents, writing one more */
  uint64_t resident_bytes;      /* by which memory grew when it was opened and used */
} lb_precision_figures;

#define LB_PRECISIONS_MOST 8
typedef struct lb_precision_comparison {
  lb_precision_figures precisions[LB_PRECISIONS_MOST]; /* [n] the first is F32 */
  size_t n;
  int64_t n_tokens, n_predicted; /* of all documents; those with one before them */
} lb_precision_comparison;

/** Reads the documents in every precision that the model can compute in on this machine: F32; BF16
 *  where the CPU has such products; INT8; STORED where weights lie in blocks. Logits exist for some
 *  tens of tokens at a time; sums are in double.
 *  @param  path    as for lb_model_open: each precision is opened anew, all are open together
 *  @param  cancel  non-zero there stops it with LB_E_CANCELLED; may be NULL
 *  @error  as lb_model_open and lb_score; LB_E_ARG when there is no document
 *  @test   tests/unit/test_precisions.c */
LB_API LB_NODISCARD lb_status lb_compare_precisions(lb_precision_comparison *out, const char *path,
                                                    const lb_prompt *documents, size_t n_documents,
                                                    const volatile int *cancel, lb_error *err);

#ifdef __cplusplus
}
#endif
#endif
