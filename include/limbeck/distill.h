/** limbeck/distill.h - the main job: a recipe in, a student out.
 *
 *      lb_recipe *recipe;
 *      lb_distill_result result;
 *      lb_status st = lb_recipe_load(&recipe, "recipe.yaml", NULL, 0, &err);
 *      if (st == LB_OK) st = lb_distill(&result, recipe, NULL, &err);
 *      lb_recipe_free(recipe);
 *
 *  A recipe is YAML with the names Transformers and TRL use; docs/recipe.md lists every key.     */
#ifndef LIMBECK_DISTILL_H
#define LIMBECK_DISTILL_H

#include <limbeck/train_events.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- recipes ---- */

typedef struct lb_recipe lb_recipe;

/** Reads a recipe. Later sources win: defaults, the file, `overrides` ("learning_rate=1e-4",
 *  "train.learning_rate=1e-4"; `-` and `_` are equal).
 *  @param path  a YAML file; NULL: only overrides
 *  @owns  *out: lb_recipe_free
 *  @error LB_E_ARG, LB_E_FORMAT: "recipe.yaml:7: unknown key 'train.learning_rat'; did you mean
 *         'learning_rate'?", "recipe.yaml:9: train.num_train_epochs: want a number >= 0, found
 * 'x'"; LB_E_IO, LB_E_NOMEM   @test tests/unit/test_recipe.c */
LB_API LB_NODISCARD lb_status lb_recipe_load(lb_recipe **out, const char *path,
                                             const char *const *overrides, size_t n_overrides,
                                             lb_error *err);
LB_API void lb_recipe_free(lb_recipe *recipe);

/** Every key with its resolved value, as YAML that lb_recipe_load reads back to the same recipe.
 *  Borrowed from the recipe. @return NULL: no memory */
LB_API const char *lb_recipe_text(lb_recipe *recipe);

/** One key that a recipe may have; for help texts and documentation. */
typedef struct lb_recipe_key {
  const char *path;    /* "train.learning_rate" */
  const char *aliases; /* "lr"; NULL: none. Separated by | */
  const char *type;    /* "number", "integer", "true or false", "text", "list of texts", "a|b|c" */
  const char
      *fallback;     /* the default as one would write it; NULL: none, "required": it must come */
  const char *range; /* "> 0"; NULL: any */
  const char *help;
} lb_recipe_key;
LB_API const lb_recipe_key *lb_recipe_key_at(size_t i); /* NULL past the end */

/* ---- running ---- */

/** How good a model is on the held-out documents. NaN: not measured. */
typedef struct lb_model_figures {
  double perplexity, kl_to_teacher, agreement; /* kl: nats per token, forward, temperature 1 */
  int64_t n_parameters;
  uint64_t size_bytes;      /* of the weights on disk */
  double tokens_per_second; /* reading the held-out documents */
} lb_model_figures;

struct lb_plan;
typedef struct lb_distill_options {
  lb_event_fn *on_event; /* NULL: none */
  void *on_event_ctx;
  /** Before anything is trained: what the run will need (without a probe of its speed). A plan that
   * does not fit is told, then refused. */
  void (*on_plan)(void *ctx, const struct lb_plan *plan);
  void *on_plan_ctx;
  /** What is being done between events: "reading data", "loading teacher"; total 0: unknown. */
  void (*on_phase)(void *ctx, const char *what, uint64_t done, uint64_t total);
  void *on_phase_ctx;
  const volatile int *cancel; /* non-zero: finish the step, save, stop; may be NULL */
} lb_distill_options;

typedef struct lb_distill_result {
  bool is_interrupted; /* a checkpoint was saved; run again with resume_from_checkpoint */
  char output_dir[4096], last_checkpoint[4096], gguf[4096], report[4096]; /* "": there is none */
  int64_t steps, skipped_steps, rollbacks, tokens, trained_tokens;
  double seconds, first_loss, last_loss;
  bool is_measured_on_training_data; /* nothing was held out: figures are of training documents */
  lb_model_figures teacher, before, after; /* teacher: all NaN without one */
  char *test_student, *test_teacher;       /* answers to test.prompt; NULL without one */
} lb_distill_result;

/** Runs a recipe to its end: data, teacher, training, checkpoints, the student's folder (reloaded
 * and compared before success is reported), GGUF, answers, figures.
 *  @owns  result: lb_distill_result_deinit, also after a failure
 *  @error LB_E_ARG, LB_E_FORMAT, LB_E_UNSUPPORTED, LB_E_LIMIT (what cannot fit, with the settings
 * that would help), LB_E_NUMERIC, LB_E_IO, LB_E_NOMEM. An interruption is LB_OK, is_interrupted */
LB_API LB_NODISCARD lb_status lb_distill(lb_distill_result *result, lb_recipe *recipe,
                                         const lb_distill_options *options, lb_error *err);
LB_API void lb_distill_result_deinit(lb_distill_result *result);

/* ---- planning ---- */

enum { LB_PLAN_LINES_MAX = 16, LB_PLAN_ADVICE_MAX = 8 };
typedef struct lb_plan_line {
  char what[48]; /* "student: weights", "student: gradients", "teacher: weights", ... */
  uint64_t bytes;
} lb_plan_line;

