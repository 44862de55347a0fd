/** limbeck/generate.h - making text: greedy, sampling, beam search; several prompts at once.
 *
 *      lb_prompt prompt = {.ids = ids, .n_ids = n};
 *      lb_generate_options options = lb_generate_options_default();
 *      lb_generation *g;
 *      lb_status st = lb_generate(&g, model, tokenizer, &prompt, 1, &options, &err);
 *      lb_generation_sequence(g, 0, 0)->ids ...
 *      lb_generation_free(g);
 *
 *  Option names and meanings are those of Transformers' GenerationConfig. Prompts of different
 *  lengths lie end to end; there is no padding.                                              */
#ifndef LIMBECK_GENERATE_H
#define LIMBECK_GENERATE_H

#include <limbeck/model.h>
#include <limbeck/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lb_early_stopping {
  LB_EARLY_STOPPING_FALSE, /* stop when no running beam is likely to beat the finished ones */
  LB_EARLY_STOPPING_TRUE,  /* stop as soon as num_beams are finished */
  LB_EARLY_STOPPING_NEVER  /* stop only when none possibly can */
} lb_early_stopping;

typedef enum lb_finish_reason {
  LB_FINISH_LENGTH, /* max_new_tokens, or the model's context is full: the last token is never read,
                     * so a prompt as long as the context still gets one */
  LB_FINISH_EOS,
  LB_FINISH_STOP /* a stop string, or the callback said so */
} lb_finish_reason;
LB_API const char *lb_finish_reason_name(lb_finish_reason reason); /* "length" "eos" "stop" */

typedef struct lb_prompt {
  const int32_t *ids; /* borrowed during the call */
  size_t n_ids;       /* >= 1 */
} lb_prompt;

/** One new token of one sequence, as it appears (not with beams, whose tokens are not final).
 *  @param text  what it adds to the text: whole characters only, so it may be empty; held back
 *               while it may be the beginning of a stop string; NULL without a tokenizer
 *  @return false to stop this sequence (LB_FINISH_STOP) */
typedef bool lb_token_fn(void *ctx, size_t prompt, size_t sequence, int32_t id, float logprob,
                         const char *text, size_t text_size);

typedef struct lb_generate_options {
  int64_t max_new_tokens;    /* default 128; >= 0 */
  int64_t min_new_tokens;    /* default 0: end tokens are impossible before */
  bool do_sample;            /* default false: greedy */
  double temperature;        /* default 1; > 0 */
  int64_t top_k;             /* default 0: off */
  double top_p;              /* default 1: off; 0 < top_p <= 1 */
  double min_p;              /* default 0: off; 0 <= min_p <= 1 */
  double repetition_penalty; /* default 1: off; > 0; prompt tokens count, as in Transformers */
  uint64_t first_prompt; /* default 0; the number of prompts[0] among all prompts of a larger job:
                            draws do not depend on how the job is cut into calls */
  uint64_t seed;         /* default 0; a draw is a pure function of seed, prompt, sequence, step */
  int64_t num_beams;     /* default 1, at most 256; do_sample and beams exclude each other */
  double length_penalty; /* default 1; score = sum of log-probs / length^length_penalty */
  lb_early_stopping early_stopping; /* default FALSE */
  int64_t num_return_sequences;     /* default 1; greedy allows 1, beams num_beams, sampling 4096 */
  const int32_t *eos_ids;           /* NULL: union of the model's and the tokenizer's; n 0: none */
  size_t n_eos_ids;
  bool ignore_eos;         /* default false */
  const char *const *stop; /* stop strings (need a tokenizer); the text ends before one, the
                            * ids with the token that completed it. Beams obey them too */
  size_t n_stop;
  lb_token_fn *on_token; /* NULL: none */
  void *on_token_ctx;
  const volatile int *cancel; /* non-zero there stops everything with LB_E_CANCELLED; may be NULL */
} lb_generate_options;
LB_API lb_generate_options lb_generate_options_default(void);

typedef struct lb_sequence {
  const int32_t *ids; /* the new tokens only; the end token included when one ended it */
  size_t n_ids;
  const char *text; /* decoded without special tokens and without ids that the tokenizer does not
                     * have, cut before a stop string; "" without a tokenizer */
  size_t text_size;
  double logprob; /* sum of the log-probabilities of ids, of the raw model (no warpers) */
  double score;   /* beams: sum after processors / length^length_penalty; else = logprob */
  lb_finish_reason finish_reason;
} lb_sequence;

typedef struct lb_generation lb_generation;

/** Continues every prompt.
 *  @param  tokenizer  for text and stop strings; NULL gives ids only (LB_E_ARG with stop strings)
 *  @owns   *out: release with lb_generation_free. NULL on failure
 *  @error  LB_E_ARG (an option out of range, named; an id outside the vocabulary; an empty prompt;
 *          a prompt longer than the context), LB_E_NOMEM, LB_E_NUMERIC (logits not finite),
 *          LB_E_CANCELLED
 *  @test   tests/unit/test_search.c, tests/unit/test_generate.c,
 * tests/golden/test_golden_toy_search.c */
LB_API LB_NODISCARD lb_status lb_generate(lb_generation **out, lb_model *model,
                                          const lb_tokenizer *tokenizer, const lb_prompt *prompts,
                                          size_t n_prompts, const lb_generate_options *options,
                                          lb_error *err);
LB_API void lb_generation_free(lb_generation *g);
LB_API size_t lb_generation_n_sequences(const lb_generation *g, size_t prompt);
LB_API const lb_sequence *lb_generation_sequence(const lb_generation *g, size_t prompt, size_t i);

/** Time spent, in nanoseconds, and tokens handled: reading prompts and making new tokens. */
typedef struct lb_generation_times {
  int64_t prompt_ns, generate_ns, prompt_tokens, new_tokens;
} lb_generation_times;
LB_API lb_generation_times lb_generation_get_times(const lb_generation *g);

/* ---- a conversation: the cache of what was already read is kept ---- */

typedef struct lb_session lb_session;
LB_API LB_NODISCARD lb_status lb_session_new(lb_session **out, lb_model *model,
                                             const lb_tokenizer *tokenizer, lb_error *err);
LB_API void lb_session_free(lb_session *session);
/** As lb_generate for one prompt and one sequence (no beams); `prompt` is the whole conversation so
 *  far. Only what differs from the tokens already in the cache is computed, also after a failure.
 *  @owns, @error as lb_generate   @test tests/unit/test_generate.c */
LB_API LB_NODISCARD lb_status lb_session_generate(lb_generation **out, lb_session *session,
                                                  lb_prompt prompt,
                                                  const lb_generate_options *options,
                                                  lb_error *err);

#ifdef __cplusplus
}
#endif
#endif
