/* tensorboard_log.h - output_dir/runs/<name>/events.out.tfevents.<seconds>.limbeck: the run's
 * curves for `tensorboard --logdir output_dir/runs`, under the tags of Transformers' own logs:
 * train/loss, train/learning_rate, train/grad_norm, eval/loss, and train/loss_kd, eval/kl, ...
 * beside them.
 *
 * A fresh run removes the event files that an earlier one left in the same folder. A resumed run
 * begins another file, whose session mark makes TensorBoard forget what came after the checkpoint;
 * a rollback leaves such a mark too.
 * Refuses: the computer's name, which is in such files' names elsewhere: the folder may be
 * published. */
#ifndef LB_REPORT_TENSORBOARD_LOG_H
#define LB_REPORT_TENSORBOARD_LOG_H

#include <limbeck/train_events.h>

typedef struct lb__tensorboard_options {
  const char *output_dir;
  const char *run_name; /* a plain file name; NULL: "limbeck" */
  double (*now)(void);  /* seconds since 1970; NULL: the clock. For tests */
} lb__tensorboard_options;

typedef struct lb__tensorboard_log lb__tensorboard_log;
/* Touches nothing before the first event. @owns *out: lb__tensorboard_log_free
 * @error LB_E_ARG (run_name), LB_E_NOMEM   @test tests/unit/test_tensorboard_log.c */
lb_status lb__tensorboard_log_new(lb__tensorboard_log **out, const lb__tensorboard_options *options,
                                  lb_error *err);
/* An lb_event_fn; ctx is the log. BEGIN opens a file, CHECKPOINT puts it on the disk, END closes
 * it. @error LB_E_IO, LB_E_NOMEM; LB_E_ARG (an event before BEGIN) */
lb_status lb__tensorboard_log_event(void *ctx, const lb_event *event, lb_error *err);
void lb__tensorboard_log_free(lb__tensorboard_log *log);

#endif
