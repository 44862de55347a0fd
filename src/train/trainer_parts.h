/* trainer_parts.h - what the files of the trainer share. Private to src/train/trainer*.c.
 *
 *   trainer.c             the order of a step and of a run
 *   trainer_report.c      events, means over logging_steps, log_history
 *   trainer_checkpoint.c  saving, resuming, going back
 *   trainer_moments.c     optimizer.safetensors
 *   trainer_state.c       limbeck_state.json and trainer_state.json */
#ifndef LB_TRAIN_TRAINER_PARTS_H
#define LB_TRAIN_TRAINER_PARTS_H

#include "trainer.h"

#include "base/json.h"

/* Sums since the last log; sums of means times trained tokens, so that their quotient is the mean
 * over tokens. */
typedef struct lb__loss_window {
  double loss, terms[LB_LOSS_TERMS_MAX];
  int64_t trained_tokens;
} lb__loss_window;

/* What a checkpoint holds besides tensors and the loader's cursor. */
typedef struct lb__progress {
  int64_t step;           /* optimizer steps done, skipped ones included: the schedule's clock */
  int64_t optimizer_step; /* updates done: AdamW's clock */
  int64_t tokens, trained_tokens, skipped_steps, rollbacks;
  int64_t bad_in_row;
  double first_loss, last_loss; /* NaN: none yet */
  lb__loss_window window;
} lb__progress;

struct lb__trainer {
  const lb__objective *objective;
  const lb__parameter *parameters;
  size_t n_parameters;
  lb__loader *loader;
  const lb__listeners *listeners;
  lb__trainer_options options;
  lb__schedule schedule;         /* max_steps of the run is in here */
  lb_tensor exp_avg, exp_avg_sq; /* flat: every parameter's, one after the other */
  int64_t *offsets;              /* [n_parameters] where in them */
  lb__progress progress;
  json_t *history; /* log_history of trainer_state.json */
  /* checkpoints of this run */
  char *last_checkpoint;
  int64_t last_saved_step; /* in output_dir; -1: none */
  int64_t went_back_to, times_back;
  /* the last step, for events */
  double loss, terms[LB_LOSS_TERMS_MAX], grad_norm, learning_rate;
  /* clocks of this process */
  int64_t began_ns, began_step, logged_ns, logged_tokens;
};

/* ---- trainer_report.c ---- */
lb_status lb__trainer_tell(lb__trainer *t, lb_event_kind kind, lb_error *err);
lb_status lb__trainer_warn(lb__trainer *t, lb_error *err, const char *format, ...) LB_PRINTF(3, 4);
lb_status lb__trainer_tell_end(lb__trainer *t, bool is_interrupted, lb_error *err);
lb_status lb__trainer_log(lb__trainer *t, lb_error *err); /* LOG and the window starts anew */
lb_status lb__trainer_evaluate(lb__trainer *t, lb_error *err);
void lb__trainer_add_to_window(lb__trainer *t, int64_t trained_tokens);
double lb__trainer_epoch(const lb__trainer *t);

/* ---- trainer_checkpoint.c ---- */
lb_status lb__trainer_save(lb__trainer *t, lb_error *err);
/* As options say. *found: false when there was nothing to go on from. */
lb_status lb__trainer_resume(bool *found, lb__trainer *t, lb_error *err);
/* To the last good checkpoint, without its place in the data. @error LB_E_NUMERIC: there is none */
lb_status lb__trainer_go_back(lb__trainer *t, lb_error *err);
/* *is_finite: every parameter and moment is. */
lb_status lb__trainer_check_finite(bool *is_finite, const char **name, const lb__trainer *t,
                                   lb_error *err);

/* ---- trainer_moments.c ---- */
lb_tensor lb__trainer_moment(const lb_tensor *flat, const lb__trainer *t, size_t parameter);
/* exp_avg.<name>, exp_avg_sq.<name>, and master.<name> of every parameter that `folder`'s weights
 * do not hold in F32, into folder/optimizer.safetensors. */
lb_status lb__moments_save(const lb__trainer *t, const char *folder, lb_error *err);
lb_status lb__moments_load(lb__trainer *t, const char *folder, lb_error *err);

/* ---- trainer_state.c ---- */
lb_status lb__state_save(const lb__trainer *t, const char *folder, lb_error *err);
typedef struct lb__saved_state {
  lb__progress progress;
  lb__cursor cursor;
  json_t *history;
  json_t *root; /* of limbeck_state.json */
  char *name;   /* its path */
} lb__saved_state;
/* Reads and checks numbers; compares nothing. @owns lb__saved_state_deinit, also after a failure */
lb_status lb__state_load(lb__saved_state *s, const char *folder, lb_error *err);
void lb__saved_state_deinit(lb__saved_state *s);
/* The run and its kernels are those of `s`. @error LB_E_ARG, LB_E_UNSUPPORTED */
lb_status lb__state_check(const lb__saved_state *s, const lb__trainer *t, lb_error *err);

#endif