/** What a run will need; bytes by family. Nothing is trained, a short probe measures speed. */
typedef struct lb_plan {
  int64_t teacher_parameters, student_parameters, trained_parameters;
  lb_plan_line memory[LB_PLAN_LINES_MAX];
  size_t n_memory;
  uint64_t memory_total, memory_available;
  uint64_t disk_needed, disk_available;
  int64_t documents, tokens, trained_tokens, untrained_documents, truncated_documents;
  int64_t eval_documents, eval_tokens;
  int64_t steps_per_epoch, total_steps, tokens_per_step;
  double tokens_per_second, seconds; /* from the probe; NaN when it was not run */
  double teacher_student_ratio;      /* 0 without a teacher */
  int64_t run_tokens;                /* that the student sees, repetitions counted */
  double tokens_per_parameter;       /* of the student */
  double usual_tokens_per_parameter; /* of a student of random weights; 0: nobody can say */
  char data_format[32], train_on[32];
  /* "bf16", "int8"; "auto" while nothing was measured (without a probe); NULL: no teacher */
  const char *student_precision, *teacher_precision;
  char advice[LB_PLAN_ADVICE_MAX][256]; /* remarks; of a run that does not fit, the first three are
                                            settings that would help */
  size_t n_advice;
  bool fits;
} lb_plan;
LB_API LB_NODISCARD lb_status lb_plan_make(lb_plan *plan, lb_recipe *recipe, bool probe,
                                           const lb_distill_options *options, lb_error *err);

/* ---- measuring ---- */

/** A part of a training step, or the sort of work in a part. */
typedef struct lb_step_work {
  const char *part; /* "teacher", "student", "head", "losses", "backward", "optimizer", "between" */
  const char *work; /* "products", "attention", "divergence", "norms and sums", "all" */
  int64_t calls;    /* of kernels, in a step */
  double seconds;   /* of a step, on average */
  double gflop;     /* of matrix products; 0: none */
  double least_seconds; /* that these products take at the measured peak of their precision */
} lb_step_work;

/** Where a training step's time goes, and how near it comes to what its products need. */
typedef struct lb_step_bench {
  int64_t steps, tokens_per_step;        /* measured; on average */
  double mean, median, fastest, slowest; /* seconds of a step; steps may differ in length */
  double tokens_per_second;              /* over all of them */
  double least_seconds;                  /* all products at the peak of their precision */
  double share_of_bound;                 /* least_seconds / mean */
  const char *teacher_precision, *student_precision; /* "int8"; NULL: no teacher */
  struct lb_step_peak {
    const char *precision;
    double gflop, gflop_per_s; /* of a step; measured on all threads, 0: not needed */
  } peaks[3];
  uint64_t peak_memory_bytes; /* of the process, the measuring of peaks left out */
  lb_step_work work[48];
  size_t n_work;
  lb_plan_line memory[LB_PLAN_LINES_MAX]; /* held while training, by part */
  size_t n_memory;
} lb_step_bench;

/** Trains a few steps of a recipe as lb_distill would, times them, and keeps nothing: no
 * checkpoint, no student, no output folder. One more step comes first, to warm up.
 *  @param  steps  1 or more
 *  @error  as lb_distill; LB_E_LIMIT when the run does not fit into memory; LB_E_CANCELLED
 *  @test   tests/cli/test_bench_step.sh */
LB_API LB_NODISCARD lb_status lb_bench_step(lb_step_bench *out, lb_recipe *recipe, int64_t steps,
                                            const lb_distill_options *options, lb_error *err);

/* ---- examples ---- */

/** One training example as it will be seen: pieces of text, trained or not. */
typedef struct lb_example_piece {
  const char *text;
  size_t size;
  bool is_trained;
} lb_example_piece;
typedef struct lb_example lb_example;
/** @owns *out: lb_example_free */
LB_API LB_NODISCARD lb_status lb_example_open(lb_example **out, lb_recipe *recipe, int64_t document,
                                              lb_error *err);
LB_API const lb_example_piece *lb_example_pieces(const lb_example *example, size_t *n);
LB_API void lb_example_free(lb_example *example);

/* ---- verifying ---- */

typedef enum lb_check_outcome {
  LB_CHECK_PASSED,
  LB_CHECK_FAILED,
  LB_CHECK_SKIPPED
} lb_check_outcome;
typedef struct lb_check {
  const char *name; /* "gradients by differences" */
  lb_check_outcome outcome;
  char found[256]; /* "worst relative error 3.1e-8 of 24 parameters (want <= 1e-6)" */
} lb_check;
/** Repeats the important checks on the recipe's own models and data; each is told as it ends.
 *  @return LB_OK also when a check failed: *n_failed says so */
LB_API LB_NODISCARD lb_status lb_verify(size_t *n_failed, lb_recipe *recipe,
                                        void (*on_check)(void *ctx, const lb_check *check),
                                        void *ctx, const volatile int *cancel, lb_error *err);

#ifdef __cplusplus
}
#endif
#endif
