/* trainer.h - the loop: batches in, smaller losses out; clipping, AdamW, logging, checkpoints.
 *
 * It knows an objective (something that adds gradients for a micro-batch and says what it lost), a
 * list of parameters and a loader. It knows no teacher, no model, no recipe.
 * Owns: the order of a step, the policy for bad steps, when to log, evaluate, save and stop. */
#ifndef LB_TRAIN_TRAINER_H
#define LB_TRAIN_TRAINER_H

#include "listener.h"
#include "schedule.h"

#include "data/loader.h"
#include "model/trainable.h"

/* What a run is minimising. */
typedef struct lb__loss_sums {
  double loss; /* the weighted sum as minimised, already divided by normalisers */
  double terms[LB_LOSS_TERMS_MAX]; /* unweighted, already divided likewise */
} lb__loss_sums;

typedef struct lb__step_context {
  int64_t step; /* optimizer step from 0, and micro-batch in it: keys of random numbers */
  int64_t micro;
  int64_t n_tokens, n_trained; /* of the whole optimizer batch: what losses are divided by */
} lb__step_context;

typedef struct lb__objective {
  void *ctx;
  size_t n_terms;
  const char *term_names[LB_LOSS_TERMS_MAX];
  /* Forward and backward of one micro-batch: adds to the parameters' gradients and to *sums. */
  lb_status (*run)(void *ctx, const lb__micro_batch *batch, const lb__step_context *step,
                   lb__loss_sums *sums, lb_error *err);
  /* Held-out figures into the eval_* fields; NULL: none. */
  lb_status (*evaluate)(void *ctx, lb_event *event, lb_error *err);
  /* Writes what is not a parameter but belongs to a checkpoint: the loadable folder (config,
   * weights, tokenizer). The trainer adds its own state beside it. */
  lb_status (*save)(void *ctx, const char *folder, lb_error *err);
  /* Reads parameters back from such a folder. */
  lb_status (*load)(void *ctx, const char *folder, lb_error *err);
} lb__objective;

typedef struct lb__trainer_options {
  double num_train_epochs;
  int64_t max_steps; /* > 0: overrides epochs */
  double learning_rate, weight_decay, adam_beta1, adam_beta2, adam_epsilon, max_grad_norm, min_lr;
  lb__scheduler lr_scheduler_type;
  double warmup_steps; /* below 1: a share of all steps */
  int64_t logging_steps, eval_steps, save_steps, save_total_limit; /* 0: never; limit 0: none */
  bool logging_first_step;
  int64_t max_bad_steps;  /* k non-finite steps in a row: back to the last good checkpoint */
  const char *output_dir; /* checkpoints go to output_dir/checkpoint-N */
  const char *resume_from_checkpoint; /* a folder, "true" (the newest that verifies), NULL: none */
  const char *run_hash;               /* what must not change between save and resume: text that is
                                         compared, and shown when it differs */
  bool resume_with_other_kernels; /* else a checkpoint made by other kernels is refused: the same
                                     run would give other last digits */
  const volatile int *cancel;     /* non-zero: finish the step, save, end with is_interrupted */
} lb__trainer_options;
lb__trainer_options lb__trainer_options_default(void); /* Transformers' defaults */

typedef struct lb__train_result {
  int64_t steps, skipped_steps, rollbacks, tokens, trained_tokens;
  double seconds, first_loss, last_loss;
  bool is_interrupted;
  char *last_checkpoint; /* lb__free; NULL: none */
} lb__train_result;

/* Optimizer state that a checkpoint holds: exp_avg and exp_avg_sq of every parameter. */
typedef struct lb__trainer lb__trainer;
/* @owns *out: lb__trainer_free. Borrows everything else.  */
lb_status lb__trainer_new(lb__trainer **out, const lb__objective *objective,
                          const lb__parameter *parameters, size_t n_parameters, lb__loader *loader,
                          const lb__listeners *listeners, const lb__trainer_options *options,
                          lb_error *err);
void lb__trainer_free(lb__trainer *t);
/* Runs to the end, or to an interruption (LB_OK with is_interrupted).
 * @error LB_E_NUMERIC (non-finite again and again, no checkpoint to go back to), LB_E_IO, ... */
lb_status lb__trainer_run(lb__train_result *result, lb__trainer *t, lb_error *err);
/* Bytes of optimizer state for n parameters' elements. */
size_t lb__trainer_estimate(int64_t n_elements);

#endif
