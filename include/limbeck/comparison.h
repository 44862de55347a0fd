/** limbeck/comparison.h - how good a student is, beside its teacher and beside a baseline: on the
 * same held-out documents, with the uncertainty of the difference.
 *
 *      const char *data[] = {"held-out.jsonl"};
 *      lb_compare_options options = lb_compare_options_default();
 *      options.models[LB_COMPARED_TEACHER] = "gpt2-medium";
 *      options.models[LB_COMPARED_STUDENT] = "distilled";
 *      options.data = data;
 *      options.n_data = 1;
 *      lb_model_comparison *found;
 *      lb_status st = lb_compare(&found, &options, &err);                                        */
#ifndef LIMBECK_COMPARISON_H
#define LIMBECK_COMPARISON_H

#include <limbeck/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lb_compared_role {
  LB_COMPARED_TEACHER,
  LB_COMPARED_STUDENT,
  LB_COMPARED_BASELINE,
  LB_N_COMPARED
} lb_compared_role;
LB_API const char *lb_compared_role_name(lb_compared_role role); /* "teacher" */

typedef struct lb_compare_options {
  const char *models[LB_N_COMPARED]; /* paths; NULL: there is none. The student, and one more */
  const char *const *data;           /* [n_data] files and folders, as a recipe's data.train */
  size_t n_data;
  int64_t max_length;         /* of a document, in tokens; default 1024; its end is cut off */
  int64_t max_documents;      /* default 0: all */
  const char *const *prompts; /* [n_prompts] that each model continues, greedily */
  size_t n_prompts;
  int64_t max_new_tokens; /* default 50 */
  lb_model_options how;   /* all models are opened; default: in F32 */
  /* "opening, teacher"; "reading documents, student", with how many readings of a document by a
   * model are done of how many; total 0: not known yet. May be NULL */
  void (*on_phase)(void *ctx, const char *what, uint64_t done, uint64_t total);
  void *on_phase_ctx;
  const volatile int *cancel; /* non-zero there ends it with LB_E_CANCELLED; may be NULL */
} lb_compare_options;
LB_API lb_compare_options lb_compare_options_default(void);

/** NaN where there is nothing to measure: the divergences without a teacher, and for the teacher
 *  itself. */
typedef struct lb_compared {
  bool is_there;
  double perplexity;             /* exp of the mean -log p, over measured tokens */
  double forward_kl, reverse_kl; /* KL(teacher || it) and back, nats a token */
  /* Their standard errors over documents, nats a token: the ratio estimator of
   * lb_model_comparison.gain_error. NaN also with fewer than two documents. */
  double forward_kl_error, reverse_kl_error;
  double agreement;         /* share of tokens where both find the same token best */
  double accuracy;          /* share where its best token is the text's */
  double calibration_error; /* expected, of the best token's probability: sum over 15 bins of equal
                               width of |accuracy - mean probability|, weighted by their tokens
                               (Naeini et al. 2015; Guo et al. 2017, arXiv:1706.04599) */
  int64_t parameters;
  uint64_t size_bytes;        /* of its weights, as stored */
  double read_rate;           /* tokens/s: reading these documents */
  double write_rate;          /* tokens/s: writing one text alone */
  const char *const *answers; /* [n_prompts] */
} lb_compared;

typedef struct lb_model_comparison {
  lb_compared models[LB_N_COMPARED];
  int64_t documents, tokens, measured,
      cut; /* read; with a token to predict; longer than a context */
  /** ln perplexity of the baseline minus that of the student, and its standard error over documents
   *  (the ratio estimator of Cochran, Sampling Techniques, 1977, section 6.4); NaN without a
   * baseline or with fewer than two documents. */
  double gain, gain_error;
  /** Likewise the baseline's KL minus the student's, nats a token: how much nearer to the teacher
   *  the student is. Both read the same documents, so the error is that of the difference, not of
   *  two samples. NaN without a teacher or a baseline. */
  double forward_kl_gain, forward_kl_gain_error;
  double reverse_kl_gain, reverse_kl_gain_error;
} lb_model_comparison;

/** Reads every document with every model. Memory: the models, the documents' tokens, a chunk of
 *  logits. The same figures, speeds aside, for any number of threads.
 *  @owns   *out: lb_model_comparison_free
 *  @error  LB_E_ARG (no student or nothing to compare it with, no data, vocabularies that differ:
 * the first token that does), LB_E_IO, LB_E_FORMAT, LB_E_UNSUPPORTED, LB_E_NUMERIC, LB_E_NOMEM,
 *          LB_E_CANCELLED
 *  @test   tests/cli/test_compare.sh, tests/golden/test_peer_compare.sh */
LB_API LB_NODISCARD lb_status lb_compare(lb_model_comparison **out,
                                         const lb_compare_options *options, lb_error *err);
LB_API void lb_model_comparison_free(lb_model_comparison *comparison);

#ifdef __cplusplus
}
#endif
#endif
