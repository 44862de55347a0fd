/** limbeck/train_events.h - what a training run tells while it runs.
 *
 *      static lb_status on_event(void *ctx, const lb_event *e, lb_error *err) {
 *        if (e->kind == LB_EVENT_LOG) printf("step %lld loss %f\n", (long long)e->step, e->loss);
 *        return LB_OK;
 *      }                                                                                       */
#ifndef LIMBECK_TRAIN_EVENTS_H
#define LIMBECK_TRAIN_EVENTS_H

#include <limbeck/status.h>

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lb_event_kind {
  LB_EVENT_BEGIN,      /* before the first step; max_steps, n_epochs, resumed step are set */
  LB_EVENT_STEP,       /* after every optimizer step: for progress bars */
  LB_EVENT_LOG,        /* every logging_steps: losses are means over those steps' trained tokens */
  LB_EVENT_EVAL,       /* held-out figures */
  LB_EVENT_CHECKPOINT, /* path is the folder, complete and on disk */
  LB_EVENT_WARNING,    /* text: a skipped step, a rollback */
  LB_EVENT_END         /* finished, or interrupted (is_interrupted) */
} lb_event_kind;

enum { LB_LOSS_TERMS_MAX = 8 };

/** Numbers that are not known are NaN; they are left out of logs. */
typedef struct lb_event {
  lb_event_kind kind;
  int64_t step, max_steps;  /* optimizer steps */
  double epoch, num_epochs; /* 1.5: in the middle of the second */
  double loss;              /* as it is minimised, nats per trained token */
  size_t n_terms;
  const char *term_names[LB_LOSS_TERMS_MAX]; /* "ce", "kd", "hidden", "attention" */
  double terms[LB_LOSS_TERMS_MAX]; /* unweighted, nats (or squared units) per trained token */
  double grad_norm, learning_rate; /* before clipping; of this step */
  int64_t tokens, trained_tokens;  /* seen since the run began, resumed parts included */
  double tokens_per_second;        /* since the last LOG */
  double seconds, seconds_left;
  int64_t skipped_steps; /* since the run began */
  double eval_loss, eval_ce, eval_perplexity, eval_kl, eval_reverse_kl, eval_agreement,
      eval_accuracy; /* EVAL: ce and kl in nats per token at temperature 1 */
  const char *path, *text;
  bool is_interrupted;
} lb_event;

/** Return other than LB_OK to stop the run. Called on the thread that trains. */
typedef lb_status lb_event_fn(void *ctx, const lb_event *event, lb_error *err);

#ifdef __cplusplus
}
#endif
#endif
